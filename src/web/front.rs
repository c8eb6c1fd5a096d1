//! What every request passes, in order: an id, a rate for reads, its handler within [`HANDLER_TIMEOUT`], and headers that fit
//! where the answer is shown. One function instead of a stack of layers, since it runs for every cached read.
//!
//! Invariant: every answer goes through `Front::finish`, so none lacks its security headers, and a panic is an answer.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use axum::response::Response;
use futures_util::FutureExt;
use tracing::Instrument;

use super::client::{NetKey, Proxies};
use super::limits::Limits;
use super::problem::{Problem, Slug};
use super::surface::Surface;
use crate::domain::time;
use crate::telemetry::numbers::SurfaceNumbers;

/// The longest time a handler may take. A unit of work that it started goes on without it.
pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest path and query.
const MAX_URI_BYTES: usize = 4096;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request before its handler runs. An extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Where it comes from, as far as our own proxies tell.
    pub client: IpAddr,
    /// The request's id.
    pub id: RequestId,
    /// What kind of place it is for.
    pub surface: Surface,
    /// The largest body its handler may read.
    pub body_limit: usize,
}

impl Arrived {
    /// What limits are counted by.
    #[must_use]
    pub fn net_key(&self) -> NetKey {
        NetKey::from(self.client)
    }
}

/// Names one request in answers and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    /// Sixteen hexadecimal digits.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }

    fn header(self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 16];
        for (byte, pair) in self
            .0
            .to_be_bytes()
            .into_iter()
            .zip(digits.chunks_exact_mut(2))
        {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0"))
    }
}

/// Says whether a page of `origin` may call the API, for a site or, where the address names none, for any.
pub type OriginCheck = dyn Fn(Option<&str>, &str) -> bool + Send + Sync;
/// Writes a problem as a page, where a person is looking.
pub type ProblemPage = dyn Fn(&Problem, Surface, &str) -> Option<Response> + Send + Sync;

/// What the front needs to know.
pub struct Settings {
    /// The operator's own proxies.
    pub proxies: Arc<Proxies>,
    /// Rates.
    pub limits: Arc<Limits>,
    /// The largest body, in bytes.
    pub request_bytes: usize,
    /// The service is reached by https.
    pub is_https: bool,
    /// Which pages may call the API.
    pub origin_may_call: Box<OriginCheck>,
    /// How problems look to people.
    pub problem_page: Box<ProblemPage>,
}

/// The routes and everything around them. A cheap clone.
#[derive(Clone)]
pub struct Front {
    router: Router,
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    numbers: Vec<SurfaceNumbers>,
    next_id: AtomicU64,
    id_seed: u64,
}

impl Front {
    /// Puts the front before these routes.
    #[must_use]
    pub fn new(router: Router, settings: Settings) -> Self {
        let numbers = Surface::ALL
            .iter()
            .map(|surface| SurfaceNumbers::of(surface.as_str()))
            .collect();
        let mut seed = [0; 8];
        // Ids of two runs should differ so that a log can be searched; nothing else hangs on it.
        if getrandom::fill(&mut seed).is_err() {
            seed = crate::domain::Clock::system().now().0.to_ne_bytes();
        }
        let shared = Shared {
            settings,
            numbers,
            next_id: AtomicU64::new(0),
            id_seed: u64::from_ne_bytes(seed),
        };
        Self {
            router,
            shared: Arc::new(shared),
        }
    }

    /// Answers one request.
    pub async fn answer(&self, mut request: Request<Body>, peer: SocketAddr) -> Response {
        let started = time::monotonic();
        let shared = &*self.shared;
        let arrived = Arrived {
            client: shared.settings.proxies.client(peer, request.headers()),
            id: shared.next_id(),
            surface: Surface::of(request.method(), request.uri().path()),
            body_limit: shared.settings.request_bytes,
        };
        let origin = request
            .headers()
            .get(ORIGIN)
            .filter(|_| arrived.surface.is_public_api())
            .cloned();
        let site = origin.as_ref().and_then(|_| site_in(request.uri().path()));
        let cors = Cors {
            allowed: origin.filter(|origin| shared.may_call(site, origin)),
            is_public: arrived.surface.is_public_api(),
        };
        let wants_page = prefers_page(request.headers());
        let response = if let Some(problem) = shared.refuse(&arrived, &request) {
            problem.response(Some(&arrived.id.text()))
        } else if cors.is_public && is_preflight(&request) {
            preflight(cors.allowed.is_some())
        } else {
            request.extensions_mut().insert(arrived);
            self.handle(request, &arrived).await
        };
        self.finish(response, &arrived, cors, wants_page, started)
    }

    async fn handle(&self, request: Request<Body>, arrived: &Arrived) -> Response {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut router = self.router.clone();
        let handler = AssertUnwindSafe(async move {
            tower::Service::<Request<Body>>::call(&mut router, request).await
        })
        .catch_unwind();
        let handler = tokio::time::timeout(HANDLER_TIMEOUT, handler);
        // What reads have to say is said below; a span for each would cost more than a cached answer.
        let outcome = if is_read {
            handler.await
        } else {
            let span = tracing::info_span!(
                "request",
                request.id = arrived.id.text(),
                surface = arrived.surface.as_str()
            );
            handler.instrument(span).await
        };
        match outcome {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(_panic)) => Problem::internal("panic").response(None),
            Err(_) => Problem::unavailable("handler timeout").response(None),
        }
    }

    fn finish(
        &self,
        mut response: Response,
        arrived: &Arrived,
        cors: Cors,
        wants_page: bool,
        started: Instant,
    ) -> Response {
        let shared = &*self.shared;
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            response = shared.final_form(response, &problem, arrived, wants_page);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, arrived.id.header());
        arrived
            .surface
            .set_headers(headers, shared.settings.is_https);
        cors.set_headers(headers);
        let took = time::monotonic().duration_since(started);
        shared.numbers[arrived.surface as usize].count(response.status().as_u16(), took);
        response
    }
}

impl Shared {
    fn next_id(&self) -> RequestId {
        let n = self.next_id.fetch_add(1, Ordering::Relaxed);
        // Spread by an odd constant, so that neighbours do not look alike.
        RequestId(
            self.id_seed
                .wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        )
    }

    fn may_call(&self, site: Option<&str>, origin: &HeaderValue) -> bool {
        origin
            .to_str()
            .is_ok_and(|origin| (self.settings.origin_may_call)(site, origin))
    }

    /// What is refused before its handler runs.
    fn refuse(&self, arrived: &Arrived, request: &Request<Body>) -> Option<Problem> {
        if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
            // Source: RFC 9112, section 3.2.
            return Some(Problem::new(Slug::Malformed).because("The request has no Host header."));
        }
        let uri = request.uri();
        let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
        if length > MAX_URI_BYTES {
            let detail = format!("A path with its query may have at most {MAX_URI_BYTES} bytes.");
            return Some(Problem::new(Slug::UriTooLong).because(detail));
        }
        if arrived.surface == Surface::Read && self.settings.limits.reads.is_on() {
            return self
                .settings
                .limits
                .reads
                .take(&arrived.net_key())
                .err()
                .map(Problem::from);
        }
        None
    }

    /// Gives a problem its request's id, or its page, and tells the log what nobody else is told.
    fn final_form(
        &self,
        mut made: Response,
        problem: &Problem,
        arrived: &Arrived,
        wants_page: bool,
    ) -> Response {
        let id = arrived.id.text();
        if let Some(cause) = &problem.cause {
            tracing::error!(
                request.id = id,
                surface = arrived.surface.as_str(),
                status = problem.status().as_u16(),
                code = cause,
                "a request failed"
            );
        }
        let page = wants_page.then(|| (self.settings.problem_page)(problem, arrived.surface, &id));
        if let Some(mut page) = page.flatten() {
            *page.status_mut() = problem.status();
            problem.set_headers(&mut page);
            return page;
        }
        // A handler may have added headers of its own, such as the router's Allow.
        *made.body_mut() = Body::from(problem.document(Some(&id)).to_string());
        made.headers_mut()
            .remove(axum::http::header::CONTENT_LENGTH);
        made
    }
}

/// Which page may read the answer.
struct Cors {
    allowed: Option<HeaderValue>,
    is_public: bool,
}

impl Cors {
    fn set_headers(self, headers: &mut HeaderMap) {
        if !self.is_public {
            return;
        }
        // A cache between us must not give one origin's answer to another.
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = self.allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("etag, retry-after, x-request-id"),
            );
        }
    }
}

fn is_preflight(request: &Request<Body>) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(allowed: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if allowed {
        let headers = response.headers_mut();
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PATCH, DELETE"),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, idempotency-key, if-none-match"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

/// The site that the address names.
fn site_in(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/v1/sites/")?;
    Some(rest.split('/').next().unwrap_or(rest))
}

/// True for a browser that is about to show the answer.
fn prefers_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// For tests and for whoever serves a [`Front`] without sockets: the peer is taken from the extension `SocketAddr`.
impl tower::Service<Request<Body>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let front = self.clone();
        let peer = request.extensions().get::<SocketAddr>().copied();
        let peer = peer.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        Box::pin(async move { Ok(front.answer(request, peer).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rates;
    use crate::web::extract::Body as Whole;
    use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
    use axum::routing::{get, post};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    fn missing(what: Option<&'static str>) -> &'static str {
        what.expect("a secret")
    }

    fn front() -> Front {
        let router = Router::new()
            .route(
                "/api/v1/sites/{site}/comments",
                get(|| async { "a thread" }),
            )
            .route("/api/v1/queue", get(|| async { missing(None) }))
            .route(
                "/api/v1/check",
                post(|Whole(bytes): Whole| async move { bytes }),
            )
            .fallback(super::super::problem::unknown_route)
            .method_not_allowed_fallback(super::super::problem::unknown_method);
        Front::new(
            router,
            Settings {
                proxies: Arc::default(),
                limits: Arc::new(Limits::new(&Rates {
                    reads_per_ip_s: 3,
                    ..Rates::default()
                })),
                request_bytes: 100,
                is_https: false,
                origin_may_call: Box::new(|site, origin| {
                    site == Some("demo") && origin == "https://blog.example"
                }),
                problem_page: Box::new(|_, _, _| None),
            },
        )
    }

    async fn ask(
        request: axum::http::request::Builder,
        body: impl Into<Body>,
    ) -> (Response, String) {
        let request = request.header(HOST, "anteroom.example");
        let response = front()
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            Response::from_parts(parts, Body::empty()),
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_does_not_quote_it() {
        let (response, body) = ask(Request::get("/api/v1/queue"), "").await;

        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(!body.contains("secret"), "{body}");
        let id = response.headers()["x-request-id"].to_str().unwrap();
        assert!(body.contains(id), "{body}");
    }

    #[tokio::test]
    async fn an_unknown_route_and_an_unknown_method_are_problems_too() {
        let (response, body) = ask(Request::get("/nowhere"), "").await;
        assert_eq!(
            (
                response.status().as_u16(),
                body.contains("/problems/not-found")
            ),
            (404, true)
        );

        let (response, body) = ask(Request::delete("/api/v1/check"), "").await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "POST");
        assert!(body.contains("/problems/method-not-allowed"), "{body}");
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_limit_and_no_further() {
        let (response, _) = ask(Request::post("/api/v1/check"), "x".repeat(100)).await;
        assert_eq!(response.status(), 200);

        let (response, _) = ask(Request::post("/api/v1/check"), "x".repeat(101)).await;
        assert_eq!(response.status(), 413);

        let announced = Request::post("/api/v1/check").header(CONTENT_LENGTH, "999999999");
        let (response, _) = ask(announced, Body::empty()).await;
        assert_eq!(response.status(), 413);
    }

    #[tokio::test]
    async fn only_pages_of_the_site_may_read_the_answer() {
        let path = "/api/v1/sites/demo/comments";
        for (origin, allowed) in [
            ("https://blog.example", true),
            ("https://evil-blog.example", false),
            ("null", false),
        ] {
            let (response, _) = ask(Request::get(path).header(ORIGIN, origin), "").await;
            let told = response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(told.is_some_and(|told| told == origin), allowed, "{origin}");
            assert_eq!(response.headers()[VARY], "origin");

            let preflight = Request::options(path)
                .header(ORIGIN, origin)
                .header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
            let (response, _) = ask(preflight, "").await;
            assert_eq!(response.status(), 204);
            assert_eq!(
                response
                    .headers()
                    .contains_key(ACCESS_CONTROL_ALLOW_METHODS),
                allowed
            );
        }
    }

    #[tokio::test]
    async fn reads_over_the_rate_have_to_wait() {
        let front = front();
        let mut last = Response::default();

        for _ in 0..4 {
            let request = Request::get("/api/v1/sites/demo/comments")
                .header(HOST, "anteroom.example")
                .body(Body::empty())
                .unwrap();
            last = front.clone().oneshot(request).await.unwrap();
        }

        assert_eq!(last.status(), 429);
        assert_eq!(last.headers()["retry-after"], "1");
    }

    #[tokio::test]
    async fn an_endless_address_is_refused() {
        let (response, _) = ask(Request::get(format!("/{}", "a".repeat(5000))), "").await;

        assert_eq!(response.status(), 414);
    }
}
