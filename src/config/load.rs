//! Layers: the defaults, then the file, then the environment. Unknown names are refused with the nearest known one.
//!
//! Invariant: no message holds a value from the environment, where passwords are.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;
use toml::{Table, Value};

use super::{Config, DEFAULT_PATH};

/// Every known key, by section. A test holds it against the structs and against the reference.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    (
        "server",
        &["listen", "public_url", "metrics_listen", "trusted_proxies"],
    ),
    ("data", &["dir"]),
    ("database", &["url"]),
    ("keys", &["file"]),
    ("rules", &["dir"]),
    ("log", &["format", "level"]),
    (
        "limits",
        &[
            "name_bytes",
            "email_bytes",
            "url_bytes",
            "body_bytes",
            "request_bytes",
            "edit_window",
            "thread_closes_after",
        ],
    ),
    (
        "rates",
        &[
            "submit_per_ip_min",
            "submit_per_ip_hour",
            "submit_per_author_hour",
            "submit_per_site_s",
            "reads_per_ip_s",
            "login_per_ip_min",
        ],
    ),
    (
        "replies",
        &["spam", "abuse", "quality", "policy", "quiet_for"],
    ),
    (
        "retention",
        &[
            "pending",
            "rejected_identity",
            "rejected_text",
            "approved_email",
            "ip",
            "audit",
        ],
    ),
];

const PREFIX: &str = "ANTEROOM_";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for cannot be read.
    #[error("configuration `{path}` cannot be read: {source}")]
    Unreadable {
        /// As named.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in file or environment is not what it should be. All of it is listed.
    #[error("{}", lines(.0))]
    Wrong(Vec<Fault>),
}

/// One thing wrong in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `file:line:column`, a variable's name, or a key.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Fault {
    pub(super) fn new(place: impl Into<String>, message: String) -> Self {
        Self {
            place: place.into(),
            message,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n")
}

pub(super) fn load(
    named: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Err(source) => {
            return Err(ConfigError::Unreadable {
                path: path.display().to_string(),
                source,
            });
        }
    };
    assemble(&path.display().to_string(), &text, environment).map_err(ConfigError::Wrong)
}

fn assemble(
    file: &str,
    text: &str,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, Vec<Fault>> {
    let mut faults = unknown_in_file(file, text);
    if faults.is_empty()
        && let Err(error) = toml::from_str::<Config>(text)
    {
        faults.push(at(file, text, error.span(), error.message().to_owned()));
    }
    // Both sources are looked at, so that one start tells everything there is to correct.
    let mut merged: Table = if faults.is_empty() {
        toml::from_str(text).map_err(|error| vec![Fault::new(file, error.to_string())])?
    } else {
        Table::new()
    };
    for (name, value) in environment {
        match variable(&name, value) {
            Ok(None) => {}
            Ok(Some((section, key, value))) => {
                let section = merged
                    .entry(section)
                    .or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(key.to_owned(), value);
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let config = Config::deserialize(Value::Table(merged))
        .map_err(|error| vec![Fault::new(file, error.message().to_owned())])?;
    config.validate().map_err(|fault| vec![fault])?;
    Ok(config)
}

/// Every name in the file that is not known, each at its place.
fn unknown_in_file(file: &str, text: &str) -> Vec<Fault> {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => return vec![at(file, text, error.span(), error.message().to_owned())],
    };
    let mut faults = Vec::new();
    for (section, content) in table.get_ref() {
        let place = |key: &toml::Spanned<std::borrow::Cow<'_, str>>, message| {
            (key.span().start, at(file, text, Some(key.span()), message))
        };
        let Some((_, keys)) = KEYS.iter().find(|(name, _)| *name == section.get_ref()) else {
            let known = KEYS.iter().map(|(name, _)| *name);
            faults.push(place(section, unknown("section", section.get_ref(), known)));
            continue;
        };
        let Some(content) = content.get_ref().as_table() else {
            let message = format!("`{0}` is a section: write `[{0}]`", section.get_ref());
            faults.push(place(section, message));
            continue;
        };
        for key in content.keys() {
            if !keys.contains(&key.get_ref().as_ref()) {
                let name = format!("{}.{}", section.get_ref(), key.get_ref());
                faults.push(place(key, unknown("key", &name, all_keys())));
            }
        }
    }
    // The parser keeps keys by name; a person reads from the top.
    faults.sort_by_key(|(start, _)| *start);
    faults.into_iter().map(|(_, fault)| fault).collect()
}

/// What a variable of the environment sets, if it is ours.
fn variable(
    name: &OsString,
    value: OsString,
) -> Result<Option<(&'static str, &'static str, Value)>, Fault> {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
        return Ok(None);
    };
    let Some((section, key)) = rest.split_once("__") else {
        return Ok(None);
    };
    let place = format!("{PREFIX}{rest}");
    let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
    let known = KEYS.iter().find(|(name, _)| *name == section);
    let known = known
        .and_then(|(section, keys)| Some((*section, *keys.iter().find(|name| **name == key)?)));
    let Some((section, key)) = known else {
        let wanted = format!("{section}.{key}");
        let nearest = nearest(&wanted, all_keys()).map_or_else(String::new, |near| {
            let variable = near.to_ascii_uppercase().replacen('.', "__", 1);
            format!("; did you mean `{PREFIX}{variable}`, which sets `{near}`?")
        });
        return Err(Fault::new(
            place,
            format!("there is no setting `{wanted}`{nearest}"),
        ));
    };
    let Ok(text) = value.into_string() else {
        return Err(Fault::new(place, "its value is not UTF-8".to_owned()));
    };
    // Container files often pass on variables that nobody set.
    if text.is_empty() {
        return Ok(None);
    }
    match fitting(section, key, &text) {
        Ok(value) => Ok(Some((section, key, value))),
        Err(message) => Err(Fault::new(place, message)),
    }
}

/// The first reading of a variable that its key takes: as TOML, as text, as a list with commas.
fn fitting(section: &str, key: &str, text: &str) -> Result<Value, String> {
    let as_text = Value::String(text.to_owned());
    let list = text
        .split(',')
        .map(|part| Value::String(part.trim().to_owned()));
    let readings = [
        text.parse::<Value>().ok(),
        Some(as_text),
        Some(Value::Array(list.collect())),
    ];
    let mut why = String::new();
    for reading in readings.into_iter().flatten() {
        let inner = Table::from_iter([(key.to_owned(), reading.clone())]);
        let outer = Table::from_iter([(section.to_owned(), Value::Table(inner))]);
        match Config::deserialize(Value::Table(outer)) {
            Ok(_) => return Ok(reading),
            Err(error) if why.is_empty() || reading.is_str() => {
                error.message().clone_into(&mut why);
            }
            Err(_) => {}
        }
    }
    // A message that quotes the value would print a password set under the wrong name.
    let expected = why.split(", found").next().unwrap_or(&why);
    if why.starts_with("expected") {
        return Err(expected.to_owned());
    }
    let kind = why
        .split_once("expected ")
        .map_or("another value", |(_, kind)| kind);
    Err(format!("expected {kind}"))
}

fn at(file: &str, text: &str, span: Option<std::ops::Range<usize>>, message: String) -> Fault {
    let before = text
        .get(..span.map_or(0, |span| span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Fault::new(format!("{file}:{line}:{column}"), message)
}

fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = impl AsRef<str> + 'a>,
) -> String {
    let known: Vec<String> = known.map(|name| name.as_ref().to_owned()).collect();
    match nearest(name, known.into_iter()) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`"),
    }
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known.max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
}

fn all_keys() -> impl Iterator<Item = String> {
    KEYS.iter()
        .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")))
}

#[cfg(test)]
mod tests {
    use super::super::REFERENCE;
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        assemble("a.toml", text, environment).map_err(|faults| lines(&faults))
    }

    #[test]
    fn the_reference_equals_the_defaults() {
        let reference = read(REFERENCE, &[]).unwrap();

        assert_eq!(format!("{reference:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn the_reference_lists_every_key_and_every_commented_one_is_valid() {
        let everything: String = REFERENCE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split(' ').nth(1) == Some("=") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();

        read(&everything, &[]).unwrap();
        let table: Table = toml::from_str(&everything).unwrap();
        let listed: BTreeSet<String> = table
            .iter()
            .flat_map(|(section, keys)| {
                keys.as_table()
                    .unwrap()
                    .keys()
                    .map(move |key| format!("{section}.{key}"))
            })
            .collect();
        assert_eq!(listed, all_keys().collect());
    }

    #[test]
    fn an_unknown_key_is_refused_with_place_and_nearest_name() {
        let wrong = read("[server]\n  lisen = \"127.0.0.1:1\"\n[rats]\nx = 1\n", &[]).unwrap_err();

        assert_eq!(
            wrong,
            "a.toml:2:3: unknown key `server.lisen`; did you mean `server.listen`?\n\
             a.toml:3:2: unknown section `rats`; did you mean `rates`?"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_with_its_place() {
        let wrong = read("[limits]\nedit_window = \"soon\"\n", &[]).unwrap_err();

        assert!(
            wrong.starts_with("a.toml:2:15: expected a span of time"),
            "{wrong}"
        );
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = read(
            "[server]\nlisten = \"127.0.0.1:1\"\n[rates]\nreads_per_ip_s = 7\n",
            &[
                ("ANTEROOM_SERVER__LISTEN", "127.0.0.1:9000"),
                ("ANTEROOM_RATES__SUBMIT_PER_IP_MIN", "0"),
                ("ANTEROOM_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
                ("ANTEROOM_LIMITS__EDIT_WINDOW", "2h"),
                ("ANTEROOM_RULES__DIR", "42"),
                ("ANTEROOM_REPLIES__SPAM", "explain"),
                ("ANTEROOM_DATA__DIR", ""),
                ("ANTEROOM_TEST_REQUIRE", "postgres"),
                ("HOME", "/"),
            ],
        )
        .unwrap();

        assert_eq!(config.server.listen.port(), 9000);
        assert_eq!(config.rates.submit_per_ip_min, 0);
        assert_eq!(config.rates.reads_per_ip_s, 7);
        assert_eq!(config.server.trusted_proxies.len(), 2);
        assert_eq!(config.limits.edit_window, Duration::from_hours(2));
        assert_eq!(config.rules.dir, Path::new("42"));
        assert_eq!(config.replies.spam, super::super::Reply::Explain);
        assert_eq!(config.data.dir, Path::new("data"));
    }

    #[test]
    fn an_unknown_variable_is_refused_with_the_nearest_name() {
        let wrong = read("", &[("ANTEROOM_SERVER__LISTN", "x")]).unwrap_err();

        assert_eq!(
            wrong,
            "ANTEROOM_SERVER__LISTN: there is no setting `server.listn`; \
             did you mean `ANTEROOM_SERVER__LISTEN`, which sets `server.listen`?"
        );
    }

    #[test]
    fn a_wrong_variable_is_named_but_its_value_is_not() {
        for name in [
            "ANTEROOM_SERVER__LISTEN",
            "ANTEROOM_RATES__READS_PER_IP_S",
            "ANTEROOM_DATABASE__URL",
            "ANTEROOM_LIMITS__EDIT_WINDOW",
            "ANTEROOM_REPLIES__SPAM",
            "ANTEROOM_SERVER__TRUSTED_PROXIES",
            "ANTEROOM_LOG__LEVEL",
        ] {
            let wrong = read("", &[(name, "hunter2=/=")]).unwrap_err();

            assert!(wrong.starts_with(&format!("{name}: expected")), "{wrong}");
            assert!(!wrong.contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn trusting_the_whole_internet_is_refused() {
        let wrong = read("[server]\ntrusted_proxies = [\"0.0.0.0/0\"]\n", &[]).unwrap_err();

        assert!(wrong.contains("server.trusted_proxies"), "{wrong}");
    }

    #[test]
    fn a_missing_file_is_an_error_only_if_it_was_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("none.toml");

        let error = load(Some(&missing), std::iter::empty()).unwrap_err();

        assert!(error.to_string().contains("none.toml"));
    }

    #[test]
    fn a_secret_address_of_the_database_is_not_printed() {
        let config = read(
            "",
            &[("ANTEROOM_DATABASE__URL", "postgres://u:hunter2@h/n")],
        )
        .unwrap();

        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
