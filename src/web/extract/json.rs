//! Strict JSON: every wrong key at once, each by its name, and never by its value.
//!
//! A body that is as it should be is read in one pass. Only one that is not is read again, key by key, to tell all that is
//! wrong with it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::domain::author::Wrong;
use crate::web::problem::{FieldProblem, Problem, Slug};

/// A body with this many wrong keys is not worth more words.
const MAX_ERRORS: usize = 20;
/// The deepest nesting. The types read here need three.
const MAX_DEPTH: usize = 32;

const REQUIRED: &str = "required";

/// What was read.
#[derive(Debug)]
pub enum Reading<T> {
    /// All of it.
    Whole(T),
    /// Some keys are wrong. The rest is there, so that its values can be checked in the same breath.
    Faulty {
        /// What is wrong.
        errors: Vec<FieldProblem>,
        /// What is left without the wrong keys; `None` if that is nothing sensible.
        rest: Option<T>,
    },
}

/// Reads a body.
///
/// # Errors
/// 400 if it is not JSON, or nested too deeply, or has a key twice.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Reading<T>, Problem> {
    match serde_json::from_slice(bytes) {
        // The reader would also take a list of values in the order of the keys.
        Ok(value) if is_object(bytes) && !mentions_nul(bytes) => Ok(Reading::Whole(value)),
        Ok(_) => find_faults(bytes),
        Err(error) if error.is_data() => find_faults(bytes),
        Err(error) => Err(not_json(&error)),
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Slug::Malformed).because(format!(
        "The body is not JSON: something is wrong at line {}, column {}.",
        error.line(),
        error.column()
    ))
}

fn find_faults<T: DeserializeOwned>(bytes: &[u8]) -> Result<Reading<T>, Problem> {
    let mut document: Value = serde_json::from_slice(bytes).map_err(|error| not_json(&error))?;
    if !document.is_object() {
        return Err(Problem::new(Slug::Malformed).because("The body is not a JSON object."));
    }
    if depth(&document) > MAX_DEPTH {
        return Err(Problem::new(Slug::Malformed).because("The body is nested too deeply."));
    }
    let mut stream = serde_json::Deserializer::from_slice(bytes);
    if let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut stream)
        && let Some(name) = error.inner().to_string().strip_prefix("duplicate field `")
    {
        let name = name.split('`').next().unwrap_or_default();
        let place = match field_name(error.path()) {
            place if place.is_empty() => String::new(),
            place => format!(" in `{place}`"),
        };
        let detail = format!("The key `{name}` is there twice{place}.");
        return Err(Problem::new(Slug::Malformed).because(detail));
    }
    let mut errors = Vec::new();
    take_nul(&mut document, &mut String::new(), &mut errors);
    while errors.len() < MAX_ERRORS {
        match serde_path_to_error::deserialize::<_, T>(&document) {
            Ok(rest) if errors.is_empty() => return Ok(Reading::Whole(rest)),
            Ok(rest) => {
                return Ok(Reading::Faulty {
                    errors,
                    rest: Some(rest),
                });
            }
            Err(error) => {
                let fault = explain(error.path(), &error.inner().to_string());
                // What was taken out because its type is wrong is not missing besides.
                let is_told = |told: &FieldProblem| told.field == fault.field;
                if !(fault.code == REQUIRED && errors.iter().any(is_told)) {
                    errors.push(fault);
                }
                if !remove(&mut document, error.path()) {
                    break;
                }
            }
        }
    }
    Ok(Reading::Faulty { errors, rest: None })
}

/// Says what is wrong at `path`. The driver's own message may quote the value, so only its ends are used.
fn explain(path: &Path, message: &str) -> FieldProblem {
    let field = field_name(path);
    let (code, detail): (_, Cow<'static, str>) = if message.starts_with("unknown field") {
        let known = message
            .rsplit_once(", expected")
            .map_or("", |(_, known)| known);
        let name = field.rsplit('.').next().unwrap_or_default();
        let likeness = |known: &&str| strsim::jaro_winkler(name, known);
        let near = known
            .split('`')
            .skip(1)
            .step_by(2)
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .filter(|_| is_name(name));
        let detail = match near {
            Some(near) => format!("this key is not known; did you mean `{near}`?"),
            None => "this key is not known".to_owned(),
        };
        ("unknown_key", detail.into())
    } else if let Some(name) = message.strip_prefix("missing field `") {
        let name = name.trim_end_matches('`');
        let whole = if field.is_empty() {
            name.to_owned()
        } else {
            format!("{field}.{name}")
        };
        return FieldProblem {
            field: whole.into(),
            code: REQUIRED.into(),
            detail: "this field is required".into(),
        };
    } else {
        match message.rsplit_once(", expected ") {
            Some((_, expected)) => (
                "invalid_type",
                format!("expected {}", plain(expected)).into(),
            ),
            None => ("invalid", "this value cannot be read".into()),
        }
    };
    FieldProblem {
        field: field.into(),
        code: code.into(),
        detail,
    }
}

/// What a reader expected, in words of JSON rather than of this program.
fn plain(expected: &str) -> &str {
    match expected {
        "i64" | "i32" | "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number",
        "f64" | "f32" => "a number",
        "a sequence" => "a list",
        text if text.starts_with("struct ") => "an object",
        text => text,
    }
}

fn field_name(path: &Path) -> String {
    let mut name = String::new();
    for segment in path {
        let part = match segment {
            Segment::Map { key } => Cow::Borrowed(key.as_str()),
            Segment::Seq { index } => Cow::Owned(index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(told_back(&part));
    }
    name
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

/// Whether a string may hold a NUL, which no database keeps as text. JSON can only write it as an escape.
fn mentions_nul(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|part| part == b"\\u0000")
}

/// Takes every string with a NUL out of the document and notes its place.
fn take_nul(value: &mut Value, place: &mut String, errors: &mut Vec<FieldProblem>) {
    let Value::Object(members) = value else {
        return;
    };
    let whole = place.len();
    members.retain(|key, member| {
        if whole > 0 {
            place.push('.');
        }
        place.push_str(told_back(key));
        let is_bad = match &*member {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items
                .iter()
                .any(|item| item.as_str().is_some_and(|text| text.contains('\0'))),
            _ => false,
        };
        if is_bad {
            errors.push(FieldProblem {
                field: place.clone().into(),
                code: Wrong::ControlCharacter.code().into(),
                detail: Wrong::ControlCharacter.to_string().into(),
            });
        } else {
            take_nul(member, place, errors);
        }
        place.truncate(whole);
        !is_bad
    });
}

/// A key as it may be told back to whoever wrote it.
pub(super) fn told_back(key: &str) -> &str {
    if is_name(key) { key } else { "(not a name)" }
}

/// A key is the caller's own word and may be anything, an address too: only what looks like a name is told back.
fn is_name(key: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&key.len()) && key.chars().all(is_part)
}

/// Removes what `path` names; `false` if there is nothing to remove.
fn remove(document: &mut Value, path: &Path) -> bool {
    let steps: Vec<&Segment> = path
        .iter()
        .filter(|segment| matches!(segment, Segment::Map { .. } | Segment::Seq { .. }))
        .collect();
    let Some((last, steps)) = steps.split_last() else {
        return false;
    };
    let mut place = document;
    for step in steps {
        let next = match step {
            Segment::Map { key } => place.get_mut(key),
            Segment::Seq { index } => place.get_mut(index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { return false };
        place = next;
    }
    match (last, place) {
        (Segment::Map { key }, Value::Object(object)) => object.remove(key).is_some(),
        (Segment::Seq { index }, Value::Array(array)) if *index < array.len() => {
            array.remove(*index);
            true
        }
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Letter {
        author: Author,
        body: Option<String>,
        copies: Option<u8>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Author {
        name: Option<String>,
        email: Option<String>,
    }

    fn faults(text: &str) -> (Vec<String>, Option<Letter>) {
        match read::<Letter>(text.as_bytes()).unwrap() {
            Reading::Whole(letter) => (Vec::new(), Some(letter)),
            Reading::Faulty { errors, rest } => {
                let line = |e: &FieldProblem| format!("{} {}: {}", e.field, e.code, e.detail);
                (errors.iter().map(line).collect(), rest)
            }
        }
    }

    #[test]
    fn every_wrong_key_is_told_at_once_and_the_rest_is_kept() {
        let (errors, rest) = faults(
            r#"{"author": {"nmae": "hunter2", "email": 17}, "body": "x", "copies": "hunter2, expected y"}"#,
        );

        assert_eq!(
            errors,
            [
                "author.email invalid_type: expected a string",
                "author.nmae unknown_key: this key is not known; did you mean `name`?",
                "copies invalid_type: expected a whole number",
            ]
        );
        assert_eq!(rest.unwrap().body.as_deref(), Some("x"));
    }

    #[test]
    fn a_key_that_is_no_name_is_refused_without_being_told_back() {
        let (errors, _) = faults(r#"{"ada@example.org": 1}"#);

        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with("(not a name) unknown_key"),
            "{errors:?}"
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let problem = read::<Letter>(br#"{"author": {"name": "a", "name": "b"}}"#).unwrap_err();

        assert_eq!(problem.slug, Slug::Malformed);
        assert!(
            problem
                .detail
                .unwrap()
                .contains("The key `name` is there twice")
        );
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for text in [
            "",
            "{",
            "{\"body\": \"\\ud800\"}",
            "[1,",
            "\u{feff}{}",
            "{} {}",
        ] {
            let problem = read::<Letter>(text.as_bytes()).unwrap_err();

            assert_eq!(problem.slug, Slug::Malformed, "{text}");
        }
        assert!(read::<Letter>(b"{\"body\": \"\xff\"}").is_err());
    }

    #[test]
    fn nothing_but_an_object_is_an_object() {
        for text in [" []", "7", "null", "[\"a\"]"] {
            let problem = read::<Letter>(text.as_bytes()).unwrap_err();

            assert_eq!(problem.slug, Slug::Malformed, "{text}");
        }
    }

    #[test]
    fn a_text_with_a_nul_is_refused_by_its_place_and_the_rest_is_kept() {
        let (errors, rest) =
            faults(r#"{"author": {"name": "a\u0000b", "email": "c"}, "body": "\\u0000"}"#);

        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with("author.name control_character"),
            "{errors:?}"
        );
        let rest = rest.unwrap();
        assert_eq!(rest.author.email.as_deref(), Some("c"));
        assert_eq!(rest.body.as_deref(), Some("\\u0000"));
    }

    #[test]
    fn depth_is_refused_without_being_followed() {
        let deep = format!(
            "{{\"body\": {}1{}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );

        assert!(read::<Letter>(deep.as_bytes()).is_err());
    }
}
