//! `lists/*.txt`: one entry a line, with an end date and where it comes from.

use std::ops::Range;
use std::time::Duration;

use super::log::{File, Log};
use super::table::{parse_date, parse_span};
use crate::domain::time::Timestamp;
use crate::rules::diagnostic::suggest;

/// One day, to make `until` include its day.
const DAY: Duration = Duration::from_hours(24);

/// Lines of a list, at most: what still loads within seconds and some hundred MiB.
const MOST_ENTRIES: usize = 1_000_000;

/// A list as read; expired lines are gone.
#[derive(Debug)]
pub(in crate::rules) struct RawList<'a> {
    pub(in crate::rules) file: File<'a>,
    pub(in crate::rules) kind: ListKind,
    pub(in crate::rules) entries: Vec<RawEntry<'a>>,
    /// The first moment at which another line expires.
    pub(in crate::rules) next_expiry: Option<Timestamp>,
}

/// A line that counts.
#[derive(Clone, Debug)]
pub(in crate::rules) struct RawEntry<'a> {
    pub(in crate::rules) text: &'a str,
    pub(in crate::rules) span: Range<usize>,
}

/// How a list compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// Words, as the rule's `see` and `match` say.
    #[default]
    Word,
    /// Domains, on label boundaries.
    Domain,
    /// Domains of addresses, on label boundaries.
    EmailDomain,
    /// Networks.
    Cidr,
    /// Patterns.
    Regex,
}

impl ListKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Word,
        Self::Domain,
        Self::EmailDomain,
        Self::Cidr,
        Self::Regex,
    ];

    /// The word used in a list's first line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Domain => "domain",
            Self::EmailDomain => "email-domain",
            Self::Cidr => "cidr",
            Self::Regex => "regex",
        }
    }
}

/// Reads a list.
pub(super) fn read<'a>(file: File<'a>, today: Timestamp, log: &mut Log) -> RawList<'a> {
    let mut list = RawList {
        file,
        kind: ListKind::default(),
        entries: Vec::new(),
        next_expiry: None,
    };
    let mut ttl = None;
    let mut start = 0;
    for line in file.text.split_inclusive('\n') {
        let line_start = start;
        start += line.len();
        let trimmed = line.trim();
        if let Some(header) = trimmed.strip_prefix("#!") {
            let at = line_start + line.find("#!").unwrap_or(0) + 2;
            (list.kind, ttl) = read_header(file, header, at, log);
            continue;
        }
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let mut parts = trimmed.split('|');
        // A pattern may hold bars; what follows the entry is set off by ` | `.
        let text = if list.kind == ListKind::Regex {
            parts = trimmed
                .get(trimmed.find(" | ").map_or(trimmed.len(), |at| at + 3)..)
                .unwrap_or("")
                .split('|');
            trimmed.split(" | ").next().unwrap_or(trimmed).trim()
        } else {
            parts.next().unwrap_or(trimmed).trim()
        };
        let offset = line_start + (line.len() - line.trim_start().len());
        let span = offset..offset + text.len();
        if text.is_empty() {
            log.error(
                file,
                "empty",
                &(line_start..line_start + line.trim_end().len()),
                "this line has no entry",
            );
            continue;
        }
        let expiry = expiry(file, parts, ttl, &span, log);
        match expiry {
            Some(expiry) if expiry <= today => {
                let message = format!("`{text}` expired and does nothing");
                log.warn(
                    file,
                    "expired",
                    &span,
                    message,
                    Some("remove the line or give it a later date"),
                );
                continue;
            }
            Some(expiry) => {
                list.next_expiry = Some(list.next_expiry.map_or(expiry, |next| next.min(expiry)));
            }
            None => {}
        }
        if list.entries.len() == MOST_ENTRIES {
            let message = format!("a list may have at most {MOST_ENTRIES} lines that count");
            log.error(file, "too-long", &span, message);
            break;
        }
        list.entries.push(RawEntry { text, span });
    }
    list
}

/// The moment from which on the line does nothing.
fn expiry<'a>(
    file: File<'_>,
    notes: impl Iterator<Item = &'a str>,
    ttl: Option<Duration>,
    span: &Range<usize>,
    log: &mut Log,
) -> Option<Timestamp> {
    let mut until = None;
    let mut added = None;
    for note in notes.map(str::trim) {
        let (slot, written) = match note.split_once(' ') {
            Some(("until", date)) => (&mut until, date),
            Some(("added", date)) => (&mut added, date),
            // Anything else says where the entry comes from.
            _ => continue,
        };
        *slot = parse_date(written);
        if slot.is_none() {
            let message = format!("`{written}` is not a date such as 2027-01-31");
            log.error(file, "bad-date", span, message);
        }
    }
    match (until, added, ttl) {
        (Some(until), _, _) => Some(until.plus(DAY)),
        (None, Some(added), Some(ttl)) => Some(added.plus(ttl)),
        (None, None, Some(_)) => {
            let message = "the list has a ttl, but this line has neither `until` nor `added`";
            log.warn(
                file,
                "no-date",
                span,
                message,
                Some("write `| added 2027-01-31` after the entry"),
            );
            None
        }
        (None, _, None) => None,
    }
}

/// Reads `type = "domain" ttl = "90d"`.
fn read_header(
    file: File<'_>,
    header: &str,
    at: usize,
    log: &mut Log,
) -> (ListKind, Option<Duration>) {
    let mut kind = ListKind::default();
    let mut ttl = None;
    let span = at..at + header.len();
    let mut rest = header.trim();
    while !rest.is_empty() {
        let parsed = rest.split_once('=').and_then(|(key, after)| {
            let (value, after) = after.trim_start().strip_prefix('"')?.split_once('"')?;
            Some((key.trim(), value, after))
        });
        let Some((key, value, after)) = parsed else {
            log.error(
                file,
                "list-header",
                &span,
                "a list begins `#! type = \"domain\"  ttl = \"90d\"`",
            );
            break;
        };
        match key {
            "type" => {
                let known = ListKind::ALL
                    .into_iter()
                    .find(|known| known.as_str() == value);
                if known.is_none() {
                    let help = suggest(value, ListKind::ALL.map(ListKind::as_str));
                    let message = format!("there is no type of list `{value}`");
                    log.error_with(file, "list-header", &span, message, Some(help));
                }
                kind = known.unwrap_or(kind);
            }
            "ttl" => {
                ttl = parse_span(value);
                if ttl.is_none() {
                    let message = format!("`{value}` is not a span of time such as 90d");
                    log.error(file, "bad-span", &span, message);
                }
            }
            other => {
                let message = format!("the first line of a list has no key `{other}`");
                let help = suggest(other, ["type", "ttl"]);
                log.error_with(file, "unknown-key", &span, message, Some(help));
            }
        }
        rest = after.trim_start();
    }
    (kind, ttl)
}
