//! Group commit: many submissions share one transaction, each is answered after it is durable.
//!
//! A commit costs a flush and every statement a hand-over to the driver's thread, so the writer takes what is waiting
//! (at most [`MAX_BATCH`], never waiting for company), writes each table with one statement, commits, and answers. Of
//! many it takes half: while these are written, the clients of the batch before send their next comments, which are
//! judged beside the writing and not after it. If a batch fails as a whole its units are tried again one by one, so that
//! one bad unit harms no other.
//!
//! Invariant: a unit that was answered [`Recorded::Stored`] is durable; one that was not answered so left nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::dialect::{Backend, Sql, batch, insert};
use super::{Pools, StoreError, Tx, on, to_json};
use crate::domain::{CommentId, Label, SiteId, Status, Timestamp};

/// Units in one transaction, at most.
const MAX_BATCH: usize = 128;
/// Up to so many units are taken together whatever else waits.
const SMALL_BATCH: usize = 16;
/// Units waiting, at most; one more is refused with `Unavailable`.
const MAX_WAITING: usize = 1024;
/// Transactions at once on PostgreSQL; SQLite has one writer.
const POSTGRES_BATCHES: usize = 4;

/// Bytes on their way into a batch: written as `\x…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("\\x{}", hex::encode(&self.0)))
    }
}

/// A judged submission, ready to be stored.
#[derive(Debug)]
pub struct NewComment {
    /// Where it belongs.
    pub site_id: SiteId,
    /// Its thread, made if it is not there yet.
    pub thread: NewThread,
    /// The comment.
    pub id: CommentId,
    /// The comment it answers.
    pub parent_id: Option<CommentId>,
    /// 0 for a comment on the post itself.
    pub depth: i64,
    /// Where it stands.
    pub status: Status,
    /// What the first answer says; a retry gets it again.
    pub answer: Status,
    /// Why not, unless approved.
    pub label: Option<Label>,
    /// Most points relative to a rejecting threshold.
    pub risk: f64,
    /// The proven author, or a new id.
    pub author_id: Uuid,
    /// True if the author proved to be an earlier one.
    pub author_proven: bool,
    /// As typed.
    pub author_name: String,
    /// As typed.
    pub author_url: Option<String>,
    /// Sealed e-mail address.
    pub email_sealed: Bytes,
    /// Blind index of the address.
    pub email_index: Bytes,
    /// Keyed hash of typed name and address.
    pub typed_mark: Uuid,
    /// Sealed network prefix.
    pub network_sealed: Option<Bytes>,
    /// The browser's family, without version.
    pub client_family: Option<String>,
    /// When it arrived.
    pub created_at: Timestamp,
    /// Until when its author may edit.
    pub edit_until: Timestamp,
    /// Until when the receipt of a quiet rejection reads pending.
    pub quiet_until: Option<Timestamp>,
    /// The text.
    pub body: String,
    /// What the filters said.
    pub verdict: NewVerdict,
    /// Keyed hashes that no other comment of the site may share.
    pub duplicate_marks: Vec<Uuid>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
    /// Id of the event that says it arrived.
    pub event_id: Uuid,
}

/// The thread a new comment names.
#[derive(Debug)]
pub struct NewThread {
    /// Used if the thread is new.
    pub id: Uuid,
    /// Its key.
    pub key: String,
    /// Kept if the thread has none yet, or if the site itself says so.
    pub url: Option<String>,
    /// As `url`.
    pub title: Option<String>,
    /// The site itself says so, by its API key: its word replaces what a reader's page said.
    pub is_told_by_site: bool,
}

/// A verdict as stored beside a version.
#[derive(Debug)]
pub struct NewVerdict {
    /// `approve`, `hold`, `reject`.
    pub outcome: &'static str,
    /// Why not.
    pub label: Option<Label>,
    /// Points by label, JSON.
    pub points: Box<RawValue>,
    /// Findings, JSON.
    pub findings: Box<RawValue>,
    /// Rule, label, points and shadow of each finding, for filters and statistics.
    pub finding_rows: Vec<(Arc<str>, Label, f64, bool)>,
    /// What the deciding rule lets the author read.
    pub reply: Option<String>,
    /// Why the filters could not finish.
    pub degraded: Option<&'static str>,
    /// Hash of the rule set.
    pub rule_set: Arc<str>,
    /// Versions of the models that spoke, JSON.
    pub models: Box<RawValue>,
    /// Open facts, JSON.
    pub facts: Box<RawValue>,
    /// Sealed facts.
    pub facts_sealed: Option<Bytes>,
}

/// A caller's key and what it stood for.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Hash of scope and key.
    pub mark: Uuid,
    /// Hash of the request's content.
    pub content_hash: Bytes,
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is durable.
    Stored,
    /// The key is known with the same content: this is the comment it made.
    Replay(CommentId),
    /// The key is known with other content.
    KeyReused,
    /// The same author said the same in the same thread.
    Duplicate,
}

/// A handle on the writer; a cheap clone.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Write(
        Box<NewComment>,
        oneshot::Sender<Result<Recorded, StoreError>>,
    ),
    Flush(oneshot::Sender<()>),
}

type Unit = (
    Box<NewComment>,
    oneshot::Sender<Result<Recorded, StoreError>>,
);

impl Writer {
    /// Starts the writer's task; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(pools: Pools) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        #[expect(
            clippy::disallowed_methods,
            reason = "the writer outlives every request"
        )]
        tokio::spawn(collect(pools, waiting));
        Self { queue }
    }

    /// Stores a comment and returns when it is durable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if too much is waiting, else what the database said.
    ///
    /// # Cancel safety
    /// Once handed over the comment is written whether or not anybody waits for the answer.
    pub async fn record(&self, comment: Box<NewComment>) -> Result<Recorded, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Message::Write(comment, answer))
            .map_err(|_| {
                StoreError::Unavailable("too many submissions are waiting to be written")
            })?;
        answered
            .await
            .map_err(|_| StoreError::Unavailable("the writer has stopped"))?
    }

    /// Waits until everything handed over before is durable.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Message::Flush(answer)).await.is_ok() {
            // An error means the task has ended, and then nothing is waiting any more.
            let _ = answered.await;
        }
    }
}

/// Takes what is waiting, batch by batch.
async fn collect(pools: Pools, mut waiting: mpsc::Receiver<Message>) {
    let lanes = match pools.backend() {
        Backend::Sqlite => 1,
        Backend::Postgres => POSTGRES_BATCHES,
    };
    let free = Arc::new(Semaphore::new(lanes));
    let mut held_over: Option<Message> = None;
    loop {
        let first = match held_over.take() {
            Some(message) => message,
            None => match waiting.recv().await {
                Some(message) => message,
                None => return,
            },
        };
        // The lane first: while every lane is busy the batch grows.
        let Ok(lane) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        let (answer, unit) = match first {
            Message::Write(comment, answer) => (None, Some((comment, answer))),
            Message::Flush(answer) => (Some(answer), None),
        };
        if let Some(answer) = answer {
            drop(lane);
            let others = u32::try_from(lanes).unwrap_or(1);
            let _all_lanes = free.acquire_many(others).await;
            // Whoever asked may be gone.
            let _ = answer.send(());
            continue;
        }
        let limit = waiting.len().div_ceil(2).clamp(SMALL_BATCH, MAX_BATCH);
        let mut batch: Vec<Unit> = Vec::with_capacity(limit);
        let mut marks = HashSet::new();
        let mut next = unit;
        while let Some(unit) = next.take() {
            // Two units that exclude each other must not meet in one statement.
            if !marks_of(&unit.0).all(|mark| !marks.contains(&mark)) {
                held_over = Some(Message::Write(unit.0, unit.1));
                break;
            }
            marks.extend(marks_of(&unit.0));
            batch.push(unit);
            if batch.len() == limit {
                break;
            }
            match waiting.try_recv() {
                Ok(Message::Write(comment, answer)) => next = Some((comment, answer)),
                Ok(flush) => held_over = Some(flush),
                Err(_) => {}
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a batch must not be cancelled by anybody"
        )]
        tokio::spawn(write(pools.clone(), batch, lane));
    }
}

fn marks_of(comment: &NewComment) -> impl Iterator<Item = (SiteId, Uuid)> + '_ {
    let key = comment
        .idempotency
        .iter()
        .map(|idempotency| idempotency.mark);
    comment
        .duplicate_marks
        .iter()
        .copied()
        .chain(key)
        .map(|mark| (comment.site_id, mark))
}

/// Writes a batch, or its units one by one if it fails as a whole, and answers each.
async fn write(pools: Pools, batch: Vec<Unit>, lane: OwnedSemaphorePermit) {
    let (comments, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    match write_all(&pools, &comments).await {
        Ok(recorded) => {
            drop(lane);
            for (answer, recorded) in answers.into_iter().zip(recorded) {
                // The asker may be gone; the comment is stored all the same.
                let _ = answer.send(Ok(recorded));
            }
        }
        Err(error) if comments.len() == 1 => {
            if let Some(answer) = answers.into_iter().next() {
                let _ = answer.send(Err(error));
            }
        }
        Err(error) => {
            tracing::warn!(
                code = error.code(),
                units = comments.len(),
                "a batch failed; writing one by one"
            );
            for (comment, answer) in comments.into_iter().zip(answers) {
                let result = write_all(&pools, std::slice::from_ref(&comment)).await;
                let _ = answer.send(result.map(|recorded| recorded[0]));
            }
        }
    }
}

const CLAIM_KEYS: Sql = insert!(
    "idempotency",
    [site_id uuid, mark uuid, content_hash bytes, comment_id uuid, created_at int],
    "on conflict do nothing returning mark"
);
const KNOWN_KEYS: Sql = batch!(
    "select i.mark, i.content_hash, i.comment_id from",
    [site_id uuid, mark uuid],
    "join idempotency i on i.site_id = b.site_id and i.mark = b.mark"
);
const CLAIM_MARKS: Sql = insert!(
    "duplicate_mark",
    [site_id uuid, mark uuid, comment_id uuid, created_at int],
    "on conflict do nothing returning mark"
);
const RELEASE_MARKS: Sql = batch!(
    "delete from duplicate_mark where (site_id, comment_id) in (select b.site_id, b.comment_id from",
    [site_id uuid, comment_id uuid],
    ")"
);
const RELEASE_KEYS: Sql = batch!(
    "delete from idempotency where (site_id, mark) in (select b.site_id, b.mark from",
    [site_id uuid, mark uuid],
    ")"
);
const COUNT_THREADS: Sql = insert!(
    "thread",
    [site_id uuid, id uuid, key text, url text, title text, created_at int, visible int,
     approved int, pending int, rejected int, withdrawn int, changes int],
    "on conflict (site_id, key) do update set
        url = coalesce(thread.url, excluded.url), title = coalesce(thread.title, excluded.title),
        visible = thread.visible + excluded.visible, approved = thread.approved + excluded.approved,
        pending = thread.pending + excluded.pending, rejected = thread.rejected + excluded.rejected,
        changes = thread.changes + excluded.changes"
);
const TELL_THREADS: Sql = batch!(
    "update thread set url = coalesce(b.url, thread.url), title = coalesce(b.title, thread.title) from",
    [site_id uuid, key text, url text, title text],
    "where thread.site_id = b.site_id and thread.key = b.key"
);
const INSERT_COMMENTS: Sql = batch!(
    "insert into comment (site_id, id, thread_id, parent_id, depth, status, version, public_version, answer, label, risk,
        author_id, author_proven, author_name, author_url, email_sealed, email_index, typed_mark,
        network_sealed, client_family, created_at, edit_until, quiet_until, events)
     select b.site_id, b.id, thread.id, b.parent_id, b.depth, b.status, 1, b.public_version, b.answer, b.label, b.risk,
        b.author_id, b.author_proven, b.author_name, b.author_url, b.email_sealed, b.email_index, b.typed_mark,
        b.network_sealed, b.client_family, b.created_at, b.edit_until, b.quiet_until, 1 from",
    [site_id uuid, id uuid, thread_key text, parent_id uuid, depth int, status text, public_version int,
     answer text, label text, risk real, author_id uuid, author_proven flag, author_name text, author_url text,
     email_sealed bytes, email_index bytes, typed_mark uuid, network_sealed bytes, client_family text,
     created_at int, edit_until int, quiet_until int],
    "join thread on thread.site_id = b.site_id and thread.key = b.thread_key"
);
const INSERT_VERSIONS: Sql = insert!(
    "comment_version",
    [site_id uuid, comment_id uuid, version int, body text, created_at int],
    ""
);
pub(super) const INSERT_VERDICTS: Sql = insert!(
    "verdict",
    [site_id uuid, comment_id uuid, version int, outcome text, label text, points json, findings json, reply text,
     degraded text, rule_set text, models json, facts json, facts_sealed bytes, judged_at int],
    ""
);
pub(super) const INSERT_FINDINGS: Sql = insert!(
    "finding",
    [site_id uuid, rule text, comment_id uuid, version int, label text, points real, shadow flag],
    "on conflict do nothing"
);
const COUNT_AUTHORS: Sql = insert!(
    "author_record",
    [site_id uuid, mark uuid, approved int, pending int, rejected int, first_seen int],
    "on conflict (site_id, mark) do update set
        approved = author_record.approved + excluded.approved, pending = author_record.pending + excluded.pending,
        rejected = author_record.rejected + excluded.rejected"
);
const COUNT_QUEUE: Sql = insert!(
    "queue_count",
    [site_id uuid, label text, n int],
    "on conflict (site_id, label) do update set n = queue_count.n + excluded.n"
);
const INSERT_EVENTS: Sql = insert!(
    "event",
    [site_id uuid, comment_id uuid, seq int, id uuid, kind text, data json, created_at int],
    ""
);

#[derive(Serialize)]
struct KeyRow<'a> {
    site_id: Uuid,
    mark: Uuid,
    content_hash: &'a Bytes,
    comment_id: Uuid,
    created_at: i64,
}

#[derive(Serialize)]
struct MarkRow {
    site_id: Uuid,
    mark: Uuid,
    comment_id: Uuid,
    created_at: i64,
}

#[derive(Serialize)]
struct ThreadRow<'a> {
    site_id: Uuid,
    id: Uuid,
    key: &'a str,
    url: Option<&'a str>,
    title: Option<&'a str>,
    created_at: i64,
    visible: i64,
    approved: i64,
    pending: i64,
    rejected: i64,
    withdrawn: i64,
    changes: i64,
}

#[derive(Serialize)]
struct ToldThread<'a> {
    site_id: Uuid,
    key: &'a str,
    url: Option<&'a str>,
    title: Option<&'a str>,
}

#[derive(Serialize)]
struct CommentRow<'a> {
    site_id: Uuid,
    id: Uuid,
    thread_key: &'a str,
    parent_id: Option<Uuid>,
    depth: i64,
    status: &'static str,
    public_version: Option<i64>,
    answer: &'static str,
    label: Option<&'static str>,
    risk: f64,
    author_id: Uuid,
    author_proven: bool,
    author_name: &'a str,
    author_url: Option<&'a str>,
    email_sealed: &'a Bytes,
    email_index: &'a Bytes,
    typed_mark: Uuid,
    network_sealed: Option<&'a Bytes>,
    client_family: Option<&'a str>,
    created_at: i64,
    edit_until: i64,
    quiet_until: Option<i64>,
}

#[derive(Serialize)]
struct VersionRow<'a> {
    site_id: Uuid,
    comment_id: Uuid,
    version: i64,
    body: &'a str,
    created_at: i64,
}

#[derive(Serialize)]
pub(super) struct VerdictRow<'a> {
    pub(super) site_id: Uuid,
    pub(super) comment_id: Uuid,
    pub(super) version: i64,
    pub(super) outcome: &'static str,
    pub(super) label: Option<&'static str>,
    pub(super) points: &'a RawValue,
    pub(super) findings: &'a RawValue,
    pub(super) reply: Option<&'a str>,
    pub(super) degraded: Option<&'static str>,
    pub(super) rule_set: &'a str,
    pub(super) models: &'a RawValue,
    pub(super) facts: &'a RawValue,
    pub(super) facts_sealed: Option<&'a Bytes>,
    pub(super) judged_at: i64,
}

impl<'a> VerdictRow<'a> {
    pub(super) fn new(
        (site_id, comment_id, version): (SiteId, CommentId, i64),
        verdict: &'a NewVerdict,
        judged_at: Timestamp,
    ) -> Self {
        Self {
            site_id: site_id.0,
            comment_id: comment_id.0,
            version,
            outcome: verdict.outcome,
            label: verdict.label.map(Label::as_str),
            points: &verdict.points,
            findings: &verdict.findings,
            reply: verdict.reply.as_deref(),
            degraded: verdict.degraded,
            rule_set: &verdict.rule_set,
            models: &verdict.models,
            facts: &verdict.facts,
            facts_sealed: verdict.facts_sealed.as_ref(),
            judged_at: judged_at.0,
        }
    }
}

#[derive(Serialize)]
pub(super) struct FindingRow<'a> {
    site_id: Uuid,
    rule: &'a str,
    comment_id: Uuid,
    version: i64,
    label: &'static str,
    points: f64,
    shadow: bool,
}

pub(super) fn finding_rows(
    site_id: SiteId,
    comment_id: CommentId,
    version: i64,
    verdict: &NewVerdict,
) -> impl Iterator<Item = FindingRow<'_>> {
    verdict
        .finding_rows
        .iter()
        .map(move |(rule, label, points, shadow)| FindingRow {
            site_id: site_id.0,
            rule,
            comment_id: comment_id.0,
            version,
            label: label.as_str(),
            points: *points,
            shadow: *shadow,
        })
}

#[derive(Serialize)]
struct AuthorRow {
    site_id: Uuid,
    mark: Uuid,
    approved: i64,
    pending: i64,
    rejected: i64,
    first_seen: i64,
}

#[derive(Serialize)]
struct QueueRow {
    site_id: Uuid,
    label: &'static str,
    n: i64,
}

#[derive(Serialize)]
struct EventRow<'a> {
    site_id: Uuid,
    comment_id: Uuid,
    seq: i64,
    id: Uuid,
    kind: &'static str,
    data: EventData<'a>,
    created_at: i64,
}

#[derive(Serialize)]
struct EventData<'a> {
    status: &'static str,
    thread: &'a str,
}

#[derive(sqlx::FromRow)]
struct KnownKey {
    mark: Uuid,
    content_hash: Vec<u8>,
    comment_id: Uuid,
}

/// Writes all comments in one transaction. Rows of each statement are sorted by key, and tables come in one order, so
/// that two batches on PostgreSQL wait for each other instead of locking up.
async fn write_all(
    pools: &Pools,
    comments: &[Box<NewComment>],
) -> Result<Vec<Recorded>, StoreError> {
    let mut tx = pools.begin().await?;
    let mut recorded = vec![Recorded::Stored; comments.len()];
    claim_keys(&mut tx, comments, &mut recorded).await?;
    claim_marks(&mut tx, comments, &mut recorded).await?;
    let new: Vec<&NewComment> = comments
        .iter()
        .zip(&recorded)
        .filter(|(_, recorded)| **recorded == Recorded::Stored)
        .map(|(comment, _)| comment.as_ref())
        .collect();
    if !new.is_empty() {
        insert_all(&mut tx, &new).await?;
    }
    tx.commit().await?;
    Ok(recorded)
}

async fn claim_keys(
    tx: &mut Tx,
    comments: &[Box<NewComment>],
    recorded: &mut [Recorded],
) -> Result<(), StoreError> {
    let mut rows: Vec<KeyRow<'_>> = comments
        .iter()
        .filter_map(|comment| {
            comment.idempotency.as_ref().map(|key| KeyRow {
                site_id: comment.site_id.0,
                mark: key.mark,
                content_hash: &key.content_hash,
                comment_id: comment.id.0,
                created_at: comment.created_at.0,
            })
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|row| (row.site_id, row.mark));
    let claimed: HashSet<Uuid> = tx.returning(CLAIM_KEYS, &rows).await?.into_iter().collect();
    if claimed.len() == rows.len() {
        return Ok(());
    }
    rows.retain(|row| !claimed.contains(&row.mark));
    let json = to_json(&rows)?;
    let sql = KNOWN_KEYS.on(tx.backend());
    let known: Vec<KnownKey> =
        on!(tx, conn => sqlx::query_as(sql).bind(&json).fetch_all(conn).await?);
    let known: HashMap<Uuid, KnownKey> = known.into_iter().map(|key| (key.mark, key)).collect();
    for (comment, recorded) in comments.iter().zip(recorded) {
        let Some(key) = &comment.idempotency else {
            continue;
        };
        if claimed.contains(&key.mark) {
            continue;
        }
        *recorded = match known.get(&key.mark) {
            Some(first) if first.content_hash == key.content_hash.0 => {
                Recorded::Replay(CommentId(first.comment_id))
            }
            Some(_) => Recorded::KeyReused,
            // It was there a moment ago: a sweep took it. The caller's next attempt will find it gone.
            None => {
                return Err(StoreError::Unavailable(
                    "the idempotency key expired just now",
                ));
            }
        };
    }
    Ok(())
}

async fn claim_marks(
    tx: &mut Tx,
    comments: &[Box<NewComment>],
    recorded: &mut [Recorded],
) -> Result<(), StoreError> {
    let mut rows: Vec<MarkRow> = Vec::new();
    for (comment, recorded) in comments.iter().zip(recorded.iter()) {
        if *recorded == Recorded::Stored {
            rows.extend(comment.duplicate_marks.iter().map(|mark| MarkRow {
                site_id: comment.site_id.0,
                mark: *mark,
                comment_id: comment.id.0,
                created_at: comment.created_at.0,
            }));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|row| (row.site_id, row.mark));
    let claimed: HashSet<Uuid> = tx
        .returning(CLAIM_MARKS, &rows)
        .await?
        .into_iter()
        .collect();
    if claimed.len() == rows.len() {
        return Ok(());
    }
    let mut losers = Vec::new();
    let mut keys = Vec::new();
    for (comment, recorded) in comments.iter().zip(recorded) {
        if *recorded != Recorded::Stored
            || comment
                .duplicate_marks
                .iter()
                .all(|mark| claimed.contains(mark))
        {
            continue;
        }
        *recorded = Recorded::Duplicate;
        let row = |mark| MarkRow {
            site_id: comment.site_id.0,
            mark,
            comment_id: comment.id.0,
            created_at: comment.created_at.0,
        };
        losers.push(row(Uuid::nil()));
        keys.extend(comment.idempotency.as_ref().map(|key| row(key.mark)));
    }
    tx.run(RELEASE_MARKS, &losers).await?;
    if !keys.is_empty() {
        tx.run(RELEASE_KEYS, &keys).await?;
    }
    Ok(())
}

async fn insert_all(tx: &mut Tx, new: &[&NewComment]) -> Result<(), StoreError> {
    tx.run(COUNT_THREADS, &thread_rows(new)).await?;
    let told = told_threads(new);
    if !told.is_empty() {
        tx.run(TELL_THREADS, &told).await?;
    }
    let comments: Vec<CommentRow<'_>> = new.iter().map(|comment| comment_row(comment)).collect();
    tx.run(INSERT_COMMENTS, &comments).await?;
    let versions: Vec<VersionRow<'_>> = new
        .iter()
        .map(|comment| VersionRow {
            site_id: comment.site_id.0,
            comment_id: comment.id.0,
            version: 1,
            body: &comment.body,
            created_at: comment.created_at.0,
        })
        .collect();
    tx.run(INSERT_VERSIONS, &versions).await?;
    let verdicts: Vec<VerdictRow<'_>> = new
        .iter()
        .map(|comment| {
            VerdictRow::new(
                (comment.site_id, comment.id, 1),
                &comment.verdict,
                comment.created_at,
            )
        })
        .collect();
    tx.run(INSERT_VERDICTS, &verdicts).await?;
    let findings: Vec<FindingRow<'_>> = new
        .iter()
        .flat_map(|comment| finding_rows(comment.site_id, comment.id, 1, &comment.verdict))
        .collect();
    if !findings.is_empty() {
        tx.run(INSERT_FINDINGS, &findings).await?;
    }
    tx.run(COUNT_AUTHORS, &author_rows(new)).await?;
    let queue = queue_rows(new);
    if !queue.is_empty() {
        tx.run(COUNT_QUEUE, &queue).await?;
    }
    let events: Vec<EventRow<'_>> = new
        .iter()
        .map(|comment| EventRow {
            site_id: comment.site_id.0,
            comment_id: comment.id.0,
            seq: 1,
            id: comment.event_id,
            kind: "submitted",
            data: EventData {
                status: comment.status.as_str(),
                thread: &comment.thread.key,
            },
            created_at: comment.created_at.0,
        })
        .collect();
    tx.run(INSERT_EVENTS, &events).await
}

fn comment_row(comment: &NewComment) -> CommentRow<'_> {
    CommentRow {
        site_id: comment.site_id.0,
        id: comment.id.0,
        thread_key: &comment.thread.key,
        parent_id: comment.parent_id.map(|id| id.0),
        depth: comment.depth,
        status: comment.status.as_str(),
        public_version: (comment.status == Status::Approved).then_some(1),
        answer: comment.answer.as_str(),
        label: comment.label.map(Label::as_str),
        risk: comment.risk,
        author_id: comment.author_id,
        author_proven: comment.author_proven,
        author_name: &comment.author_name,
        author_url: comment.author_url.as_deref(),
        email_sealed: &comment.email_sealed,
        email_index: &comment.email_index,
        typed_mark: comment.typed_mark,
        network_sealed: comment.network_sealed.as_ref(),
        client_family: comment.client_family.as_deref(),
        created_at: comment.created_at.0,
        edit_until: comment.edit_until.0,
        quiet_until: comment.quiet_until.map(|moment| moment.0),
    }
}

fn thread_rows<'a>(new: &[&'a NewComment]) -> Vec<ThreadRow<'a>> {
    let mut rows: BTreeMap<(SiteId, &str), ThreadRow<'a>> = BTreeMap::new();
    for comment in new {
        let row = rows
            .entry((comment.site_id, &comment.thread.key))
            .or_insert_with(|| ThreadRow {
                site_id: comment.site_id.0,
                id: comment.thread.id,
                key: &comment.thread.key,
                url: comment.thread.url.as_deref(),
                title: comment.thread.title.as_deref(),
                created_at: comment.created_at.0,
                visible: 0,
                approved: 0,
                pending: 0,
                rejected: 0,
                withdrawn: 0,
                changes: 0,
            });
        match comment.status {
            Status::Approved => {
                row.visible += 1;
                row.approved += 1;
                row.changes += 1;
            }
            Status::Pending => row.pending += 1,
            Status::Rejected => row.rejected += 1,
            Status::Withdrawn => row.withdrawn += 1,
        }
    }
    rows.into_values().collect()
}

/// What sites say of their own threads, the last word of a batch for each.
fn told_threads<'a>(new: &[&'a NewComment]) -> Vec<ToldThread<'a>> {
    let mut told = BTreeMap::new();
    for comment in new.iter().filter(|new| new.thread.is_told_by_site) {
        let thread = &comment.thread;
        if thread.url.is_some() || thread.title.is_some() {
            let row = ToldThread {
                site_id: comment.site_id.0,
                key: &thread.key,
                url: thread.url.as_deref(),
                title: thread.title.as_deref(),
            };
            told.insert((comment.site_id, &thread.key), row);
        }
    }
    told.into_values().collect()
}

fn author_rows(new: &[&NewComment]) -> Vec<AuthorRow> {
    let mut rows: BTreeMap<(SiteId, Uuid), AuthorRow> = BTreeMap::new();
    for comment in new {
        for mark in [comment.author_id, comment.typed_mark] {
            let row = rows
                .entry((comment.site_id, mark))
                .or_insert_with(|| AuthorRow {
                    site_id: comment.site_id.0,
                    mark,
                    approved: 0,
                    pending: 0,
                    rejected: 0,
                    first_seen: comment.created_at.0,
                });
            match comment.status {
                Status::Approved => row.approved += 1,
                Status::Pending => row.pending += 1,
                Status::Rejected => row.rejected += 1,
                Status::Withdrawn => {}
            }
        }
    }
    rows.into_values().collect()
}

fn queue_rows(new: &[&NewComment]) -> Vec<QueueRow> {
    let mut rows: BTreeMap<(SiteId, &'static str), i64> = BTreeMap::new();
    for comment in new
        .iter()
        .filter(|comment| comment.status == Status::Pending)
    {
        *rows
            .entry((comment.site_id, comment.label.map_or("", Label::as_str)))
            .or_default() += 1;
    }
    rows.into_iter()
        .map(|((site_id, label), n)| QueueRow {
            site_id: site_id.0,
            label,
            n,
        })
        .collect()
}

impl Tx {
    /// Runs a batch statement.
    pub(super) async fn run<T: Serialize>(
        &mut self,
        sql: Sql,
        rows: &[T],
    ) -> Result<(), StoreError> {
        let json = to_json(rows)?;
        let sql = sql.on(self.backend());
        on!(self, conn => { sqlx::query(sql).bind(json).execute(conn).await?; });
        Ok(())
    }

    /// Runs a batch statement that returns one id a row.
    async fn returning<T: Serialize>(
        &mut self,
        sql: Sql,
        rows: &[T],
    ) -> Result<Vec<Uuid>, StoreError> {
        let json = to_json(rows)?;
        let sql = sql.on(self.backend());
        Ok(on!(self, conn => sqlx::query_scalar(sql).bind(json).fetch_all(conn).await?))
    }
}
