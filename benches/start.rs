//! How soon the program answers on an existing database, and what it holds ten seconds later.

mod connection;
mod service;

use std::time::Duration;

use anteroom::domain::time::monotonic;

use service::Home;

const N_ROUNDS: usize = 9;
const SETTLED_AFTER: Duration = Duration::from_secs(10);
const TARGET_START: Duration = Duration::from_millis(300);
const TARGET_RESIDENT_MIB: f64 = 30.0;

#[tokio::main]
async fn main() {
    let home = Home::new();
    home.furnish(); // makes the database, so that every start finds one

    let mut starts = Vec::new();
    for _ in 0..N_ROUNDS {
        let started_at = monotonic();
        let service = home.serve().await;
        starts.push(started_at.elapsed());
        drop(service);
    }
    starts.sort_unstable();
    println!(
        "start to first answer: median {:?}, worst {:?} (target {TARGET_START:?})",
        starts[N_ROUNDS / 2],
        starts[N_ROUNDS - 1],
    );

    let service = home.serve().await;
    tokio::time::sleep(SETTLED_AFTER).await;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand KiB")]
    let resident_mib = resident_kib(service.process.id()) as f64 / 1024.0;
    println!(
        "resident after {SETTLED_AFTER:?}: {resident_mib:.1} MiB (target {TARGET_RESIDENT_MIB} MiB)"
    );
}

/// The memory a process holds, as the kernel counts it.
fn resident_kib(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.expect("a line VmRSS")
}
