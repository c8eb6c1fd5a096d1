//! The accept loop: HTTP/1 over TCP, with time limits that no slow client can stretch, and a stop that loses nothing.
//!
//! Not axum's `serve`, which waits for headers without limit, and so can be kept from stopping by a single idle client.
//!
//! Invariant: when [`run`] returns, no connection of it is open.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use metrics::Counter;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{NetKey, Proxies};
use super::front::Front;
use crate::telemetry::numbers;
use stream::{Phase, Shared, Timed, Tracked, Watched};

mod stream;

/// The longest time from the first byte of a request to the last of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may wait for a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may leave an answer unread.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long, and how many bytes, a client may go on sending after an answer that did not wait for all of its request.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;
/// How long requests under way may take once the service stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at most.
const MAX_CONNECTIONS: usize = 20_000;
/// Connections from one address at most, save our own machine and our own proxies.
const MAX_CONNECTIONS_PER_CLIENT: u32 = 64;
/// Header lines at most.
const MAX_HEADERS: usize = 64;
/// Bytes of a head at most.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Connections that wait to be accepted at most; the system may keep fewer.
const BACKLOG: u32 = 1024;
/// How long to wait when the system has no more descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// Listens on `address`; with port 0, on a free one.
///
/// # Errors
/// What the system said, for example that somebody else listens there.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Connections of the process before may still be winding down on this port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits until the operator asks the process to stop, by SIGTERM or Ctrl-C.
///
/// # Errors
/// If the system does not let us listen for signals.
pub async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Serves until `stop`, and then until requests under way are answered, but no longer than [`DRAIN_TIMEOUT`].
pub async fn run(
    listener: TcpListener,
    front: Front,
    proxies: Arc<Proxies>,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let counts = Arc::new(Connections::new(proxies));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(seat) = counts.admit(peer.ip()) else {
                    continue;
                };
                let connection = serve(stream, peer, front.clone(), stop.child_token(), seat);
                tasks.spawn(connection);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                counts.refused_by_system.increment(1);
                tracing::warn!(
                    code = error.raw_os_error(),
                    "no connection can be accepted; trying again"
                );
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Serves one connection to its end.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    front: Front,
    stop: CancellationToken,
    _seat: Seat,
) {
    // An answer is written at once and whole; waiting for more to send would only delay it.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let shared = Arc::new(Shared::default());
    let service = service_fn(|request: Request<Incoming>| {
        shared.enter(Phase::Busy);
        let shared = Arc::clone(&shared);
        let answer = answer(&front, request, peer);
        async move {
            let response = answer.await;
            Ok::<_, Infallible>(response.map(|body| Tracked::new(body, shared)))
        }
    });
    let connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .header_read_timeout(None)
        .serve_connection(Timed::new(stream, Arc::clone(&shared)), service);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        // A client that goes away is no news.
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    if shared.is_waiting() {
        return;
    }
    drop(tokio::time::timeout(DRAIN_TIMEOUT, connection).await);
}

fn answer(
    front: &Front,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> impl Future<Output = Response> + use<> {
    let front = front.clone();
    async move {
        if request.body().is_end_stream() {
            return front.answer(request.map(Body::new), peer).await;
        }
        let is_read = Arc::new(AtomicBool::new(false));
        let request = request.map(|body| Body::new(Watched::new(body, Arc::clone(&is_read))));
        let mut response = front.answer(request, peer).await;
        if !is_read.load(Ordering::Acquire) {
            // What is left of the body would be taken for the next request, so the connection ends here; a client that is
            // not told would send its next request into nothing.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}

/// Counts connections, all and by client.
struct Connections {
    proxies: Arc<Proxies>,
    total: AtomicUsize,
    by_client: Mutex<HashMap<NetKey, u32>>,
    refused_for_total: Counter,
    refused_for_client: Counter,
    refused_by_system: Counter,
}

impl Connections {
    fn new(proxies: Arc<Proxies>) -> Self {
        numbers::numbers();
        let refused =
            |reason: &'static str| metrics::counter!(numbers::HTTP_REFUSED, "reason" => reason);
        Self {
            proxies,
            total: AtomicUsize::new(0),
            by_client: Mutex::default(),
            refused_for_total: refused("total"),
            refused_for_client: refused("client"),
            refused_by_system: refused("system"),
        }
    }

    /// A place for one more connection from `ip`, if there is one.
    fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Seat> {
        let ip = ip.to_canonical();
        if self.total.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            self.total.fetch_sub(1, Ordering::Relaxed);
            self.refused_for_total.increment(1);
            return None;
        }
        // A proxy brings many readers over few addresses; and whoever is on this machine needs no connections to harm it.
        let key = (!ip.is_loopback() && !self.proxies.trusts(ip)).then(|| NetKey::from(ip));
        if let Some(key) = key {
            let mut by_client = self.by_client();
            let count = by_client.entry(key).or_insert(0);
            if *count >= MAX_CONNECTIONS_PER_CLIENT {
                drop(by_client);
                self.total.fetch_sub(1, Ordering::Relaxed);
                self.refused_for_client.increment(1);
                return None;
            }
            *count += 1;
        }
        numbers::numbers().connections.increment(1.0);
        Some(Seat {
            counts: Arc::clone(self),
            key,
        })
    }

    fn by_client(&self) -> std::sync::MutexGuard<'_, HashMap<NetKey, u32>> {
        self.by_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; given back when dropped.
struct Seat {
    counts: Arc<Connections>,
    key: Option<NetKey>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.counts.total.fetch_sub(1, Ordering::Relaxed);
        numbers::numbers().connections.decrement(1.0);
        let Some(key) = self.key else { return };
        let mut by_client = self.counts.by_client();
        if let Some(count) = by_client.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
