use super::*;
use crate::config::Rates;
use crate::web::front::Settings;
use crate::web::limits::Limits;
use axum::Router;
use axum::routing::{get, post};
use std::sync::atomic::AtomicBool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(router: Router) -> Self {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let proxies = Arc::new(Proxies::default());
        let front = Front::new(
            router,
            Settings {
                proxies: Arc::clone(&proxies),
                limits: Arc::new(Limits::new(&Rates::default())),
                request_bytes: 1000,
                is_https: false,
                origin_may_call: Box::new(|_, _| false),
                problem_page: Box::new(|_, _, _| None),
            },
        );
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "a server beside its test")]
        let task = tokio::spawn(run(listener, front, proxies, stop.clone()));
        Self {
            address,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn hello() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/", post(|body: String| async { body }))
        .route(
            "/full",
            post(|| async { axum::http::StatusCode::PAYLOAD_TOO_LARGE }),
        )
}

async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_and_let_go() {
    let running = Running::start(hello());
    let mut client = running.connect().await;

    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let answer = rest(client).await;

    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let running = Running::start(hello());
    let mut client = running.connect().await;

    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nPOST / HTTP/1.1\r\nhost: a\r\n")
        .await
        .unwrap();
    client
        .write_all(b"content-length: 3\r\nconnection: close\r\n\r\nabc")
        .await
        .unwrap();
    let answers = rest(client).await;

    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert!(answers.ends_with("\r\n\r\nabc"), "{answers}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let running = Running::start(hello());
    let mut client = running.connect().await;

    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    client
        .write_all("a: b\r\n".repeat(MAX_HEADERS + 1).as_bytes())
        .await
        .unwrap();
    client.write_all(b"\r\n").await.unwrap();
    let answer = rest(client).await;

    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_is_still_sending_hears_why_it_was_refused() {
    let running = Running::start(hello());
    for _ in 0..20 {
        let mut client = running.connect().await;
        client
            .write_all(b"POST /full HTTP/1.1\r\nhost: a\r\ncontent-length: 600000\r\n\r\n")
            .await
            .unwrap();

        // The answer is there long before the body has ended.
        for _ in 0..60 {
            client.write_all(&[b'x'; 10_000]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = rest(client).await;

        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn idle_connections_do_not_keep_the_service_from_stopping() {
    let running = Running::start(hello());
    let fresh = running.connect().await;
    let mut used = running.connect().await;
    used.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    used.read_exact(&mut first).await.unwrap();

    running.stop.cancel();

    running.task.await.unwrap();
    assert_eq!(rest(fresh).await, "");
    assert!(rest(used).await.ends_with("hello"));
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_service_stops() {
    let entered = Arc::new(Notify::new());
    let leave = Arc::new(Notify::new());
    let (at_entry, at_exit) = (Arc::clone(&entered), Arc::clone(&leave));
    let slow = move || async move {
        at_entry.notify_one();
        at_exit.notified().await;
        "done"
    };
    let running = Running::start(Router::new().route("/", get(slow)));
    let mut client = running.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    entered.notified().await;

    running.stop.cancel();
    leave.notify_one();
    let answer = rest(client).await;

    running.task.await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
}

/// Time is stopped in these: it jumps ahead to the next timer whenever nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn a_head_that_comes_too_slowly_ends_the_connection() {
    let running = Running::start(hello());
    let mut client = running.connect().await;

    client.write_all(b"GET / HT").await.unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(rest(client).await, "");

    let took = started.elapsed();
    assert!(took < IDLE_TIMEOUT, "{took:?}");
}

#[test]
fn a_client_has_so_many_connections_and_no_more() {
    let counts = Arc::new(Connections::new(Arc::new(Proxies::new(vec![
        "192.0.2.9/32".parse().unwrap(),
    ]))));
    let (stranger, proxy) = ("192.0.2.1".parse().unwrap(), "192.0.2.9".parse().unwrap());

    let mut seats: Vec<Seat> = (0..64).map(|_| counts.admit(stranger).unwrap()).collect();
    assert!(counts.admit(stranger).is_none());
    assert!((0..100).filter_map(|_| counts.admit(proxy)).count() == 100);

    seats.pop();
    assert!(counts.admit(stranger).is_some());
    drop(seats);
    assert!(counts.by_client().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_does_not_cancel_what_it_started() {
    let entered = Arc::new(Notify::new());
    let done = Arc::new((AtomicBool::new(false), Notify::new()));
    let (at_entry, at_end) = (Arc::clone(&entered), Arc::clone(&done));
    let handler = move || async move {
        let unit = async move {
            at_entry.notify_one();
            tokio::task::yield_now().await;
            at_end.0.store(true, Ordering::SeqCst);
            at_end.1.notify_one();
        };
        #[expect(clippy::disallowed_methods, reason = "as `app::complete` does")]
        tokio::spawn(unit).await.unwrap();
        "done"
    };
    let running = Running::start(Router::new().route("/", get(handler)));
    let mut client = running.connect().await;

    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    entered.notified().await;
    drop(client);
    done.1.notified().await;

    assert!(done.0.load(Ordering::SeqCst));
}
