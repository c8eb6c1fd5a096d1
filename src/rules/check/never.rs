//! Rules that no comment can match.

use std::collections::HashMap;

use super::super::RuleSet;
use super::super::expr::parse::Comparison;
use super::super::expr::program::Cond;
use super::super::facts::FactId;
use super::super::source::Sources;
use super::super::source::log::Log;

pub(super) fn lint(set: &RuleSet, sources: &Sources<'_>, log: &mut Log) {
    for (rule, raw) in set.rules.iter().zip(&sources.rules) {
        let id = &raw.id.value;
        if let (Some(program), Some(when)) = (&rule.when, &raw.when)
            && is_impossible(&program.root)
        {
            let message = format!("no comment can match the condition of `{id}`");
            log.warn(raw.file, "never-matches", &when.span, message, None);
        }
        let Some(words) = &raw.words else { continue };
        let listed = words.list.as_ref().and_then(|path| {
            sources
                .lists
                .iter()
                .find(|list| list.file.path == path.value)
        });
        let is_empty = match (&listed, &words.entries) {
            (Some(list), _) => list.entries.is_empty(),
            (None, Some(entries)) => entries.value.is_empty(),
            (None, None) => false,
        };
        if is_empty {
            let span = words.list.as_ref().map_or(&words.span, |list| &list.span);
            let message = format!("the words of `{id}` are empty, so it matches nothing");
            log.warn(raw.file, "never-matches", span, message, None);
        }
    }
}

/// Whether a condition is false or unknown whatever the facts are. Not complete: it sees constants, and numbers of one
/// fact that contradict each other in one chain.
fn is_impossible(cond: &Cond) -> bool {
    match cond {
        Cond::Const(truth) => !truth,
        Cond::And(parts) => parts.iter().any(is_impossible) || contradicts(parts),
        Cond::Or(parts) => parts.iter().all(is_impossible),
        _ => false,
    }
}

fn contradicts(parts: &[Cond]) -> bool {
    let mut bounds: HashMap<FactId, (i64, i64)> = HashMap::new();
    for part in parts {
        let Cond::IntFact(comparison, fact, number) = part else {
            continue;
        };
        let (least, most) = bounds.entry(*fact).or_insert((i64::MIN, i64::MAX));
        match comparison {
            Comparison::Equal => {
                *least = (*least).max(*number);
                *most = (*most).min(*number);
            }
            Comparison::Less => *most = (*most).min(number.saturating_sub(1)),
            Comparison::AtMost => *most = (*most).min(*number),
            Comparison::More => *least = (*least).max(number.saturating_add(1)),
            Comparison::AtLeast => *least = (*least).max(*number),
            Comparison::Differs => {}
        }
    }
    bounds.values().any(|(least, most)| least > most)
}
