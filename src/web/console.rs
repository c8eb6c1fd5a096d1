//! The console: the moderators' work as pages, over the same use cases as their API.
//!
//! Invariant: a page changes nothing unless it is posted from a page of the same session.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::avatar;
use super::extract::{Form, Pairs, Path, Query};
use super::front::Arrived;
use super::limits::Limits;
use super::moderate::{problem, read_cursor, write_cursor};
use super::pages::card::{
    Appeal, Author, Claim, Decided, Post, Quoted, Report, Written, decided, decided_this,
};
use super::pages::console::{
    AuditLine, Last, Left, LeftLine, Notice, QueueFilter, QueueRow, RuleLine, RuleProblem, Section,
    SiteChoice, ThresholdLine, read_choice,
};
use super::pages::reader::{BackTo, ProblemPage};
use super::pages::{
    AuditPage, Case, CasePage, FieldNote, LoginPage, QueuePage, RulesPage, SetupPage, Shell,
    Template, VerdictView, When, words,
};
use super::problem::{Problem, Slug};
use super::session::{
    LoggedIn, Session, check_origin, cookie_of, no_session_cookie, own_cookie,
    problem as account_problem, session_cookie,
};
use crate::app::accounts::{self, AccountError};
use crate::app::review::{self, Detail, QueueQuery, ReviewError, Wish};
use crate::app::{App, rulebook};
use crate::domain::{
    AuthorId, CommentId, Decision, DecisionId, Label, Permission, Site, SiteId, Status, Thresholds,
    Timestamp, Version,
};
use crate::rules::{Effect, wire};
use crate::seal::{Place, password};
use crate::store::StoreError;
use crate::store::comments::{JudgedVersion, Standing};
use crate::store::reviews::{DecisionRow, QueueFilter as StoreFilter, QueueRow as StoredRow};

/// Items on a page of the list.
const ROWS: u16 = 30;
/// Lines on a page of the audit log.
const LINES: u16 = 50;
/// The longest reason to see an address, in characters; never more than the 2000 bytes that are stored.
const REASON_CHARS: usize = 500;
/// Comments that are named when a decision on several leaves some alone: their ids travel in the address.
const NAMED_AS_LEFT: usize = 20;
/// How long an address that was revealed may take to its page.
const REVEAL_TRAVEL: Duration = Duration::from_mins(1);
/// What a redirect says has just happened.
const HAPPENINGS: [&str; 6] = ["did", "late", "left", "undone", "stands", "none"];
/// The name of who was erased.
const ERASED: &str = "(erased)";
/// The cookie that names the moderator's last decision.
const LAST: &str = "anteroom-last";
/// The cookie that carries a revealed address, sealed, to the one page that shows it.
const REVEALED: &str = "anteroom-revealed";

/// The console's routes.
pub fn routes<S>() -> Router<S>
where
    App: FromRef<S>,
    Arc<Limits>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/console", get(queue))
        .route("/console/setup", get(setup_page).post(set_up))
        .route("/console/login", get(login_page).post(log_in))
        .route("/console/logout", post(log_out))
        .route("/console/comments/{id}", get(case))
        .route("/console/comments/{id}/decision", post(decide))
        .route("/console/comments/{id}/reveal", post(reveal))
        .route("/console/decisions", post(decide_many))
        .route("/console/decisions/{id}/undo", post(undo))
        .route("/console/audit", get(audit))
        .route("/console/rules", get(rules))
}

async fn setup_page(State(app): State<App>, Query(query): Query) -> Result<Response, Problem> {
    let token = query.get("token").unwrap_or_default().to_owned();
    let usable = accounts::is_setup_link(&app, &token)
        .await
        .map_err(account_problem)?;
    let page = SetupPage {
        token: usable.then_some(token),
        name: String::new(),
        notes: Vec::new(),
        password_min: password::MIN_CHARS,
    };
    html(
        if usable {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        },
        &page,
    )
}

async fn set_up(
    State(app): State<App>,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Problem> {
    check_origin(&headers)?;
    let (token, name) = (form.any_of(&["token"]), form.any_of(&["name"]));
    let chosen = SecretString::from(form.any_of(&["password"]));
    let error = match accounts::set_up(&app, &token, &name, chosen).await {
        Ok(session) => return Ok(entered(&app, &session.token, "/console")),
        Err(error) => error,
    };
    let note = match &error {
        AccountError::BadPassword(_) => Some(FieldNote::new("password", error.to_string())),
        AccountError::BadName | AccountError::NameTaken => {
            Some(FieldNote::new("name", error.to_string()))
        }
        AccountError::LinkVoid => None,
        _ => return Err(account_problem(error)),
    };
    let page = SetupPage {
        token: note.is_some().then_some(token),
        name,
        notes: note.into_iter().collect(),
        password_min: password::MIN_CHARS,
    };
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn login_page(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response, Problem> {
    let next = own_path(query.get("next").unwrap_or_default());
    if Session::find(&app, &headers).await?.is_some() {
        return Ok(redirect(&next));
    }
    let hint = query
        .get("out")
        .map(|_| "You have been logged out.".to_owned());
    html(StatusCode::OK, &login(String::new(), next, None, hint))
}

fn login(name: String, next: String, error: Option<String>, hint: Option<String>) -> LoginPage {
    // Nothing is known of who logs in, so there is no session to bind a token to: the origin is what is checked.
    LoginPage {
        csrf: String::new(),
        name,
        next,
        error,
        hint,
    }
}

async fn log_in(
    State(app): State<App>,
    State(limits): State<Arc<Limits>>,
    Extension(arrived): Extension<Arrived>,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Problem> {
    check_origin(&headers)?;
    let (name, next) = (form.any_of(&["name"]), own_path(&form.any_of(&["next"])));
    if let Err(too_often) = limits.logins.take(&arrived.net_key()) {
        let problem = Problem::from(too_often);
        let told = "That was often. Wait a minute, then try again.".to_owned();
        let mut response = html(problem.status(), &login(name, next, Some(told), None))?;
        problem.set_headers(&mut response);
        return Ok(response);
    }
    let given = SecretString::from(form.any_of(&["password"]));
    match accounts::log_in(&app, &name, given).await {
        Ok(session) => Ok(entered(&app, &session.token, &next)),
        Err(error @ (AccountError::WrongLogin | AccountError::Wait(_) | AccountError::Busy)) => {
            let told = error.to_string();
            let status = account_problem(error).status();
            html(status, &login(name, next, Some(told), None))
        }
        Err(error) => Err(account_problem(error)),
    }
}

async fn log_out(
    State(app): State<App>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Form(form): Form,
) -> Result<Response, Problem> {
    session.check_csrf(&app, &headers, form.get("csrf").unwrap_or_default())?;
    accounts::log_out(&app, session.token())
        .await
        .map_err(account_problem)?;
    let mut response = redirect("/console/login?out=1");
    set_cookie(&mut response, &no_session_cookie(&app));
    response.headers_mut().insert(
        "clear-site-data",
        HeaderValue::from_static("\"cache\", \"storage\""),
    );
    set_cookie(&mut response, &own_cookie(&app, LAST, "/console", None));
    Ok(response)
}

async fn queue(
    State(app): State<App>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Query(query): Query,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let cursor = query
        .get("cursor")
        .filter(|cursor| !cursor.is_empty())
        .map(str::to_owned);
    let text = |name| {
        query
            .get(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let mut filter = QueueFilter {
        site: text("site").map(str::to_owned),
        order: read_or_default(&query, "order"),
        label: text("label").and_then(|label| label.parse().ok()),
        rule: text("rule").map(str::to_owned),
        q: text("q").unwrap_or_default().to_owned(),
        cursor: cursor.clone(),
        sites: Vec::new(),
    };
    let mut ask = QueueQuery {
        site: filter.site.clone(),
        order: filter.order,
        filter: StoreFilter {
            label: filter.label,
            rule: filter.rule.clone(),
            text: Some(filter.q.clone()).filter(|q| !q.is_empty()),
        },
        limit: ROWS,
        from: None,
    };
    let from = cursor.as_deref().map(|cursor| read_cursor(cursor, &ask));
    ask.from = from.transpose().map_err(|_| no_such_page())?;
    let actor = &session.actor;
    let page = review::queue(&app, actor, &ask).await.map_err(problem)?;
    let notice = notice(&app, &session, &query).await?;
    let shell = desk(&app, &session, &headers, notice).await?;
    filter.sites = site_choices(&app, &session).await?;
    let wanted: Option<CommentId> = query.get("item").and_then(|id| id.parse().ok());
    let first = page.items.first().map(|(_, row)| CommentId(row.id));
    let selected = match wanted.or(first) {
        Some(id) => match review::detail(&app, actor, id).await {
            Ok(detail) => Some(case_of(&app, detail, now)),
            Err(ReviewError::NotFound) => None,
            Err(error) => return Err(problem(error)),
        },
        None => None,
    };
    let holder = &actor.moderator.name;
    let queue = QueuePage {
        shell,
        filter,
        rows: page
            .items
            .into_iter()
            .map(|(_, row)| list_row(&app, row, holder, now))
            .collect(),
        selected,
        total: u64::try_from(page.total).unwrap_or(0),
        oldest: page.oldest.map(|at| When::new(at, now)),
        next_cursor: page.next.map(|place| write_cursor(place, &ask)),
    };
    html(StatusCode::OK, &queue)
}

fn list_row(app: &App, row: StoredRow, me: &str, now: Timestamp) -> QueueRow {
    let name = row.author_name.clone().unwrap_or_else(|| ERASED.to_owned());
    let why = wire::read_verdict(
        (&row.outcome, row.label.as_deref(), row.degraded.as_deref()),
        row.points.0.get(),
        row.findings.0.get(),
    );
    let why = why.and_then(|verdict| {
        verdict
            .decisive
            .map(|index| verdict.evaluation.findings[index].message.clone())
    });
    QueueRow {
        id: CommentId(row.id),
        version: row.version,
        avatar: avatar::data_uri(&app.avatar_seed(
            SiteId(row.site_id),
            None,
            (&row.thread_key, &name),
        )),
        name,
        excerpt: words::excerpt(&row.body, 140),
        at: When::new(Timestamp(row.created_at), now),
        label: row.label.as_deref().and_then(|label| label.parse().ok()),
        why: why.unwrap_or_default(),
        post: row.thread_title.unwrap_or(row.thread_key),
        reports: u64::try_from(row.reports).unwrap_or(0),
        held_by: row
            .lease_name
            .filter(|by| row.lease_until > now.0 && by != me),
        n_alike: 0,
    }
}

fn case_of(app: &App, detail: Detail, now: Timestamp) -> Case {
    let when = |at: i64| When::new(Timestamp(at), now);
    let sites = app.rulebook.current();
    let thresholds = *sites.thresholds(detail.site.key.as_str());
    let latest = detail.versions.last();
    let name = detail
        .face
        .author_name
        .clone()
        .unwrap_or_else(|| ERASED.to_owned());
    let author = detail
        .face
        .author_proven
        .then_some(AuthorId(detail.standing.author));
    let seed = app.avatar_seed(detail.site.id, author, (&detail.face.thread_key, &name));
    let by_status = |status: &str| {
        detail
            .by_author
            .iter()
            .filter(|(_, known, ..)| known == status)
            .count() as u64
    };
    Case {
        id: detail.standing.id,
        status: detail.standing.status,
        version: detail.standing.version,
        text: latest
            .map(|version| version.body.clone())
            .unwrap_or_default(),
        at: When::new(detail.standing.created_at, now),
        edited: latest
            .filter(|version| version.version > 1)
            .map(|version| when(version.created_at)),
        author: Author {
            name,
            url: detail.face.author_url.clone(),
            avatar: avatar::data_uri(&seed),
            is_proven: detail.face.author_proven,
            approved: by_status("approved"),
            rejected: by_status("rejected"),
            pending: by_status("pending"),
            first_seen: detail.by_author.last().map(|(.., at)| when(*at)),
        },
        post: Post {
            site: detail.site.key.to_string(),
            site_name: detail.site.name.clone(),
            key: detail.face.thread_key.clone(),
            title: detail.face.thread_title.clone(),
            url: detail.face.thread_url.clone(),
        },
        parent: detail
            .parent
            .as_ref()
            .zip(detail.face.parent_id)
            .map(|((face, text), id)| Quoted {
                id: CommentId(id),
                name: face
                    .author_name
                    .clone()
                    .unwrap_or_else(|| ERASED.to_owned()),
                text: text.clone(),
                at: When::new(Timestamp(id_time(id)), now),
                status: Status::Approved,
            }),
        verdict: latest.and_then(|version| verdict_view(version, Some(&thresholds))),
        n_reports: detail.reports.len() as u64,
        reports: detail
            .reports
            .iter()
            .rev()
            .map(|(reason, at)| Report {
                reason: reason.clone(),
                at: when(*at),
            })
            .collect(),
        lease: detail
            .lease
            .filter(|lease| lease.until > now)
            .map(|lease| Claim {
                by: lease.name,
                until: When::new(lease.until, now),
            }),
        appeal: detail
            .appeal
            .map(|(text, at)| Appeal { text, at: when(at) }),
        earlier: detail
            .by_author
            .iter()
            .map(|(id, status, text, at)| Quoted {
                id: CommentId(*id),
                name: detail.face.author_name.clone().unwrap_or_default(),
                text: text.clone(),
                at: when(*at),
                status: status.parse().unwrap_or(Status::Pending),
            })
            .collect(),
        n_alike: 0,
    }
}

/// The time an id was made at, in microseconds.
fn id_time(id: Uuid) -> i64 {
    let stamp = id.get_timestamp().map(|stamp| stamp.to_unix());
    stamp.map_or(0, |(seconds, nanos)| {
        i64::try_from(seconds)
            .unwrap_or(0)
            .saturating_mul(1_000_000)
            + i64::from(nanos / 1000)
    })
}

fn verdict_view(version: &JudgedVersion, thresholds: Option<&Thresholds>) -> Option<VerdictView> {
    let verdict = wire::read_verdict(
        (
            &version.outcome,
            version.label.as_deref(),
            version.degraded.as_deref(),
        ),
        version.points.0.get(),
        version.findings.0.get(),
    )?;
    Some(VerdictView::of(&verdict, thresholds, &version.rule_set))
}

async fn case(
    State(app): State<App>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<Response, Problem> {
    let id = comment_id(&id)?;
    let mut page = case_page(&app, &session, &headers, id, &query).await?;
    let sealed = cookie_of(&headers, REVEALED);
    page.revealed = sealed
        .as_deref()
        .and_then(|sealed| open_revealed(&app, &session, id, sealed));
    let mut response = html(StatusCode::OK, &page)?;
    if sealed.is_some() {
        // Shown once: whoever loads the page again has to give a reason again.
        let none = own_cookie(&app, REVEALED, &case_path(id), None);
        set_cookie(&mut response, &none);
    }
    Ok(response)
}

async fn case_page(
    app: &App,
    session: &Session,
    headers: &HeaderMap,
    id: CommentId,
    query: &Pairs,
) -> Result<CasePage, Problem> {
    let notice = notice(app, session, query).await?;
    let now = app.clock.now();
    let detail = review::detail(app, &session.actor, id)
        .await
        .map_err(problem)?;
    let public = detail.standing.public_version;
    let versions = detail.versions.iter().rev().map(|version| Written {
        version: Version(version.version),
        text: version.body.clone(),
        at: When::new(Timestamp(version.created_at), now),
        verdict: verdict_view(version, None),
        is_public: public == Some(Version(version.version)),
    });
    let standing_at = detail.standing.decided_at;
    let decisions = detail
        .decisions
        .iter()
        .rev()
        .map(|row| decision_line(row, standing_at, now))
        .collect();
    let page = CasePage {
        versions: versions.collect(),
        decisions,
        similar: Vec::new(),
        can_reveal: session.actor.moderator.can(Permission::Reveal),
        revealed: None,
        reason_note: None,
        reason_max: REASON_CHARS,
        shell: desk(app, session, headers, notice).await?,
        case: case_of(app, detail, now),
    };
    Ok(page)
}

fn decision_line(row: &DecisionRow, standing_at: Option<Timestamp>, now: Timestamp) -> Decided {
    Decided {
        id: DecisionId(row.batch_id),
        what: decision_words(row),
        by: row.moderator.clone(),
        at: When::new(Timestamp(row.decided_at), now),
        note: row.note.clone(),
        version: Version(row.version),
        undone: row.undone_at.map(|at| When::new(Timestamp(at), now)),
        can_undo: row.undone_at.is_none() && standing_at == Some(Timestamp(row.decided_at)),
    }
}

fn decision_words(row: &DecisionRow) -> String {
    said(row, decided)
}

fn said(row: &DecisionRow, words: fn(Decision, Option<Label>) -> String) -> String {
    let label = row.label.as_deref().and_then(|label| label.parse().ok());
    let decision = row.decision.parse();
    decision.map_or_else(|_| row.decision.clone(), |decision| words(decision, label))
}

async fn decide(
    State(app): State<App>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Problem> {
    session.check_csrf(&app, &headers, form.get("csrf").unwrap_or_default())?;
    let id = comment_id(&id)?;
    let wish = read_wish(&form)?;
    let version: i64 = form.read("version")?.ok_or_else(|| missing("version"))?;
    let from: Status = form.read("from")?.unwrap_or(Status::Pending);
    let next = own_path(form.get("next").unwrap_or_default());
    match review::decide(&app, &session.actor, id, wish, (Version(version), from)).await {
        Ok(decided) => {
            let did = decided.id.to_string();
            let mut response = redirect(&with_parameters(&next, &[("did", did.clone())]));
            set_cookie(
                &mut response,
                &own_cookie(&app, LAST, "/console", Some(&did)),
            );
            Ok(response)
        }
        // A late decision is not an error page: the queue goes on and says who was faster.
        Err(ReviewError::Conflict(_)) => {
            let late = left_parameters(&[(id, Version(version))]);
            Ok(redirect(&with_parameters(&next, &late)))
        }
        Err(error) => Err(problem(error)),
    }
}

async fn decide_many(
    State(app): State<App>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Form(form): Form,
) -> Result<Response, Problem> {
    session.check_csrf(&app, &headers, form.get("csrf").unwrap_or_default())?;
    let next = own_path(form.get("next").unwrap_or_default());
    let mut items = Vec::new();
    for item in form.all("item") {
        let read = item.split_once(':').and_then(|(id, version)| {
            Some((
                id.parse::<CommentId>().ok()?,
                Version(version.parse().ok()?),
            ))
        });
        items.push(read.ok_or_else(|| missing("item"))?);
    }
    if items.is_empty() {
        return Ok(redirect(&with_parameters(
            &next,
            &[("none", "1".to_owned())],
        )));
    }
    let bulk = review::decide_many(&app, &session.actor, items.clone(), read_wish(&form)?)
        .await
        .map_err(problem)?;
    let left: Vec<_> = items
        .into_iter()
        .filter(|(id, _)| {
            bulk.conflicts
                .iter()
                .any(|conflict| conflict.comment == *id)
        })
        .collect();
    let mut told = left_parameters(&left);
    if bulk.decided.is_empty() {
        return Ok(redirect(&with_parameters(&next, &told)));
    }
    let did = bulk.id.to_string();
    told.push(("did", did.clone()));
    let mut response = redirect(&with_parameters(&next, &told));
    set_cookie(
        &mut response,
        &own_cookie(&app, LAST, "/console", Some(&did)),
    );
    Ok(response)
}

/// Names what a decision left alone, with the text that was shown, for the page that comes next.
fn left_parameters(left: &[(CommentId, Version)]) -> Vec<(&'static str, String)> {
    if left.is_empty() {
        return Vec::new();
    }
    let mut parameters: Vec<_> = left
        .iter()
        .take(NAMED_AS_LEFT)
        .map(|(id, version)| ("late", format!("{id}:{}", version.0)))
        .collect();
    parameters.push(("left", left.len().to_string()));
    parameters
}

async fn undo(
    State(app): State<App>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Problem> {
    session.check_csrf(&app, &headers, form.get("csrf").unwrap_or_default())?;
    let next = own_path(form.get("next").unwrap_or_default());
    let id: Uuid = id
        .parse()
        .map_err(|_| Problem::not_found("There is no such decision."))?;
    let target = match review::undo(&app, &session.actor, id).await {
        Ok(undone) => {
            let n = undone.restored.len().to_string();
            with_parameters(&showing(&next, &undone.restored), &[("undone", n)])
        }
        Err(ReviewError::CannotUndo) => with_parameters(&next, &[("stands", "1".to_owned())]),
        Err(error) => return Err(problem(error)),
    };
    let mut response = redirect(&target);
    if cookie_of(&headers, LAST).is_some_and(|last| last == id.to_string()) {
        set_cookie(&mut response, &own_cookie(&app, LAST, "/console", None));
    }
    Ok(response)
}

/// The address `next`, with the first of the restored comments on the card: what was taken back is what one wants to see.
fn showing(next: &str, restored: &[CommentId]) -> String {
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    match restored {
        [first, ..] if path == "/console" => {
            let mut out = url::form_urlencoded::Serializer::new(String::new());
            for (known, text) in url::form_urlencoded::parse(query.as_bytes()) {
                if known != "item" {
                    out.append_pair(&known, &text);
                }
            }
            out.append_pair("item", &first.to_string());
            format!("{path}?{}", out.finish())
        }
        [only] if path.starts_with("/console/comments/") => case_path(*only),
        _ => next.to_owned(),
    }
}

async fn reveal(
    State(app): State<App>,
    State(limits): State<Arc<Limits>>,
    headers: HeaderMap,
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Problem> {
    session.check_csrf(&app, &headers, form.get("csrf").unwrap_or_default())?;
    let id = comment_id(&id)?;
    let reason = form.get("reason").unwrap_or_default().trim();
    let wrong = if reason.is_empty() {
        Some("Say in a few words why you need the address.".to_owned())
    } else if reason.chars().count() > REASON_CHARS {
        Some(format!(
            "A reason may have at most {REASON_CHARS} characters."
        ))
    } else {
        None
    };
    if wrong.is_some() && session.actor.moderator.can(Permission::Reveal) {
        let page = case_page(&app, &session, &headers, id, &Pairs::default()).await?;
        let page = CasePage {
            reason_note: wrong,
            ..page
        };
        return html(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    limits
        .reveals
        .take(session.actor.moderator.id.0.as_bytes())?;
    let address = review::reveal(&app, &session.actor, id, reason)
        .await
        .map_err(problem)?;
    // The page that shows it is one that can be loaded again without asking for the address again, so the address takes
    // its way there sealed, in a cookie, and in no URL.
    let sealed = seal_revealed(&app, &session, id, address.expose_secret())?;
    let mut response = redirect(&case_path(id));
    set_cookie(
        &mut response,
        &own_cookie(&app, REVEALED, &case_path(id), Some(&sealed)),
    );
    Ok(response)
}

fn seal_revealed(
    app: &App,
    session: &Session,
    id: CommentId,
    address: &str,
) -> Result<String, Problem> {
    let until = app.clock.now().plus(REVEAL_TRAVEL);
    let plain = format!("{} {address}", until.0);
    let sealed = app
        .keyring
        .seal(&revealed_to(session, id), plain.as_bytes());
    sealed
        .map(hex::encode)
        .map_err(|_| Problem::internal("sealing a revealed address"))
}

/// The address in the cookie, if it was revealed to this moderator, for this comment, just now.
fn open_revealed(app: &App, session: &Session, id: CommentId, sealed: &str) -> Option<String> {
    if !session.actor.moderator.can(Permission::Reveal) {
        return None;
    }
    let sealed = hex::decode(sealed).ok()?;
    let plain = app.keyring.open_sealed(&revealed_to(session, id), &sealed);
    let plain = String::from_utf8(plain.ok()?).ok()?;
    let (until, address) = plain.split_once(' ')?;
    let is_alive = app.clock.now() < Timestamp(until.parse().ok()?);
    is_alive.then(|| address.to_owned())
}

/// Where a revealed address belongs: to one comment on one moderator's page, so that the cookie is of use to nobody else.
fn revealed_to(session: &Session, id: CommentId) -> Place<'static> {
    Place {
        table: "cookie",
        column: REVEALED,
        site: SiteId(session.actor.moderator.id.0),
        row: id.0,
    }
}

async fn audit(
    State(app): State<App>,
    LoggedIn(session): LoggedIn,
    Query(query): Query,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let rows = review::audit_log(&app, &session.actor, query.read("cursor")?, LINES)
        .await
        .map_err(problem)?;
    let next_cursor = (rows.len() == usize::from(LINES))
        .then(|| rows.last().map(|row| row.seq.to_string()))
        .flatten();
    let entries = rows
        .into_iter()
        .map(|row| {
            let about_comment = matches!(row.action.as_str(), "decision" | "reveal");
            let details = row.data.0.as_object().into_iter().flatten();
            AuditLine {
                seq: row.seq,
                at: When::new(Timestamp(row.created_at), now),
                actor: row.actor,
                subject_href: about_comment.then(|| format!("/console/comments/{}", row.subject)),
                action: row.action,
                subject: row.subject,
                details: details
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| {
                        let text = value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned);
                        (name.clone(), text)
                    })
                    .collect(),
                hash: hex::encode(&row.hash),
            }
        })
        .collect();
    let page = AuditPage {
        shell: shell(&app, &session, Section::Audit, None).await?,
        entries,
        next_cursor,
        is_whole: None,
    };
    html(StatusCode::OK, &page)
}

async fn rules(State(app): State<App>, LoggedIn(session): LoggedIn) -> Result<Response, Problem> {
    if !session.actor.moderator.can(Permission::ReadRules) {
        return Err(Problem::new(Slug::Forbidden));
    }
    let now = app.clock.now();
    let set = app.rulebook.current();
    let state = app.rulebook.state();
    let line = |problem: &rulebook::Problem, is_error| RuleProblem {
        is_error,
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        message: problem.message.clone(),
        excerpt: problem.rendered.clone(),
        help: None,
    };
    let errors = state.errors.iter().map(|problem| line(problem, true));
    let warnings = state.warnings.iter().map(|problem| line(problem, false));
    let thresholds = set.thresholds("");
    let page = RulesPage {
        shell: shell(&app, &session, Section::Rules, None).await?,
        dir: app.rulebook.directory().display().to_string(),
        hash: set.hash().to_owned(),
        loaded: When::new(state.loaded_at, now),
        problems: errors.chain(warnings).collect(),
        thresholds: Label::ALL
            .into_iter()
            .map(|label| {
                let threshold = thresholds.0[label as usize];
                ThresholdLine {
                    label,
                    hold: threshold.hold,
                    reject: threshold.reject,
                }
            })
            .collect(),
        rules: set
            .rules()
            .iter()
            .map(|rule| RuleLine {
                id: rule.id.to_string(),
                title: rule.title.clone(),
                label: rule.label,
                effect: match &rule.effect {
                    Effect::Score { points, .. } => words::signed(*points),
                    Effect::Hard { action, .. } => format!("{}s", action.as_str()),
                },
                mode: match rule.mode {
                    crate::rules::Mode::Canary(share) => format!("canary {share} %"),
                    mode => mode.as_str().to_owned(),
                },
                source: format!("{}:{}", rule.source.0, rule.source.1),
                hits: None,
            })
            .collect(),
    };
    html(StatusCode::OK, &page)
}

async fn shell(
    app: &App,
    session: &Session,
    section: Section,
    notice: Option<Notice>,
) -> Result<Shell, Problem> {
    let choices = site_choices(app, session).await?;
    let state = app.rulebook.state();
    let warning = state.errors.first().map(|error| {
        let place = if error.line > 0 {
            format!("{}:{}:{}: ", error.file, error.line, error.column)
        } else {
            String::new()
        };
        format!(
            "The rule files have an error, so the rules loaded before stay in force. {place}{}",
            error.message
        )
    });
    Ok(Shell {
        nonce: String::new(),
        csrf: session.csrf(app),
        moderator: session.actor.moderator.name.clone(),
        role: session.actor.moderator.role,
        section,
        waiting: choices.iter().map(|site| site.waiting).sum(),
        warning,
        notice,
        last: None,
    })
}

/// The shell of a page where comments are decided: with the last decision at hand, until another one is made.
async fn desk(
    app: &App,
    session: &Session,
    headers: &HeaderMap,
    notice: Option<Notice>,
) -> Result<Shell, Problem> {
    let is_at_hand = matches!(notice, Some(Notice::Decided { undo: Some(_), .. }));
    let last = if is_at_hand {
        None
    } else {
        last_decision(app, session, headers).await?
    };
    Ok(Shell {
        last,
        ..shell(app, session, Section::Queue, notice).await?
    })
}

/// The decision that the cookie names, if it is this moderator's and can still be taken back.
async fn last_decision(
    app: &App,
    session: &Session,
    headers: &HeaderMap,
) -> Result<Option<Last>, Problem> {
    let Some(id) = cookie_of(headers, LAST).and_then(|id| id.parse::<Uuid>().ok()) else {
        return Ok(None);
    };
    let rows = app.store.batch(id).await.map_err(store_problem)?;
    let me = &session.actor.moderator;
    let is_mine = rows
        .iter()
        .all(|row| row.moderator_id == me.id.0 && me.works_at(SiteId(row.site_id)));
    if !is_mine || rows.iter().all(|row| row.undone_at.is_some()) {
        return Ok(None);
    }
    if let [only] = rows.as_slice() {
        let standing = app
            .store
            .standing(SiteId(only.site_id), CommentId(only.comment_id))
            .await
            .map_err(store_problem)?;
        let stands = standing.is_some_and(|standing| is_standing(only, &standing));
        if !stands {
            return Ok(None);
        }
    }
    let what = batch_words(app, &rows).await?;
    Ok(Some(Last {
        what,
        id: DecisionId(id),
    }))
}

/// True if the comment still stands as this decision left it.
fn is_standing(row: &DecisionRow, standing: &Standing) -> bool {
    row.undone_at.is_none()
        && standing.decided_at == Some(Timestamp(row.decided_at))
        && standing.version.0 == row.version
}

/// `Approved: Max Muster`, `3 comments rejected as spam`.
async fn batch_words(app: &App, rows: &[DecisionRow]) -> Result<String, Problem> {
    let Some(first) = rows.first() else {
        return Ok(String::new());
    };
    let words = decision_words(first);
    if rows.len() > 1 {
        let n = words::count(rows.len() as u64, "comment");
        return Ok(format!("{n} {words}"));
    }
    let face = app
        .store
        .face(SiteId(first.site_id), CommentId(first.comment_id))
        .await
        .map_err(store_problem)?;
    let name = face.and_then(|face| face.author_name);
    Ok(format!(
        "{}: {}",
        words::capitalised(&words),
        name.as_deref().unwrap_or(ERASED)
    ))
}

fn store_problem(error: StoreError) -> Problem {
    problem(error.into())
}

async fn site_choices(app: &App, session: &Session) -> Result<Vec<SiteChoice>, Problem> {
    let sites = review::sites_of(app, &session.actor, None).map_err(problem)?;
    let mut choices = Vec::with_capacity(sites.len());
    for site in sites {
        choices.push(SiteChoice {
            key: site.key.to_string(),
            name: site.name.clone(),
            waiting: waiting_at(app, &site).await?,
        });
    }
    Ok(choices)
}

async fn waiting_at(app: &App, site: &Site) -> Result<u64, Problem> {
    let counts = app.store.queue_counts(site.id).await;
    let counts = counts.map_err(|error| problem(error.into()))?;
    Ok(u64::try_from(counts.iter().map(|(_, n)| n).sum::<i64>()).unwrap_or(0))
}

/// What has just happened, as the address of the page says after a redirect.
async fn notice(app: &App, session: &Session, query: &Pairs) -> Result<Option<Notice>, Problem> {
    if let Some(id) = query.get("did").and_then(|id| id.parse().ok()) {
        let rows = app.store.batch(id).await.map_err(store_problem)?;
        let mine = |row: &DecisionRow| session.actor.moderator.works_at(SiteId(row.site_id));
        if rows.is_empty() || !rows.iter().all(mine) {
            return Ok(None);
        }
        let what = batch_words(app, &rows).await?;
        let left = left_alone(app, session, query).await?;
        let undo = rows
            .iter()
            .any(|row| row.undone_at.is_none())
            .then_some(DecisionId(id));
        return Ok(Some(Notice::Decided { what, undo, left }));
    }
    let left = left_alone(app, session, query).await?;
    if left.total > 0 {
        return Ok(Some(Notice::Conflict { left }));
    }
    if let Some(n) = query.get("undone").and_then(|n| n.parse::<u64>().ok()) {
        let what = format!("Taken back: {} as before", words::count(n, "comment"));
        return Ok(Some(Notice::Undone { what }));
    }
    if query.get("stands").is_some() {
        let what = "This decision cannot be taken back any more".to_owned();
        return Ok(Some(Notice::Failed { what }));
    }
    if query.get("none").is_some() {
        let what = "Tick some comments first".to_owned();
        return Ok(Some(Notice::Failed { what }));
    }
    Ok(None)
}

/// What a decision left alone, and why, as the address says after a redirect.
async fn left_alone(app: &App, session: &Session, query: &Pairs) -> Result<Left, Problem> {
    let mut lines = Vec::new();
    for late in query.all("late").take(NAMED_AS_LEFT) {
        let read = late
            .split_once(':')
            .and_then(|(id, version)| Some((id.parse().ok()?, Version(version.parse().ok()?))));
        let Some((id, shown)) = read else { continue };
        match review::detail(app, &session.actor, id).await {
            Ok(detail) => lines.push(LeftLine {
                id,
                why: why_left(&detail, shown, app.clock.now()),
                name: detail.face.author_name.unwrap_or_else(|| ERASED.to_owned()),
            }),
            Err(ReviewError::NotFound) => {}
            Err(error) => return Err(problem(error)),
        }
    }
    if lines.is_empty() {
        return Ok(Left::default());
    }
    let told: u64 = query.read("left").ok().flatten().unwrap_or(0);
    // The address may say anything: never fewer than are listed, nor more than can be decided at once.
    let total = told.clamp(lines.len() as u64, review::MAX_BATCH as u64);
    Ok(Left { lines, total })
}

fn why_left(detail: &Detail, shown: Version, now: Timestamp) -> String {
    let standing = &detail.standing;
    let decision = detail
        .decisions
        .iter()
        .rev()
        .find(|row| is_standing(row, standing));
    if standing.status == Status::Withdrawn {
        "its author took it back".to_owned()
    } else if let Some(row) = decision {
        let at = When::new(Timestamp(row.decided_at), now).words();
        format!("{} {} {at}", row.moderator, said(row, decided_this))
    } else if standing.version == shown {
        "it does not stand as it was shown".to_owned()
    } else {
        "its author changed the text".to_owned()
    }
}

fn read_wish(form: &Pairs) -> Result<Wish, Problem> {
    let choice = form.get("choice").and_then(read_choice);
    let (decision, label) = choice.ok_or_else(|| missing("choice"))?;
    let note = form
        .get("note")
        .map(str::trim)
        .filter(|note| !note.is_empty())
        .map(str::to_owned);
    Ok(Wish {
        decision,
        label,
        note,
    })
}

fn missing(field: &'static str) -> Problem {
    Problem::field(
        field,
        "invalid",
        "This part of the form is missing or damaged; load the page again.",
    )
}

fn comment_id(text: &str) -> Result<CommentId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("There is no comment with this id."))
}

fn read_or_default<T: std::str::FromStr + Default>(query: &Pairs, name: &str) -> T {
    query
        .get(name)
        .and_then(|word| word.parse().ok())
        .unwrap_or_default()
}

/// A path of the console; anything else would lead away from it.
fn own_path(next: &str) -> String {
    let own =
        (next == "/console" || next.starts_with("/console?") || next.starts_with("/console/"))
            && !next.contains(['\\', '\r', '\n'])
            && !next.contains("//");
    if own {
        next.to_owned()
    } else {
        "/console".to_owned()
    }
}

/// Adds what has just happened to an address, in place of what happened before.
fn with_parameters(path: &str, parameters: &[(&'static str, String)]) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (known, text) in url::form_urlencoded::parse(query.as_bytes()) {
        if !HAPPENINGS.contains(&&*known) {
            out.append_pair(&known, &text);
        }
    }
    for (name, value) in parameters {
        out.append_pair(name, value);
    }
    format!("{path}?{}", out.finish())
}

fn case_path(id: CommentId) -> String {
    format!("/console/comments/{id}")
}

fn no_such_page() -> Problem {
    Problem::field(
        "cursor",
        "invalid",
        "This page of the list cannot be found any more. The queue itself is still there.",
    )
}

/// A problem as a page of the console, with the way back to the queue.
pub(super) fn problem_page(problem: &Problem, request_id: &str) -> Option<Response> {
    let (_, status, title) = problem.slug.words();
    let told = match (&problem.slug, &problem.detail, problem.errors.first()) {
        (Slug::MethodNotAllowed, ..) => {
            "This address only takes what a form of the console sends. Nothing was changed."
        }
        (Slug::Forbidden, None, _) => "Your role does not include this. Nothing was changed.",
        (_, Some(detail), _) => detail.as_ref(),
        (_, None, Some(error)) => error.detail.as_ref(),
        (_, None, None) => "",
    };
    let page = ProblemPage {
        retry_after_s: problem.retry_after.map(|wait| wait.as_secs().max(1)),
        request_id: Some(request_id.to_owned()),
        back: Some(BackTo {
            href: "/console".to_owned(),
            title: "the queue".to_owned(),
        }),
        ..ProblemPage::new(status, title, told)
    };
    page.render().ok().map(|text| Html(text).into_response())
}

fn entered(app: &App, token: &str, next: &str) -> Response {
    let mut response = redirect(next);
    set_cookie(&mut response, &session_cookie(app, token));
    response
}

fn redirect(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path);
    response.headers_mut().insert(
        LOCATION,
        location.unwrap_or(HeaderValue::from_static("/console")),
    );
    response
}

fn set_cookie(response: &mut Response, cookie: &str) {
    // Its parts are our own hex and names, so it always is a header's value.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

fn html(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let text = page
        .render()
        .map_err(|error| Problem::internal(format!("template: {error}")))?;
    Ok((status, Html(text)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_away_from_the_console() {
        let away = [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/console//x",
            "/demo",
            "",
        ];
        for path in away {
            assert_eq!(own_path(path), "/console", "{path}");
        }
        assert_eq!(own_path("/console?order=oldest"), "/console?order=oldest");
        assert_eq!(own_path("/console/audit"), "/console/audit");
    }

    #[test]
    fn only_the_last_happening_is_told() {
        let before = "/console?order=oldest&did=1&late=2&left=1";
        let once = with_parameters(before, &[("undone", "3".to_owned())]);
        assert_eq!(once, "/console?order=oldest&undone=3");
    }

    #[test]
    fn what_was_taken_back_is_shown_where_one_is() {
        let one = CommentId(Uuid::from_u128(1));
        let two = CommentId(Uuid::from_u128(2));
        for (next, restored, expected) in [
            (
                "/console?label=spam&item=x",
                vec![one, two],
                format!("/console?label=spam&item={one}"),
            ),
            ("/console", vec![one], format!("/console?item={one}")),
            (
                "/console/comments/x?did=1",
                vec![one],
                format!("/console/comments/{one}"),
            ),
            (
                "/console/comments/x",
                vec![one, two],
                "/console/comments/x".to_owned(),
            ),
            ("/console/audit", vec![one], "/console/audit".to_owned()),
        ] {
            assert_eq!(showing(next, &restored), expected);
        }
    }
}
