//! What moderators do: read the queue, claim, decide, take back.
//!
//! Invariant: a decision is made on the version and status that was shown, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{App, Fault, Reply, complete, new_id};
use crate::domain::review::LEASE;
use crate::domain::{
    Actor, BatchId, CommentId, Decision, DecisionId, Label, Lease, Permission, QueueOrder, Site,
    SiteId, Status, Timestamp, Version,
};
use crate::store::comments::{Change, CommentFace, Happened, JudgedVersion, Standing};
use crate::store::journal::{AuditEntry, AuditRow};
use crate::store::reviews::{self, Before, DecisionRow, NewDecision, Place, QueueFilter, QueueRow};
use crate::store::tally::Tally;
use crate::store::{StoreError, Tx};

/// Items a page can hold.
pub const MAX_PAGE: u16 = 100;
/// Items one bulk decision can hold.
pub const MAX_BATCH: usize = 1000;
/// Matches of a filtered queue are counted up to here.
const COUNTED: i64 = 1000;
/// The longest note, in bytes.
const NOTE_BYTES: usize = 2000;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is no such comment, site or decision for this person.
    #[error("there is no such comment, site or decision")]
    NotFound,
    /// This person may not do that.
    #[error("not allowed")]
    Forbidden,
    /// Another decision, or an edit, came first.
    #[error("the comment does not stand as it was shown")]
    Conflict(Box<Standoff>),
    /// A decision was taken back before, or something happened to the comment since.
    #[error("the decision cannot be taken back any more")]
    CannotUndo,
    /// A rejection needs a label; the others have none.
    #[error("{what}")]
    Invalid {
        /// Which part of the request.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Not the caller's fault.
    #[error("the decision could not be stored")]
    Fault(#[from] Fault),
}

impl From<StoreError> for ReviewError {
    fn from(error: StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

/// How a comment stands when a decision came too late.
#[derive(Clone, Debug)]
pub struct Standoff {
    /// The comment.
    pub comment: CommentId,
    /// Where it stands.
    pub status: Status,
    /// Its latest text.
    pub version: Version,
    /// The standing decision, if a person made one.
    pub decision: Option<DecisionRow>,
}

/// A page of the queue.
#[derive(Debug)]
pub struct QueuePage {
    /// Items with their sites.
    pub items: Vec<(Arc<Site>, QueueRow)>,
    /// Where the next page starts.
    pub next: Option<Place>,
    /// Items that match.
    pub total: i64,
    /// `total` stopped counting there.
    pub total_is_least: bool,
    /// When the longest-waiting item arrived.
    pub oldest: Option<Timestamp>,
}

/// What a moderator asks of the queue.
#[derive(Clone, Debug, Default)]
pub struct QueueQuery {
    /// One site, or all of the moderator's.
    pub site: Option<String>,
    /// Order.
    pub order: QueueOrder,
    /// Which items.
    pub filter: QueueFilter,
    /// 1 to [`MAX_PAGE`].
    pub limit: u16,
    /// After this item.
    pub from: Option<Place>,
}

/// The sites a person works at, or the one they name.
///
/// # Errors
/// [`ReviewError::NotFound`] if the named site is not theirs.
pub fn sites_of(
    app: &App,
    actor: &Actor,
    named: Option<&str>,
) -> Result<Vec<Arc<Site>>, ReviewError> {
    let sites = app.sites.current();
    let mine: Vec<Arc<Site>> = sites
        .all()
        .into_iter()
        .filter(|site| actor.moderator.works_at(site.id))
        .filter(|site| named.is_none_or(|key| site.key.as_str() == key))
        .cloned()
        .collect();
    if named.is_some() && mine.is_empty() {
        return Err(ReviewError::NotFound);
    }
    Ok(mine)
}

/// A page of the queue over one site or all of the moderator's, merged in order.
///
/// # Errors
/// See [`ReviewError`].
pub async fn queue(app: &App, actor: &Actor, query: &QueueQuery) -> Result<QueuePage, ReviewError> {
    require(actor, Permission::Moderate)?;
    let sites = sites_of(app, actor, query.site.as_deref())?;
    let from = query.from.unwrap_or_else(|| reviews::start(query.order));
    let limit = usize::from(query.limit.clamp(1, MAX_PAGE));
    let unfiltered = query.filter.rule.is_none() && query.filter.text.is_none();
    let mut page = QueuePage {
        items: Vec::new(),
        next: None,
        total: 0,
        total_is_least: false,
        oldest: None,
    };
    for site in sites {
        let counts = app.store.queue_counts(site.id).await?;
        let pending: i64 = counts
            .iter()
            .filter(|(label, _)| {
                query
                    .filter
                    .label
                    .is_none_or(|wanted| wanted.as_str() == label)
            })
            .map(|(_, n)| n)
            .sum();
        if pending == 0 {
            continue;
        }
        if unfiltered {
            page.total += pending;
        } else {
            let matching = app
                .store
                .queue_matches(site.id, &query.filter, COUNTED)
                .await?;
            page.total += matching;
            page.total_is_least |= matching == COUNTED;
        }
        let oldest = app.store.oldest_pending(site.id).await?;
        page.oldest = match (page.oldest, oldest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = app
            .store
            .queue(site.id, query.order, from, &query.filter, wanted)
            .await?;
        page.items
            .extend(rows.into_iter().map(|row| (Arc::clone(&site), row)));
    }
    sort(&mut page.items, query.order);
    let more = page.items.len() > limit;
    page.items.truncate(limit);
    page.next = page
        .items
        .last()
        .filter(|_| more)
        .map(|(_, row)| place(row, query.order));
    Ok(page)
}

fn sort(items: &mut [(Arc<Site>, QueueRow)], order: QueueOrder) {
    items.sort_by(|(_, a), (_, b)| match order {
        QueueOrder::Risk => b.risk.total_cmp(&a.risk).then(b.id.cmp(&a.id)),
        QueueOrder::Reports => b.reports.cmp(&a.reports).then(b.id.cmp(&a.id)),
        QueueOrder::Oldest => a.id.cmp(&b.id),
        QueueOrder::Newest => b.id.cmp(&a.id),
    });
}

fn place(row: &QueueRow, order: QueueOrder) -> Place {
    #[expect(clippy::cast_precision_loss, reason = "a number of reports")]
    let key = match order {
        QueueOrder::Risk => row.risk,
        QueueOrder::Reports => row.reports as f64,
        QueueOrder::Oldest | QueueOrder::Newest => 0.0,
    };
    Place { key, id: row.id }
}

/// Leases items to the caller for ten minutes; items already theirs are leased again.
///
/// # Errors
/// See [`ReviewError`].
pub async fn claim(
    app: &App,
    actor: &Actor,
    site: Option<&str>,
    limit: u16,
    order: QueueOrder,
) -> Result<Vec<(Arc<Site>, QueueRow)>, ReviewError> {
    require(actor, Permission::Moderate)?;
    let sites = sites_of(app, actor, site)?;
    let now = app.clock.now();
    let (app, by) = (app.clone(), actor.moderator.id);
    complete(async move {
        let limit = usize::from(limit.clamp(1, MAX_PAGE));
        let mut claimed = Vec::new();
        for site in sites {
            let left = i64::try_from(limit - claimed.len()).unwrap_or(0);
            if left == 0 {
                break;
            }
            let mut tx = app.store.begin().await?;
            let ids = tx
                .claim(site.id, by, order, left, now, now.plus(LEASE))
                .await?;
            tx.commit().await?;
            for id in ids {
                if let Some(row) = app.store.queue_row(site.id, CommentId(id)).await? {
                    claimed.push((Arc::clone(&site), row));
                }
            }
        }
        sort(&mut claimed, order);
        Ok(claimed)
    })
    .await
}

/// Gives leases back; returns how many ended.
///
/// # Errors
/// See [`ReviewError`].
pub async fn release(app: &App, actor: &Actor, ids: &[CommentId]) -> Result<u64, ReviewError> {
    require(actor, Permission::Moderate)?;
    let mut by_site: BTreeMap<SiteId, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        let site = site_of(app, actor, *id).await?;
        by_site.entry(site.id).or_default().push(id.0);
    }
    let (app, by) = (app.clone(), actor.moderator.id);
    complete(async move {
        let mut released = 0;
        for (site, ids) in by_site {
            let mut tx = app.store.begin().await?;
            released += tx.release(site, by, &ids).await?;
            tx.commit().await?;
        }
        Ok(released)
    })
    .await
}

/// What a moderator wants to say of a comment.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What.
    pub decision: Decision,
    /// Why not; a rejection needs one, a hold may have one, an approval makes nothing of it.
    pub label: Option<Label>,
    /// For colleagues.
    pub note: Option<String>,
}

impl Wish {
    fn checked(mut self) -> Result<Self, ReviewError> {
        if self.decision == Decision::Reject && self.label.is_none() {
            return Err(ReviewError::Invalid {
                field: "label",
                what: "a rejection needs a label: spam, abuse, quality or policy",
            });
        }
        if self
            .note
            .as_ref()
            .is_some_and(|note| note.len() > NOTE_BYTES)
        {
            return Err(ReviewError::Invalid {
                field: "note",
                what: "a note may have at most 2000 bytes",
            });
        }
        if self.decision == Decision::Approve {
            self.label = None;
        }
        Ok(self)
    }
}

/// A decision that stands.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The decision.
    pub id: DecisionId,
    /// The comment.
    pub comment: CommentId,
    /// Where it stands now.
    pub status: Status,
    /// When.
    pub at: Timestamp,
}

/// Decides one comment, if it still has the version and status that were shown.
///
/// # Errors
/// [`ReviewError::Conflict`] with the standing decision if it has not; see [`ReviewError`].
pub async fn decide(
    app: &App,
    actor: &Actor,
    id: CommentId,
    wish: Wish,
    (version, from): (Version, Status),
) -> Result<Decided, ReviewError> {
    require(actor, Permission::Moderate)?;
    let wish = wish.checked()?;
    let site = site_of(app, actor, id).await?;
    let now = app.clock.now();
    let (own, actor) = (app.clone(), actor.clone());
    let outcome = complete(async move {
        let app = own;
        // A decision on its own is a batch of one and shares its id, so that undo needs to know only one.
        let batch = BatchId(new_id(now)?);
        let single = Some(DecisionId(batch.0));
        let expected = (version, from);
        let mut tx = app.store.begin().await?;
        let mut tally = Tally::default();
        let result = decide_in(
            &app,
            &mut tx,
            &mut tally,
            &site,
            id,
            &wish,
            expected,
            &actor,
            (batch, single, now),
        )
        .await?;
        let Some(decided) = result else {
            return Ok(None);
        };
        tx.count(tally).await?;
        let data = serde_json::json!({
            "decision": wish.decision.as_str(),
            "label": wish.label.map(Label::as_str),
            "version": version.0,
        });
        audit(
            &app,
            &mut tx,
            &actor,
            Some(site.id),
            ("decision", id.to_string()),
            data,
            now,
        )
        .await?;
        tx.commit().await?;
        forget_thread(&app, site.id, id).await?;
        Ok::<_, ReviewError>(Some(decided))
    })
    .await?;
    match outcome {
        Some(decided) => Ok(decided),
        None => Err(ReviewError::Conflict(Box::new(standoff(app, id).await?))),
    }
}

/// What became of a bulk decision.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// Undo names this.
    pub id: BatchId,
    /// Comments that were decided.
    pub decided: Vec<CommentId>,
    /// Comments that did not stand as shown.
    pub conflicts: Vec<Standoff>,
}

/// Decides many comments as one undoable unit. Those that do not have the version shown, or do not wait, are left alone.
///
/// # Errors
/// See [`ReviewError`].
pub async fn decide_many(
    app: &App,
    actor: &Actor,
    items: Vec<(CommentId, Version)>,
    wish: Wish,
) -> Result<Bulk, ReviewError> {
    require(actor, Permission::Moderate)?;
    let wish = wish.checked()?;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(ReviewError::Invalid {
            field: "items",
            what: "between 1 and 1000 items can be decided together",
        });
    }
    let mut sited = Vec::with_capacity(items.len());
    for (id, version) in items {
        sited.push((site_of(app, actor, id).await?, id, version));
    }
    // Two bulk decisions that share comments take them in one order, and so never wait for each other in a circle.
    sited.sort_by_key(|(site, id, _)| (site.id, *id));
    let now = app.clock.now();
    let (own, actor) = (app.clone(), actor.clone());
    let (id, decided, lost) = complete(async move {
        let app = own;
        let batch = BatchId(new_id(now)?);
        let mut tx = app.store.begin().await?;
        let mut tally = Tally::default();
        let (mut decided, mut lost) = (Vec::new(), Vec::new());
        for (site, id, version) in &sited {
            let expected = (*version, Status::Pending);
            let unit = (batch, None, now);
            let result = decide_in(
                &app, &mut tx, &mut tally, site, *id, &wish, expected, &actor, unit,
            );
            match result.await? {
                Some(_) => decided.push((site.id, *id)),
                None => lost.push(*id),
            }
        }
        tx.count(tally).await?;
        let data = serde_json::json!({
            "decision": wish.decision.as_str(),
            "label": wish.label.map(Label::as_str),
            "decided": decided.len(),
            "conflicts": lost.len(),
        });
        audit(
            &app,
            &mut tx,
            &actor,
            None,
            ("decision.bulk", batch.to_string()),
            data,
            now,
        )
        .await?;
        tx.commit().await?;
        for (site, id) in &decided {
            forget_thread(&app, *site, *id).await?;
        }
        let decided = decided.into_iter().map(|(_, id)| id).collect();
        Ok::<_, ReviewError>((batch, decided, lost))
    })
    .await?;
    let mut conflicts = Vec::with_capacity(lost.len());
    for id in lost {
        conflicts.push(standoff(app, id).await?);
    }
    Ok(Bulk {
        id,
        decided,
        conflicts,
    })
}

/// Decides within a transaction; `None` if the comment does not stand as expected.
#[expect(
    clippy::too_many_arguments,
    reason = "one decision, and all that it rests on"
)]
async fn decide_in(
    app: &App,
    tx: &mut Tx,
    tally: &mut Tally,
    site: &Site,
    id: CommentId,
    wish: &Wish,
    (version, from): (Version, Status),
    actor: &Actor,
    (batch, own_id, now): (BatchId, Option<DecisionId>, Timestamp),
) -> Result<Option<Decided>, ReviewError> {
    let standing = tx
        .standing(site.id, id)
        .await?
        .ok_or(ReviewError::NotFound)?;
    if standing.version != version
        || standing.status != from
        || standing.status == Status::Withdrawn
    {
        return Ok(None);
    }
    let label = wish
        .label
        .or(standing.label.filter(|_| wish.decision == Decision::Hold));
    let quiet = wish.decision == Decision::Reject && app.settings.replies.of(label) == Reply::Quiet;
    let change = Change {
        status: wish.decision.status(),
        public_version: match wish.decision {
            Decision::Approve => Some(standing.version),
            Decision::Reject | Decision::Hold => None,
        },
        label,
        quiet_until: quiet.then(|| now.plus(app.settings.replies.quiet_for)),
        decided_at: Some(now),
        edited_at: (wish.decision == Decision::Approve
            && standing.version != Version::FIRST
            && standing.public_version != Some(standing.version))
        .then_some(now),
        ..Change::from(&standing)
    };
    let happened = Happened {
        kind: "decided",
        at: now,
        event_id: new_id(now)?,
    };
    match tx.change(&standing, &change, &happened, tally).await {
        Ok(()) => {}
        Err(StoreError::Conflict) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let decision = match own_id {
        Some(id) => id,
        None => DecisionId(new_id(now)?),
    };
    tx.add_decision(&NewDecision {
        id: decision,
        batch,
        site: site.id,
        comment: id,
        version,
        decision: wish.decision,
        label,
        note: wish.note.as_deref(),
        by: actor.moderator.id,
        at: now,
        before: before(&standing),
    })
    .await?;
    Ok(Some(Decided {
        id: decision,
        comment: id,
        status: change.status,
        at: now,
    }))
}

fn before(standing: &Standing) -> Before {
    Before {
        status: standing.status.as_str().to_owned(),
        public_version: standing.public_version.map(|version| version.0),
        label: standing.label.map(|label| label.as_str().to_owned()),
        risk: standing.risk,
        quiet_until: standing.quiet_until.map(|moment| moment.0),
        decided_at: standing.decided_at.map(|moment| moment.0),
    }
}

/// What was taken back.
#[derive(Clone, Debug)]
pub struct Undone {
    /// Comments that stand as before.
    pub restored: Vec<CommentId>,
    /// Comments to which something happened since; they stay as they are.
    pub skipped: Vec<CommentId>,
}

/// Takes a decision, or all decisions of a batch, back.
///
/// # Errors
/// [`ReviewError::CannotUndo`] if nothing could be taken back; see [`ReviewError`].
pub async fn undo(app: &App, actor: &Actor, id: Uuid) -> Result<Undone, ReviewError> {
    require(actor, Permission::Moderate)?;
    let now = app.clock.now();
    let (app, actor) = (app.clone(), actor.clone());
    complete(async move {
        let mut tx = app.store.begin().await?;
        let rows = tx.decisions_to_undo(id).await?;
        let mut tally = Tally::default();
        let all_mine = rows
            .iter()
            .all(|row| actor.moderator.works_at(SiteId(row.site_id)));
        if rows.is_empty() || !all_mine {
            return Err(ReviewError::NotFound);
        }
        let mut undone = Undone {
            restored: Vec::new(),
            skipped: Vec::new(),
        };
        for row in &rows {
            if restore(&mut tx, &mut tally, row, &actor, now).await? {
                undone.restored.push(CommentId(row.comment_id));
            } else {
                undone.skipped.push(CommentId(row.comment_id));
            }
        }
        if undone.restored.is_empty() {
            return Err(ReviewError::CannotUndo);
        }
        tx.count(tally).await?;
        let data = serde_json::json!({
            "restored": undone.restored.len(), "skipped": undone.skipped.len(),
        });
        audit(
            &app,
            &mut tx,
            &actor,
            None,
            ("undo", id.to_string()),
            data,
            now,
        )
        .await?;
        tx.commit().await?;
        for row in &rows {
            forget_thread(&app, SiteId(row.site_id), CommentId(row.comment_id)).await?;
        }
        Ok(undone)
    })
    .await
}

/// Restores what a decision changed; `false` if it was taken back before or something happened since.
async fn restore(
    tx: &mut Tx,
    tally: &mut Tally,
    row: &DecisionRow,
    actor: &Actor,
    now: Timestamp,
) -> Result<bool, ReviewError> {
    let (site, id) = (SiteId(row.site_id), CommentId(row.comment_id));
    let Some(standing) = tx.standing(site, id).await? else {
        return Ok(false);
    };
    let unchanged = row.undone_at.is_none()
        && standing.decided_at == Some(Timestamp(row.decided_at))
        && standing.version.0 == row.version
        && row.decision.parse().map(Decision::status) == Ok(standing.status);
    if !unchanged {
        return Ok(false);
    }
    let before = &row.before.0;
    let bad = |column| StoreError::Inconsistent {
        table: "decision",
        column,
    };
    let change = Change {
        status: before.status.parse().map_err(|_| bad("before"))?,
        version: standing.version,
        public_version: before.public_version.map(Version),
        label: before
            .label
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|_| bad("before"))?,
        risk: before.risk,
        quiet_until: before.quiet_until.map(Timestamp),
        decided_at: before.decided_at.map(Timestamp),
        edited_at: None,
    };
    let happened = Happened {
        kind: "undone",
        at: now,
        event_id: new_id(now)?,
    };
    tx.change(&standing, &change, &happened, tally).await?;
    tx.mark_undone(row.site_id, row.id, actor.moderator.id, now)
        .await?;
    Ok(true)
}

/// Everything about a comment but its author's address and network.
#[derive(Debug)]
pub struct Detail {
    /// The site.
    pub site: Arc<Site>,
    /// How it stands.
    pub standing: Standing,
    /// Name, thread, place.
    pub face: CommentFace,
    /// Every text with its verdict.
    pub versions: Vec<JudgedVersion>,
    /// Every decision, those taken back too.
    pub decisions: Vec<DecisionRow>,
    /// Readers' reports: reason and time.
    pub reports: Vec<(String, i64)>,
    /// The author's appeal and its time.
    pub appeal: Option<(String, i64)>,
    /// Who works on it, until when; a lease that ran out may still be named.
    pub lease: Option<Lease>,
    /// The author's last comments: id, status, text, time.
    pub by_author: Vec<(Uuid, String, String, i64)>,
    /// The comment it answers: name and text.
    pub parent: Option<(CommentFace, String)>,
}

/// Reads everything about a comment.
///
/// # Errors
/// See [`ReviewError`].
pub async fn detail(app: &App, actor: &Actor, id: CommentId) -> Result<Detail, ReviewError> {
    require(actor, Permission::Moderate)?;
    let site = site_of(app, actor, id).await?;
    let standing = app
        .store
        .standing(site.id, id)
        .await?
        .ok_or(ReviewError::NotFound)?;
    let face = app
        .store
        .face(site.id, id)
        .await?
        .ok_or(ReviewError::NotFound)?;
    let parent = match face.parent_id.map(CommentId) {
        Some(parent) => {
            let text = app
                .store
                .versions(site.id, parent)
                .await?
                .into_iter()
                .next_back();
            let face = app.store.face(site.id, parent).await?;
            face.zip(text.map(|version| version.body))
        }
        None => None,
    };
    Ok(Detail {
        versions: app.store.versions(site.id, id).await?,
        decisions: app.store.decisions(site.id, id).await?,
        reports: app.store.reports(site.id, id).await?,
        appeal: app.store.appeal(site.id, id).await?,
        lease: app.store.lease(site.id, id).await?,
        by_author: app
            .store
            .comments_by_author(site.id, standing.author, id, 10)
            .await?,
        site,
        standing,
        face,
        parent,
    })
}

/// A pending, or any other, comment as the queue shows it.
///
/// # Errors
/// See [`ReviewError`].
pub async fn item(
    app: &App,
    actor: &Actor,
    id: CommentId,
) -> Result<(Arc<Site>, QueueRow), ReviewError> {
    require(actor, Permission::Moderate)?;
    let site = site_of(app, actor, id).await?;
    let row = app
        .store
        .queue_row(site.id, id)
        .await?
        .ok_or(ReviewError::NotFound)?;
    Ok((site, row))
}

/// Opens an author's address, for a reason that goes into the audit log first.
///
/// # Errors
/// [`ReviewError::Forbidden`] without the right; [`ReviewError::NotFound`] if it was erased; see [`ReviewError`].
pub async fn reveal(
    app: &App,
    actor: &Actor,
    id: CommentId,
    reason: &str,
) -> Result<secrecy::SecretString, ReviewError> {
    require(actor, Permission::Reveal)?;
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.len() > NOTE_BYTES {
        return Err(ReviewError::Invalid {
            field: "reason",
            what: "say why, in at most 2000 bytes",
        });
    }
    let site = site_of(app, actor, id).await?;
    let sealed = app
        .store
        .sealed_email(site.id, id)
        .await?
        .ok_or(ReviewError::NotFound)?;
    let now = app.clock.now();
    let (own, actor, site_id) = (app.clone(), actor.clone(), site.id);
    complete(async move {
        let mut tx = own.store.begin().await?;
        let data = serde_json::json!({ "reason": reason });
        audit(
            &own,
            &mut tx,
            &actor,
            Some(site_id),
            ("reveal", id.to_string()),
            data,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok::<_, ReviewError>(())
    })
    .await?;
    let place = crate::seal::Place {
        table: "comment",
        column: "email_sealed",
        site: site.id,
        row: id.0,
    };
    let plain = app
        .keyring
        .open_sealed(&place, &sealed)
        .map_err(|error| Fault::Keys(error.to_string()))?;
    let text = String::from_utf8(plain)
        .map_err(|_| Fault::Keys("a sealed address is not text".to_owned()))?;
    Ok(secrecy::SecretString::from(text))
}

/// The audit log before `cursor`, newest first.
///
/// # Errors
/// [`ReviewError::Forbidden`] without the right, else what the store said.
pub async fn audit_log(
    app: &App,
    actor: &Actor,
    cursor: Option<i64>,
    limit: u16,
) -> Result<Vec<AuditRow>, ReviewError> {
    require(actor, Permission::ReadAudit)?;
    // The log is the installation's, not a site's.
    if !actor.moderator.is_everywhere() {
        return Err(ReviewError::Forbidden);
    }
    Ok(app.store.audit_log(cursor, i64::from(limit)).await?)
}

/// How a comment stands, with the decision that stands.
async fn standoff(app: &App, id: CommentId) -> Result<Standoff, ReviewError> {
    let site = app.store.site_of(id).await?.ok_or(ReviewError::NotFound)?;
    let standing = app
        .store
        .standing(site, id)
        .await?
        .ok_or(ReviewError::NotFound)?;
    let decision = app
        .store
        .decisions(site, id)
        .await?
        .into_iter()
        .rfind(|decision| decision.undone_at.is_none());
    Ok(Standoff {
        comment: id,
        status: standing.status,
        version: standing.version,
        decision,
    })
}

fn require(actor: &Actor, permission: Permission) -> Result<(), ReviewError> {
    if actor.moderator.can(permission) {
        Ok(())
    } else {
        Err(ReviewError::Forbidden)
    }
}

/// The site of a comment, if it is one of the moderator's: not theirs and not there look the same.
async fn site_of(app: &App, actor: &Actor, id: CommentId) -> Result<Arc<Site>, ReviewError> {
    let site = app.store.site_of(id).await?.ok_or(ReviewError::NotFound)?;
    if !actor.moderator.works_at(site) {
        return Err(ReviewError::NotFound);
    }
    app.sites
        .current()
        .by_id(site)
        .cloned()
        .ok_or(ReviewError::NotFound)
}

async fn forget_thread(app: &App, site: SiteId, id: CommentId) -> Result<(), StoreError> {
    if let Some(face) = app.store.face(site, id).await? {
        app.threads.forget(site, &face.thread_key);
    }
    Ok(())
}

/// Appends to the audit log in the name of a moderator.
pub(crate) async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    site: Option<SiteId>,
    (action, subject): (&str, String),
    data: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at,
        actor: &actor.moderator.name,
        site,
        action,
        subject: &subject,
        data,
    };
    tx.audit(&entry, &|bytes| app.keyring.audit_mac(bytes))
        .await
}
