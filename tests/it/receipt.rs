//! What an author can do afterwards, with the receipt and nothing else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::server::{Anteroom, Settings};
use crate::rig::talk::{Answer, a_submission, ask};
use crate::rig::{Backend, both_backends};

both_backends! {
    an_author_sees_where_the_comment_stands_until_it_is_decided,
    a_receipt_opens_its_own_comment_and_no_other,
    an_edit_goes_through_the_filters_and_a_held_one_leaves_the_public_text,
    an_author_sees_the_public_text_and_apart_from_it_a_change_that_waits,
    an_author_sees_the_public_text_and_why_a_change_was_refused,
    a_change_that_is_quietly_refused_reads_as_waiting_for_a_while,
    a_change_that_was_quietly_refused_is_told_with_its_class_of_reason_afterwards,
    an_edit_is_judged_by_what_its_author_did_before,
    an_edit_comes_too_late_after_its_window,
    a_withdrawn_comment_leaves_thread_and_queue,
    an_earlier_receipt_proves_the_author,
}

async fn an_author_sees_where_the_comment_stands_until_it_is_decided(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let mine = server
        .submit(&site.key, &a_submission(1, "Plums, please wait."))
        .await
        .expect(202);

    let before = server
        .receipt_view(&mine.id(), &mine.receipt())
        .await
        .expect(200);
    server
        .decide(&token, &mine.id(), "approve")
        .await
        .expect(200);
    let after = server
        .receipt_view(&mine.id(), &mine.receipt())
        .await
        .expect(200);

    assert_eq!(before.json["status"], "pending");
    assert_eq!(after.json["status"], "approved");
}

async fn a_receipt_opens_its_own_comment_and_no_other(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let mine = server
        .submit(&site.key, &a_submission(1, "Mine."))
        .await
        .expect(201);
    let theirs = server
        .submit(&site.key, &a_submission(2, "Theirs."))
        .await
        .expect(201);

    for (id, receipt) in [
        (theirs.id(), mine.receipt()),
        (mine.id(), "made-up".to_owned()),
    ] {
        let view = server.receipt_view(&id, &receipt).await;
        let edit = act(&server, Method::PATCH, &id, &receipt, "Hm.").await;
        let withdrawal = act(&server, Method::DELETE, &id, &receipt, "").await;

        for answer in [view, edit, withdrawal] {
            assert!(
                [401, 403, 404].contains(&answer.status.as_u16()),
                "{answer:?}"
            );
        }
    }
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 2);
}

async fn an_edit_goes_through_the_filters_and_a_held_one_leaves_the_public_text(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let mine = server
        .submit(&site.key, &a_submission(1, "Ripe."))
        .await
        .expect(201);

    let harmless = act(
        &server,
        Method::PATCH,
        &mine.id(),
        &mine.receipt(),
        "Very ripe.",
    )
    .await;
    let after_first = server.thread(&site.key, "/harbour/").await;
    let doubtful = act(
        &server,
        Method::PATCH,
        &mine.id(),
        &mine.receipt(),
        "Now please wait.",
    )
    .await;
    let after_second = server.thread(&site.key, "/harbour/").await;

    assert!(harmless.status.is_success(), "{}", harmless.text);
    assert_eq!(after_first.json["comments"][0]["body"], "Very ripe.");
    assert!(!after_first.json["comments"][0]["edited_at"].is_null());
    assert!(doubtful.status.is_success(), "{}", doubtful.text);
    assert_eq!(after_second.json["comments"][0]["body"], "Very ripe.");
    assert_eq!(after_second.json["total"], 1);
}

async fn an_author_sees_the_public_text_and_apart_from_it_a_change_that_waits(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let mine = server.submit(&site.key, &a_submission(1, "Ripe.")).await;
    let mine = mine.expect(201);
    let (id, receipt) = (mine.id(), mine.receipt());

    let before = server.receipt_view(&id, &receipt).await.expect(200);
    let edit = act(&server, Method::PATCH, &id, &receipt, "Now please wait.").await;
    let after = server.receipt_view(&id, &receipt).await.expect(200);
    let page = receipt_page(&server, &id, &receipt).await;

    assert!(before.json["edit"].is_null(), "{}", before.text);
    edit.expect(202);
    assert_eq!(
        after.json["edit"],
        json!({"version": 2, "status": "pending", "label": null, "reply": null, "body": "Now please wait."})
    );
    assert_eq!(after.json["status"], "pending");
    assert_eq!(after.json["public_version"], 1);
    assert_in_order(
        &page,
        &[
            "Your comment is published",
            "Ripe.",
            "Your change is waiting",
            "Now please wait.",
        ],
    );
}

async fn an_author_sees_the_public_text_and_why_a_change_was_refused(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let mine = server.submit(&site.key, &a_submission(1, "Ripe.")).await;
    let mine = mine.expect(201);
    let (id, receipt) = (mine.id(), mine.receipt());

    let path = format!("{}/c/{id}/edit", server.url);
    let form = [("receipt", &*receipt), ("body", "Now please refuse.")];
    let answered = ask(server.http.post(path).form(&form)).await.unwrap();
    let view = server.receipt_view(&id, &receipt).await.expect(200);
    let page = receipt_page(&server, &id, &receipt).await;

    assert_eq!(view.json["status"], "approved");
    assert_eq!(view.json["edit"]["status"], "rejected");
    assert_eq!(view.json["edit"]["label"], "abuse");
    assert_eq!(view.json["edit"]["body"], "Now please refuse.");
    for page in [&answered.expect(422).text, &page] {
        assert_in_order(
            page,
            &[
                "Your comment is published",
                "Ripe.",
                "Your change was not published",
                "Kinder words, and it will be read.",
                "Now please refuse.",
            ],
        );
    }
}

async fn a_change_that_is_quietly_refused_reads_as_waiting_for_a_while(backend: &Backend) {
    let view = quietly_refused_edit(backend, "1h").await;

    // Both as of a change that does wait.
    assert_eq!(view["status"], "pending");
    assert_eq!(view["edit"]["status"], "pending");
    assert!(view["edit"]["label"].is_null(), "{view}");
}

async fn a_change_that_was_quietly_refused_is_told_with_its_class_of_reason_afterwards(
    backend: &Backend,
) {
    let view = quietly_refused_edit(backend, "0s").await;

    assert_eq!(view["status"], "approved");
    assert_eq!(view["edit"]["status"], "rejected");
    assert_eq!(view["edit"]["label"], "spam");
}

/// What the author of a published comment is told of a change that was refused quietly.
async fn quietly_refused_edit(backend: &Backend, quiet_for: &str) -> Value {
    let settings = Settings::judging_by_words(backend)
        .with("ANTEROOM_REPLIES__SPAM", "quiet")
        .with("ANTEROOM_REPLIES__QUIET_FOR", quiet_for);
    let server = settings.start().await;
    let site = server.add_site("garden").await;
    let mine = server.submit(&site.key, &a_submission(1, "Ripe.")).await;
    let mine = mine.expect(201);
    let (id, receipt) = (mine.id(), mine.receipt());

    let edit = act(&server, Method::PATCH, &id, &receipt, "Now please reject.").await;
    let view = server.receipt_view(&id, &receipt).await.expect(200);

    assert_eq!(edit.expect(202).json["status"], "pending");
    assert_eq!(view.json["public_version"], 1);
    view.json
}

async fn an_edit_is_judged_by_what_its_author_did_before(backend: &Backend) {
    const LINKS_OF_STRANGERS: &str = "
[[rule]]
id = \"links.stranger\"
title = \"A link from somebody without a published comment\"
because = \"{links.count} links\"
label = \"spam\"
when = \"links.count > 0 && author.approved == 0\"
points = 5.0
";
    let settings = Settings::new(backend).with_rules(LINKS_OF_STRANGERS);
    let server = settings.start().await;
    let site = server.add_site("garden").await;
    let first = server.submit(&site.key, &a_submission(1, "Ripe.")).await;
    let first = first.expect(201);
    let mut content = a_submission(1, "Riper still.");
    content["author"]["proof"] = first.receipt().into();
    let second = server.submit(&site.key, &content).await.expect(201);
    let stranger = server.submit(&site.key, &a_submission(2, "Sour.")).await;
    let stranger = stranger.expect(201);
    let with_link = "See https://plums.test/ for more.";

    let known = act(
        &server,
        Method::PATCH,
        &second.id(),
        &second.receipt(),
        with_link,
    )
    .await;
    let unknown = act(
        &server,
        Method::PATCH,
        &stranger.id(),
        &stranger.receipt(),
        with_link,
    )
    .await;

    assert_eq!(known.json["status"], "approved", "{}", known.text);
    // the comment itself is no record of its author
    assert_eq!(unknown.json["status"], "pending", "{}", unknown.text);
}

async fn an_edit_comes_too_late_after_its_window(backend: &Backend) {
    let settings = Settings::judging_by_words(backend).with("ANTEROOM_LIMITS__EDIT_WINDOW", "0s");
    let server = settings.start().await;
    let site = server.add_site("garden").await;
    let mine = server
        .submit(&site.key, &a_submission(1, "Ripe."))
        .await
        .expect(201);

    let answer = act(
        &server,
        Method::PATCH,
        &mine.id(),
        &mine.receipt(),
        "Unripe.",
    )
    .await;

    assert!(answer.status.is_client_error(), "{answer:?}");
    assert_eq!(
        server.thread(&site.key, "/harbour/").await.json["comments"][0]["body"],
        "Ripe."
    );
}

async fn a_withdrawn_comment_leaves_thread_and_queue(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let public = server
        .submit(&site.key, &a_submission(1, "Ripe."))
        .await
        .expect(201);
    let waiting = server
        .submit(&site.key, &a_submission(2, "please wait"))
        .await
        .expect(202);

    for comment in [&public, &waiting] {
        let answer = act(
            &server,
            Method::DELETE,
            &comment.id(),
            &comment.receipt(),
            "",
        )
        .await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
    assert_eq!(server.queue(&token, "garden").await, Vec::<String>::new());
    let view = server
        .receipt_view(&public.id(), &public.receipt())
        .await
        .expect(200);
    assert_eq!(view.json["status"], "withdrawn");
    server
        .decide(&token, &waiting.id(), "approve")
        .await
        .expect(409);
}

async fn an_earlier_receipt_proves_the_author(backend: &Backend) {
    let rules = r#"
        [[rule]]
        id = "author.newcomer"
        title = "Nobody has approved this author before"
        because = "{author.approved} approved comments before"
        label = "quality"
        when = "author.approved == 0"
        points = 5.0
    "#;
    let server = Settings::new(backend).with_rules(rules).start().await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let first = server
        .submit(&site.key, &a_submission(1, "Ripe."))
        .await
        .expect(202);
    server
        .decide(&token, &first.id(), "approve")
        .await
        .expect(200);

    let unproven = server
        .submit(&site.key, &a_submission(1, "Still ripe."))
        .await;
    let mut proven = a_submission(1, "Riper than ever.");
    proven["author"]["proof"] = first.receipt().into();
    let proven = server.submit(&site.key, &proven).await;

    unproven.expect(202);
    proven.expect(201);
}

async fn receipt_page(server: &Anteroom, id: &str, receipt: &str) -> String {
    let page = server.get(&format!("/c/{id}?receipt={receipt}")).await;
    page.expect(200).text
}

/// Fails unless the page says all of it, one after the other.
#[track_caller]
fn assert_in_order(page: &str, texts: &[&str]) {
    let mut rest = page;
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("no {text:?} in its place: {page}");
        };
        rest = after;
    }
}

async fn act(server: &Anteroom, method: Method, id: &str, receipt: &str, body: &str) -> Answer {
    let path = format!("{}/api/v1/comments/{id}", server.url);
    let mut request = server.http.request(method.clone(), path);
    if method == Method::PATCH {
        request = request.json(&json!({"body": body}));
    }
    ask(request.header("authorization", format!("Receipt {receipt}")))
        .await
        .unwrap()
}
