//! A fingerprint by which near copies of a text are known, and found again without a scan.
//!
//! A `MinHash` by one permutation: every shingle (four letters in a row, disguises undone, digits all alike, nothing but
//! letters) is hashed once and kept if it is the least of its bin. The share of equal bins estimates how many shingles
//! two texts have in common. It tells nothing of what a text says, and is no protection of it either.
//!
//! **Invariant:** the fingerprint of a text never changes under the same [`FORMAT`]; stored ones are compared with new
//! ones.
//!
//! Source: Broder 1997 (`MinHash`); Li, Owen, Zhang 2012 (one permutation); Shrivastava 2017 (optimal densification);
//! Leskovec, Rajaraman, Ullman, Mining of Massive Datasets §3.4 (banding).
use super::{See, View};

/// The number of this kind of fingerprint. Raise it with any change to what a text hashes to.
pub const FORMAT: u8 = 1;

/// Number of bins: the standard error of a similarity of 0.8 is 0.05.
const BINS: usize = 64;
/// Bins in a band, and so [`BANDS`]: texts with 0.8 of their shingles in common share a band with a chance of 0.9998,
/// with 0.6 of 0.89, with 0.3 of 0.12.
const ROWS: usize = 4;
/// Number of keys under which a fingerprint is found.
pub const BANDS: usize = BINS / ROWS;
/// Letters in a shingle.
const SHINGLE: usize = 4;
/// Fewest shingles of a text worth comparing: one of fewer letters is too short to be a copy of another.
const FEWEST_SHINGLES: usize = 12;

/// The fingerprint of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint([u32; BINS]);

impl Fingerprint {
    /// Takes the fingerprint of a text, or none if it is too short to have one.
    ///
    /// # Complexity
    /// Linear in the text.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let see = See::ALL.without(See::LEET.with(See::MASK));
        let view = View::of(text, see);
        let letters: Vec<char> = view
            .text()
            .chars()
            .filter(|ch| ch.is_alphanumeric())
            .map(|ch| if ch.is_numeric() { '0' } else { ch })
            .collect();
        if letters.len() < FEWEST_SHINGLES + SHINGLE - 1 {
            return None;
        }
        let mut bins = [u32::MAX; BINS];
        for shingle in letters.windows(SHINGLE) {
            let hash = shingle
                .iter()
                .fold(0, |hash, &ch| mix(hash ^ u64::from(ch)));
            // The upper bits choose the bin, the lower 31 are its value: never the mark of an empty bin.
            let bin = &mut bins[(hash >> 58) as usize];
            *bin = (*bin).min((hash & 0x7fff_ffff) as u32);
        }
        Some(Self(filled(bins)))
    }

    /// Estimates which share of their shingles two texts have in common, from 0 to 1.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts up to the number of bins"
    )]
    pub fn similarity(&self, other: &Self) -> f64 {
        let equal = self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count();
        equal as f64 / BINS as f64
    }

    /// Returns the keys under which to store and to seek it: near copies share at least one.
    #[must_use]
    pub fn bands(&self) -> [u64; BANDS] {
        let mut keys = [0; BANDS];
        for (number, (key, rows)) in (0..).zip(keys.iter_mut().zip(self.0.chunks_exact(ROWS))) {
            *key = rows
                .iter()
                .fold(number, |key, &row| mix(key ^ u64::from(row)));
        }
        keys
    }

    /// Returns it as bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        std::iter::once(FORMAT)
            .chain(self.0.iter().flat_map(|bin| bin.to_le_bytes()))
            .collect()
    }

    /// Reads stored bytes; none if they are of another format.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&FORMAT, bytes) = bytes.split_first()? else {
            return None;
        };
        let (chunks, []) = bytes.as_chunks::<4>() else {
            return None;
        };
        let mut bins = [0; BINS];
        if chunks.len() != BINS {
            return None;
        }
        for (bin, chunk) in bins.iter_mut().zip(chunks) {
            *bin = u32::from_le_bytes(*chunk);
        }
        Some(Self(bins))
    }
}

/// Fills empty bins with the values of others, each chosen by the number of the empty bin alone.
fn filled(bins: [u32; BINS]) -> [u32; BINS] {
    let mut filled = bins;
    for (number, bin) in (0_u64..).zip(&mut filled) {
        let mut donor = number;
        while *bin == u32::MAX {
            donor = mix(donor ^ (number << 32));
            *bin = bins[(donor >> 58) as usize];
        }
    }
    filled
}

/// Scatters the bits of a number. Source: the finaliser of `splitmix64`, Steele, Lea, Flood 2014.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POST: &str = "I made ninety dollars an hour from my kitchen table last month, and you can too. \
        Look at the page of my friend and write to him today.";

    fn of(text: &str) -> Fingerprint {
        Fingerprint::of(text).unwrap()
    }

    fn share_a_band(a: &Fingerprint, b: &Fingerprint) -> bool {
        a.bands().iter().any(|band| b.bands().contains(band))
    }

    #[test]
    fn a_near_copy_is_similar_and_shares_a_band() {
        for (from, to) in [
            ("kitchen", "office"),
            ("ninety", "NINETY!!"),
            ("friend", "fr\u{200b}iend"),
            ("him", "her"),
        ] {
            let copy = of(&POST.replace(from, to));

            assert!(of(POST).similarity(&copy) > 0.7, "{to}");
            assert!(share_a_band(&of(POST), &copy), "{to}");
        }
    }

    #[test]
    fn another_text_is_not_similar() {
        let other = of(
            "The heron came back to the pond this morning; we watched it from the bridge for an hour.",
        );

        assert!(of(POST).similarity(&other) < 0.2);
    }

    #[test]
    fn numbers_make_no_difference() {
        assert_eq!(
            of("write to me at 0800 555 0101 tonight"),
            of("write to me at 0900 777 0202 tonight")
        );
    }

    #[test]
    fn a_short_text_has_no_fingerprint() {
        assert_eq!(Fingerprint::of("Thank you!"), None);
    }

    #[test]
    fn a_stored_fingerprint_is_that_of_the_first_version() {
        let bands = of(POST).bands();

        assert_eq!(
            bands[0], 14_801_153_126_187_878_163,
            "stored fingerprints no longer match: raise `FORMAT`"
        );
    }

    proptest! {
        #[test]
        fn bytes_are_read_back_and_similarity_is_a_share(a in "\\PC{0,80}", b in "\\PC{0,80}") {
            if let (Some(a), Some(b)) = (Fingerprint::of(&a), Fingerprint::of(&b)) {
                prop_assert_eq!(Fingerprint::from_bytes(&a.to_bytes()), Some(a.clone()));
                prop_assert!((0.0..=1.0).contains(&a.similarity(&b)));
                prop_assert!((a.similarity(&a) - 1.0).abs() < f64::EPSILON);
            }
        }
    }
}
