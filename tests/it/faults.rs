//! What the world does to a service, and what must not come of it (security.md 5: F6, F10, F11,
//! F13, F14, F15).

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::server::{Anteroom, Settings, pause};
use crate::rig::talk::{a_submission, ask};
use crate::rig::{Backend, both_backends, postgres};

both_backends! {
    clients_that_hang_up_cancel_no_transaction,
    bytes_that_make_no_sense_are_the_clients_fault,
    idle_and_slow_clients_do_not_hold_up_a_stop,
}

const PATIENCE: Duration = Duration::from_mins(1);

async fn clients_that_hang_up_cancel_no_transaction(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    server.add_site("garden").await;
    let mut answered = 0;

    for number in 0..120 {
        // one client sends its whole submission and goes away, at a different moment each time …
        let mut gone = connect(&server).await;
        gone.write_all(&raw_submission(1_000 + number))
            .await
            .unwrap();
        for _ in 0..number % 60 {
            tokio::task::yield_now().await;
        }
        drop(gone);
        // … and the next one, which may get the same database connection, is told the truth
        server
            .submit(
                "garden",
                &a_submission(number, &format!("Stays, {number}.")),
            )
            .await
            .expect(201);
        answered += 1;
    }

    let thread = server
        .get("/api/v1/sites/garden/comments?thread=/harbour/&limit=200")
        .await;
    let n_kept = count_of_names(&thread.json, "Reader ");
    assert_eq!(n_kept, answered);
    let gone = server
        .get("/api/v1/sites/garden/comments?thread=/gone/&limit=200")
        .await;
    let total = gone.json["total"].as_u64().unwrap();
    assert!(total <= 120, "{total} comments from 120 submissions");
}

async fn bytes_that_make_no_sense_are_the_clients_fault(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    server.add_site("garden").await;
    let path = format!("{}/api/v1/sites/garden/comments", server.url);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let twice = r#"{"body": "a", "body": "b"}"#.to_owned();
    let surrogate =
        r#"{"thread":{"key":"/t/"},"author":{"name":"A","email":"a@b.example"},"body":"\ud800"}"#;
    let nul =
        r#"{"thread":{"key":"/t/"},"author":{"name":"A\u0000","email":"a@b.example"},"body":"x"}"#;
    let bodies: Vec<Vec<u8>> = vec![
        deep.into_bytes(),
        twice.into_bytes(),
        surrogate.into(),
        nul.into(),
        b"\xff\xfe\xfd".to_vec(),
        b"null".to_vec(),
        Vec::new(),
    ];

    for (number, body) in bodies.into_iter().enumerate() {
        for kind in ["application/json", "application/x-www-form-urlencoded"] {
            let request = server
                .http
                .post(&path)
                .header("content-type", kind)
                .body(body.clone());
            let answer = ask(request).await.unwrap();
            assert!(
                answer.status.is_client_error(),
                "body {number} as {kind}: {answer:?}"
            );
        }
    }
    for query in [
        "thread=%00",
        "thread=%ff",
        "thread=/t/&limit=0",
        "thread=/t/&cursor=%22",
        "limit=5",
    ] {
        let answer = server
            .get(&format!("/api/v1/sites/garden/comments?{query}"))
            .await;
        assert!(!answer.status.is_server_error(), "{query}: {answer:?}");
    }
    for line in [
        "GET / HTTP/9.9",
        "\x16\x03\x01\x02",
        "GET /\0 HTTP/1.1",
        &"G".repeat(100_000),
    ] {
        let mut client = connect(&server).await;
        // The server may close while this is still being sent.
        let _ = client.write_all(format!("{line}\r\n\r\n").as_bytes()).await;
        let said = everything_said(client).await;
        assert!(!said.starts_with("HTTP/1.1 5"), "{line:.20}: {said}");
    }
    server.get("/healthz").await.expect(200);
}

async fn idle_and_slow_clients_do_not_hold_up_a_stop(backend: &Backend) {
    let mut server = Anteroom::judging_by_words(backend).await;
    server.add_site("garden").await;
    let mut idle = connect(&server).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: it\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
    let mut slow = connect(&server).await;
    slow.write_all(b"POST /api/v1/sites/garden/comments HTTP/1.1\r\nhost: it\r\n")
        .await
        .unwrap();

    let status = server.terminate().await;

    assert_eq!(status.code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_finishes_its_headers_is_cut_off() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut slow = connect(&server).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: it\r\nx-never: ")
        .await
        .unwrap();

    let said = everything_said(slow).await;

    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_lock_makes_clients_wait_and_come_back() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    server.add_site("garden").await;
    server
        .submit("garden", &a_submission(1, "Before."))
        .await
        .expect(201);
    let file = server.data_dir().join("anteroom.db");
    let mut foreign = SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    sqlx::query("begin immediate")
        .execute(&mut foreign)
        .await
        .unwrap();

    let refused = server
        .submit("garden", &a_submission(2, "Meanwhile."))
        .await;
    let readable = server.thread("garden", "/harbour/").await;
    sqlx::query("rollback").execute(&mut foreign).await.unwrap();
    let accepted = server.submit("garden", &a_submission(3, "After.")).await;

    assert!(
        refused
            .clone()
            .expect(503)
            .headers
            .contains_key("retry-after")
    );
    assert_eq!(readable.json["total"], 1);
    accepted.expect(201);
    assert_eq!(server.thread("garden", "/harbour/").await.json["total"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_database_ends_are_made_anew() {
    let Some(url) = postgres::fresh_database() else {
        return;
    };
    let backend = Backend::Postgres { url: url.clone() };
    let server = Anteroom::judging_by_words(&backend).await;
    server.add_site("garden").await;
    let mut database = PgConnection::connect(&url).await.unwrap();
    let mut answered = 0;

    for number in 0..30 {
        if number % 5 == 0 {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .execute(&mut database)
            .await
            .unwrap();
        }
        let content = a_submission(number, &format!("Stays, {number}."));
        match server.submit("garden", &content).await {
            answer if answer.status == 201 => answered += 1,
            answer => drop(answer.expect(503)),
        }
    }
    let healthy_since = Instant::now();
    while server
        .submit("garden", &a_submission(99, "At last."))
        .await
        .status
        != 201
    {
        assert!(healthy_since.elapsed() < PATIENCE, "does not recover");
        pause(healthy_since).await;
    }

    let thread = server.thread("garden", "/harbour/").await;
    assert!(answered >= 12, "only {answered} of 30 were taken");
    assert_eq!(thread.json["total"], answered + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_rule_folder_keeps_the_last_good_rules() {
    let settings = Settings::judging_by_words(&Backend::Sqlite);
    let server = settings.start().await;
    let site = server.add_site("garden").await;

    for file in ["policy.toml", "10-own.toml"] {
        std::fs::remove_file(settings.rules_dir().join(file)).unwrap();
    }
    let asked_at = Instant::now();
    loop {
        let ready = server.get("/readyz").await.expect(200);
        if ready.json["status"] == "degraded" && ready.text.contains("policy.toml") {
            break;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{}", ready.text);
        pause(asked_at).await;
    }

    let content = a_submission(1, "please wait");
    server.submit(&site.key, &content).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_folder_is_said_and_the_last_good_rules_stay() {
    let settings = Settings::judging_by_words(&Backend::Sqlite);
    let server = settings.start().await;
    server.add_site("garden").await;
    std::fs::write(
        settings.rules_dir().join("20-broken.toml"),
        "[[rule]]\nid = \"half",
    )
    .unwrap();

    let asked_at = Instant::now();
    let degraded = loop {
        let answer = server.get("/readyz").await.expect(200);
        if answer.text.contains("degraded") {
            break answer;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{}", answer.text);
        pause(asked_at).await;
    };

    assert!(
        degraded.text.contains("20-broken.toml"),
        "{}",
        degraded.text
    );
    server
        .submit("garden", &a_submission(1, "Still, please wait."))
        .await
        .expect(202);
    server
        .submit("garden", &a_submission(2, "Still ripe."))
        .await
        .expect(201);
}

fn count_of_names(thread: &Value, prefix: &str) -> u64 {
    let comments = thread["comments"].as_array().unwrap();
    let names = comments
        .iter()
        .filter_map(|comment| comment["author"]["name"].as_str());
    names.filter(|name| name.starts_with(prefix)).count() as u64
}

fn raw_submission(number: usize) -> Vec<u8> {
    let mut content = a_submission(number, &format!("Gone, {number}."));
    content["thread"]["key"] = "/gone/".into();
    let body = content.to_string();
    format!(
        "POST /api/v1/sites/garden/comments HTTP/1.1\r\nhost: it\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn connect(server: &Anteroom) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://"))
        .await
        .unwrap()
}

/// All that the server says before it closes the connection, which it must do by itself.
async fn everything_said(mut client: TcpStream) -> String {
    let mut said = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, client.read_to_end(&mut said)).await;
    assert!(closed.is_ok(), "the connection stays open");
    String::from_utf8_lossy(&said).into_owned()
}
