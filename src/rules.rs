//! The rule engine: from a directory of files to an immutable set, from a submission and its facts to findings.
//!
//! [`compile()`] turns files into a [`RuleSet`] or into diagnostics; [`evaluate`] runs a set over one [`Subject`]. Both are
//! pure: no files, no clock, no threads, no globals. The verdict is made of the findings by [`crate::domain::verdict`].
//! Invariant: evaluating cannot fail; what cannot be known makes no rule match, and what cannot be finished is said
//! in [`Evaluation::degraded`](crate::domain::verdict::Evaluation).

pub mod diagnostic;
pub mod explain;
pub mod expr;
pub mod facts;
pub mod wire;
pub mod words;

mod check;
mod compile;
mod derived;
mod eval;
mod lists;
mod pattern;
mod source;
mod template;
mod trial;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use compile::compile;
pub use diagnostic::{Diagnostic, Severity};
pub use eval::evaluate;
pub use facts::{FactId, Facts, Value};
pub use source::list::ListKind;
pub use source::policy::{Counter, CounterKey};
pub use template::Template;
pub use trial::TestFailure;

use crate::domain::time::Timestamp;
use crate::domain::verdict::{Action, Label, Thresholds};
use expr::Program;
use facts::FactSet;

/// A file of a rule directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the directory, parts separated by `/`.
    pub path: String,
    /// The contents.
    pub bytes: Vec<u8>,
}

/// What came of compiling a directory.
#[derive(Debug)]
pub struct Compiled {
    /// The set; none if and only if a diagnostic is an error.
    pub rule_set: Option<RuleSet>,
    /// Everything to be said about the files, by file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// What is judged: the fields of a submission that rules read.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The key of the site.
    pub site: &'a str,
    /// The text, with CRLF and CR as LF.
    pub body: &'a str,
    /// The typed name.
    pub name: &'a str,
    /// The typed website; empty if there is none.
    pub url: &'a str,
}

/// A rule, as far as others than the engine need to know it.
#[derive(Debug)]
pub struct Rule {
    /// The stable key of all statistics.
    pub id: Arc<str>,
    /// One line; the id if the file gives none.
    pub title: String,
    /// What moderators are told, with places for facts; the title if the file gives none.
    pub because: Template,
    /// What the author may be told when this rule rejects.
    pub reply: Option<Template>,
    /// Why not.
    pub label: Label,
    /// What it does when it matches.
    pub effect: Effect,
    /// Whether it counts, outside sites that say otherwise.
    pub mode: Mode,
    /// The id under which its history is kept.
    pub renamed_from: Option<String>,
    /// When a person should look at it again.
    pub review_by: Option<Timestamp>,
    /// Where it stands: file and line.
    pub source: (String, usize),
    /// How many tests stand beside it.
    pub n_tests: usize,
    /// An upper bound of the steps its condition takes.
    pub cost: u32,
    words: Option<compile::WordsOf>,
    pattern: Option<compile::PatternOf>,
    when: Option<Program>,
}

/// What a rule does when it matches.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It adds points.
    Score {
        /// How many.
        points: f64,
        /// How many more if it was seen only after undoing a disguise.
        evasion: f64,
        /// The group whose cap it shares.
        group: Option<u32>,
    },
    /// It acts.
    Hard {
        /// How.
        action: Action,
        /// Higher speaks first.
        priority: i64,
        /// The rules whose findings an `approve` removes, by index.
        over: Vec<u32>,
    },
}

/// Whether a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does not run.
    Off,
    /// It runs and is stored, and counts for nothing.
    Shadow,
    /// It counts for this percentage of authors, for the others it is a shadow.
    Canary(u8),
    /// It counts.
    Enforce,
}

impl Mode {
    /// The word used in rule files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Canary(_) => "canary",
            Self::Enforce => "enforce",
        }
    }
}

/// A compiled directory. Immutable, shared by reference, the same for ever.
#[derive(Debug)]
pub struct RuleSet {
    hash: String,
    rules: Vec<Rule>,
    /// Rules in an order in which `hits()` asks only about earlier ones.
    order: Vec<u32>,
    base: Plan,
    sites: HashMap<String, Plan>,
    /// Caps by group.
    groups: Vec<(String, f64)>,
    counters: Vec<Counter>,
    lists: Vec<lists::List>,
    passes: compile::Passes,
    needs: FactSet,
    models: Vec<(Label, Vec<(f64, f64)>)>,
    shorteners: Option<u32>,
    disposable: Option<u32>,
    tests: Vec<trial::Test>,
    changes_at: Option<Timestamp>,
}

/// What holds on one site.
#[derive(Clone, Debug)]
struct Plan {
    thresholds: Thresholds,
    settings: Vec<Setting>,
}

/// How one rule runs on one site.
#[derive(Clone, Copy, Debug)]
struct Setting {
    mode: Mode,
    points: f64,
}

impl RuleSet {
    /// The set's hash: `sha256:` and 64 hex digits over its files.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The thresholds on `site`.
    #[must_use]
    pub fn thresholds(&self, site: &str) -> &Thresholds {
        &self.plan(site).thresholds
    }

    fn plan(&self, site: &str) -> &Plan {
        self.sites.get(site).unwrap_or(&self.base)
    }

    /// Whether any rule that runs somewhere asks for `fact`; what none asks for need not be gathered.
    #[must_use]
    pub fn needs(&self, fact: FactId) -> bool {
        self.needs.contains(fact)
    }

    /// The counters; the index of a counter is its place here.
    #[must_use]
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// The longest window of any counter.
    #[must_use]
    pub fn longest_window(&self) -> Duration {
        self.counters
            .iter()
            .map(|counter| counter.window)
            .max()
            .unwrap_or_default()
    }

    /// The rules, in the order of their files.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule called `id`.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| *rule.id == *id)
    }

    /// How `rule` runs on `site`.
    #[must_use]
    pub fn mode_on(&self, site: &str, rule: &str) -> Option<Mode> {
        let index = self.rules.iter().position(|known| *known.id == *rule)?;
        Some(self.plan(site).settings[index].mode)
    }

    /// What the author of a submission may be told when `rule` rejects it.
    #[must_use]
    pub fn reply(&self, rule: &str, subject: &Subject<'_>, facts: &Facts) -> Option<String> {
        let reply = self.rule(rule)?.reply.as_ref()?;
        Some(eval::fill(self, subject, facts, reply))
    }

    /// The facts of an author never seen before, for judging a text outside the store.
    #[must_use]
    pub fn newcomer(&self) -> Facts {
        Facts::newcomer(self.counters.iter().map(|counter| &*counter.name))
    }

    /// The first moment at which the same files would mean something else, because a line or an override ends.
    #[must_use]
    pub const fn changes_at(&self) -> Option<Timestamp> {
        self.changes_at
    }

    /// Runs the tests inside the rule files; what comes back failed.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestFailure> {
        trial::run(self)
    }

    /// Whether the policy's list of shorteners holds a host.
    fn is_shortener(&self, host: &str) -> bool {
        self.shorteners
            .is_some_and(|list| self.lists[list as usize].holds(host))
    }

    /// How many tests stand in the rule files.
    #[must_use]
    pub fn n_tests(&self) -> usize {
        self.tests.len()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::verdict::{Outcome, Verdict, decide};

    /// Compiles files given as path and text; the day is 2026-11-24.
    pub(crate) fn compiled(files: &[(&str, &str)]) -> Compiled {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                bytes: text.as_bytes().to_vec(),
            })
            .collect();
        compile(&files, Timestamp(1_795_478_400_000_000))
    }

    /// Compiles one file of rules that must load.
    pub(crate) fn rules(text: &str) -> RuleSet {
        let Compiled {
            rule_set,
            diagnostics,
        } = compiled(&[("10.toml", text)]);
        rule_set.unwrap_or_else(|| panic!("{diagnostics:?}"))
    }

    fn judge(rules: &RuleSet, body: &str, facts: &Facts) -> Verdict {
        let subject = Subject {
            site: "demo",
            body,
            name: "Ada",
            url: "",
        };
        decide(evaluate(rules, &subject, facts), rules.thresholds("demo"))
    }

    #[test]
    fn the_example_of_the_format_loads_and_judges() {
        let rules = rules(
            r#"
            [[rule]]
            id = "links.stranger"
            title = "More than two links from someone without an approved comment"
            because = "{links.count} links, {author.approved} approved comments before"
            label = "spam"
            when = "links.count > 2 && author.approved == 0"
            points = 4.5
            "#,
        );

        let verdict = judge(
            &rules,
            "see http://a.test http://b.test http://c.test",
            &rules.newcomer(),
        );

        assert_eq!(verdict.outcome, Outcome::Hold);
        assert_eq!(
            verdict.evaluation.findings[0].message,
            "3 links, 0 approved comments before"
        );
    }

    #[test]
    fn a_condition_that_is_unknown_does_not_match() {
        let rules = rules(
            "[[rule]]\nid = 'a'\nlabel = 'spam'\npoints = 9\nwhen = 'author.approved == 0'\n",
        );
        assert_eq!(
            judge(&rules, "hello", &Facts::new()).outcome,
            Outcome::Approve
        );
        assert_eq!(
            judge(&rules, "hello", &rules.newcomer()).outcome,
            Outcome::Hold
        );
    }

    #[test]
    fn words_and_patterns_point_into_the_text_as_typed() {
        let rules = rules(
            "[[rule]]\nid = 'w'\nlabel = 'spam'\npoints = 2\n[rule.words]\nentries = ['casino']\n\
             [[rule]]\nid = 'p'\nlabel = 'spam'\npoints = 3\n[rule.pattern]\nregex = 'call\\s+\\d+'\n",
        );

        let verdict = judge(&rules, "Best CASINO, call 555", &rules.newcomer());

        let places: Vec<_> = verdict
            .evaluation
            .findings
            .iter()
            .map(|finding| finding.places[0].spans[0])
            .collect();
        assert_eq!(
            places
                .iter()
                .map(|span| (span.start, span.end))
                .collect::<Vec<_>>(),
            [(13, 21), (5, 11)]
        );
    }
}
