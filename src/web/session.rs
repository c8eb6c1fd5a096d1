//! Who is asking: a moderator by token, or by the console's cookie with a token against forged requests.
//!
//! Every request that can change something and comes with a cookie must come from a page of ours: Fetch Metadata says so
//! where the browser sends it, the exact `Origin` where it does not, and the session's own token in any case.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Redirect, Response};
use cookie::{Cookie, SameSite};

use super::problem::{Problem, Slug};
use crate::app::accounts::{self, AccountError};
use crate::app::{App, Fault};
use crate::domain::Actor;
use crate::seal::secrets;

/// The header in which scripts send the session's token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A moderator, by token or by session. Requests that change something and come with a cookie carry the token in
/// [`CSRF_HEADER`].
#[derive(Clone, Debug)]
pub struct Caller(pub Actor);

impl<S> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let app = App::from_ref(state);
        if let Some(token) = bearer(&parts.headers) {
            let actor = accounts::by_token(&app, token).await.map_err(problem)?;
            return actor.map(Self).ok_or_else(|| {
                Problem::new(Slug::Unauthorized).because("This token is unknown or void.")
            });
        }
        let Some(session) = Session::find(&app, &parts.headers).await? else {
            return Err(Problem::new(Slug::Unauthorized).because(
                "Send a moderator's token as Authorization: Bearer, or log in at /console.",
            ));
        };
        if parts.method != Method::GET && parts.method != Method::HEAD {
            let given = parts
                .headers
                .get(CSRF_HEADER)
                .and_then(|value| value.to_str().ok());
            session.check_csrf(&app, &parts.headers, given.unwrap_or_default())?;
        }
        Ok(Self(session.actor))
    }
}

/// A console session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub actor: Actor,
    /// The cookie's value.
    token: String,
}

impl Session {
    /// The session of a request's cookie, if it has one that is alive.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn find(app: &App, headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(token) = cookie_of(headers, cookie_name(app)) else {
            return Ok(None);
        };
        let actor = accounts::by_session(app, &token).await.map_err(problem)?;
        Ok(actor.map(|actor| Self { actor, token }))
    }

    /// The token that forms of this session carry.
    #[must_use]
    pub fn csrf(&self, app: &App) -> String {
        app.keyring.csrf(&secrets::hash(&self.token))
    }

    /// Refuses a request that another site's page may have sent.
    ///
    /// # Errors
    /// [`Slug::CrossSite`].
    pub fn check_csrf(&self, app: &App, headers: &HeaderMap, given: &str) -> Result<(), Problem> {
        check_origin(headers)?;
        if app.keyring.verify_csrf(&secrets::hash(&self.token), given) {
            Ok(())
        } else {
            Err(Problem::new(Slug::CrossSite)
                .because("The form is too old or not ours; load the page again and repeat."))
        }
    }

    /// The cookie's value, to end the session by.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// A console session, or the way to the log-in page.
pub struct LoggedIn(pub Session);

impl<S> FromRequestParts<S> for LoggedIn
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let app = App::from_ref(state);
        match Session::find(&app, &parts.headers).await {
            Ok(Some(session)) => Ok(Self(session)),
            Ok(None) => {
                let here = parts
                    .uri
                    .path_and_query()
                    .map_or("/console", |here| here.as_str());
                let back: String = if parts.method == Method::GET {
                    url::form_urlencoded::byte_serialize(here.as_bytes()).collect()
                } else {
                    "%2Fconsole".to_owned()
                };
                Err(Redirect::to(&format!("/console/login?next={back}")).into_response())
            }
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// Refuses a request that changes something and was sent by another site's page.
///
/// # Errors
/// [`Slug::CrossSite`].
pub fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let fits = match text("sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        // Browsers without Fetch Metadata send the origin with every form that is posted.
        None => match headers.get(ORIGIN) {
            None => true,
            Some(origin) => {
                let host = headers
                    .get(HOST)
                    .and_then(|host| host.to_str().ok())
                    .unwrap_or_default();
                let origin = origin.to_str().unwrap_or_default();
                let authority = origin
                    .split_once("://")
                    .map_or("", |(_, authority)| authority);
                !host.is_empty() && authority.eq_ignore_ascii_case(host)
            }
        },
    };
    if fits {
        Ok(())
    } else {
        Err(Problem::new(Slug::CrossSite))
    }
}

/// The cookie that begins a session.
#[must_use]
pub fn session_cookie(app: &App, token: &str) -> String {
    own_cookie(app, cookie_name(app), "/", Some(token))
}

/// The cookie that ends a session.
#[must_use]
pub fn no_session_cookie(app: &App) -> String {
    own_cookie(app, cookie_name(app), "/", None)
}

/// A cookie of the console, for its pages alone; without a value, the one that ends it.
#[must_use]
pub fn own_cookie(app: &App, name: &'static str, path: &str, value: Option<&str>) -> String {
    let cookie = Cookie::build((name, value.unwrap_or_default()))
        .path(path)
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_https(app));
    match value {
        Some(_) => cookie.to_string(),
        None => cookie.max_age(cookie::time::Duration::ZERO).to_string(),
    }
}

/// What a request's cookie says.
#[must_use]
pub fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// The token after `Bearer`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// Browsers take a `__Host-` cookie over https alone; plain http is for loopback.
fn cookie_name(app: &App) -> &'static str {
    if is_https(app) {
        "__Host-anteroom"
    } else {
        "anteroom"
    }
}

fn is_https(app: &App) -> bool {
    app.settings.public_url.starts_with("https://")
}

/// What went wrong with an account, as an answer.
#[must_use]
pub fn problem(error: AccountError) -> Problem {
    match error {
        AccountError::WrongLogin => Problem::new(Slug::Unauthorized).because(error.to_string()),
        AccountError::Wait(wait) => {
            let detail = error.to_string();
            Problem {
                retry_after: Some(wait),
                ..Problem::new(Slug::TooManyRequests).because(detail)
            }
        }
        AccountError::Busy => Problem::unavailable("passwords"),
        AccountError::BadPassword(_) => {
            Problem::field("password", "bad_password", error.to_string())
        }
        AccountError::BadName | AccountError::NameTaken => {
            Problem::field("name", "bad_name", error.to_string())
        }
        AccountError::Unknown(_) | AccountError::Disabled(_) | AccountError::LinkVoid => {
            Problem::new(Slug::NotFound).because(error.to_string())
        }
        AccountError::Fault(fault) => faulty(&fault),
    }
}

/// What failed inside, as an answer that tells nothing of it.
#[must_use]
pub fn faulty(fault: &Fault) -> Problem {
    if fault.is_temporary() {
        Problem::unavailable(fault.code())
    } else {
        Problem::internal(fault.code())
    }
}
