//! What holds on each site: thresholds and modes, with a site's own file laid over the general ones.

use std::collections::HashMap;
use std::time::Duration;

use super::super::diagnostic::nearest;
use super::super::source::Sources;
use super::super::source::log::{At, File, Log};
use super::super::source::policy::{RawThreshold, RawThresholds};
use super::super::source::site::RawOverride;
use super::super::{Effect, Mode, Plan, Rule, Setting};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Threshold, Thresholds};

const DAY: Duration = Duration::from_hours(24);

/// Where no policy says otherwise.
const HOLD: f64 = 4.0;
const REJECT: f64 = 10.0;
const MARGIN: f64 = 0.0;

/// The plan of all sites, and those of the sites with a file of their own.
pub(super) fn build(
    rules: &[Rule],
    sources: &Sources<'_>,
    today: Timestamp,
    log: &mut Log,
) -> (Plan, HashMap<String, Plan>) {
    let policy = &sources.policy;
    let settings = rules
        .iter()
        .map(|rule| Setting {
            mode: rule.mode,
            points: points(rule),
        })
        .collect();
    let base = Plan {
        thresholds: thresholds(policy.file, &[&policy.thresholds], log),
        settings,
    };
    let mut sites = HashMap::new();
    for raw in &sources.sites {
        let thresholds = thresholds(raw.file, &[&raw.thresholds, &policy.thresholds], log);
        let mut plan = Plan {
            thresholds,
            settings: base.settings.clone(),
        };
        for change in &raw.overrides {
            apply(change, raw.file, rules, &mut plan, today, log);
        }
        sites.insert(raw.key.to_owned(), plan);
    }
    (base, sites)
}

fn points(rule: &Rule) -> f64 {
    match rule.effect {
        Effect::Score { points, .. } => points,
        Effect::Hard { .. } => 0.0,
    }
}

fn apply(
    change: &RawOverride,
    file: File<'_>,
    rules: &[Rule],
    plan: &mut Plan,
    today: Timestamp,
    log: &mut Log,
) {
    let Some(index) = rules.iter().position(|rule| *rule.id == *change.rule.value) else {
        let help = nearest(&change.rule.value, rules.iter().map(|rule| &*rule.id))
            .map(|known| format!("did you mean `{known}`?"));
        let message = format!("there is no rule `{}`", change.rule.value);
        log.error_with(file, "unknown-rule", &change.rule.span, message, help);
        return;
    };
    let mode = mode(file, change.mode.as_ref(), change.canary.as_ref(), log);
    if let Some(until) = &change.until
        && until.value.plus(DAY) <= today
    {
        let message = format!(
            "the override of `{}` ended and does nothing",
            change.rule.value
        );
        log.warn(
            file,
            "expired",
            &until.span,
            message,
            Some("remove it or give it a later date"),
        );
        return;
    }
    let setting = &mut plan.settings[index];
    setting.mode = mode.unwrap_or(setting.mode);
    setting.points = change.points.unwrap_or(setting.points);
}

/// Reads `mode`, and `canary` that belongs to it.
pub(super) fn mode(
    file: File<'_>,
    mode: Option<&At<String>>,
    canary: Option<&At<i64>>,
    log: &mut Log,
) -> Option<Mode> {
    if let Some(percent) = canary
        && mode.is_none_or(|mode| mode.value != "canary")
    {
        log.error(
            file,
            "unknown-key",
            &percent.span,
            "`canary` belongs to `mode = \"canary\"`",
        );
    }
    let mode = mode?;
    Some(match &*mode.value {
        "off" => Mode::Off,
        "shadow" => Mode::Shadow,
        "enforce" => Mode::Enforce,
        "canary" => {
            let percent = canary.and_then(|percent| u8::try_from(percent.value).ok());
            let percent = percent.filter(|percent| (1..=99).contains(percent));
            if percent.is_none() {
                let message = "canary needs `canary = 10`, a percentage from 1 to 99";
                log.error(file, "missing-key", &mode.span, message);
            }
            percent.map_or(Mode::Shadow, Mode::Canary)
        }
        other => {
            let names = ["off", "shadow", "canary", "enforce"];
            let help = match nearest(other, names) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("one of {}", names.join(", ")),
            };
            log.error_with(
                file,
                "unknown-mode",
                &mode.span,
                format!("there is no mode `{other}`"),
                Some(help),
            );
            return None;
        }
    })
}

/// Fills thresholds in key by key, the label's own line before the general one within each layer, the site's layer
/// before the policy's.
fn thresholds(file: File<'_>, layers: &[&RawThresholds], log: &mut Log) -> Thresholds {
    let mut filled = [Threshold {
        hold: HOLD,
        reject: REJECT,
        margin: MARGIN,
    }; 4];
    for (index, threshold) in filled.iter_mut().enumerate() {
        let pick = |key: fn(&RawThreshold) -> Option<f64>| {
            layers
                .iter()
                .find_map(|layer| key(&layer.labels[index]).or_else(|| key(&layer.general)))
        };
        threshold.hold = pick(|raw| raw.hold).unwrap_or(HOLD);
        threshold.reject = pick(|raw| raw.reject).unwrap_or(REJECT);
        threshold.margin = pick(|raw| raw.margin).unwrap_or(MARGIN);
        if threshold.hold > threshold.reject {
            let message = format!(
                "hold ({}) is above reject ({})",
                threshold.hold, threshold.reject
            );
            log.error(file, "range", &layers[0].span, message);
        }
    }
    Thresholds(filled)
}

/// The first moment after `today` at which a line or an override ends.
pub(super) fn changes_at(sources: &Sources<'_>, today: Timestamp) -> Option<Timestamp> {
    let lines = sources.lists.iter().filter_map(|list| list.next_expiry);
    let overrides = sources
        .sites
        .iter()
        .flat_map(|site| &site.overrides)
        .filter_map(|change| change.until.as_ref())
        .map(|until| until.value.plus(DAY));
    lines.chain(overrides).filter(|end| *end > today).min()
}
