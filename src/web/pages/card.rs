//! One held comment as a moderator meets it: the text with what was found in it, why, by whom, where.
//!
//! Not a decision: it shows what a verdict says and computes nothing that would change one. Invariant: the numbers beside the
//! reasons are those beside the marked words.

use super::highlight::{Mark, Segment, highlight};
use super::words;
use super::{When, is_web_address};
use crate::domain::verdict::{Action, Degraded, Evaluation, Threshold, decide};
use crate::domain::{
    CommentId, Decision, DecisionId, Field, Finding, Label, Outcome, Status, Thresholds, Verdict,
    Version,
};

/// A comment with everything a decision needs.
#[derive(Clone, Debug)]
pub struct Case {
    /// Identity.
    pub id: CommentId,
    /// Where it stands: what a decision expects as `from`.
    pub status: Status,
    /// The text shown: what a decision expects as `version`.
    pub version: Version,
    /// The text as typed.
    pub text: String,
    /// When it arrived.
    pub at: When,
    /// When the shown text was written, if that is not the first.
    pub edited: Option<When>,
    /// Who wrote it.
    pub author: Author,
    /// The post it stands under.
    pub post: Post,
    /// The comment it answers.
    pub parent: Option<Quoted>,
    /// What the filters say of this version.
    pub verdict: Option<VerdictView>,
    /// What readers reported, in their words; the newest first.
    pub reports: Vec<Report>,
    /// How many reports there are in all.
    pub n_reports: u64,
    /// Who works on it, if another does.
    pub lease: Option<Claim>,
    /// The author's appeal, if they wrote one.
    pub appeal: Option<Appeal>,
    /// The author's latest other comments, the newest first.
    pub earlier: Vec<Quoted>,
    /// How many comments the campaign has that this one belongs to, itself included; 0 if none.
    pub n_alike: u64,
}

impl Case {
    /// The text in pieces, with the words that reasons point at.
    #[must_use]
    pub fn pieces(&self) -> Vec<Segment<'_>> {
        let marks = self
            .verdict
            .as_ref()
            .map(|verdict| verdict.marks_in(Field::Body))
            .unwrap_or_default();
        highlight(&self.text, &marks)
    }

    /// The author's name in pieces.
    #[must_use]
    pub fn name_pieces(&self) -> Vec<Segment<'_>> {
        let marks = self
            .verdict
            .as_ref()
            .map(|verdict| verdict.marks_in(Field::AuthorName))
            .unwrap_or_default();
        highlight(&self.author.name, &marks)
    }
}

/// What is known of who wrote. There is no address here, and there will not be.
#[derive(Clone, Debug, Default)]
pub struct Author {
    /// As typed; empty once erased.
    pub name: String,
    /// As typed; shown as text, never as a link.
    pub url: Option<String>,
    /// `data:` or own URL of the identicon.
    pub avatar: String,
    /// True if this person has shown to be the one who wrote before.
    pub is_proven: bool,
    /// Their comments that were approved.
    pub approved: u64,
    /// Their comments that were rejected.
    pub rejected: u64,
    /// Their comments that wait, this one included.
    pub pending: u64,
    /// Since when they write here.
    pub first_seen: Option<When>,
}

impl Author {
    /// `3 approved, 1 rejected before` or `first comment here`.
    #[must_use]
    pub fn record(&self) -> String {
        if self.approved + self.rejected == 0 {
            return if self.is_proven {
                "nothing decided yet".to_owned()
            } else {
                "nobody we know yet".to_owned()
            };
        }
        let mut parts = Vec::new();
        if self.approved > 0 {
            parts.push(format!("{} approved", words::grouped(self.approved)));
        }
        if self.rejected > 0 {
            parts.push(format!("{} rejected", words::grouped(self.rejected)));
        }
        parts.join(", ")
    }
}

/// The post a comment stands under.
#[derive(Clone, Debug, Default)]
pub struct Post {
    /// The site's key.
    pub site: String,
    /// The site's name for people.
    pub site_name: String,
    /// The thread's key.
    pub key: String,
    /// The post's title.
    pub title: Option<String>,
    /// The post's address: http or https, checked when it was stored.
    pub url: Option<String>,
}

impl Post {
    /// The post's address, if it can be linked to.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| is_web_address(url))
    }

    /// The title, else the key.
    #[must_use]
    pub fn name(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.key)
    }
}

/// Another comment, shown in short.
#[derive(Clone, Debug)]
pub struct Quoted {
    /// Identity.
    pub id: CommentId,
    /// Who wrote it.
    pub name: String,
    /// As typed.
    pub text: String,
    /// When.
    pub at: When,
    /// Where it stands.
    pub status: Status,
}

/// A reader's report.
#[derive(Clone, Debug)]
pub struct Report {
    /// In the reader's words.
    pub reason: String,
    /// When.
    pub at: When,
}

/// What the author wrote against a rejection.
#[derive(Clone, Debug)]
pub struct Appeal {
    /// In the author's words.
    pub text: String,
    /// When.
    pub at: When,
}

/// Somebody works on it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Their name.
    pub by: String,
    /// Until when.
    pub until: When,
}

/// A decision in a comment's history.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Identity, for undo.
    pub id: DecisionId,
    /// In words: `approved`, `rejected as spam`, `put back into the queue`.
    pub what: String,
    /// By whom.
    pub by: String,
    /// When.
    pub at: When,
    /// For colleagues.
    pub note: Option<String>,
    /// The text that was decided on.
    pub version: Version,
    /// When it was taken back.
    pub undone: Option<When>,
    /// True if it stands and may be undone.
    pub can_undo: bool,
}

/// A text in a comment's history.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its number.
    pub version: Version,
    /// As typed.
    pub text: String,
    /// When.
    pub at: When,
    /// What the filters said.
    pub verdict: Option<VerdictView>,
    /// True if readers see this one.
    pub is_public: bool,
}

impl Written {
    /// The text in pieces, with the words that reasons point at.
    #[must_use]
    pub fn pieces(&self) -> Vec<Segment<'_>> {
        let marks = self
            .verdict
            .as_ref()
            .map(|verdict| verdict.marks_in(Field::Body))
            .unwrap_or_default();
        highlight(&self.text, &marks)
    }
}

/// A verdict in words, its reasons numbered, its points laid along a scale.
#[derive(Clone, Debug)]
pub struct VerdictView {
    /// The outcome.
    pub outcome: Outcome,
    /// The deciding label.
    pub label: Option<Label>,
    /// One sentence: why it waits.
    pub lead: String,
    /// Every finding: the deciding label's first, each label's weightiest first, shadow ones last.
    pub reasons: Vec<Reason>,
    /// The scale of the deciding label, if points decided.
    pub scale: Option<Scale>,
    /// Why the filters could not finish.
    pub degraded: Option<&'static str>,
    /// Hash of the rule set that spoke.
    pub rule_set: String,
}

/// One finding in words.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Its number, also beside the words it points at.
    pub number: usize,
    /// The rule's id.
    pub rule: String,
    /// The rule's label.
    pub label: Label,
    /// Why, in the rule's words.
    pub message: String,
    /// `+3.5`, `holds`, `rejects`, `lifted`.
    pub effect: String,
    /// What else to know: `seen only after undoing a disguise`, `in trial: counts for nothing` …
    pub aside: Option<String>,
    /// True if it is what decided.
    pub is_decisive: bool,
    /// True if it counts.
    pub counts: bool,
    /// Its stretch on the scale of its label.
    pub bar: Option<Bar>,
    /// Where it points.
    marks: Vec<(Field, Mark)>,
}

/// A stretch on the scale, in hundredths of its width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Left end.
    pub x: f64,
    /// Length.
    pub width: f64,
    /// True if these points speak for the comment.
    pub is_relief: bool,
}

/// Points of one label against its thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The label.
    pub label: Label,
    /// The sum after caps.
    pub points: f64,
    /// The sum before.
    pub uncapped: f64,
    /// From here on a person looks.
    pub hold: f64,
    /// From here on it is rejected.
    pub reject: f64,
    /// The points at the right end.
    pub full: f64,
}

impl Scale {
    fn new(label: Label, verdict: &Verdict, threshold: Threshold) -> Self {
        let points = verdict.evaluation.points.of(label);
        let scored = verdict
            .evaluation
            .findings
            .iter()
            .filter(|finding| finding.label == label && counts(finding));
        let uncapped: f64 = scored.map(|finding| finding.points).sum();
        Self {
            label,
            points,
            uncapped,
            hold: threshold.hold,
            reject: threshold.reject,
            full: threshold.reject.max(uncapped).max(points).max(1.0) * 1.08,
        }
    }

    /// True if a group of rules reached its cap.
    #[must_use]
    pub fn is_capped(&self) -> bool {
        (self.uncapped - self.points).abs() > 0.05
    }

    fn at(&self, points: f64) -> f64 {
        (points / self.full * 100.0).clamp(0.0, 100.0)
    }

    /// Where the holding threshold stands, in hundredths of the width.
    #[must_use]
    pub fn hold_at(&self) -> String {
        format!("{:.2}", self.at(self.hold))
    }

    /// Where the rejecting threshold stands.
    #[must_use]
    pub fn reject_at(&self) -> String {
        format!("{:.2}", self.at(self.reject))
    }

    /// How far the sum reaches.
    #[must_use]
    pub fn points_at(&self) -> String {
        format!("{:.2}", self.at(self.points))
    }

    /// `5.5 points for spam; a person looks from 4, rejected from 10`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let cap = if self.is_capped() { " after caps" } else { "" };
        format!(
            "{} points for {}{cap}. A person looks from {}, rejected from {}.",
            words::points(self.points),
            self.label,
            words::points(self.hold),
            words::points(self.reject)
        )
    }
}

impl Bar {
    /// The left end for a drawing.
    #[must_use]
    pub fn left(&self) -> String {
        format!("{:.2}", self.x)
    }

    /// The length for a drawing; a sliver at least, so that it is seen.
    #[must_use]
    pub fn length(&self) -> String {
        format!("{:.2}", self.width.max(0.8))
    }
}

impl VerdictView {
    /// Puts a verdict into words. Without thresholds there is no scale.
    #[must_use]
    pub fn of(verdict: &Verdict, thresholds: Option<&Thresholds>, rule_set: &str) -> Self {
        let decisive = verdict.decisive;
        let scale = match (thresholds, verdict.label, verdict.evaluation.hard) {
            (Some(thresholds), Some(label), None) => {
                Some(Scale::new(label, verdict, thresholds.0[label as usize]))
            }
            _ => None,
        };
        let mut order: Vec<(usize, &Finding)> =
            verdict.evaluation.findings.iter().enumerate().collect();
        order.sort_by(|(a, x), (b, y)| rank(*a, x, verdict).total_cmp(&rank(*b, y, verdict)));

        let mut reached = 0.0;
        let mut reasons = Vec::with_capacity(order.len());
        for (number, (index, finding)) in order.into_iter().enumerate() {
            let counts = counts(finding);
            let on_scale = scale.filter(|scale| {
                counts && scale.label == finding.label && finding.action == Action::Score
            });
            let bar = on_scale.map(|scale| {
                let from = reached;
                reached += finding.points;
                let (low, high) = (scale.at(from.min(reached)), scale.at(from.max(reached)));
                Bar {
                    x: low,
                    width: high - low,
                    is_relief: finding.points < 0.0,
                }
            });
            reasons.push(Reason {
                number: number + 1,
                rule: finding.rule.to_string(),
                label: finding.label,
                message: words::capitalised(&finding.message),
                effect: effect(finding),
                aside: aside(finding).or_else(|| {
                    let scale = on_scale.filter(|scale| !scale.is_capped())?;
                    published_without(finding, verdict, scale.label, thresholds?)
                }),
                is_decisive: decisive == Some(index),
                counts,
                bar,
                marks: marks(finding, number + 1),
            });
        }
        Self {
            outcome: verdict.outcome,
            label: verdict.label,
            lead: lead(verdict),
            reasons,
            scale,
            degraded: verdict.evaluation.degraded.map(degraded),
            rule_set: rule_set.to_owned(),
        }
    }

    /// The marks of findings that count, in `field`.
    #[must_use]
    pub fn marks_in(&self, field: Field) -> Vec<Mark> {
        self.reasons
            .iter()
            .filter(|reason| reason.counts)
            .flat_map(|reason| &reason.marks)
            .filter(|(of, _)| *of == field)
            .map(|(_, mark)| *mark)
            .collect()
    }

    /// The first twelve digits of the rule set's hash.
    #[must_use]
    pub fn short_rule_set(&self) -> &str {
        short_hash(&self.rule_set)
    }
}

/// The first twelve digits of a hash, without its `sha256:`.
#[must_use]
pub fn short_hash(hash: &str) -> &str {
    let digits = hash.strip_prefix("sha256:").unwrap_or(hash);
    &digits[..digits.floor_char_boundary(12)]
}

/// `approved`, `rejected as spam`, `put back into the queue`.
#[must_use]
pub fn decided(decision: Decision, label: Option<Label>) -> String {
    let (verb, rest) = decided_parts(decision, label);
    format!("{verb}{rest}")
}

/// `approved this`, `rejected this as spam`, `put this back into the queue`.
#[must_use]
pub fn decided_this(decision: Decision, label: Option<Label>) -> String {
    let (verb, rest) = decided_parts(decision, label);
    format!("{verb} this{rest}")
}

fn decided_parts(decision: Decision, label: Option<Label>) -> (&'static str, String) {
    match (decision, label) {
        (Decision::Approve, _) => ("approved", String::new()),
        (Decision::Hold, _) => ("put", " back into the queue".to_owned()),
        (Decision::Reject, None) => ("rejected", String::new()),
        (Decision::Reject, Some(label)) => ("rejected", format!(" as {}", name_of(label))),
    }
}

/// A label in a sentence: `rejected as …`.
#[must_use]
pub const fn name_of(label: Label) -> &'static str {
    match label {
        Label::Spam => "spam",
        Label::Abuse => "abuse",
        Label::Quality => "too little said",
        Label::Policy => "against the house rules",
    }
}

/// Ascending: the deciding finding, its label, the other labels, what counts for nothing.
fn rank(index: usize, finding: &Finding, verdict: &Verdict) -> f64 {
    let group = if finding.shadow {
        4.0
    } else if finding.removed_by.is_some() {
        3.0
    } else if verdict.decisive == Some(index) {
        0.0
    } else if verdict.label == Some(finding.label) {
        1.0
    } else {
        2.0
    };
    // Points are far below this step, so groups never mix.
    group * 1.0e9 - finding.points
}

fn lead(verdict: &Verdict) -> String {
    let verb = match verdict.outcome {
        Outcome::Approve => "Would be published",
        Outcome::Hold => "Held",
        Outcome::Reject => "Rejected",
    };
    let decisive = verdict
        .decisive
        .and_then(|index| verdict.evaluation.findings.get(index));
    match (decisive, verdict.evaluation.degraded) {
        (Some(finding), _) => format!("{verb} because of {}", finding.message),
        (None, Some(why)) => format!("{verb} because {}", degraded(why)),
        (None, None) => match verdict.outcome {
            Outcome::Approve => "The filters found nothing against it".to_owned(),
            Outcome::Hold | Outcome::Reject => format!("{verb} by its points"),
        },
    }
}

/// True if the finding adds to the sum.
fn counts(finding: &Finding) -> bool {
    !finding.shadow && finding.removed_by.is_none()
}

/// Says so, if the verdict would approve without `finding`.
fn published_without(
    finding: &Finding,
    verdict: &Verdict,
    label: Label,
    thresholds: &Thresholds,
) -> Option<String> {
    let mut without = Evaluation {
        points: verdict.evaluation.points,
        degraded: verdict.evaluation.degraded,
        ..Evaluation::default()
    };
    without.points.add(label, -finding.points);
    let is_decided_by_it = verdict.outcome > Outcome::Approve
        && decide(without, thresholds).outcome == Outcome::Approve;
    is_decided_by_it.then(|| "without it this would be published".to_owned())
}

fn effect(finding: &Finding) -> String {
    match finding.action {
        Action::Score => words::signed(finding.points),
        Action::Hold => "holds".to_owned(),
        Action::Reject | Action::Discard => "rejects".to_owned(),
        Action::Approve => "lifts".to_owned(),
    }
}

fn aside(finding: &Finding) -> Option<String> {
    if finding.shadow {
        Some("on trial, counts for nothing".to_owned())
    } else if let Some(by) = &finding.removed_by {
        Some(format!("set aside by {by}"))
    } else if finding.evasion {
        Some("seen only after undoing a disguise".to_owned())
    } else {
        None
    }
}

fn marks(finding: &Finding, reason: usize) -> Vec<(Field, Mark)> {
    let mut marks = Vec::new();
    for place in &finding.places {
        for span in &place.spans {
            marks.push((
                place.field,
                Mark {
                    span: *span,
                    reason,
                },
            ));
        }
    }
    marks
}

const fn degraded(why: Degraded) -> &'static str {
    match why {
        Degraded::Budget => "the filters ran out of steps on this text",
        Degraded::Time => "the filters took too long over it",
        Degraded::Panic => "a filter failed on it",
        Degraded::Facts => "what is known of its author could not be read",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::verdict::Place;
    use crate::domain::{Points, Span};

    const USUAL: Threshold = Threshold {
        hold: 4.0,
        reject: 10.0,
        margin: 0.0,
    };

    fn a_finding(rule: &str, points: f64) -> Finding {
        Finding {
            rule: Arc::from(rule),
            label: Label::Spam,
            points,
            message: format!("signs of {rule}"),
            places: vec![Place {
                field: Field::Body,
                spans: vec![Span { start: 0, end: 3 }],
            }],
            action: Action::Score,
            shadow: false,
            evasion: false,
            removed_by: None,
        }
    }

    fn view(findings: Vec<Finding>, sum: f64) -> VerdictView {
        let mut points = Points::default();
        points.add(Label::Spam, sum);
        let thresholds = Thresholds([USUAL; 4]);
        let evaluation = Evaluation {
            findings,
            points,
            ..Evaluation::default()
        };
        VerdictView::of(
            &decide(evaluation, &thresholds),
            Some(&thresholds),
            "sha256:00",
        )
    }

    #[test]
    fn the_deciding_reason_comes_first_and_what_counts_for_nothing_last() {
        let mut trial = a_finding("trial", 9.0);
        trial.shadow = true;

        let view = view(
            vec![trial, a_finding("weak", 2.0), a_finding("strong", 3.0)],
            5.0,
        );

        let order: Vec<_> = view.reasons.iter().map(|r| r.rule.as_str()).collect();
        assert_eq!(order, ["strong", "weak", "trial"]);
        assert!(view.reasons[0].is_decisive && !view.reasons[2].counts);
        assert_eq!(view.lead, "Held because of signs of strong");
    }

    #[test]
    fn a_decision_on_this_comment_reads_as_a_sentence() {
        for (decision, label, expected) in [
            (Decision::Approve, None, "approved this"),
            (Decision::Reject, Some(Label::Spam), "rejected this as spam"),
            (Decision::Hold, None, "put this back into the queue"),
        ] {
            assert_eq!(decided_this(decision, label), expected);
        }
        assert_eq!(decided(Decision::Hold, None), "put back into the queue");
    }

    #[test]
    fn only_findings_that_count_mark_words() {
        let mut trial = a_finding("trial", 9.0);
        trial.shadow = true;

        let view = view(vec![trial, a_finding("strong", 5.0)], 5.0);

        let reasons: Vec<_> = view
            .marks_in(Field::Body)
            .iter()
            .map(|m| m.reason)
            .collect();
        assert_eq!(reasons, [1]);
        assert!(view.marks_in(Field::AuthorName).is_empty());
    }

    #[test]
    fn a_reason_that_tips_the_scale_says_so() {
        let view = view(vec![a_finding("strong", 4.0), a_finding("weak", 1.0)], 5.0);

        let aside = |n: usize| view.reasons[n].aside.as_deref();
        assert_eq!(aside(0), Some("without it this would be published"));
        assert_eq!(aside(1), None);
    }

    #[test]
    fn a_cap_is_said_and_the_scale_holds_every_bar() {
        let view = view(vec![a_finding("a", 6.0), a_finding("b", 8.0)], 8.0);

        let scale = view.scale.expect("points decided");
        assert!(scale.is_capped() && scale.sentence().contains("after caps"));
        for bar in view.reasons.iter().filter_map(|reason| reason.bar) {
            assert!(bar.x + bar.width < 100.0);
        }
    }
}
