//! What the filters say: findings, their sum, and the outcome.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What the filters say of one version, from mild to severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Publish.
    Approve,
    /// Put before a person.
    Hold,
    /// Keep it out of sight.
    Reject,
}

impl Outcome {
    /// The word used in files, rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }
}

/// Why not. Carried by rules and by rejecting decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// Advertising, scams, floods.
    Spam,
    /// Insults, threats, hatred.
    Abuse,
    /// Nothing said, or nothing readable.
    Quality,
    /// Against the rules of this house.
    Policy,
}

impl Label {
    /// All labels, in the order in which points are stored.
    pub const ALL: [Self; 4] = [Self::Spam, Self::Abuse, Self::Quality, Self::Policy];

    /// The word used in files, rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spam => "spam",
            Self::Abuse => "abuse",
            Self::Quality => "quality",
            Self::Policy => "policy",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of the known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {expected}")]
pub struct UnknownWord {
    /// The known words, separated by commas.
    pub expected: &'static str,
}

impl FromStr for Label {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|label| label.as_str() == word)
            .ok_or(UnknownWord {
                expected: "spam, abuse, quality, policy",
            })
    }
}

impl FromStr for Outcome {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Approve, Self::Hold, Self::Reject]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or(UnknownWord {
                expected: "approve, hold, reject",
            })
    }
}

/// A field of a submission that a finding can point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The text.
    Body,
    /// The typed name.
    AuthorName,
    /// The website.
    AuthorUrl,
}

impl Field {
    /// The name used in rule files and answers, as in the request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::AuthorName => "author.name",
            Self::AuthorUrl => "author.url",
        }
    }
}

impl FromStr for Field {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Body, Self::AuthorName, Self::AuthorUrl]
            .into_iter()
            .find(|field| field.as_str() == word)
            .ok_or(UnknownWord {
                expected: "body, author.name, author.url",
            })
    }
}

/// A half-open range of bytes in a field as its author typed it (with CRLF and CR as LF).
///
/// Invariant: both ends lie on character boundaries of that field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// First byte after.
    pub end: u32,
}

/// Places in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The field.
    pub field: Field,
    /// Ascending, without overlap.
    pub spans: Vec<Span>,
}

/// Points by label, indexed as [`Label::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Points(pub [f64; 4]);

impl Points {
    /// The points under `label`.
    #[must_use]
    pub fn of(&self, label: Label) -> f64 {
        self.0[label as usize]
    }

    /// Adds `points` under `label`.
    pub fn add(&mut self, label: Label, points: f64) {
        self.0[label as usize] += points;
    }
}

/// What a rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It added points.
    Score,
    /// A hard rule that holds.
    Hold,
    /// A hard rule that rejects.
    Reject,
    /// A hard rule that rejects in silence and teaches nothing.
    Discard,
    /// A hard rule that removed the findings it names.
    Approve,
}

impl Action {
    /// The word used in files, rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Hold => "hold",
            Self::Reject => "reject",
            Self::Discard => "discard",
            Self::Approve => "approve",
        }
    }
}

/// One rule or model that added points or acted.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule's stable id.
    pub rule: Arc<str>,
    /// The rule's label.
    pub label: Label,
    /// Points it added, evasion included, before any group's cap; 0 for a hard rule.
    pub points: f64,
    /// Why, in words for moderators.
    pub message: String,
    /// Where: the field with the first hit comes first; empty when the finding is about no words.
    pub places: Vec<Place>,
    /// What the rule did.
    pub action: Action,
    /// Stored beside the rest, counts for nothing.
    pub shadow: bool,
    /// It was seen only after undoing a disguise.
    pub evasion: bool,
    /// The hard rule of action `approve` that took this finding out of the sum.
    pub removed_by: Option<Arc<str>>,
}

/// All that the rules found, before thresholds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Every finding, the weightiest first.
    pub findings: Vec<Finding>,
    /// Sums by label after groups' caps and removals.
    pub points: Points,
    /// The deciding hard rule, if one spoke: its outcome, label and place in `findings`.
    pub hard: Option<Hard>,
    /// Why the filters could not finish; an evaluation with a reason never approves.
    pub degraded: Option<Degraded>,
}

/// The hard rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hard {
    /// `Hold` or `Reject`.
    pub outcome: Outcome,
    /// Of the rule.
    pub label: Label,
    /// Index into [`Evaluation::findings`].
    pub finding: usize,
    /// The rule said `discard`: always quiet, never learned from.
    pub discard: bool,
}

/// Why an evaluation is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Degraded {
    /// It ran out of its steps.
    Budget,
    /// It took longer than its time.
    Time,
    /// It panicked; the panic was caught and logged.
    Panic,
    /// Facts from the store could not be read.
    Facts,
}

impl Degraded {
    /// The word used in rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Time => "time",
            Self::Panic => "panic",
            Self::Facts => "facts",
        }
    }
}

/// Points at which a label holds and rejects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// From here on a person looks.
    pub hold: f64,
    /// From here on it is rejected.
    pub reject: f64,
    /// Near calls this close to a threshold go to a person.
    pub margin: f64,
}

/// Thresholds of every label, indexed as [`Label::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds(pub [Threshold; 4]);

/// What the machine says of one version of a comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// The label with the most points relative to its rejecting threshold, unless the comment is approved.
    pub label: Option<Label>,
    /// What it rests on.
    pub evaluation: Evaluation,
    /// Index of the finding that decided: the hard rule, else the weightiest finding of the label.
    pub decisive: Option<usize>,
}

/// Weighs an evaluation against thresholds.
///
/// A hard rule decides alone. Otherwise each label gives an outcome and the highest stands: `reject` from
/// `reject + margin`, `hold` from `hold - margin`. An incomplete evaluation turns `approve` into `hold`, never
/// the other way.
#[must_use]
pub fn decide(evaluation: Evaluation, thresholds: &Thresholds) -> Verdict {
    if let Some(hard) = evaluation.hard {
        return Verdict {
            outcome: hard.outcome,
            label: Some(hard.label),
            decisive: Some(hard.finding),
            evaluation,
        };
    }
    let mut outcome = Outcome::Approve;
    let mut label = None;
    let mut closest = f64::NEG_INFINITY;
    for candidate in Label::ALL {
        let points = evaluation.points.of(candidate);
        let threshold = thresholds.0[candidate as usize];
        let this = if points >= threshold.reject + threshold.margin {
            Outcome::Reject
        } else if points >= threshold.hold - threshold.margin {
            Outcome::Hold
        } else {
            Outcome::Approve
        };
        let relative = points / threshold.reject;
        if this > outcome || (this == outcome && this > Outcome::Approve && relative > closest) {
            outcome = this;
            label = Some(candidate);
            closest = relative;
        }
    }
    if evaluation.degraded.is_some() {
        outcome = outcome.max(Outcome::Hold);
    }
    let decisive = label.and_then(|label| {
        evaluation
            .findings
            .iter()
            .enumerate()
            .filter(|(_, finding)| {
                finding.label == label && !finding.shadow && finding.removed_by.is_none()
            })
            .max_by(|(_, a), (_, b)| a.points.total_cmp(&b.points))
            .map(|(index, _)| index)
    });
    Verdict {
        outcome,
        label,
        evaluation,
        decisive,
    }
}
