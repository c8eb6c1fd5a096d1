//! A verdict in words: the points as a waterfall against the thresholds, and the smallest change that flips it.
//!
//! The same words in the command, the console and the API. Explaining judges the submission anew for each change it
//! tries; it is not for the path of a submission.
//! Invariant: every flip it names was tried and does change the outcome.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::eval::{self, evaluate};
use super::expr::program::{Cond, Real, Whole};
use super::facts::{FactId, Facts, Source, Type, Value};
use super::{Mode, Plan, RuleSet, Subject};
use crate::domain::verdict::{
    Action, Finding, Label, Outcome, Span, Threshold, Thresholds, Verdict, decide,
};

/// Most findings tried for removal together.
const MAX_REMOVED: usize = 12;

/// Why a submission was judged as it was.
#[derive(Debug)]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// The thresholds it was weighed against.
    pub thresholds: Thresholds,
    /// For each label with findings that count, the points one after the other.
    pub waterfalls: Vec<Waterfall>,
    /// The smallest changes that lead to another outcome, the gentlest first.
    pub flips: Vec<Flip>,
}

/// The points of one label, finding by finding.
#[derive(Debug, PartialEq)]
pub struct Waterfall {
    /// The label.
    pub label: Label,
    /// The findings in order, with the sum after each.
    pub steps: Vec<Step>,
    /// What caps of groups took away.
    pub capped: f64,
    /// The sum that was weighed.
    pub total: f64,
}

/// One finding's share.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// The rule.
    pub rule: Arc<str>,
    /// Its points.
    pub points: f64,
    /// The sum after it, before caps.
    pub sum: f64,
}

/// A change, and the outcome it leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Flip {
    /// These rules do not speak.
    Without {
        /// The rules.
        rules: Vec<Arc<str>>,
        /// What then comes out.
        outcome: Outcome,
    },
    /// A fact has another value.
    Fact {
        /// Its name.
        fact: &'static str,
        /// What it is.
        from: Value,
        /// What it would have to be.
        to: Value,
        /// What then comes out.
        outcome: Outcome,
    },
    /// A label has more points.
    More {
        /// The label.
        label: Label,
        /// How many more.
        points: f64,
        /// What then comes out.
        outcome: Outcome,
    },
}

/// Judges a submission and explains the verdict.
#[must_use]
pub fn explain(rules: &RuleSet, subject: &Subject<'_>, facts: &Facts) -> Explanation {
    let plan = rules.plan(subject.site);
    let verdict = decide(evaluate(rules, subject, facts), &plan.thresholds);
    let mut flips = Vec::new();
    if verdict.outcome == Outcome::Approve {
        flips.extend(least_points(&verdict, &plan.thresholds));
    } else {
        flips.extend(least_rules(rules, plan, subject, facts, &verdict));
        flips.extend(least_fact(rules, subject, facts, &verdict));
    }
    let waterfalls = Label::ALL
        .into_iter()
        .filter_map(|label| waterfall(&verdict, label))
        .collect();
    Explanation {
        thresholds: plan.thresholds,
        waterfalls,
        flips,
        verdict,
    }
}

fn counts(finding: &Finding) -> bool {
    !finding.shadow && finding.removed_by.is_none()
}

fn waterfall(verdict: &Verdict, label: Label) -> Option<Waterfall> {
    let mut sum = 0.0;
    let steps: Vec<Step> = verdict
        .evaluation
        .findings
        .iter()
        .filter(|finding| {
            finding.label == label && finding.action == Action::Score && counts(finding)
        })
        .map(|finding| {
            sum += finding.points;
            Step {
                rule: Arc::clone(&finding.rule),
                points: finding.points,
                sum,
            }
        })
        .collect();
    let total = verdict.evaluation.points.of(label);
    (!steps.is_empty()).then_some(Waterfall {
        label,
        steps,
        capped: sum - total,
        total,
    })
}

/// The label that is nearest to being held, and what is missing.
fn least_points(verdict: &Verdict, thresholds: &Thresholds) -> Option<Flip> {
    Label::ALL
        .into_iter()
        .map(|label| {
            let Threshold { hold, margin, .. } = thresholds.0[label as usize];
            (label, hold - margin - verdict.evaluation.points.of(label))
        })
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(label, points)| Flip::More {
            label,
            points,
            outcome: Outcome::Hold,
        })
}

/// The fewest rules without which the outcome is another: one if one does, else the weightiest of the deciding label
/// until it tips.
fn least_rules(
    rules: &RuleSet,
    plan: &Plan,
    subject: &Subject<'_>,
    facts: &Facts,
    verdict: &Verdict,
) -> Option<Flip> {
    let speaking: Vec<Arc<str>> = verdict
        .evaluation
        .findings
        .iter()
        .filter(|finding| counts(finding) && finding.action != Action::Approve)
        .filter(|finding| finding.action != Action::Score || Some(finding.label) == verdict.label)
        .map(|finding| Arc::clone(&finding.rule))
        .take(MAX_REMOVED)
        .collect();
    let without = |removed: &[Arc<str>]| {
        let mut plan = plan.clone();
        for (setting, rule) in plan.settings.iter_mut().zip(&rules.rules) {
            if removed.contains(&rule.id) {
                setting.mode = Mode::Off;
            }
        }
        let outcome = decide(
            eval::evaluate_on(rules, &plan, subject, facts),
            &plan.thresholds,
        )
        .outcome;
        (outcome != verdict.outcome).then(|| Flip::Without {
            rules: removed.to_vec(),
            outcome,
        })
    };
    speaking
        .iter()
        .rev()
        .find_map(|one| without(std::slice::from_ref(one)))
        .or_else(|| (2..=speaking.len()).find_map(|n| without(&speaking[..n])))
}

/// The fact that has to change least, among those the matching rules ask for.
fn least_fact(
    rules: &RuleSet,
    subject: &Subject<'_>,
    facts: &Facts,
    verdict: &Verdict,
) -> Option<Flip> {
    let mut best: Option<(f64, Flip)> = None;
    for fact in FactId::ALL
        .iter()
        .copied()
        .filter(|fact| fact.source() == Source::Signal)
    {
        let Some(from) = facts.get(fact) else {
            continue;
        };
        for to in candidates(rules, fact, from) {
            let distance = distance(from, &to);
            if best
                .as_ref()
                .is_some_and(|(nearest, _)| *nearest <= distance)
            {
                continue;
            }
            let mut changed = facts.clone();
            changed.set(fact, to.clone());
            let outcome = decide(
                evaluate(rules, subject, &changed),
                rules.thresholds(subject.site),
            )
            .outcome;
            if outcome < verdict.outcome {
                let flip = Flip::Fact {
                    fact: fact.name(),
                    from: from.clone(),
                    to,
                    outcome,
                };
                best = Some((distance, flip));
            }
        }
    }
    best.map(|(_, flip)| flip)
}

/// Values at which some condition on the fact may turn.
fn candidates(rules: &RuleSet, fact: FactId, from: &Value) -> Vec<Value> {
    if let Value::Bool(truth) = from {
        return vec![Value::Bool(!truth)];
    }
    let mut turning = Vec::new();
    for when in rules.rules.iter().filter_map(|rule| rule.when.as_ref()) {
        if when.facts.contains(fact) {
            constants(&when.root, fact, &mut turning);
        }
    }
    turning.sort_by(f64::total_cmp);
    turning.dedup();
    let around = turning
        .iter()
        .flat_map(|point| [point - 1.0, *point, point + 1.0]);
    match fact.type_of() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the constants of rules are small whole numbers"
        )]
        Type::Int => around
            .filter(|n| *n >= 0.0)
            .map(|n| Value::Int(n as i64))
            .collect(),
        Type::Float => around.map(Value::Float).collect(),
        Type::Bool | Type::Text => Vec::new(),
    }
}

/// The numbers a condition compares a fact with.
fn constants(cond: &Cond, fact: FactId, out: &mut Vec<f64>) {
    #[expect(clippy::cast_precision_loss, reason = "only tried as a candidate")]
    let widen = |number: i64| number as f64;
    match cond {
        Cond::IntFact(_, asked, number) if *asked == fact => out.push(widen(*number)),
        Cond::Ints(_, sides) => match &**sides {
            [Whole::Fact(asked), Whole::Const(number)] if *asked == fact => {
                out.push(widen(*number));
            }
            _ => {}
        },
        Cond::Floats(_, sides) => match &**sides {
            [Real::Fact(asked), Real::Const(number)] | [Real::Const(number), Real::Fact(asked)]
                if *asked == fact =>
            {
                out.push(*number);
            }
            _ => {}
        },
        Cond::Not(inner) => constants(inner, fact, out),
        Cond::And(parts) | Cond::Or(parts) => {
            parts.iter().for_each(|part| constants(part, fact, out));
        }
        Cond::If(parts) => parts.iter().for_each(|part| constants(part, fact, out)),
        _ => {}
    }
}

#[expect(clippy::cast_precision_loss, reason = "only compared")]
fn distance(from: &Value, to: &Value) -> f64 {
    match (from, to) {
        (Value::Int(from), Value::Int(to)) => from.abs_diff(*to) as f64,
        (Value::Float(from), Value::Float(to)) => (from - to).abs(),
        _ => 1.0,
    }
}

impl Flip {
    /// The change as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let becomes = |outcome: &Outcome| match outcome {
            Outcome::Approve => "approved",
            Outcome::Hold => "held",
            Outcome::Reject => "rejected",
        };
        match self {
            Self::Without { rules, outcome } => {
                let rules: Vec<_> = rules.iter().map(|rule| format!("`{rule}`")).collect();
                format!(
                    "without {} it would be {}",
                    rules.join(" and "),
                    becomes(outcome)
                )
            }
            Self::Fact {
                fact,
                from,
                to,
                outcome,
            } => {
                format!(
                    "with {fact} = {to} instead of {from} it would be {}",
                    becomes(outcome)
                )
            }
            Self::More {
                label,
                points,
                outcome,
            } => {
                format!(
                    "with {points:.1} more points of {label} it would be {}",
                    becomes(outcome)
                )
            }
        }
    }
}

impl Explanation {
    /// The explanation as a terminal shows it, beside the text it is about.
    #[must_use]
    pub fn render(&self, subject: &Subject<'_>) -> String {
        let mut out = String::new();
        let verdict = &self.verdict;
        // Writing to a string cannot fail.
        let mut line = |text: String| {
            let _infallible = writeln!(out, "{}", text.trim_end());
        };
        let why = match (
            verdict.evaluation.hard,
            verdict.label,
            verdict.evaluation.degraded,
        ) {
            (Some(hard), _, _) => {
                format!(
                    "  by the hard rule `{}`",
                    verdict.evaluation.findings[hard.finding].rule
                )
            }
            (None, _, Some(degraded)) => format!("  incomplete: {}", degraded.as_str()),
            (None, Some(label), None) => format!("  for {label}"),
            (None, None, None) => String::new(),
        };
        line(format!("{}{why}", verdict.outcome));
        let width = verdict
            .evaluation
            .findings
            .iter()
            .map(|finding| finding.rule.len())
            .max()
            .unwrap_or(0);
        for waterfall in &self.waterfalls {
            let threshold = self.thresholds.0[waterfall.label as usize];
            line(String::new());
            line(format!(
                "{}  {:.1} points; held from {:.1}, rejected from {:.1}",
                waterfall.label,
                waterfall.total,
                threshold.hold - threshold.margin,
                threshold.reject + threshold.margin
            ));
            for step in &waterfall.steps {
                let finding = verdict
                    .evaluation
                    .findings
                    .iter()
                    .find(|finding| finding.rule == step.rule);
                let message = finding.map_or("", |finding| &finding.message);
                line(format!(
                    "  {:>+6.1}  {:>5.1}  {:width$}  {message}",
                    step.points, step.sum, step.rule
                ));
            }
            if waterfall.capped.abs() > 0.001 {
                line(format!(
                    "  {:>+6.1}  {:>5.1}  capped by group",
                    -waterfall.capped, waterfall.total
                ));
            }
        }
        let others: Vec<_> = verdict
            .evaluation
            .findings
            .iter()
            .filter(|finding| finding.action != Action::Score || !counts(finding))
            .collect();
        if !others.is_empty() {
            line(String::new());
        }
        for finding in others {
            let state = match (&finding.removed_by, finding.shadow) {
                (Some(by), _) => format!("removed by `{by}`"),
                (None, true) => "shadow".to_owned(),
                (None, false) => finding.action.as_str().to_owned(),
            };
            line(format!(
                "  {state:>15}  {:width$}  {}",
                finding.rule, finding.message
            ));
        }
        let quotes: Vec<_> = verdict
            .evaluation
            .findings
            .iter()
            .filter_map(|finding| quote(finding, subject))
            .collect();
        if !quotes.is_empty() {
            line(String::new());
        }
        quotes.into_iter().for_each(&mut line);
        if !self.flips.is_empty() {
            line(String::new());
        }
        for flip in &self.flips {
            line(flip.sentence());
        }
        out
    }

    /// The explanation as JSON, to stand beside the verdict's own.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let round = |points: f64| (points * 1000.0).round() / 1000.0;
        let waterfalls: Vec<Json> = self
            .waterfalls
            .iter()
            .map(|waterfall| {
                let threshold = self.thresholds.0[waterfall.label as usize];
                let steps: Vec<Json> = waterfall
                    .steps
                    .iter()
                    .map(|step| json!({"rule": &*step.rule, "points": round(step.points), "sum": round(step.sum)}))
                    .collect();
                json!({
                    "label": waterfall.label.as_str(), "steps": steps, "capped": round(waterfall.capped),
                    "total": round(waterfall.total), "hold": threshold.hold, "reject": threshold.reject,
                    "margin": threshold.margin,
                })
            })
            .collect();
        let flips: Vec<Json> = self
            .flips
            .iter()
            .map(|flip| Json::from(flip.sentence()))
            .collect();
        json!({ "waterfalls": waterfalls, "flips": flips })
    }
}

/// The words a finding points at, a few of them.
fn quote(finding: &Finding, subject: &Subject<'_>) -> Option<String> {
    let place = finding.places.first()?;
    let text = match place.field {
        crate::domain::verdict::Field::Body => subject.body,
        crate::domain::verdict::Field::AuthorName => subject.name,
        crate::domain::verdict::Field::AuthorUrl => subject.url,
    };
    let words: Vec<String> = place
        .spans
        .iter()
        .take(4)
        .filter_map(|Span { start, end }| text.get(*start as usize..*end as usize))
        .map(|words| format!("{words:?}"))
        .collect();
    Some(format!(
        "  {} in {}: {}",
        finding.rule,
        place.field.as_str(),
        words.join(", ")
    ))
}
