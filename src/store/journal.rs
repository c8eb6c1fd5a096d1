//! The audit log: who did what, each row chained to the one before by a keyed hash.

use serde_json::Value;
use uuid::Uuid;

use super::dialect::Sql;
use super::{Store, StoreError, Tx, on, read};
use crate::domain::{SiteId, Timestamp};

/// One thing that somebody did.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// When.
    pub at: Timestamp,
    /// The moderator's name, or `command`, `setup`.
    pub actor: &'a str,
    /// Where, if at one site.
    pub site: Option<SiteId>,
    /// `decision`, `undo`, `reveal`, `login`, `site.add` …
    pub action: &'a str,
    /// What it was done to: an id or a key.
    pub subject: &'a str,
    /// More, without personal data.
    pub data: Value,
}

/// A stored audit row.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AuditRow {
    /// 1, 2, 3 …
    pub seq: i64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// See [`AuditEntry::actor`].
    pub actor: String,
    /// The site, if any.
    pub site_id: Option<Uuid>,
    /// See [`AuditEntry::action`].
    pub action: String,
    /// See [`AuditEntry::subject`].
    pub subject: String,
    /// See [`AuditEntry::data`].
    pub data: sqlx::types::Json<Value>,
    /// Keyed hash over this row and the hash before it.
    pub hash: Vec<u8>,
}

impl AuditRow {
    /// The bytes a row's hash is made over, after the hash of the row before: fields with their lengths, so that no
    /// two rows read alike.
    #[must_use]
    pub fn hashed_bytes(&self) -> Vec<u8> {
        let site = self.site_id.map_or_else(String::new, |id| id.to_string());
        let data = self.data.0.to_string();
        let mut bytes = Vec::with_capacity(128 + data.len());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.created_at.to_be_bytes());
        for field in [&self.actor, &site, &self.action, &self.subject, &data] {
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field.as_bytes());
        }
        bytes
    }
}

/// Serialises appenders until commit. SQLite has one writer; PostgreSQL takes a lock in a statement of its own, so that
/// the next statement's snapshot holds the newest row.
const LOCK_CHAIN: Sql = Sql {
    sqlite: "select 1",
    postgres: "select 1 from (select pg_advisory_xact_lock(4102)) as locked",
};

impl Tx {
    /// Appends to the audit log. `mac` computes the keyed hash of the bytes it is given.
    ///
    /// # Errors
    /// What the database said.
    pub async fn audit(
        &mut self,
        entry: &AuditEntry<'_>,
        mac: &(dyn Fn(&[u8]) -> [u8; 32] + Sync),
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into audit (seq, created_at, actor, site_id, action, subject, data, hash)
                           values ($1, $2, $3, $4, $5, $6, $7, $8)";
        const LAST: &str = "select seq, hash from audit order by seq desc limit 1";
        let lock = LOCK_CHAIN.on(self.backend());
        on!(self, conn => { sqlx::query(lock).execute(conn).await?; });
        let last: Option<(i64, Vec<u8>)> =
            on!(self, conn => sqlx::query_as(LAST).fetch_optional(conn).await?);
        let (seq, previous) = last.map_or((1, Vec::new()), |(seq, hash)| (seq + 1, hash));
        let mut row = AuditRow {
            seq,
            created_at: entry.at.0,
            actor: entry.actor.to_owned(),
            site_id: entry.site.map(|id| id.0),
            action: entry.action.to_owned(),
            subject: entry.subject.to_owned(),
            data: sqlx::types::Json(entry.data.clone()),
            hash: Vec::new(),
        };
        let mut bytes = previous;
        bytes.extend(row.hashed_bytes());
        row.hash = mac(&bytes).to_vec();
        on!(self, conn => { sqlx::query(SQL)
            .bind(row.seq).bind(row.created_at).bind(&row.actor).bind(row.site_id)
            .bind(&row.action).bind(&row.subject).bind(&row.data).bind(&row.hash)
            .execute(conn).await?; });
        Ok(())
    }

    /// Removes idempotency keys of requests before `before`; returns how many.
    ///
    /// # Errors
    /// What the database said.
    pub async fn remove_idempotency_before(
        &mut self,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "delete from idempotency where created_at < $1";
        Ok(on!(self, conn => sqlx::query(SQL).bind(before.0).execute(conn).await?.rows_affected()))
    }

    /// Removes sessions that ended before `before`; returns how many.
    ///
    /// # Errors
    /// What the database said.
    pub async fn remove_sessions_before(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "delete from session where expires_at < $1";
        Ok(on!(self, conn => sqlx::query(SQL).bind(before.0).execute(conn).await?.rows_affected()))
    }
}

impl Store {
    /// Audit rows before `cursor` (exclusive; `None` starts at the newest), newest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn audit_log(
        &self,
        cursor: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        const SQL: &str =
            "select seq, created_at, actor, site_id, action, subject, data, hash from audit
                           where seq < $1 order by seq desc limit $2";
        Ok(read!(self, pool => sqlx::query_as(SQL)
            .bind(cursor.unwrap_or(i64::MAX)).bind(limit).fetch_all(pool).await?))
    }
}
