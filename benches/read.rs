//! Reads a second of a thread of fifty comments, beside the same bytes served from memory.

mod connection;
mod floor;
mod load;
mod service;
mod texts;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use bytes::Bytes;
use serde_json::Value;

use connection::Connection;
use floor::Floor;
use load::{Round, median};
use service::{Home, Service};

const N_ROUNDS: usize = 5;
const N_COMMENTS: usize = 50;
const N_CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(3);
const TARGET: f64 = 0.6;
const PATH: &str = "/api/v1/sites/bench/comments?thread=/post/";

#[tokio::main]
async fn main() {
    if let Some(floor) = floor::asked_for() {
        return serve_floor(floor).await;
    }
    println!("reads of {N_COMMENTS} comments, {N_CONNECTIONS} connections, {N_ROUNDS} rounds");
    let home = Home::new();
    let program = home.serve().await;
    let thread = fill_thread(&home, &program).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("thread.json"), thread).expect("a file");
    let floor = floor::start(folder.path()).await;

    let (mut floors, mut programs) = (Vec::new(), Vec::new());
    for _ in 0..N_ROUNDS {
        floors.push(measure("floor", &floor).await);
        programs.push(measure("anteroom", &program).await);
    }
    let (floor, program) = (median(floors), median(programs));
    println!("medians");
    floor.print("floor");
    program.print("anteroom");
    println!(
        "ratio {:.3} (target {TARGET})",
        program.per_second / floor.per_second
    );
}

async fn measure(name: &str, service: &Service) -> Round {
    let write = |_, out: &mut Vec<u8>| {
        out.extend_from_slice(format!("GET {PATH} HTTP/1.1\r\nhost: bench\r\n\r\n").as_bytes());
    };
    let round = load::run(
        service.address,
        N_CONNECTIONS,
        WARM_UP,
        LENGTH,
        Arc::new(write),
    )
    .await;
    round.print(name);
    round
}

/// Submits, approves whatever the rules held, and returns the thread as it is served.
async fn fill_thread(home: &Home, program: &Service) -> Vec<u8> {
    let token = home.furnish();
    let mut connection = Connection::open(program.address)
        .await
        .expect("a connection");
    for number in 0..N_COMMENTS {
        let mut request = Vec::new();
        texts::append_submission("/post/", number, &mut request);
        let answer = json_of(&mut connection, &request).await;
        let id = answer["id"].as_str().expect("an id");
        if answer["status"] != "approved" {
            approve(&mut connection, &token, id).await;
        }
    }
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: bench\r\n\r\n");
    let (_, body) = connection
        .exchange(request.as_bytes())
        .await
        .expect("an answer");
    let thread: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(
        thread["comments"].as_array().map(Vec::len),
        Some(N_COMMENTS),
        "{thread}"
    );
    body.to_vec()
}

/// Approves a comment that waits or, where the rules went that far, was quietly rejected.
async fn approve(connection: &mut Connection, token: &str, id: &str) {
    for from in ["pending", "rejected"] {
        let body = format!(r#"{{"decision":"approve","version":1,"from":"{from}"}}"#);
        let request = format!(
            "POST /api/v1/comments/{id}/decision HTTP/1.1\r\nhost: bench\r\n\
             authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if json_of(connection, request.as_bytes()).await["status"] == "approved" {
            return;
        }
    }
    panic!("comment {id} cannot be approved");
}

async fn json_of(connection: &mut Connection, request: &[u8]) -> Value {
    let (_, body) = connection.exchange(request).await.expect("an answer");
    serde_json::from_slice(body).expect("JSON")
}

async fn serve_floor(Floor { address, folder }: Floor) {
    let thread = Bytes::from(std::fs::read(folder.join("thread.json")).expect("the thread"));
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], thread) };
    let router = Router::new()
        .route("/", get(async || "ready"))
        .route("/api/v1/sites/bench/comments", get(answer));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .expect("a free address");
    axum::serve(listener, router)
        .await
        .expect("a server that goes on");
}
