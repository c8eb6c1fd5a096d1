//! The program as an operator meets it: first start, stop, wrong settings.

use serde_json::{Value, json};

use crate::rig::server::{Anteroom, Settings};
use crate::rig::talk::{a_submission, ask};
use crate::rig::{Backend, both_backends};

both_backends! {
    an_empty_machine_gets_a_demo_and_a_link_to_set_up,
    a_stop_loses_nothing_and_ends_well,
    health_readiness_metrics_and_the_description_are_served,
    what_a_command_changes_about_a_site_holds_at_once,
}

async fn an_empty_machine_gets_a_demo_and_a_link_to_set_up(backend: &Backend) {
    let mut server = Anteroom::start(backend).await;

    let first = server.log();
    server.get("/demo").await.expect(200);
    assert!(server.terminate().await.success());
    server.restart().await;
    server.add_user("root", "admin");
    server.terminate().await;
    let before = server.log().len();
    server.restart().await;
    let last = server.log()[before..].to_owned();

    assert!(
        first.contains("/demo") && first.contains("setup"),
        "{first}"
    );
    assert!(!last.contains("setup"), "{last}");
}

async fn a_stop_loses_nothing_and_ends_well(backend: &Backend) {
    let mut server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    server
        .submit(&site.key, &a_submission(1, "Ripe."))
        .await
        .expect(201);

    let status = server.terminate().await;
    server.restart().await;

    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

async fn health_readiness_metrics_and_the_description_are_served(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;

    server.get("/healthz").await.expect(200);
    server.get("/readyz").await.expect(200);
    server.get("/metrics").await.expect(200);
    let description = server.get("/openapi.json").await.expect(200);

    assert!(
        description.json["openapi"]
            .as_str()
            .unwrap()
            .starts_with("3.1")
    );
    for path in [
        "/api/v1/sites/{site}/comments",
        "/api/v1/queue",
        "/api/v1/comments/{id}/decision",
    ] {
        assert!(description.json["paths"][path].is_object(), "{path}");
    }
}

async fn what_a_command_changes_about_a_site_holds_at_once(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    server
        .submit("garden", &a_submission(1, "Ripe."))
        .await
        .expect(404);

    // no waiting anywhere: what a command has said is true for the next request
    let run = |words: &[&str]| {
        let output = server.command(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
    };
    let added = run(&[
        "site",
        "add",
        "garden",
        "--origin",
        "https://garden.test",
        "--json",
    ]);
    let old_key = added["api_key"].as_str().unwrap();
    let by_key = |number: usize, key: &str| {
        let content = a_submission(number, "Ripe.");
        ask(server.submission("garden", &content).bearer_auth(key))
    };
    by_key(1, old_key).await.unwrap().expect(201);

    let rotated = run(&["site", "key", "garden", "--rotate", "--json"]);
    by_key(2, old_key).await.unwrap().expect(401);
    let new_key = rotated["api_key"].as_str().unwrap();
    by_key(3, new_key).await.unwrap().expect(201);

    run(&["site", "disable", "garden"]);
    by_key(4, new_key).await.unwrap().expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_judged_live_knows_what_its_author_did() {
    const KNOWN: &str = "[[rule]]\nid = \"author.known\"\nlabel = \"quality\"\npoints = 5.0\n\
                         when = \"author.typed_approved > 0\"\n";
    let settings = Settings::new(&Backend::Sqlite).with_rules(KNOWN);
    let server = settings.start().await;
    let site = server.add_site("garden").await;
    let content = a_submission(1, "Ripe.");
    server.submit(&site.key, &content).await.expect(201);
    let author = &content["author"];
    let known = json!({"id": 1, "body": "x", "name": author["name"], "email": author["email"]});
    let unknown = json!({"id": 2, "body": "x", "name": "Nobody", "email": author["email"]});
    let nowhere = json!({"id": 3, "body": "x", "site": "nowhere"});
    let lines = format!("{known}\n{unknown}\n{nowhere}\n{{\n");

    let live = settings.command(&["check", "--jsonl", "--live", "--site", "garden"], &lines);
    let alike = settings.command(&["check", "--jsonl"], &format!("{known}\n"));

    assert_eq!(live.status.code(), Some(1), "{live:?}");
    let answers: Vec<Value> = String::from_utf8_lossy(&live.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["verdict"]),
        (&json!(1), &json!("hold"))
    );
    assert_eq!(answers[1]["verdict"], "approve");
    assert!(
        answers[2]["error"].is_string() && answers[2]["id"] == 3,
        "{}",
        answers[2]
    );
    assert!(answers[3]["error"].is_string(), "{}", answers[3]);
    let alike: Value = serde_json::from_slice(&alike.stdout).unwrap();
    assert_eq!(
        alike["verdict"], "approve",
        "without --live everybody is a newcomer"
    );
}

#[test]
fn an_unknown_setting_names_the_nearest_known_one() {
    let settings = Settings::new(&Backend::Sqlite).with("ANTEROOM_SERVER__LISTN", "x");

    let output = settings.command(&["serve"], "");

    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("server.listen"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_ring_is_refused() {
    let mut server = Anteroom::start(&Backend::Sqlite).await;
    server.terminate().await;
    let ring = server.data_dir().join("keyring.toml");
    std::fs::remove_file(ring).unwrap();

    let output = server.command(&["serve"]);

    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("keys.file"), "{said}");
}
