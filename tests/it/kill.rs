//! What was answered is there after a kill, once; what was cut off can be sent again.
//!
//! Clients keep a ledger of what they were told. After each kill the ledger is compared with what
//! the service says. `ANTEROOM_KILL_ROUNDS` sets the number of kills (3 if unset).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::Notify;

use crate::rig::server::{Anteroom, text_of};
use crate::rig::talk::{a_submission, ask};
use crate::rig::{Backend, both_backends};

const N_CLIENTS: usize = 8;

both_backends! {
    nothing_answered_is_lost_or_doubled_by_kills,
}

async fn nothing_answered_is_lost_or_doubled_by_kills(backend: &Backend) {
    let mut server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let token = server.add_moderator("ada");
    let rounds = std::env::var("ANTEROOM_KILL_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut ledger = Ledger::default();
    let mut waiting = BTreeSet::new();

    for round in 0..rounds.unwrap_or(3) {
        // a different moment each time, the same in every run
        let n_answers = 1 + (round * 37) % 90;
        let (answered, cut) = submit_until_killed(&mut server, &site.key, round, n_answers).await;
        server.restart().await;

        let stored = stored(&server, &site.key, round).await;
        for submission in &answered {
            if submission.waits {
                waiting.insert(submission.id.clone());
            } else {
                assert_eq!(
                    stored.get(&submission.number),
                    Some(&submission.id),
                    "round {round}"
                );
            }
        }
        let again = send_again(&server, &site.key, round, &cut).await;
        waiting.extend(
            again
                .iter()
                .filter(|one| one.waits)
                .map(|one| one.id.clone()),
        );
        for submission in again.iter().filter(|one| !one.waits) {
            if let Some(id) = stored.get(&submission.number) {
                assert_eq!(id, &submission.id, "round {round}: sent again, made again");
            }
        }
        ledger.add(answered.into_iter().chain(again));
    }

    // the moderator sees exactly what waits, the readers exactly what is public
    let queue = server.queue(&token, &site.key).await;
    assert_eq!(queue.len(), waiting.len());
    assert_eq!(queue.into_iter().collect::<BTreeSet<_>>(), waiting);
    let public = all_public(&server, &site.key, rounds.unwrap_or(3)).await;
    assert_eq!(public.len() + waiting.len(), ledger.ids.len());
    assert!(server.terminate().await.success());
    check_file(&server).await;
}

/// One submission that was answered.
struct Answered {
    number: usize,
    id: String,
    waits: bool,
}

/// Every id that was ever answered.
#[derive(Default)]
struct Ledger {
    ids: BTreeSet<String>,
}

impl Ledger {
    fn add(&mut self, answered: impl Iterator<Item = Answered>) {
        for submission in answered {
            assert!(self.ids.insert(submission.id), "an id was given twice");
        }
    }
}

/// Submits from several clients until so many were answered, then kills the instance under them.
/// Returns what was answered and the numbers of what was cut off.
async fn submit_until_killed(
    server: &mut Anteroom,
    site: &str,
    round: usize,
    n_answers: usize,
) -> (Vec<Answered>, Vec<usize>) {
    let next = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(Mutex::new(Vec::new()));
    let cut = Arc::new(Mutex::new(Vec::new()));
    let enough = Arc::new(Notify::new());
    let mut clients = Vec::new();
    for _ in 0..N_CLIENTS {
        let (next, answered, cut) = (Arc::clone(&next), Arc::clone(&answered), Arc::clone(&cut));
        let (http, url) = (server.http.clone(), server.url.clone());
        let (enough, site) = (Arc::clone(&enough), site.to_owned());
        clients.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let path = format!("{url}/api/v1/sites/{site}/comments");
                let request = http
                    .post(path)
                    .header("idempotency-key", format!("{round}-{number}"));
                let Ok(answer) = ask(request.json(&content(round, number))).await else {
                    cut.lock().unwrap().push(number);
                    return;
                };
                let mut answered = answered.lock().unwrap();
                answered.push(Answered {
                    number,
                    waits: is_waiting(answer.status.as_u16(), &answer.json),
                    id: answer.id(),
                });
                if answered.len() >= n_answers {
                    enough.notify_one();
                }
            }
        }));
    }
    enough.notified().await;
    server.kill();
    for client in clients {
        client.await.unwrap();
    }
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    let cut = std::mem::take(&mut *cut.lock().unwrap());
    (answered, cut)
}

async fn send_again(server: &Anteroom, site: &str, round: usize, cut: &[usize]) -> Vec<Answered> {
    let mut answered = Vec::new();
    for &number in cut {
        let request = server.submission(site, &content(round, number));
        let request = request.header("idempotency-key", format!("{round}-{number}"));
        let answer = ask(request).await.unwrap();
        answered.push(Answered {
            number,
            waits: is_waiting(answer.status.as_u16(), &answer.json),
            id: answer.id(),
        });
    }
    answered
}

fn is_waiting(status: u16, answer: &Value) -> bool {
    match status {
        201 => false,
        202 => true,
        _ => panic!("{status}: {answer}"),
    }
}

/// Every third waits; every round has a thread of its own.
fn content(round: usize, number: usize) -> Value {
    let wish = if number.is_multiple_of(3) {
        "please wait"
    } else {
        "ripe"
    };
    let mut content = a_submission(number, &format!("Plum {number} of basket {round}: {wish}"));
    content["author"]["email"] = format!("reader-{round}-{number}@post.example.org").into();
    content["thread"]["key"] = format!("/basket/{round}").into();
    content
}

/// What the thread of a round holds, by the number in the author's name.
async fn stored(server: &Anteroom, site: &str, round: usize) -> BTreeMap<usize, String> {
    let thread = server.thread(site, &format!("/basket/{round}")).await;
    assert!(thread.json["next_cursor"].is_null(), "more than one page");
    let mut stored = BTreeMap::new();
    for comment in thread.json["comments"].as_array().unwrap() {
        let name = comment["author"]["name"].as_str().unwrap();
        let number = name.trim_start_matches("Reader ").parse().unwrap();
        let before = stored.insert(number, text_of(&comment["id"]));
        assert!(before.is_none(), "{name} stands there twice");
    }
    stored
}

async fn all_public(server: &Anteroom, site: &str, rounds: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for round in 0..rounds {
        let thread = stored(server, site, round).await;
        ids.extend(thread.into_values());
    }
    ids
}

/// SQLite's own opinion of the file that went through all this.
async fn check_file(server: &Anteroom) {
    use sqlx::{Connection, SqliteConnection};
    let file = server.data_dir().join("anteroom.db");
    if !file.exists() {
        return;
    }
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let said: String = sqlx::query_scalar("pragma integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(said, "ok");
    let broken = sqlx::query("pragma foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(broken.is_empty(), "{} rows refer to nothing", broken.len());
}
