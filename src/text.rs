//! What a filter reads: the text of a comment with disguises undone, and what can be told from it alone.
//!
//! A [`View`] is a text with some classes of disguise undone ([`See`]) and a map back to the bytes as typed. Beside it
//! stand the links of a text, its script and shape, its fingerprint and its safe HTML. No I/O, no clock, no rules: a
//! function here gives the same answer for the same text for ever.
//!
//! **Invariant:** every range a function of this module returns lies on character boundaries of the text it was given.
pub mod fingerprint;
pub mod links;
pub mod markdown;
pub mod script;
pub mod see;
pub mod view;

mod bidi;
pub(crate) mod glyph;
pub(crate) mod lookalike;
pub(crate) mod token;

pub use fingerprint::Fingerprint;
pub use see::See;
pub use view::View;
