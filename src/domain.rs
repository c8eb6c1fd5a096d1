//! The words of the trade, as types. No I/O, no clock, no randomness.
//!
//! * A [`Draft`] is what arrived; parsed it is a [`Submission`]; stored it is a comment with a [`Status`].
//! * A [`Verdict`] is what the machine says of one version of a comment; a [`Decision`] is what a person says.
//! * A [`Finding`] is one rule's hit, with the places in the author's own text that it points at.
//!
//! Invariant: these types are not wire types. JSON shapes live in `web`, rows in `store`, rule files in `rules`.

pub mod author;
pub mod comment;
pub mod id;
pub mod moderator;
pub mod review;
pub mod site;
pub mod submission;
pub mod time;
pub mod verdict;

pub use author::{EmailAddress, Name, Website};
pub use comment::{Status, Version};
pub use id::{AuthorId, BatchId, CommentId, DecisionId, ModeratorId, SiteId, ThreadId};
pub use moderator::{Actor, Moderator, Permission, Role};
pub use review::{Decision, Lease, QueueOrder};
pub use site::{Site, SiteKey, ThreadKey};
pub use submission::{Draft, FieldError, Limits, Submission};
pub use time::{Clock, Timestamp};
pub use verdict::{Evaluation, Field, Finding, Label, Outcome, Points, Span, Thresholds, Verdict};
