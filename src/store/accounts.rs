//! People who may log in, their sessions, tokens and the set-up link. Secrets are stored as hashes.

use uuid::Uuid;

use super::{Store, StoreError, Tx, ensure_one_row, on, read};
use crate::domain::{Moderator, ModeratorId, SiteId, Timestamp};

/// Sessions one person can have; the oldest ends when another begins.
const MAX_SESSIONS: i64 = 5;

#[derive(sqlx::FromRow)]
struct ModeratorRow {
    id: Uuid,
    name: String,
    role: String,
    every_site: bool,
    password_hash: Option<String>,
    disabled_at: Option<i64>,
}

/// A person with what a log-in needs to know.
#[derive(Clone, Debug)]
pub struct Account {
    /// The person.
    pub moderator: Moderator,
    /// Hash of the password; none until one is set.
    pub password_hash: Option<String>,
    /// Since when the person may not come in.
    pub disabled_at: Option<Timestamp>,
}

/// An API token, without itself.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct TokenRow {
    /// Identity.
    pub id: Uuid,
    /// Name of whom it stands for.
    pub moderator: String,
    /// When it was made.
    pub created_at: i64,
    /// Since when it is void.
    pub revoked_at: Option<i64>,
}

/// How often somebody has tried a name in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Attempts {
    /// Tries since the last that went well.
    pub failures: i64,
    /// Microseconds since 1970; no try before.
    pub next_try_at: i64,
}

macro_rules! account_select {
    ($rest:literal) => {
        concat!(
            "select m.id, m.name, m.role, m.every_site, m.password_hash, m.disabled_at from moderator m ",
            $rest
        )
    };
}

impl Store {
    /// The person called `name`.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        const SQL: &str = account_select!("where m.name = $1");
        let row: Option<ModeratorRow> =
            read!(self, pool => sqlx::query_as(SQL).bind(name).fetch_optional(pool).await?);
        self.with_sites(row).await
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        const SQL: &str = account_select!("order by m.name");
        let rows: Vec<ModeratorRow> =
            read!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await?);
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            accounts.extend(self.with_sites(Some(row)).await?);
        }
        Ok(accounts)
    }

    /// True if somebody may do everything everywhere.
    ///
    /// # Errors
    /// What the database said.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        const SQL: &str =
            "select count(*) from moderator where role = 'admin' and disabled_at is null
                           and password_hash is not null";
        let n: i64 = read!(self, pool => sqlx::query_scalar(SQL).fetch_one(pool).await?);
        Ok(n > 0)
    }

    /// The enabled person an unrevoked API token stands for.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn token_holder(&self, token_hash: &[u8; 32]) -> Result<Option<Account>, StoreError> {
        const SQL: &str = account_select!(
            "join api_token t on t.moderator_id = m.id
             where t.token_hash = $1 and t.revoked_at is null and m.disabled_at is null"
        );
        let row: Option<ModeratorRow> = read!(self, pool => sqlx::query_as(SQL)
            .bind(&token_hash[..]).fetch_optional(pool).await?);
        self.with_sites(row).await
    }

    /// The enabled person of a session that was seen since `seen_since` and has not ended by `now`, with the time it was
    /// last seen.
    ///
    /// # Errors
    /// What the database said, or a row that cannot be read.
    pub async fn session_holder(
        &self,
        token_hash: &[u8; 32],
        seen_since: Timestamp,
        now: Timestamp,
    ) -> Result<Option<(Account, Timestamp)>, StoreError> {
        const SQL: &str = account_select!(
            "join session s on s.moderator_id = m.id
             where s.token_hash = $1 and s.seen_at > $2 and s.expires_at > $3 and m.disabled_at is null"
        );
        const SEEN: &str = "select seen_at from session where token_hash = $1";
        let row: Option<ModeratorRow> = read!(self, pool => sqlx::query_as(SQL)
            .bind(&token_hash[..]).bind(seen_since.0).bind(now.0).fetch_optional(pool).await?);
        let Some(account) = self.with_sites(row).await? else {
            return Ok(None);
        };
        let seen: Option<i64> = read!(self, pool => sqlx::query_scalar(SEEN)
            .bind(&token_hash[..]).fetch_optional(pool).await?);
        Ok(seen.map(|seen| (account, Timestamp(seen))))
    }

    /// All API tokens, by person.
    ///
    /// # Errors
    /// What the database said.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        const SQL: &str =
            "select t.id, m.name as moderator, t.created_at, t.revoked_at from api_token t
                           join moderator m on m.id = t.moderator_id order by m.name, t.created_at";
        Ok(read!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await?))
    }

    /// True if a set-up link can still be used.
    ///
    /// # Errors
    /// What the database said.
    pub async fn has_setup_link(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "select count(*) from setup_link where token_hash = $1 and expires_at > $2";
        let n: i64 = read!(self, pool => sqlx::query_scalar(SQL)
            .bind(&token_hash[..]).bind(now.0).fetch_one(pool).await?);
        Ok(n > 0)
    }

    async fn with_sites(&self, row: Option<ModeratorRow>) -> Result<Option<Account>, StoreError> {
        const SQL: &str =
            "select site_id from moderator_site where moderator_id = $1 order by site_id";
        let Some(row) = row else { return Ok(None) };
        let sites = if row.every_site {
            None
        } else {
            let ids: Vec<Uuid> =
                read!(self, pool => sqlx::query_scalar(SQL).bind(row.id).fetch_all(pool).await?);
            Some(ids.into_iter().map(SiteId).collect())
        };
        let role = row.role.parse().map_err(|_| StoreError::Inconsistent {
            table: "moderator",
            column: "role",
        })?;
        Ok(Some(Account {
            moderator: Moderator {
                id: ModeratorId(row.id),
                name: row.name,
                role,
                sites,
            },
            password_hash: row.password_hash,
            disabled_at: row.disabled_at.map(Timestamp),
        }))
    }
}

impl Tx {
    /// Adds a person; `false` if the name is taken.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_moderator(
        &mut self,
        moderator: &Moderator,
        password_hash: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        const PERSON: &str =
            "insert into moderator (id, name, role, every_site, password_hash, created_at)
                              values ($1, $2, $3, $4, $5, $6) on conflict (name) do nothing";
        const SITE: &str = "insert into moderator_site (moderator_id, site_id) values ($1, $2)";
        let added = on!(self, conn => sqlx::query(PERSON)
            .bind(moderator.id.0).bind(&moderator.name).bind(moderator.role.as_str())
            .bind(moderator.sites.is_none()).bind(password_hash).bind(at.0)
            .execute(conn).await?.rows_affected())
            == 1;
        if !added {
            return Ok(false);
        }
        for site in moderator.sites.iter().flatten() {
            on!(self, conn => { sqlx::query(SITE)
                .bind(moderator.id.0).bind(site.0).execute(conn).await?; });
        }
        self.move_revision().await?;
        Ok(true)
    }

    /// Sets a password and ends every session.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such person, else what the database said.
    pub async fn set_password(&mut self, id: ModeratorId, hash: &str) -> Result<(), StoreError> {
        self.replace_hash(id, hash).await?;
        self.end_sessions_of(id).await
    }

    /// Stores another hash of the same password.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such person, else what the database said.
    pub async fn replace_hash(&mut self, id: ModeratorId, hash: &str) -> Result<(), StoreError> {
        const SQL: &str = "update moderator set password_hash = $2 where id = $1";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(id.0).bind(hash).execute(conn).await?.rows_affected()))
    }

    /// Shuts a person out at once: sessions end, tokens are void.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such person, else what the database said.
    pub async fn disable_moderator(
        &mut self,
        id: ModeratorId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "update moderator set disabled_at = coalesce(disabled_at, $2) where id = $1";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(id.0).bind(at.0).execute(conn).await?.rows_affected()))?;
        self.end_sessions_of(id).await?;
        self.move_revision().await
    }

    /// How often a name was tried in vain.
    ///
    /// # Errors
    /// What the database said.
    pub async fn attempts(&mut self, name_mark: &[u8; 32]) -> Result<Attempts, StoreError> {
        const NEW: &str = "insert into login_attempt (name_mark, failures, next_try_at)
                           values ($1, 0, 0) on conflict (name_mark) do nothing";
        const SQL: &str = "select failures, next_try_at from login_attempt where name_mark = $1";
        on!(self, conn => { sqlx::query(NEW).bind(&name_mark[..]).execute(conn).await?; });
        Ok(on!(self, conn => sqlx::query_as(SQL).bind(&name_mark[..]).fetch_one(conn).await?))
    }

    /// Counts a try, if nobody counted another since `seen` was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody did, else what the database said.
    pub async fn set_attempts(
        &mut self,
        name_mark: &[u8; 32],
        seen: Attempts,
        new: Attempts,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update login_attempt set failures = $4, next_try_at = $5
                           where name_mark = $1 and failures = $2 and next_try_at = $3";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(&name_mark[..]).bind(seen.failures).bind(seen.next_try_at)
            .bind(new.failures).bind(new.next_try_at)
            .execute(conn).await?.rows_affected()))
    }

    /// Forgets the tries of a name, because one went well.
    ///
    /// # Errors
    /// What the database said.
    pub async fn forget_attempts(&mut self, name_mark: &[u8; 32]) -> Result<(), StoreError> {
        const SQL: &str = "delete from login_attempt where name_mark = $1";
        on!(self, conn => { sqlx::query(SQL).bind(&name_mark[..]).execute(conn).await?; });
        Ok(())
    }

    /// Forgets tries whose delay was over before `before`; returns how many names.
    ///
    /// # Errors
    /// What the database said.
    pub async fn remove_attempts_before(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "delete from login_attempt where next_try_at < $1";
        Ok(on!(self, conn => sqlx::query(SQL).bind(before.0).execute(conn).await?.rows_affected()))
    }

    /// Begins a session; of more than five the oldest end.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_session(
        &mut self,
        token_hash: &[u8; 32],
        id: ModeratorId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        const ADD: &str =
            "insert into session (token_hash, moderator_id, created_at, seen_at, expires_at)
                           values ($1, $2, $3, $3, $4)";
        const TRIM: &str = "delete from session where moderator_id = $1 and token_hash not in (
                            select token_hash from session where moderator_id = $1
                            order by created_at desc, token_hash limit $2)";
        on!(self, conn => { sqlx::query(ADD)
            .bind(&token_hash[..]).bind(id.0).bind(now.0).bind(expires_at.0).execute(conn).await?; });
        on!(self, conn => { sqlx::query(TRIM).bind(id.0).bind(MAX_SESSIONS).execute(conn).await?; });
        Ok(())
    }

    /// Notes that a session was seen.
    ///
    /// # Errors
    /// What the database said.
    pub async fn touch_session(
        &mut self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update session set seen_at = $2 where token_hash = $1 and seen_at < $2";
        on!(self, conn => { sqlx::query(SQL).bind(&token_hash[..]).bind(now.0).execute(conn).await?; });
        Ok(())
    }

    /// Ends a session; `false` if there was none.
    ///
    /// # Errors
    /// What the database said.
    pub async fn end_session(&mut self, token_hash: &[u8; 32]) -> Result<bool, StoreError> {
        const SQL: &str = "delete from session where token_hash = $1";
        Ok(on!(self, conn => sqlx::query(SQL)
            .bind(&token_hash[..]).execute(conn).await?.rows_affected())
            == 1)
    }

    async fn end_sessions_of(&mut self, id: ModeratorId) -> Result<(), StoreError> {
        const SQL: &str = "delete from session where moderator_id = $1";
        on!(self, conn => { sqlx::query(SQL).bind(id.0).execute(conn).await?; });
        Ok(())
    }

    /// Adds an API token.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_token(
        &mut self,
        token: Uuid,
        token_hash: &[u8; 32],
        id: ModeratorId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "insert into api_token (id, token_hash, moderator_id, created_at)
                           values ($1, $2, $3, $4)";
        on!(self, conn => { sqlx::query(SQL)
            .bind(token).bind(&token_hash[..]).bind(id.0).bind(at.0).execute(conn).await?; });
        self.move_revision().await
    }

    /// Makes an API token void.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such token, else what the database said.
    pub async fn revoke_token(&mut self, token: Uuid, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str =
            "update api_token set revoked_at = coalesce(revoked_at, $2) where id = $1";
        ensure_one_row(on!(self, conn => sqlx::query(SQL)
            .bind(token).bind(at.0).execute(conn).await?.rows_affected()))?;
        self.move_revision().await
    }

    /// Adds a set-up link, and removes those whose time is over.
    ///
    /// # Errors
    /// What the database said.
    pub async fn add_setup_link(
        &mut self,
        token_hash: &[u8; 32],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        const OVER: &str = "delete from setup_link where expires_at <= $1";
        const SQL: &str = "insert into setup_link (token_hash, expires_at) values ($1, $2)";
        on!(self, conn => { sqlx::query(OVER).bind(now.0).execute(conn).await?; });
        on!(self, conn => { sqlx::query(SQL)
            .bind(&token_hash[..]).bind(expires_at.0).execute(conn).await?; });
        Ok(())
    }

    /// Uses a set-up link up, and every other one with it; `false` if it was used before, or its time is over.
    ///
    /// # Errors
    /// What the database said.
    pub async fn take_setup_link(
        &mut self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "delete from setup_link where token_hash = $1 and expires_at > $2";
        const OTHERS: &str = "delete from setup_link";
        let taken = on!(self, conn => sqlx::query(SQL)
            .bind(&token_hash[..]).bind(now.0).execute(conn).await?.rows_affected())
            == 1;
        if taken {
            on!(self, conn => { sqlx::query(OTHERS).execute(conn).await?; });
        }
        Ok(taken)
    }
}
