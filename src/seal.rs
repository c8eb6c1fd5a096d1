//! Keys, and everything that is made with them: sealed fields, blind indexes, receipts, stamps, marks.
//!
//! Two independent roots lie in one file: `enc` for sealing, `index` for everything that must be found or told again;
//! stealing one does not give the other. Every purpose has its own key, derived by HKDF-SHA-256 (RFC 5869).
//!
//! Invariant: nothing else in the program sees a key, and no key or token can be printed.

pub mod file;
pub mod password;
pub mod secrets;
pub mod token;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::{AuthorId, EmailAddress, SiteId, Timestamp};

/// Version of the sealed layout: `version(1) key id(4) nonce(24) ciphertext and tag`.
const LAYOUT: u8 = 1;
/// Plaintexts are padded to steps of this many bytes, so that a length tells little.
const PADDING: usize = 64;
const NONCE: usize = 24;
/// The day, in microseconds.
const DAY_US: i64 = 86_400_000_000;

/// Why sealing or opening failed. Says nothing about what was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file with the keys.
    #[error("{0}")]
    File(String),
    /// Not sealed by us, for another row, or changed since.
    #[error("a sealed value cannot be opened with this key ring")]
    Broken,
    /// The machine gives no randomness.
    #[error("the machine gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// Where a sealed value lives. It is part of what is authenticated, so a value cannot be moved to another row.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table.
    pub table: &'a str,
    /// Column.
    pub column: &'a str,
    /// Site.
    pub site: SiteId,
    /// Row.
    pub row: Uuid,
}

type Key = [u8; 32];
type HmacSha256 = Hmac<Sha256>;

/// The keys of an installation; a cheap clone.
#[derive(Clone)]
pub struct Keyring(Arc<Keys>);

struct Keys {
    cipher: XChaCha20Poly1305,
    cipher_id: [u8; 4],
    /// Keys are derived once; the ready HMAC state is cloned for each use.
    receipt: HmacSha256,
    stamp: HmacSha256,
    csrf: HmacSha256,
    audit: HmacSha256,
    trap: HmacSha256,
    login: HmacSha256,
    pepper: Key,
    index_root: Key,
    fingerprint: String,
    sites: RwLock<HashMap<SiteId, Arc<SiteKeys>>>,
}

/// Keys of one site, so that nothing of two sites can be joined.
struct SiteKeys {
    email: HmacSha256,
    mark: HmacSha256,
    network: HmacSha256,
    pseudonym: HmacSha256,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    /// Opens the key ring in `path`.
    ///
    /// # Errors
    /// [`SealError::File`] if it is not there, can be read by others, or is no key ring.
    pub fn open(path: &Path) -> Result<Self, SealError> {
        Ok(Self::from_roots(&file::read(path)?))
    }

    /// Opens the key ring in `path`, or makes a new one there (mode 0600) if there is none.
    ///
    /// # Errors
    /// See [`Keyring::open`]; also if it cannot be written.
    pub fn open_or_create(path: &Path) -> Result<Self, SealError> {
        file::create_if_missing(path)?;
        Self::open(path)
    }

    /// Derives every key from the two roots.
    #[must_use]
    pub fn from_roots(roots: &file::Roots) -> Self {
        let (enc, index) = (&roots.enc, &roots.index);
        let fingerprint = hmac_of(&derive(index, "fingerprint", &[]));
        Self(Arc::new(Keys {
            cipher: XChaCha20Poly1305::new(&derive(enc, "seal", &[]).into()),
            cipher_id: roots.enc_id,
            receipt: hmac_of(&derive(index, "receipt", &[])),
            stamp: hmac_of(&derive(index, "stamp", &[])),
            csrf: hmac_of(&derive(index, "csrf", &[])),
            audit: hmac_of(&derive(index, "audit", &[])),
            trap: hmac_of(&derive(index, "trap", &[])),
            login: hmac_of(&derive(index, "login", &[])),
            pepper: derive(enc, "pepper", &[]),
            index_root: *index,
            fingerprint: hex::encode(&finish(fingerprint)[..16]),
            sites: RwLock::default(),
        }))
    }

    /// Says which key ring this is, without saying anything about its keys.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint.clone()
    }

    /// The id of the key that seals what is written now.
    #[must_use]
    pub fn sealing_key_id(&self) -> String {
        hex::encode(self.0.cipher_id)
    }

    /// Seals a value for its place: XChaCha20-Poly1305 with a random nonce, padded.
    ///
    /// # Errors
    /// [`SealError::Randomness`].
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        // ISO/IEC 7816-4 padding: one set bit, then zeros.
        let mut padded = plain.to_vec();
        padded.push(0x80);
        padded.resize(padded.len().div_ceil(PADDING) * PADDING, 0);
        let aad = associated(place, self.0.cipher_id);
        let sealed = self
            .0
            .cipher
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: &padded,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::Broken)?;
        let mut out = Vec::with_capacity(1 + 4 + NONCE + sealed.len());
        out.push(LAYOUT);
        out.extend(self.0.cipher_id);
        out.extend(nonce);
        out.extend(sealed);
        Ok(out)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// [`SealError::Broken`].
    pub fn open_sealed(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (head, rest) = sealed.split_at_checked(5).ok_or(SealError::Broken)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE).ok_or(SealError::Broken)?;
        if head[0] != LAYOUT || head[1..] != self.0.cipher_id {
            return Err(SealError::Broken);
        }
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| SealError::Broken)?;
        let aad = associated(place, self.0.cipher_id);
        let mut plain = self
            .0
            .cipher
            .decrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::Broken)?;
        let end = plain
            .iter()
            .rposition(|byte| *byte == 0x80)
            .ok_or(SealError::Broken)?;
        plain.truncate(end);
        Ok(plain)
    }

    /// What an address is found by at one site: equal for spellings of one address, useless without the key ring.
    #[must_use]
    pub fn blind_index(&self, site: SiteId, email: &EmailAddress) -> [u8; 32] {
        let canonical = email.canonical();
        mac(
            &self.site(site).email,
            &[b"email/v1", canonical.expose_secret().as_bytes()],
        )
    }

    /// What a typed name with its address is found by at one site. It proves nothing about the author.
    #[must_use]
    pub fn typed_mark(&self, site: SiteId, name: &str, email: &EmailAddress) -> Uuid {
        let canonical = email.canonical();
        let parts = [
            b"typed".as_slice(),
            name.as_bytes(),
            canonical.expose_secret().as_bytes(),
        ];
        uuid_of(&mac(&self.site(site).mark, &parts))
    }

    /// The author that the blog's own login names.
    #[must_use]
    pub fn account_author(&self, site: SiteId, account: &str) -> AuthorId {
        AuthorId(uuid_of(&mac(
            &self.site(site).mark,
            &[b"account", account.as_bytes()],
        )))
    }

    /// A keyed hash of some bytes for one purpose at one site.
    #[must_use]
    pub fn mark(&self, site: SiteId, purpose: &str, parts: &[&[u8]]) -> Uuid {
        let mut all = vec![purpose.as_bytes()];
        all.extend(parts);
        uuid_of(&mac(&self.site(site).mark, &all))
    }

    /// Stands for a client network on one day, and for nothing after it.
    #[must_use]
    pub fn network_mark(&self, site: SiteId, ip: Option<IpAddr>, now: Timestamp) -> [u8; 32] {
        let day = now.0.div_euclid(DAY_US).to_be_bytes();
        let address = match ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(v4)) => v4.octets()[..3].to_vec(),
            Some(IpAddr::V6(v6)) => v6.octets()[..8].to_vec(),
            None => Vec::new(),
        };
        mac(&self.site(site).network, &[&day, &address])
    }

    /// Whom a picture stands for: the proven author at this site, else a name within a thread.
    #[must_use]
    pub fn avatar_seed(
        &self,
        site: SiteId,
        author: Option<AuthorId>,
        thread: &str,
        name: &str,
    ) -> [u8; 16] {
        let keys = self.site(site);
        let seed = match author {
            Some(author) => mac(&keys.pseudonym, &[b"author", author.as_bytes()]),
            None => mac(
                &keys.pseudonym,
                &[b"name", thread.as_bytes(), name.as_bytes()],
            ),
        };
        *uuid_of(&seed).as_bytes()
    }

    /// Where an author falls among a hundred, for rules that are tried on a share of authors.
    #[must_use]
    pub fn canary_bucket(&self, site: SiteId, who: &[u8]) -> i64 {
        let hash = mac(&self.site(site).mark, &[b"canary", who]);
        i64::from(u16::from_be_bytes([hash[0], hash[1]]) % 100)
    }

    /// The keyed hash that chains the audit log.
    #[must_use]
    pub fn audit_mac(&self, bytes: &[u8]) -> [u8; 32] {
        mac(&self.0.audit, &[bytes])
    }

    /// The key that passwords are hashed with besides their salt, so that a stolen database is not enough to try them.
    pub(crate) fn pepper(&self) -> &[u8; 32] {
        &self.0.pepper
    }

    fn site(&self, site: SiteId) -> Arc<SiteKeys> {
        let known = self
            .0
            .sites
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&site)
            .cloned();
        if let Some(keys) = known {
            return keys;
        }
        let key = |purpose| hmac_of(&derive(&self.0.index_root, purpose, site.as_bytes()));
        let keys = Arc::new(SiteKeys {
            email: key("site/email"),
            mark: key("site/mark"),
            network: key("site/network"),
            pseudonym: key("site/pseudonym"),
        });
        let mut sites = self.0.sites.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sites.entry(site).or_insert(keys))
    }
}

/// One key for one purpose. Source: RFC 5869, the root being uniformly random already.
fn derive(root: &Key, purpose: &str, context: &[u8]) -> Key {
    let mut key = [0; 32];
    let info = [
        b"anteroom/v1/".as_slice(),
        purpose.as_bytes(),
        b"\0",
        context,
    ]
    .concat();
    Hkdf::<Sha256>::new(None, root)
        .expand(&info, &mut key)
        .expect("32 bytes are within what HKDF-SHA-256 can give");
    key
}

fn hmac_of(key: &Key) -> HmacSha256 {
    <HmacSha256 as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// HMAC over parts with their lengths, so that no two lists of parts read alike.
fn mac(state: &HmacSha256, parts: &[&[u8]]) -> [u8; 32] {
    let mut state = state.clone();
    for part in parts {
        state.update(&(part.len() as u64).to_be_bytes());
        state.update(part);
    }
    finish(state)
}

fn finish(state: HmacSha256) -> [u8; 32] {
    state.finalize().into_bytes().into()
}

/// The first half of a hash as an id (RFC 9562 §5.8, version 8: custom).
fn uuid_of(hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn associated(place: &Place<'_>, key_id: [u8; 4]) -> Vec<u8> {
    format!(
        "v1|{}|{}|{}|{}|{}",
        place.table,
        place.column,
        place.site,
        place.row,
        hex::encode(key_id)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keyring() -> Keyring {
        Keyring::from_roots(&file::Roots {
            enc: [1; 32],
            enc_id: *b"test",
            index: [2; 32],
        })
    }

    fn place(row: u128) -> Place<'static> {
        Place {
            table: "comment",
            column: "email_sealed",
            site: SiteId(Uuid::from_u128(7)),
            row: Uuid::from_u128(row),
        }
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened_again(plain: Vec<u8>) {
            let keys = keyring();
            let sealed = keys.seal(&place(1), &plain).unwrap();
            prop_assert_eq!(keys.open_sealed(&place(1), &sealed).unwrap(), plain);
        }

        #[test]
        fn one_changed_byte_is_noticed(plain: Vec<u8>, at: prop::sample::Index, flip in 1u8..) {
            let keys = keyring();
            let mut sealed = keys.seal(&place(1), &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            prop_assert!(keys.open_sealed(&place(1), &sealed).is_err());
        }
    }

    #[test]
    fn a_value_moved_to_another_row_is_noticed() {
        let keys = keyring();
        let sealed = keys.seal(&place(1), b"ada@example.org").unwrap();
        assert!(keys.open_sealed(&place(2), &sealed).is_err());
    }

    #[test]
    fn addresses_of_similar_length_look_the_same_length() {
        let keys = keyring();
        let short = keys.seal(&place(1), b"a@b.cd").unwrap();
        let long = keys
            .seal(&place(1), b"somebody.with.a.long.name@example.org")
            .unwrap();
        assert_eq!(short.len(), long.len());
    }

    #[test]
    fn spellings_of_one_address_share_an_index_and_sites_do_not() {
        let keys = keyring();
        let (one, two) = (SiteId(Uuid::from_u128(1)), SiteId(Uuid::from_u128(2)));
        let parse = |text: &str| EmailAddress::parse(text, 254).unwrap();

        let index = keys.blind_index(one, &parse("Ada@Example.ORG"));

        assert_eq!(index, keys.blind_index(one, &parse("ada@example.org")));
        assert_ne!(index, keys.blind_index(two, &parse("ada@example.org")));
        assert_ne!(index, keys.blind_index(one, &parse("ada+1@example.org")));
    }

    #[test]
    fn a_network_is_another_one_tomorrow() {
        let keys = keyring();
        let site = SiteId(Uuid::from_u128(1));
        let ip = Some("2001:db8::1".parse().unwrap());
        let neighbour = Some("2001:db8::ffff".parse().unwrap());

        let today = keys.network_mark(site, ip, Timestamp(0));

        assert_eq!(
            today,
            keys.network_mark(site, neighbour, Timestamp(DAY_US - 1))
        );
        assert_ne!(today, keys.network_mark(site, ip, Timestamp(DAY_US)));
    }
}
