//! Everything that speaks HTTP. This file is the inventory of routes: what is not named here does not exist.
//!
//! | routes | who may | module |
//! |---|---|---|
//! | `/api/v1/sites/…`, `/api/v1/comments/{id}`, `…/appeal`, `…/reports` | anybody; a site's key, an origin or a receipt decides what is believed | [`api`] |
//! | `/api/v1/queue…`, `…/decision`, `/api/v1/decisions…`, `…/detail`, `…/reveal`, `/api/v1/check`, `/api/v1/rules`, `/api/v1/audit` | moderators, by token or session | [`moderate`] |
//! | `/console…` | moderators, by session | [`console`] |
//! | `/`, `/demo`, `/c/{id}…`, `/embed.js`, `/assets/…` | anybody | [`reader`] |
//! | `/healthz`, `/readyz`, `/metrics`, `/openapi.json`, `/docs` | anybody who reaches the port | [`operate`] |
//!
//! A request goes through the [`front`] (client address, limits, headers, panics, time), a route's extractors
//! ([`extract`], [`session`]) and a handler, which calls one use case and shows what came of it.
//!
//! Invariant: no SQL and no rule of the trade is in here.

pub mod api;
pub mod assets;
pub mod avatar;
pub mod client;
pub mod console;
mod describe;
pub mod extract;
pub mod front;
pub mod limits;
pub mod moderate;
pub mod operate;
pub mod pages;
pub mod problem;
pub mod reader;
pub mod serve;
pub mod session;
pub mod surface;

use std::sync::Arc;

use axum::extract::FromRef;
use axum::{Extension, Router};
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::config::Config;
use client::Proxies;
use front::Front;
use limits::Limits;
use operate::Description;

/// What handlers reach for.
#[derive(Clone)]
pub struct WebState {
    /// The use cases.
    pub app: App,
    /// How often somebody may do something.
    pub limits: Arc<Limits>,
    /// Cancelled once the service is to stop.
    pub stop: CancellationToken,
}

impl FromRef<WebState> for App {
    fn from_ref(state: &WebState) -> Self {
        state.app.clone()
    }
}

impl FromRef<WebState> for Arc<Limits> {
    fn from_ref(state: &WebState) -> Self {
        Arc::clone(&state.limits)
    }
}

impl FromRef<WebState> for CancellationToken {
    fn from_ref(state: &WebState) -> Self {
        state.stop.clone()
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Anteroom",
    description = "Comment moderation: submissions, threads, the review queue. Errors are RFC 9457 problems."
))]
struct ApiDescription;

/// Every route behind its front.
///
/// # Errors
/// If the API's description cannot be written as JSON.
pub fn front(
    state: WebState,
    config: &Config,
    proxies: Arc<Proxies>,
) -> Result<Front, serde_json::Error> {
    let (routes, description) = OpenApiRouter::with_openapi(ApiDescription::openapi())
        .merge(api::routes::<WebState>())
        .merge(moderate::routes())
        .split_for_parts();
    let mut description = serde_json::to_value(&description)?;
    describe::complete(&mut description);
    let description = Description(Arc::new(description));
    let mut all: Router<WebState> = routes
        .merge(console::routes())
        .merge(reader::routes())
        .merge(operate::routes());
    if config.server.metrics_listen.is_none() {
        all = all.merge(operate::metrics_route());
    }
    let app = state.app.clone();
    let limits = Arc::clone(&state.limits);
    let front_routes = all
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(Extension(description))
        .with_state(state);
    let settings = front::Settings {
        proxies,
        limits,
        request_bytes: config.limits.request_bytes,
        is_https: app.settings.public_url.starts_with("https://"),
        origin_may_call: Box::new(move |site, origin| origin_may_call(&app, site, origin)),
        problem_page: Box::new(|problem, surface, request_id| match surface {
            surface::Surface::Console => console::problem_page(problem, request_id),
            _ => reader::problem_page(problem, request_id),
        }),
    };
    Ok(Front::new(front_routes, settings))
}

/// The numbers alone, for an address of their own.
#[must_use]
pub fn metrics_front(config: &Config, limits: Arc<Limits>, proxies: Arc<Proxies>) -> Front {
    let router = operate::metrics_route()
        .fallback(problem::unknown_route)
        .with_state(());
    let settings = front::Settings {
        proxies,
        limits,
        request_bytes: config.limits.request_bytes,
        is_https: false,
        origin_may_call: Box::new(|_, _| false),
        problem_page: Box::new(|_, _, _| None),
    };
    Front::new(router, settings)
}

/// True if pages of `origin` may read answers about `site`, or about a comment of any site.
fn origin_may_call(app: &App, site: Option<&str>, origin: &str) -> bool {
    let sites = app.sites.current();
    match site {
        Some(key) => sites
            .by_key(key)
            .is_some_and(|site| site.has_origin(origin)),
        None => sites
            .all()
            .into_iter()
            .any(|site| site.disabled_at.is_none() && site.has_origin(origin)),
    }
}
