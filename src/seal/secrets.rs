//! Secrets that are shown once and kept as a hash: API keys, door keys, tokens, session cookies, set-up links.
//!
//! They are random and long, so a plain SHA-256 is all the hashing they need.

use sha2::{Digest, Sha256};

use super::SealError;

/// A site's API key: 256 random bits.
///
/// # Errors
/// [`SealError::Randomness`].
pub fn api_key() -> Result<String, SealError> {
    random("ank_")
}

/// A moderator's API token: 256 random bits.
///
/// # Errors
/// [`SealError::Randomness`].
pub fn api_token() -> Result<String, SealError> {
    random("ant_")
}

/// A session's cookie, or a set-up link's token: 256 random bits.
///
/// # Errors
/// [`SealError::Randomness`].
pub fn session_token() -> Result<String, SealError> {
    random("")
}

/// A door key: 12 characters, as clients of Akismet expect; it may only check and report.
///
/// # Errors
/// [`SealError::Randomness`].
pub fn door_key() -> Result<String, SealError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    Ok(random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

/// What is stored of a secret.
#[must_use]
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn random(prefix: &str) -> Result<String, SealError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(format!("{prefix}{}", hex::encode(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_key_has_twelve_letters_or_digits() {
        let key = door_key().unwrap();
        assert_eq!(key.len(), 12);
        assert!(
            key.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
    }

    #[test]
    fn no_two_secrets_are_alike() {
        assert_ne!(api_key().unwrap(), api_key().unwrap());
        assert_ne!(door_key().unwrap(), door_key().unwrap());
    }
}
