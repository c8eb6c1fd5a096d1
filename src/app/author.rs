//! What the author of a comment can do with its receipt: see where it stands, edit, withdraw, appeal; and what any reader
//! can do: report.

use std::net::IpAddr;
use std::sync::Arc;

use super::judge::{Case, Judged, judge};
use super::submit::{Answer, Face};
use super::{App, Fault, complete, gather, new_id};
use crate::domain::author::Wrong;
use crate::domain::submission::parse_body;
use crate::domain::{AuthorId, CommentId, FieldError, Label, Outcome, Site, Status, Timestamp};
use crate::rules::{FactId, Value};
use crate::seal::Place;
use crate::store::StoreError;
use crate::store::comments::{Change, CommentFace, Happened, JudgedVersion, Standing};
use crate::text::links;

/// Networks that must report a published comment before a person looks at it again.
const REPORTS_TO_REVIEW: i64 = 3;
/// The longest report, in bytes.
const REPORT_BYTES: usize = 2000;

/// A comment as its author may see it.
#[derive(Clone, Debug)]
pub struct OwnComment {
    /// Identity.
    pub id: CommentId,
    /// Where it is said to stand.
    pub status: Status,
    /// The class of reason, once a rejection is told.
    pub label: Option<Label>,
    /// What the deciding rule lets the author read, once a rejection is told.
    pub reply: Option<String>,
    /// The latest text's number.
    pub version: i64,
    /// The number of the text that readers see.
    pub public_version: Option<i64>,
    /// The text that readers see, if it is not the latest.
    pub public_body: Option<String>,
    /// The latest text, while readers still see an earlier one.
    pub edit: Option<OwnEdit>,
    /// Until when it can be edited.
    pub edit_until: Timestamp,
    /// It can be edited now.
    pub can_edit: bool,
    /// An appeal can be made now.
    pub can_appeal: bool,
    /// The latest text, and the rest of what readers would see.
    pub face: Face,
    /// Key of the site.
    pub site_key: String,
    /// Title of the post.
    pub thread_title: Option<String>,
    /// Address of the post.
    pub thread_url: Option<String>,
}

/// A change of a public comment that readers do not see, as its author may see it.
#[derive(Clone, Debug)]
pub struct OwnEdit {
    /// Number of the new text.
    pub version: i64,
    /// Where it is said to stand: pending or rejected.
    pub status: Status,
    /// The class of reason, once a rejection is told.
    pub label: Option<Label>,
    /// What the deciding rule lets the author read, once a rejection is told.
    pub reply: Option<String>,
    /// The new text.
    pub body: String,
}

/// Why something could not be done with a comment.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// There is no such comment, or the receipt is not its own. Nobody is told which.
    #[error("there is no such comment for this receipt")]
    NotFound,
    /// Fields are wrong.
    #[error("{} fields are wrong", .0.len())]
    Fields(Vec<FieldError>),
    /// The time for edits is over, or the comment was withdrawn.
    #[error("the comment can no longer be edited")]
    EditClosed,
    /// There is nothing to appeal against, or there was an appeal.
    #[error("there is nothing to appeal against, or an appeal was made before")]
    NoAppeal,
    /// It changed in the same moment.
    #[error("the comment changed in the same moment; try again")]
    Conflict,
    /// Not the caller's fault.
    #[error("the comment could not be changed")]
    Fault(#[from] Fault),
}

impl From<StoreError> for AuthorError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            error => Self::Fault(Fault::Store(error)),
        }
    }
}

/// The comment `id` for the holder of `receipt`.
///
/// # Errors
/// [`AuthorError::NotFound`] if the receipt is not its own.
pub async fn view(app: &App, id: CommentId, receipt: &str) -> Result<OwnComment, AuthorError> {
    let site = authorise(app, id, receipt).await?;
    view_at(app, &site, id).await
}

async fn view_at(app: &App, site: &Site, id: CommentId) -> Result<OwnComment, AuthorError> {
    let now = app.clock.now();
    let standing = app
        .store
        .standing(site.id, id)
        .await?
        .ok_or(AuthorError::NotFound)?;
    let face = app
        .store
        .face(site.id, id)
        .await?
        .ok_or(AuthorError::NotFound)?;
    let mut versions = app.store.versions(site.id, id).await?;
    let latest = versions.pop().ok_or(AuthorError::NotFound)?;
    let public = standing.public_version;
    let public_body = versions
        .into_iter()
        .find(|version| public.is_some_and(|public| public.0 == version.version))
        .map(|version| version.body);
    let appealed = app.store.appeal(site.id, id).await?.is_some();
    let mut own = own_comment(app, &standing, face, latest, appealed, now);
    own.public_body = public_body;
    Ok(own)
}

fn own_comment(
    app: &App,
    standing: &Standing,
    face: CommentFace,
    latest: JudgedVersion,
    appealed: bool,
    now: Timestamp,
) -> OwnComment {
    let told = told_status(standing, now);
    let rejected = told == Status::Rejected;
    let edit = own_edit(standing, &latest, now);
    let name = face.author_name.clone().unwrap_or_default();
    OwnComment {
        id: standing.id,
        status: told,
        label: standing.label.filter(|_| rejected),
        reply: latest
            .reply
            .filter(|_| rejected && latest.outcome == Outcome::Reject.as_str()),
        version: standing.version.0,
        public_version: standing.public_version.map(|version| version.0),
        public_body: None,
        edit,
        edit_until: standing.edit_until,
        can_edit: can_edit(standing, now),
        can_appeal: rejected && !appealed,
        face: Face {
            avatar_seed: app.avatar_seed(
                standing.site,
                face.author_proven.then_some(AuthorId(standing.author)),
                (&face.thread_key, &name),
            ),
            thread: face.thread_key,
            parent: face.parent_id.map(CommentId),
            name: face.author_name,
            website: face.author_url,
            body: latest.body,
            created_at: standing.created_at,
            edited_at: face.edited_at.map(Timestamp),
            depth: face.depth,
        },
        site_key: face.site_key,
        thread_title: face.thread_title,
        thread_url: face.thread_url,
    }
}

/// The change that readers do not see. A quiet refusal of it reads as waiting for a while, as that of a comment does.
fn own_edit(standing: &Standing, latest: &JudgedVersion, now: Timestamp) -> Option<OwnEdit> {
    if !hides_latest(standing) {
        return None;
    }
    let refused = latest.outcome == Outcome::Reject.as_str();
    let is_told = refused && !is_quiet(standing, now);
    Some(OwnEdit {
        version: latest.version,
        status: if is_told {
            Status::Rejected
        } else {
            Status::Pending
        },
        label: latest
            .label
            .as_deref()
            .filter(|_| is_told)
            .and_then(|label| label.parse().ok()),
        reply: latest.reply.clone().filter(|_| is_told),
        body: latest.body.clone(),
    })
}

/// Where the author is told that the comment stands: a quiet rejection reads as waiting for a while, that of a change as
/// well, for a change that does wait reads like that.
fn told_status(standing: &Standing, now: Timestamp) -> Status {
    let is_refused = standing.status == Status::Rejected || hides_latest(standing);
    if is_refused && is_quiet(standing, now) {
        Status::Pending
    } else {
        standing.status
    }
}

/// Whether readers see an earlier text than the latest.
fn hides_latest(standing: &Standing) -> bool {
    standing
        .public_version
        .is_some_and(|public| public != standing.version)
}

fn is_quiet(standing: &Standing, now: Timestamp) -> bool {
    standing.quiet_until.is_some_and(|until| now < until)
}

fn can_edit(standing: &Standing, now: Timestamp) -> bool {
    now < standing.edit_until
        && standing.status != Status::Withdrawn
        && !(told_status(standing, now) == Status::Rejected && standing.decided_at.is_some())
}

/// Replaces the text: version n+1, through the filters again. A held or rejected edit leaves the approved version public.
///
/// # Errors
/// See [`AuthorError`].
pub async fn edit(
    app: &App,
    id: CommentId,
    receipt: &str,
    body: String,
) -> Result<(OwnComment, Answer), AuthorError> {
    let site = authorise(app, id, receipt).await?;
    let now = app.clock.now();
    let body = parse_body(body, app.settings.limits.body_bytes).map_err(|wrong| {
        AuthorError::Fields(vec![FieldError {
            field: "body",
            wrong,
        }])
    })?;
    let standing = app
        .store
        .standing(site.id, id)
        .await?
        .ok_or(AuthorError::NotFound)?;
    if !can_edit(&standing, now) {
        return Err(AuthorError::EditClosed);
    }
    let face = app
        .store
        .face(site.id, id)
        .await?
        .ok_or(AuthorError::NotFound)?;
    let before = app
        .store
        .versions(site.id, id)
        .await?
        .into_iter()
        .next_back();
    let old_body = before.map_or_else(String::new, |version| version.body);
    let case = edit_case(app, &site, (&standing, &face), &old_body, body.clone(), now).await;
    let judged = judge(app, case).await;
    let answer = match app.settings.answer_to(&judged) {
        Status::Approved if standing_after(&standing, &judged).0 == Status::Approved => {
            Answer::Published
        }
        Status::Rejected => Answer::Rejected {
            label: judged.verdict.label,
            reply: judged.reply(),
        },
        _ => Answer::Waiting,
    };
    let quiet = judged.verdict.outcome == Outcome::Reject && answer == Answer::Waiting;
    let quiet_until = quiet.then(|| now.plus(app.settings.replies.quiet_for));
    let told_refused = matches!(answer, Answer::Rejected { .. });
    let own = app.clone();
    let own_site = Arc::clone(&site);
    complete(async move {
        let app = own;
        let mut tx = app.store.begin().await?;
        let row = judged.to_row(
            &app,
            &Place {
                table: "verdict",
                column: "facts_sealed",
                site: own_site.id,
                row: id.0,
            },
        )?;
        let (status, public_version) = standing_after(&standing, &judged);
        let published = public_version == Some(standing.version.next());
        let change = Change {
            status,
            version: standing.version.next(),
            public_version,
            label: if status == Status::Approved {
                None
            } else {
                judged.verdict.label.or(standing.label)
            },
            risk: judged.risk(),
            // Who has just been told that this text is refused must not read later that it waits.
            quiet_until: if told_refused {
                None
            } else {
                quiet_until.or(standing.quiet_until)
            },
            edited_at: published.then_some(now),
            ..Change::from(&standing)
        };
        let happened = Happened {
            kind: "edited",
            at: now,
            event_id: new_id(now)?,
        };
        tx.change_one(&standing, &change, &happened).await?;
        tx.add_version(own_site.id, id, change.version, &body, &row, now)
            .await?;
        tx.commit().await?;
        app.threads.forget(own_site.id, &face.thread_key);
        Ok::<_, AuthorError>(())
    })
    .await?;
    let own = view_at(app, &site, id).await?;
    Ok((own, answer))
}

/// Where a comment stands after an edit, and which text readers see.
///
/// What a person decided stays decided: an edit cannot lift a rejection or a hold. Nor can an edit that the filters
/// reject hide what was approved.
fn standing_after(
    standing: &Standing,
    judged: &Judged,
) -> (Status, Option<crate::domain::Version>) {
    let edited = Some(standing.version.next());
    let public = standing.public_version;
    let held_by_person = standing.decided_at.is_some() && standing.status != Status::Approved;
    match judged.verdict.outcome {
        Outcome::Approve if !held_by_person => (Status::Approved, edited),
        Outcome::Hold if !(held_by_person && standing.status == Status::Rejected) => {
            (Status::Pending, public)
        }
        Outcome::Reject if public.is_none() => (Status::Rejected, None),
        Outcome::Approve | Outcome::Hold | Outcome::Reject => (standing.status, public),
    }
}

async fn edit_case(
    app: &App,
    site: &Site,
    (standing, face): (&Standing, &CommentFace),
    old_body: &str,
    body: String,
    now: Timestamp,
) -> Case {
    let (mut facts, signals) = gather::edit_facts(app, standing, face, now).await;
    facts.set(FactId::EditIsEdit, Value::Bool(true));
    let n_links = |text: &str| links::find(text).len();
    facts.set(
        FactId::EditAddsLink,
        Value::Bool(n_links(&body) > n_links(old_body)),
    );
    Case {
        site: site.key.as_str().into(),
        body,
        name: face.author_name.clone().unwrap_or_default(),
        url: face.author_url.clone().unwrap_or_default(),
        facts,
        facts_missing: signals.is_none(),
    }
}

/// Takes a comment back. Taking it back again changes nothing.
///
/// # Errors
/// See [`AuthorError`].
pub async fn withdraw(app: &App, id: CommentId, receipt: &str) -> Result<(), AuthorError> {
    let site = authorise(app, id, receipt).await?;
    let now = app.clock.now();
    let app = app.clone();
    complete(async move {
        let mut tx = app.store.begin().await?;
        let standing = tx
            .standing(site.id, id)
            .await?
            .ok_or(AuthorError::NotFound)?;
        if standing.status == Status::Withdrawn {
            return Ok(());
        }
        let change = Change {
            status: Status::Withdrawn,
            public_version: None,
            ..Change::from(&standing)
        };
        let happened = Happened {
            kind: "withdrawn",
            at: now,
            event_id: new_id(now)?,
        };
        tx.change_one(&standing, &change, &happened).await?;
        tx.release_duplicate_marks(site.id, id).await?;
        tx.commit().await?;
        forget_thread(&app, &site, id).await?;
        Ok(())
    })
    .await
}

/// Asks for a second look at a rejection, once.
///
/// # Errors
/// See [`AuthorError`].
pub async fn appeal(
    app: &App,
    id: CommentId,
    receipt: &str,
    text: String,
) -> Result<OwnComment, AuthorError> {
    let site = authorise(app, id, receipt).await?;
    let now = app.clock.now();
    let text = parse_body(text, app.settings.limits.body_bytes).map_err(|wrong| {
        AuthorError::Fields(vec![FieldError {
            field: "text",
            wrong,
        }])
    })?;
    let (own, own_site) = (app.clone(), Arc::clone(&site));
    complete(async move {
        let (app, site) = (own, own_site);
        let mut tx = app.store.begin().await?;
        let standing = tx
            .standing(site.id, id)
            .await?
            .ok_or(AuthorError::NotFound)?;
        if told_status(&standing, now) != Status::Rejected
            || !tx.add_appeal(site.id, id, &text, now).await?
        {
            return Err(AuthorError::NoAppeal);
        }
        let change = Change {
            status: Status::Pending,
            quiet_until: None,
            ..Change::from(&standing)
        };
        let happened = Happened {
            kind: "appealed",
            at: now,
            event_id: new_id(now)?,
        };
        tx.change_one(&standing, &change, &happened).await?;
        tx.commit().await?;
        Ok(())
    })
    .await?;
    view_at(app, &site, id).await
}

/// Takes a reader's report of a published comment. Enough of them bring it before a person; it stays public meanwhile.
/// A second report from the same network and day changes nothing.
///
/// # Errors
/// [`AuthorError::NotFound`] if it is not published; [`AuthorError::Fields`] if the reason is blank or too long.
pub async fn report(
    app: &App,
    id: CommentId,
    reason: String,
    ip: Option<IpAddr>,
) -> Result<(), AuthorError> {
    let field = |wrong: Wrong| {
        AuthorError::Fields(vec![FieldError {
            field: "reason",
            wrong,
        }])
    };
    let reason = parse_body(reason, REPORT_BYTES).map_err(field)?;
    let now = app.clock.now();
    let site = site_of(app, id).await?;
    let app = app.clone();
    complete(async move {
        let mut tx = app.store.begin().await?;
        let standing = tx
            .standing(site.id, id)
            .await?
            .ok_or(AuthorError::NotFound)?;
        if standing.public_version.is_none() {
            return Err(AuthorError::NotFound);
        }
        let network = app.keyring.network_mark(site.id, ip, now);
        if !tx.add_report(site.id, id, &network, &reason, now).await? {
            return Ok(());
        }
        let reports = tx.report_count(site.id, id).await?;
        let untouched = standing.status == Status::Approved && standing.decided_at.is_none();
        if untouched && reports >= REPORTS_TO_REVIEW {
            let change = Change {
                status: Status::Pending,
                ..Change::from(&standing)
            };
            let happened = Happened {
                kind: "reported",
                at: now,
                event_id: new_id(now)?,
            };
            tx.change_one(&standing, &change, &happened).await?;
        }
        tx.commit().await?;
        Ok(())
    })
    .await
}

async fn authorise(app: &App, id: CommentId, receipt: &str) -> Result<Arc<Site>, AuthorError> {
    if app.keyring.verify_receipt(receipt) != Some(id) {
        return Err(AuthorError::NotFound);
    }
    site_of(app, id).await
}

/// The enabled site of a comment.
async fn site_of(app: &App, id: CommentId) -> Result<Arc<Site>, AuthorError> {
    let site = app.store.site_of(id).await?.ok_or(AuthorError::NotFound)?;
    let sites = app.sites.current();
    let site = sites.by_id(site).filter(|site| site.disabled_at.is_none());
    site.cloned().ok_or(AuthorError::NotFound)
}

async fn forget_thread(app: &App, site: &Site, id: CommentId) -> Result<(), StoreError> {
    if let Some(face) = app.store.face(site.id, id).await? {
        app.threads.forget(site.id, &face.thread_key);
    }
    Ok(())
}
