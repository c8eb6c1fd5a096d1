//! Opening the database: checks, pragmas, pools, migrations.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Executor, PgPool, Row, SqlSafeStr, SqlitePool};

use super::dialect::Backend;
use super::{StoreError, Tx};

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long SQLite waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL, an instance.
const POSTGRES_CONNECTIONS: u32 = 10;
/// SQLite connections that only read.
const SQLITE_READERS: u32 = 4;
/// The first SQLite without the WAL-reset corruption.
const SQLITE_LEAST: (u32, u32, u32) = (3, 51, 3);

/// Pools of connections to one database.
#[derive(Clone, Debug)]
pub enum Pools {
    /// One connection that writes, a few that cannot.
    Sqlite {
        /// `query_only`.
        readers: SqlitePool,
        /// Exactly one.
        writer: SqlitePool,
    },
    /// Connections that do both, each checked before use.
    Postgres(PgPool),
}

impl Pools {
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server; the text is the whole URL, which may hold a password.
    Postgres(String),
}

impl FromStr for Location {
    type Err = StoreError;
    fn from_str(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
        {
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            if path.is_empty() || path == ":memory:" {
                return Err(StoreError::Refused(
                    "database.url: SQLite needs a file, such as sqlite:data/anteroom.db".to_owned(),
                ));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err(StoreError::Refused(
            "database.url must start with sqlite: or postgres://".to_owned(),
        ))
    }
}

/// Connects, checks that the database keeps what it is given, and migrates it.
///
/// # Errors
/// [`StoreError`] if it cannot be reached, is too old, or is set up to lose writes.
pub async fn connect(location: &Location) -> Result<Pools, StoreError> {
    let pools = match location {
        Location::Sqlite(path) => connect_sqlite(path).await?,
        Location::Postgres(url) => connect_postgres(url).await?,
    };
    let migrator = migrator(pools.backend());
    let migrated = match &pools {
        Pools::Sqlite { writer, .. } => migrator.run(writer).await,
        Pools::Postgres(pool) => migrator.run(pool).await,
    };
    migrated
        .map_err(|error| StoreError::Refused(format!("migrating the database failed: {error}")))?;
    Ok(pools)
}

async fn connect_sqlite(path: &Path) -> Result<Pools, StoreError> {
    create_private_file(path).map_err(|error| {
        StoreError::Refused(format!(
            "cannot create the database `{}`: {error}",
            path.display()
        ))
    })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("secure_delete", "on")
        .pragma("trusted_schema", "off")
        .pragma("cell_size_check", "on")
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        // Sixteen times the default, in pages of 4 KiB: pages that many comments touch go to the file once for all of
        // them. The log grows to the 64 MiB of its limit, which are read again within a second after a crash.
        .pragma("wal_autocheckpoint", "16000")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging();
    // Keyed hashes land all over their indexes: pages that do not stay in memory would be read again for every batch.
    let writing = options.clone().pragma("cache_size", "-8192");
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT + BUSY_TIMEOUT)
        .connect_with(writing)
        .await?;
    let version: String = sqlx::query_scalar("select sqlite_version()")
        .fetch_one(&writer)
        .await?;
    if parse_version(&version) < Some(SQLITE_LEAST) {
        return Err(StoreError::Refused(format!(
            "SQLite {version} can corrupt its write-ahead log; this program needs 3.51.3 or later"
        )));
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Pools::Sqlite { readers, writer })
}

async fn connect_postgres(url: &str) -> Result<Pools, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Refused("database.url is not a PostgreSQL URL".to_owned()))?
        .application_name("anteroom")
        .options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .max_lifetime(Duration::from_mins(15))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async move { is_fresh(connection).await }))
        .connect_with(options)
        .await?;
    for setting in ["fsync", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&pool)
            .await?;
        if value == "off" {
            return Err(StoreError::Refused(format!(
                "PostgreSQL runs with {setting} = off, which loses comments that were answered; switch it on"
            )));
        }
    }
    Ok(Pools::Postgres(pool))
}

/// False for a connection that must not be used: one with a transaction left open by a cancelled `begin` (its later
/// writes would never be committed), or one whose server has become read-only after a fail-over.
///
/// Source: sqlx issue 4394; `now()` equals `statement_timestamp()` only in a transaction's first statement, and only
/// the simple protocol keeps this query from being a second one.
async fn is_fresh(connection: &mut sqlx::PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection
        .fetch_one(sqlx::raw_sql(
            "select now() = statement_timestamp() as fresh,
                    current_setting('transaction_read_only') = 'off' as writable",
        ))
        .await?;
    Ok(row.try_get("fresh")? && row.try_get("writable")?)
}

/// Creates `path` readable by its owner alone, and its folder likewise, if they are not there.
fn create_private_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    Ok(())
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Numbers, names and texts of all migrations; a test compares them with the folder.
pub const MIGRATIONS: &[(i64, &str, &str, &str)] = &[(
    1,
    "init",
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/postgres/0001_init.sql"),
)];

fn migrator(backend: Backend) -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(number, name, sqlite, postgres)| {
            let sql = match backend {
                Backend::Sqlite => sqlite,
                Backend::Postgres => postgres,
            };
            Migration::new(
                number,
                name.into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
}
