//! A comment's way in by JSON: what is taken, what waits, what is turned away, and how that is said.

use serde_json::json;

use crate::rig::server::{Anteroom, Settings};
use crate::rig::talk::{Answer, a_submission, ask};
use crate::rig::{Backend, both_backends};

both_backends! {
    a_nul_is_refused_by_its_field_wherever_it_stands,
    only_the_site_says_where_a_thread_is,
    an_approved_comment_stands_in_the_thread_at_once,
    a_borderline_comment_waits_in_the_queue,
    a_quiet_rejection_looks_like_waiting,
    a_loud_rejection_says_why_and_gives_a_receipt,
    every_bad_field_is_named_at_once_and_none_is_echoed,
    what_is_no_submission_is_refused_by_its_kind,
    the_same_text_from_the_same_author_is_taken_once,
    line_ends_become_plain_newlines_and_other_controls_are_refused,
    markup_in_a_comment_stays_text,
    an_author_is_limited_and_told_when_to_come_back,
}

async fn an_approved_comment_stands_in_the_thread_at_once(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    let answer = server
        .submit(&site.key, &a_submission(1, "The plums are *ripe*."))
        .await
        .expect(201);

    assert_eq!(answer.json["status"], "approved");
    assert_eq!(answer.json["version"], 1);
    assert!(
        answer.json["edit_until"].is_string() || answer.json["edit_until"].is_number(),
        "{}",
        answer.text
    );
    assert_eq!(answer.json["comment"]["id"], answer.json["id"]);
    let thread = server.thread(&site.key, "/harbour/").await;
    assert_eq!(thread.json["total"], 1);
    let comment = &thread.json["comments"][0];
    assert_eq!(comment["id"].as_str(), Some(answer.id().as_str()));
    assert_eq!(comment["author"]["name"], "Reader 1");
    assert_eq!(comment["body"], "The plums are *ripe*.");
    assert!(comment["html"].as_str().unwrap().contains("<em>ripe</em>"));
}

async fn a_borderline_comment_waits_in_the_queue(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");

    let answer = server
        .submit(&site.key, &a_submission(1, "Seeds, please wait."))
        .await
        .expect(202);

    assert_eq!(answer.json["status"], "pending");
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
    let queue = server
        .get_as(&token, "/api/v1/queue?site=garden")
        .await
        .expect(200);
    assert_eq!(queue.json["total"], 1);
    let item = &queue.json["items"][0];
    assert_eq!(item["comment"]["id"].as_str(), Some(answer.id().as_str()));
    assert_eq!(item["comment"]["status"], "pending");
    assert_eq!(item["verdict"]["verdict"], "hold");
    let finding = &item["verdict"]["findings"][0];
    assert_eq!(finding["rule"], "words.wait");
    assert_eq!(finding["spans"], json!([[7, 18]]));
}

async fn a_quiet_rejection_looks_like_waiting(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    let waits = server
        .submit(&site.key, &a_submission(1, "One, please wait."))
        .await
        .expect(202);
    let rejected = server
        .submit(&site.key, &a_submission(2, "Two, please reject."))
        .await
        .expect(202);

    let names = |answer: &Answer| -> Vec<String> {
        answer.json.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&rejected), names(&waits));
    assert_eq!(rejected.json["status"], "pending");
    let view = server
        .receipt_view(&rejected.id(), &rejected.receipt())
        .await
        .expect(200);
    assert_eq!(view.json["status"], "pending");
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
}

async fn a_loud_rejection_says_why_and_gives_a_receipt(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    let answer = server
        .submit(&site.key, &a_submission(1, "Now please refuse."))
        .await
        .expect(422);

    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(
        answer.json["type"].as_str().unwrap().ends_with("/rejected"),
        "{}",
        answer.text
    );
    assert!(
        answer.text.contains("Kinder words, and it will be read."),
        "{}",
        answer.text
    );
    assert!(!answer.id().is_empty() && !answer.receipt().is_empty());
}

async fn every_bad_field_is_named_at_once_and_none_is_echoed(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let content = json!({
        "thread": {"key": "/harbour/"},
        "author": {"name": "  ", "email": "nobody at nowhere", "url": "ftp://garden.test"},
        "body": "",
    });

    let answer = server.submit(&site.key, &content).await.expect(422);

    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let errors = answer.json["errors"].as_array().unwrap();
    let mut fields: Vec<_> = errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["author.email", "author.name", "author.url", "body"]
    );
    assert!(
        errors
            .iter()
            .all(|error| error["code"].is_string() && error["detail"].is_string())
    );
    assert!(!answer.text.contains("nobody at nowhere") && !answer.text.contains("garden.test"));
}

async fn what_is_no_submission_is_refused_by_its_kind(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let valid = a_submission(1, "The plums are ripe.");
    let path = format!("{}/api/v1/sites/{}/comments", server.url, site.key);
    let post = || server.http.post(&path);
    let mut unknown_key = valid.clone();
    unknown_key["colour"] = "green".into();
    let mut unknown_parent = valid.clone();
    unknown_parent["parent"] = "01890000-0000-7000-8000-000000000000".into();
    let huge = a_submission(1, &"x".repeat(300_000));

    let cases = [
        (
            post()
                .header("content-type", "application/json")
                .body("{\"thread\""),
            vec![400],
        ),
        (post().json(&unknown_key), vec![400, 422]),
        (
            post().header("content-type", "text/plain").body("hello"),
            vec![415],
        ),
        (post().json(&huge), vec![413]),
        (post().json(&unknown_parent), vec![404]),
        (post().json(&valid).bearer_auth("not-a-key"), vec![401]),
        (
            post()
                .json(&valid)
                .header("origin", "https://elsewhere.test"),
            vec![403],
        ),
        (server.submission("nowhere", &valid), vec![404]),
    ];
    for (number, (request, expected)) in cases.into_iter().enumerate() {
        let answer = ask(request).await.unwrap();
        assert!(
            expected.contains(&answer.status.as_u16()),
            "case {number}: {answer:?}"
        );
        assert_eq!(
            answer.headers["content-type"], "application/problem+json",
            "case {number}"
        );
    }
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
}

async fn a_nul_is_refused_by_its_field_wherever_it_stands(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let ada = server.add_moderator("ada");
    let held = server
        .submit(&site.key, &a_submission(1, "please wait"))
        .await
        .expect(202);
    let mut title = a_submission(2, "Ripe.");
    title["thread"]["title"] = "a\0b".into();
    let mut agent = a_submission(3, "Ripe.");
    agent["client"] = json!({"ip": "192.0.2.7", "user_agent": "a\0b"});
    let mut account = a_submission(4, "Ripe.");
    account["author"]["account"] = "a\nb".into();
    let counts = json!({"threads": ["/a", "b\0"]});
    let note = json!({"decision": "approve", "version": 1, "note": "a\0b"});
    let decision = format!("/api/v1/comments/{}/decision", held.id());

    let by_blog = |content| {
        ask(server
            .submission("garden", content)
            .bearer_auth(&site.api_key))
    };
    for (field, answer) in [
        ("thread.title", server.submit("garden", &title).await),
        ("client.user_agent", by_blog(&agent).await.unwrap()),
        ("author.account", by_blog(&account).await.unwrap()),
        (
            "thread",
            server.get("/api/v1/sites/garden/counts?thread=%00").await,
        ),
        (
            "threads",
            server
                .post_as("", "/api/v1/sites/garden/counts", &counts)
                .await,
        ),
        ("q", server.get_as(&ada, "/api/v1/queue?q=%00").await),
        ("note", server.post_as(&ada, &decision, &note).await),
    ] {
        let answer = answer.expect(422);
        assert_eq!(answer.json["errors"][0]["field"], field, "{}", answer.text);
        assert_eq!(
            answer.json["errors"][0]["code"], "control_character",
            "{}",
            answer.text
        );
    }
}

async fn only_the_site_says_where_a_thread_is(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let mut forged = a_submission(1, "please wait");
    forged["thread"]["url"] = "https://phish.test/login".into();
    forged["thread"]["title"] = "Log in again".into();
    let mut own = a_submission(2, "Ripe.");
    own["thread"]["url"] = "https://garden.test/harbour/".into();
    own["thread"]["title"] = "Harbour".into();

    server.submit("garden", &forged).await.expect(202);
    let by_blog = server.submission("garden", &own).bearer_auth(&site.api_key);
    let told = ask(by_blog).await.unwrap().expect(201);

    let view = server
        .receipt_view(&told.id(), &told.receipt())
        .await
        .expect(200);
    assert_eq!(view.json["thread"]["url"], "https://garden.test/harbour/");
    assert_eq!(view.json["thread"]["title"], "Harbour");
    let feed = server
        .get("/api/v1/sites/garden/feed.atom")
        .await
        .expect(200);
    assert!(
        feed.text.contains("https://garden.test/harbour/#comment-"),
        "{}",
        feed.text
    );
}

async fn the_same_text_from_the_same_author_is_taken_once(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let submission = a_submission(1, "The plums are ripe.");

    server.submit(&site.key, &submission).await.expect(201);
    server.submit(&site.key, &submission).await.expect(409);

    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

async fn line_ends_become_plain_newlines_and_other_controls_are_refused(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    let kept = server
        .submit(&site.key, &a_submission(1, "one\r\ntwo\rthree\tfour"))
        .await
        .expect(201);
    server
        .submit(&site.key, &a_submission(2, "a bell \u{7}"))
        .await
        .expect(422);

    assert_eq!(kept.json["comment"]["body"], "one\ntwo\nthree\tfour");
}

async fn markup_in_a_comment_stays_text(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let body = "<img src=x onerror=alert(1)> [go](javascript:alert(1)) <b>bold</b>";

    let answer = server
        .submit(&site.key, &a_submission(1, body))
        .await
        .expect(201);

    let html = answer.json["comment"]["html"].as_str().unwrap();
    assert!(
        html.contains("&lt;img src=x") && !html.contains("<img") && !html.contains("<b>"),
        "{html}"
    );
    assert!(!html.contains("href=\"javascript:"), "{html}");
}

async fn an_author_is_limited_and_told_when_to_come_back(backend: &Backend) {
    let settings = Settings::new(backend).with("ANTEROOM_RATES__SUBMIT_PER_IP_MIN", "3");
    let server = settings.start().await;
    let site = server.add_site("garden").await;

    let mut last = None;
    for number in 0..20 {
        let answer = server
            .submit(&site.key, &a_submission(number, "Plums again."))
            .await;
        let is_limited = answer.status == 429;
        last = Some(answer);
        if is_limited {
            break;
        }
    }

    let answer = last.unwrap().expect(429);
    assert!(
        answer.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );
}
