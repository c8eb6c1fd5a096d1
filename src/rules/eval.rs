//! One submission against a set: which rules match, what they add, who decides.
//!
//! Order inside a rule is by cost: words first (found for all rules in one pass), then whether the pattern's literals
//! were seen, then `when` unless it asks for a costly fact, then the pattern itself.
//! Invariant: cannot fail; work is counted in steps, so the same input gives the same result on any machine.

mod conclude;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use regex::Regex;

use super::compile::{FIELDS, Fields, rule_of};
use super::derived::{self, Derived};
use super::expr::Scope;
use super::facts::{FactId, FactSet, Facts, Source, Value};
use super::template::{Fill, Template};
use super::{Effect, Mode, Plan, Rule, RuleSet, Subject};
use crate::domain::verdict::{Evaluation, Field, Span};
use crate::text::View;

/// Steps one evaluation may take: a byte of text read by one automaton or pattern is a step, a part of a condition is
/// eight. About 20 ms.
const BUDGET: u64 = 12_000_000;
/// Steps of one part of a condition.
const STEPS_PER_PART: u64 = 8;
/// Most places noted for one rule in one field; more say nothing more.
const MAX_PLACES: usize = 64;

/// Runs a set over a submission.
#[must_use]
pub fn evaluate(rules: &RuleSet, subject: &Subject<'_>, facts: &Facts) -> Evaluation {
    evaluate_on(rules, rules.plan(subject.site), subject, facts)
}

/// The same under other settings than the site's.
pub(super) fn evaluate_on(
    rules: &RuleSet,
    plan: &Plan,
    subject: &Subject<'_>,
    facts: &Facts,
) -> Evaluation {
    let mut run = Run {
        plan,
        ..Run::new(rules, subject, facts)
    };
    let matches = run.all();
    conclude::conclude(&run, &matches)
}

/// The rules that match, whatever they then do; for tests and lints.
pub(super) fn matching(rules: &RuleSet, subject: &Subject<'_>, facts: &Facts) -> Vec<u32> {
    Run::new(rules, subject, facts)
        .all()
        .into_iter()
        .map(|found| found.rule)
        .collect()
}

/// Fills a message with the facts of a submission.
pub(super) fn fill(
    rules: &RuleSet,
    subject: &Subject<'_>,
    facts: &Facts,
    message: &Template,
) -> String {
    message.fill(&Filled {
        run: &Run::new(rules, subject, facts),
        hit: None,
    })
}

impl Facts {
    /// Adds the facts of the text that the rules ask for, so that they are stored and need not be computed again.
    pub fn complete(&mut self, rules: &RuleSet, subject: &Subject<'_>) {
        let derived = Derived::default();
        for fact in FactId::ALL {
            if fact.source() != Source::Text || !rules.needs(*fact) || self.get(*fact).is_some() {
                continue;
            }
            if let Some(value) = derived.fact(rules, subject, self, *fact) {
                self.set(*fact, value);
            }
        }
    }
}

/// A rule that matched.
struct Match {
    rule: u32,
    spots: Vec<Spot>,
    is_shadow: bool,
}

/// A place that a rule's words or pattern hit.
#[derive(Clone, Copy, Debug)]
struct Spot {
    owner: u32,
    field: Field,
    span: Span,
    is_evasion: bool,
}

/// A pattern whose literals were seen in a field.
struct Candidate<'a> {
    owner: u32,
    field: Field,
    view: usize,
    pattern: &'a Regex,
}

struct Run<'a> {
    rules: &'a RuleSet,
    subject: &'a Subject<'a>,
    facts: &'a Facts,
    plan: &'a Plan,
    derived: Derived,
    /// Text facts computed so far.
    values: [OnceCell<Option<Value>>; FactId::ALL.len()],
    views: Vec<[OnceCell<View>; FIELDS.len()]>,
    /// Hits of words, by rule.
    words: Vec<Spot>,
    candidates: OnceCell<Vec<Candidate<'a>>>,
    hits: Vec<u32>,
    steps: Cell<u64>,
}

impl<'a> Run<'a> {
    fn new(rules: &'a RuleSet, subject: &'a Subject<'a>, facts: &'a Facts) -> Self {
        Self {
            rules,
            subject,
            facts,
            plan: rules.plan(subject.site),
            derived: Derived::default(),
            values: [const { OnceCell::new() }; FactId::ALL.len()],
            views: rules
                .passes
                .views
                .iter()
                .map(|_| [const { OnceCell::new() }; FIELDS.len()])
                .collect(),
            words: Vec::new(),
            candidates: OnceCell::new(),
            hits: vec![0; rules.rules.len()],
            steps: Cell::new(0),
        }
    }

    /// Tries every rule; stops when the steps are used up.
    fn all(&mut self) -> Vec<Match> {
        self.find_words();
        let mut matches = Vec::new();
        for rule in &self.rules.order {
            if self.is_spent() {
                break;
            }
            let mode = self.plan.settings[*rule as usize].mode;
            if mode == Mode::Off {
                continue;
            }
            if let Some(spots) = self.attempt(*rule) {
                self.hits[*rule as usize] = u32::try_from(spots.len().max(1)).unwrap_or(u32::MAX);
                matches.push(Match {
                    rule: *rule,
                    spots,
                    is_shadow: self.is_shadow(mode),
                });
            }
        }
        matches
    }

    fn is_spent(&self) -> bool {
        self.steps.get() > BUDGET
    }

    fn spend(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    /// Unknown buckets count as inside, so that a check and a test see the rule enforced.
    fn is_shadow(&self, mode: Mode) -> bool {
        match mode {
            Mode::Off | Mode::Shadow => true,
            Mode::Enforce => false,
            Mode::Canary(percent) => self
                .int(FactId::CanaryBucket)
                .is_some_and(|bucket| bucket >= i64::from(percent)),
        }
    }

    fn field(&self, field: Field) -> &'a str {
        match field {
            Field::Body => self.subject.body,
            Field::AuthorName => self.subject.name,
            Field::AuthorUrl => self.subject.url,
        }
    }

    fn find_words(&mut self) {
        let passes = &self.rules.passes;
        let Some(words) = &passes.words else { return };
        for field in FIELDS {
            let text = self.field(field);
            if text.is_empty() || !passes.word_fields.contains(field) {
                continue;
            }
            self.spend(text.len() as u64);
            for hit in words.find(text) {
                let looks_here = self.rules.rules[hit.group as usize]
                    .words
                    .as_ref()
                    .is_some_and(|words| words.fields.contains(field));
                if looks_here {
                    self.words.push(Spot {
                        owner: hit.group,
                        field,
                        span: span_of(hit.span),
                        is_evasion: hit.evasion,
                    });
                }
            }
        }
        self.words.sort_by_key(|spot| spot.owner);
    }

    /// The places a rule hit, empty for one about no words; none if it does not match.
    fn attempt(&self, index: u32) -> Option<Vec<Spot>> {
        let rule = &self.rules.rules[index as usize];
        let mut spots = Vec::new();
        if rule.words.is_some() && !self.words_hit(rule, index, &mut spots) {
            return None;
        }
        let is_cheap = rule.when.as_ref().is_none_or(|when| !is_costly(when.facts));
        if is_cheap && !self.condition_holds(rule) {
            return None;
        }
        if let Some(pattern) = &rule.pattern {
            let before = spots.len();
            self.patterns_hit(
                super::compile::owner(index, false),
                pattern.fields,
                &mut spots,
            );
            if spots.len() == before {
                return None;
            }
        }
        if !is_cheap && !self.condition_holds(rule) {
            return None;
        }
        Some(spots)
    }

    fn condition_holds(&self, rule: &Rule) -> bool {
        rule.when.as_ref().is_none_or(|when| {
            self.spend(u64::from(when.cost) * STEPS_PER_PART);
            when.run(self) == Some(true)
        })
    }

    fn words_hit(&self, rule: &Rule, index: u32, spots: &mut Vec<Spot>) -> bool {
        let Some(words) = &rule.words else {
            return true;
        };
        if let Some(list) = words.domains {
            let list = &self.rules.lists[list as usize];
            for field in FIELDS
                .into_iter()
                .filter(|field| words.fields.contains(*field))
            {
                let links = self.derived.links(self.subject, field);
                spots.extend(
                    links
                        .iter()
                        .filter(|link| list.holds(&link.host))
                        .map(|link| Spot {
                            owner: index,
                            field,
                            span: span_of(link.span.clone()),
                            is_evasion: false,
                        }),
                );
            }
        } else if words.are_patterns {
            self.patterns_hit(super::compile::owner(index, true), words.fields, spots);
        } else {
            let first = self.words.partition_point(|spot| spot.owner < index);
            spots.extend(
                self.words[first..]
                    .iter()
                    .take_while(|spot| spot.owner == index),
            );
        }
        !spots.is_empty()
    }

    fn patterns_hit(&self, owner: u32, fields: Fields, spots: &mut Vec<Spot>) {
        let candidates = self.candidates.get_or_init(|| self.find_candidates());
        let first = candidates.partition_point(|candidate| candidate.owner < owner);
        for candidate in candidates[first..]
            .iter()
            .take_while(|candidate| candidate.owner == owner)
        {
            if !fields.contains(candidate.field) || self.is_spent() {
                continue;
            }
            let view = self.view(candidate.view, candidate.field);
            self.spend(view.text().len() as u64);
            let typed = self.field(candidate.field);
            for found in candidate.pattern.find_iter(view.text()).take(MAX_PLACES) {
                // Each further match may read the rest of the text once more.
                self.spend(found.len() as u64);
                let range = view.original(found.range());
                spots.push(Spot {
                    owner: rule_of(owner).0,
                    field: candidate.field,
                    is_evasion: is_disguised(&typed[range.clone()], found.as_str()),
                    span: span_of(range),
                });
            }
        }
    }

    fn find_candidates(&self) -> Vec<Candidate<'a>> {
        let rules = self.rules;
        let mut candidates = Vec::new();
        for (view, fields, pass) in &rules.passes.patterns {
            for field in FIELDS.into_iter().filter(|field| fields.contains(*field)) {
                let text = self.view(*view, field).text();
                self.spend(text.len() as u64);
                candidates.extend(pass.candidates(text).into_iter().map(|(owner, pattern)| {
                    Candidate {
                        owner,
                        field,
                        view: *view,
                        pattern,
                    }
                }));
            }
        }
        candidates.sort_by_key(|candidate| (candidate.owner, candidate.field));
        candidates
    }

    fn view(&self, view: usize, field: Field) -> &View {
        self.views[view][field as usize]
            .get_or_init(|| View::of(self.field(field), self.rules.passes.views[view]))
    }

    /// A fact as given, else as the text has it.
    fn value(&self, fact: FactId) -> Option<&Value> {
        if let Some(value) = self.facts.get(fact) {
            return Some(value);
        }
        if !derived::is_derived(fact) {
            return None;
        }
        self.values[fact as usize]
            .get_or_init(|| {
                self.spend(self.subject.body.len() as u64);
                self.derived
                    .fact(self.rules, self.subject, self.facts, fact)
            })
            .as_ref()
    }
}

impl Scope for Run<'_> {
    fn int(&self, fact: FactId) -> Option<i64> {
        match self.value(fact)? {
            Value::Int(number) => Some(*number),
            Value::Float(_) | Value::Bool(_) | Value::Text(_) => None,
        }
    }

    fn float(&self, fact: FactId) -> Option<f64> {
        match self.value(fact)? {
            Value::Float(number) => Some(*number),
            Value::Int(_) | Value::Bool(_) | Value::Text(_) => None,
        }
    }

    fn truth(&self, fact: FactId) -> Option<bool> {
        match self.value(fact)? {
            Value::Bool(truth) => Some(*truth),
            Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
        }
    }

    fn text(&self, fact: FactId) -> Option<&str> {
        match fact {
            FactId::BodyText => return Some(self.subject.body),
            FactId::AuthorName => return Some(self.subject.name),
            FactId::SiteKey => return Some(self.subject.site),
            _ => {}
        }
        match self.value(fact)? {
            Value::Text(text) => Some(text),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => None,
        }
    }

    fn is_known(&self, fact: FactId) -> bool {
        fact.source() == Source::Field || self.value(fact).is_some()
    }

    fn counter(&self, counter: u32) -> Option<i64> {
        self.facts
            .counter(&self.rules.counters.get(counter as usize)?.name)
    }

    fn hits(&self, rule: u32) -> i64 {
        i64::from(self.hits[rule as usize])
    }

    fn is_listed(&self, list: u32, value: &str) -> bool {
        self.spend(value.len() as u64);
        self.rules.lists[list as usize].holds(value)
    }
}

/// What a message is filled with.
struct Filled<'r, 'a> {
    run: &'r Run<'a>,
    hit: Option<&'r str>,
}

impl Fill for Filled<'_, '_> {
    fn fact(&self, fact: FactId) -> Option<Value> {
        match fact.source() {
            Source::Field => self.run.text(fact).map(|text| Value::Text(text.into())),
            Source::Text | Source::Signal | Source::Sealed => self.run.value(fact).cloned(),
        }
    }

    fn counter(&self, name: &str) -> Option<i64> {
        self.run.facts.counter(name)
    }

    fn hit(&self) -> Option<&str> {
        self.hit
    }
}

/// Facts that take longer than all the rest of an evaluation.
fn is_costly(facts: FactSet) -> bool {
    [
        FactId::BodyLanguage,
        FactId::BodyLanguageKnown,
        FactId::BodyGibberish,
    ]
    .into_iter()
    .any(|fact| facts.contains(fact))
}

fn span_of(range: std::ops::Range<usize>) -> Span {
    let end = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        start: end(range.start),
        end: end(range.end),
    }
}

/// Whether a text reads otherwise than it was typed, beyond case.
fn is_disguised(typed: &str, read: &str) -> bool {
    if typed.eq_ignore_ascii_case(read) {
        return false;
    }
    let lower: Cow<'_, str> = if typed.is_ascii() {
        typed.into()
    } else {
        typed.to_lowercase().into()
    };
    lower != read
}
