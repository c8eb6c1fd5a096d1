//! A verdict as JSON: one shape for the command, the console's API and the store.
//!
//! Invariant: nothing of an address or a client network is in it.

use serde_json::{Map, Value as Json, json};

use super::{FactId, Facts, RuleSet, Value};
use crate::domain::verdict::{
    Action, Degraded, Evaluation, Field, Finding, Hard, Label, Outcome, Place, Points, Span,
    Verdict,
};

/// A verdict as contract 6 gives it, without an id.
#[must_use]
pub fn verdict(verdict: &Verdict, rules: &RuleSet, facts: &Facts) -> Json {
    let probability = |fact| match facts.get(fact) {
        Some(Value::Float(number)) => Json::from(*number),
        Some(Value::Int(_) | Value::Bool(_) | Value::Text(_)) | None => Json::Null,
    };
    verdict_with(
        verdict,
        rules.hash(),
        &probability(FactId::ModelSpam),
        &probability(FactId::ModelAbuse),
    )
}

/// The same from stored parts.
#[must_use]
pub fn verdict_with(verdict: &Verdict, rule_set: &str, spam: &Json, abuse: &Json) -> Json {
    let evaluation = &verdict.evaluation;
    json!({
        "verdict": verdict.outcome.as_str(),
        "label": verdict.label.map(Label::as_str),
        "spam": spam,
        "abuse": abuse,
        "points": points(&evaluation.points),
        "rule_set": rule_set,
        "models": {},
        "degraded": evaluation.degraded.map(crate::domain::verdict::Degraded::as_str),
        "findings": findings(&evaluation.findings),
    })
}

/// Points by label.
#[must_use]
pub fn points(points: &Points) -> Json {
    let by_label = Label::ALL.map(|label| (label.as_str().to_owned(), rounded(points.of(label))));
    Json::Object(Map::from_iter(by_label))
}

/// Findings, in their order.
#[must_use]
pub fn findings(findings: &[Finding]) -> Json {
    findings.iter().map(finding).collect()
}

/// One finding. `field` and `spans` are those of its first place, `also` has the others.
#[must_use]
pub fn finding(finding: &Finding) -> Json {
    let mut places = finding.places.iter().map(|place| {
        let spans: Vec<[u32; 2]> = place
            .spans
            .iter()
            .map(|span| [span.start, span.end])
            .collect();
        (place.field.as_str(), spans)
    });
    let (field, spans) = places.next().unzip();
    let also: Vec<Json> = places
        .map(|(field, spans)| json!({ "field": field, "spans": spans }))
        .collect();
    json!({
        "rule": &*finding.rule,
        "label": finding.label.as_str(),
        "points": rounded(finding.points),
        "message": finding.message,
        "field": field,
        "spans": spans.unwrap_or_default(),
        "also": also,
        "action": finding.action.as_str(),
        "evasion": finding.evasion,
        "shadow": finding.shadow,
        "removed_by": finding.removed_by.as_deref(),
    })
}

/// Reads a stored verdict back, for people to look at; what a later version wrote and this one does not know is left out.
#[must_use]
pub fn read_verdict(
    (outcome, label, degraded): (&str, Option<&str>, Option<&str>),
    points: &str,
    findings: &str,
) -> Option<Verdict> {
    let points_by_label: Map<String, Json> = serde_json::from_str(points).ok()?;
    let mut sums = Points::default();
    for label in Label::ALL {
        let sum = points_by_label.get(label.as_str()).and_then(Json::as_f64);
        sums.add(label, sum.unwrap_or(0.0));
    }
    let findings: Vec<Json> = serde_json::from_str(findings).ok()?;
    let findings: Vec<Finding> = findings.iter().filter_map(read_finding).collect();
    let outcome: Outcome = outcome.parse().ok()?;
    let label: Option<Label> = label.and_then(|label| label.parse().ok());
    let acts = |finding: &Finding, action: Action| {
        finding.action == action && !finding.shadow && finding.removed_by.is_none()
    };
    let hard = findings.iter().enumerate().find_map(|(index, finding)| {
        let outcome = match finding.action {
            Action::Hold => Outcome::Hold,
            Action::Reject | Action::Discard => Outcome::Reject,
            Action::Score | Action::Approve => return None,
        };
        acts(finding, finding.action).then_some(Hard {
            outcome,
            label: finding.label,
            finding: index,
            discard: finding.action == Action::Discard,
        })
    });
    let hard = hard.filter(|hard| hard.outcome == outcome && Some(hard.label) == label);
    let weightiest = findings
        .iter()
        .enumerate()
        .filter(|(_, finding)| Some(finding.label) == label && acts(finding, Action::Score))
        .max_by(|(_, a), (_, b)| a.points.total_cmp(&b.points))
        .map(|(index, _)| index);
    let degraded = [
        Degraded::Budget,
        Degraded::Time,
        Degraded::Panic,
        Degraded::Facts,
    ]
    .into_iter()
    .find(|reason| Some(reason.as_str()) == degraded);
    Some(Verdict {
        outcome,
        label,
        decisive: hard.map(|hard| hard.finding).or(weightiest),
        evaluation: Evaluation {
            findings,
            points: sums,
            hard,
            degraded,
        },
    })
}

fn read_finding(json: &Json) -> Option<Finding> {
    let text = |name: &str| json.get(name).and_then(Json::as_str);
    let truth = |name: &str| json.get(name).and_then(Json::as_bool).unwrap_or(false);
    let others = json
        .get("also")
        .and_then(Json::as_array)
        .into_iter()
        .flatten();
    let places = std::iter::once(json)
        .chain(others)
        .filter_map(read_place)
        .collect();
    let action = text("action").unwrap_or("score");
    Some(Finding {
        rule: text("rule")?.into(),
        label: text("label")?.parse().ok()?,
        points: json.get("points").and_then(Json::as_f64).unwrap_or(0.0),
        message: text("message").unwrap_or_default().to_owned(),
        places,
        action: [
            Action::Score,
            Action::Hold,
            Action::Reject,
            Action::Discard,
            Action::Approve,
        ]
        .into_iter()
        .find(|known| known.as_str() == action)?,
        shadow: truth("shadow"),
        evasion: truth("evasion"),
        removed_by: text("removed_by").map(Into::into),
    })
}

fn read_place(json: &Json) -> Option<Place> {
    let field: Field = json.get("field")?.as_str()?.parse().ok()?;
    let spans: Vec<[u32; 2]> = serde_json::from_value(json.get("spans")?.clone()).ok()?;
    let spans = spans
        .into_iter()
        .map(|[start, end]| Span { start, end })
        .collect();
    Some(Place { field, spans })
}

/// Points to three places: sums of tenths must not read 0.30000000000000004.
fn rounded(points: f64) -> Json {
    Json::from((points * 1000.0).round() / 1000.0)
}
