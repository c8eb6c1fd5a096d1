//! Two instances on one PostgreSQL behave as one, also when one of them is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::Notify;

use crate::rig::server::{Anteroom, text_of};
use crate::rig::talk::{Answer, a_submission, ask};
use crate::rig::{Backend, postgres};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_knows_the_other_knows() {
    let Some((one, other)) = two_instances().await else {
        return;
    };
    let site = one.add_site("garden").await;
    other.knows_site("garden").await;
    let (ada, bo) = (one.add_moderator("ada"), other.add_moderator("bo"));
    for number in 0..6 {
        let server = if number % 2 == 0 { &one } else { &other };
        let text = format!("{number}, please wait");
        server
            .submit(&site.key, &a_submission(number, &text))
            .await
            .expect(202);
    }

    // leases
    let claim = json!({"site": "garden", "limit": 4});
    let (hers, his) = tokio::join!(
        one.post_as(&ada, "/api/v1/queue/claim", &claim),
        other.post_as(&bo, "/api/v1/queue/claim", &claim),
    );
    let n_items = |answer: Answer| answer.expect(200).json["items"].as_array().unwrap().len();
    assert_eq!(n_items(hers) + n_items(his), 6);

    // idempotency
    let keyed = |server: &Anteroom| {
        server
            .submission(&site.key, &a_submission(9, "Ripe."))
            .header("idempotency-key", "nine")
    };
    let first = ask(keyed(&one)).await.unwrap().expect(201);
    let second = ask(keyed(&other)).await.unwrap().expect(201);
    assert_eq!(second.json, first.json);

    // receipts
    other
        .receipt_view(&first.id(), &first.receipt())
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contested_decision_has_one_winner() {
    let Some((one, other)) = two_instances().await else {
        return;
    };
    let site = one.add_site("garden").await;
    other.knows_site("garden").await;
    let (ada, bo) = (one.add_moderator("ada"), one.add_moderator("bo"));
    let ids = submit_waiting(&one, &site.key, 0..40).await;

    for id in &ids {
        let (hers, his) = tokio::join!(
            one.decide(&ada, id, "approve"),
            other.decide(&bo, id, "reject")
        );

        let (winner, loser, by) = if hers.status == 200 {
            (hers, his, "ada")
        } else {
            (his, hers, "bo")
        };
        let (winner, loser) = (winner.expect(200), loser.expect(409));
        assert_eq!(winner.json["by"], by);
        for field in ["by", "at", "status"] {
            assert_eq!(
                loser.json[field], winner.json[field],
                "{field}: {}",
                loser.text
            );
        }
    }
    assert_eq!(one.queue(&ada, &site.key).await, Vec::<String>::new());
}

/// Submissions, bulk decisions and their undoing all move the same counts: whoever took them in an order of their own
/// would be ended by the database.
#[tokio::test(flavor = "multi_thread")]
async fn bulk_decisions_that_cross_each_other_and_new_comments_are_all_answered() {
    let Some((one, other)) = two_instances().await else {
        return;
    };
    let site = one.add_site("garden").await;
    other.knows_site("garden").await;
    let (ada, bo) = (one.add_moderator("ada"), one.add_moderator("bo"));
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.push(
            one.submit(&site.key, &spread(number))
                .await
                .expect(202)
                .id(),
        );
    }
    let items = |ids: &mut dyn Iterator<Item = &String>| -> Vec<_> {
        ids.map(|id| json!({"id": id, "version": 1})).collect()
    };
    let forwards = json!({"items": items(&mut ids.iter()), "decision": "approve"});
    let backwards =
        json!({"items": items(&mut ids.iter().rev()), "decision": "reject", "label": "spam"});

    for round in 0..8 {
        let submissions = async {
            for number in 0..12 {
                let number = 1_000 + 100 * round + number;
                other.submit(&site.key, &spread(number)).await.expect(202);
            }
        };
        let (hers, his, ()) = tokio::join!(
            one.post_as(&ada, "/api/v1/decisions", &forwards),
            other.post_as(&bo, "/api/v1/decisions", &backwards),
            submissions,
        );

        let mut n_decided = 0;
        for (answer, token) in [(hers.expect(200), &ada), (his.expect(200), &bo)] {
            let decided = answer.json["decided"].as_array().unwrap().len();
            n_decided += decided;
            if decided > 0 {
                let undo = format!("/api/v1/decisions/{}/undo", text_of(&answer.json["id"]));
                other.post_as(token, &undo, &json!({})).await.expect(200);
            }
        }
        assert_eq!(n_decided, 60, "round {round}");
    }
    let page = one.get_as(&ada, "/api/v1/queue?limit=1").await.expect(200);
    assert_eq!(page.json["total"], 60 + 8 * 12);
    assert_eq!(one.queue(&ada, &site.key).await.len(), 60 + 8 * 12);
}

/// A comment that waits, in one of seven threads.
fn spread(number: usize) -> serde_json::Value {
    let mut content = a_submission(number, &format!("{number}, please wait"));
    content["thread"]["key"] = format!("/row/{}", number % 7).into();
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_one_of_two_instances_is_killed() {
    let Some((mut one, other)) = two_instances().await else {
        return;
    };
    let site = one.add_site("garden").await;
    other.knows_site("garden").await;
    let (ada, bo) = (one.add_moderator("ada"), one.add_moderator("bo"));
    let contested = submit_waiting(&one, &site.key, 0..60).await;

    // On both instances clients submit and moderators decide; one dies in the middle.
    let next = Arc::new(AtomicUsize::new(1_000));
    let n_done = Arc::new(AtomicUsize::new(0));
    let halfway = Arc::new(Notify::new());
    let submitters: Vec<_> = [&one, &one, &other, &other]
        .map(|server| {
            let (http, url) = (server.http.clone(), server.url.clone());
            let (next, n_done) = (Arc::clone(&next), Arc::clone(&n_done));
            let (halfway, site) = (Arc::clone(&halfway), site.key.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                while n_done.load(Ordering::Relaxed) < 300 {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let path = format!("{url}/api/v1/sites/{site}/comments");
                    let content = a_submission(number, &format!("{number}, please wait"));
                    let Ok(answer) = ask(http.post(path).json(&content)).await else {
                        break;
                    };
                    answered.push(answer.expect(202).id());
                    if n_done.fetch_add(1, Ordering::Relaxed) == 150 {
                        halfway.notify_one();
                    }
                }
                answered
            })
        })
        .into();
    let moderators: Vec<_> = [(&one, &ada, "approve"), (&other, &bo, "reject")]
        .map(|(server, token, decision)| {
            let (http, url) = (server.http.clone(), server.url.clone());
            let (token, contested) = (token.clone(), contested.clone());
            tokio::spawn(async move {
                let mut won = BTreeSet::new();
                for id in contested {
                    let content = json!({"decision": decision, "label": "spam", "version": 1});
                    let path = format!("{url}/api/v1/comments/{id}/decision");
                    let Ok(answer) = ask(http.post(path).bearer_auth(&token).json(&content)).await
                    else {
                        break;
                    };
                    match answer.status.as_u16() {
                        200 => assert!(won.insert(id)),
                        409 => {}
                        _ => panic!("{answer:?}"),
                    }
                }
                won
            })
        })
        .into();
    halfway.notified().await;
    one.kill();

    let mut answered = BTreeSet::new();
    for submitter in submitters {
        for id in submitter.await.unwrap() {
            assert!(answered.insert(id), "an id was given twice");
        }
    }
    let mut won = Vec::new();
    for moderator in moderators {
        won.push(moderator.await.unwrap());
    }

    assert!(
        won[0].is_disjoint(&won[1]),
        "both were told that they decided"
    );
    let queue: BTreeSet<_> = other.queue(&bo, &site.key).await.into_iter().collect();
    assert!(
        answered.is_subset(&queue),
        "{} are gone",
        answered.difference(&queue).count()
    );
    for id in &contested {
        // a third attempt is told who decided, and that is whom the winner's answer named
        let standing = other.decide(&bo, id, "approve").await.expect(409);
        let by = standing.json["by"].as_str().unwrap();
        assert!(!(won[0].contains(id) && by != "ada"), "{}", standing.text);
        assert!(!(won[1].contains(id) && by != "bo"), "{}", standing.text);
    }
}

async fn two_instances() -> Option<(Anteroom, Anteroom)> {
    let url = postgres::fresh_database()?;
    let one = Anteroom::judging_by_words(&Backend::Postgres { url }).await;
    let other = one.second_instance().await;
    Some((one, other))
}

async fn submit_waiting(
    server: &Anteroom,
    site: &str,
    numbers: std::ops::Range<usize>,
) -> Vec<String> {
    let mut ids = Vec::new();
    for number in numbers {
        let content = a_submission(number, &format!("{number}, please wait"));
        ids.push(server.submit(site, &content).await.expect(202).id());
    }
    ids
}
