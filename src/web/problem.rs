//! What goes wrong, as RFC 9457 says it, or as a page where a person is looking.
//!
//! Every failure of every route is a [`Problem`]: wrong fields, unknown routes, panics. Handlers make it and return it; the
//! [front](super::front) gives it the request's id and its final form.
//!
//! Invariant: no value that was sent is told back, and what failed inside is logged once and never told.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::limits::TooOften;
use crate::domain::FieldError;

/// Each kind of problem, by the last part of its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slug {
    /// The body is not what its content type says.
    Malformed,
    /// No valid key, token or receipt.
    Unauthorized,
    /// Not allowed to this caller.
    Forbidden,
    /// A form that another site may have sent.
    CrossSite,
    /// The page's origin is not one of the site's.
    OriginNotAllowed,
    /// The thread takes no more comments.
    ThreadClosed,
    /// There is no such thing, or not for this caller.
    NotFound,
    /// The route does not know this method.
    MethodNotAllowed,
    /// The body took too long to arrive.
    RequestTimeout,
    /// Somebody else was first, or it was done before.
    Conflict,
    /// The same comment is here already.
    Duplicate,
    /// A request with the same idempotency key is under way.
    InFlight,
    /// The request is too large.
    TooLarge,
    /// The address is too long.
    UriTooLong,
    /// The content type is not one the route reads.
    UnsupportedMediaType,
    /// Fields are wrong.
    Fields,
    /// The comment was rejected.
    Rejected,
    /// The idempotency key stands for another request.
    KeyReused,
    /// The time for edits is over.
    EditClosed,
    /// There is nothing to appeal against.
    NoAppeal,
    /// There is nothing to take back.
    CannotUndo,
    /// Too often.
    TooManyRequests,
    /// Something failed here.
    Internal,
    /// It may work later.
    Unavailable,
}

impl Slug {
    /// Every kind.
    pub const ALL: [Self; 24] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::CrossSite,
        Self::OriginNotAllowed,
        Self::ThreadClosed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::Duplicate,
        Self::InFlight,
        Self::TooLarge,
        Self::UriTooLong,
        Self::UnsupportedMediaType,
        Self::Fields,
        Self::Rejected,
        Self::KeyReused,
        Self::EditClosed,
        Self::NoAppeal,
        Self::CannotUndo,
        Self::TooManyRequests,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The last part of `type`, the status, and the title.
    #[must_use]
    pub const fn words(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Malformed => ("malformed", 400, "The request cannot be read"),
            Self::Unauthorized => ("unauthorized", 401, "A valid key is needed"),
            Self::Forbidden => ("forbidden", 403, "This is not allowed to you"),
            Self::CrossSite => ("cross-site", 403, "This did not come from a page of ours"),
            Self::OriginNotAllowed => (
                "origin-not-allowed",
                403,
                "This page may not send comments here",
            ),
            Self::ThreadClosed => ("thread-closed", 403, "This discussion is closed"),
            Self::NotFound => ("not-found", 404, "There is nothing here"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "This cannot be done here"),
            Self::RequestTimeout => (
                "request-timeout",
                408,
                "The request took too long to arrive",
            ),
            Self::Conflict => ("conflict", 409, "Something else happened first"),
            Self::Duplicate => ("duplicate", 409, "This comment is here already"),
            Self::InFlight => ("in-flight", 409, "The same request is under way"),
            Self::TooLarge => ("too-large", 413, "The request is too large"),
            Self::UriTooLong => ("uri-too-long", 414, "The address is too long"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "This kind of content is not read here",
            ),
            Self::Fields => ("fields", 422, "Some fields need a correction"),
            Self::Rejected => ("rejected", 422, "The comment was rejected"),
            Self::KeyReused => ("key-reused", 422, "The idempotency key was used before"),
            Self::EditClosed => ("edit-closed", 403, "The comment can no longer be edited"),
            Self::NoAppeal => ("no-appeal", 409, "There is nothing to appeal against"),
            Self::CannotUndo => ("cannot-undo", 409, "There is nothing to take back"),
            Self::TooManyRequests => ("too-many-requests", 429, "Too many requests"),
            Self::Internal => ("internal", 500, "Something failed here"),
            Self::Unavailable => ("unavailable", 503, "This does not work at the moment"),
        }
    }
}

/// One field that needs a correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// As in the request, with dots: `author.email`.
    pub field: Cow<'static, str>,
    /// What is wrong, for programs.
    pub code: Cow<'static, str>,
    /// What is wrong, for people.
    pub detail: Cow<'static, str>,
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field.into(),
            code: error.wrong.code().into(),
            detail: error.wrong.to_string().into(),
        }
    }
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its kind.
    pub slug: Slug,
    /// What is particular about this one, for people.
    pub detail: Option<Cow<'static, str>>,
    /// Fields that need a correction.
    pub errors: Vec<FieldProblem>,
    /// Members of its own, such as the standing decision of a conflict.
    pub members: Map<String, Value>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    /// What the log says of it: a code without values.
    pub cause: Option<String>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(slug: Slug) -> Self {
        Self {
            slug,
            detail: None,
            errors: Vec::new(),
            members: Map::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Says what is particular about it.
    #[must_use]
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// Adds a member of its own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Fields that need a correction.
    #[must_use]
    pub fn fields(errors: Vec<FieldProblem>) -> Self {
        Self {
            errors,
            ..Self::new(Slug::Fields)
        }
    }

    /// One field that needs a correction.
    #[must_use]
    pub fn field(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::fields(vec![FieldProblem {
            field: field.into(),
            code: code.into(),
            detail: detail.into(),
        }])
    }

    /// Nothing of that name, or none for this caller.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(Slug::NotFound).because(what)
    }

    /// Something failed here; `cause` goes to the log and nowhere else.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(Slug::Internal)
        }
        .because("The request was not carried out. It has been noted.")
    }

    /// It may work later; `cause` goes to the log and nowhere else.
    #[must_use]
    pub fn unavailable(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(Slug::Unavailable)
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.slug.words().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The document, with the request's id as its `instance`.
    #[must_use]
    pub fn document(&self, request_id: Option<&str>) -> Value {
        let (slug, status, title) = self.slug.words();
        let mut document = Map::new();
        document.insert("type".to_owned(), format!("/problems/{slug}").into());
        document.insert("title".to_owned(), title.into());
        document.insert("status".to_owned(), status.into());
        if let Some(detail) = &self.detail {
            document.insert("detail".to_owned(), detail.as_ref().into());
        }
        if let Some(id) = request_id {
            document.insert("instance".to_owned(), id.into());
        }
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(|error| {
                serde_json::json!({
                    "field": error.field, "code": error.code, "detail": error.detail,
                })
            });
            document.insert("errors".to_owned(), errors.collect());
        }
        document.extend(self.members.clone());
        Value::Object(document)
    }

    /// The answer in its final form.
    #[must_use]
    pub fn response(self, request_id: Option<&str>) -> Response {
        let body = self.document(request_id).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        self.set_headers(&mut response);
        response.extensions_mut().insert(self);
        response
    }

    /// The headers that go with it in any form.
    pub fn set_headers(&self, response: &mut Response) {
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.slug == Slug::Unauthorized {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

/// The content type of a problem. Source: RFC 9457 section 6.1.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response(None)
    }
}

impl From<TooOften> for Problem {
    fn from(TooOften(wait): TooOften) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(Slug::TooManyRequests)
        }
    }
}

/// The answer to a path that no route has.
pub async fn unknown_route() -> Problem {
    Problem::not_found("No route has this address.")
}

/// The answer to a method that the route does not know; the router adds which ones it does.
pub async fn unknown_method() -> Problem {
    Problem::new(Slug::MethodNotAllowed).because("The header Allow lists what this address can do.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let listed: Vec<String> = Slug::ALL
            .into_iter()
            .map(|slug| {
                let (name, status, title) = slug.words();
                format!("{status} {name}: {title}")
            })
            .collect();

        insta::assert_snapshot!(listed.join("\n"));
        let names: std::collections::HashSet<_> =
            Slug::ALL.into_iter().map(|slug| slug.words().0).collect();
        assert_eq!(names.len(), Slug::ALL.len());
    }

    #[test]
    fn a_problem_says_what_to_correct_and_when_to_come_back() {
        let problem = Problem {
            retry_after: Some(Duration::from_millis(1500)),
            ..Problem::field("author.email", "required", "this field is required")
        };

        assert_eq!(
            problem.document(Some("r1")),
            serde_json::json!({
                "type": "/problems/fields",
                "title": "Some fields need a correction",
                "status": 422,
                "instance": "r1",
                "errors": [{
                    "field": "author.email",
                    "code": "required",
                    "detail": "this field is required",
                }],
            })
        );
        assert_eq!(problem.into_response().headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn the_cause_is_not_told() {
        let told = Problem::internal("sqlite 11").document(None).to_string();

        assert!(!told.contains("sqlite"), "{told}");
    }
}
