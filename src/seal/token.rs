//! Things handed out and recognised again without being stored: receipts, form stamps, trap names, CSRF tokens.

use std::time::Duration;

use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{Keyring, mac};
use crate::domain::{CommentId, SiteId, Timestamp};

/// A stamp older than this says nothing any more.
const STAMP_MAX_AGE: Duration = Duration::from_hours(24);
/// Bytes of a receipt's and a stamp's MAC: 128 bits.
const MAC_BYTES: usize = 16;

impl Keyring {
    /// The receipt of a comment: `r1.<comment id>.<mac>`. Never stored; made again whenever it is needed.
    #[must_use]
    pub fn receipt(&self, id: CommentId) -> String {
        let mac = mac(&self.0.receipt, &[id.as_bytes()]);
        format!("r1.{}.{}", id.0.simple(), hex::encode(&mac[..MAC_BYTES]))
    }

    /// The comment a receipt stands for, if it is one of ours. Takes the same time whatever is wrong with the MAC.
    #[must_use]
    pub fn verify_receipt(&self, text: &str) -> Option<CommentId> {
        let (id, given) = text.trim().strip_prefix("r1.")?.split_once('.')?;
        let id = CommentId(Uuid::try_parse(id).ok()?);
        let expected = mac(&self.0.receipt, &[id.as_bytes()]);
        is_mac(given, &expected).then_some(id)
    }

    /// A form's signed time stamp: `s1.<milliseconds>.<nonce>.<mac>`, for one thread of one site.
    ///
    /// # Errors
    /// If the machine gives no randomness.
    pub fn stamp(
        &self,
        site: SiteId,
        thread: &str,
        now: Timestamp,
    ) -> Result<String, super::SealError> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce)?;
        let (at, nonce) = (now.as_millis(), hex::encode(nonce));
        let mac = self.stamp_mac(site, thread, at, &nonce);
        Ok(format!(
            "s1.{at}.{nonce}.{}",
            hex::encode(&mac[..MAC_BYTES])
        ))
    }

    /// How long ago a stamp was made; none if it is not ours, for another thread, or more than a day old.
    #[must_use]
    pub fn verify_stamp(
        &self,
        site: SiteId,
        thread: &str,
        text: &str,
        now: Timestamp,
    ) -> Option<Duration> {
        let mut parts = text.trim().strip_prefix("s1.")?.split('.');
        let (at, nonce, given) = (parts.next()?, parts.next()?, parts.next()?);
        let at: u64 = at.parse().ok()?;
        let fits =
            is_mac(given, &self.stamp_mac(site, thread, at, nonce)) && parts.next().is_none();
        let made = Timestamp(i64::try_from(at).ok()?.checked_mul(1000)?);
        let age = now.since(made);
        (fits && age <= STAMP_MAX_AGE).then_some(age)
    }

    /// The name of the field that no person sees, for one site. It sounds like something a robot would fill in, and is
    /// different on every installation.
    #[must_use]
    pub fn trap_field(&self, site: SiteId) -> String {
        let mac = mac(&self.0.trap, &[site.as_bytes()]);
        let word = ["phone", "company", "address", "subject"][usize::from(mac[0]) % 4];
        format!("{word}_{}", hex::encode(&mac[1..4]))
    }

    /// What tries at a name are counted by. People type passwords into the wrong field, so the name itself is not kept.
    #[must_use]
    pub fn login_mark(&self, name: &str) -> [u8; 32] {
        mac(&self.0.login, &[name.as_bytes()])
    }

    /// The token that proves a console form was made for this very session.
    #[must_use]
    pub fn csrf(&self, session_hash: &[u8; 32]) -> String {
        hex::encode(&mac(&self.0.csrf, &[session_hash])[..MAC_BYTES])
    }

    /// True if `given` is the session's CSRF token.
    #[must_use]
    pub fn verify_csrf(&self, session_hash: &[u8; 32], given: &str) -> bool {
        is_mac(given, &mac(&self.0.csrf, &[session_hash]))
    }

    fn stamp_mac(&self, site: SiteId, thread: &str, at: u64, nonce: &str) -> [u8; 32] {
        let parts = [
            site.as_bytes().as_slice(),
            thread.as_bytes(),
            &at.to_be_bytes(),
            nonce.as_bytes(),
        ];
        mac(&self.0.stamp, &parts)
    }
}

/// True if `hex` is the start of `expected`, in constant time.
fn is_mac(hex: &str, expected: &[u8; 32]) -> bool {
    let mut given = [0; MAC_BYTES];
    let well_formed = hex::decode_to_slice(hex, &mut given).is_ok();
    let equal: bool = given.ct_eq(&expected[..MAC_BYTES]).into();
    well_formed && equal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::file::Roots;
    use proptest::prelude::*;

    fn keyring(index: u8) -> Keyring {
        Keyring::from_roots(&Roots {
            enc: [1; 32],
            enc_id: *b"test",
            index: [index; 32],
        })
    }

    proptest! {
        #[test]
        fn a_receipt_is_recognised_by_its_own_key_ring_alone(id: u128) {
            let id = CommentId(Uuid::from_u128(id));
            let receipt = keyring(2).receipt(id);
            prop_assert_eq!(keyring(2).verify_receipt(&receipt), Some(id));
            prop_assert_eq!(keyring(3).verify_receipt(&receipt), None);
        }

        #[test]
        fn nothing_typed_is_a_receipt_or_a_stamp(text: String) {
            let keys = keyring(2);
            prop_assert_eq!(keys.verify_receipt(&text), None);
            prop_assert_eq!(keys.verify_stamp(SiteId(Uuid::nil()), "/a", &text, Timestamp(0)), None);
        }
    }

    #[test]
    fn a_receipt_for_another_comment_is_refused() {
        let keys = keyring(2);
        let receipt = keys.receipt(CommentId(Uuid::from_u128(1)));
        let other = receipt.replace(
            &Uuid::from_u128(1).simple().to_string(),
            &Uuid::from_u128(2).simple().to_string(),
        );
        assert_eq!(keys.verify_receipt(&other), None);
    }

    #[test]
    fn a_stamp_tells_the_seconds_on_its_own_form_only() {
        let keys = keyring(2);
        let site = SiteId(Uuid::from_u128(1));
        let made = Timestamp(1_700_000_000_000_000);
        let stamp = keys.stamp(site, "/post/", made).unwrap();
        let later = made.plus(Duration::from_secs(12));

        assert_eq!(
            keys.verify_stamp(site, "/post/", &stamp, later),
            Some(Duration::from_secs(12))
        );
        assert_eq!(keys.verify_stamp(site, "/other/", &stamp, later), None);
        assert_eq!(
            keys.verify_stamp(site, "/post/", &stamp, later.plus(STAMP_MAX_AGE)),
            None
        );
    }
}
