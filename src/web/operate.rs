//! For operators and their machines: health, readiness, numbers, the API's own description.

use axum::extract::{FromRef, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::assets;
use super::pages::Template;
use crate::app::App;
use crate::telemetry::numbers::numbers;

/// The description of the API, as it is served.
#[derive(Clone)]
pub struct Description(pub Arc<Value>);

/// The routes.
pub fn routes<S>() -> Router<S>
where
    App: FromRef<S>,
    CancellationToken: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/openapi.json", get(description))
        .route("/docs", get(docs))
}

/// The route of the numbers, on the service's own address or on one for operators alone.
pub fn metrics_route<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/metrics", get(metrics))
}

async fn health() -> &'static str {
    "ok\n"
}

/// Rules that take longer to load are worth a word.
const LOADING_IS_SLOW: Duration = Duration::from_secs(2);

async fn readiness(State(app): State<App>, State(stop): State<CancellationToken>) -> Response {
    let mut reasons = Vec::new();
    let mut status = "ready";
    for error in &app.rulebook.state().errors {
        status = "degraded";
        reasons.push(json!({
            "what": "rules", "file": error.file, "line": error.line, "column": error.column,
            "detail": error.message,
        }));
    }
    if let Some(for_long) = app
        .rulebook
        .loading_for()
        .filter(|time| *time > LOADING_IS_SLOW)
    {
        status = "degraded";
        let detail = format!(
            "the changed rules have been loading for {} s; the running set stays until they have",
            for_long.as_secs()
        );
        reasons.push(json!({ "what": "rules", "detail": detail }));
    }
    if let Err(error) = app.store.revision().await {
        status = "unavailable";
        reasons.push(json!({ "what": "database", "detail": error.code() }));
    }
    if stop.is_cancelled() {
        status = "unavailable";
        reasons.push(json!({ "what": "stopping", "detail": "the service is about to stop" }));
    }
    let code = if status == "unavailable" {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let body = json!({
        "status": status, "reasons": reasons, "rule_set": app.rulebook.current().hash(),
    });
    (code, axum::Json(body)).into_response()
}

async fn metrics() -> Response {
    let mut response = numbers().render().into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

async fn description(Extension(Description(document)): Extension<Description>) -> Response {
    axum::Json(&*document).into_response()
}

/// One route of the API, in words.
struct Line {
    method: String,
    path: String,
    summary: String,
    answers: String,
}

#[derive(Template)]
#[template(path = "docs.html", config = "src/web/askama.toml")]
struct DocsPage {
    lines: Vec<Line>,
}

async fn docs(Extension(Description(document)): Extension<Description>) -> Response {
    let mut lines = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, route) in methods.as_object().into_iter().flatten() {
            let answers = route["responses"].as_object().into_iter().flatten();
            let answers: Vec<String> = answers
                .map(|(status, answer)| match text(&answer["description"]) {
                    words if words.is_empty() => status.clone(),
                    words => format!("{status}: {words}"),
                })
                .collect();
            lines.push(Line {
                method: method.to_uppercase(),
                path: path.clone(),
                summary: text(&route["summary"]),
                answers: answers.join(" · "),
            });
        }
    }
    match (DocsPage { lines }).render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            super::problem::Problem::internal(format!("template: {error}")).into_response()
        }
    }
}
