//! The queue: pages by keyset, claims, decisions and taking them back.

use serde_json::value::RawValue;
use sqlx::types::Json;
use uuid::Uuid;

use super::dialect::{CLAIMABLE, LEASES, RELEASES};
use super::{Store, StoreError, Tx, ensure_one_row, on, read};
use crate::domain::{
    BatchId, CommentId, Decision, DecisionId, Label, Lease, ModeratorId, QueueOrder, SiteId,
    Timestamp, Version,
};

/// A pending comment with all that its row in the queue shows.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct QueueRow {
    /// Site.
    pub site_id: Uuid,
    /// Comment.
    pub id: Uuid,
    /// The comment it answers.
    pub parent_id: Option<Uuid>,
    /// `pending`, unless the row was claimed and decided meanwhile.
    pub status: String,
    /// The latest text's number.
    pub version: i64,
    /// Most points relative to a rejecting threshold.
    pub risk: f64,
    /// As typed; `None` once erased.
    pub author_name: Option<String>,
    /// As typed.
    pub author_url: Option<String>,
    /// When it arrived.
    pub created_at: i64,
    /// How often readers reported it.
    pub reports: i64,
    /// Who holds it.
    pub lease_by: Option<Uuid>,
    /// Name of the holder.
    pub lease_name: Option<String>,
    /// Until when.
    pub lease_until: i64,
    /// Key of the thread.
    pub thread_key: String,
    /// Title of the thread.
    pub thread_title: Option<String>,
    /// Address of the post.
    pub thread_url: Option<String>,
    /// Comments of the same author that were approved.
    pub author_approved: Option<i64>,
    /// Comments of the same author that were rejected.
    pub author_rejected: Option<i64>,
    /// The latest text.
    pub body: String,
    /// `approve`, `hold`, `reject`.
    pub outcome: String,
    /// Why not.
    pub label: Option<String>,
    /// Points by label.
    pub points: Json<Box<RawValue>>,
    /// Findings.
    pub findings: Json<Box<RawValue>>,
    /// Why the filters could not finish.
    pub degraded: Option<String>,
    /// Hash of the rule set.
    pub rule_set: String,
    /// Versions of the models that spoke.
    pub models: Json<Box<RawValue>>,
}

/// Which part of one site's queue.
#[derive(Clone, Debug, Default)]
pub struct QueueFilter {
    /// Only items with this label.
    pub label: Option<Label>,
    /// Only items in which this rule made a finding.
    pub rule: Option<String>,
    /// Only items whose latest text or name holds these words, in any case.
    pub text: Option<String>,
}

/// A place in the queue: the sort key and the id of the last item seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Risk, or number of reports; not used by the orders in time.
    pub key: f64,
    /// The item.
    pub id: Uuid,
}

/// A decision as stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DecisionRow {
    /// Identity.
    pub id: Uuid,
    /// What was decided with it.
    pub batch_id: Uuid,
    /// Site.
    pub site_id: Uuid,
    /// Comment.
    pub comment_id: Uuid,
    /// The text that was decided on.
    pub version: i64,
    /// `approve`, `reject`, `hold`.
    pub decision: String,
    /// Why not.
    pub label: Option<String>,
    /// For colleagues.
    pub note: Option<String>,
    /// Who.
    pub moderator_id: Uuid,
    /// Name of who.
    pub moderator: String,
    /// When.
    pub decided_at: i64,
    /// When it was taken back.
    pub undone_at: Option<i64>,
    /// How the comment stood before: what undo restores.
    pub before: Json<Before>,
}

/// How a comment stood before a decision.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Before {
    /// Status.
    pub status: String,
    /// The text that readers saw.
    pub public_version: Option<i64>,
    /// Why not.
    pub label: Option<String>,
    /// For the order of the queue.
    pub risk: f64,
    /// Until when the receipt read pending.
    pub quiet_until: Option<i64>,
    /// When a person had decided before.
    pub decided_at: Option<i64>,
}

/// A decision to be stored.
#[derive(Clone, Debug)]
pub struct NewDecision<'a> {
    /// Identity.
    pub id: DecisionId,
    /// What is decided with it.
    pub batch: BatchId,
    /// Site.
    pub site: SiteId,
    /// Comment.
    pub comment: CommentId,
    /// The text that was decided on.
    pub version: Version,
    /// What.
    pub decision: Decision,
    /// Why not.
    pub label: Option<Label>,
    /// For colleagues.
    pub note: Option<&'a str>,
    /// Who.
    pub by: ModeratorId,
    /// When.
    pub at: Timestamp,
    /// What undo restores.
    pub before: Before,
}

macro_rules! queue_select {
    ($condition:literal) => {
        concat!(
            "select c.site_id, c.id, c.parent_id, c.status, c.version, c.risk, c.author_name, c.author_url,
                c.created_at, c.reports, c.lease_by, m.name as lease_name, c.lease_until,
                t.key as thread_key, t.title as thread_title, t.url as thread_url,
                a.approved as author_approved, a.rejected as author_rejected,
                v.body, d.outcome, d.label, d.points, d.findings, d.degraded, d.rule_set, d.models
             from comment c
             join thread t on t.site_id = c.site_id and t.id = c.thread_id
             join comment_version v on v.site_id = c.site_id and v.comment_id = c.id and v.version = c.version
             join verdict d on d.site_id = c.site_id and d.comment_id = c.id and d.version = c.version
             left join author_record a on a.site_id = c.site_id and a.mark = c.author_id
             left join moderator m on m.id = c.lease_by
             where c.site_id = $1 and ",
            $condition
        )
    };
}

macro_rules! queue_page {
    ($condition:literal, $order:literal) => {
        concat!(
            queue_select!("c.status = 'pending' and "),
            $condition,
            " and (cast($5 as text) is null or c.label = $5)
              and (cast($6 as text) is null or exists (select 1 from finding f where f.site_id = c.site_id
                   and f.rule = $6 and f.comment_id = c.id and f.version = c.version))
              and (cast($7 as text) is null or lower(v.body) like $7 escape '\\'
                   or lower(c.author_name) like $7 escape '\\')
              order by ",
            $order,
            " limit $4"
        )
    };
}

const BY_RISK: &str = queue_page!("(c.risk, c.id) < ($2, $3)", "c.risk desc, c.id desc");
const BY_REPORTS: &str = queue_page!(
    "(c.reports, c.id) < (cast($2 as bigint), $3)",
    "c.reports desc, c.id desc"
);
const OLDEST: &str = queue_page!(
    "cast($2 as double precision) is not null and c.id > $3",
    "c.id"
);
const NEWEST: &str = queue_page!(
    "cast($2 as double precision) is not null and c.id < $3",
    "c.id desc"
);

/// The decisions of a batch, or one decision, in the order in which rows are taken.
const BATCH: &str = "
    select d.id, d.batch_id, d.site_id, d.comment_id, d.version, d.decision, d.label, d.note, d.moderator_id,
        m.name as moderator, d.decided_at, d.undone_at, d.before
    from decision d join moderator m on m.id = d.moderator_id
    where d.batch_id = $1 or d.id = $1 order by d.site_id, d.comment_id";

/// Keys beyond every real one. `i64` holds no more whole reports than this.
const BEYOND: f64 = 9.0e18;

/// The start of the queue in an order.
#[must_use]
pub const fn start(order: QueueOrder) -> Place {
    match order {
        QueueOrder::Oldest => Place {
            key: BEYOND,
            id: Uuid::nil(),
        },
        QueueOrder::Risk | QueueOrder::Newest | QueueOrder::Reports => Place {
            key: BEYOND,
            id: Uuid::max(),
        },
    }
}

impl Store {
    /// A page of one site's queue.
    ///
    /// # Errors
    /// What the database said.
    pub async fn queue(
        &self,
        site: SiteId,
        order: QueueOrder,
        from: Place,
        filter: &QueueFilter,
        limit: i64,
    ) -> Result<Vec<QueueRow>, StoreError> {
        let sql = match order {
            QueueOrder::Risk => BY_RISK,
            QueueOrder::Reports => BY_REPORTS,
            QueueOrder::Oldest => OLDEST,
            QueueOrder::Newest => NEWEST,
        };
        let text = filter.text.as_deref().map(like_pattern);
        Ok(read!(self, pool => sqlx::query_as(sql)
            .bind(site.0)
            .bind(from.key)
            .bind(from.id)
            .bind(limit)
            .bind(filter.label.map(Label::as_str))
            .bind(filter.rule.as_deref())
            .bind(text.as_deref())
            .fetch_all(pool).await?))
    }

    /// The rows of single comments, whatever their status.
    ///
    /// # Errors
    /// What the database said.
    pub async fn queue_row(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Option<QueueRow>, StoreError> {
        const SQL: &str = queue_select!("c.id = $2");
        Ok(
            read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(id.0).fetch_optional(pool).await?),
        )
    }

    /// How many items wait at a site, by label (`""` is none).
    ///
    /// # Errors
    /// What the database said.
    pub async fn queue_counts(&self, site: SiteId) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str =
            "select label, n from queue_count where site_id = $1 and n > 0 order by label";
        Ok(read!(self, pool => sqlx::query_as(SQL).bind(site.0).fetch_all(pool).await?))
    }

    /// When the longest-waiting item of a site arrived.
    ///
    /// # Errors
    /// What the database said.
    pub async fn oldest_pending(&self, site: SiteId) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "select created_at from comment where site_id = $1 and status = 'pending'
                           order by id limit 1";
        let at: Option<i64> =
            read!(self, pool => sqlx::query_scalar(SQL).bind(site.0).fetch_optional(pool).await?);
        Ok(at.map(Timestamp))
    }

    /// How many items match a filter, counted up to `most`.
    ///
    /// # Errors
    /// What the database said.
    pub async fn queue_matches(
        &self,
        site: SiteId,
        filter: &QueueFilter,
        most: i64,
    ) -> Result<i64, StoreError> {
        const SQL: &str = "
            select count(*) from (
                select 1 from comment c
                join comment_version v on v.site_id = c.site_id and v.comment_id = c.id and v.version = c.version
                where c.site_id = $1 and c.status = 'pending'
                and (cast($3 as text) is null or c.label = $3)
                and (cast($4 as text) is null or exists (select 1 from finding f where f.site_id = c.site_id
                     and f.rule = $4 and f.comment_id = c.id and f.version = c.version))
                and (cast($5 as text) is null or lower(v.body) like $5 escape '\\'
                     or lower(c.author_name) like $5 escape '\\')
                limit $2) as matching";
        let text = filter.text.as_deref().map(like_pattern);
        Ok(read!(self, pool => sqlx::query_scalar(SQL)
            .bind(site.0)
            .bind(most)
            .bind(filter.label.map(Label::as_str))
            .bind(filter.rule.as_deref())
            .bind(text.as_deref())
            .fetch_one(pool).await?))
    }

    /// Decisions on a comment, first to last, those taken back too.
    ///
    /// # Errors
    /// What the database said.
    pub async fn decisions(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        const SQL: &str = "
            select d.id, d.batch_id, d.site_id, d.comment_id, d.version, d.decision, d.label, d.note, d.moderator_id,
                m.name as moderator, d.decided_at, d.undone_at, d.before
            from decision d join moderator m on m.id = d.moderator_id
            where d.site_id = $1 and d.comment_id = $2 order by d.decided_at, d.id";
        Ok(read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(id.0).fetch_all(pool).await?))
    }

    /// Who holds a comment, or held it last.
    ///
    /// # Errors
    /// What the database said.
    pub async fn lease(&self, site: SiteId, id: CommentId) -> Result<Option<Lease>, StoreError> {
        const SQL: &str = "select m.id, m.name, c.lease_until from comment c
                           join moderator m on m.id = c.lease_by where c.site_id = $1 and c.id = $2";
        let row: Option<(Uuid, String, i64)> = read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(id.0).fetch_optional(pool).await?);
        Ok(row.map(|(by, name, until)| Lease {
            by: ModeratorId(by),
            name,
            until: Timestamp(until),
        }))
    }

    /// The decisions of a batch.
    ///
    /// # Errors
    /// What the database said.
    pub async fn batch(&self, id: Uuid) -> Result<Vec<DecisionRow>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BATCH).bind(id).fetch_all(pool).await?))
    }

    /// The last comments of the same author, newest first, without `id` itself: id, status, latest text, arrival.
    ///
    /// # Errors
    /// What the database said.
    pub async fn comments_by_author(
        &self,
        site: SiteId,
        author: Uuid,
        except: CommentId,
        limit: i64,
    ) -> Result<Vec<(Uuid, String, String, i64)>, StoreError> {
        const SQL: &str = "
            select c.id, c.status, v.body, c.created_at from comment c
            join comment_version v on v.site_id = c.site_id and v.comment_id = c.id and v.version = c.version
            where c.site_id = $1 and c.author_id = $2 and c.id <> $3 order by c.id desc limit $4";
        Ok(read!(self, pool => sqlx::query_as(SQL)
            .bind(site.0).bind(author).bind(except.0).bind(limit).fetch_all(pool).await?))
    }
}

impl Tx {
    /// Leases pending items to a moderator in an order: free ones, ones whose lease ran out, and ones already theirs.
    /// Returns their ids.
    ///
    /// # Errors
    /// What the database said.
    pub async fn claim(
        &mut self,
        site: SiteId,
        by: ModeratorId,
        order: QueueOrder,
        limit: i64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql = CLAIMABLE[order as usize].on(self.backend());
        let ids: Vec<Uuid> = on!(self, conn => sqlx::query_scalar(sql)
            .bind(site.0).bind(now.0).bind(by.0).bind(limit).fetch_all(conn).await?);
        let sql = LEASES.on(self.backend());
        on!(self, conn => { sqlx::query(sql)
            .bind(site.0).bind(by.0).bind(until.0).bind(Json(&ids)).execute(conn).await?; });
        Ok(ids)
    }

    /// Gives back what a moderator holds of `ids`; returns how many leases ended.
    ///
    /// # Errors
    /// What the database said.
    pub async fn release(
        &mut self,
        site: SiteId,
        by: ModeratorId,
        ids: &[Uuid],
    ) -> Result<u64, StoreError> {
        let sql = RELEASES.on(self.backend());
        Ok(on!(self, conn => sqlx::query(sql)
            .bind(site.0).bind(by.0).bind(Json(ids)).execute(conn).await?.rows_affected()))
    }

    /// Stores a decision.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_decision(&mut self, new: &NewDecision<'_>) -> Result<(), StoreError> {
        const SQL: &str = "
            insert into decision (site_id, id, batch_id, comment_id, version, decision, label, note, moderator_id,
                decided_at, before)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        on!(self, conn => { sqlx::query(SQL)
            .bind(new.site.0).bind(new.id.0).bind(new.batch.0).bind(new.comment.0).bind(new.version.0)
            .bind(new.decision.as_str()).bind(new.label.map(Label::as_str)).bind(new.note)
            .bind(new.by.0).bind(new.at.0).bind(Json(&new.before))
            .execute(conn).await?; });
        Ok(())
    }

    /// The decisions that are undone by undoing `id`, which names one decision or a whole batch.
    ///
    /// # Errors
    /// What the database said.
    pub async fn decisions_to_undo(&mut self, id: Uuid) -> Result<Vec<DecisionRow>, StoreError> {
        Ok(on!(self, conn => sqlx::query_as(BATCH).bind(id).fetch_all(conn).await?))
    }

    /// Marks a decision as taken back.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was taken back before.
    pub async fn mark_undone(
        &mut self,
        site: Uuid,
        id: Uuid,
        by: ModeratorId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update decision set undone_at = $3, undone_by = $4
                           where site_id = $1 and id = $2 and undone_at is null";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(site).bind(id).bind(at.0).bind(by.0).execute(conn).await?.rows_affected()))
    }
}

/// A `like` pattern that finds `words` anywhere, with its own wildcards taken literally.
fn like_pattern(words: &str) -> String {
    let mut pattern = String::with_capacity(words.len() + 2);
    pattern.push('%');
    for c in words.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
