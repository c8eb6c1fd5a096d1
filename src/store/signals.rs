//! Facts that only the store knows, gathered for a submission with one statement.
//!
//! A statement costs a hand-over to the driver's thread, so questions that wait at the same moment are asked together, as
//! the writer does with what it stores. A question that comes alone is asked at once.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::dialect::{Sql, batch};
use super::{Pools, Store, StoreError};
use crate::domain::{CommentId, SiteId};

/// Questions in one statement, at most.
const MAX_BATCH: usize = 64;
/// Questions waiting, at most; one more is refused with `Unavailable`.
const MAX_WAITING: usize = 1024;
/// Statements under way at once.
const LANES: usize = 2;

/// What to look up.
#[derive(Clone, Debug)]
pub struct Question {
    /// The site.
    pub site: SiteId,
    /// The thread's key.
    pub thread: String,
    /// The comment that is answered.
    pub parent: Option<CommentId>,
    /// The comment whose receipt was sent as proof.
    pub proof: Option<CommentId>,
    /// The author named by the blog's own login.
    pub account: Option<Uuid>,
    /// Keyed hash of typed name and address.
    pub typed_mark: Uuid,
    /// Hash of the caller's idempotency key and its scope.
    pub key_mark: Option<Uuid>,
}

/// What the store knows. All `None` of one group means: not there.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct Signals {
    /// See [`Store::revision`].
    pub revision: i64,
    /// When the thread was made.
    pub thread_created_at: Option<i64>,
    /// Since when the thread is closed.
    pub thread_closed_at: Option<i64>,
    /// Comments that readers see.
    pub thread_visible: Option<i64>,
    /// The thread of the parent.
    pub parent_thread_key: Option<String>,
    /// The parent's public text, if it has one.
    pub parent_public_version: Option<i64>,
    /// The parent's author.
    pub parent_author_id: Option<Uuid>,
    /// The parent's depth.
    pub parent_depth: Option<i64>,
    /// The author that the proof stands for.
    pub proven_author_id: Option<Uuid>,
    /// Of the proven author.
    pub approved: Option<i64>,
    /// Of the proven author.
    pub pending: Option<i64>,
    /// Of the proven author.
    pub rejected: Option<i64>,
    /// Of the proven author.
    pub first_seen: Option<i64>,
    /// Of the typed name and address, which prove nothing.
    pub typed_approved: Option<i64>,
    /// The comment that a request with the same idempotency key made.
    pub known_comment: Option<Uuid>,
    /// What that request held, hashed.
    pub known_content: Option<Vec<u8>>,
}

impl Store {
    /// Answers a question about a submission.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if too much is waiting, else what the database said.
    pub async fn signals(&self, question: Question) -> Result<Signals, StoreError> {
        self.asker.ask(question).await
    }
}

type Asked = (Question, oneshot::Sender<Result<Signals, StoreError>>);

/// A handle on the task that asks; a cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    queue: mpsc::Sender<Asked>,
}

impl Asker {
    /// Starts the task; it ends when the last handle is dropped.
    pub(super) fn start(pools: Pools) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        #[expect(clippy::disallowed_methods, reason = "the task outlives every request")]
        tokio::spawn(collect(pools, waiting));
        Self { queue }
    }

    async fn ask(&self, question: Question) -> Result<Signals, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send((question, answer))
            .map_err(|_| StoreError::Unavailable("too many questions are waiting"))?;
        answered
            .await
            .map_err(|_| StoreError::Unavailable("the store has stopped"))?
    }
}

/// Takes what is waiting, batch by batch.
async fn collect(pools: Pools, mut waiting: mpsc::Receiver<Asked>) {
    let free = Arc::new(Semaphore::new(LANES));
    loop {
        // The lane first: while every lane is busy the batch grows.
        let Ok(lane) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        let mut batch = Vec::new();
        if waiting.recv_many(&mut batch, MAX_BATCH).await == 0 {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "one who stops waiting must not cancel the others' question"
        )]
        tokio::spawn(answer(pools.clone(), batch, lane));
    }
}

async fn answer(pools: Pools, batch: Vec<Asked>, lane: OwnedSemaphorePermit) {
    let (questions, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let result = ask_all(&pools, &questions).await;
    drop(lane);
    match result {
        Ok(signals) => {
            for (answer, signals) in answers.into_iter().zip(signals) {
                // Whoever asked may be gone.
                let _ = answer.send(Ok(signals));
            }
        }
        Err(error) => {
            // The first hears the cause, the others that they shared it.
            let shared = || StoreError::Unavailable("the facts could not be read");
            let mut cause = Some(error);
            for answer in answers {
                let _ = answer.send(Err(cause.take().unwrap_or_else(shared)));
            }
        }
    }
}

const SIGNALS: Sql = batch!(
    "select b.n as number, r.n as revision,
        t.created_at as thread_created_at, t.closed_at as thread_closed_at, t.visible as thread_visible,
        pt.key as parent_thread_key, p.public_version as parent_public_version,
        p.author_id as parent_author_id, p.depth as parent_depth,
        a.author_id as proven_author_id,
        h.approved, h.pending, h.rejected, h.first_seen,
        y.approved as typed_approved,
        i.comment_id as known_comment, i.content_hash as known_content
     from",
    [n int, site_id uuid, thread text, parent uuid, proof uuid, account uuid, typed_mark uuid, key_mark uuid],
    "cross join revision r
     left join thread t on t.site_id = b.site_id and t.key = b.thread
     left join comment p on p.site_id = b.site_id and p.id = b.parent
     left join thread pt on pt.site_id = b.site_id and pt.id = p.thread_id
     left join comment a on a.site_id = b.site_id and a.id = b.proof
     left join author_record h on h.site_id = b.site_id and h.mark = coalesce(b.account, a.author_id)
     left join author_record y on y.site_id = b.site_id and y.mark = b.typed_mark
     left join idempotency i on i.site_id = b.site_id and i.mark = b.key_mark"
);

#[derive(Serialize)]
struct Row<'a> {
    n: usize,
    site_id: Uuid,
    thread: &'a str,
    parent: Option<Uuid>,
    proof: Option<Uuid>,
    account: Option<Uuid>,
    typed_mark: Uuid,
    key_mark: Option<Uuid>,
}

#[derive(sqlx::FromRow)]
struct Answered {
    number: i64,
    #[sqlx(flatten)]
    signals: Signals,
}

/// Answers in the order of the questions.
async fn ask_all(pools: &Pools, questions: &[Question]) -> Result<Vec<Signals>, StoreError> {
    let rows: Vec<Row<'_>> = questions
        .iter()
        .enumerate()
        .map(|(n, question)| Row {
            n,
            site_id: question.site.0,
            thread: &question.thread,
            parent: question.parent.map(|id| id.0),
            proof: question.proof.map(|id| id.0),
            account: question.account,
            typed_mark: question.typed_mark,
            key_mark: question.key_mark,
        })
        .collect();
    let json = super::to_json(&rows)?;
    let sql = SIGNALS.on(pools.backend());
    let mut answers: Vec<Answered> = match pools {
        Pools::Sqlite { readers, .. } => sqlx::query_as(sql).bind(json).fetch_all(readers).await?,
        Pools::Postgres(pool) => sqlx::query_as(sql).bind(json).fetch_all(pool).await?,
    };
    answers.sort_by_key(|answer| answer.number);
    if answers.len() == questions.len() {
        return Ok(answers.into_iter().map(|answer| answer.signals).collect());
    }
    Err(StoreError::Inconsistent {
        table: "revision",
        column: "n",
    })
}
