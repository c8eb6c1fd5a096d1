//! A blog, and the keys by which it and its threads are named.

use std::fmt;

use super::author::Website;
use super::id::SiteId;
use super::time::Timestamp;

/// A site's public key: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteKey(String);

impl SiteKey {
    /// Parses a key.
    ///
    /// # Errors
    /// If it is empty, longer than 64 bytes or holds another character.
    pub fn parse(text: &str) -> Result<Self, BadSiteKey> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSiteKey)
        }
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a site key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a site key has 1 to 64 characters, each of a-z, 0-9 or -")]
pub struct BadSiteKey;

/// A thread's key: any string of 1 to 512 bytes without control characters, usually the path of the post.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadKey(String);

impl ThreadKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Parses a key; nothing is trimmed, for it is opaque.
    ///
    /// # Errors
    /// If it is blank, too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, super::author::Wrong> {
        use super::author::Wrong;
        if text.trim().is_empty() {
            return Err(Wrong::Missing);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(Wrong::TooLong {
                max_bytes: Self::MAX_BYTES,
            });
        }
        if text.chars().any(char::is_control) {
            return Err(Wrong::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One blog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Identity.
    pub id: SiteId,
    /// The public key.
    pub key: SiteKey,
    /// A name for people.
    pub name: String,
    /// Origins (`https://blog.example`) whose pages may submit and be redirected to.
    pub origins: Vec<String>,
    /// SHA-256 of the API key.
    pub api_key_hash: [u8; 32],
    /// SHA-256 of the door key, which may only check and report.
    pub door_key_hash: [u8; 32],
    /// Since when it is closed to everybody, if it is.
    pub disabled_at: Option<Timestamp>,
}

impl Site {
    /// True if `origin` is one of the site's.
    #[must_use]
    pub fn has_origin(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// True if `address` is on one of the site's origins.
    #[must_use]
    pub fn has_page(&self, address: &Website) -> bool {
        url::Url::parse(address.as_str())
            .is_ok_and(|url| self.has_origin(&url.origin().ascii_serialization()))
    }
}
