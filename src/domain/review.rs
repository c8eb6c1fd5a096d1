//! What a person does with a comment: claim it, decide it, take the decision back.

use std::fmt;
use std::str::FromStr;

use super::comment::Status;
use super::id::ModeratorId;
use super::time::Timestamp;
use super::verdict::UnknownWord;

/// How long a claim lasts. Source: contract, section 4.
pub const LEASE: std::time::Duration = std::time::Duration::from_mins(10);

/// What a moderator says of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Publish it.
    Approve,
    /// Keep it out of sight.
    Reject,
    /// Put it back into the queue.
    Hold,
}

impl Decision {
    /// The word used in rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Hold => "hold",
        }
    }

    /// Where the comment stands afterwards.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Approve => Status::Approved,
            Self::Reject => Status::Rejected,
            Self::Hold => Status::Pending,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Decision {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "approve" => Ok(Self::Approve),
            "reject" => Ok(Self::Reject),
            "hold" => Ok(Self::Hold),
            _ => Err(UnknownWord {
                expected: "approve, reject, hold",
            }),
        }
    }
}

/// Who works on an item, until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The holder.
    pub by: ModeratorId,
    /// The holder's name.
    pub name: String,
    /// The first moment at which it no longer holds.
    pub until: Timestamp,
}

/// The order of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueueOrder {
    /// Most points first.
    #[default]
    Risk,
    /// Longest waiting first.
    Oldest,
    /// Latest first.
    Newest,
    /// Most reported first.
    Reports,
}

impl QueueOrder {
    /// The word used in addresses and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Oldest => "oldest",
            Self::Newest => "newest",
            Self::Reports => "reports",
        }
    }
}

impl FromStr for QueueOrder {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Risk, Self::Oldest, Self::Newest, Self::Reports]
            .into_iter()
            .find(|order| order.as_str() == word)
            .ok_or(UnknownWord {
                expected: "risk, oldest, newest, reports",
            })
    }
}
