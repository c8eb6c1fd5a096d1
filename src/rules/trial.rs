//! The tests that stand beside the rules: read once, run against the set.
//!
//! Invariant: a test sees what `check` sees: a newcomer, in a thread without comments, unless its facts say otherwise.

use std::fmt::{self, Write as _};
use std::ops::Range;

use super::diagnostic::{Diagnostic, Severity};
use super::source::Sources;
use super::source::log::{File, Log};
use super::source::rule::RawTest;
use super::{Facts, Rule, RuleSet, Subject, eval, evaluate};
use crate::domain::verdict::{Outcome, decide};

/// One test, read.
#[derive(Debug)]
pub(super) struct Test {
    rule: u32,
    name: String,
    path: String,
    span: Range<usize>,
    line: usize,
    body: String,
    author_name: String,
    author_url: String,
    site: String,
    facts: Vec<(String, serde_json::Value)>,
    expects_match: Option<bool>,
    verdict: Option<Outcome>,
}

/// A test whose rule did something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// The rule.
    pub rule: String,
    /// The test's name.
    pub name: String,
    /// The file, relative to the rule directory.
    pub path: String,
    /// The line of the test.
    pub line: usize,
    /// What was expected, and what came.
    pub message: String,
    span: Range<usize>,
}

impl TestFailure {
    /// The failure as a diagnostic on the test's lines; `text` is the file's text.
    #[must_use]
    pub fn diagnostic(&self, text: &str) -> Diagnostic {
        let message = format!("`{}`: test \"{}\": {}", self.rule, self.name, self.message);
        Diagnostic::new(
            Severity::Error,
            "test",
            &self.path,
            text,
            self.span.clone(),
            message,
        )
    }
}

impl fmt::Display for TestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            name,
            path,
            line,
            message,
            ..
        } = self;
        write!(f, "{path}:{line}: `{rule}`: test \"{name}\": {message}")
    }
}

/// Reads the tests of all rules.
pub(super) fn read(sources: &Sources<'_>, rules: &[Rule], log: &mut Log) -> Vec<Test> {
    let counters: Vec<_> = sources
        .policy
        .counters
        .iter()
        .map(|counter| &*counter.name)
        .collect();
    let mut tests = Vec::new();
    for (index, (raw, _)) in (0..).zip(sources.rules.iter().zip(rules)) {
        for test in &raw.tests {
            tests.extend(read_one(test, raw.file, index, &counters, log));
        }
    }
    tests
}

fn read_one(
    raw: &RawTest,
    file: File<'_>,
    rule: u32,
    counters: &[&str],
    log: &mut Log,
) -> Option<Test> {
    let text = |field: &Option<super::source::log::At<String>>| {
        field
            .as_ref()
            .map_or_else(String::new, |field| field.value.clone())
    };
    let expects_match = match raw
        .expect
        .as_ref()
        .map(|expect| (&*expect.value, &expect.span))
    {
        Some(("match", _)) => Some(true),
        Some(("no match", _)) => Some(false),
        None => None,
        Some((other, span)) => {
            let message = format!("a test cannot expect `{other}`");
            let help = Some("one of \"match\", \"no match\"".to_owned());
            log.error_with(file, "bad-test", span, message, help);
            return None;
        }
    };
    let verdict = match &raw.verdict {
        None => None,
        Some(verdict) => match verdict.value.parse() {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                let message = format!("`{}` is not a verdict", verdict.value);
                let help = Some(format!("{error}"));
                log.error_with(file, "bad-test", &verdict.span, message, help);
                return None;
            }
        },
    };
    if expects_match.is_none() && verdict.is_none() {
        let help = Some("add `expect = \"match\"` or `expect = \"no match\"`".to_owned());
        log.error_with(
            file,
            "bad-test",
            &raw.span,
            "this test expects nothing",
            help,
        );
    }
    let mut probe = Facts::new();
    for (name, value) in &raw.facts {
        let counter = name.value.strip_prefix("rate.");
        let problem = match counter {
            Some(counter) if !counters.contains(&counter) => {
                Some(format!("there is no counter `{counter}`"))
            }
            _ => probe.set_json(&name.value, &value.value).err(),
        };
        if let Some(problem) = problem {
            let known = super::FactId::ALL.iter().map(|fact| fact.name());
            let help = super::diagnostic::nearest(&name.value, known)
                .filter(|known| *known != name.value)
                .map(|known| format!("did you mean `{known}`?"));
            log.error_with(file, "bad-test", &name.span, problem, help);
        }
    }
    Some(Test {
        rule,
        name: raw
            .name
            .as_ref()
            .map_or_else(|| "without a name".to_owned(), |name| name.value.clone()),
        path: file.path.to_owned(),
        span: raw.span.clone(),
        line: super::compile::line_of(file, raw.span.start),
        body: text(&raw.body),
        author_name: text(&raw.author_name),
        author_url: text(&raw.author_url),
        site: text(&raw.site),
        facts: raw
            .facts
            .iter()
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect(),
        expects_match,
        verdict,
    })
}

/// Runs all tests.
pub(super) fn run(rules: &RuleSet) -> Vec<TestFailure> {
    rules
        .tests
        .iter()
        .filter_map(|test| run_one(rules, test))
        .collect()
}

fn run_one(rules: &RuleSet, test: &Test) -> Option<TestFailure> {
    let subject = Subject {
        site: &test.site,
        body: &test.body,
        name: &test.author_name,
        url: &test.author_url,
    };
    let mut facts = rules.newcomer();
    let mut message = None;
    for (name, value) in &test.facts {
        if let Err(problem) = facts.set_json(name, value) {
            message = Some(problem);
        }
    }
    if let Some(wanted) = test.expects_match {
        let matches = eval::matching(rules, &subject, &facts).contains(&test.rule);
        if matches != wanted {
            let word = |matches| if matches { "match" } else { "no match" };
            message = Some(format!("expected {}, got {}", word(wanted), word(matches)));
        }
    }
    if let (Some(wanted), None) = (test.verdict, &message) {
        let verdict = decide(
            evaluate(rules, &subject, &facts),
            rules.thresholds(&test.site),
        );
        if verdict.outcome != wanted {
            let mut found = format!("expected the verdict {wanted}, got {}", verdict.outcome);
            for finding in verdict.evaluation.findings.iter().take(5) {
                let _infallible = write!(found, "; {} {:+.1}", finding.rule, finding.points);
            }
            message = Some(found);
        }
    }
    Some(TestFailure {
        rule: rules.rules[test.rule as usize].id.to_string(),
        name: test.name.clone(),
        path: test.path.clone(),
        line: test.line,
        message: message?,
        span: test.span.clone(),
    })
}
