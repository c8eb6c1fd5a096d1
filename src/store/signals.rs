//! Facts that only the store knows, gathered for a submission with one statement.

use uuid::Uuid;

use super::{Store, StoreError, read};
use crate::domain::{CommentId, SiteId};

/// What to look up.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The site.
    pub site: SiteId,
    /// The thread's key.
    pub thread: &'a str,
    /// The comment that is answered.
    pub parent: Option<CommentId>,
    /// The comment whose receipt was sent as proof.
    pub proof: Option<CommentId>,
    /// The author named by the blog's own login.
    pub account: Option<Uuid>,
    /// Keyed hash of typed name and address.
    pub typed_mark: Uuid,
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
}

impl Store {
    /// Answers a question about a submission.
    ///
    /// # Errors
    /// What the database said.
    pub async fn signals(&self, question: &Question<'_>) -> Result<Signals, StoreError> {
        const SQL: &str = "
            select r.n as revision,
                t.created_at as thread_created_at, t.closed_at as thread_closed_at,
                t.visible as thread_visible,
                pt.key as parent_thread_key, p.public_version as parent_public_version,
                p.author_id as parent_author_id, p.depth as parent_depth,
                a.author_id as proven_author_id,
                h.approved, h.pending, h.rejected, h.first_seen,
                y.approved as typed_approved
            from revision r
            left join thread t on t.site_id = $1 and t.key = $2
            left join comment p on p.site_id = $1 and p.id = $3
            left join thread pt on pt.site_id = $1 and pt.id = p.thread_id
            left join comment a on a.site_id = $1 and a.id = $4
            left join author_record h on h.site_id = $1 and h.mark = coalesce($5, a.author_id)
            left join author_record y on y.site_id = $1 and y.mark = $6
            where r.id = 1";
        Ok(read!(self, pool => sqlx::query_as(SQL)
            .bind(question.site.0)
            .bind(question.thread)
            .bind(question.parent.map(|id| id.0))
            .bind(question.proof.map(|id| id.0))
            .bind(question.account)
            .bind(question.typed_mark)
            .fetch_one(pool).await?))
    }
}
