//! Where a request comes from: the network address that limits are counted by.
//!
//! Forwarding headers are believed from the operator's own proxies and from nobody else, and then only as far as the
//! first hop that is not one of them, read from the right: everything left of it is what that hop claims.
//!
//! Invariant: the address stays in memory. It is never logged, and stored only sealed or as a keyed mark.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The operator's own proxies.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    unbelieved: AtomicBool,
}

impl Proxies {
    /// Trusts these networks.
    #[must_use]
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self {
            trusted,
            unbelieved: AtomicBool::new(false),
        }
    }

    /// True if `ip` is one of the operator's own proxies.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&ip))
    }

    /// True once a peer on this machine sent forwarding headers that were not believed: most likely a reverse proxy that
    /// `server.trusted_proxies` does not name, so that all readers look like one.
    #[must_use]
    pub fn met_an_unnamed_proxy(&self) -> bool {
        self.unbelieved.load(Ordering::Relaxed)
    }

    /// The address a request comes from.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.ip().to_canonical();
        if !self.trusts(peer) {
            if self.trusted.is_empty() && peer.is_loopback() {
                self.notice(headers);
            }
            return peer;
        }
        let mut client = peer;
        for hop in hops(headers).into_iter().rev() {
            // What cannot be read hides everything left of it.
            let Some(ip) = hop else { break };
            client = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        client
    }

    fn notice(&self, headers: &HeaderMap) {
        let forwarded = [X_FORWARDED_FOR, FORWARDED, X_REAL_IP];
        let has_any = forwarded.iter().any(|name| headers.contains_key(name));
        if has_any && !self.unbelieved.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a program on this machine sends forwarding headers, which are not believed: if it is your reverse \
                 proxy, set server.trusted_proxies = [\"127.0.0.1\", \"::1\"], or all readers count as one"
            );
        }
    }
}

/// The hops named by the proxies, left to right; `None` for what is no address.
///
/// One header is read, the most common one that is there: proxies that write one of them pass the others through as the
/// client sent them.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed = |name| -> Vec<&str> {
        let lines = headers.get_all(name).iter();
        lines
            .flat_map(|line| line.to_str().unwrap_or("?").split(','))
            .collect()
    };
    if headers.contains_key(X_FORWARDED_FOR) {
        return listed(X_FORWARDED_FOR).into_iter().map(address).collect();
    }
    if headers.contains_key(FORWARDED) {
        return listed(FORWARDED).into_iter().map(forwarded_for).collect();
    }
    // More than one of these means that somebody else wrote one.
    match listed(X_REAL_IP).as_slice() {
        [one] => vec![address(one)],
        _ => Vec::new(),
    }
}

/// The `for` of one element. Source: RFC 7239 section 4.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| address(value.trim().trim_matches('"')))?
    })
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let ip = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| {
            text.strip_prefix('[')?
                .strip_suffix(']')?
                .parse::<Ipv6Addr>()
                .ok()
                .map(IpAddr::V6)
        })?;
    Some(ip.to_canonical())
}

/// What limits are counted by: an IPv4 address, or the /64 of an IPv6 one, which is what one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetKey(u128);

impl From<IpAddr> for NetKey {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(u128::from(u32::from(ip))),
            // The top half is the /64; the bit keeps it apart from every IPv4 address.
            IpAddr::V6(ip) => Self((u128::from(ip) >> 64) | (1 << 127)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = Proxies::new(vec![
            "10.0.0.0/8".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        proxies
            .client(SocketAddr::new(peer.parse().unwrap(), 1), &map)
            .to_string()
    }

    #[test]
    fn nobody_but_a_proxy_of_ours_says_where_a_request_comes_from() {
        for name in [
            "x-forwarded-for",
            "x-real-ip",
            "forwarded",
            "cf-connecting-ip",
            "true-client-ip",
        ] {
            assert_eq!(client("192.0.2.7", &[(name, "198.51.100.1")]), "192.0.2.7");
            assert_eq!(
                client("192.0.2.7", &[(name, "for=198.51.100.1")]),
                "192.0.2.7"
            );
        }
    }

    #[test]
    fn the_right_most_hop_that_is_not_ours_is_the_client() {
        let forged = "203.0.113.9, 198.51.100.1, 10.0.0.2";

        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", forged)]),
            "198.51.100.1"
        );
        let two_lines = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "198.51.100.1"),
        ];
        assert_eq!(client("10.0.0.1", &two_lines), "198.51.100.1");
        let with_others = [
            ("x-forwarded-for", "198.51.100.1"),
            ("forwarded", "for=203.0.113.9"),
            ("x-real-ip", "203.0.113.9"),
            ("cf-connecting-ip", "203.0.113.9"),
        ];
        assert_eq!(client("10.0.0.1", &with_others), "198.51.100.1");
    }

    #[test]
    fn hops_are_read_in_every_spelling() {
        for (name, value) in [
            ("forwarded", r#"for="[2001:db8::9]:443";proto=https"#),
            ("x-forwarded-for", "[2001:db8::9]:443"),
            ("x-forwarded-for", "[2001:db8::9]"),
            ("x-real-ip", "2001:db8::9"),
        ] {
            assert_eq!(
                client("::1", &[(name, value)]),
                "2001:db8::9",
                "{name}: {value}"
            );
        }
        assert_eq!(
            client("::1", &[("x-real-ip", "::ffff:192.0.2.1")]),
            "192.0.2.1"
        );
    }

    #[test]
    fn what_cannot_be_read_hides_what_is_left_of_it() {
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, unknown")]),
            "10.0.0.1"
        );
        assert_eq!(
            client(
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.9, ?, 10.0.0.3")]
            ),
            "10.0.0.3"
        );
    }

    #[test]
    fn a_whole_subscriber_of_ipv6_counts_as_one() {
        let key = |text: &str| NetKey::from(text.parse::<IpAddr>().unwrap());

        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }

    #[test]
    fn an_unnamed_proxy_on_this_machine_is_noticed() {
        let proxies = Proxies::default();
        let mut headers = HeaderMap::new();
        let peer = "127.0.0.1:9".parse().unwrap();

        proxies.client(peer, &headers);
        assert!(!proxies.met_an_unnamed_proxy());
        headers.insert(X_FORWARDED_FOR, "192.0.2.1".parse().unwrap());
        assert_eq!(proxies.client(peer, &headers).to_string(), "127.0.0.1");
        assert!(proxies.met_an_unnamed_proxy());
    }
}
