//! What readers see: approved comments, in order, counted, and cheap to ask for again.

use serde_json::json;

use crate::rig::server::Anteroom;
use crate::rig::talk::{a_submission, ask};
use crate::rig::{Backend, both_backends};

both_backends! {
    a_thread_is_paged_in_either_order_without_gaps,
    an_answer_stands_below_what_it_answers,
    an_unchanged_thread_is_not_sent_again,
    counts_come_for_many_threads_at_once,
    one_site_does_not_see_the_threads_of_another,
}

async fn a_thread_is_paged_in_either_order_without_gaps(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let mut sent = Vec::new();
    for number in 0..7 {
        let text = format!("Plum number {number}.");
        sent.push(
            server
                .submit(&site.key, &a_submission(number, &text))
                .await
                .expect(201)
                .id(),
        );
    }

    let path = "/api/v1/sites/garden/comments?thread=/harbour/&limit=3";
    let oldest = server
        .every_page(None, path, "comments", |comment| &comment["id"])
        .await;
    let newest = format!("{path}&order=newest");
    let newest = server
        .every_page(None, &newest, "comments", |comment| &comment["id"])
        .await;

    assert_eq!(oldest, sent);
    sent.reverse();
    assert_eq!(newest, sent);
}

async fn an_answer_stands_below_what_it_answers(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let parent = server
        .submit(&site.key, &a_submission(1, "Are they ripe?"))
        .await
        .expect(201)
        .id();
    let mut reply = a_submission(2, "They are.");
    reply["parent"] = parent.clone().into();

    server.submit(&site.key, &reply).await.expect(201);

    let thread = server.thread(&site.key, "/harbour/").await;
    assert_eq!(thread.json["comments"][0]["depth"], 0);
    assert_eq!(
        thread.json["comments"][1]["parent"].as_str(),
        Some(parent.as_str())
    );
    assert_eq!(thread.json["comments"][1]["depth"], 1);
}

async fn an_unchanged_thread_is_not_sent_again(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    server
        .submit(&site.key, &a_submission(1, "First."))
        .await
        .expect(201);
    let first = server.thread(&site.key, "/harbour/").await;
    let tag = first.headers["etag"].clone();
    let path = format!(
        "{}/api/v1/sites/garden/comments?thread=%2Fharbour%2F&limit=200",
        server.url
    );
    let again = || ask(server.http.get(&path).header("if-none-match", &tag));

    again().await.unwrap().expect(304);
    server
        .submit(&site.key, &a_submission(2, "Second."))
        .await
        .expect(201);

    let changed = again().await.unwrap().expect(200);
    assert_eq!(changed.json["total"], 2);
    assert_ne!(changed.headers["etag"], tag);
}

async fn counts_come_for_many_threads_at_once(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    server
        .submit(&site.key, &a_submission(1, "One."))
        .await
        .expect(201);
    server
        .submit(&site.key, &a_submission(2, "Two, please wait."))
        .await
        .expect(202);
    let expected = json!({"counts": {"/harbour/": 1, "/mill/": 0}});

    let by_query = server
        .get("/api/v1/sites/garden/counts?thread=/harbour/&thread=/mill/")
        .await;
    let path = format!("{}/api/v1/sites/garden/counts", server.url);
    let by_body = server
        .http
        .post(path)
        .json(&json!({"threads": ["/harbour/", "/mill/"]}));
    let by_body = ask(by_body).await.unwrap();

    assert_eq!(by_query.expect(200).json, expected);
    assert_eq!(by_body.expect(200).json, expected);
}

async fn one_site_does_not_see_the_threads_of_another(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let garden = server.add_site("garden").await;
    let orchard = server.add_site("orchard").await;

    server
        .submit(&garden.key, &a_submission(1, "In the garden."))
        .await
        .expect(201);

    assert_eq!(
        server.thread(&orchard.key, "/harbour/").await.json["total"],
        0
    );
}
