//! How handlers read a request: bodies, queries and paths, each failure a [`Problem`].
//!
//! JSON is read strictly: an unknown, doubled or wrongly typed key is refused with its name. Forms and queries ignore what
//! they do not know, since browsers and other people's pages add to them.
//!
//! Invariant: a body is read to its limit and no further, and not for longer than [`BODY_TIMEOUT`].

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::front::Arrived;
use super::problem::{Problem, Slug};

pub mod json;
pub mod pairs;

pub use pairs::Pairs;

/// The longest time a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the body says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, or anything ending in `+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

impl Media {
    /// Reads the content type of a request.
    ///
    /// # Errors
    /// 415 for anything else, or nothing.
    pub fn of(headers: &axum::http::HeaderMap) -> Result<Self, Problem> {
        let text = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let media = text
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        let is_json = media
            .strip_prefix("application/")
            .is_some_and(|sub| sub == "json" || sub.ends_with("+json"));
        if is_json {
            Ok(Self::Json)
        } else if media == "application/x-www-form-urlencoded" {
            Ok(Self::Form)
        } else {
            Err(Problem::new(Slug::UnsupportedMediaType)
                .because("Send application/json, or a form as application/x-www-form-urlencoded."))
        }
    }
}

/// The bytes of a body, read to the limit of the request.
#[derive(Clone, Debug)]
pub struct Body(pub Bytes);

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let limit = request
            .extensions()
            .get::<Arrived>()
            .map_or(0, |arrived| arrived.body_limit);
        let announced = request.headers().get(axum::http::header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|size| size > limit as u64) {
            return Err(too_large(limit));
        }
        let reading = Limited::new(request.into_body(), limit).collect();
        match tokio::time::timeout(BODY_TIMEOUT, reading).await {
            Ok(Ok(body)) => Ok(Self(body.to_bytes())),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
            Ok(Err(_)) => Err(Problem::new(Slug::Malformed).because("The body broke off.")),
            Err(_) => Err(Problem::new(Slug::RequestTimeout)),
        }
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Slug::TooLarge).because(format!("A request may have at most {limit} bytes."))
}

/// A body of JSON.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if Media::of(request.headers())? != Media::Json {
            return Err(Problem::new(Slug::UnsupportedMediaType).because("Send application/json."));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        match json::read(&bytes)? {
            json::Reading::Whole(value) => Ok(Self(value)),
            json::Reading::Faulty { errors, .. } => Err(Problem::fields(errors)),
        }
    }
}

/// A body of a form.
#[derive(Clone, Debug)]
pub struct Form(pub Pairs);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if Media::of(request.headers())? != Media::Form {
            return Err(Problem::new(Slug::UnsupportedMediaType)
                .because("Send application/x-www-form-urlencoded."));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        Ok(Self(Pairs::parse(&bytes)?.without_nul()?))
    }
}

/// What stands after the `?`.
#[derive(Clone, Debug)]
pub struct Query(pub Pairs);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(Pairs::parse(query.as_bytes())?.without_nul()?))
    }
}

/// A part of the path. What cannot be read there names nothing, so it answers 404.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::not_found("No such thing has this address.")),
        }
    }
}
