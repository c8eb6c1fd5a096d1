//! What moderators do: read the queue, lease from it, decide once, and take it back.

use serde_json::{Value, json};

use crate::rig::server::{Anteroom, text_of};
use crate::rig::talk::a_submission;
use crate::rig::{Backend, both_backends};

both_backends! {
    the_queue_is_for_moderators_only,
    a_decision_holds_at_once_and_only_once,
    a_decision_on_a_text_nobody_saw_is_refused,
    a_rejection_needs_a_label,
    an_approval_makes_nothing_of_a_label,
    an_address_is_revealed_for_a_reason_and_not_without_end,
    a_decision_can_be_taken_back,
    two_moderators_never_lease_the_same_comment,
    many_are_decided_together_and_taken_back_together,
    one_of_many_can_be_taken_back_alone,
    a_cursor_is_for_the_question_it_came_from,
    a_moderator_of_one_site_has_no_say_on_another,
    every_decision_is_in_the_audit_log,
}

async fn the_queue_is_for_moderators_only(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let id = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202)
        .id();

    for token in ["", "made-up", &site.api_key] {
        let queue = server.get_as(token, "/api/v1/queue").await;
        let decision = server.decide(token, &id, "approve").await;

        for answer in [queue, decision] {
            assert!(
                [401, 403].contains(&answer.status.as_u16()),
                "{token:?}: {answer:?}"
            );
        }
    }
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
}

async fn a_decision_holds_at_once_and_only_once(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let (ada, bo) = (server.add_moderator("ada"), server.add_moderator("bo"));
    let id = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202)
        .id();

    let first = server.decide(&ada, &id, "approve").await.expect(200);
    let repeated = server.decide(&ada, &id, "approve").await.expect(409);
    let contrary = server.decide(&bo, &id, "reject").await.expect(409);

    assert_eq!(first.json["status"], "approved");
    assert_eq!(first.json["by"], "ada");
    for refused in [repeated, contrary] {
        assert_eq!(refused.json["by"], "ada", "{}", refused.text);
        assert_eq!(refused.json["status"], "approved");
        assert_eq!(refused.json["version"], 1);
    }
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

async fn a_decision_on_a_text_nobody_saw_is_refused(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let mine = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202);
    let edit = server
        .http
        .patch(format!("{}/api/v1/comments/{}", server.url, mine.id()))
        .header("authorization", format!("Receipt {}", mine.receipt()))
        .json(&json!({"body": "please wait, I changed my mind"}));
    assert!(edit.send().await.unwrap().status().is_success());

    server
        .decide(&token, &mine.id(), "approve")
        .await
        .expect(409);

    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
}

async fn a_rejection_needs_a_label(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let id = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202)
        .id();
    let path = format!("/api/v1/comments/{id}/decision");

    let content = json!({"decision": "reject", "version": 1});
    server.post_as(&token, &path, &content).await.expect(422);

    let content =
        json!({"decision": "reject", "version": 1, "label": "policy", "note": "off topic"});
    let answer = server.post_as(&token, &path, &content).await.expect(200);
    assert_eq!(answer.json["status"], "rejected");
}

async fn an_approval_makes_nothing_of_a_label(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let ada = server.add_moderator("ada");
    let held = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202);

    let said = json!({"decision": "approve", "label": "spam", "version": 1});
    let path = format!("/api/v1/comments/{}/decision", held.id());
    server.post_as(&ada, &path, &said).await.expect(200);

    let detail = format!("/api/v1/comments/{}/detail", held.id());
    let detail = server.get_as(&ada, &detail).await.expect(200);
    assert_eq!(detail.json["decisions"][0]["decision"], "approve");
    assert_eq!(detail.json["decisions"][0]["label"], Value::Null);
}

async fn an_address_is_revealed_for_a_reason_and_not_without_end(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let bo = server.add_moderator("bo");
    server.add_user("root", "admin");
    let root = server.token_of("root");
    let content = a_submission(1, "please wait");
    let held = server.submit(&site.key, &content).await.expect(202);
    let path = format!("/api/v1/comments/{}/reveal", held.id());
    let reason = json!({"reason": "the author asked for a copy"});

    server.post_as(&bo, &path, &reason).await.expect(403);
    let without = json!({"reason": " "});
    server.post_as(&root, &path, &without).await.expect(422);
    let seen = server.post_as(&root, &path, &reason).await.expect(200);
    assert_eq!(seen.json["email"], content["author"]["email"]);
    let mut n_seen = 1;
    loop {
        let answer = server.post_as(&root, &path, &reason).await;
        if answer.status == 429 {
            break;
        }
        answer.expect(200);
        n_seen += 1;
        assert!(n_seen < 100, "nobody needs so many addresses in an hour");
    }
}

async fn a_decision_can_be_taken_back(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let id = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202)
        .id();
    let decision = server.decide(&token, &id, "approve").await.expect(200).id();

    let undo = server
        .post_as(
            &token,
            &format!("/api/v1/decisions/{decision}/undo"),
            &json!({}),
        )
        .await;

    assert!(undo.status.is_success(), "{}", undo.text);
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
    assert_eq!(
        server.queue(&token, "garden").await,
        std::slice::from_ref(&id)
    );
    server.decide(&token, &id, "reject").await.expect(200);
}

async fn two_moderators_never_lease_the_same_comment(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let (ada, bo) = (server.add_moderator("ada"), server.add_moderator("bo"));
    for number in 0..6 {
        let text = format!("{number}, please wait");
        server
            .submit(&site.key, &a_submission(number, &text))
            .await
            .expect(202);
    }
    let claim = json!({"site": "garden", "limit": 4, "order": "oldest"});

    let (hers, his) = tokio::join!(
        server.post_as(&ada, "/api/v1/queue/claim", &claim),
        server.post_as(&bo, "/api/v1/queue/claim", &claim),
    );

    let (hers, his) = (ids(&hers.expect(200).json), ids(&his.expect(200).json));
    assert_eq!(hers.len() + his.len(), 6);
    assert!(hers.iter().all(|id| !his.contains(id)), "{hers:?} {his:?}");

    // what another has leased can still be decided, and what is released is free again
    server.decide(&bo, &hers[0], "approve").await.expect(200);
    let released = server
        .post_as(&ada, "/api/v1/queue/release", &json!({"ids": hers}))
        .await;
    assert!(released.status.is_success(), "{}", released.text);
    let freed = server
        .post_as(
            &bo,
            "/api/v1/queue/claim",
            &json!({"site": "garden", "limit": 100}),
        )
        .await;
    assert_eq!(
        ids(&freed.expect(200).json)
            .iter()
            .filter(|id| hers.contains(*id))
            .count(),
        hers.len() - 1
    );
}

async fn many_are_decided_together_and_taken_back_together(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let mut items = Vec::new();
    for number in 0..5 {
        let text = format!("{number}, please wait");
        let id = server
            .submit(&site.key, &a_submission(number, &text))
            .await
            .expect(202)
            .id();
        items.push(json!({"id": id, "version": 1}));
    }
    server
        .decide(&token, items[0]["id"].as_str().unwrap(), "reject")
        .await
        .expect(200);

    let content = json!({"items": items, "decision": "approve"});
    let bulk = server
        .post_as(&token, "/api/v1/decisions", &content)
        .await
        .expect(200);
    let after_bulk = server.thread(&site.key, "/harbour/").await;
    let undo = server
        .post_as(
            &token,
            &format!("/api/v1/decisions/{}/undo", bulk.id()),
            &json!({}),
        )
        .await;

    assert_eq!(count(&bulk.json["decided"]), 4, "{}", bulk.text);
    assert_eq!(count(&bulk.json["conflicts"]), 1, "{}", bulk.text);
    assert_eq!(after_bulk.json["total"], 4);
    assert!(undo.status.is_success(), "{}", undo.text);
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
    assert_eq!(server.queue(&token, "garden").await.len(), 4);
}

async fn one_of_many_can_be_taken_back_alone(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let ada = server.add_moderator("ada");
    let mut ids = Vec::new();
    for number in 0..3 {
        let content = a_submission(number, &format!("{number}, please wait"));
        ids.push(server.submit(&site.key, &content).await.expect(202).id());
    }
    let items: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "version": 1}))
        .collect();
    let together = json!({"items": items, "decision": "approve"});
    let together = server
        .post_as(&ada, "/api/v1/decisions", &together)
        .await
        .expect(200);

    let detail = format!("/api/v1/comments/{}/detail", ids[1]);
    let detail = server.get_as(&ada, &detail).await.expect(200);
    let own = text_of(&detail.json["decisions"][0]["id"]);
    let undo = |id: &str| format!("/api/v1/decisions/{id}/undo");
    server
        .post_as(&ada, &undo(&own), &json!({}))
        .await
        .expect(200);

    assert_eq!(
        server.queue(&ada, "garden").await,
        std::slice::from_ref(&ids[1])
    );
    let rest = undo(&text_of(&together.json["id"]));
    let rest = server.post_as(&ada, &rest, &json!({})).await.expect(200);
    assert_eq!(rest.json["restored"].as_array().unwrap().len(), 2);
}

async fn a_cursor_is_for_the_question_it_came_from(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let ada = server.add_moderator("ada");
    for number in 0..3 {
        let waits = a_submission(number, &format!("{number}, please wait"));
        server.submit(&site.key, &waits).await.expect(202);
        let public = a_submission(10 + number, &format!("{number}, ripe"));
        server.submit(&site.key, &public).await.expect(201);
    }

    let newest = "/api/v1/queue?order=newest&limit=1";
    let cursor = server.get_as(&ada, newest).await.expect(200);
    let cursor = text_of(&cursor.json["next_cursor"]);
    for (order, status) in [("newest", 200), ("risk", 422)] {
        let path = format!("/api/v1/queue?order={order}&limit=1&cursor={cursor}");
        server.get_as(&ada, &path).await.expect(status);
    }
    let thread = "/api/v1/sites/garden/comments?limit=1&thread";
    let cursor = server.get(&format!("{thread}=/harbour/")).await.expect(200);
    let cursor = text_of(&cursor.json["next_cursor"]);
    for (key, status) in [("/harbour/", 200), ("/orchard/", 422)] {
        let path = format!("{thread}={key}&cursor={cursor}");
        server.get(&path).await.expect(status);
    }
}

async fn a_moderator_of_one_site_has_no_say_on_another(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let garden = server.add_site("garden").await;
    server.add_site("orchard").await;
    let token = server.add_moderator_of("bo", "orchard");
    let id = server
        .submit(&garden.key, &a_submission(1, "please wait"))
        .await
        .expect(202)
        .id();

    let detail = server
        .get_as(&token, &format!("/api/v1/comments/{id}/detail"))
        .await;
    let decision = server.decide(&token, &id, "approve").await;

    for answer in [detail, decision] {
        assert!([403, 404].contains(&answer.status.as_u16()), "{answer:?}");
    }
    let queue = server.get_as(&token, "/api/v1/queue").await.expect(200);
    assert_eq!(queue.json["items"], json!([]));
    assert_eq!(queue.json["total"], 0);
}

async fn every_decision_is_in_the_audit_log(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    server.add_user("root", "admin");
    let admin = server.token_of("root");
    let id = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202)
        .id();

    server.decide(&token, &id, "approve").await.expect(200);

    let log = server.get_as(&admin, "/api/v1/audit").await.expect(200);
    assert!(
        log.text.contains(&id) && log.text.contains("ada"),
        "{}",
        log.text
    );
}

fn ids(claim: &Value) -> Vec<String> {
    let items = claim["items"]
        .as_array()
        .unwrap_or_else(|| panic!("items in {claim}"));
    items
        .iter()
        .map(|item| text_of(&item["comment"]["id"]))
        .collect()
}

/// A number, or how many there are in a list.
fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| value.as_array().map_or(0, |list| list.len() as u64))
}
