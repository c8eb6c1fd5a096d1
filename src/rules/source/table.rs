//! A TOML table read key by key: types checked, unknown keys reported, spans kept.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::log::{At, File, Log};
use crate::domain::time::Timestamp;
use crate::rules::diagnostic::nearest;

/// A table of a file.
#[derive(Clone, Copy)]
pub(super) struct Table<'t, 'a> {
    pub(super) file: File<'a>,
    entries: &'t DeTable<'a>,
    what: &'static str,
}

/// Parses a whole file and hands its root table to `read`.
pub(super) fn with_root<'a, T>(
    file: File<'a>,
    what: &'static str,
    log: &mut Log,
    read: impl FnOnce(Table<'_, 'a>, &mut Log) -> T,
) -> Option<T> {
    let (root, errors) = DeTable::parse_recoverable(file.text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        log.error(file, "toml", &span, error.message().trim());
    }
    if !errors.is_empty() {
        return None;
    }
    Some(read(
        Table {
            file,
            entries: root.get_ref(),
            what,
        },
        log,
    ))
}

impl<'t, 'a> Table<'t, 'a> {
    /// Reports every key that is not among `known`.
    pub(super) fn allow(&self, log: &mut Log, known: &[&str]) {
        for key in self.entries.keys() {
            let name = key.get_ref();
            if known.contains(&&**name) {
                continue;
            }
            let help = match nearest(name, known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("{} has no key `{name}`", self.what);
            log.error_with(self.file, "unknown-key", &key.span(), message, Some(help));
        }
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    /// The keys with their spans, in order of their names.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'t str, Range<usize>)> {
        self.entries
            .keys()
            .map(|key| (&**key.get_ref(), key.span()))
    }

    fn mismatch(&self, log: &mut Log, key: &str, value: &Spanned<DeValue<'a>>, wanted: &str) {
        let found = value.get_ref().type_str();
        let message = format!("`{key}` is {wanted}, found {found}");
        log.error(self.file, "wrong-type", &value.span(), message);
    }

    /// The value as parsed, or a mismatch noted.
    fn noted<T>(
        &self,
        log: &mut Log,
        key: &str,
        value: &Spanned<DeValue<'a>>,
        wanted: &str,
        parsed: Option<T>,
    ) -> Option<At<T>> {
        if parsed.is_none() {
            self.mismatch(log, key, value, wanted);
        }
        parsed.map(|parsed| At {
            value: parsed,
            span: value.span(),
        })
    }

    /// A string.
    pub(super) fn text(&self, log: &mut Log, key: &str) -> Option<At<String>> {
        let value = self.get(key)?;
        self.noted(
            log,
            key,
            value,
            "a string",
            value.get_ref().as_str().map(str::to_owned),
        )
    }

    /// A number, whole or not.
    pub(super) fn number(&self, log: &mut Log, key: &str) -> Option<At<f64>> {
        let value = self.get(key)?;
        self.noted(
            log,
            key,
            value,
            "a number",
            number_of(value.get_ref()).filter(|number| number.is_finite()),
        )
    }

    /// A whole number.
    pub(super) fn int(&self, log: &mut Log, key: &str) -> Option<At<i64>> {
        let value = self.get(key)?;
        let parsed = match value.get_ref() {
            DeValue::Integer(int) => {
                i64::from_str_radix(&int.as_str().replace('_', ""), int.radix()).ok()
            }
            _ => None,
        };
        self.noted(log, key, value, "a whole number", parsed)
    }

    /// A date, as TOML writes it or as a string. The moment is its first midnight, UTC.
    pub(super) fn date(&self, log: &mut Log, key: &str) -> Option<At<Timestamp>> {
        let value = self.get(key)?;
        let written = match value.get_ref() {
            DeValue::Datetime(moment) => moment.date.map(|date| date.to_string()),
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        };
        self.noted(
            log,
            key,
            value,
            "a date such as 2027-02-01",
            written.as_deref().and_then(parse_date),
        )
    }

    /// A list of strings.
    pub(super) fn texts(&self, log: &mut Log, key: &str) -> Option<At<Vec<At<String>>>> {
        let value = self.get(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.mismatch(log, key, value, "a list of strings");
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => texts.push(At {
                    value: text.to_owned(),
                    span: item.span(),
                }),
                None => self.mismatch(log, key, item, "a list of strings"),
            }
        }
        Some(At {
            value: texts,
            span: value.span(),
        })
    }

    /// A list of pairs of numbers.
    pub(super) fn pairs(&self, log: &mut Log, key: &str) -> Option<At<Vec<(f64, f64)>>> {
        let value = self.get(key)?;
        let pairs = value.get_ref().as_array().and_then(|items| {
            items
                .iter()
                .map(
                    |item| match item.get_ref().as_array()?.iter().collect::<Vec<_>>()[..] {
                        [x, y] => Some((number_of(x.get_ref())?, number_of(y.get_ref())?)),
                        _ => None,
                    },
                )
                .collect::<Option<Vec<_>>>()
        });
        self.noted(log, key, value, "a list of pairs of numbers", pairs)
    }

    /// A table under this one.
    pub(super) fn table(
        &self,
        log: &mut Log,
        key: &str,
        what: &'static str,
    ) -> Option<(Self, Range<usize>)> {
        let value = self.get(key)?;
        let entries = self
            .noted(log, key, value, "a table", value.get_ref().as_table())?
            .value;
        Some((
            Table {
                file: self.file,
                entries,
                what,
            },
            value.span(),
        ))
    }

    /// A list of tables.
    pub(super) fn tables(
        &self,
        log: &mut Log,
        key: &str,
        what: &'static str,
    ) -> Vec<(Self, Range<usize>)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.mismatch(log, key, value, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(entries) => {
                    tables.push((
                        Table {
                            file: self.file,
                            entries,
                            what,
                        },
                        item.span(),
                    ));
                }
                None => self.mismatch(log, key, item, "a table"),
            }
        }
        tables
    }

    /// A table of plain values, as JSON.
    pub(super) fn values(
        &self,
        log: &mut Log,
        key: &str,
    ) -> Vec<(At<String>, At<serde_json::Value>)> {
        let Some((table, _)) = self.table(log, key, "facts") else {
            return Vec::new();
        };
        let mut values = Vec::new();
        table.collect_values("", log, &mut values);
        values
    }

    /// Dotted keys without quotes are tables to TOML; here they mean the dotted name.
    fn collect_values(
        &self,
        prefix: &str,
        log: &mut Log,
        out: &mut Vec<(At<String>, At<serde_json::Value>)>,
    ) {
        for (key, value) in self.entries {
            let name = format!("{prefix}{}", key.get_ref());
            let json = match value.get_ref() {
                DeValue::String(text) => serde_json::Value::from(&**text),
                DeValue::Boolean(truth) => serde_json::Value::from(*truth),
                DeValue::Integer(int) => match int.as_str().replace('_', "").parse::<i64>() {
                    Ok(number) => serde_json::Value::from(number),
                    Err(_) => serde_json::Value::Null,
                },
                DeValue::Float(_) => number_of(value.get_ref()).into(),
                DeValue::Table(entries) => {
                    Table {
                        file: self.file,
                        entries,
                        what: "facts",
                    }
                    .collect_values(&format!("{name}."), log, out);
                    continue;
                }
                DeValue::Datetime(_) | DeValue::Array(_) => {
                    self.mismatch(log, &name, value, "a string, a number or a truth value");
                    continue;
                }
            };
            out.push((
                At {
                    value: name,
                    span: key.span(),
                },
                At {
                    value: json,
                    span: value.span(),
                },
            ));
        }
    }

    /// Where the value of `key` stands.
    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.get(key).map(Spanned::span)
    }
}

fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(int) => int.as_str().replace('_', "").parse().ok(),
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        _ => None,
    }
}

/// The first midnight (UTC) of a day written `2027-02-01`.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = text.trim().parse().ok()?;
    let midnight: jiff::Timestamp = format!("{day}T00:00:00Z").parse().ok()?;
    Some(Timestamp(midnight.as_microsecond()))
}

/// A span of time written `90s`, `10m`, `1h`, `90d`.
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(
        text.len()
            .checked_sub(1)
            .filter(|at| text.is_char_boundary(*at))?,
    );
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    let count: u64 = number.parse().ok()?;
    count
        .checked_mul(seconds)
        .filter(|total| (1..=10 * 366 * 86400).contains(total))
        .map(Duration::from_secs)
}

/// The byte of a file at which byte `offset` of the decoded string stands; `span` is the literal with its quotes.
pub(in crate::rules) fn offset_in_literal(
    file: File<'_>,
    span: &Range<usize>,
    offset: usize,
) -> usize {
    let Some(raw) = file.text.get(span.clone()) else {
        return span.start;
    };
    let (fence, escapes) = match raw {
        _ if raw.starts_with("\"\"\"") => (3, true),
        _ if raw.starts_with("'''") => (3, false),
        _ if raw.starts_with('"') => (1, true),
        _ if raw.starts_with('\'') => (1, false),
        _ => return span.start,
    };
    let mut at = fence;
    if fence == 3 {
        // A newline right after the opening quotes is not part of the string.
        at += raw[at..]
            .strip_prefix("\r\n")
            .map_or(usize::from(raw[at..].starts_with('\n')), |_| 2);
    }
    let mut decoded = 0;
    while decoded < offset {
        let Some(character) = raw[at..].chars().next() else {
            break;
        };
        if !(escapes && character == '\\') {
            at += character.len_utf8();
            decoded += character.len_utf8();
            continue;
        }
        let rest = &raw[at + 1..];
        let digits = match rest.chars().next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(blank) if blank.is_whitespace() => {
                // A backslash at the end of a line swallows the white space that follows.
                at += 1 + rest.len() - rest.trim_start().len();
                continue;
            }
            _ => 0,
        };
        let code = rest
            .get(1..=digits)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        decoded += code.and_then(char::from_u32).map_or(1, char::len_utf8);
        at += 2 + digits;
    }
    span.start + at.min(raw.len())
}
