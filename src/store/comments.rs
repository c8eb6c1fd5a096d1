//! Comments as readers and their authors see them, and the one way in which a comment's standing changes.

use serde_json::value::RawValue;
use sqlx::types::Json;
use uuid::Uuid;

use super::dialect::Sql;
use super::tally::Tally;
use super::writer::{INSERT_FINDINGS, INSERT_VERDICTS, NewVerdict, VerdictRow, finding_rows};
use super::{Store, StoreError, Tx, ensure_one_row, on, read};
use crate::domain::{CommentId, Label, SiteId, Status, ThreadId, Timestamp, Version};

/// A comment in a thread, as readers see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PublicComment {
    /// Identity.
    pub id: Uuid,
    /// The comment it answers.
    pub parent_id: Option<Uuid>,
    /// 0 for a comment on the post itself.
    pub depth: i64,
    /// As typed; `None` once erased.
    pub author_name: Option<String>,
    /// As typed.
    pub author_url: Option<String>,
    /// See `author_proven`.
    pub author_id: Uuid,
    /// True if the author proved to be an earlier one.
    pub author_proven: bool,
    /// The public text.
    pub body: String,
    /// When it arrived.
    pub created_at: i64,
    /// When the public text was last edited.
    pub edited_at: Option<i64>,
}

/// A thread's numbers.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ThreadSummary {
    /// Identity.
    pub id: Uuid,
    /// Key.
    pub key: String,
    /// Title, if known.
    pub title: Option<String>,
    /// Address, if known.
    pub url: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// Since when it is closed.
    pub closed_at: Option<i64>,
    /// Comments that readers see.
    pub visible: i64,
    /// Moves on with every change that readers can see.
    pub changes: i64,
}

/// Where in a thread a page starts.
#[derive(Clone, Copy, Debug)]
pub enum PageFrom {
    /// After this comment, oldest first.
    After(Uuid),
    /// Before this comment, newest first.
    Before(Uuid),
}

/// All that decides how a comment may change. Read in the transaction that changes it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Site.
    pub site: SiteId,
    /// Comment.
    pub id: CommentId,
    /// Its thread.
    pub thread: ThreadId,
    /// Where it stands.
    pub status: Status,
    /// The latest text.
    pub version: Version,
    /// The text that readers see.
    pub public_version: Option<Version>,
    /// Why not.
    pub label: Option<Label>,
    /// Most points relative to a rejecting threshold.
    pub risk: f64,
    /// Author.
    pub author: Uuid,
    /// Keyed hash of typed name and address; `None` once erased.
    pub typed_mark: Option<Uuid>,
    /// When it arrived.
    pub created_at: Timestamp,
    /// Until when its author may edit.
    pub edit_until: Timestamp,
    /// Until then the receipt reads pending.
    pub quiet_until: Option<Timestamp>,
    /// When a person last decided.
    pub decided_at: Option<Timestamp>,
    /// Number of the last event.
    pub events: i64,
}

#[derive(sqlx::FromRow)]
struct StandingRow {
    site_id: Uuid,
    id: Uuid,
    thread_id: Uuid,
    status: String,
    version: i64,
    public_version: Option<i64>,
    label: Option<String>,
    risk: f64,
    author_id: Uuid,
    typed_mark: Option<Uuid>,
    created_at: i64,
    edit_until: i64,
    quiet_until: Option<i64>,
    decided_at: Option<i64>,
    events: i64,
}

impl TryFrom<StandingRow> for Standing {
    type Error = StoreError;
    fn try_from(row: StandingRow) -> Result<Self, StoreError> {
        let bad = |column| StoreError::Inconsistent {
            table: "comment",
            column,
        };
        Ok(Self {
            site: SiteId(row.site_id),
            id: CommentId(row.id),
            thread: ThreadId(row.thread_id),
            status: row.status.parse().map_err(|_| bad("status"))?,
            version: Version(row.version),
            public_version: row.public_version.map(Version),
            label: row
                .label
                .map(|label| label.parse())
                .transpose()
                .map_err(|_| bad("label"))?,
            risk: row.risk,
            author: row.author_id,
            typed_mark: row.typed_mark,
            created_at: Timestamp(row.created_at),
            edit_until: Timestamp(row.edit_until),
            quiet_until: row.quiet_until.map(Timestamp),
            decided_at: row.decided_at.map(Timestamp),
            events: row.events,
        })
    }
}

/// How a comment stands after a change; whatever is not named here stays.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it stands now.
    pub status: Status,
    /// The latest text.
    pub version: Version,
    /// The text that readers see.
    pub public_version: Option<Version>,
    /// Why not.
    pub label: Option<Label>,
    /// For the order of the queue.
    pub risk: f64,
    /// Until then the receipt reads pending.
    pub quiet_until: Option<Timestamp>,
    /// When a person last decided.
    pub decided_at: Option<Timestamp>,
    /// When the public text was edited, if this change publishes an edit.
    pub edited_at: Option<Timestamp>,
}

impl Change {
    /// No change at all: the start of every change.
    #[must_use]
    pub fn from(standing: &Standing) -> Self {
        Self {
            status: standing.status,
            version: standing.version,
            public_version: standing.public_version,
            label: standing.label,
            risk: standing.risk,
            quiet_until: standing.quiet_until,
            decided_at: standing.decided_at,
            edited_at: None,
        }
    }
}

/// What happened, for the event that goes out.
#[derive(Clone, Debug)]
pub struct Happened {
    /// `decided`, `undone`, `edited`, `withdrawn` …
    pub kind: &'static str,
    /// When.
    pub at: Timestamp,
    /// Id of the event.
    pub event_id: Uuid,
}

/// One text of a comment, with what the filters said of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct JudgedVersion {
    /// 1, 2, 3 …
    pub version: i64,
    /// The text.
    pub body: String,
    /// When it arrived.
    pub created_at: i64,
    /// `approve`, `hold`, `reject`.
    pub outcome: String,
    /// Why not.
    pub label: Option<String>,
    /// Points by label.
    pub points: Json<Box<RawValue>>,
    /// Findings.
    pub findings: Json<Box<RawValue>>,
    /// What the deciding rule lets the author read.
    pub reply: Option<String>,
    /// Why the filters could not finish.
    pub degraded: Option<String>,
    /// Hash of the rule set.
    pub rule_set: String,
    /// Versions of the models that spoke.
    pub models: Json<Box<RawValue>>,
}

/// What an author, or a moderator, sees of the comment itself.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct CommentFace {
    /// The comment it answers.
    pub parent_id: Option<Uuid>,
    /// As typed; `None` once erased.
    pub author_name: Option<String>,
    /// As typed.
    pub author_url: Option<String>,
    /// True if the author proved to be an earlier one.
    pub author_proven: bool,
    /// When a public text was last edited.
    pub edited_at: Option<i64>,
    /// 0 for a comment on the post itself.
    pub depth: i64,
    /// How often readers reported it.
    pub reports: i64,
    /// What the first answer said.
    pub answer: String,
    /// Key of its thread.
    pub thread_key: String,
    /// Title of its thread.
    pub thread_title: Option<String>,
    /// Address of its post.
    pub thread_url: Option<String>,
    /// Key of its site.
    pub site_key: String,
}

const STANDING_COLUMNS: &str =
    "select site_id, id, thread_id, status, version, public_version, label, risk,
    author_id, typed_mark, created_at, edit_until, quiet_until, decided_at, events
    from comment where site_id = $1 and id = $2";

const STANDING_FOR_UPDATE: Sql = Sql {
    sqlite: STANDING_COLUMNS,
    postgres: "select site_id, id, thread_id, status, version, public_version, label, risk,
        author_id, typed_mark, created_at, edit_until, quiet_until, decided_at, events
        from comment where site_id = $1 and id = $2 for update",
};

impl Store {
    /// A thread's numbers, or none if nobody has written there.
    ///
    /// # Errors
    /// What the database said.
    pub async fn thread(
        &self,
        site: SiteId,
        key: &str,
    ) -> Result<Option<ThreadSummary>, StoreError> {
        const SQL: &str =
            "select id, key, title, url, created_at, closed_at, visible, changes from thread
                           where site_id = $1 and key = $2";
        Ok(
            read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(key).fetch_optional(pool).await?),
        )
    }

    /// A page of a thread, in the order that `from` says.
    ///
    /// # Errors
    /// What the database said.
    pub async fn public_comments(
        &self,
        site: SiteId,
        thread: Uuid,
        from: PageFrom,
        limit: i64,
    ) -> Result<Vec<PublicComment>, StoreError> {
        const OLDEST: &str = "
            select c.id, c.parent_id, c.depth, c.author_name, c.author_url, c.author_id, c.author_proven,
                v.body, c.created_at, c.edited_at
            from comment c
            join comment_version v on v.site_id = c.site_id and v.comment_id = c.id and v.version = c.public_version
            where c.site_id = $1 and c.thread_id = $2 and c.id > $3 and c.public_version is not null
            order by c.id limit $4";
        const NEWEST: &str = "
            select c.id, c.parent_id, c.depth, c.author_name, c.author_url, c.author_id, c.author_proven,
                v.body, c.created_at, c.edited_at
            from comment c
            join comment_version v on v.site_id = c.site_id and v.comment_id = c.id and v.version = c.public_version
            where c.site_id = $1 and c.thread_id = $2 and c.id < $3 and c.public_version is not null
            order by c.id desc limit $4";
        let (sql, from) = match from {
            PageFrom::After(id) => (OLDEST, id),
            PageFrom::Before(id) => (NEWEST, id),
        };
        Ok(read!(self, pool => sqlx::query_as(sql)
            .bind(site.0).bind(thread).bind(from).bind(limit).fetch_all(pool).await?))
    }

    /// The newest public comments of a site, over all threads, with the key and address of their threads.
    ///
    /// # Errors
    /// What the database said.
    pub async fn newest_comments(
        &self,
        site: SiteId,
        limit: i64,
    ) -> Result<Vec<(PublicComment, String, Option<String>)>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            #[sqlx(flatten)]
            comment: PublicComment,
            key: String,
            url: Option<String>,
        }
        const SQL: &str = "
            select c.id, c.parent_id, c.depth, c.author_name, c.author_url, c.author_id, c.author_proven,
                v.body, c.created_at, c.edited_at, t.key, t.url
            from comment c
            join comment_version v on v.site_id = c.site_id and v.comment_id = c.id and v.version = c.public_version
            join thread t on t.site_id = c.site_id and t.id = c.thread_id
            where c.site_id = $1 and c.public_version is not null
            order by c.id desc limit $2";
        let rows: Vec<Row> = read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(limit).fetch_all(pool).await?);
        Ok(rows
            .into_iter()
            .map(|row| (row.comment, row.key, row.url))
            .collect())
    }

    /// How many comments readers see in each of `keys`; threads without any are left out.
    ///
    /// # Errors
    /// What the database said.
    pub async fn counts(
        &self,
        site: SiteId,
        keys: &[String],
    ) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: Sql = Sql {
            sqlite: "select key, visible from thread
                     where site_id = $1 and key in (select value from json_each($2))",
            postgres: "select key, visible from thread
                       where site_id = $1 and key in (select jsonb_array_elements_text($2))",
        };
        let sql = SQL.on(self.pools().backend());
        Ok(read!(self, pool => sqlx::query_as(sql)
            .bind(site.0).bind(Json(keys)).fetch_all(pool).await?))
    }

    /// The site a comment belongs to.
    ///
    /// # Errors
    /// What the database said.
    pub async fn site_of(&self, id: CommentId) -> Result<Option<SiteId>, StoreError> {
        const SQL: &str = "select site_id from comment where id = $1";
        let site: Option<Uuid> =
            read!(self, pool => sqlx::query_scalar(SQL).bind(id.0).fetch_optional(pool).await?);
        Ok(site.map(SiteId))
    }

    /// How a comment stands, without intent to change it.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn standing(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Option<Standing>, StoreError> {
        let row: Option<StandingRow> = read!(self, pool => sqlx::query_as(STANDING_COLUMNS)
            .bind(site.0).bind(id.0).fetch_optional(pool).await?);
        row.map(Standing::try_from).transpose()
    }

    /// A comment's name, thread and site.
    ///
    /// # Errors
    /// What the database said.
    pub async fn face(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Option<CommentFace>, StoreError> {
        const SQL: &str = "
            select c.parent_id, c.author_name, c.author_url, c.author_proven, c.edited_at, c.depth, c.reports,
                c.answer, t.key as thread_key, t.title as thread_title, t.url as thread_url, s.key as site_key
            from comment c
            join thread t on t.site_id = c.site_id and t.id = c.thread_id
            join site s on s.id = c.site_id
            where c.site_id = $1 and c.id = $2";
        Ok(
            read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(id.0).fetch_optional(pool).await?),
        )
    }

    /// Every text of a comment with its verdict, first to last.
    ///
    /// # Errors
    /// What the database said.
    pub async fn versions(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Vec<JudgedVersion>, StoreError> {
        const SQL: &str = "
            select v.version, v.body, v.created_at, d.outcome, d.label, d.points, d.findings, d.reply, d.degraded,
                d.rule_set, d.models
            from comment_version v
            join verdict d on d.site_id = v.site_id and d.comment_id = v.comment_id and d.version = v.version
            where v.site_id = $1 and v.comment_id = $2 order by v.version";
        Ok(read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(id.0).fetch_all(pool).await?))
    }

    /// The author's appeal, if there is one.
    ///
    /// # Errors
    /// What the database said.
    pub async fn appeal(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Option<(String, i64)>, StoreError> {
        const SQL: &str =
            "select text, created_at from appeal where site_id = $1 and comment_id = $2";
        Ok(read!(self, pool => sqlx::query_as(SQL)
            .bind(site.0).bind(id.0).fetch_optional(pool).await?))
    }

    /// Reasons that readers gave when they reported a comment, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn reports(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str =
            "select reason, created_at from report where site_id = $1 and comment_id = $2
                           order by created_at limit 100";
        Ok(read!(self, pool => sqlx::query_as(SQL).bind(site.0).bind(id.0).fetch_all(pool).await?))
    }

    /// The sealed address of a comment's author; only a granted reveal opens it.
    ///
    /// # Errors
    /// What the database said.
    pub async fn sealed_email(
        &self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "select email_sealed from comment where site_id = $1 and id = $2";
        let sealed: Option<Option<Vec<u8>>> = read!(self, pool => sqlx::query_scalar(SQL)
            .bind(site.0).bind(id.0).fetch_optional(pool).await?);
        Ok(sealed.flatten())
    }
}

impl Tx {
    /// How a comment stands, locked until the end of this transaction.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn standing(
        &mut self,
        site: SiteId,
        id: CommentId,
    ) -> Result<Option<Standing>, StoreError> {
        let sql = STANDING_FOR_UPDATE.on(self.backend());
        let row: Option<StandingRow> = on!(self, conn => sqlx::query_as(sql).bind(site.0).bind(id.0).fetch_optional(conn).await?);
        row.map(Standing::try_from).transpose()
    }

    /// Changes a comment's standing, ends its lease and writes the event. The counts of its thread, its author and the
    /// queue go into `tally`, for [`Tx::count`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the comment does not stand as `before` says any more.
    pub async fn change(
        &mut self,
        before: &Standing,
        after: &Change,
        happened: &Happened,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        const COMMENT: &str = "
            update comment set status = $1, version = $2, public_version = $3, label = $4, risk = $5,
                quiet_until = $6, decided_at = $7, edited_at = coalesce($8, edited_at), events = events + 1,
                lease_by = null, lease_until = 0
            where site_id = $9 and id = $10 and status = $11 and version = $12 and events = $13";
        const EVENT: &str =
            "insert into event (site_id, comment_id, seq, id, kind, data, created_at)
                             values ($1, $2, $3, $4, $5, $6, $7)";
        ensure_one_row(on!(self, conn => sqlx::query(COMMENT)
            .bind(after.status.as_str())
            .bind(after.version.0)
            .bind(after.public_version.map(|version| version.0))
            .bind(after.label.map(Label::as_str))
            .bind(after.risk)
            .bind(after.quiet_until.map(|moment| moment.0))
            .bind(after.decided_at.map(|moment| moment.0))
            .bind(after.edited_at.map(|moment| moment.0))
            .bind(before.site.0)
            .bind(before.id.0)
            .bind(before.status.as_str())
            .bind(before.version.0)
            .bind(before.events)
            .execute(conn).await?.rows_affected()))?;
        tally.note(before, after);
        let data = Json(serde_json::json!({
            "status": after.status.as_str(),
            "from": before.status.as_str(),
            "version": after.version.0,
        }));
        on!(self, conn => { sqlx::query(EVENT)
            .bind(before.site.0).bind(before.id.0).bind(before.events + 1).bind(happened.event_id)
            .bind(happened.kind).bind(&data).bind(happened.at.0)
            .execute(conn).await?; });
        Ok(())
    }

    /// Adds a text and its verdict to a comment.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_version(
        &mut self,
        site: SiteId,
        id: CommentId,
        version: Version,
        body: &str,
        verdict: &NewVerdict,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into comment_version (site_id, comment_id, version, body, created_at)
                           values ($1, $2, $3, $4, $5)";
        on!(self, conn => { sqlx::query(SQL)
            .bind(site.0).bind(id.0).bind(version.0).bind(body).bind(at.0).execute(conn).await?; });
        self.run(
            INSERT_VERDICTS,
            &[VerdictRow::new((site, id, version.0), verdict, at)],
        )
        .await?;
        let findings: Vec<_> = finding_rows(site, id, version.0, verdict).collect();
        if findings.is_empty() {
            Ok(())
        } else {
            self.run(INSERT_FINDINGS, &findings).await
        }
    }

    /// Lets the same words be said again: for a comment that was withdrawn or edited.
    ///
    /// # Errors
    /// What the database said.
    pub async fn release_duplicate_marks(
        &mut self,
        site: SiteId,
        id: CommentId,
    ) -> Result<(), StoreError> {
        const SQL: &str = "delete from duplicate_mark where site_id = $1 and comment_id = $2";
        on!(self, conn => { sqlx::query(SQL).bind(site.0).bind(id.0).execute(conn).await?; });
        Ok(())
    }

    /// Stores an appeal; `false` if there was one before.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_appeal(
        &mut self,
        site: SiteId,
        id: CommentId,
        text: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "insert into appeal (site_id, comment_id, text, created_at) values ($1, $2, $3, $4)
                           on conflict do nothing";
        Ok(on!(self, conn => sqlx::query(SQL)
            .bind(site.0).bind(id.0).bind(text).bind(at.0).execute(conn).await?.rows_affected())
            == 1)
    }

    /// How often a comment was reported.
    ///
    /// # Errors
    /// What the database said.
    pub async fn report_count(&mut self, site: SiteId, id: CommentId) -> Result<i64, StoreError> {
        const SQL: &str = "select reports from comment where site_id = $1 and id = $2";
        Ok(
            on!(self, conn => sqlx::query_scalar(SQL).bind(site.0).bind(id.0).fetch_one(conn).await?),
        )
    }

    /// Stores a reader's report; `false` if that network reported the comment before.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_report(
        &mut self,
        site: SiteId,
        id: CommentId,
        network_mark: &[u8],
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        const REPORT: &str =
            "insert into report (site_id, comment_id, network_mark, reason, created_at)
                              values ($1, $2, $3, $4, $5) on conflict do nothing";
        const COUNT: &str =
            "update comment set reports = reports + 1 where site_id = $1 and id = $2";
        let added = on!(self, conn => sqlx::query(REPORT)
            .bind(site.0).bind(id.0).bind(network_mark).bind(reason).bind(at.0)
            .execute(conn).await?.rows_affected())
            == 1;
        if added {
            on!(self, conn => { sqlx::query(COUNT).bind(site.0).bind(id.0).execute(conn).await?; });
        }
        Ok(added)
    }
}
