//! The blog's API: submissions as JSON or as a plain form, threads, counts, the feed, and what authors do afterwards.
//!
//! Invariant: neither an address nor a client's network, nor anything computed from one, is in any answer.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRef, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, ORIGIN, REFERER,
    USER_AGENT,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::client::NetKey;
use super::extract::json::{self, Reading};
use super::extract::{Body, Json, Media, Pairs, Path, Query};
use super::front::Arrived;
use super::limits::Limits;
use super::problem::{FieldProblem, Problem, Slug};
use super::reader;
use super::session::{bearer, faulty};
use crate::app::App;
use crate::app::author::{self, AuthorError, OwnComment};
use crate::app::gather::Client;
use crate::app::submit::{self, Answer, Arrival, Face, Receipt, SubmitError};
use crate::app::threads::{self, Order, PageKey, Rendered};
use crate::domain::author::Wrong;
use crate::domain::{
    CommentId, Draft, EmailAddress, Label, Site, Status, Submission, ThreadKey, Timestamp,
};
use crate::seal::secrets;
use crate::text::markdown;

/// Comments on a page unless the caller says otherwise, and at most.
const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;
/// Threads whose counts can be asked for at once.
const MAX_COUNTS: usize = 500;
/// Comments in a feed.
const FEED_LENGTH: i64 = 50;
/// The longest idempotency key, in bytes. Source: contract, section 3.
const MAX_KEY_BYTES: usize = 255;
/// What a client calls itself, and where it came from, are kept up to this length, in bytes.
const MAX_CLIENT_TEXT: usize = 512;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The routes of this API.
pub fn routes<S>() -> OpenApiRouter<S>
where
    App: FromRef<S>,
    Arc<Limits>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new()
        .routes(routes!(comments, submit))
        .routes(routes!(form))
        .routes(routes!(counts_by_query, counts))
        .routes(routes!(feed))
        .routes(routes!(own, edit, withdraw))
        .routes(routes!(appeal))
        .routes(routes!(report))
}

/// True if `key` is the site's API key; takes the same time whatever is wrong with it.
#[must_use]
pub fn is_api_key(site: &Site, key: &str) -> bool {
    secrets::hash(key).ct_eq(&site.api_key_hash).into()
}

/// True if a page of `origin` may send comments to the site: one of its own, or one of ours.
#[must_use]
pub fn may_send(site: &Site, origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    site.has_origin(origin)
        || authority
            .is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
}

/// A comment to be judged.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct SubmitRequest {
    thread: Option<ThreadRef>,
    /// Id of the comment this one answers.
    parent: Option<String>,
    author: Option<AuthorRef>,
    /// Text, a small Markdown subset.
    body: Option<String>,
    client: Option<ClientRef>,
    form: Option<FormRef>,
}

#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ThreadRef {
    /// Usually the path of the post.
    key: Option<String>,
    url: Option<String>,
    title: Option<String>,
}

#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct AuthorRef {
    name: Option<String>,
    /// Never published.
    email: Option<String>,
    url: Option<String>,
    /// An earlier receipt.
    proof: Option<String>,
    /// The author's id at the blog; believed only with the site's API key.
    account: Option<String>,
}

/// What the blog knows of the client; believed only with the site's API key.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ClientRef {
    ip: Option<String>,
    user_agent: Option<String>,
    referrer: Option<String>,
}

#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct FormRef {
    stamp: Option<String>,
    trap: Option<String>,
}

/// A comment as readers see it.
#[derive(Serialize, ToSchema)]
pub struct CommentView {
    id: String,
    parent: Option<String>,
    author: AuthorView,
    body: String,
    /// Written from an allow-list of Markdown events.
    html: String,
    created_at: String,
    edited_at: Option<String>,
    depth: i64,
}

#[derive(Serialize, ToSchema)]
struct AuthorView {
    name: Option<String>,
    url: Option<String>,
    avatar: String,
}

impl CommentView {
    fn new(app: &App, id: CommentId, face: Face) -> Self {
        Self {
            id: id.to_string(),
            parent: face.parent.map(|parent| parent.to_string()),
            author: AuthorView {
                name: face.name,
                url: face.website,
                avatar: avatar_address(app, &face.avatar_seed),
            },
            html: markdown::html(&face.body),
            body: face.body,
            created_at: face.created_at.to_rfc3339(),
            edited_at: face.edited_at.map(Timestamp::to_rfc3339),
            depth: face.depth,
        }
    }
}

/// Where the picture for a seed is drawn.
pub(super) fn avatar_address(app: &App, seed: &[u8; 16]) -> String {
    format!(
        "{}/assets/avatar/{}.svg",
        app.settings.public_url,
        hex::encode(seed)
    )
}

/// Takes a comment, as JSON or as a form.
#[utoipa::path(post, path = "/api/v1/sites/{site}/comments", tag = "blog",
    params(("site" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "At most 255 bytes, kept for 48 hours")),
    request_body(content = SubmitRequest),
    responses((status = 201, description = "Published"), (status = 202, description = "Waiting for a person"),
        (status = 303, description = "A form with `redirect`"), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409), (status = 413), (status = 415), (status = 422), (status = 429), (status = 503)))]
async fn submit(
    State(app): State<App>,
    State(limits): State<Arc<Limits>>,
    Extension(arrived): Extension<Arrived>,
    Path(site): Path<String>,
    headers: HeaderMap,
    body: Result<Body, Problem>,
) -> Result<Response, Problem> {
    let site = find_site(&app, &site).await?;
    let by_site = authorise(&app, &site, &headers).await?;
    let media = Media::of(&headers)?;
    let Body(body) = body?;
    match submit_once(
        &app, &limits, &site, &arrived, &headers, media, &body, by_site,
    )
    .await
    {
        Err(Refusal::SiteChanged) => {}
        outcome => return outcome.map_err(Refusal::problem),
    }
    // Keys, origins or the site itself are others now; once more by what they are. Changes do not come so fast that a third
    // time would be needed, and a caller who is told to come back may do so.
    let site = find_site(&app, site.key.as_str()).await?;
    let by_site = authorise(&app, &site, &headers).await?;
    submit_once(
        &app, &limits, &site, &arrived, &headers, media, &body, by_site,
    )
    .await
    .map_err(Refusal::problem)
}

/// Why a submission got no answer of its own.
enum Refusal {
    /// The site was changed meanwhile.
    SiteChanged,
    /// This is why.
    Because(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Because(problem)
    }
}

impl Refusal {
    fn problem(self) -> Problem {
        match self {
            Self::SiteChanged => Problem::unavailable("the site was changed"),
            Self::Because(problem) => problem,
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "a request in its parts, read but not judged"
)]
async fn submit_once(
    app: &App,
    limits: &Limits,
    site: &Arc<Site>,
    arrived: &Arrived,
    headers: &HeaderMap,
    media: Media,
    body: &Bytes,
    by_site: bool,
) -> Result<Response, Refusal> {
    match media {
        Media::Json => {
            let (draft, client, faults) = read_json(body)?;
            let client = client_of(arrived, headers, by_site.then_some(client))?;
            let key = read_key(headers)?;
            let arrival = Arrival {
                draft,
                client,
                by_site,
                idempotency_key: key,
            };
            let receipt = take(app, limits, site, arrival, faults).await?;
            Ok(answer(app, receipt)?)
        }
        Media::Form => {
            let form = Pairs::parse(body)?;
            let outcome = submit_form(app, limits, site, arrived, headers, &form, by_site).await;
            let outcome = match outcome {
                Ok(receipt) => Ok(receipt),
                Err(Refusal::Because(problem)) => Err(problem),
                Err(Refusal::SiteChanged) => return Err(Refusal::SiteChanged),
            };
            Ok(reader::form_outcome(app, site, headers, &form, outcome))
        }
    }
}

async fn submit_form(
    app: &App,
    limits: &Limits,
    site: &Arc<Site>,
    arrived: &Arrived,
    headers: &HeaderMap,
    form: &Pairs,
    by_site: bool,
) -> Result<Receipt, Refusal> {
    let draft = read_form(app, site, form);
    // A double click sends the same stamp with the same words, and gets the first answer again.
    let key = match read_key(headers)? {
        Some(key) => Some(key),
        None => (!draft.stamp.is_empty()).then(|| format!("form:{}", draft.stamp)),
    };
    let client = client_of(arrived, headers, None)?;
    let arrival = Arrival {
        draft,
        client,
        by_site,
        idempotency_key: key,
    };
    // Looked at before anything is stored: a form that is shown again must not have made a comment.
    let faults = reader::redirect_fault(site, headers, form);
    take(app, limits, site, arrival, faults.into_iter().collect()).await
}

/// Counts, checks and hands over a submission.
async fn take(
    app: &App,
    limits: &Limits,
    site: &Arc<Site>,
    arrival: Arrival,
    faults: Vec<FieldProblem>,
) -> Result<Receipt, Refusal> {
    if !faults.is_empty() {
        // Wrong keys and wrong values are told in the same breath.
        let values = Submission::parse(arrival.draft, &app.settings.limits)
            .err()
            .unwrap_or_default();
        let mut errors = faults;
        for value in values {
            // What was taken out because of its type, with all that was in it, is not wrong besides.
            let is_told = |error: &FieldProblem| {
                let rest = value.field.strip_prefix(&*error.field);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !errors.iter().any(is_told) {
                errors.push(value.into());
            }
        }
        return Err(Problem::fields(errors).into());
    }
    limits
        .submission(site.id, arrival.client.ip.map(NetKey::from))
        .map_err(Problem::from)?;
    if limits.counts_authors()
        && let Ok(email) =
            EmailAddress::parse(&arrival.draft.email, app.settings.limits.email_bytes)
    {
        let index = app.keyring.blind_index(site.id, &email);
        let mut mark = [0; 16];
        mark.copy_from_slice(&index[..16]);
        limits.author(mark).map_err(Problem::from)?;
    }
    submit::submit(app, site, arrival)
        .await
        .map_err(|error| match error {
            SubmitError::SiteChanged => Refusal::SiteChanged,
            error => Refusal::Because(submit_problem(error)),
        })
}

/// The answer to a submission in JSON.
fn answer(app: &App, receipt: Receipt) -> Result<Response, Problem> {
    let (status, word) = match receipt.answer {
        Answer::Published => (StatusCode::CREATED, Status::Approved),
        Answer::Waiting => (StatusCode::ACCEPTED, Status::Pending),
        Answer::Rejected { label, reply } => {
            // The occurrence is the comment, not the request: a retry hears the same, to the byte.
            return Err(rejected(label, reply)
                .with("instance", format!("urn:uuid:{}", receipt.id))
                .with("id", receipt.id.to_string())
                .with("receipt", receipt.token));
        }
    };
    let body = json!({
        "id": receipt.id.to_string(),
        "status": word.as_str(),
        "receipt": receipt.token,
        "version": 1,
        "edit_until": receipt.edit_until.to_rfc3339(),
        "comment": CommentView::new(app, receipt.id, receipt.face),
    });
    Ok((status, axum::Json(body)).into_response())
}

/// What the author of a rejected comment is told.
pub(super) fn rejected(label: Option<Label>, reply: Option<String>) -> Problem {
    let detail = reply.unwrap_or_else(|| {
        match label {
            Some(Label::Spam) => "It was taken for advertising.",
            Some(Label::Abuse) => "It was taken for an attack on somebody.",
            Some(Label::Quality) => "It says too little to be published.",
            Some(Label::Policy) => "It goes against the rules of this site.",
            None => "It cannot be published here.",
        }
        .to_owned()
    });
    Problem::new(Slug::Rejected)
        .because(detail)
        .with("label", label.map(Label::as_str))
}

fn submit_problem(error: SubmitError) -> Problem {
    match error {
        SubmitError::Fields(errors) => {
            Problem::fields(errors.into_iter().map(FieldProblem::from).collect())
        }
        SubmitError::UnknownParent => {
            Problem::not_found("The comment you answer is not in this discussion any more.")
        }
        SubmitError::ThreadClosed => {
            Problem::new(Slug::ThreadClosed).because("This discussion takes no more comments.")
        }
        SubmitError::Duplicate => {
            Problem::new(Slug::Duplicate).because("You have said exactly this here before.")
        }
        SubmitError::SiteChanged => Problem::unavailable("the site was changed"),
        SubmitError::KeyReused => Problem::new(Slug::KeyReused).because(
            "This Idempotency-Key stands for another comment; make a new key for a new comment.",
        ),
        SubmitError::InFlight => Problem {
            retry_after: Some(std::time::Duration::from_secs(1)),
            ..Problem::new(Slug::InFlight)
                .because("The first request with this key is not answered yet.")
        },
        SubmitError::Fault(fault) => faulty(&fault),
    }
}

fn read_json(body: &Bytes) -> Result<(Draft, ClientRef, Vec<FieldProblem>), Problem> {
    let (request, faults) = match json::read::<SubmitRequest>(body)? {
        Reading::Whole(request) => (request, Vec::new()),
        Reading::Faulty {
            errors,
            rest: Some(rest),
        } => (rest, errors),
        Reading::Faulty { errors, rest: None } => return Err(Problem::fields(errors)),
    };
    let thread = request.thread.unwrap_or_default();
    let author = request.author.unwrap_or_default();
    let form = request.form.unwrap_or_default();
    let draft = Draft {
        thread_key: thread.key.unwrap_or_default(),
        thread_url: thread.url.unwrap_or_default(),
        thread_title: thread.title.unwrap_or_default(),
        parent: request.parent.unwrap_or_default(),
        name: author.name.unwrap_or_default(),
        email: author.email.unwrap_or_default(),
        url: author.url.unwrap_or_default(),
        body: request.body.unwrap_or_default(),
        proof: author.proof.unwrap_or_default(),
        account: author.account.unwrap_or_default(),
        stamp: form.stamp.unwrap_or_default(),
        trap: form.trap,
    };
    Ok((draft, request.client.unwrap_or_default(), faults))
}

/// A form's fields, with WordPress's names as aliases.
pub(super) fn read_form(app: &App, site: &Site, form: &Pairs) -> Draft {
    let trap = app.keyring.trap_field(site.id);
    Draft {
        thread_key: form.any_of(&["thread", "comment_post_ID"]),
        thread_url: form.any_of(&["thread_url"]),
        thread_title: form.any_of(&["thread_title"]),
        // WordPress sends 0 for "no parent".
        parent: Some(form.any_of(&["parent", "comment_parent"]))
            .filter(|parent| parent != "0")
            .unwrap_or_default(),
        name: form.any_of(&["name", "author"]),
        email: form.any_of(&["email"]),
        url: form.any_of(&["url"]),
        body: form.any_of(&["body", "comment"]),
        proof: form.any_of(&["proof"]),
        account: String::new(),
        stamp: form.any_of(&["stamp"]),
        trap: form.get(&trap).map(str::to_owned),
    }
}

/// The enabled site of a key. One that is not known here may have been added a moment ago.
pub(super) async fn find_site(app: &App, key: &str) -> Result<Arc<Site>, Problem> {
    let known = |app: &App| app.sites.current().by_key(key).cloned();
    if let Some(site) = known(app) {
        return Ok(site);
    }
    catch_up(app).await?;
    known(app).ok_or_else(|| Problem::not_found("There is no such site."))
}

async fn catch_up(app: &App) -> Result<(), Problem> {
    let read = app.sites.catch_up(&app.store).await;
    read.map_err(|error| faulty(&error.into()))
}

/// Checks who sends a comment: the blog by its key, or a page by its origin. True if the blog does.
async fn authorise(app: &App, site: &Site, headers: &HeaderMap) -> Result<bool, Problem> {
    if headers.contains_key(AUTHORIZATION) {
        let fits = |site: &Site| bearer(headers).is_some_and(|key| is_api_key(site, key));
        if fits(site) {
            return Ok(true);
        }
        // The key may be a moment old. Whether we read the site again or another task just did: what is known now counts.
        catch_up(app).await?;
        let site = find_site(app, site.key.as_str()).await?;
        return if fits(&site) {
            Ok(true)
        } else {
            Err(Problem::new(Slug::Unauthorized).because("This is not the site's API key."))
        };
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(false);
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let allowed = origin
        .to_str()
        .is_ok_and(|origin| may_send(site, origin, host));
    if allowed {
        return Ok(false);
    }
    Err(Problem::new(Slug::OriginNotAllowed).because(if origin == "null" {
        "The page hides its origin, as with Referrer-Policy: no-referrer; let it send `origin` or \
         `strict-origin-when-cross-origin`."
    } else {
        "The page's origin is not one of the site's; `anteroom site add --origin` names them."
    }))
}

/// The client: what the blog says of it, or what we see ourselves.
fn client_of(
    arrived: &Arrived,
    headers: &HeaderMap,
    told: Option<ClientRef>,
) -> Result<Client, Problem> {
    if let Some(told) = told {
        let account_and_texts = [
            ("client.user_agent", &told.user_agent),
            ("client.referrer", &told.referrer),
        ];
        for (field, text) in account_and_texts {
            if text
                .as_ref()
                .is_some_and(|text| text.chars().any(char::is_control))
            {
                let wrong = Wrong::ControlCharacter;
                return Err(Problem::field(field, wrong.code(), wrong.to_string()));
            }
        }
        let ip = told.ip.filter(|ip| !ip.trim().is_empty());
        let ip = ip
            .map(|ip| ip.trim().parse::<IpAddr>())
            .transpose()
            .map_err(|_| {
                Problem::field(
                    "client.ip",
                    "invalid_ip",
                    "this is not an IPv4 or IPv6 address",
                )
            })?;
        return Ok(Client {
            ip,
            user_agent: told.user_agent.map(shorten),
            referrer: told.referrer.map(shorten),
        });
    }
    let text = |name| {
        let value = headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok());
        value.map(|value| shorten(value.to_owned()))
    };
    Ok(Client {
        ip: Some(arrived.client),
        user_agent: text(USER_AGENT),
        referrer: text(REFERER),
    })
}

fn shorten(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_CLIENT_TEXT));
    text
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let wrong = |detail: &'static str| Problem::field("Idempotency-Key", "invalid", detail);
    let key = value
        .to_str()
        .map_err(|_| wrong("this key holds something else than visible ASCII"))?;
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(wrong("a key has 1 to 255 bytes"));
    }
    Ok(Some(key.to_owned()))
}

/// What a form needs: a signed time stamp, the name of its trap, its required fields.
#[utoipa::path(get, path = "/api/v1/sites/{site}/form", tag = "blog",
    params(("site" = String, Path), ("thread" = String, Query)),
    responses((status = 200, description = "`stamp`, `trap_field`, `required`, `open`"), (status = 404), (status = 422)))]
async fn form(
    State(app): State<App>,
    Path(site): Path<String>,
    Query(query): Query,
) -> Result<Response, Problem> {
    let site = find_site(&app, &site).await?;
    let thread = read_thread(&query)?;
    let open = !threads::is_closed(&app, &site, &thread)
        .await
        .map_err(|fault| faulty(&fault))?;
    let stamp = app
        .keyring
        .stamp(site.id, thread.as_str(), app.clock.now())
        .map_err(|error| Problem::internal(error.to_string()))?;
    let body = json!({
        "stamp": stamp,
        "trap_field": app.keyring.trap_field(site.id),
        "required": ["name", "email", "body"],
        "open": open,
    });
    let mut response = axum::Json(body).into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn read_thread(query: &Pairs) -> Result<ThreadKey, Problem> {
    let key = query.get("thread").unwrap_or_default();
    ThreadKey::parse(key).map_err(|wrong| Problem::field("thread", wrong.code(), wrong.to_string()))
}

/// The published comments of a thread.
#[utoipa::path(get, path = "/api/v1/sites/{site}/comments", tag = "blog",
    params(("site" = String, Path), ("thread" = String, Query),
        ("order" = Option<String>, Query, description = "oldest (default) or newest"),
        ("limit" = Option<u16>, Query, description = "1 to 200; 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "`comments`, `next_cursor`, `total`"), (status = 304), (status = 404), (status = 422)))]
async fn comments(
    State(app): State<App>,
    Path(site): Path<String>,
    Query(query): Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let site = find_site(&app, &site).await?;
    let thread = read_thread(&query)?;
    let key = read_page(&query, &thread)?;
    let rendered = match app.threads.get(site.id, &thread, key) {
        Some(rendered) => rendered,
        None => render(&app, &site, &thread, key).await?,
    };
    Ok(tagged(rendered, &headers, JSON))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ATOM: HeaderValue = HeaderValue::from_static("application/atom+xml; charset=utf-8");

async fn render(
    app: &App,
    site: &Site,
    thread: &ThreadKey,
    key: PageKey,
) -> Result<Rendered, Problem> {
    let mark = app.threads.mark();
    let page = threads::page(app, site, thread, key)
        .await
        .map_err(|fault| faulty(&fault))?;
    let body = ThreadAnswer {
        comments: page
            .comments
            .into_iter()
            .map(|(id, face)| CommentView::new(app, id, face))
            .collect(),
        next_cursor: page
            .next
            .map(|id| format!("{:08x}{}", thread_mark(thread), id.simple())),
        total: page.total,
    };
    let body = serde_json::to_vec(&body).map_err(|error| Problem::internal(error.to_string()))?;
    let rendered = tag(body);
    app.threads
        .put((site.id, thread), key, rendered.clone(), mark);
    Ok(rendered)
}

#[derive(Serialize, ToSchema)]
struct ThreadAnswer {
    comments: Vec<CommentView>,
    next_cursor: Option<String>,
    total: i64,
}

fn tag(body: Vec<u8>) -> Rendered {
    let hash = Sha256::digest(&body);
    Rendered {
        body: body.into(),
        etag: format!("\"{}\"", hex::encode(&hash[..12])).into(),
    }
}

/// The bytes with their tag, or 304 for a caller who has them.
fn tagged(rendered: Rendered, headers: &HeaderMap, media: HeaderValue) -> Response {
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let fresh = known
        .flat_map(|tags| tags.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == &*rendered.etag);
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(axum::body::Body::from(rendered.body));
        response.headers_mut().insert(CONTENT_TYPE, media);
        response
    };
    // The tag is our own hex.
    if let Ok(etag) = HeaderValue::from_str(&rendered.etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// A short hash of a thread's key, by which the cursor of another thread is noticed.
fn thread_mark(thread: &ThreadKey) -> u32 {
    let hash = Sha256::digest(thread.as_str().as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn read_cursor(text: &str, thread: &ThreadKey) -> Option<Uuid> {
    let (mark, id) = text.split_at_checked(8)?;
    let mark = u32::from_str_radix(mark, 16).ok()?;
    Uuid::try_parse(id)
        .ok()
        .filter(|_| mark == thread_mark(thread))
}

fn read_page(query: &Pairs, thread: &ThreadKey) -> Result<PageKey, Problem> {
    let order = match query.get("order") {
        None | Some("" | "oldest") => Order::Oldest,
        Some("newest") => Order::Newest,
        Some(_) => {
            return Err(Problem::field(
                "order",
                "invalid",
                "expected oldest or newest",
            ));
        }
    };
    let limit = query.read::<u16>("limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::field(
            "limit",
            "out_of_range",
            "A number from 1 to 200.",
        ));
    }
    let after =
        match query.get("cursor").filter(|cursor| !cursor.is_empty()) {
            None => None,
            Some(cursor) => Some(read_cursor(cursor, thread).ok_or_else(|| {
                Problem::field("cursor", "invalid", "Not a cursor of this thread.")
            })?),
        };
    Ok(PageKey {
        order,
        limit,
        after,
    })
}

/// How many comments readers see in some threads.
#[utoipa::path(get, path = "/api/v1/sites/{site}/counts", tag = "blog",
    params(("site" = String, Path), ("thread" = Vec<String>, Query, description = "May be repeated")),
    responses((status = 200, description = "`counts` by thread"), (status = 404), (status = 422)))]
async fn counts_by_query(
    State(app): State<App>,
    Path(site): Path<String>,
    Query(query): Query,
) -> Result<Response, Problem> {
    let keys = query.all("thread").map(str::to_owned).collect();
    count(&app, &site, "thread", keys).await
}

/// Which threads to count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CountsRequest {
    threads: Vec<String>,
}

/// How many comments readers see in some threads, for long lists of them.
#[utoipa::path(post, path = "/api/v1/sites/{site}/counts", tag = "blog",
    params(("site" = String, Path)), request_body = CountsRequest,
    responses((status = 200, description = "`counts` by thread"), (status = 404), (status = 422)))]
async fn counts(
    State(app): State<App>,
    Path(site): Path<String>,
    Json(ask): Json<CountsRequest>,
) -> Result<Response, Problem> {
    count(&app, &site, "threads", ask.threads).await
}

async fn count(
    app: &App,
    site: &str,
    field: &'static str,
    keys: Vec<String>,
) -> Result<Response, Problem> {
    let site = find_site(app, site).await?;
    if keys.len() > MAX_COUNTS {
        return Err(Problem::field(
            field,
            "too_many",
            "At most 500 threads at once.",
        ));
    }
    for key in &keys {
        ThreadKey::parse(key)
            .map_err(|wrong| Problem::field(field, wrong.code(), wrong.to_string()))?;
    }
    let found = app.store.counts(site.id, &keys).await;
    let found = found.map_err(|error| faulty(&error.into()))?;
    let mut counts: serde_json::Map<String, Value> =
        keys.into_iter().map(|key| (key, Value::from(0))).collect();
    for (key, n) in found {
        counts.insert(key, n.into());
    }
    Ok(axum::Json(json!({ "counts": counts })).into_response())
}

/// The newest comments as an Atom feed.
#[utoipa::path(get, path = "/api/v1/sites/{site}/feed.atom", tag = "blog",
    params(("site" = String, Path), ("thread" = Option<String>, Query)),
    responses((status = 200, description = "Atom"), (status = 304), (status = 404)))]
async fn feed(
    State(app): State<App>,
    Path(site): Path<String>,
    Query(query): Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let site = find_site(&app, &site).await?;
    let failed = |error: crate::store::StoreError| faulty(&error.into());
    let of_site = query.get("thread").is_none_or(str::is_empty);
    let entries = if of_site {
        app.store
            .newest_comments(site.id, FEED_LENGTH)
            .await
            .map_err(failed)?
    } else {
        let thread = read_thread(&query)?;
        match app
            .store
            .thread(site.id, thread.as_str())
            .await
            .map_err(failed)?
        {
            None => Vec::new(),
            Some(summary) => {
                let from = crate::store::comments::PageFrom::Before(Uuid::max());
                let rows = app
                    .store
                    .public_comments(site.id, summary.id, from, FEED_LENGTH);
                let rows = rows.await.map_err(failed)?;
                rows.into_iter()
                    .map(|row| (row, summary.key.clone(), summary.url.clone()))
                    .collect()
            }
        }
    };
    let entries = entries.into_iter().map(|(row, key, url)| {
        let id = CommentId(row.id);
        (id, threads::face(&app, site.id, &key, row), url)
    });
    Ok(tagged(
        tag(atom(&site, entries).into_bytes()),
        &headers,
        ATOM,
    ))
}

/// Source: RFC 4287.
fn atom(site: &Site, entries: impl Iterator<Item = (CommentId, Face, Option<String>)>) -> String {
    let mut body = String::new();
    let mut updated = Timestamp(0);
    for (id, face, url) in entries {
        let at = face.edited_at.unwrap_or(face.created_at);
        updated = updated.max(at);
        let name = xml(face.name.as_deref().unwrap_or("(erased)"));
        let link = url.map_or_else(String::new, |url| {
            format!("<link href=\"{}#comment-{id}\"/>", xml(&url))
        });
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<entry><id>urn:uuid:{id}</id><title>{name} on {}</title><author><name>{name}</name></author>{link}\
             <published>{}</published><updated>{}</updated><content type=\"html\">{}</content></entry>",
            xml(&face.thread),
            face.created_at.to_rfc3339(),
            at.to_rfc3339(),
            xml(&markdown::html(&face.body)),
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><feed xmlns=\"http://www.w3.org/2005/Atom\">\
         <id>urn:uuid:{}</id><title>Comments on {}</title><updated>{}</updated>{body}</feed>",
        site.id,
        xml(&site.name),
        updated.to_rfc3339(),
    )
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0 has no way to write these.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The author's view of a comment.
#[utoipa::path(get, path = "/api/v1/comments/{id}", tag = "authors",
    params(("id" = String, Path), ("Authorization" = String, Header, description = "`Receipt …`")),
    responses((status = 200, description = "Status, class of reason, text, version, edit window"), (status = 401), (status = 404)))]
async fn own(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (id, receipt) = authorised(&id, &headers)?;
    let own = author::view(&app, id, &receipt)
        .await
        .map_err(author_problem)?;
    Ok(axum::Json(own_view(&app, own)).into_response())
}

/// A text in place of the one before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditRequest {
    body: String,
}

/// Edits a comment within its window; the filters judge it again.
#[utoipa::path(patch, path = "/api/v1/comments/{id}", tag = "authors",
    params(("id" = String, Path), ("Authorization" = String, Header, description = "`Receipt …`")), request_body = EditRequest,
    responses((status = 200, description = "Published"), (status = 202, description = "Waiting; the approved text stays public"),
        (status = 401), (status = 403), (status = 404), (status = 422)))]
async fn edit(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(ask): Json<EditRequest>,
) -> Result<Response, Problem> {
    let (id, receipt) = authorised(&id, &headers)?;
    let (own, answer) = author::edit(&app, id, &receipt, ask.body)
        .await
        .map_err(author_problem)?;
    let (status, told) = match answer {
        Answer::Published => (StatusCode::OK, Status::Approved),
        Answer::Waiting => (StatusCode::ACCEPTED, Status::Pending),
        Answer::Rejected { label, reply } => {
            return Err(rejected(label, reply).with("id", id.to_string()));
        }
    };
    let mut view = own_view(&app, own);
    view["status"] = told.as_str().into();
    Ok((status, axum::Json(view)).into_response())
}

/// Withdraws a comment.
#[utoipa::path(delete, path = "/api/v1/comments/{id}", tag = "authors",
    params(("id" = String, Path), ("Authorization" = String, Header, description = "`Receipt …`")),
    responses((status = 204), (status = 401), (status = 404)))]
async fn withdraw(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (id, receipt) = authorised(&id, &headers)?;
    author::withdraw(&app, id, &receipt)
        .await
        .map_err(author_problem)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Why a rejection should be looked at again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppealRequest {
    text: String,
}

/// Appeals against a rejection, once.
#[utoipa::path(post, path = "/api/v1/comments/{id}/appeal", tag = "authors",
    params(("id" = String, Path), ("Authorization" = String, Header, description = "`Receipt …`")), request_body = AppealRequest,
    responses((status = 202), (status = 401), (status = 404), (status = 409), (status = 422), (status = 429)))]
async fn appeal(
    State(app): State<App>,
    State(limits): State<Arc<Limits>>,
    Extension(arrived): Extension<Arrived>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(ask): Json<AppealRequest>,
) -> Result<Response, Problem> {
    limits.complaints.take(&arrived.net_key())?;
    let (id, receipt) = authorised(&id, &headers)?;
    let own = author::appeal(&app, id, &receipt, ask.text)
        .await
        .map_err(author_problem)?;
    Ok((StatusCode::ACCEPTED, axum::Json(own_view(&app, own))).into_response())
}

/// What a reader has against a comment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportRequest {
    reason: String,
}

/// Reports a published comment.
#[utoipa::path(post, path = "/api/v1/comments/{id}/reports", tag = "blog",
    params(("id" = String, Path)), request_body = ReportRequest,
    responses((status = 202), (status = 404), (status = 422), (status = 429)))]
async fn report(
    State(app): State<App>,
    State(limits): State<Arc<Limits>>,
    Extension(arrived): Extension<Arrived>,
    Path(id): Path<String>,
    Json(ask): Json<ReportRequest>,
) -> Result<Response, Problem> {
    limits.complaints.take(&arrived.net_key())?;
    let id = comment_id(&id)?;
    author::report(&app, id, ask.reason, Some(arrived.client))
        .await
        .map_err(author_problem)?;
    Ok((
        StatusCode::ACCEPTED,
        axum::Json(json!({ "id": id.to_string() })),
    )
        .into_response())
}

fn authorised(id: &str, headers: &HeaderMap) -> Result<(CommentId, String), Problem> {
    let id = comment_id(id)?;
    let text = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let receipt = text
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("receipt"));
    match receipt {
        Some((_, receipt)) => Ok((id, receipt.trim().to_owned())),
        None => Err(Problem::new(Slug::Unauthorized)
            .because("Send the comment's receipt as Authorization: Receipt …")),
    }
}

fn comment_id(text: &str) -> Result<CommentId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("There is no such comment."))
}

fn own_view(app: &App, own: OwnComment) -> Value {
    json!({
        "id": own.id.to_string(),
        "site": own.site_key,
        "thread": { "key": own.face.thread, "url": own.thread_url, "title": own.thread_title },
        "status": own.status.as_str(),
        "label": own.label.map(Label::as_str),
        "reply": own.reply,
        "version": own.version,
        "public_version": own.public_version,
        "edit": own.edit.map(|edit| json!({
            "version": edit.version,
            "status": edit.status.as_str(),
            "label": edit.label.map(Label::as_str),
            "reply": edit.reply,
            "body": edit.body,
        })),
        "edit_until": own.edit_until.to_rfc3339(),
        "can_edit": own.can_edit,
        "can_appeal": own.can_appeal,
        "body": own.face.body,
        "comment": CommentView::new(app, own.id, own.face),
    })
}

/// What went wrong with an author's own comment, as an answer.
pub(super) fn author_problem(error: AuthorError) -> Problem {
    match error {
        AuthorError::NotFound => {
            Problem::not_found("There is no such comment, or this is not its receipt.")
        }
        AuthorError::Fields(errors) => {
            Problem::fields(errors.into_iter().map(FieldProblem::from).collect())
        }
        AuthorError::EditClosed => Problem::new(Slug::EditClosed)
            .because("The time for edits is over. You can still withdraw the comment."),
        AuthorError::NoAppeal => Problem::new(Slug::NoAppeal),
        AuthorError::Conflict => Problem::new(Slug::Conflict)
            .because("The comment changed in the same moment; try again."),
        AuthorError::Fault(fault) => faulty(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_in_a_feed_is_text(text: String) {
            let written = xml(&text);
            prop_assert!(!written.contains(['<', '>', '"', '\'']));
        }
    }
}
