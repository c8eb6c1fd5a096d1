//! `[[rule]]`: the rules of a file as written, with the tests that stand beside them.

use std::ops::Range;

use super::log::{At, File, Log};
use super::table::{Table, with_root};
use crate::domain::time::Timestamp;

/// A rule as written.
#[derive(Debug)]
pub(in crate::rules) struct RawRule<'a> {
    pub(in crate::rules) file: File<'a>,
    /// The header of the rule, for messages about the rule as a whole.
    pub(in crate::rules) span: Range<usize>,
    pub(in crate::rules) id: At<String>,
    pub(in crate::rules) title: Option<At<String>>,
    pub(in crate::rules) because: Option<At<String>>,
    pub(in crate::rules) reply: Option<At<String>>,
    pub(in crate::rules) label: Option<At<String>>,
    pub(in crate::rules) when: Option<At<String>>,
    pub(in crate::rules) points: Option<At<f64>>,
    pub(in crate::rules) evasion: Option<At<f64>>,
    pub(in crate::rules) action: Option<At<String>>,
    pub(in crate::rules) over: Option<At<Vec<At<String>>>>,
    pub(in crate::rules) priority: Option<At<i64>>,
    pub(in crate::rules) group: Option<At<String>>,
    pub(in crate::rules) mode: Option<At<String>>,
    pub(in crate::rules) canary: Option<At<i64>>,
    pub(in crate::rules) review_by: Option<At<Timestamp>>,
    pub(in crate::rules) renamed_from: Option<At<String>>,
    pub(in crate::rules) words: Option<RawWords>,
    pub(in crate::rules) pattern: Option<RawPattern>,
    pub(in crate::rules) tests: Vec<RawTest>,
}

/// `[rule.words]`.
#[derive(Debug)]
pub(in crate::rules) struct RawWords {
    pub(in crate::rules) span: Range<usize>,
    pub(in crate::rules) list: Option<At<String>>,
    pub(in crate::rules) entries: Option<At<Vec<At<String>>>>,
    pub(in crate::rules) on: Option<At<Vec<At<String>>>>,
    pub(in crate::rules) matching: Option<At<String>>,
    pub(in crate::rules) see: Option<At<Vec<At<String>>>>,
    pub(in crate::rules) except: Option<At<Vec<At<String>>>>,
}

/// `[rule.pattern]`.
#[derive(Debug)]
pub(in crate::rules) struct RawPattern {
    pub(in crate::rules) regex: At<String>,
    pub(in crate::rules) on: Option<At<Vec<At<String>>>>,
    pub(in crate::rules) see: Option<At<Vec<At<String>>>>,
}

/// One of a rule's tests.
#[derive(Debug)]
pub(in crate::rules) struct RawTest {
    pub(in crate::rules) span: Range<usize>,
    pub(in crate::rules) name: Option<At<String>>,
    pub(in crate::rules) body: Option<At<String>>,
    pub(in crate::rules) author_name: Option<At<String>>,
    pub(in crate::rules) author_url: Option<At<String>>,
    pub(in crate::rules) site: Option<At<String>>,
    pub(in crate::rules) facts: Vec<(At<String>, At<serde_json::Value>)>,
    pub(in crate::rules) expect: Option<At<String>>,
    pub(in crate::rules) verdict: Option<At<String>>,
}

const RULE_KEYS: [&str; 20] = [
    "id",
    "title",
    "because",
    "reply",
    "label",
    "when",
    "points",
    "evasion",
    "action",
    "over",
    "priority",
    "group",
    "mode",
    "canary",
    "review_by",
    "renamed_from",
    "words",
    "pattern",
    "tests",
    "test",
];

/// Reads the rules of a file.
pub(super) fn read<'a>(file: File<'a>, log: &mut Log) -> Vec<RawRule<'a>> {
    let rules = with_root(file, "a file of rules", log, |root, log| {
        root.allow(log, &["rule"]);
        let mut rules = Vec::new();
        for (table, span) in root.tables(log, "rule", "[[rule]]") {
            rules.extend(read_rule(table, header(file, &span), log));
        }
        rules
    });
    rules.unwrap_or_default()
}

/// The first line of a table, which is what a message about the whole rule points at.
fn header(file: File<'_>, span: &Range<usize>) -> Range<usize> {
    let text = file.text.get(span.clone()).unwrap_or("");
    span.start..span.start + text.find('\n').unwrap_or(text.len())
}

fn read_rule<'a>(table: Table<'_, 'a>, span: Range<usize>, log: &mut Log) -> Option<RawRule<'a>> {
    table.allow(log, &RULE_KEYS);
    let file = table.file;
    let Some(id) = table.text(log, "id") else {
        log.error_with(
            file,
            "missing-key",
            &span,
            "a rule needs an `id`",
            Some("such as `id = \"links.stranger\"`".to_owned()),
        );
        return None;
    };
    let mut tests = Vec::new();
    for key in ["tests", "test"] {
        for (test, span) in table.tables(log, key, "a test") {
            tests.push(read_test(test, header(file, &span), log));
        }
    }
    Some(RawRule {
        file,
        span,
        id,
        title: table.text(log, "title"),
        because: table.text(log, "because"),
        reply: table.text(log, "reply"),
        label: table.text(log, "label"),
        when: table.text(log, "when"),
        points: table.number(log, "points"),
        evasion: table.number(log, "evasion"),
        action: table.text(log, "action"),
        over: table.texts(log, "over"),
        priority: table.int(log, "priority"),
        group: table.text(log, "group"),
        mode: table.text(log, "mode"),
        canary: table.int(log, "canary"),
        review_by: table.date(log, "review_by"),
        renamed_from: table.text(log, "renamed_from"),
        words: table
            .table(log, "words", "[rule.words]")
            .map(|(words, span)| read_words(words, &span, log)),
        pattern: table
            .table(log, "pattern", "[rule.pattern]")
            .and_then(|(pattern, span)| read_pattern(pattern, &span, log)),
        tests,
    })
}

fn read_words(table: Table<'_, '_>, span: &Range<usize>, log: &mut Log) -> RawWords {
    table.allow(log, &["list", "entries", "on", "match", "see", "except"]);
    RawWords {
        span: header(table.file, span),
        list: table.text(log, "list"),
        entries: table.texts(log, "entries"),
        on: table.texts(log, "on"),
        matching: table.text(log, "match"),
        see: table.texts(log, "see"),
        except: table.texts(log, "except"),
    }
}

fn read_pattern(table: Table<'_, '_>, span: &Range<usize>, log: &mut Log) -> Option<RawPattern> {
    table.allow(log, &["regex", "on", "see"]);
    let Some(regex) = table.text(log, "regex") else {
        if table.span_of("regex").is_none() {
            log.error(
                table.file,
                "missing-key",
                &header(table.file, span),
                "a pattern needs `regex`",
            );
        }
        return None;
    };
    Some(RawPattern {
        regex,
        on: table.texts(log, "on"),
        see: table.texts(log, "see"),
    })
}

fn read_test(table: Table<'_, '_>, span: Range<usize>, log: &mut Log) -> RawTest {
    table.allow(
        log,
        &[
            "name",
            "body",
            "author_name",
            "author_url",
            "site",
            "facts",
            "expect",
            "verdict",
        ],
    );
    RawTest {
        span,
        name: table.text(log, "name"),
        body: table.text(log, "body"),
        author_name: table.text(log, "author_name"),
        author_url: table.text(log, "author_url"),
        site: table.text(log, "site"),
        facts: table.values(log, "facts"),
        expect: table.text(log, "expect"),
        verdict: table.text(log, "verdict"),
    }
}
