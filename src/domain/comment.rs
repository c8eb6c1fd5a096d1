//! Where a comment stands, and which changes of standing exist.

use std::fmt;
use std::str::FromStr;

use super::verdict::{Outcome, UnknownWord};

/// The number of a comment's text: 1 for what was first submitted, one more for each edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub i64);

impl Version {
    /// The first text.
    pub const FIRST: Self = Self(1);

    /// The version an edit makes.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Where a comment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// In the thread.
    Approved,
    /// Waiting for a person.
    Pending,
    /// Kept out of sight, with its findings.
    Rejected,
    /// Taken back by its author.
    Withdrawn,
}

impl Status {
    /// Every status, in the order in which counts are stored.
    pub const ALL: [Self; 4] = [
        Self::Approved,
        Self::Pending,
        Self::Rejected,
        Self::Withdrawn,
    ];

    /// The word used in rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Approve => Self::Approved,
            Outcome::Hold => Self::Pending,
            Outcome::Reject => Self::Rejected,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(UnknownWord {
                expected: "approved, pending, rejected, withdrawn",
            })
    }
}
