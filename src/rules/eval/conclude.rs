//! From matches to an evaluation: findings with messages, removals, caps, sums, and the hard rule that decides.
//!
//! Invariant: a shadow changes nothing but the list of findings.

use std::sync::Arc;

use super::{Effect, Filled, Match, Run};
use crate::domain::verdict::{
    Action, Degraded, Evaluation, Field, Finding, Hard, Label, Outcome, Place, Points, Span,
};
use crate::rules::Rule;
use crate::rules::compile::FIELDS;
use crate::rules::expr::Scope;
use crate::rules::facts::FactId;
use crate::text::links::Form;

/// A finding on its way, with what the sum needs of its rule.
struct Weighed {
    /// Index of the rule; models follow after the rules.
    rule: u32,
    finding: Finding,
    group: Option<u32>,
    priority: i64,
}

pub(super) fn conclude(run: &Run<'_>, matches: &[Match]) -> Evaluation {
    let mut weighed: Vec<_> = matches
        .iter()
        .filter_map(|found| weigh(run, found))
        .collect();
    weighed.extend(model_findings(run));
    remove_covered(run, &mut weighed);
    let points = sum(run, &weighed);
    weighed.sort_by(|a, b| {
        order(a).cmp(&order(b)).then_with(|| {
            b.finding
                .points
                .total_cmp(&a.finding.points)
                .then_with(|| a.finding.rule.cmp(&b.finding.rule))
        })
    });
    let hard = weighed
        .iter()
        .enumerate()
        .filter(|(_, one)| is_deciding(&one.finding))
        .max_by_key(|(index, one)| {
            (
                one.priority,
                strictness(one.finding.action),
                std::cmp::Reverse(*index),
            )
        })
        .map(|(index, one)| Hard {
            outcome: if one.finding.action == Action::Hold {
                Outcome::Hold
            } else {
                Outcome::Reject
            },
            label: one.finding.label,
            finding: index,
            discard: one.finding.action == Action::Discard,
        });
    Evaluation {
        findings: weighed.into_iter().map(|one| one.finding).collect(),
        points,
        hard,
        degraded: run.is_spent().then_some(Degraded::Budget),
    }
}

fn weigh(run: &Run<'_>, found: &Match) -> Option<Weighed> {
    let rule = &run.rules.rules[found.rule as usize];
    let is_evasion = found.spots.iter().any(|spot| spot.is_evasion);
    let (points, action, group, priority) = match &rule.effect {
        Effect::Score { evasion, group, .. } => {
            let base = run.plan.settings[found.rule as usize].points;
            // A rule without points marks a match for hits(); it finds nothing.
            if base == 0.0 {
                return None;
            }
            (
                base + if is_evasion { *evasion } else { 0.0 },
                Action::Score,
                *group,
                0,
            )
        }
        Effect::Hard {
            action, priority, ..
        } => (0.0, *action, None, *priority),
    };
    let mut places = places(found);
    let hit = places.first().and_then(|place| {
        let span = place.spans.first()?;
        run.field(place.field)
            .get(span.start as usize..span.end as usize)
    });
    let finding = Finding {
        rule: Arc::clone(&rule.id),
        label: rule.label,
        points,
        message: rule.because.fill(&Filled { run, hit }),
        places: {
            if places.is_empty() {
                places.extend(links_asked_for(run, rule));
            }
            places
        },
        action,
        shadow: found.is_shadow,
        evasion: is_evasion,
        removed_by: None,
    };
    Some(Weighed {
        rule: found.rule,
        finding,
        group,
        priority,
    })
}

/// The links that a condition counted, for a rule that has nothing else to point at.
fn links_asked_for(run: &Run<'_>, rule: &Rule) -> Option<Place> {
    const ABOUT_LINKS: [FactId; 8] = [
        FactId::LinksCount,
        FactId::LinksDomains,
        FactId::LinksRatio,
        FactId::LinksNewDomains,
        FactId::LinksShorteners,
        FactId::LinksAnchorMismatch,
        FactId::LinksBbcode,
        FactId::LinksHtml,
    ];
    let asked = rule.when.as_ref()?.facts;
    let links = run.derived.links(run.subject, Field::Body);
    let mut spans: Vec<Span> = links
        .iter()
        .filter(|link| {
            ABOUT_LINKS.iter().any(|fact| {
                asked.contains(*fact)
                    && match fact {
                        FactId::LinksShorteners => run.rules.is_shortener(&link.host),
                        FactId::LinksAnchorMismatch => link.is_mismatched,
                        FactId::LinksBbcode => link.form == Form::Bbcode,
                        FactId::LinksHtml => link.form == Form::Html,
                        _ => true,
                    }
            })
        })
        .map(|link| super::span_of(link.span.clone()))
        .collect();
    spans.truncate(super::MAX_PLACES);
    (!spans.is_empty()).then_some(Place {
        field: Field::Body,
        spans,
    })
}

/// The spots of a match by field, ascending and merged where they overlap.
fn places(found: &Match) -> Vec<Place> {
    let mut places = Vec::new();
    for field in FIELDS {
        let mut spans: Vec<Span> = found
            .spots
            .iter()
            .filter(|spot| spot.field == field)
            .map(|spot| spot.span)
            .collect();
        spans.sort_unstable();
        spans.dedup_by(|next, kept| {
            let overlaps = next.start < kept.end;
            if overlaps {
                kept.end = kept.end.max(next.end);
            }
            overlaps
        });
        spans.truncate(super::MAX_PLACES);
        if !spans.is_empty() {
            places.push(Place { field, spans });
        }
    }
    places
}

/// What the models add, where the policy gives their probabilities points.
fn model_findings(run: &Run<'_>) -> Vec<Weighed> {
    let mut findings = Vec::new();
    for (label, curve) in &run.rules.models {
        let fact = if *label == Label::Spam {
            FactId::ModelSpam
        } else {
            FactId::ModelAbuse
        };
        let Some(probability) = run.float(fact) else {
            continue;
        };
        let points = interpolate(curve, probability);
        if points <= 0.0 {
            continue;
        }
        let finding = Finding {
            rule: fact.name().into(),
            label: *label,
            points,
            message: format!("the model gives {:.0} % for {label}", probability * 100.0),
            places: Vec::new(),
            action: Action::Score,
            shadow: false,
            evasion: false,
            removed_by: None,
        };
        findings.push(Weighed {
            rule: model_index(run, *label),
            finding,
            group: None,
            priority: 0,
        });
    }
    findings
}

/// Models stand after the rules where `over` names them.
fn model_index(run: &Run<'_>, label: Label) -> u32 {
    u32::try_from(run.rules.rules.len() + label as usize).unwrap_or(u32::MAX)
}

/// The points of a probability on a curve of ascending probabilities.
fn interpolate(curve: &[(f64, f64)], probability: f64) -> f64 {
    let after = curve.partition_point(|(x, _)| *x <= probability);
    match (
        after.checked_sub(1).map(|before| curve[before]),
        curve.get(after),
    ) {
        (None, _) => 0.0,
        (Some((_, y)), None) => y,
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (probability - x0) / (x1 - x0),
    }
}

/// Marks what approving rules take out: scores always, hard rules only of a lower priority.
fn remove_covered(run: &Run<'_>, weighed: &mut [Weighed]) {
    let approving: Vec<_> = weighed
        .iter()
        .filter(|one| one.finding.action == Action::Approve && !one.finding.shadow)
        .map(|one| (one.rule, one.priority, Arc::clone(&one.finding.rule)))
        .collect();
    for (approving, priority, id) in approving {
        let Effect::Hard { over, .. } = &run.rules.rules[approving as usize].effect else {
            continue;
        };
        for one in weighed.iter_mut() {
            let yields = match one.finding.action {
                Action::Score => true,
                Action::Hold | Action::Reject | Action::Discard => one.priority < priority,
                Action::Approve => false,
            };
            if yields && one.finding.removed_by.is_none() && over.contains(&one.rule) {
                one.finding.removed_by = Some(Arc::clone(&id));
            }
        }
    }
}

/// The points by label, each group's share at most its cap.
fn sum(run: &Run<'_>, weighed: &[Weighed]) -> Points {
    let mut points = Points::default();
    let mut groups = vec![Points::default(); run.rules.groups.len()];
    for one in weighed {
        if one.finding.shadow || one.finding.removed_by.is_some() {
            continue;
        }
        let target = match one.group {
            Some(group) => &mut groups[group as usize],
            None => &mut points,
        };
        target.add(one.finding.label, one.finding.points);
    }
    for (group, (_, max)) in groups.iter().zip(&run.rules.groups) {
        for label in Label::ALL {
            points.add(label, group.of(label).min(*max));
        }
    }
    points
}

fn is_deciding(finding: &Finding) -> bool {
    strictness(finding.action) > 0 && !finding.shadow && finding.removed_by.is_none()
}

const fn strictness(action: Action) -> u8 {
    match action {
        Action::Score | Action::Approve => 0,
        Action::Hold => 1,
        Action::Reject => 2,
        Action::Discard => 3,
    }
}

/// What counts comes before shadows and what was removed; hard rules before points.
fn order(one: &Weighed) -> (bool, bool, std::cmp::Reverse<u8>) {
    let finding = &one.finding;
    (
        finding.shadow,
        finding.removed_by.is_some(),
        std::cmp::Reverse(strictness(finding.action)),
    )
}
