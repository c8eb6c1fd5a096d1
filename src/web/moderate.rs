//! The moderators' API: the queue, claims, decisions, and what stands behind a comment.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::extract::{Json, Path, Query};
use super::limits::Limits;
use super::problem::{Problem, Slug};
use super::session::{Caller, faulty};
use crate::app::judge::{Case, judge};
use crate::app::review::{self, Bulk, Decided, Detail, QueueQuery, ReviewError, Standoff, Wish};
use crate::app::{App, gather};
use crate::domain::{
    CommentId, Decision, Label, Permission, QueueOrder, Site, Status, Timestamp, Version,
};
use crate::rules::wire;
use crate::store::reviews::{DecisionRow, Place, QueueFilter, QueueRow};

/// Items on a page unless the caller says otherwise.
const DEFAULT_LIMIT: u16 = 20;

/// The routes of this API.
pub fn routes<S>() -> OpenApiRouter<S>
where
    App: FromRef<S>,
    Arc<Limits>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new()
        .routes(routes!(queue))
        .routes(routes!(claim))
        .routes(routes!(release))
        .routes(routes!(decide))
        .routes(routes!(decide_many))
        .routes(routes!(undo))
        .routes(routes!(detail))
        .routes(routes!(reveal))
        .routes(routes!(check))
        .routes(routes!(rules))
        .routes(routes!(audit))
}

/// One item of the queue.
#[derive(Serialize, ToSchema)]
pub struct Item {
    comment: ItemComment,
    #[schema(value_type = Object)]
    verdict: VerdictView,
    /// How often readers reported it.
    reports: i64,
    /// Who works on it, until when.
    lease: Option<LeaseView>,
    /// Near-duplicates of it.
    #[schema(value_type = Option<Object>)]
    cluster: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct ItemComment {
    id: String,
    site: String,
    thread: ThreadView,
    parent: Option<String>,
    author: AuthorView,
    body: String,
    version: i64,
    status: String,
    created_at: String,
}

#[derive(Serialize, ToSchema)]
struct ThreadView {
    key: String,
    url: Option<String>,
    title: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AuthorView {
    name: Option<String>,
    url: Option<String>,
    approved: i64,
    rejected: i64,
}

#[derive(Serialize, ToSchema)]
struct LeaseView {
    by: String,
    until: String,
}

/// A stored verdict in the shape of the contract's section 6.
#[derive(Serialize)]
struct VerdictView {
    verdict: String,
    label: Option<String>,
    spam: Option<f64>,
    abuse: Option<f64>,
    points: Box<RawValue>,
    rule_set: String,
    models: Box<RawValue>,
    degraded: Option<String>,
    findings: Box<RawValue>,
}

impl Item {
    fn new(site: &Site, row: QueueRow, now: Timestamp) -> Self {
        let lease = row
            .lease_name
            .filter(|_| row.lease_until > now.0)
            .map(|by| LeaseView {
                by,
                until: Timestamp(row.lease_until).to_rfc3339(),
            });
        Self {
            comment: ItemComment {
                id: row.id.to_string(),
                site: site.key.to_string(),
                thread: ThreadView {
                    key: row.thread_key,
                    url: row.thread_url,
                    title: row.thread_title,
                },
                parent: row.parent_id.map(|id| id.to_string()),
                author: AuthorView {
                    name: row.author_name,
                    url: row.author_url,
                    approved: row.author_approved.unwrap_or(0),
                    rejected: row.author_rejected.unwrap_or(0),
                },
                body: row.body,
                version: row.version,
                status: row.status,
                created_at: Timestamp(row.created_at).to_rfc3339(),
            },
            verdict: VerdictView {
                verdict: row.outcome,
                label: row.label,
                spam: None,
                abuse: None,
                points: row.points.0,
                rule_set: row.rule_set,
                models: row.models.0,
                degraded: row.degraded,
                findings: row.findings.0,
            },
            reports: row.reports,
            lease,
            cluster: None,
        }
    }
}

/// A page of the queue: pending comments of one site, or of all the caller's.
#[utoipa::path(get, path = "/api/v1/queue", tag = "moderators",
    params(
        ("site" = Option<String>, Query, description = "One site; else all of the caller's"),
        ("order" = Option<String>, Query, description = "risk (default), oldest, newest or reports"),
        ("label" = Option<String>, Query, description = "spam, abuse, quality or policy"),
        ("rule" = Option<String>, Query, description = "Only items in which this rule made a finding"),
        ("q" = Option<String>, Query, description = "Only items that hold these words"),
        ("limit" = Option<u16>, Query, description = "1 to 100; 20 unless said"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "`items`, `next_cursor`, `total`"), (status = 401), (status = 404)))]
async fn queue(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(query): Query,
) -> Result<Response, Problem> {
    let order: QueueOrder = query.read("order")?.unwrap_or_default();
    let mut ask = QueueQuery {
        site: text(query.get("site")),
        order,
        filter: QueueFilter {
            label: query.read("label")?,
            rule: text(query.get("rule")),
            text: text(query.get("q")),
        },
        limit: limit(query.read("limit")?, DEFAULT_LIMIT, review::MAX_PAGE)?,
        from: None,
    };
    if let Some(cursor) = query.get("cursor").filter(|cursor| !cursor.is_empty()) {
        ask.from = Some(read_cursor(cursor, &ask)?);
    }
    let page = review::queue(&app, &actor, &ask).await.map_err(problem)?;
    let now = app.clock.now();
    let items: Vec<Item> = page
        .items
        .into_iter()
        .map(|(site, row)| Item::new(&site, row, now))
        .collect();
    Ok(axum::Json(QueueAnswer {
        items,
        next_cursor: page.next.map(|place| write_cursor(place, &ask)),
        total: page.total,
        oldest: page.oldest.map(Timestamp::to_rfc3339),
    })
    .into_response())
}

#[derive(Serialize, ToSchema)]
struct QueueAnswer {
    items: Vec<Item>,
    next_cursor: Option<String>,
    /// Filtered by rule or words, matches are counted up to 1000 a site.
    total: i64,
    /// When the longest-waiting item arrived.
    oldest: Option<String>,
}

/// Which items to claim.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    site: Option<String>,
    limit: Option<u16>,
    order: Option<String>,
}

/// Leases items to the caller for ten minutes; what is theirs already is leased again.
#[utoipa::path(post, path = "/api/v1/queue/claim", tag = "moderators", request_body = Claim,
    responses((status = 200, description = "`items`, as in the queue"), (status = 401), (status = 404)))]
async fn claim(
    State(app): State<App>,
    Caller(actor): Caller,
    Json(ask): Json<Claim>,
) -> Result<Response, Problem> {
    let order = match &ask.order {
        Some(word) => read("order", word)?,
        None => QueueOrder::default(),
    };
    let limit = limit(ask.limit, DEFAULT_LIMIT, review::MAX_PAGE)?;
    let claimed = review::claim(&app, &actor, ask.site.as_deref(), limit, order)
        .await
        .map_err(problem)?;
    let now = app.clock.now();
    let items: Vec<Item> = claimed
        .into_iter()
        .map(|(site, row)| Item::new(&site, row, now))
        .collect();
    Ok(axum::Json(json!({ "items": items })).into_response())
}

/// Which leases to give back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Release {
    ids: Vec<String>,
}

/// Gives the caller's own leases back.
#[utoipa::path(post, path = "/api/v1/queue/release", tag = "moderators", request_body = Release,
    responses((status = 200, description = "`released`: how many leases ended"), (status = 401), (status = 404)))]
async fn release(
    State(app): State<App>,
    Caller(actor): Caller,
    Json(ask): Json<Release>,
) -> Result<Response, Problem> {
    if ask.ids.len() > review::MAX_BATCH {
        return Err(Problem::field(
            "ids",
            "too_many",
            "At most 1000 ids can be given back at once.",
        ));
    }
    let ids = ask
        .ids
        .iter()
        .map(|id| read_id("ids", id))
        .collect::<Result<Vec<CommentId>, Problem>>()?;
    let released = review::release(&app, &actor, &ids).await.map_err(problem)?;
    Ok(axum::Json(json!({ "released": released })).into_response())
}

/// What a moderator says of a comment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecisionRequest {
    /// `approve`, `reject` or `hold`.
    decision: String,
    /// Why not; a rejection needs it: `spam`, `abuse`, `quality` or `policy`.
    label: Option<String>,
    /// For colleagues.
    note: Option<String>,
    /// The version that was shown.
    version: i64,
    /// The status that was shown; `pending` unless said.
    from: Option<String>,
}

/// Decides one comment, if it still has the version and status that were shown.
#[utoipa::path(post, path = "/api/v1/comments/{id}/decision", tag = "moderators",
    params(("id" = String, Path)), request_body = DecisionRequest,
    responses((status = 200, description = "`id`, `comment`, `status`, `by`, `at`"), (status = 401), (status = 404),
        (status = 409, description = "It stands otherwise: `decision`, `by`, `at`, `status`, `version`"), (status = 422)))]
async fn decide(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(ask): Json<DecisionRequest>,
) -> Result<Response, Problem> {
    let id = comment_id(&id)?;
    let from = match &ask.from {
        Some(word) => read("from", word)?,
        None => Status::Pending,
    };
    let wish = wish(&ask.decision, ask.label.as_deref(), ask.note)?;
    let expected = (Version(ask.version), from);
    let decided = review::decide(&app, &actor, id, wish, expected)
        .await
        .map_err(problem)?;
    Ok(axum::Json(decided_view(&decided, &actor.moderator.name)).into_response())
}

fn decided_view(decided: &Decided, by: &str) -> Value {
    json!({
        "id": decided.id.to_string(),
        "comment": decided.comment.to_string(),
        "status": decided.status.as_str(),
        "by": by,
        "at": decided.at.to_rfc3339(),
    })
}

/// Many comments and what is said of them all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkRequest {
    items: Option<Vec<BulkItem>>,
    cluster: Option<String>,
    decision: String,
    label: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkItem {
    id: String,
    version: i64,
}

/// Decides many pending comments as one unit, which can be undone as one.
#[utoipa::path(post, path = "/api/v1/decisions", tag = "moderators", request_body = BulkRequest,
    responses((status = 200, description = "`id`, `decided`, `conflicts`"), (status = 401), (status = 404), (status = 422)))]
async fn decide_many(
    State(app): State<App>,
    Caller(actor): Caller,
    Json(ask): Json<BulkRequest>,
) -> Result<Response, Problem> {
    if ask.cluster.is_some() {
        return Err(Problem::field(
            "cluster",
            "unknown",
            "There is no such cluster.",
        ));
    }
    let wish = wish(&ask.decision, ask.label.as_deref(), ask.note)?;
    let mut items = Vec::new();
    for item in ask.items.unwrap_or_default() {
        items.push((read_id("items.id", &item.id)?, Version(item.version)));
    }
    let Bulk {
        id,
        decided,
        conflicts,
    } = review::decide_many(&app, &actor, items, wish)
        .await
        .map_err(problem)?;
    let decided: Vec<String> = decided.iter().map(ToString::to_string).collect();
    let conflicts: Vec<Value> = conflicts.iter().map(standoff_view).collect();
    let answer = json!({ "id": id.to_string(), "decided": decided, "conflicts": conflicts });
    Ok(axum::Json(answer).into_response())
}

/// Takes a decision back, a bulk decision as a whole.
#[utoipa::path(post, path = "/api/v1/decisions/{id}/undo", tag = "moderators", params(("id" = String, Path)),
    responses((status = 200, description = "`restored`, `skipped`"), (status = 401), (status = 404), (status = 409)))]
async fn undo(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: Uuid = id
        .parse()
        .map_err(|_| Problem::not_found("There is no decision with this id."))?;
    let undone = review::undo(&app, &actor, id).await.map_err(problem)?;
    let words = |ids: &[CommentId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let answer = json!({
        "id": id, "restored": words(&undone.restored), "skipped": words(&undone.skipped),
    });
    Ok(axum::Json(answer).into_response())
}

/// Everything about a comment but its author's address and network.
#[utoipa::path(get, path = "/api/v1/comments/{id}/detail", tag = "moderators", params(("id" = String, Path)),
    responses((status = 200, description = "Versions, verdicts, decisions, reports, the author's last comments"),
        (status = 401), (status = 404)))]
async fn detail(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let detail = review::detail(&app, &actor, comment_id(&id)?)
        .await
        .map_err(problem)?;
    Ok(axum::Json(detail_view(detail)).into_response())
}

fn detail_view(detail: Detail) -> Value {
    let time = |at: i64| Timestamp(at).to_rfc3339();
    let versions: Vec<Value> = detail
        .versions
        .iter()
        .map(|version| {
            json!({
                "version": version.version,
                "body": version.body,
                "created_at": time(version.created_at),
                "verdict": {
                    "verdict": version.outcome,
                    "label": version.label,
                    "spam": null,
                    "abuse": null,
                    "points": version.points.0,
                    "rule_set": version.rule_set,
                    "models": version.models.0,
                    "degraded": version.degraded,
                    "findings": version.findings.0,
                },
            })
        })
        .collect();
    let earlier: Vec<Value> = detail
        .by_author
        .iter()
        .map(|(id, status, body, at)| {
            json!({ "id": id, "status": status, "body": body, "created_at": time(*at) })
        })
        .collect();
    let reports: Vec<Value> = detail
        .reports
        .iter()
        .map(|(reason, at)| json!({ "reason": reason, "at": time(*at) }))
        .collect();
    json!({
        "comment": {
            "id": detail.standing.id.to_string(),
            "site": detail.site.key.as_str(),
            "thread": {
                "key": detail.face.thread_key,
                "url": detail.face.thread_url,
                "title": detail.face.thread_title,
            },
            "parent": detail.face.parent_id,
            "author": { "name": detail.face.author_name, "url": detail.face.author_url },
            "status": detail.standing.status.as_str(),
            "label": detail.standing.label.map(Label::as_str),
            "version": detail.standing.version.0,
            "public_version": detail.standing.public_version.map(|version| version.0),
            "created_at": detail.standing.created_at.to_rfc3339(),
        },
        "versions": versions,
        "decisions": detail.decisions.iter().map(decision_view).collect::<Vec<_>>(),
        "reports": reports,
        "appeal": detail.appeal.map(|(text, at)| json!({ "text": text, "at": time(at) })),
        "similar": [],
        "author_comments": earlier,
    })
}

fn decision_view(row: &DecisionRow) -> Value {
    json!({
        "id": row.id,
        "batch": row.batch_id,
        "version": row.version,
        "decision": row.decision,
        "label": row.label,
        "note": row.note,
        "by": row.moderator,
        "at": Timestamp(row.decided_at).to_rfc3339(),
        "undone_at": row.undone_at.map(|at| Timestamp(at).to_rfc3339()),
    })
}

/// Why an address is to be seen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reveal {
    reason: String,
}

/// The author's e-mail address, for a reason that goes into the audit log.
#[utoipa::path(post, path = "/api/v1/comments/{id}/reveal", tag = "moderators",
    params(("id" = String, Path)), request_body = Reveal,
    responses((status = 200, description = "`email`"), (status = 401), (status = 403), (status = 404), (status = 429)))]
async fn reveal(
    State(app): State<App>,
    State(limits): State<Arc<Limits>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(ask): Json<Reveal>,
) -> Result<Response, Problem> {
    let id = comment_id(&id)?;
    limits.reveals.take(actor.moderator.id.0.as_bytes())?;
    let address = review::reveal(&app, &actor, id, &ask.reason)
        .await
        .map_err(problem)?;
    let address = secrecy::ExposeSecret::expose_secret(&address);
    Ok(axum::Json(json!({ "email": address })).into_response())
}

/// A submission to be judged and not stored.
#[derive(Deserialize, ToSchema)]
struct CheckRequest {
    /// Key of the site.
    site: String,
    #[serde(alias = "text")]
    body: String,
    name: Option<String>,
    email: Option<String>,
    url: Option<String>,
    author: Option<CheckAuthor>,
    #[schema(value_type = Option<Object>)]
    facts: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize, ToSchema)]
struct CheckAuthor {
    name: Option<String>,
    email: Option<String>,
    url: Option<String>,
}

/// Judges a submission; nothing is stored and no counter is touched.
#[utoipa::path(post, path = "/api/v1/check", tag = "moderators", request_body = CheckRequest,
    responses((status = 200, description = "A verdict"), (status = 401), (status = 404), (status = 422)))]
async fn check(
    State(app): State<App>,
    headers: axum::http::HeaderMap,
    caller: Result<Caller, Problem>,
    Json(ask): Json<CheckRequest>,
) -> Result<Response, Problem> {
    let site = site_for_check(&app, &headers, caller, &ask.site)?;
    let rules = app.rulebook.current();
    let mut facts = rules.newcomer();
    gather::set_time(&mut facts, app.clock.now());
    let author = ask.author.unwrap_or(CheckAuthor {
        name: None,
        email: None,
        url: None,
    });
    if let Some(email) = ask.email.or(author.email)
        && let Ok(email) =
            crate::domain::EmailAddress::parse(&email, app.settings.limits.email_bytes)
    {
        gather::set_address(&mut facts, &email);
    }
    for (name, value) in ask.facts.iter().flatten() {
        facts
            .set_json(name, value)
            .map_err(|wrong| Problem::field("facts", "bad_fact", wrong))?;
    }
    let body = crate::domain::submission::normalise_newlines(ask.body);
    let case = Case {
        site: site.key.as_str().into(),
        body,
        name: ask.name.or(author.name).unwrap_or_default(),
        url: ask.url.or(author.url).unwrap_or_default(),
        facts,
        facts_missing: false,
    };
    let judged = judge(&app, case).await;
    Ok(axum::Json(wire::verdict(&judged.verdict, &judged.rules, &judged.facts)).into_response())
}

/// A moderator of the site may check, and so may whoever holds the site's API key.
fn site_for_check(
    app: &App,
    headers: &axum::http::HeaderMap,
    caller: Result<Caller, Problem>,
    key: &str,
) -> Result<Arc<Site>, Problem> {
    let unknown = || Problem::not_found("There is no such site.");
    let sites = app.sites.current();
    let site = sites.by_key(key).cloned();
    if let (Some(token), Some(site)) = (super::session::bearer(headers), &site)
        && super::api::is_api_key(site, token)
    {
        return Ok(Arc::clone(site));
    }
    let Caller(actor) = caller?;
    site.filter(|site| actor.moderator.works_at(site.id))
        .ok_or_else(unknown)
}

/// The running rule set.
#[utoipa::path(get, path = "/api/v1/rules", tag = "moderators",
    responses((status = 200, description = "Hash, age, rules, load errors"), (status = 401), (status = 403)))]
async fn rules(State(app): State<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    if !actor.moderator.can(Permission::ReadRules) {
        return Err(Problem::new(Slug::Forbidden));
    }
    let set = app.rulebook.current();
    let state = app.rulebook.state();
    let problems = |problems: &[crate::app::rulebook::Problem]| -> Vec<Value> {
        problems
            .iter()
            .map(|problem| {
                json!({
                    "file": problem.file, "line": problem.line, "column": problem.column,
                    "message": problem.message, "text": problem.rendered,
                })
            })
            .collect()
    };
    let rules: Vec<Value> = set
        .rules()
        .iter()
        .map(|rule| {
            json!({
                "id": &*rule.id, "title": rule.title, "label": rule.label.as_str(),
                "mode": rule.mode.as_str(), "file": rule.source.0, "line": rule.source.1,
                "tests": rule.n_tests,
            })
        })
        .collect();
    let age = app.clock.now().since(state.loaded_at).as_secs();
    let answer = json!({
        "rule_set": set.hash(),
        "loaded_at": state.loaded_at.to_rfc3339(),
        "age_seconds": age,
        "rules": rules,
        "errors": problems(&state.errors),
        "warnings": problems(&state.warnings),
    });
    Ok(axum::Json(answer).into_response())
}

/// The audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "moderators",
    params(("cursor" = Option<i64>, Query), ("limit" = Option<u16>, Query, description = "1 to 200; 50 unless said")),
    responses((status = 200, description = "`entries`, `next_cursor`"), (status = 401), (status = 403)))]
async fn audit(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(query): Query,
) -> Result<Response, Problem> {
    let limit = limit(query.read("limit")?, 50, 200)?;
    let page = review::audit_log(&app, &actor, query.read("cursor")?, limit)
        .await
        .map_err(problem)?;
    let next = (page.len() == usize::from(limit))
        .then(|| page.last().map(|row| row.seq))
        .flatten();
    let entries: Vec<Value> = page
        .iter()
        .map(|row| {
            json!({
                "seq": row.seq,
                "at": Timestamp(row.created_at).to_rfc3339(),
                "actor": row.actor,
                "action": row.action,
                "subject": row.subject,
                "data": row.data.0,
                "hash": hex::encode(&row.hash),
            })
        })
        .collect();
    Ok(axum::Json(json!({ "entries": entries, "next_cursor": next })).into_response())
}

/// What went wrong with a review, as an answer.
pub(super) fn problem(error: ReviewError) -> Problem {
    match error {
        ReviewError::NotFound => Problem::not_found("There is no such comment, site or decision."),
        ReviewError::Forbidden => Problem::new(Slug::Forbidden),
        ReviewError::Conflict(standing) => {
            let mut problem =
                Problem::new(Slug::Conflict).because("The comment does not stand as it was shown.");
            if let Value::Object(members) = standoff_view(&standing) {
                // Among them `status`: the contract's, which says where the comment stands.
                problem.members = members;
            }
            problem
        }
        ReviewError::CannotUndo => Problem::new(Slug::CannotUndo).because(error.to_string()),
        ReviewError::Invalid { field, what } => Problem::field(field, "invalid", what),
        ReviewError::Fault(fault) => faulty(&fault),
    }
}

fn standoff_view(standing: &Standoff) -> Value {
    let decision = standing.decision.as_ref();
    json!({
        "comment": standing.comment.to_string(),
        "decision": decision.map(|row| row.decision.as_str()),
        "label": decision.and_then(|row| row.label.as_deref()),
        "by": decision.map(|row| row.moderator.as_str()),
        "at": decision.map(|row| Timestamp(row.decided_at).to_rfc3339()),
        "status": standing.status.as_str(),
        "version": standing.version.0,
    })
}

fn wish(decision: &str, label: Option<&str>, note: Option<String>) -> Result<Wish, Problem> {
    let decision: Decision = read("decision", decision)?;
    let label = label.map(|label| read("label", label)).transpose()?;
    Ok(Wish {
        decision,
        label,
        note,
    })
}

fn read<T>(field: &'static str, word: &str) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    word.parse()
        .map_err(|wrong: T::Err| Problem::field(field, "invalid", wrong.to_string()))
}

/// Reads an id; the parser's own words would tell a part of it back.
fn read_id(field: &'static str, text: &str) -> Result<CommentId, Problem> {
    text.parse()
        .map_err(|_| Problem::field(field, "invalid", "this is not a comment's id"))
}

fn comment_id(text: &str) -> Result<CommentId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("There is no comment with this id."))
}

fn text(value: Option<&str>) -> Option<String> {
    value
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn limit(asked: Option<u16>, default: u16, most: u16) -> Result<u16, Problem> {
    match asked {
        None => Ok(default),
        Some(n) if (1..=most).contains(&n) => Ok(n),
        Some(_) => Err(Problem::field(
            "limit",
            "out_of_range",
            format!("A number from 1 to {most}."),
        )),
    }
}

/// A place in the queue as text: what was asked (so that the cursor of another question is noticed), the key's bits and the
/// id, all in hex.
pub(super) fn write_cursor(place: Place, ask: &QueueQuery) -> String {
    let id = place.id.simple();
    format!("{:08x}{:016x}{id}", asked(ask), place.key.to_bits())
}

/// A short hash of a question but for its page.
fn asked(ask: &QueueQuery) -> u32 {
    let filter = &ask.filter;
    let question = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        ask.site, ask.order, filter.label, filter.rule, filter.text
    );
    let hash = Sha256::digest(question.as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// Reads the cursor of this very question.
pub(super) fn read_cursor(text: &str, ask: &QueueQuery) -> Result<Place, Problem> {
    let wrong = || {
        let detail = "This is not a cursor of this queue, in this order and with these filters.";
        Problem::field("cursor", "invalid", detail)
    };
    let (question, text) = text.split_at_checked(8).ok_or_else(wrong)?;
    if u32::from_str_radix(question, 16) != Ok(asked(ask)) {
        return Err(wrong());
    }
    let (key, id) = text.split_at_checked(16).ok_or_else(wrong)?;
    let key = f64::from_bits(u64::from_str_radix(key, 16).map_err(|_| wrong())?);
    let id = Uuid::try_parse(id).map_err(|_| wrong())?;
    if key.is_finite() {
        Ok(Place { key, id })
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(key in -1e9..1e9f64, id: u128) {
            let place = Place { key, id: Uuid::from_u128(id) };
            let ask = QueueQuery::default();
            let other = QueueQuery { site: Some("garden".to_owned()), ..QueueQuery::default() };
            prop_assert_eq!(read_cursor(&write_cursor(place, &ask), &ask).ok(), Some(place));
            prop_assert!(read_cursor(&write_cursor(place, &ask), &other).is_err());
        }

        #[test]
        fn nothing_typed_as_a_cursor_breaks_anything(text: String) {
            let _ = read_cursor(&text, &QueueQuery::default());
        }
    }
}
