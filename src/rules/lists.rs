//! Lists, ready to be asked whether they hold a value.
//!
//! Invariant: domains compare on label boundaries after IDNA; `example.test` never holds `notexample.test`.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;

use super::source::list::ListKind;

/// A list.
#[derive(Debug)]
pub(super) struct List {
    entries: Entries,
}

#[derive(Debug)]
enum Entries {
    Words(HashSet<Box<str>>),
    Domains(Domains),
    Nets(Nets),
    Patterns(Vec<Regex>),
}

impl List {
    /// Builds a list; the second value holds the entries that are refused, by index, with the reason.
    pub(super) fn new<'a>(
        kind: ListKind,
        texts: impl Iterator<Item = &'a str>,
    ) -> (Self, Vec<(usize, String)>) {
        let mut refused = Vec::new();
        let entries = match kind {
            ListKind::Word => Entries::Words(texts.map(|text| folded(text).into()).collect()),
            ListKind::Domain | ListKind::EmailDomain => {
                let mut domains = Domains::default();
                for (index, text) in texts.enumerate() {
                    if let Err(reason) = domains.insert(text) {
                        refused.push((index, reason));
                    }
                }
                Entries::Domains(domains)
            }
            ListKind::Cidr => {
                let mut nets = Nets::default();
                for (index, text) in texts.enumerate() {
                    match parse_net(text) {
                        Some(net) => nets.insert(net),
                        None => refused.push((
                            index,
                            format!("`{text}` is not a network such as 192.0.2.0/24"),
                        )),
                    }
                }
                Entries::Nets(nets)
            }
            ListKind::Regex => {
                let mut patterns = Vec::new();
                for (index, text) in texts.enumerate() {
                    match super::pattern::compile(text) {
                        Ok(pattern) => patterns.push(pattern),
                        Err((_, reason)) => refused.push((index, reason)),
                    }
                }
                Entries::Patterns(patterns)
            }
        };
        (Self { entries }, refused)
    }

    /// Whether the list holds `value`.
    pub(super) fn holds(&self, value: &str) -> bool {
        match &self.entries {
            Entries::Words(words) => words.contains(&*folded(value)),
            Entries::Domains(domains) => domains.holds(value),
            Entries::Nets(nets) => parse_net(value).is_some_and(|net| nets.holds(net)),
            Entries::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(value)),
        }
    }

    /// The patterns of a list of type `regex`.
    pub(super) fn patterns(&self) -> &[Regex] {
        match &self.entries {
            Entries::Patterns(patterns) => patterns,
            Entries::Words(_) | Entries::Domains(_) | Entries::Nets(_) => &[],
        }
    }
}

/// Words of lists are compared without regard to case and width.
fn folded(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.trim().nfkc().flat_map(char::to_lowercase).collect()
}

#[derive(Debug, Default)]
struct Domains {
    /// The domain and everything below it.
    whole: HashSet<Box<str>>,
    /// Only what is below it: written `*.example.test`.
    below: HashSet<Box<str>>,
}

impl Domains {
    fn insert(&mut self, text: &str) -> Result<(), String> {
        let (domain, set) = match text.strip_prefix("*.") {
            Some(domain) => (domain, &mut self.below),
            None => (text, &mut self.whole),
        };
        if domain.contains('*') {
            return Err(format!(
                "`{text}`: `*` may stand only at the start, as `*.`"
            ));
        }
        let domain = ascii(domain).ok_or_else(|| format!("`{text}` is not a domain"))?;
        set.insert(domain.into());
        Ok(())
    }

    fn holds(&self, value: &str) -> bool {
        let Some(domain) = ascii(value) else {
            return false;
        };
        if self.whole.contains(&*domain) {
            return true;
        }
        let mut rest = &*domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.whole.contains(parent) || self.below.contains(parent) {
                return true;
            }
            rest = parent;
        }
        false
    }
}

/// A domain in lower-case ASCII without the root's dot.
fn ascii(domain: &str) -> Option<String> {
    let domain = domain.trim().trim_end_matches('.');
    let is_plain = domain
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
    if is_plain && !domain.contains("xn--") {
        let has_labels = !domain.is_empty() && domain.split('.').all(|label| !label.is_empty());
        return has_labels.then(|| domain.to_owned());
    }
    idna::domain_to_ascii(domain)
        .ok()
        .filter(|domain| !domain.is_empty())
}

#[derive(Debug, Default)]
struct Nets {
    nets: HashSet<IpNet>,
    /// The lengths of prefixes in use, per family.
    lengths: [Vec<u8>; 2],
}

impl Nets {
    fn insert(&mut self, net: IpNet) {
        let lengths = &mut self.lengths[usize::from(net.addr().is_ipv6())];
        if !lengths.contains(&net.prefix_len()) {
            lengths.push(net.prefix_len());
        }
        self.nets.insert(net.trunc());
    }

    fn holds(&self, net: IpNet) -> bool {
        self.lengths[usize::from(net.addr().is_ipv6())]
            .iter()
            .any(|length| {
                *length <= net.prefix_len()
                    && IpNet::new(net.addr(), *length)
                        .is_ok_and(|wider| self.nets.contains(&wider.trunc()))
            })
    }
}

/// A network, or an address as the network of itself.
pub(super) fn parse_net(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kind: ListKind, entries: &[&str]) -> List {
        List::new(kind, entries.iter().copied()).0
    }

    #[test]
    fn domains_match_on_label_boundaries_after_idna() {
        let list = list(
            ListKind::Domain,
            &["example.test", "*.gummies.test", "bücher.test"],
        );

        for listed in [
            "example.test",
            "EXAMPLE.test.",
            "a.b.example.test",
            "x.gummies.test",
            "xn--bcher-kva.test",
            "BÜCHER.test",
        ] {
            assert!(list.holds(listed), "{listed}");
        }
        for other in [
            "notexample.test",
            "example.test.evil.test",
            "gummies.test",
            "test",
            "",
            ".",
        ] {
            assert!(!list.holds(other), "{other}");
        }
    }

    #[test]
    fn a_network_holds_its_parts_and_not_what_is_wider() {
        let list = list(ListKind::Cidr, &["192.0.2.0/24", "2001:db8::/32"]);

        for listed in [
            "192.0.2.7",
            "192.0.2.0/24",
            "192.0.2.128/25",
            "2001:db8:1::/64",
        ] {
            assert!(list.holds(listed), "{listed}");
        }
        for other in ["192.0.0.0/16", "192.0.3.1", "2001:db9::/64", "nonsense"] {
            assert!(!list.holds(other), "{other}");
        }
    }

    #[test]
    fn a_star_in_the_middle_is_refused() {
        let (_, refused) = List::new(ListKind::Domain, ["a.*.test"].into_iter());
        assert_eq!(refused.len(), 1);
    }
}
