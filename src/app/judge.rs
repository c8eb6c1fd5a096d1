//! One judgement: the rules over the facts, guarded so that a filter that fails or dawdles sends the comment to a
//! person. API, console, command line and doors all judge here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{App, Fault};
use crate::domain::verdict::{self, Degraded};
use crate::domain::{Evaluation, Label, Verdict, time};
use crate::rules::{self, Facts, RuleSet, Subject};
use crate::seal::Place;
use crate::store::writer::{Bytes, NewVerdict};

/// Longer than this, and `approve` becomes `hold`. Source: rules.md, "From findings to a verdict".
const TIME_LIMIT: Duration = Duration::from_millis(50);
/// Texts from this size on are judged off the request threads, in bytes.
const LONG_TEXT: usize = 8 * 1024;

/// What is judged.
#[derive(Clone, Debug)]
pub struct Case {
    /// Key of the site.
    pub site: Arc<str>,
    /// The text.
    pub body: String,
    /// The typed name.
    pub name: String,
    /// The website, empty if none was given.
    pub url: String,
    /// What is known about it.
    pub facts: Facts,
    /// Facts from the store could not be read.
    pub facts_missing: bool,
}

/// A verdict, the rule set that gave it, and the facts it rests on.
#[derive(Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule set.
    pub rules: Arc<RuleSet>,
    /// Every fact the rules asked for, those read from the text too.
    pub facts: Facts,
    /// What was judged.
    pub case: Case,
}

/// Judges a case by the running rule set.
pub async fn judge(app: &App, case: Case) -> Judged {
    let rules = app.rulebook.current();
    if case.body.len() < LONG_TEXT {
        return judge_by(rules, case);
    }
    let fallback = (Arc::clone(&rules), case.clone());
    let judged = tokio::task::spawn_blocking(move || judge_by(rules, case)).await;
    judged.unwrap_or_else(|_| {
        let (rules, case) = fallback;
        finish(rules, case, failed(Degraded::Panic), Facts::new())
    })
}

/// Judges a case by any rule set.
#[must_use]
pub fn judge_by(rules: Arc<RuleSet>, case: Case) -> Judged {
    let started = time::monotonic();
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let subject = Subject {
            site: &case.site,
            body: &case.body,
            name: &case.name,
            url: &case.url,
        };
        let evaluation = rules::evaluate(&rules, &subject, &case.facts);
        let mut facts = case.facts.clone();
        facts.complete(&rules, &subject);
        (evaluation, facts)
    }));
    let (mut evaluation, facts) = attempt.unwrap_or_else(|_| {
        tracing::error!("the filters panicked; the comment goes to a person");
        (failed(Degraded::Panic), case.facts.clone())
    });
    if evaluation.degraded.is_none() {
        if started.elapsed() > TIME_LIMIT {
            evaluation.degraded = Some(Degraded::Time);
        } else if case.facts_missing {
            evaluation.degraded = Some(Degraded::Facts);
        }
    }
    finish(rules, case, evaluation, facts)
}

fn failed(why: Degraded) -> Evaluation {
    Evaluation {
        degraded: Some(why),
        ..Evaluation::default()
    }
}

fn finish(rules: Arc<RuleSet>, case: Case, evaluation: Evaluation, facts: Facts) -> Judged {
    let verdict = verdict::decide(evaluation, rules.thresholds(&case.site));
    Judged {
        verdict,
        rules,
        facts,
        case,
    }
}

impl Judged {
    /// The most points of any label relative to its rejecting threshold; a rejecting hard rule counts as 1 at least.
    #[must_use]
    pub fn risk(&self) -> f64 {
        let thresholds = self.rules.thresholds(&self.case.site);
        let points = &self.verdict.evaluation.points;
        let scored = Label::ALL
            .iter()
            .map(|label| points.of(*label) / thresholds.0[*label as usize].reject)
            .fold(0.0, f64::max);
        match self.verdict.evaluation.hard {
            Some(hard) if hard.outcome == crate::domain::Outcome::Reject => scored.max(1.0),
            _ => scored,
        }
    }

    /// What the deciding rule lets the author of a rejected comment read.
    #[must_use]
    pub fn reply(&self) -> Option<String> {
        let finding = &self.verdict.evaluation.findings[self.verdict.decisive?];
        let case = &self.case;
        let subject = Subject {
            site: &case.site,
            body: &case.body,
            name: &case.name,
            url: &case.url,
        };
        self.rules.reply(&finding.rule, &subject, &self.facts)
    }

    /// True if a `discard` rule decided: the author never hears of it.
    #[must_use]
    pub fn is_discarded(&self) -> bool {
        self.verdict
            .evaluation
            .hard
            .is_some_and(|hard| hard.discard)
    }

    /// The verdict as it is stored, facts from the address or the network sealed for the row `place`.
    ///
    /// # Errors
    /// [`Fault::Keys`] if sealing failed.
    pub fn to_row(&self, app: &App, place: &Place<'_>) -> Result<NewVerdict, Fault> {
        let (open, sealed) = self.facts.to_json();
        let has_sealed = sealed.as_object().is_some_and(|facts| !facts.is_empty());
        let facts_sealed = has_sealed
            .then(|| {
                app.keyring
                    .seal(place, sealed.to_string().as_bytes())
                    .map(Bytes)
            })
            .transpose()
            .map_err(|error| Fault::Keys(error.to_string()))?;
        let evaluation = &self.verdict.evaluation;
        Ok(NewVerdict {
            outcome: self.verdict.outcome.as_str(),
            label: self.verdict.label,
            points: raw(&rules::wire::points(&evaluation.points))?,
            findings: raw(&rules::wire::findings(&evaluation.findings))?,
            finding_rows: evaluation
                .findings
                .iter()
                .map(|finding| {
                    (
                        Arc::clone(&finding.rule),
                        finding.label,
                        finding.points,
                        finding.shadow,
                    )
                })
                .collect(),
            reply: self.reply(),
            degraded: evaluation.degraded.map(Degraded::as_str),
            rule_set: self.rules.hash().into(),
            models: raw(&serde_json::json!({}))?,
            facts: raw(&StoredFacts {
                format: 1,
                facts: open,
            })?,
            facts_sealed,
        })
    }
}

/// The stored document of facts.
#[derive(serde::Serialize)]
struct StoredFacts {
    /// A reader of an old format stays for as long as such rows do.
    format: u8,
    facts: serde_json::Value,
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, Fault> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Fault::Keys(format!("a verdict could not be written as JSON: {error}")))
}
