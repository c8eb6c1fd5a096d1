//! Entries that another entry already covers.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::super::lists::parse_net;
use super::super::source::Sources;
use super::super::source::list::{ListKind, RawList};
use super::super::source::log::{File, Log};
use crate::text::{See, View};

/// An entry and where it stands.
type Entry<'a> = (&'a str, &'a Range<usize>);

pub(super) fn lint(sources: &Sources<'_>, log: &mut Log) {
    for list in &sources.lists {
        let entries: Vec<Entry<'_>> = list
            .entries
            .iter()
            .map(|entry| (entry.text, &entry.span))
            .collect();
        match list.kind {
            ListKind::Word => words(list.file, &entries, is_prefix_only(sources, list), log),
            ListKind::Domain | ListKind::EmailDomain => domains(list.file, &entries, log),
            ListKind::Cidr => nets(list.file, &entries, log),
            ListKind::Regex => {}
        }
    }
    for raw in &sources.rules {
        let Some(words_of) = &raw.words else { continue };
        let Some(entries) = &words_of.entries else {
            continue;
        };
        let by_prefix = words_of
            .matching
            .as_ref()
            .is_some_and(|matching| matching.value != "word");
        let entries: Vec<Entry<'_>> = entries
            .value
            .iter()
            .map(|entry| (&*entry.value, &entry.span))
            .collect();
        words(raw.file, &entries, by_prefix, log);
    }
}

/// Whether every rule that uses the list matches by the beginnings of words.
fn is_prefix_only(sources: &Sources<'_>, list: &RawList<'_>) -> bool {
    let mut users = sources
        .rules
        .iter()
        .filter_map(|raw| raw.words.as_ref())
        .filter(|words| {
            words
                .list
                .as_ref()
                .is_some_and(|path| path.value == list.file.path)
        })
        .peekable();
    users.peek().is_some()
        && users.all(|words| {
            words
                .matching
                .as_ref()
                .is_some_and(|matching| matching.value != "word")
        })
}

fn covered(file: File<'_>, entry: Entry<'_>, by: &str, log: &mut Log) {
    let message = format!("`{}` is covered by `{by}`", entry.0);
    log.warn(file, "covered", entry.1, message, Some("remove the line"));
}

/// The same word again; with `by_prefix` also a word that begins with another.
fn words(file: File<'_>, entries: &[Entry<'_>], by_prefix: bool, log: &mut Log) {
    let mut folded: Vec<(String, usize)> = entries
        .iter()
        .enumerate()
        .map(|(index, (text, _))| (View::of(text, See::FOLD).text().to_owned(), index))
        .collect();
    folded.sort();
    // A word and everything it covers stand next to each other; `last` is the latest one that nothing covers.
    let mut last: Option<&(String, usize)> = None;
    for one in &folded {
        let by = last.filter(|(last, _)| *last == one.0 || (by_prefix && one.0.starts_with(last)));
        match by {
            Some((_, by)) => covered(file, entries[one.1], entries[*by].0, log),
            None => last = Some(one),
        }
    }
}

fn domains(file: File<'_>, entries: &[Entry<'_>], log: &mut Log) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    let mut twice = Vec::new();
    for entry in entries {
        let name = entry.0.to_lowercase();
        if seen.insert(name, entry.0).is_some() {
            twice.push(*entry);
        }
    }
    for entry in entries {
        let name = entry.0.to_lowercase();
        let mut rest = name.strip_prefix("*.").unwrap_or(&name);
        let is_below = name.len() != rest.len();
        if is_below && let Some(by) = seen.get(rest) {
            covered(file, *entry, by, log);
            continue;
        }
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(by) = seen
                .get(parent)
                .or_else(|| seen.get(&*format!("*.{parent}")))
            {
                covered(file, *entry, by, log);
                break;
            }
            rest = parent;
        }
    }
    for entry in twice {
        covered(file, entry, entry.0, log);
    }
}

fn nets(file: File<'_>, entries: &[Entry<'_>], log: &mut Log) {
    let nets: HashSet<_> = entries
        .iter()
        .filter_map(|(text, _)| parse_net(text))
        .map(|net| net.trunc())
        .collect();
    for entry in entries {
        let Some(mut net) = parse_net(entry.0) else {
            continue;
        };
        while let Some(wider) = net.supernet() {
            if nets.contains(&wider) {
                covered(file, *entry, &wider.to_string(), log);
                break;
            }
            net = wider;
        }
    }
}
