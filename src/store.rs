//! The store: one SQL text for SQLite and PostgreSQL, rows turned into domain types.
//!
//! * Reads go through [`Store`], each one statement on a pooled connection.
//! * Rare writes (a moderator's decision, an edit, a new site) are plain transactions: [`Store::begin`] gives a [`Tx`].
//! * Submissions are many, so they are handed to the group commit of [`writer`].
//!
//! Invariant: nothing here decides anything, and nothing here sees an address in plain.

pub mod accounts;
pub mod comments;
pub mod connect;
pub mod dialect;
pub mod journal;
pub mod reviews;
pub mod seals;
pub mod signals;
pub mod sites;
pub mod tally;
pub mod writer;

use sqlx::{Postgres, Sqlite, Transaction};

pub use connect::{Pools, connect};

/// Runs the same body on whichever database a transaction belongs to.
///
/// `on!(tx, conn => sqlx::query(SQL).bind(id.0).execute(conn).await?.rows_affected())`
macro_rules! on {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::store::Tx::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

/// Runs the same read on whichever database a store belongs to.
///
/// `read!(self, pool => sqlx::query_as(SQL).bind(key).fetch_optional(pool).await?)`
macro_rules! read {
    ($store:expr, $pool:ident => $body:expr) => {
        match $store.pools() {
            $crate::store::Pools::Sqlite { readers: $pool, .. } => $body,
            $crate::store::Pools::Postgres($pool) => $body,
        }
    };
}

pub(crate) use {on, read};

/// A handle on the database; a cheap clone.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
    writer: writer::Writer,
    asker: signals::Asker,
}

impl Store {
    /// Opens a store over connected pools and starts its tasks, which end when the last clone is dropped.
    #[must_use]
    pub fn new(pools: Pools) -> Self {
        let writer = writer::Writer::start(pools.clone());
        let asker = signals::Asker::start(pools.clone());
        Self {
            pools,
            writer,
            asker,
        }
    }

    /// The pools, for reads.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The group commit.
    #[must_use]
    pub fn writer(&self) -> &writer::Writer {
        &self.writer
    }

    /// Begins a transaction that may write: `BEGIN IMMEDIATE` on the one SQLite writer, plain on PostgreSQL.
    ///
    /// # Errors
    /// [`StoreError`] if no connection could be had in time.
    ///
    /// # Cancel safety
    /// Not cancel safe on PostgreSQL with sqlx 0.9.0 (a cancelled `begin` leaves `BEGIN` open on the connection).
    /// Call it inside a task of its own; the pool's guard catches what slips through.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.pools.begin().await
    }

    /// Closes every connection after the writer has finished what it holds.
    pub async fn close(&self) {
        self.writer.close().await;
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction on either database. Dropped without [`Tx::commit`] it is rolled back.
#[derive(Debug)]
pub enum Tx {
    /// On the one writing connection.
    Sqlite(Transaction<'static, Sqlite>),
    /// On a pooled connection.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Commits; what was written is durable when this returns `Ok`.
    ///
    /// # Errors
    /// [`StoreError`] if the commit failed; nothing was written then, or, after a lost connection, it is not known.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> dialect::Backend {
        match self {
            Self::Sqlite(_) => dialect::Backend::Sqlite,
            Self::Postgres(_) => dialect::Backend::Postgres,
        }
    }
}

/// What can go wrong between the program and its database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The driver reported an error. Its text may hold values; only [`StoreError::code`] may be logged.
    #[error("the database reported an error ({})", driver_code(.0))]
    Driver(#[source] sqlx::Error),
    /// The row changed since it was read.
    #[error("the row has changed since it was read")]
    Conflict,
    /// A row that this program could not have written.
    #[error("table `{table}` holds a row that cannot be read: column `{column}`")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Too much is waiting, or the database cannot be reached or written to.
    #[error("the database is not available: {0}")]
    Unavailable(&'static str),
    /// The database was made by another key ring, program version or settings.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// A short code without values: an SQLSTATE, an SQLite code, or a word.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Driver(error) => driver_code(error),
            Self::Conflict => "conflict".to_owned(),
            Self::Inconsistent { table, column } => format!("inconsistent:{table}.{column}"),
            Self::Unavailable(why) => format!("unavailable:{why}"),
            Self::Refused(_) => "refused".to_owned(),
        }
    }

    /// True if trying again later may help: the disk is full, the connection is gone, the server restarts.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Driver(error) => match error {
                sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::Io(_)
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(database) => {
                    let code = database.code().unwrap_or_default();
                    // PostgreSQL: connection, resources, operator, read-only, serialization, lock and statement time.
                    // SQLite: busy (5), locked (6), read-only (8), I/O (10), full (13), cannot open (14).
                    let sqlite: Option<u32> = code.parse().ok().map(|code: u32| code & 0xff);
                    ["08", "53", "57", "40", "55"]
                        .iter()
                        .any(|class| code.len() == 5 && code.starts_with(class))
                        || code == "25006"
                        || (code.len() < 5 && matches!(sqlite, Some(5 | 6 | 8 | 10 | 13 | 14)))
                }
                _ => false,
            },
            Self::Conflict | Self::Inconsistent { .. } | Self::Refused(_) => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

fn driver_code(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            match database.constraint() {
                Some(constraint) => format!("{code} {constraint}"),
                None => code.into_owned(),
            }
        }
        sqlx::Error::PoolTimedOut => "pool timed out".to_owned(),
        sqlx::Error::PoolClosed => "pool closed".to_owned(),
        sqlx::Error::RowNotFound => "row not found".to_owned(),
        sqlx::Error::Io(_) => "io".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} has another type"),
        sqlx::Error::ColumnNotFound(name) => format!("column {name} is missing"),
        sqlx::Error::Migrate(_) => "migration".to_owned(),
        _ => "driver".to_owned(),
    }
}

/// Rows on their way into a batch statement.
fn to_json<T: serde::Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|_| StoreError::Inconsistent {
        table: "batch",
        column: "json",
    })
}

/// Turns "no row matched" into [`StoreError::Conflict`]: the compare-and-set of every guarded update.
pub(crate) fn ensure_one_row(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}
