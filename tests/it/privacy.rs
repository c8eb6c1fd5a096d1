//! security.md, T5 and 4.7: an address and an IP go in by every door, and come out by none.
//!
//! The canaries are looked for in every answer, in the log at its loudest and in the bytes of the
//! database, as they are and in every guise in which such things have leaked elsewhere. A text that
//! may be seen is looked for likewise, to show that the search finds what is there.

use std::io::Write;
use std::process::{Command, Stdio};

use aho_corasick::AhoCorasick;
use serde_json::json;

use crate::rig::server::{Anteroom, Settings, files_below};
use crate::rig::talk::{Answer, a_submission, ask, percent_encoded};
use crate::rig::{Backend, both_backends, postgres};

both_backends! {
    no_address_and_no_ip_leaves_the_process,
}

/// What must not be seen again: an address, both its parts, and IPs the blog passed on.
const CANARIES: [&str; 5] = [
    "kanarie9f3c@brieftaube7d2.example",
    "kanarie9f3c",
    "brieftaube7d2",
    "203.0.113.77",
    "2001:db8:5eed::77",
];
const VISIBLE: &str = "Ziegelmauer5521";

async fn no_address_and_no_ip_leaves_the_process(backend: &Backend) {
    let backend = match backend {
        Backend::Sqlite => Backend::Sqlite,
        // the database server writes down every statement with its values
        Backend::Postgres { url } => Backend::Postgres {
            url: format!("{url}?options[log_min_duration_statement]=0"),
        },
    };
    let settings = Settings::judging_by_words(&backend).with("ANTEROOM_LOG__LEVEL", "trace");
    let mut server = settings.start().await;

    let mut sinks = answers(&server).await;
    server.terminate().await;
    sinks.push(("log".to_owned(), server.log().into_bytes()));
    for file in database_files(&server, &backend) {
        sinks.push((
            file.display().to_string(),
            std::fs::read(&file).unwrap_or_default(),
        ));
    }

    let needles: Vec<_> = CANARIES
        .iter()
        .flat_map(|canary| {
            let guises = guises(canary).into_iter();
            guises.map(move |(guise, needle)| (canary, guise, needle))
        })
        .collect();
    // a whole database server's files are read once, not once for each needle
    let search = AhoCorasick::new(needles.iter().map(|(_, _, needle)| needle)).unwrap();
    let mut found = Vec::new();
    for (name, content) in &sinks {
        for hit in search.find_overlapping_iter(content) {
            let (canary, guise, _) = &needles[hit.pattern().as_usize()];
            let around =
                &content[hit.start().saturating_sub(60)..content.len().min(hit.end() + 60)];
            let around = String::from_utf8_lossy(around).into_owned();
            found.push(format!("{canary} ({guise}) in {name}: …{around}…"));
        }
    }
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
    let visible = AhoCorasick::new([VISIBLE]).unwrap();
    let n_seen = sinks
        .iter()
        .filter(|(_, content)| visible.is_match(content))
        .count();
    assert!(
        n_seen >= 4,
        "the search saw the visible text in {n_seen} places only"
    );
}

/// Speaks to every door with the canaries in hand, and keeps all that is answered.
#[expect(clippy::too_many_lines, reason = "every door, one after another")]
async fn answers(server: &Anteroom) -> Vec<(String, Vec<u8>)> {
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    server.add_user("root", "admin");
    let admin = server.token_of("root");
    let mut sinks = Vec::new();
    let mut keep = |name: &str, answer: Answer| {
        sinks.push((
            name.to_owned(),
            format!("{:?}\n{}", answer.headers, answer.text).into_bytes(),
        ));
        answer
    };
    let content = |number: usize, body: &str| {
        let mut content = a_submission(number, &format!("{VISIBLE} {body}"));
        content["author"]["email"] = CANARIES[0].into();
        content
    };
    let mut passed_on = content(3, "through the blog");
    passed_on["client"] = json!({"ip": CANARIES[3], "user_agent": "Quill/1"});
    let mut passed_on_v6 = content(4, "through the blog, please wait");
    passed_on_v6["client"] = json!({"ip": CANARIES[4]});
    let mut invalid = content(5, "");
    invalid["author"]["email"] = "kanarie9f3c@@brieftaube7d2.example".into();
    invalid["author"]["url"] = "gopher://brieftaube7d2.example/".into();
    let path = format!("{}/api/v1/sites/garden/comments", server.url);
    let forwarded = server
        .submission("garden", &content(6, "with forwarding headers"))
        .header("x-forwarded-for", CANARIES[3])
        .header("forwarded", format!("for=\"[{}]\"", CANARIES[4]));
    let cut_short = server
        .http
        .post(&path)
        .header("content-type", "application/json")
        .body("{\"author\": {\"email\": \"kanarie9f3c@brieftaube7d2.example\", ");
    let unknown = server
        .http
        .post(&path)
        .json(&json!({"kanarie9f3c@brieftaube7d2.example": 1}));

    let public = keep("submit", server.submit("garden", &content(1, "ripe")).await);
    let waiting = keep(
        "hold",
        server.submit("garden", &content(2, "please wait")).await,
    );
    keep(
        "reject",
        server.submit("garden", &content(7, "please reject")).await,
    );
    keep(
        "refuse",
        server.submit("garden", &content(8, "please refuse")).await,
    );
    keep("again", server.submit("garden", &content(1, "ripe")).await);
    for content in [&passed_on, &passed_on_v6] {
        let request = server
            .submission("garden", content)
            .bearer_auth(&site.api_key);
        keep("by the blog", ask(request).await.unwrap());
    }
    keep("forwarded", ask(forwarded).await.unwrap());
    keep(
        "invalid",
        server.submit("garden", &invalid).await.expect(422),
    );
    keep("cut short", ask(cut_short).await.unwrap());
    keep("unknown key", ask(unknown).await.unwrap());
    let fields = [
        ("thread", "/harbour/"),
        ("name", "Ada"),
        ("email", CANARIES[0]),
        ("body", "Ziegelmauer5521 by form"),
    ];
    keep("form", server.submit_form("garden", &fields).await);
    let mistaken = [
        fields[0],
        ("name", ""),
        fields[2],
        ("body", "Ziegelmauer5521, kept"),
    ];
    keep(
        "form with a mistake",
        server.submit_form("garden", &mistaken).await.expect(422),
    );

    let (id, receipt) = (public.id(), public.receipt());
    keep("receipt", server.receipt_view(&id, &receipt).await);
    keep(
        "receipt page",
        server.get(&format!("/c/{id}?receipt={receipt}")).await,
    );
    let edit = server
        .http
        .patch(format!("{}/api/v1/comments/{id}", server.url))
        .header("authorization", format!("Receipt {receipt}"))
        .json(&json!({"body": "Ziegelmauer5521, edited"}));
    keep("edit", ask(edit).await.unwrap());
    keep("thread", server.thread("garden", "/harbour/").await);
    for path in [
        "/api/v1/sites/garden/counts?thread=/harbour/",
        "/api/v1/sites/garden/form?thread=/harbour/",
        "/api/v1/sites/garden/feed.atom",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/demo",
        "/embed.js",
        "/console",
    ] {
        keep(path, server.get(path).await);
    }
    for path in [
        "/api/v1/queue?site=garden",
        "/api/v1/queue?q=kanarie",
        "/api/v1/rules",
        "/api/v1/audit",
        &format!("/api/v1/comments/{}/detail", waiting.id()),
    ] {
        keep(path, server.get_as(&admin, path).await);
    }
    let mut check = content(9, "please wait");
    check["site"] = "garden".into();
    keep(
        "check",
        server.post_as(&token, "/api/v1/check", &check).await,
    );
    let claim = json!({"site": "garden", "limit": 100});
    keep(
        "claim",
        server.post_as(&token, "/api/v1/queue/claim", &claim).await,
    );
    keep(
        "decision",
        server
            .decide(&token, &waiting.id(), "approve")
            .await
            .expect(200),
    );
    sinks
}

fn database_files(server: &Anteroom, backend: &Backend) -> Vec<std::path::PathBuf> {
    let mut files = files_below(&server.data_dir());
    if let Backend::Postgres { .. } = backend {
        files.extend(files_below(&postgres::folder()));
    }
    files
}

/// A text as it is and as others have let it out.
fn guises(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let upper = text.to_uppercase();
    let reversed: String = text.chars().rev().collect();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut guises = vec![
        ("as it is", text.as_bytes().to_vec()),
        ("upper case", upper.into_bytes()),
        ("reversed", reversed.into_bytes()),
        ("hex", hex::encode(text).into_bytes()),
        ("UTF-16", utf16),
        ("in a query", percent_encoded(text).into_bytes()),
    ];
    for phase in 0..3 {
        guises.push(("base64", inner_base64(text, phase)));
    }
    for program in ["md5sum", "sha1sum", "sha256sum", "sha512sum"] {
        let digest = digest(program, text);
        let bytes = hex::decode(&digest).unwrap();
        guises.push((program, digest.into_bytes()));
        guises.push((program, bytes));
    }
    guises
}

/// The letters of a base64 text that depend on `text` alone when `phase` bytes stand before it.
fn inner_base64(text: &str, phase: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = [&[0_u8; 2][..phase.min(2)], text.as_bytes()].concat();
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let whole = bits.chunks_exact(6).map(|bits| {
        let index = bits.iter().fold(0, |index, bit| index << 1 | bit);
        LETTERS[usize::from(index)]
    });
    whole.skip((phase * 8).div_ceil(6)).collect()
}

fn digest(program: &str, text: &str) -> String {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn the_search_knows_base64_at_every_offset() {
    // from RFC 4648, section 10, and the same text behind one and two zero bytes
    assert_eq!(inner_base64("foobar", 0), b"Zm9vYmFy");
    assert_eq!(inner_base64("foobar", 1), b"Zvb2Jhc");
    assert_eq!(inner_base64("foobar", 2), b"mb29iYX");
}
