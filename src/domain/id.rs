//! Typed identifiers: UUID version 7 (RFC 9562), so that an id sorts by the time of its making.
//!
//! Nothing here draws randomness; ids are made by [`crate::domain::time::Clock`]'s owner through [`from_parts`].

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Declares an id type: `id!(CommentId, "one comment")`.
macro_rules! id {
    ($name:ident, $what:literal) => {
        #[doc = concat!("Identifies ", $what, ".")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id's sixteen bytes, as stored.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    };
}

id!(SiteId, "one site");
id!(ThreadId, "the discussion of one post");
id!(CommentId, "one comment");
id!(
    AuthorId,
    "an author as far as proven: a new one for every comment that comes without proof"
);
id!(ModeratorId, "a person who may log in");
id!(DecisionId, "one decision on one comment");
id!(
    BatchId,
    "decisions taken together, which are undone together"
);

/// Builds a version 7 UUID from a time in milliseconds since 1970 and ten random bytes.
///
/// Source: RFC 9562 §5.7.
#[must_use]
pub fn from_parts(unix_ms: u64, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
}
