//! A whole corpus through the service, as shipped: load it, work the queue down, read it back, and
//! count at every stage.
//!
//! The texts are invented, in the shape of comments below music videos: praise, quarrels, time
//! stamps as links, markup, smileys, requests to visit other places.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rig::server::{Anteroom, Settings, text_of};
use crate::rig::talk::percent_encoded;
use crate::rig::{Backend, both_backends};

const N_COMMENTS: usize = 240;
const THREAD: &str = "/watch?v=lanterns&list=1";

both_backends! {
    a_corpus_is_loaded_worked_down_and_read_back,
}

async fn a_corpus_is_loaded_worked_down_and_read_back(backend: &Backend) {
    let settings = Settings::new(backend);
    let server = ["SPAM", "ABUSE", "QUALITY", "POLICY"]
        .iter()
        .fold(settings, |settings, label| {
            settings.with(&format!("ANTEROOM_REPLIES__{label}"), "explain")
        })
        .start()
        .await;
    let site = server.add_site("videos").await;
    let token = server.add_moderator("ada");

    // load: every line is answered one way or another
    let (mut public, mut waiting, mut n_rejected) = (BTreeSet::new(), BTreeSet::new(), 0);
    for number in 0..N_COMMENTS {
        let answer = server.submit(&site.key, &line(number)).await;
        match answer.status.as_u16() {
            201 => assert!(public.insert(answer.id())),
            202 => assert!(waiting.insert(answer.id())),
            422 if answer.text.contains("/rejected") => n_rejected += 1,
            _ => panic!("line {number}: {answer:?}"),
        }
    }
    assert_eq!(public.len() + waiting.len() + n_rejected, N_COMMENTS);
    assert_eq!(thread_of(&server).await, public);
    assert_eq!(queue_total(&server, &token).await, waiting.len());
    assert_eq!(
        server
            .queue(&token, "videos")
            .await
            .into_iter()
            .collect::<BTreeSet<_>>(),
        waiting
    );

    // work down: claim by twenty, approve two of three
    let mut n_left = waiting.len();
    loop {
        let claim = json!({"site": "videos", "limit": 20, "order": "oldest"});
        let claimed = server
            .post_as(&token, "/api/v1/queue/claim", &claim)
            .await
            .expect(200);
        let items = claimed.json["items"].as_array().unwrap();
        if items.is_empty() {
            break;
        }
        for (place, item) in items.iter().enumerate() {
            let id = text_of(&item["comment"]["id"]);
            let decision = if place % 3 == 2 { "reject" } else { "approve" };
            server.decide(&token, &id, decision).await.expect(200);
            assert!(waiting.remove(&id), "{id} was not waiting");
            n_left -= 1;
            if decision == "approve" {
                public.insert(id);
            }
        }
        assert_eq!(queue_total(&server, &token).await, n_left);
    }
    assert!(waiting.is_empty());

    // read back
    assert_eq!(thread_of(&server).await, public);
    let counts = format!(
        "/api/v1/sites/videos/counts?thread={}",
        percent_encoded(THREAD)
    );
    let counts = server.get(&counts).await.expect(200);
    assert_eq!(counts.json["counts"][THREAD], public.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_load_submits_every_line_of_a_file() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let site = server.add_site("videos").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.jsonl");
    let lines: Vec<String> = (0..N_COMMENTS)
        .map(|number| json!({"text": line(number)["body"]}).to_string())
        .collect();
    std::fs::write(&file, lines.join("\n")).unwrap();

    let words = ["load", file.to_str().unwrap(), "--site", &site.key];
    let output =
        server.command(&[&words[..], &["--thread", THREAD, "--url", &server.url]].concat());

    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains(&format!("{N_COMMENTS}  published (201)")),
        "{said}"
    );
    assert_eq!(thread_of(&server).await.len(), N_COMMENTS);
}

async fn thread_of(server: &Anteroom) -> BTreeSet<String> {
    let key = percent_encoded(THREAD);
    let ids = server.whole_thread("videos", &key).await;
    let n_ids = ids.len();
    let ids: BTreeSet<_> = ids.into_iter().collect();
    assert_eq!(ids.len(), n_ids, "a comment stands on two pages");
    let first = server.thread("videos", THREAD).await;
    assert_eq!(first.json["total"], n_ids);
    ids
}

async fn queue_total(server: &Anteroom, token: &str) -> usize {
    let page = server
        .get_as(token, "/api/v1/queue?site=videos&limit=1")
        .await
        .expect(200);
    page.json["total"].as_u64().unwrap().try_into().unwrap()
}

/// One line of the corpus, each from an author of its own.
fn line(number: usize) -> Value {
    const OPENINGS: [&str; 8] = [
        "I come back to this every autumn",
        "who else is here because of the ferry scene??",
        "THE DRUMS. that is all",
        "honestly the weakest of the four, and I own all four",
        "my little sister sings this to the cat \u{1f408}",
        "Kto jeszcze s\u{142}ucha tego jesieni\u{105}?",
        "you people understand nothing about rhythm, sit down",
        "\u{2764}\u{fe0f}\u{2764}\u{fe0f}\u{2764}\u{fe0f}",
    ];
    const TAILS: [&str; 7] = [
        "",
        "<br />best part at <a href=\"https://video.test/watch?v=lanterns&t=139s\">2:19</a>",
        "&#39;cause it&#39;s true",
        "Check out my channel for covers, subscribe and I will subscribe back!!!",
        "earn 300 a day from home, see http://quick-money.test/join?ref=77 and http://more.test",
        "(edit: thank you for all the likes)",
        "\n\nfirst verse still gives me chills",
    ];
    let opening = OPENINGS[number % OPENINGS.len()];
    let tail = TAILS[(number / 3) % TAILS.len()];
    json!({
        "thread": {"key": THREAD, "title": "Lanterns (live at the mill)"},
        "author": {
            "name": format!("viewer \u{2116}{number}"),
            "email": format!("viewer.{number}@post.example.org"),
        },
        "body": format!("{opening} {tail} #{number}"),
    })
}
