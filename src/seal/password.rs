//! Passwords: argon2id with a pepper, off the request threads, a few at once.
//!
//! A hash takes 64 MiB and a tenth of a second on purpose, so how many run at once and how many wait is bounded; the
//! permit belongs to the hashing itself, not to a request that may go away while it runs.

use std::num::NonZero;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::Keyring;

/// Memory of one hash, in KiB. Source: security.md, section 6.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes.
const PASSES: u32 = 3;
/// Stored parameters above these are refused: a doctored row must take neither the machine's memory nor its time.
const MEMORY_KIB_MOST: u32 = 128 * 1024;
const PASSES_MOST: u32 = 10;
const LANES_MOST: u32 = 4;
/// Hashes at once, on a machine that has as many processors.
const AT_ONCE_MOST: usize = 4;
/// Hashes that wait for one of those to end.
const WAITING: usize = 32;

/// The shortest password, in characters.
pub const MIN_CHARS: usize = 15;
/// The longest, in characters.
pub const MAX_CHARS: usize = 128;
/// So many letters beside what is well known make a password of one's own.
const REST_CHARS: usize = 6;
/// Well-known passwords and the words they are made of, one a line, in small letters and digits.
const COMMON: &str = include_str!("common_passwords.txt");

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Too short.
    #[error("a password needs at least 15 characters; a few words in a row do well")]
    TooShort,
    /// Too long.
    #[error("a password may have at most 128 characters")]
    TooLong,
    /// A pattern instead of words.
    #[error("this password is too easy to guess: it repeats itself or counts up")]
    Guessable,
    /// Everybody tries it, or it is made of what everybody tries.
    #[error(
        "this password is made of what people try first: well-known passwords and words, your name, \
         `anteroom`, with or without digits; take a few unusual words instead"
    )]
    Common,
}

/// Why hashing or checking did not happen.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many log-ins at once.
    #[error("too many log-ins at once; try again in a moment")]
    Busy,
    /// The stored hash is not one of ours.
    #[error("a stored password hash cannot be read")]
    Broken,
}

/// How a password fits a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// It does, and the hash was made with weaker parameters than new ones are: hash it again.
    Outdated,
}

/// Checks a new password. Length is what counts; there are no rules of composition.
///
/// # Errors
/// [`BadPassword`].
pub fn check(password: &SecretString, name: &str) -> Result<(), BadPassword> {
    let text = password.expose_secret();
    let length = text.chars().count();
    if length < MIN_CHARS {
        return Err(BadPassword::TooShort);
    }
    if length > MAX_CHARS {
        return Err(BadPassword::TooLong);
    }
    let folded = text.to_lowercase();
    let mut distinct: Vec<char> = folded.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let counts_up = folded.chars().zip(folded.chars().skip(1)).filter(|(a, b)| {
        let step = i64::from(u32::from(*b)) - i64::from(u32::from(*a));
        (-1..=1).contains(&step)
    });
    let mostly_counts = counts_up.count() * 4 >= length * 3;
    if distinct.len() < 5 || mostly_counts {
        return Err(BadPassword::Guessable);
    }
    if is_common(&folded, &name.to_lowercase()) {
        return Err(BadPassword::Common);
    }
    Ok(())
}

/// True if nothing is left of a password but digits and signs when well-known ones, the person's name and the name of this
/// program are taken out of it.
fn is_common(folded: &str, name: &str) -> bool {
    let letters: String = folded.chars().filter(|c| c.is_alphanumeric()).collect();
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let own = [name.as_str(), "anteroom"];
    let own = own.into_iter().filter(|word| word.chars().count() >= 3);
    // Long ones first, since they may hold short ones.
    let mut known: Vec<&str> = COMMON
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    known.extend(own);
    known.retain(|word| !word.is_empty());
    known.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = letters;
    for word in known {
        if rest.contains(word) {
            // A mark, so that what stood before and after does not become a word.
            rest = rest.replace(word, " ");
        }
    }
    let has_known = rest.contains(' ');
    has_known && rest.chars().filter(|c| c.is_alphabetic()).count() < REST_CHARS
}

/// Hashes and checks passwords; a cheap clone.
#[derive(Clone, Debug)]
pub struct Passwords {
    keyring: Keyring,
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Passwords {
    /// Bounded by this machine's means.
    #[must_use]
    pub fn new(keyring: Keyring) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let at_once = processors.min(AT_ONCE_MOST);
        Self {
            keyring,
            at_once: Arc::new(Semaphore::new(at_once)),
            waiting: Arc::new(Semaphore::new(at_once + WAITING)),
        }
    }

    /// Hashes a password for storing.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub async fn hash(&self, password: SecretString) -> Result<String, HashError> {
        self.run(move |argon2| {
            let hash = argon2
                .hash_password(password.expose_secret().as_bytes())
                .map_err(|_| HashError::Broken)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Says how `password` fits `stored`. Without a stored hash it takes as long, and does not fit: who logs in must
    /// not learn which names exist.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<Fit, HashError> {
        self.run(move |argon2| {
            let Some(stored) = stored else {
                // The result is of no interest, the time it takes is.
                let wasted = argon2.hash_password(password.expose_secret().as_bytes());
                return wasted.map(|_| Fit::No).map_err(|_| HashError::Broken);
            };
            let hash = PasswordHash::new(&stored).map_err(|_| HashError::Broken)?;
            let params = Params::try_from(&hash).map_err(|_| HashError::Broken)?;
            if params.m_cost() > MEMORY_KIB_MOST
                || params.t_cost() > PASSES_MOST
                || params.p_cost() > LANES_MOST
            {
                return Err(HashError::Broken);
            }
            let outdated = params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES;
            let fits = argon2.verify_password(password.expose_secret().as_bytes(), &hash);
            Ok(match fits {
                Ok(()) if outdated => Fit::Outdated,
                Ok(()) => Fit::Yes,
                Err(_) => Fit::No,
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'_>) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| HashError::Busy)?;
        let permit = Arc::clone(&self.at_once)
            .acquire_owned()
            .await
            .map_err(|_| HashError::Busy)?;
        let keyring = self.keyring.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Owned here: they are given back when the hashing is over, not when the asker is gone.
            let _held = (place, permit);
            let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| HashError::Broken)?;
            let argon2 = Argon2::new_with_secret(
                keyring.pepper(),
                Algorithm::Argon2id,
                Version::V0x13,
                params,
            )
            .map_err(|_| HashError::Broken)?;
            work(&argon2)
        });
        done.await.map_err(|_| HashError::Broken)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::file::Roots;

    fn passwords(enc: u8) -> Passwords {
        let roots = Roots {
            enc: [enc; 32],
            enc_id: *b"test",
            index: [2; 32],
        };
        Passwords::new(Keyring::from_roots(&roots))
    }

    const RIGHT: &str = "three calm herons wade";

    #[tokio::test]
    async fn a_password_fits_its_own_hash_under_its_own_pepper_alone() {
        let hash = passwords(1).hash(RIGHT.into()).await.unwrap();
        let cases = [
            (1, RIGHT, Some(hash.clone()), Fit::Yes),
            (1, "three calm herons fly", Some(hash.clone()), Fit::No),
            (9, RIGHT, Some(hash), Fit::No),
            (1, RIGHT, None, Fit::No),
        ];
        for (pepper, password, stored, expected) in cases {
            let fit = passwords(pepper).verify(password.into(), stored).await;
            assert_eq!(fit.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_weaker_hash_still_fits_and_asks_to_be_made_again() {
        let keyring = passwords(1).keyring;
        let weak = Params::new(19 * 1024, 2, 1, None).unwrap();
        let argon2 =
            Argon2::new_with_secret(keyring.pepper(), Algorithm::Argon2id, Version::V0x13, weak);
        let stored = argon2
            .unwrap()
            .hash_password(RIGHT.as_bytes())
            .unwrap()
            .to_string();

        let fit = passwords(1).verify(RIGHT.into(), Some(stored)).await;

        assert_eq!(fit.unwrap(), Fit::Outdated);
    }

    #[tokio::test]
    async fn a_stored_hash_that_would_take_the_machine_is_refused() {
        let hash = passwords(1).hash(RIGHT.into()).await.unwrap();
        for doctored in [
            hash.replace("m=65536", "m=1048576"),
            hash.replace("t=3", "t=1000"),
            "$argon2id$nonsense".to_owned(),
        ] {
            let fit = passwords(1).verify(RIGHT.into(), Some(doctored)).await;
            assert!(matches!(fit, Err(HashError::Broken)));
        }
    }

    #[tokio::test]
    async fn more_hashes_than_can_wait_are_refused_at_once() {
        let passwords = passwords(1);
        let n = u32::try_from(passwords.waiting.available_permits()).unwrap();
        let full = Arc::clone(&passwords.waiting).acquire_many_owned(n).await;

        let refused = passwords.hash(RIGHT.into()).await;

        drop(full.unwrap());
        assert!(matches!(refused, Err(HashError::Busy)));
    }

    #[test]
    fn short_and_guessable_passwords_are_refused() {
        let cases = [
            ("short", Some(BadPassword::TooShort)),
            ("aaaaaaaaaaaaaaaaaaaa", Some(BadPassword::Guessable)),
            ("abcdefghijklmnopqrst", Some(BadPassword::Guessable)),
            ("margaretmargaret99", Some(BadPassword::Common)),
            ("passwordpassword1", Some(BadPassword::Common)),
            ("Correct Horse Battery Staple", Some(BadPassword::Common)),
            ("1q2w3e4r5t6y7u8i9o0p", Some(BadPassword::Common)),
            ("Anteroom-2026-2026!", Some(BadPassword::Common)),
            ("Margaret.1984.1985", Some(BadPassword::Common)),
            ("sunshine20262027", Some(BadPassword::Common)),
            ("anteroom-margaret", Some(BadPassword::Common)),
            ("three calm herons wade", None),
            ("seven-quiet-barges-moor", None),
            ("the sunshine of a lighthouse", None),
            ("48-29104-7560-3829", None),
        ];
        for (text, expected) in cases {
            assert_eq!(check(&text.into(), "margaret").err(), expected, "{text}");
        }
    }
}
