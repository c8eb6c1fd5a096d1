//! The use cases: what the program does, without HTTP and without SQL.
//!
//! Start with [`submit`]: the whole way of a comment in one function. [`review`] is what moderators do, [`author`] what
//! the author can do afterwards, [`threads`] what readers see.
//!
//! Invariant: only this layer begins transactions, and every one runs inside [`complete`], so that a caller who goes
//! away cannot cancel it half-way.

pub mod accounts;
pub mod audit;
pub mod author;
pub mod counters;
pub mod gather;
pub mod judge;
pub mod places;
pub mod retention;
pub mod review;
pub mod rulebook;
pub mod sites;
pub mod submit;
pub mod threads;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::{Clock, Label, Limits, Timestamp, id};
use crate::seal::Keyring;
use crate::seal::password::Passwords;
use crate::store::{Store, StoreError};

/// The program: a cheap clone that every request holds.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The keys.
    pub keyring: Keyring,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// The time.
    pub clock: Clock,
    /// What the operator set.
    pub settings: Settings,
    /// The running rule set.
    pub rulebook: rulebook::Rulebook,
    /// Sites, as last read.
    pub sites: sites::Sites,
    /// Threads as readers last saw them.
    pub threads: threads::Cache,
    /// Floods, counted in memory.
    pub counters: counters::Counters,
    /// Idempotency keys whose first request is still under way here.
    pub in_flight: submit::InFlight,
}

impl std::ops::Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What the operator set, as far as use cases need it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lengths of fields.
    pub limits: Limits,
    /// How long an author may edit.
    pub edit_window: Duration,
    /// Age at which a thread takes no more comments.
    pub thread_closes_after: Option<Duration>,
    /// What authors of rejected comments hear.
    pub replies: Replies,
    /// The address under which the service is reached, without a slash at the end.
    pub public_url: String,
}

/// What the author of a rejected comment hears, by label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The same as if it waited, for a while.
    Quiet,
    /// That it was rejected, and the class of reason.
    Explain,
}

/// What authors of rejected comments hear.
#[derive(Clone, Debug)]
pub struct Replies {
    /// By label, indexed as [`Label::ALL`].
    pub by_label: [Reply; 4],
    /// How long a quiet rejection reads as waiting.
    pub quiet_for: Duration,
}

impl Replies {
    /// What the author of a comment rejected as `label` hears.
    #[must_use]
    pub fn of(&self, label: Option<Label>) -> Reply {
        label.map_or(Reply::Explain, |label| self.by_label[label as usize])
    }
}

/// Something went wrong that is nobody's input.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A key did not fit, or the machine has no randomness.
    #[error("the keys failed: {0}")]
    Keys(String),
    /// A unit of work panicked; the panic was reported where it happened.
    #[error("a unit of work panicked")]
    Panicked,
}

impl Fault {
    /// True if trying again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_temporary())
    }

    /// A short code without values, for logs.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Store(error) => error.code(),
            Self::Keys(_) => "keys".to_owned(),
            Self::Panicked => "panic".to_owned(),
        }
    }
}

/// Runs a unit of work to its end, whether or not the caller stays to hear of it.
///
/// # Errors
/// [`Fault::Panicked`] if it panicked, else its own.
pub async fn complete<T, E, F>(work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Fault> + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is the place for it")]
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(_) => Err(E::from(Fault::Panicked)),
    }
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// A new time-ordered id.
    ///
    /// # Errors
    /// [`Fault::Keys`] if the machine gives no randomness.
    pub fn new_id(&self, now: Timestamp) -> Result<Uuid, Fault> {
        new_id(now)
    }
}

/// A new time-ordered id.
///
/// # Errors
/// [`Fault::Keys`] if the machine gives no randomness.
pub fn new_id(now: Timestamp) -> Result<Uuid, Fault> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| Fault::Keys(format!("no randomness: {error}")))?;
    Ok(id::from_parts(now.as_millis(), random))
}
