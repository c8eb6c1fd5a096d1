//! What a database driver may do to us, and what must not come of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use anteroom::store::{Pools, Store, connect};
use sqlx::{Connection, PgConnection};

use crate::rig::postgres;

/// security.md, finding 1: a caller who gives up inside `begin()` leaves `BEGIN` open on the pooled
/// connection, and what the next caller writes there is answered and never committed.
#[tokio::test]
async fn a_cancelled_begin_loses_nothing() {
    let Some(url) = postgres::fresh_database() else {
        return;
    };
    let store = Store::new(connect::connect(&url.parse().unwrap()).await.unwrap());
    let Pools::Postgres(pool) = store.pools() else {
        panic!("a pool of PostgreSQL");
    };
    sqlx::query("create table kept (id int primary key)")
        .execute(pool)
        .await
        .unwrap();

    let mut n_cancelled = 0;
    for id in 0..600_i32 {
        if is_cancelled_after(id % 40, store.begin()).await {
            n_cancelled += 1;
        }
        sqlx::query("insert into kept values ($1)")
            .bind(id)
            .execute(pool)
            .await
            .unwrap();
    }
    pool.close().await;

    let mut other = PgConnection::connect(&url).await.unwrap();
    let kept: i64 = sqlx::query_scalar("select count(*) from kept")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(n_cancelled > 100, "only {n_cancelled} were cancelled");
    assert_eq!(kept, 600);
}

/// The migrations of both databases end in the same tables with the same columns.
#[tokio::test]
async fn both_databases_have_the_same_columns() {
    const SQLITE: &str =
        "select t.name || '.' || c.name from sqlite_schema t, pragma_table_info(t.name) c
                          where t.type = 'table' and t.name not like '\\_%' escape '\\'
                          and t.name not like 'sqlite%' order by 1";
    const POSTGRES: &str = "select table_name || '.' || column_name from information_schema.columns
                            where table_schema = 'public' and table_name not like '\\_%' order by 1";
    let Some(url) = postgres::fresh_database() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("anteroom.db").display());
    let mut columns = Vec::new();
    for url in [file, url] {
        let pools = connect::connect(&url.parse().unwrap()).await.unwrap();
        let mut names: Vec<String> = match &pools {
            Pools::Sqlite { readers, .. } => sqlx::query_scalar(SQLITE).fetch_all(readers).await,
            Pools::Postgres(pool) => sqlx::query_scalar(POSTGRES).fetch_all(pool).await,
        }
        .unwrap();
        names.sort();
        columns.push(names);
    }

    assert!(columns[0].len() > 100, "{:?}", columns[0]);
    assert_eq!(columns[0], columns[1]);
}

/// Polls a future up to so many times, then drops it where it stands.
async fn is_cancelled_after(n_polls: i32, future: impl Future) -> bool {
    let mut future = pin!(future);
    for _ in 0..=n_polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}
