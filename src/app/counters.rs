//! Floods: how often something happened within a window, counted in memory.
//!
//! A sliding window in two buckets: the count of the running bucket, plus the share of the one before that still lies
//! within the window. One instance counts what it sees; several instances each see their part.
//!
//! Invariant: memory is bounded. Source for the estimate: the sliding-window counter as described by Cloudflare, "How we
//! built rate limiting capable of scaling to millions of domains" (2017).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Timestamp;

/// Keys kept at most, in each shard; the oldest windows go first.
const MAX_KEYS: usize = 16_384;
const SHARDS: usize = 8;

/// Counts by key.
#[derive(Debug)]
pub struct Counters {
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, Window>>; SHARDS],
}

#[derive(Clone, Copy, Debug)]
struct Window {
    /// Number of the running bucket since 1970.
    bucket: i64,
    length_us: i64,
    current: u32,
    previous: u32,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Counters {
    /// Counts one more event under `key` and returns how many there were before it within `window`.
    pub fn hit(
        &self,
        key: &(impl std::hash::Hash + ?Sized),
        window: Duration,
        now: Timestamp,
    ) -> i64 {
        self.touch(key, window, now, true)
    }

    /// How many events there were under `key` within `window`; counts nothing.
    #[must_use]
    pub fn peek(
        &self,
        key: &(impl std::hash::Hash + ?Sized),
        window: Duration,
        now: Timestamp,
    ) -> i64 {
        self.touch(key, window, now, false)
    }

    fn touch(
        &self,
        key: &(impl std::hash::Hash + ?Sized),
        window: Duration,
        now: Timestamp,
        count: bool,
    ) -> i64 {
        let length_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX).max(1);
        let hash = self.hasher.hash_one((key, length_us));
        let bucket = now.0.div_euclid(length_us);
        let mut shard = self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = shard.get(&hash).copied();
        let mut entry = known.unwrap_or(Window {
            bucket,
            length_us,
            current: 0,
            previous: 0,
        });
        if entry.bucket != bucket {
            entry.previous = if entry.bucket + 1 == bucket {
                entry.current
            } else {
                0
            };
            entry.current = 0;
            entry.bucket = bucket;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a window")]
        let elapsed = now.0.rem_euclid(length_us) as f64 / length_us as f64;
        let before = f64::from(entry.current) + f64::from(entry.previous) * (1.0 - elapsed);
        if count {
            entry.current = entry.current.saturating_add(1);
            if known.is_none() && shard.len() >= MAX_KEYS {
                shard.retain(|_, window| window.bucket + 1 >= now.0.div_euclid(window.length_us));
                if shard.len() >= MAX_KEYS {
                    // A flood of keys: forgetting all is safer than growing, and filters only lose a hint.
                    shard.clear();
                }
            }
            shard.insert(hash, entry);
        }
        drop(shard);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a count of a few thousand at most"
        )]
        let whole = before.floor() as i64;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_window_counts_what_came_before() {
        let counters = Counters::default();
        let start = Timestamp(1_700_000_040_000_000);

        let counts: Vec<i64> = (0..3).map(|_| counters.hit("a", MINUTE, start)).collect();

        assert_eq!(counts, [0, 1, 2]);
        assert_eq!(counters.peek("b", MINUTE, start), 0);
    }

    #[test]
    fn a_window_forgets_gradually_and_then_all() {
        let counters = Counters::default();
        let start = Timestamp(1_700_000_040_000_000);
        for _ in 0..10 {
            counters.hit("a", MINUTE, start);
        }

        let half_way = counters.peek("a", MINUTE, start.plus(MINUTE + MINUTE / 2));
        let long_after = counters.peek("a", MINUTE, start.plus(3 * MINUTE));

        assert!((1..10).contains(&half_way), "{half_way}");
        assert_eq!(long_after, 0);
    }

    #[test]
    fn a_flood_of_keys_does_not_grow_without_bound() {
        let counters = Counters::default();
        for key in 0..(MAX_KEYS * SHARDS * 2) {
            counters.hit(&key, MINUTE, Timestamp(0));
        }

        let kept: usize = counters
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum();

        assert!(kept <= MAX_KEYS * SHARDS);
    }
}
