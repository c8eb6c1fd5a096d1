//! Every difference between the two databases' SQL, both texts side by side.
//!
//! Invariant: SQL is constant text. What varies is the backend, never a value.

use super::Pools;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The embedded one.
    Sqlite,
    /// The server.
    Postgres,
}

/// One statement in both dialects.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

impl Sql {
    /// The text for `backend`.
    #[must_use]
    pub const fn on(&self, backend: Backend) -> &'static str {
        match backend {
            Backend::Sqlite => self.sqlite,
            Backend::Postgres => self.postgres,
        }
    }
}

impl Pools {
    /// Which database these pools belong to.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        match self {
            Self::Sqlite { .. } => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }
}

/// Builds an [`Sql`] that works on a whole batch of rows, handed over as one JSON array of objects (`$1`) and called `b`.
///
/// On SQLite each row stays in its binary form (`jsonb_each`), so that reading a column of it parses nothing.
///
/// Column types: `uuid` and `bytes` travel as hex (bytes with a leading `\x`), `int`, `real`, `flag`, `text`, `json` as
/// themselves.
///
/// ```text
/// const SQL: Sql = batch!("delete from report where comment_id in (select comment_id from",
///     [comment_id uuid], ")");
/// ```
macro_rules! batch {
    ($before:expr, [$first:ident $first_type:ident $(, $column:ident $type:ident)* $(,)?], $after:expr) => {
        $crate::store::dialect::Sql {
            sqlite: concat!(
                $before, " (select ",
                $crate::store::dialect::column!(sqlite $first $first_type),
                $(", ", $crate::store::dialect::column!(sqlite $column $type),)*
                " from jsonb_each($1)) as b ", $after
            ),
            postgres: concat!(
                $before, " jsonb_to_recordset($1::jsonb) as b(",
                $crate::store::dialect::column!(postgres $first $first_type),
                $(", ", $crate::store::dialect::column!(postgres $column $type),)*
                ") ", $after
            ),
        }
    };
}

/// A [`batch!`] that inserts its rows into the table as they are.
macro_rules! insert {
    ($table:literal, [$first:ident $first_type:ident $(, $column:ident $type:ident)* $(,)?], $after:expr) => {
        $crate::store::dialect::batch!(
            concat!(
                "insert into ", $table, " (", stringify!($first) $(, ", ", stringify!($column))*,
                ") select b.", stringify!($first) $(, ", b.", stringify!($column))*, " from"
            ),
            [$first $first_type $(, $column $type)*],
            concat!("where true ", $after)
        )
    };
}

/// One column of [`batch!`] in one dialect.
macro_rules! column {
    (sqlite $name:ident uuid) => {
        concat!(
            "unhex(value->>'",
            stringify!($name),
            "', '-') as ",
            stringify!($name)
        )
    };
    (sqlite $name:ident bytes) => {
        concat!(
            "unhex(value->>'",
            stringify!($name),
            "', '\\x') as ",
            stringify!($name)
        )
    };
    (sqlite $name:ident $type:ident) => {
        concat!("value->>'", stringify!($name), "' as ", stringify!($name))
    };
    (postgres $name:ident uuid) => {
        concat!(stringify!($name), " uuid")
    };
    (postgres $name:ident bytes) => {
        concat!(stringify!($name), " bytea")
    };
    (postgres $name:ident int) => {
        concat!(stringify!($name), " bigint")
    };
    (postgres $name:ident real) => {
        concat!(stringify!($name), " double precision")
    };
    (postgres $name:ident flag) => {
        concat!(stringify!($name), " boolean")
    };
    (postgres $name:ident text) => {
        concat!(stringify!($name), " text")
    };
    (postgres $name:ident json) => {
        concat!(stringify!($name), " jsonb")
    };
}

pub(crate) use {batch, column, insert};

macro_rules! claimable {
    ($order:literal) => {
        Sql {
            sqlite: claimable!(@ $order),
            postgres: concat!(claimable!(@ $order), " for update skip locked"),
        }
    };
    (@ $order:literal) => {
        concat!(
            "select id from comment where site_id = $1 and status = 'pending'
             and (lease_until <= $2 or lease_by = $3) order by ",
            $order,
            " limit $4"
        )
    };
}

/// Items that a moderator may claim, one statement for each order of the queue. PostgreSQL skips rows that another claim
/// holds, so that two claims never take one item; SQLite has one writer anyway.
pub const CLAIMABLE: [Sql; 4] = [
    claimable!("risk desc, id desc"),
    claimable!("id"),
    claimable!("id desc"),
    claimable!("reports desc, id desc"),
];

/// Leases the items of a JSON array of ids.
pub const LEASES: Sql = Sql {
    sqlite: "update comment set lease_by = $2, lease_until = $3
             where site_id = $1 and id in (select unhex(value, '-') from json_each($4))",
    postgres: "update comment set lease_by = $2, lease_until = $3
               where site_id = $1 and id in (select value::uuid from jsonb_array_elements_text($4) as value)",
};

/// Ends a moderator's own leases on the items of a JSON array of ids.
pub const RELEASES: Sql = Sql {
    sqlite: "update comment set lease_by = null, lease_until = 0
             where site_id = $1 and lease_by = $2 and id in (select unhex(value, '-') from json_each($3))",
    postgres: "update comment set lease_by = null, lease_until = 0
               where site_id = $1 and lease_by = $2
               and id in (select value::uuid from jsonb_array_elements_text($3) as value)",
};
