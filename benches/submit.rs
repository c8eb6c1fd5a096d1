//! Submissions a second, beside the least a durable service can do.
//!
//! The floor is a bare handler that inserts one row of 1 KiB with group commit and
//! `synchronous=FULL` through the same bundled SQLite, and does nothing else. The program is the
//! release binary with the shipped rules and without rates; every submission comes from an author
//! of its own. Both run in turns, in one run, under the same load on the same cores.

mod connection;
mod floor;
mod load;
mod service;
mod texts;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use floor::Floor;
use load::{Round, median};
use service::Home;

const N_ROUNDS: usize = 5;
const N_CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(4);
const TARGET: f64 = 0.4;

/// One row to write, and whom to tell when it is on disk.
type Insert = (Bytes, oneshot::Sender<()>);

#[tokio::main]
async fn main() {
    if let Some(floor) = floor::asked_for() {
        return serve_floor(floor).await;
    }
    println!("submissions over HTTP, {N_CONNECTIONS} connections, {N_ROUNDS} rounds");
    let (mut floors, mut programs) = (Vec::new(), Vec::new());
    for _ in 0..N_ROUNDS {
        floors.push(measure_floor().await);
        programs.push(measure_program().await);
    }
    let (floor, program) = (median(floors), median(programs));
    println!("medians");
    floor.print("floor");
    program.print("anteroom");
    let ratio = program.per_second / floor.per_second;
    println!("ratio {ratio:.3} (target {TARGET})");
}

async fn measure_floor() -> Round {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = floor::start(folder.path()).await;
    let round = submit_to(service.address).await;
    round.print("floor");
    round
}

async fn measure_program() -> Round {
    let home = Home::new();
    let service = home.serve().await;
    home.furnish();
    let round = submit_to(service.address).await;
    round.print("anteroom");
    round
}

async fn submit_to(address: SocketAddr) -> Round {
    let write = |number: usize, out: &mut Vec<u8>| {
        texts::append_submission(&format!("/post/{}/", number % 100), number, out);
    };
    load::run(address, N_CONNECTIONS, WARM_UP, LENGTH, Arc::new(write)).await
}

async fn serve_floor(Floor { address, folder }: Floor) {
    let (sender, receiver) = mpsc::channel(4096);
    let database = folder.join("floor.db");
    std::thread::spawn(move || write_in_groups(&database, receiver));
    let router = Router::new()
        .route("/", get(async || "ready"))
        .route("/api/v1/sites/bench/comments", post(insert))
        .with_state(sender);
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .expect("a free address");
    axum::serve(listener, router)
        .await
        .expect("a server that goes on");
}

async fn insert(State(writer): State<mpsc::Sender<Insert>>, body: Bytes) -> StatusCode {
    let (told, done) = oneshot::channel();
    if writer.send((body, told)).await.is_err() || done.await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    StatusCode::CREATED
}

fn write_in_groups(database: &Path, mut inserts: mpsc::Receiver<Insert>) {
    let connection = rusqlite::Connection::open(database).expect("a database");
    connection
        .execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full;
             create table row (id integer primary key, content blob not null) strict;",
        )
        .expect("a table");
    let mut insert = connection
        .prepare("insert into row (content) values (?1)")
        .expect("a statement");
    let mut group = Vec::new();
    while inserts.blocking_recv_many(&mut group, 128) > 0 {
        connection
            .execute_batch("begin immediate")
            .expect("a transaction");
        for (body, _) in &group {
            let mut row = [0_u8; 1024];
            let length = body.len().min(row.len());
            row[..length].copy_from_slice(&body[..length]);
            insert.execute([&row[..]]).expect("a row");
        }
        connection
            .execute_batch("commit")
            .expect("a durable transaction");
        for (_, told) in group.drain(..) {
            let _ = told.send(()); // a client that went away needs no answer
        }
    }
}
