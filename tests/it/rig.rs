//! What the tests stand on: databases, servers and browsers that are started, watched and ended.
//!
//! Not here: expectations. The rig knows the public contract and nothing of the code behind it.

pub(crate) mod browser;
pub(crate) mod postgres;
pub(crate) mod programs;
pub(crate) mod server;
pub(crate) mod talk;
pub(crate) mod warden;

/// Runs each of the named expectations on each database, as `name::sqlite` and `name::postgres`.
///
/// ```ignore
/// both_backends! { a_comment_is_kept }
///
/// async fn a_comment_is_kept(backend: &Backend) { let server = Anteroom::start(backend).await; … }
/// ```
macro_rules! both_backends {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use $crate::rig::{Backend, postgres};

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() { super::$name(&Backend::Sqlite).await; }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                let Some(url) = postgres::fresh_database() else { return };
                super::$name(&Backend::Postgres { url }).await;
            }
        }
    )+ };
}
pub(crate) use both_backends;

/// Which database a server under test stands on.
pub(crate) enum Backend {
    /// A file in the server's own data directory.
    Sqlite,
    /// A fresh, empty database of the private PostgreSQL.
    Postgres {
        /// Where it listens.
        url: String,
    },
}
