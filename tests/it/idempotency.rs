//! Retries are harmless: one key, one comment, one answer.

use futures_util::future::join_all;
use reqwest::RequestBuilder;

use crate::rig::server::Anteroom;
use crate::rig::talk::{a_submission, ask};
use crate::rig::{Backend, both_backends};

both_backends! {
    a_retry_gets_the_first_answer_again,
    a_retry_after_a_restart_gets_the_first_answer_again,
    a_retry_gets_the_first_answer_whatever_became_of_the_place,
    a_refused_text_is_refused_in_the_same_words_again,
    one_key_never_stands_for_two_texts,
    a_refused_submission_does_not_use_up_its_key,
    twins_in_flight_make_one_comment,
    a_key_belongs_to_its_site,
    a_key_that_is_too_long_is_refused,
}

async fn a_retry_gets_the_first_answer_again(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let send = || {
        keyed(
            server.submission(&site.key, &a_submission(1, "Ripe.")),
            "one",
        )
    };

    let first = ask(send()).await.unwrap().expect(201);
    let second = ask(send()).await.unwrap().expect(201);

    assert_eq!(second.json, first.json);
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

async fn a_retry_after_a_restart_gets_the_first_answer_again(backend: &Backend) {
    let mut server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let submission = a_submission(1, "please wait");

    let first = ask(keyed(server.submission(&site.key, &submission), "one"))
        .await
        .unwrap()
        .expect(202);
    server.kill();
    server.restart().await;
    let second = ask(keyed(server.submission(&site.key, &submission), "one"))
        .await
        .unwrap()
        .expect(202);

    assert_eq!(second.json, first.json);
}

async fn a_retry_gets_the_first_answer_whatever_became_of_the_place(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let parent = server.submit(&site.key, &a_submission(1, "Ripe.")).await;
    let parent = parent.expect(201);
    let mut reply = a_submission(2, "Riper.");
    reply["parent"] = parent.id().into();
    let send = || ask(keyed(server.submission(&site.key, &reply), "one"));
    let first = send().await.unwrap().expect(201);

    let withdraw = server
        .http
        .delete(format!("{}/api/v1/comments/{}", server.url, parent.id()))
        .header("authorization", format!("Receipt {}", parent.receipt()));
    ask(withdraw).await.unwrap().expect(204);
    let close = [
        "thread",
        "close",
        "--site",
        "garden",
        "--thread",
        "/harbour/",
    ];
    assert!(server.command(&close).status.success());

    assert_eq!(send().await.unwrap().expect(201).json, first.json);
    server
        .submit(&site.key, &a_submission(3, "Late."))
        .await
        .expect(403);
}

async fn a_refused_text_is_refused_in_the_same_words_again(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let send = || {
        let content = a_submission(1, "please refuse");
        ask(keyed(server.submission(&site.key, &content), "one"))
    };

    let first = send().await.unwrap().expect(422);
    let second = send().await.unwrap().expect(422);

    assert_eq!(second.text, first.text);
}

async fn one_key_never_stands_for_two_texts(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let send = |text| keyed(server.submission(&site.key, &a_submission(1, text)), "one");

    ask(send("Ripe.")).await.unwrap().expect(201);
    ask(send("Unripe.")).await.unwrap().expect(422);

    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

async fn a_refused_submission_does_not_use_up_its_key(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let send = |text| keyed(server.submission(&site.key, &a_submission(1, text)), "one");

    ask(send("")).await.unwrap().expect(422);
    ask(send("Ripe.")).await.unwrap().expect(201);
}

async fn twins_in_flight_make_one_comment(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    for round in 0..10 {
        let submission = a_submission(round, &format!("Ripe, {round}."));
        let twins = (0..8).map(|_| {
            ask(keyed(
                server.submission(&site.key, &submission),
                &format!("key-{round}"),
            ))
        });
        let mut ids = Vec::new();
        for answer in join_all(twins).await {
            let answer = answer.unwrap();
            match answer.status.as_u16() {
                201 => ids.push(answer.id()),
                409 => {}
                _ => panic!("{answer:?}"),
            }
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
    assert_eq!(
        server.thread(&site.key, "/harbour/").await.json["total"],
        10
    );
}

async fn a_key_belongs_to_its_site(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let (garden, orchard) = (
        server.add_site("garden").await,
        server.add_site("orchard").await,
    );
    let submission = a_submission(1, "Ripe.");

    let first = ask(keyed(server.submission(&garden.key, &submission), "one"))
        .await
        .unwrap()
        .expect(201);
    let second = ask(keyed(server.submission(&orchard.key, &submission), "one"))
        .await
        .unwrap()
        .expect(201);

    assert_ne!(first.id(), second.id());
}

async fn a_key_that_is_too_long_is_refused(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let request = keyed(
        server.submission(&site.key, &a_submission(1, "Ripe.")),
        &"k".repeat(256),
    );

    let answer = ask(request).await.unwrap();

    assert!([400, 422].contains(&answer.status.as_u16()), "{answer:?}");
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("idempotency-key", key)
}
