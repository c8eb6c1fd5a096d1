//! How often somebody may do something: token buckets in memory, by network address, author or site.
//!
//! Not shared between instances; what must hold across them is counted by rules in the store.
//!
//! Invariant: a bucket that has filled up again is forgotten, so memory follows the traffic of the last window.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use metrics::Counter;

use super::client::NetKey;
use crate::config::Rates;
use crate::domain::SiteId;
use crate::telemetry::numbers;

/// Every limit of the service.
#[derive(Debug)]
pub struct Limits {
    submit_per_minute: Limit<NetKey>,
    submit_per_hour: Limit<NetKey>,
    submit_per_author: Limit<[u8; 16]>,
    submit_per_site: Limit<SiteId>,
    /// Public reads.
    pub reads: Limit<NetKey>,
    /// Attempts to log in.
    pub logins: Limit<NetKey>,
    /// Readers' reports and authors' appeals, which cost a person's time.
    pub complaints: Limit<NetKey>,
    /// Addresses revealed to one moderator.
    pub reveals: Limit<[u8; 16]>,
}

/// Over the limit; how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften(pub Duration);

impl Limits {
    /// Limits as the operator set them.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        let (second, minute, hour) = (
            Duration::from_secs(1),
            Duration::from_mins(1),
            Duration::from_hours(1),
        );
        Self {
            submit_per_minute: Limit::new("submit_per_ip_min", rates.submit_per_ip_min, minute),
            submit_per_hour: Limit::new("submit_per_ip_hour", rates.submit_per_ip_hour, hour),
            submit_per_author: Limit::new(
                "submit_per_author_hour",
                rates.submit_per_author_hour,
                hour,
            ),
            submit_per_site: Limit::new("submit_per_site_s", rates.submit_per_site_s, second),
            reads: Limit::new("reads_per_ip_s", rates.reads_per_ip_s, second),
            logins: Limit::new("login_per_ip_min", rates.login_per_ip_min, minute),
            complaints: Limit::new("submit_per_ip_min", rates.submit_per_ip_min, minute),
            // Source: security.md section 6. Not a setting: who needs more wants an export.
            reveals: Limit::new("reveal_per_moderator_hour", 30, hour),
        }
    }

    /// Asks for one submission to `site` from `client`, if somebody knows where it comes from.
    ///
    /// # Errors
    /// [`TooOften`], and then nothing of it should be done.
    pub fn submission(&self, site: SiteId, client: Option<NetKey>) -> Result<(), TooOften> {
        if let Some(client) = client {
            self.submit_per_minute.take(&client)?;
            self.submit_per_hour.take(&client)?;
        }
        self.submit_per_site.take(&site)
    }

    /// True if submissions are counted by author at all.
    #[must_use]
    pub fn counts_authors(&self) -> bool {
        self.submit_per_author.is_on()
    }

    /// Asks for one submission by an author, known by a keyed mark.
    ///
    /// # Errors
    /// [`TooOften`], and then nothing of it should be done.
    pub fn author(&self, mark: [u8; 16]) -> Result<(), TooOften> {
        self.submit_per_author.take(&mark)
    }

    /// Forgets the buckets that have filled up again.
    pub fn tidy(&self) {
        self.submit_per_minute.tidy();
        self.submit_per_hour.tidy();
        self.submit_per_author.tidy();
        self.submit_per_site.tidy();
        self.reads.tidy();
        self.logins.tidy();
        self.complaints.tidy();
        self.reveals.tidy();
    }
}

/// So many per key and span of time.
#[derive(Debug)]
pub struct Limit<K: Hash + Eq + Clone> {
    buckets: Option<RateLimiter<K, DashMapStateStore<K>, DefaultClock>>,
    refused: Counter,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(name: &'static str, allowed: u32, per: Duration) -> Self {
        numbers::numbers();
        let quota = NonZeroU32::new(allowed).and_then(|allowed| {
            // A full bucket holds what a whole span allows: ten a minute may all come in its first second.
            Some(Quota::with_period(per / allowed.get())?.allow_burst(allowed))
        });
        Self {
            buckets: quota.map(RateLimiter::keyed),
            refused: metrics::counter!(numbers::RATE_LIMITED, "rate" => name),
        }
    }

    /// False if the operator switched it off.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.buckets.is_some()
    }

    /// Takes one.
    ///
    /// # Errors
    /// [`TooOften`] if there is none left.
    pub fn take(&self, key: &K) -> Result<(), TooOften> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        buckets.check_key(key).map_err(|until| {
            self.refused.increment(1);
            TooOften(until.wait_time_from(buckets.clock().now()))
        })
    }

    fn tidy(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn key(ip: &str) -> NetKey {
        NetKey::from(ip.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn the_eleventh_submission_of_a_minute_has_to_wait() {
        let limits = Limits::new(&Rates::default());
        let site = SiteId(uuid::Uuid::nil());

        for _ in 0..10 {
            assert_eq!(limits.submission(site, Some(key("192.0.2.1"))), Ok(()));
        }
        let TooOften(wait) = limits.submission(site, Some(key("192.0.2.1"))).unwrap_err();

        assert!(wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(limits.submission(site, Some(key("192.0.2.2"))), Ok(()));
    }

    #[test]
    fn ten_thousand_addresses_of_one_subscriber_share_a_bucket() {
        let limits = Limits::new(&Rates::default());

        let allowed = (0..10_000u32)
            .filter(|n| {
                limits
                    .logins
                    .take(&key(&format!("2001:db8:7:7::{n:x}")))
                    .is_ok()
            })
            .count();

        assert!(allowed < 100, "{allowed}");
    }

    #[test]
    fn zero_is_off() {
        let rates = Rates {
            reads_per_ip_s: 0,
            ..Rates::default()
        };
        let limits = Limits::new(&rates);

        assert!((0..10_000).all(|_| limits.reads.take(&key("192.0.2.1")).is_ok()));
        assert!(!limits.reads.is_on());
    }
}
