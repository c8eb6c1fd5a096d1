//! Who may do what.

use std::fmt;
use std::str::FromStr;

use super::id::{ModeratorId, SiteId};
use super::verdict::UnknownWord;

/// What a person is here for. A later one may do all that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Works the queue.
    Moderator,
    /// Also reads rules and statistics.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The word used in commands, rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moderator => "moderator",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Moderator, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or(UnknownWord {
                expected: "moderator, operator, admin",
            })
    }
}

/// What a route or use case asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read the queue, claim, decide, undo.
    Moderate,
    /// See an author's e-mail address, with a reason, in the audit log.
    Reveal,
    /// Read rules, statistics and load errors; try and replay.
    ReadRules,
    /// Read the audit log.
    ReadAudit,
}

/// A person who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moderator {
    /// Identity.
    pub id: ModeratorId,
    /// The name they log in with and are shown by.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where they may do it; `None` is everywhere.
    pub sites: Option<Vec<SiteId>>,
}

impl Moderator {
    /// True if this person may do `what` somewhere.
    #[must_use]
    pub fn can(&self, what: Permission) -> bool {
        let least = match what {
            Permission::Moderate => Role::Moderator,
            Permission::ReadRules => Role::Operator,
            Permission::Reveal | Permission::ReadAudit => Role::Admin,
        };
        self.role >= least
    }

    /// True if every site is theirs, those of tomorrow too.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.sites.is_none()
    }

    /// True if `site` is among theirs.
    #[must_use]
    pub fn works_at(&self, site: SiteId) -> bool {
        self.sites
            .as_ref()
            .is_none_or(|sites| sites.contains(&site))
    }
}

/// A moderator, and how they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The person.
    pub moderator: Moderator,
    /// `session` or `token`.
    pub via: Via,
}

/// The credential that proved an [`Actor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A console session's cookie.
    Session,
    /// An API token.
    Token,
}
