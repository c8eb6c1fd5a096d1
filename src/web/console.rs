//! The console: the moderators' work as pages, over the same use cases as their API.
//!
//! Invariant: a page changes nothing unless it is posted from a page of the same session.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use secrecy::SecretString;
use uuid::Uuid;

use super::avatar;
use super::extract::{Form, Pairs, Path, Query};
use super::front::Arrived;
use super::limits::Limits;
use super::moderate::{problem, read_cursor, write_cursor};
use super::pages::card::{Appeal, Author, Claim, Decided, Post, Quoted, Report, Written, decided};
use super::pages::console::{
    AuditLine, Notice, QueueFilter, QueueRow, RuleLine, RuleProblem, Section, SiteChoice,
    ThresholdLine, read_choice,
};
use super::pages::reader::{BackTo, ProblemPage};
use super::pages::{
    AuditPage, Case, CasePage, FieldNote, LoginPage, QueuePage, RulesPage, SetupPage, Shell,
    Template, VerdictView, When, words,
};
use super::problem::{Problem, Slug};
use super::session::{
    LoggedIn, Session, check_origin, no_session_cookie, problem as account_problem, session_cookie,
};
use crate::app::accounts::{self, AccountError};
use crate::app::review::{self, Detail, QueueQuery, ReviewError, Wish};
use crate::app::{App, rulebook};
use crate::domain::{
    AuthorId, CommentId, DecisionId, Label, Permission, Site, Status, Thresholds, Timestamp,
    Version,
};
use crate::rules::{Effect, wire};
use crate::seal::password;
use crate::store::comments::JudgedVersion;
use crate::store::reviews::{DecisionRow, QueueFilter as StoreFilter, QueueRow as StoredRow};

/// Items on a page of the list.
const ROWS: u16 = 30;
/// Lines on a page of the audit log.
const LINES: u16 = 50;

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
    Ok(response)
}

async fn queue(
    State(app): State<App>,
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
    let ask = QueueQuery {
        site: filter.site.clone(),
        order: filter.order,
        filter: StoreFilter {
            label: filter.label,
            rule: filter.rule.clone(),
            text: Some(filter.q.clone()).filter(|q| !q.is_empty()),
        },
        limit: ROWS,
        from: cursor
            .as_deref()
            .map(read_cursor)
            .transpose()
            .map_err(|_| no_such_page())?,
    };
    let actor = &session.actor;
    let page = review::queue(&app, actor, &ask).await.map_err(problem)?;
    let shell = shell(
        &app,
        &session,
        Section::Queue,
        notice(&app, &session, &query).await?,
    )
    .await?;
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
        next_cursor: page.next.map(write_cursor),
    };
    html(StatusCode::OK, &queue)
}

fn list_row(app: &App, row: StoredRow, me: &str, now: Timestamp) -> QueueRow {
    let name = row
        .author_name
        .clone()
        .unwrap_or_else(|| "(erased)".to_owned());
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
            crate::domain::SiteId(row.site_id),
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
        .unwrap_or_else(|| "(erased)".to_owned());
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
                    .unwrap_or_else(|| "(erased)".to_owned()),
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
    LoggedIn(session): LoggedIn,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<Response, Problem> {
    let notice = notice(&app, &session, &query).await?;
    case_page(&app, &session, comment_id(&id)?, notice, None).await
}

async fn case_page(
    app: &App,
    session: &Session,
    id: CommentId,
    notice: Option<Notice>,
    revealed: Option<String>,
) -> Result<Response, Problem> {
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
        revealed,
        shell: shell(app, session, Section::Queue, notice).await?,
        case: case_of(app, detail, now),
    };
    html(StatusCode::OK, &page)
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
    let label = row.label.as_deref().and_then(|label| label.parse().ok());
    row.decision.parse().map_or_else(
        |_| row.decision.clone(),
        |decision| decided(decision, label),
    )
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
        Ok(decided) => Ok(redirect(&with_parameter(
            &next,
            "did",
            &decided.id.to_string(),
        ))),
        // A late decision is not an error page: the queue goes on and says who was faster.
        Err(ReviewError::Conflict(_)) => {
            Ok(redirect(&with_parameter(&next, "late", &id.to_string())))
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
        return Ok(redirect(&with_parameter(&next, "none", "1")));
    }
    let bulk = review::decide_many(&app, &session.actor, items, read_wish(&form)?)
        .await
        .map_err(problem)?;
    if bulk.decided.is_empty() {
        let late = bulk
            .conflicts
            .first()
            .map(|conflict| conflict.comment.to_string());
        return Ok(redirect(&with_parameter(
            &next,
            "late",
            &late.unwrap_or_default(),
        )));
    }
    Ok(redirect(&with_parameter(
        &next,
        "did",
        &bulk.id.to_string(),
    )))
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
    match review::undo(&app, &session.actor, id).await {
        Ok(undone) => {
            let n = undone.restored.len().to_string();
            Ok(redirect(&with_parameter(&next, "undone", &n)))
        }
        Err(ReviewError::CannotUndo) => Ok(redirect(&with_parameter(&next, "stands", "1"))),
        Err(error) => Err(problem(error)),
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
    let reason = form.get("reason").unwrap_or_default();
    limits
        .reveals
        .take(session.actor.moderator.id.0.as_bytes())?;
    let address = match review::reveal(&app, &session.actor, id, reason).await {
        Ok(address) => address,
        Err(ReviewError::Invalid(what)) => {
            let notice = Notice::Failed {
                what: what.to_owned(),
            };
            return case_page(&app, &session, id, Some(notice), None).await;
        }
        Err(error) => return Err(problem(error)),
    };
    let address = secrecy::ExposeSecret::expose_secret(&address).to_owned();
    case_page(&app, &session, id, None, Some(address)).await
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
    })
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
        let rows = app
            .store
            .batch(id)
            .await
            .map_err(|error| problem(error.into()))?;
        let mine = |row: &DecisionRow| {
            session
                .actor
                .moderator
                .works_at(crate::domain::SiteId(row.site_id))
        };
        let Some(first) = rows.first().filter(|_| rows.iter().all(mine)) else {
            return Ok(None);
        };
        let what = match rows.len() {
            1 => sentence(&decision_words(first)),
            n => format!("{n} comments {}", decision_words(first)),
        };
        let undo = rows
            .iter()
            .any(|row| row.undone_at.is_none())
            .then_some(DecisionId(id));
        return Ok(Some(Notice::Decided { what, undo }));
    }
    if let Some(id) = query
        .get("late")
        .and_then(|id| id.parse::<CommentId>().ok())
    {
        let detail = match review::detail(app, &session.actor, id).await {
            Ok(detail) => detail,
            Err(ReviewError::NotFound) => return Ok(None),
            Err(error) => return Err(problem(error)),
        };
        let standing = detail
            .decisions
            .iter()
            .rev()
            .find(|row| row.undone_at.is_none());
        let what = match standing {
            Some(row) => {
                let at = When::new(Timestamp(row.decided_at), app.clock.now()).words();
                format!("{} {} this {at}", row.moderator, decision_words(row))
            }
            None => "The author changed this comment in the meantime".to_owned(),
        };
        return Ok(Some(Notice::Conflict { what, id }));
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

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
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
fn with_parameter(path: &str, name: &str, value: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (known, text) in url::form_urlencoded::parse(query.as_bytes()) {
        if !matches!(&*known, "did" | "late" | "undone" | "stands" | "none") {
            out.append_pair(&known, &text);
        }
    }
    out.append_pair(name, value);
    format!("{path}?{}", out.finish())
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
            title: "Back to the queue".to_owned(),
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
        let once = with_parameter("/console?order=oldest&did=1", "undone", "3");
        assert_eq!(once, "/console?order=oldest&undone=3");
    }
}
