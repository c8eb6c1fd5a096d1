//! Sites and threads as settings: made and changed by commands, read by everything.

use uuid::Uuid;

use super::{Store, StoreError, Tx, ensure_one_row, on, read};
use crate::domain::{Site, SiteId, SiteKey, Timestamp};

#[derive(sqlx::FromRow)]
struct SiteRow {
    id: Uuid,
    key: String,
    name: String,
    origins: sqlx::types::Json<Vec<String>>,
    api_key_hash: Vec<u8>,
    door_key_hash: Vec<u8>,
    disabled_at: Option<i64>,
}

impl TryFrom<SiteRow> for Site {
    type Error = StoreError;
    fn try_from(row: SiteRow) -> Result<Self, StoreError> {
        let bad = |column| StoreError::Inconsistent {
            table: "site",
            column,
        };
        Ok(Self {
            id: SiteId(row.id),
            key: SiteKey::parse(&row.key).map_err(|_| bad("key"))?,
            name: row.name,
            origins: row.origins.0,
            api_key_hash: row
                .api_key_hash
                .try_into()
                .map_err(|_| bad("api_key_hash"))?,
            door_key_hash: row
                .door_key_hash
                .try_into()
                .map_err(|_| bad("door_key_hash"))?,
            disabled_at: row.disabled_at.map(Timestamp),
        })
    }
}

impl Store {
    /// Reads a setting of the installation.
    ///
    /// # Errors
    /// What the database said.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        const SQL: &str = "select value from setting where name = $1";
        Ok(read!(self, pool => sqlx::query_scalar(SQL).bind(name).fetch_optional(pool).await?))
    }

    /// A number that moves on whenever sites, people or their keys change.
    ///
    /// # Errors
    /// What the database said.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        const SQL: &str = "select n from revision where id = 1";
        Ok(read!(self, pool => sqlx::query_scalar(SQL).fetch_one(pool).await?))
    }

    /// All sites, disabled ones too, by key.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn sites(&self) -> Result<Vec<Site>, StoreError> {
        const SQL: &str = "select id, key, name, origins, api_key_hash, door_key_hash, disabled_at
                           from site order by key";
        let rows: Vec<SiteRow> = read!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await?);
        rows.into_iter().map(Site::try_from).collect()
    }
}

impl Tx {
    /// Writes a setting of the installation, unless it is there: the first writer wins.
    ///
    /// # Errors
    /// What the database said.
    pub async fn set_once(&mut self, name: &str, value: &str) -> Result<bool, StoreError> {
        const SQL: &str =
            "insert into setting (name, value) values ($1, $2) on conflict (name) do nothing";
        let rows = on!(self, conn => sqlx::query(SQL).bind(name).bind(value).execute(conn).await?.rows_affected());
        Ok(rows == 1)
    }

    /// Tells other processes that sites, people or keys have changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn move_revision(&mut self) -> Result<(), StoreError> {
        const SQL: &str = "update revision set n = n + 1 where id = 1";
        ensure_one_row(on!(self, conn => sqlx::query(SQL).execute(conn).await?.rows_affected()))
    }

    /// Adds a site; `false` if its key is taken.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_site(&mut self, site: &Site, at: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str =
            "insert into site (id, key, name, origins, api_key_hash, door_key_hash, created_at)
                           values ($1, $2, $3, $4, $5, $6, $7) on conflict (key) do nothing";
        let added = on!(self, conn => sqlx::query(SQL)
            .bind(site.id.0)
            .bind(site.key.as_str())
            .bind(&site.name)
            .bind(sqlx::types::Json(&site.origins))
            .bind(&site.api_key_hash[..])
            .bind(&site.door_key_hash[..])
            .bind(at.0)
            .execute(conn).await?.rows_affected());
        self.move_revision().await?;
        Ok(added == 1)
    }

    /// Replaces a site's keys.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such site, else what the database said.
    pub async fn set_site_keys(
        &mut self,
        site: SiteId,
        api_key_hash: &[u8; 32],
        door_key_hash: &[u8; 32],
    ) -> Result<(), StoreError> {
        const SQL: &str = "update site set api_key_hash = $2, door_key_hash = $3 where id = $1";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(site.0).bind(&api_key_hash[..]).bind(&door_key_hash[..])
            .execute(conn).await?.rows_affected()))?;
        self.move_revision().await
    }

    /// Closes a site to everybody.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such site, else what the database said.
    pub async fn disable_site(&mut self, site: SiteId, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update site set disabled_at = coalesce(disabled_at, $2) where id = $1";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(site.0).bind(at.0).execute(conn).await?.rows_affected()))?;
        self.move_revision().await
    }

    /// Closes or opens a thread, making it if it is not there yet.
    ///
    /// # Errors
    /// What the database said.
    pub async fn set_thread_closed(
        &mut self,
        site: SiteId,
        (id, key): (Uuid, &str),
        closed_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into thread (site_id, id, key, created_at, closed_at, visible, approved,
                               pending, rejected, withdrawn, changes)
                           values ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, 1)
                           on conflict (site_id, key) do update
                               set closed_at = excluded.closed_at, changes = thread.changes + 1";
        on!(self, conn => { sqlx::query(SQL)
            .bind(site.0).bind(id).bind(key).bind(at.0).bind(closed_at.map(|moment| moment.0))
            .execute(conn).await?; });
        Ok(())
    }

    /// Gives a thread another key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such thread; a driver error (unique violation) if `to` is taken.
    pub async fn rename_thread(
        &mut self,
        site: SiteId,
        from: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "update thread set key = $3, changes = changes + 1 where site_id = $1 and key = $2";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(site.0).bind(from).bind(to).execute(conn).await?.rows_affected()))
    }
}
