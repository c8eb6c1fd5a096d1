//! The links of a text, however they are written: bare, Markdown, HTML or `BBCode`.
//!
//! An e-mail address is no link, nor is a file name or two sentences without a space between. A link written as markup
//! counts once, with what it shows and where it leads. Nothing is fetched, and no shortener resolved.
//!
//! **Invariant:** links come in the order of the text and do not overlap; their ranges lie on character boundaries.
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use linkify::{LinkFinder, LinkKind};
use url::{Host, Url};

mod markup;

/// A link in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The bytes of the text that make it, markup included.
    pub span: Range<usize>,
    /// Its address as typed, entities resolved.
    pub address: String,
    /// The host in lower case and as ASCII (IDNA).
    pub host: String,
    /// The domain that was registered, or the host itself where none is: an IP address, an internal name.
    pub domain: Option<String>,
    /// How it is written.
    pub form: Form,
    /// The bytes of the text that a reader is meant to see instead of the address.
    pub anchor: Option<Range<usize>>,
    /// Whether what a reader sees names another domain.
    pub is_mismatched: bool,
}

/// How a link is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An address, with a scheme or without.
    Bare,
    /// `[text](address)`.
    Markdown,
    /// `<a href="address">text</a>`.
    Html,
    /// `[url=address]text[/url]`.
    Bbcode,
}

/// Finds the links of a text.
///
/// # Complexity
/// Linear in the text.
#[must_use]
pub fn find(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    if !text.contains(['.', ':', '。', '．']) && !text.contains("&#") {
        return links;
    }
    let marked = markup::find(text);
    let mut from = 0;
    for found in marked {
        bare(text, from..found.span.start, &mut links);
        from = found.span.end;
        if let Some(link) = of_markup(text, found) {
            links.push(link);
        }
    }
    bare(text, from..text.len(), &mut links);
    links
}

/// Returns the host of an address in lower case and as ASCII, or none if it is no address of the web.
#[must_use]
pub fn host(address: &str) -> Option<String> {
    let address = address.trim();
    let url = match address.split_once("://") {
        Some((scheme, rest)) => {
            if !is_web(scheme) {
                return None;
            }
            Url::parse(&format!("http://{rest}"))
        }
        None if names_other_scheme(address) => return None,
        None => Url::parse(&format!("http://{}", address.trim_start_matches('/'))),
    };
    match url.ok()?.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            (name.contains('.') || name == "localhost").then(|| name.to_owned())
        }
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    }
}

/// Says whether an address without `//` begins with a scheme, such as `mailto:`, rather than with a host and port.
fn names_other_scheme(address: &str) -> bool {
    address
        .split_once(':')
        .is_some_and(|(_, rest)| !rest.starts_with(|ch: char| ch.is_ascii_digit()))
}

/// Returns the domain of an address that someone registered: `blog.a.co.uk` belongs to `a.co.uk`. An IP address stands
/// for itself.
///
/// Source: the Public Suffix List, compiled in.
#[must_use]
pub fn registrable_domain(address: &str) -> Option<String> {
    host(address).map(|host| domain_of(&host))
}

/// Returns the registered domain of a host, or the host.
fn domain_of(host: &str) -> String {
    if host.parse::<IpAddr>().is_ok() {
        return host.to_owned();
    }
    psl::domain_str(host).unwrap_or(host).to_owned()
}

/// Says whether a scheme leads to the web; `hxxp` is how one is hidden from machines.
fn is_web(scheme: &str) -> bool {
    ["http", "https", "hxxp", "hxxps", "ftp"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Makes a link of markup, if it leads anywhere.
fn of_markup(text: &str, found: markup::Marked) -> Option<Link> {
    let address = unescaped(text[found.address].trim());
    let host = host(&address).filter(|_| address.contains("//") || address.contains('.'))?;
    let domain = domain_of(&host);
    let is_mismatched = found
        .anchor
        .clone()
        .is_some_and(|anchor| names_another(&text[anchor], &domain));
    Some(Link {
        span: found.span,
        address: address.into_owned(),
        host,
        domain: Some(domain),
        form: found.form,
        anchor: found.anchor,
        is_mismatched,
    })
}

/// Says whether a text shows an address of another domain than the one given.
fn names_another(shown: &str, domain: &str) -> bool {
    let mut links = Vec::new();
    bare(shown, 0..shown.len(), &mut links);
    links
        .first()
        .and_then(|link| link.domain.as_deref())
        .is_some_and(|named| named != domain)
}

/// Adds the links without markup in a range of a text.
fn bare(text: &str, range: Range<usize>, links: &mut Vec<Link>) {
    let part = &text[range.clone()];
    let mut finder = LinkFinder::new();
    finder
        .kinds(&[LinkKind::Url, LinkKind::Email])
        .url_must_have_scheme(false);
    for found in finder
        .links(part)
        .filter(|found| *found.kind() == LinkKind::Url)
    {
        let address = found.as_str();
        let before = part[..found.start()].chars().next_back();
        if !is_meant_as_link(address, before) {
            continue;
        }
        let Some(host) = host(address) else { continue };
        links.push(Link {
            span: range.start + found.start()..range.start + found.end(),
            address: address.to_owned(),
            domain: Some(domain_of(&host)),
            host,
            form: Form::Bare,
            anchor: None,
            is_mismatched: false,
        });
    }
}

/// Endings of domains that are words too, and follow a full stop without a space more often than they name a site; and
/// endings of files. They need something more to be a link: a scheme, `www.`, a path, or a second dot.
const WORDS_AND_FILES: [&str; 40] = [
    "is", "it", "in", "me", "my", "to", "so", "no", "be", "am", "at", "by", "us", "as", "do", "he",
    "we", "id", "an", "or", "if", "of", "on", "up", "go", "and", "the", "you", "but", "now", "md",
    "rs", "py", "sh", "pl", "ps", "zip", "mov", "cc", "cat",
];

/// Says whether something with a dot in it is meant as a link.
fn is_meant_as_link(address: &str, before: Option<char>) -> bool {
    if let Some((scheme, _)) = address.split_once("://") {
        return is_web(scheme);
    }
    let end = address.find(['/', '?', '#', ':']).unwrap_or(address.len());
    let (name, path) = address.split_at(end);
    if matches!(before, Some('@' | '/' | '\\' | '.' | '_' | '-' | '=')) {
        return false; // part of an e-mail address, a path or a name
    }
    let has_www = name
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("www."));
    let ending = name
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .unwrap_or_default();
    if name.parse::<IpAddr>().is_ok() {
        return path.len() > 1; // a bare one is more often a version
    }
    // `end.Then`: a sentence begins there.
    let is_sentence = ending.starts_with(|ch: char| ch.is_uppercase())
        && !name.chars().all(|ch| !ch.is_lowercase());
    let lower = ending.to_lowercase();
    // The last two are reserved for documents and tests, which is where operators use them.
    let is_known = has_www
        || psl::suffix(lower.as_bytes()).is_some_and(|suffix| suffix.is_known())
        || matches!(lower.as_str(), "example" | "test");
    let has_more = has_www || path.len() > 1 || name.matches('.').count() > 1;
    is_known && !is_sentence && (has_more || !WORDS_AND_FILES.contains(&lower.as_str()))
}

/// Resolves the entities an address may be hidden by.
fn unescaped(address: &str) -> Cow<'_, str> {
    if !address.contains('&') {
        return Cow::Borrowed(address);
    }
    let mut resolved = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(at) = rest.find('&') {
        resolved.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest
            .bytes()
            .take(10)
            .position(|byte| byte == b';')
            .map(|end| &rest[1..end]);
        if let Some((entity, ch)) = entity.and_then(|entity| Some((entity, character(entity)?))) {
            resolved.push(ch);
            rest = &rest[entity.len() + 2..];
        } else {
            resolved.push('&');
            rest = &rest[1..];
        }
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

/// Returns the character an entity stands for.
fn character(entity: &str) -> Option<char> {
    let code = match entity {
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "colon" => return Some(':'),
        "sol" => return Some('/'),
        "period" => return Some('.'),
        _ => entity.strip_prefix('#')?,
    };
    let code = match code.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => code.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks the hosts a text links to.
    fn check(text: &str, hosts: &[&str]) {
        let found: Vec<String> = find(text).into_iter().map(|link| link.host).collect();
        assert_eq!(found, hosts, "{text:?}");
    }

    #[test]
    fn addresses_are_links_with_and_without_scheme() {
        check(
            "see http://A.example.com/x?y, and https://b.test.",
            &["a.example.com", "b.test"],
        );
        check(
            "www.shop.example and casino-x.com/win now",
            &["www.shop.example", "casino-x.com"],
        );
        check("hxxp://bad.example.org/", &["bad.example.org"]);
        check("http://user:pw@evil.com:8080/", &["evil.com"]);
        check(
            "http://127.0.0.1/x and 10.0.0.1/login",
            &["127.0.0.1", "10.0.0.1"],
        );
        check(
            "seite bücher.de und http://xn--bcher-kva.de",
            &["xn--bcher-kva.de", "xn--bcher-kva.de"],
        );
    }

    #[test]
    fn other_things_with_dots_are_no_links() {
        for text in [
            "write to jo@example.com",
            "it works.In the end it does.So good",
            "i like it.it is nice",
            "edit README.md, main.rs and setup.py",
            "version 1.2.3.4 costs 3.50 at 12.30",
            "e.g. this, i.e. that, U.S.A.",
            "wait...what",
            "mailto:jo@example.com",
            "node.js and index.html",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn markup_counts_once_and_knows_what_it_shows() {
        for (text, form, anchor) in [
            (
                "a [cheap watches](http://watch.example.com/a) b",
                Form::Markdown,
                "cheap watches",
            ),
            (
                "a <a class=\"x\" href=\"http://watch.example.com/\">cheap</a> b",
                Form::Html,
                "cheap",
            ),
            (
                "a <A HREF=http://watch.example.com>cheap</A> b",
                Form::Html,
                "cheap",
            ),
            (
                "a <a href='//watch.example.com/'>cheap</a> b",
                Form::Html,
                "cheap",
            ),
            (
                "a [url=http://watch.example.com]cheap[/url] b",
                Form::Bbcode,
                "cheap",
            ),
            (
                "a [URL=\"watch.example.com\"]cheap[/URL] b",
                Form::Bbcode,
                "cheap",
            ),
            (
                "a [link=http://watch.example.com]cheap[/link] b",
                Form::Bbcode,
                "cheap",
            ),
            (
                "a [url]http://watch.example.com[/url] b",
                Form::Bbcode,
                "http://watch.example.com",
            ),
        ] {
            let links = find(text);
            assert_eq!(links.len(), 1, "{text}");
            assert_eq!(
                (links[0].host.as_str(), links[0].form),
                ("watch.example.com", form),
                "{text}"
            );
            assert_eq!(&text[links[0].anchor.clone().unwrap()], anchor);
            assert_eq!(links[0].span, 2..text.len() - 2, "{text}");
            assert!(!links[0].is_mismatched);
        }
    }

    #[test]
    fn an_anchor_that_names_another_domain_is_a_mismatch() {
        assert!(find("[www.bank.com](http://evil.net)")[0].is_mismatched);
        assert!(find("<a href=\"http://evil.net\">https://bank.com/login</a>")[0].is_mismatched);
        assert!(!find("[blog.bank.com](http://www.bank.com)")[0].is_mismatched);
    }

    #[test]
    fn an_address_hidden_by_entities_is_read() {
        check("<a href=\"http&#58;//evil&#x2e;net\">x</a>", &["evil.net"]);
    }

    #[test]
    fn a_registered_domain_is_told_by_the_public_suffix_list() {
        for (address, domain) in [
            ("http://blog.a.co.uk/x", Some("a.co.uk")),
            ("HTTPS://B.Example.COM", Some("example.com")),
            ("shop.example.github.io", Some("example.github.io")),
            ("http://192.0.2.7/", Some("192.0.2.7")),
            ("not an address", None),
            ("mailto:jo@example.com", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(registrable_domain(address).as_deref(), domain, "{address}");
        }
    }

    proptest! {
        #[test]
        fn links_are_in_order_and_on_boundaries(
            text in "(http://|www\\.|a\\.com|\\[url=|\\[/url\\]|\\[|\\]|\\(|\\)|<a href=|</a>|>|\"|&#|;|[a-z. /@]|\\PC){0,40}"
        ) {
            let mut end = 0;
            for link in find(&text) {
                prop_assert!(link.span.start >= end && text.get(link.span.clone()).is_some());
                if let Some(anchor) = link.anchor {
                    prop_assert!(link.span.start <= anchor.start && anchor.end <= link.span.end);
                    prop_assert!(text.get(anchor).is_some());
                }
                end = link.span.end;
            }
        }
    }
}
