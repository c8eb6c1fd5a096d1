//! `policy.toml`: thresholds, groups, counters, the lists with a meaning of their own, model weights.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{At, File, Log};
use super::table::{Table, parse_span, with_root};
use crate::domain::verdict::Label;
use crate::rules::diagnostic::suggest;

/// What `policy.toml` says.
#[derive(Debug, Default)]
pub(in crate::rules) struct RawPolicy<'a> {
    pub(in crate::rules) file: File<'a>,
    pub(in crate::rules) thresholds: RawThresholds,
    pub(in crate::rules) groups: BTreeMap<String, f64>,
    pub(in crate::rules) counters: Vec<Counter>,
    pub(in crate::rules) shorteners: Option<At<String>>,
    pub(in crate::rules) disposable: Option<At<String>>,
    pub(in crate::rules) models: Vec<(Label, Vec<(f64, f64)>)>,
}

/// Thresholds as written: the general ones, then those of a label; what is missing is filled in one by one.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct RawThresholds {
    pub(in crate::rules) general: RawThreshold,
    pub(in crate::rules) labels: [RawThreshold; 4],
    pub(in crate::rules) span: std::ops::Range<usize>,
}

/// One line of thresholds.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::rules) struct RawThreshold {
    pub(in crate::rules) hold: Option<f64>,
    pub(in crate::rules) reject: Option<f64>,
    pub(in crate::rules) margin: Option<f64>,
}

/// What is counted together: submissions that agree in every part of `key` within `window`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The name, without `rate.`.
    pub name: String,
    /// The parts of the key.
    pub key: Vec<CounterKey>,
    /// How far back it counts.
    pub window: Duration,
}

/// A part of a counter's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterKey {
    /// The client network: IPv4 by /24, IPv6 by /64.
    IpNet,
    /// The proven author; without proof nothing is counted.
    Author,
    /// The e-mail address, by its blind index.
    Email,
    /// The domain of the address.
    EmailDomain,
    /// The typed name, folded.
    Name,
    /// The registrable domain of the author's website.
    UrlDomain,
    /// The thread.
    Thread,
    /// The site.
    Site,
    /// The text, folded.
    Body,
    /// Each domain the text links to; the highest count is the counter's.
    LinkDomain,
}

impl CounterKey {
    /// All parts a key can have.
    pub const ALL: [Self; 10] = [
        Self::IpNet,
        Self::Author,
        Self::Email,
        Self::EmailDomain,
        Self::Name,
        Self::UrlDomain,
        Self::Thread,
        Self::Site,
        Self::Body,
        Self::LinkDomain,
    ];

    /// The name used in policy.toml.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IpNet => "ip.net",
            Self::Author => "author.proof",
            Self::Email => "author.email",
            Self::EmailDomain => "author.email_domain",
            Self::Name => "author.name",
            Self::UrlDomain => "author.url_domain",
            Self::Thread => "thread.key",
            Self::Site => "site.key",
            Self::Body => "body.text",
            Self::LinkDomain => "links.domain",
        }
    }
}

/// Reads `policy.toml`.
pub(super) fn read<'a>(file: File<'a>, log: &mut Log) -> RawPolicy<'a> {
    let policy = with_root(file, "policy.toml", log, |root, log| {
        root.allow(
            log,
            &[
                "format",
                "thresholds",
                "groups",
                "counters",
                "lists",
                "model",
            ],
        );
        if let Some(format) = root.int(log, "format")
            && format.value != 1
        {
            let message = format!("format {} is not known here, 1 is", format.value);
            log.error(file, "format", &format.span, message);
        }
        let mut policy = RawPolicy {
            file,
            thresholds: thresholds(root, log),
            ..RawPolicy::default()
        };
        if let Some((groups, _)) = root.table(log, "groups", "[groups]") {
            for (name, span) in groups.keys() {
                let Some((group, _)) = groups.table(log, name, "a group") else {
                    continue;
                };
                group.allow(log, &["max"]);
                match group.number(log, "max") {
                    Some(max) if max.value > 0.0 => {
                        policy.groups.insert(name.to_owned(), max.value);
                    }
                    Some(max) => log.error(file, "range", &max.span, "`max` is more than 0"),
                    None => log.error(file, "missing-key", &span, "a group needs `max`"),
                }
            }
        }
        policy.counters = counters(root, log);
        if let Some((lists, _)) = root.table(log, "lists", "[lists]") {
            lists.allow(log, &["shorteners", "disposable"]);
            policy.shorteners = lists.text(log, "shorteners");
            policy.disposable = lists.text(log, "disposable");
        }
        policy.models = models(root, log);
        policy
    });
    policy.unwrap_or(RawPolicy {
        file,
        ..RawPolicy::default()
    })
}

/// Reads `[thresholds]` of a policy or a site.
pub(super) fn thresholds(root: Table<'_, '_>, log: &mut Log) -> RawThresholds {
    let mut raw = RawThresholds::default();
    let Some((table, span)) = root.table(log, "thresholds", "[thresholds]") else {
        return raw;
    };
    raw.span = span;
    table.allow(
        log,
        &[
            "hold", "reject", "margin", "spam", "abuse", "quality", "policy",
        ],
    );
    raw.general = threshold(table, log);
    for label in Label::ALL {
        if let Some((table, _)) = table.table(log, label.as_str(), "the thresholds of a label") {
            table.allow(log, &["hold", "reject", "margin"]);
            raw.labels[label as usize] = threshold(table, log);
        }
    }
    raw
}

fn threshold(table: Table<'_, '_>, log: &mut Log) -> RawThreshold {
    let mut positive = |key: &str, least: f64| {
        let number = table.number(log, key)?;
        if number.value < least || (key != "margin" && number.value <= 0.0) {
            let message = format!("`{key}` is {} here, it must be above 0", number.value);
            log.error(table.file, "range", &number.span, message);
            return None;
        }
        Some(number.value)
    };
    RawThreshold {
        hold: positive("hold", 0.0),
        reject: positive("reject", 0.0),
        margin: positive("margin", 0.0),
    }
}

fn counters(root: Table<'_, '_>, log: &mut Log) -> Vec<Counter> {
    let mut counters = Vec::new();
    let Some((table, _)) = root.table(log, "counters", "[counters]") else {
        return counters;
    };
    for (name, span) in table.keys() {
        let Some((counter, _)) = table.table(log, name, "a counter") else {
            continue;
        };
        counter.allow(log, &["key", "window"]);
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            let message = format!("the counter `{name}` is not of `a-z`, `0-9` and `_`");
            log.error(table.file, "bad-name", &span, message);
            continue;
        }
        let key = counter
            .texts(log, "key")
            .map(|parts| counter_key(counter.file, &parts, log));
        let window = counter.text(log, "window").and_then(|window| {
            let parsed = parse_span(&window.value);
            if parsed.is_none() {
                let message = format!(
                    "`{}` is not a span of time such as 10m, 1h or 2d",
                    window.value
                );
                log.error(counter.file, "bad-span", &window.span, message);
            }
            parsed
        });
        match (key, window) {
            (Some(key), Some(window)) => {
                counters.push(Counter {
                    name: name.to_owned(),
                    key,
                    window,
                });
            }
            _ if log.has_errors() => {}
            _ => log.error(
                table.file,
                "missing-key",
                &span,
                "a counter needs `key` and `window`",
            ),
        }
    }
    counters
}

fn counter_key(file: File<'_>, parts: &At<Vec<At<String>>>, log: &mut Log) -> Vec<CounterKey> {
    if parts.value.is_empty() {
        log.error(
            file,
            "empty",
            &parts.span,
            "a counter counts by at least one key",
        );
    }
    let mut key = Vec::new();
    for part in &parts.value {
        let known = CounterKey::ALL
            .into_iter()
            .find(|known| known.as_str() == part.value);
        let Some(known) = known else {
            let help = suggest(&part.value, CounterKey::ALL.map(CounterKey::as_str));
            let message = format!("nothing is counted by `{}`", part.value);
            log.error_with(file, "unknown-key-part", &part.span, message, Some(help));
            continue;
        };
        key.push(known);
    }
    key
}

fn models(root: Table<'_, '_>, log: &mut Log) -> Vec<(Label, Vec<(f64, f64)>)> {
    let mut models = Vec::new();
    let Some((table, _)) = root.table(log, "model", "[model]") else {
        return models;
    };
    table.allow(log, &["spam", "abuse"]);
    for label in [Label::Spam, Label::Abuse] {
        let Some((model, _)) = table.table(log, label.as_str(), "a model") else {
            continue;
        };
        model.allow(log, &["points"]);
        let Some(points) = model.pairs(log, "points") else {
            continue;
        };
        let is_curve = points
            .value
            .iter()
            .all(|(x, y)| (0.0..=1.0).contains(x) && y.is_finite())
            && points.value.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if is_curve {
            models.push((label, points.value));
        } else {
            let message = "`points` pairs ascending probabilities (0 to 1) with points";
            log.error(model.file, "range", &points.span, message);
        }
    }
    models
}
