//! A lean HTTP load: many keep-alive connections, each sending its next request as soon as the
//! last one is answered, and the time each answer took.
//!
//! Not an open-loop generator: it measures what a server can do, not how it behaves beyond that.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anteroom::domain::time::monotonic;

use crate::connection::Connection;

/// What one round of load came to.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// How many answers came with which status.
    pub(crate) statuses: BTreeMap<u16, usize>,
}

/// Writes the request with this number into an empty buffer.
pub(crate) type Write = dyn Fn(usize, &mut Vec<u8>) + Send + Sync;

/// Loads a server for `warm_up`, then for `length`, and reports the second part.
pub(crate) async fn run(
    address: SocketAddr,
    n_connections: usize,
    warm_up: Duration,
    length: Duration,
    write: Arc<Write>,
) -> Round {
    let next = Arc::new(AtomicUsize::new(0));
    let measured_from = monotonic() + warm_up;
    let measured_to = measured_from + length;
    let clients = (0..n_connections).map(|_| {
        let (next, write) = (Arc::clone(&next), Arc::clone(&write));
        #[expect(clippy::disallowed_methods, reason = "clients beside each other")]
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await.expect("the server accepts");
            let mut answers = Vec::with_capacity(64 * 1024);
            let mut request = Vec::with_capacity(2 * 1024);
            loop {
                request.clear();
                write(next.fetch_add(1, Ordering::Relaxed), &mut request);
                let sent_at = monotonic();
                let (status, _) = connection.exchange(&request).await.expect("an answer");
                let answered_at = monotonic();
                if answered_at >= measured_to {
                    return answers;
                }
                if answered_at >= measured_from {
                    answers.push((answered_at - sent_at, status));
                }
            }
        })
    });
    let mut answers = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        answers.extend(client.await.expect("a client that ends well"));
    }
    Round::of(answers, length)
}

impl Round {
    fn of(mut answers: Vec<(Duration, u16)>, length: Duration) -> Self {
        answers.sort_unstable();
        let mut statuses = BTreeMap::new();
        for (_, status) in &answers {
            *statuses.entry(*status).or_default() += 1;
        }
        let at = |percent: usize| {
            let index = (answers.len() * percent / 100).min(answers.len().saturating_sub(1));
            answers
                .get(index)
                .map_or(Duration::ZERO, |(latency, _)| *latency)
        };
        Self {
            per_second: as_f64(answers.len()) / length.as_secs_f64(),
            p50: at(50),
            p99: at(99),
            statuses,
        }
    }

    /// One line for a person.
    pub(crate) fn print(&self, name: &str) {
        println!(
            "  {name:<10} {:>9.0}/s   p50 {:>7.2} ms   p99 {:>7.2} ms   answers {:?}",
            self.per_second,
            self.p50.as_secs_f64() * 1e3,
            self.p99.as_secs_f64() * 1e3,
            self.statuses,
        );
    }
}

/// The round in the middle, by requests per second.
pub(crate) fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    let middle = rounds.len() / 2;
    rounds.swap_remove(middle)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
