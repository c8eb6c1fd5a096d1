//! `sites/KEY.toml`: what one site does otherwise, with a reason and an end.

use super::log::{At, File, Log};
use super::policy::{RawThresholds, thresholds};
use super::table::with_root;
use crate::domain::time::Timestamp;

/// A site's own file.
#[derive(Debug)]
pub(in crate::rules) struct RawSite<'a> {
    pub(in crate::rules) file: File<'a>,
    pub(in crate::rules) key: &'a str,
    pub(in crate::rules) thresholds: RawThresholds,
    pub(in crate::rules) overrides: Vec<RawOverride>,
}

/// A change to one rule.
#[derive(Debug)]
pub(in crate::rules) struct RawOverride {
    pub(in crate::rules) rule: At<String>,
    pub(in crate::rules) mode: Option<At<String>>,
    pub(in crate::rules) canary: Option<At<i64>>,
    pub(in crate::rules) points: Option<f64>,
    pub(in crate::rules) until: Option<At<Timestamp>>,
}

/// Reads a site's file.
pub(super) fn read<'a>(file: File<'a>, key: &'a str, log: &mut Log) -> Option<RawSite<'a>> {
    let is_key = (1..=64).contains(&key.len())
        && key
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !is_key {
        log.error(
            file,
            "bad-name",
            &(0..0),
            format!("`{key}` is not the key of a site"),
        );
        return None;
    }
    with_root(file, "a site's file", log, |root, log| {
        root.allow(log, &["override", "thresholds"]);
        let thresholds = thresholds(root, log);
        let mut overrides = Vec::new();
        if let Some((table, _)) = root.table(log, "override", "[override]") {
            for (rule, span) in table.keys() {
                let Some((change, _)) = table.table(log, rule, "an override") else {
                    continue;
                };
                change.allow(log, &["mode", "canary", "points", "reason", "until"]);
                if change
                    .text(log, "reason")
                    .is_none_or(|reason| reason.value.trim().is_empty())
                {
                    log.error(file, "missing-key", &span, "an override needs a `reason`");
                }
                let change = RawOverride {
                    rule: At {
                        value: rule.to_owned(),
                        span: span.clone(),
                    },
                    mode: change.text(log, "mode"),
                    canary: change.int(log, "canary"),
                    points: change.number(log, "points").map(|points| points.value),
                    until: change.date(log, "until"),
                };
                if change.mode.is_none() && change.points.is_none() {
                    log.error(
                        file,
                        "missing-key",
                        &span,
                        "an override changes `mode` or `points`",
                    );
                }
                overrides.push(change);
            }
        }
        RawSite {
            file,
            key,
            thresholds,
            overrides,
        }
    })
}
