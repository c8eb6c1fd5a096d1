//! Patterns of rules: compiled within limits, and found through the literals that every match must contain.
//!
//! One automaton per view looks for the literals of all patterns; only patterns whose literals were seen run. Patterns
//! without a usable literal go into small sets of their own.
//! Invariant: a pattern that is left out could not have matched.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::ast::{Ast, RepetitionKind, RepetitionRange};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::expr::check::last_line;

const MAX_PATTERN_BYTES: usize = 2048;
const SIZE_LIMIT: usize = 1 << 20; // 1 MiB of program
const DFA_SIZE_LIMIT: usize = 2 << 20; // 2 MiB of cache
const NEST_LIMIT: u32 = 50;
/// Largest product of counted repeats nested in each other, as in `(a{30}){30}`.
const MAX_REPEATS: u64 = 1000;
/// Patterns in one set without literals; beyond a few dozen one lazy automaton thrashes its cache.
const SET_SIZE: usize = 24;
/// Literals tried for one pattern.
const MAX_LITERALS: usize = 64;
/// Letters a class may have to be spelt out in literals; `[ae]` is worth it, white space is not.
const MAX_CLASS: usize = 8;
/// Shortest literal worth looking for, in bytes.
const MIN_LITERAL: usize = 2;

/// Compiles one pattern within the limits.
///
/// # Errors
/// Says why it is refused, with the bytes of the pattern it is about where that is known.
pub(super) fn compile(pattern: &str) -> Result<Regex, (Option<Range<usize>>, String)> {
    if pattern.len() > MAX_PATTERN_BYTES {
        let message = format!(
            "the pattern has {} bytes, at most {MAX_PATTERN_BYTES} are read",
            pattern.len()
        );
        return Err((None, message));
    }
    let ast = regex_syntax::ast::parse::ParserBuilder::new()
        .nest_limit(NEST_LIMIT)
        .build()
        .parse(pattern)
        .map_err(|error| {
            let span = error.span().start.offset..error.span().end.offset;
            (
                Some(span),
                format!("the pattern is refused: {}", error.kind()),
            )
        })?;
    let repeats = repeats(&ast);
    if repeats > MAX_REPEATS {
        let message =
            format!("counted repeats multiply to {repeats}, at most {MAX_REPEATS} are accepted");
        return Err((None, message));
    }
    RegexBuilder::new(pattern)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(DFA_SIZE_LIMIT)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|error| {
            (
                None,
                format!("the pattern is refused: {}", last_line(&error.to_string())),
            )
        })
}

/// The largest product of counted repeats nested in each other. The parser's nest limit bounds the recursion.
fn repeats(ast: &Ast) -> u64 {
    match ast {
        Ast::Repetition(repetition) => {
            let count = match &repetition.op.kind {
                RepetitionKind::Range(
                    RepetitionRange::Exactly(count) | RepetitionRange::AtLeast(count),
                ) => *count,
                RepetitionKind::Range(RepetitionRange::Bounded(_, most)) => *most,
                _ => 1,
            };
            repeats(&repetition.ast).saturating_mul(u64::from(count.max(1)))
        }
        Ast::Group(group) => repeats(&group.ast),
        Ast::Concat(concat) => concat.asts.iter().map(repeats).max().unwrap_or(1),
        Ast::Alternation(alternation) => alternation.asts.iter().map(repeats).max().unwrap_or(1),
        _ => 1,
    }
}

/// All patterns that look at one view.
#[derive(Debug, Default)]
pub(super) struct PatternPass {
    patterns: Vec<(u32, Regex)>,
    literals: Option<AhoCorasick>,
    /// Pattern by literal.
    owners: Vec<u32>,
    sets: Vec<(RegexSet, Vec<u32>)>,
}

impl PatternPass {
    /// Joins patterns, each with the index of its rule. The second value holds the rules whose pattern has no literal.
    pub(super) fn new(patterns: Vec<(u32, Regex)>) -> (Self, Vec<u32>) {
        let mut words = Vec::new();
        let mut owners = Vec::new();
        let mut bare = Vec::new();
        for (index, (_, pattern)) in (0..).zip(&patterns) {
            match required_literals(pattern.as_str()) {
                Some(literals) => {
                    owners.extend(std::iter::repeat_n(index, literals.len()));
                    words.extend(literals);
                }
                None => bare.push(index),
            }
        }
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&words)
            .ok()
            .filter(|_| !words.is_empty());
        if automaton.is_none() {
            // Without the automaton every pattern runs: slower, never wrong.
            bare = (0..).take(patterns.len()).collect();
            owners.clear();
        }
        let sets = bare
            .chunks(SET_SIZE)
            .map(|chunk| {
                let texts = chunk
                    .iter()
                    .map(|index| patterns[*index as usize].1.as_str());
                let set = RegexSetBuilder::new(texts)
                    .size_limit(SIZE_LIMIT * SET_SIZE)
                    .dfa_size_limit(DFA_SIZE_LIMIT * 4)
                    .build()
                    .unwrap_or_else(|_| RegexSet::empty());
                (set, chunk.to_vec())
            })
            .collect();
        let bare = bare
            .into_iter()
            .map(|index| patterns[index as usize].0)
            .collect();
        (
            Self {
                patterns,
                literals: automaton,
                owners,
                sets,
            },
            bare,
        )
    }

    /// The patterns that could match in `text`, each once, with the rule it belongs to.
    pub(super) fn candidates(&self, text: &str) -> Vec<(u32, &Regex)> {
        let mut seen = vec![false; self.patterns.len()];
        let mut indexes = Vec::new();
        let mut note = |index: u32| {
            if !std::mem::replace(&mut seen[index as usize], true) {
                indexes.push(index);
            }
        };
        if let Some(literals) = &self.literals {
            for found in literals.find_overlapping_iter(text) {
                note(self.owners[found.pattern().as_usize()]);
            }
        }
        for (set, members) in &self.sets {
            if set.is_empty() {
                members.iter().copied().for_each(&mut note);
                continue;
            }
            set.matches(text)
                .iter()
                .for_each(|member| note(members[member]));
        }
        indexes
            .into_iter()
            .map(|index| {
                let (rule, pattern) = &self.patterns[index as usize];
                (*rule, pattern)
            })
            .collect()
    }
}

/// Literals of which every match contains at least one, ASCII in lower case; none if there is no useful set.
fn required_literals(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    required(&hir).filter(|literals| literals.iter().all(|literal| literal.len() >= MIN_LITERAL))
}

/// A match of the expression is exactly one of these texts, or unknown.
fn exact(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![
            std::str::from_utf8(&literal.0).ok()?.to_ascii_lowercase(),
        ]),
        HirKind::Class(Class::Unicode(class)) => {
            let mut letters = Vec::new();
            for range in class.iter() {
                if range.len() > MAX_CLASS {
                    return None;
                }
                for letter in range.start()..=range.end() {
                    let letter = letter.to_ascii_lowercase().to_string();
                    if !letters.contains(&letter) {
                        letters.push(letter);
                    }
                }
                if letters.len() > MAX_CLASS {
                    return None;
                }
            }
            Some(letters)
        }
        HirKind::Class(Class::Bytes(_)) => None,
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(1)) => {
                let mut texts = exact(&repetition.sub)?;
                texts.push(String::new());
                Some(texts)
            }
            (1, Some(1)) => exact(&repetition.sub),
            _ => None,
        },
        HirKind::Concat(parts) => parts.iter().try_fold(vec![String::new()], |joined, part| {
            cross(&joined, &exact(part)?)
        }),
        HirKind::Alternation(parts) => {
            let mut texts = Vec::new();
            for part in parts {
                texts.extend(exact(part)?);
            }
            (texts.len() <= MAX_LITERALS).then_some(texts)
        }
    }
}

fn cross(heads: &[String], tails: &[String]) -> Option<Vec<String>> {
    if heads.len() * tails.len() > MAX_LITERALS {
        return None;
    }
    Some(
        heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
            .collect(),
    )
}

/// Texts of which each match contains at least one, or none if none are known.
fn required(hir: &Hir) -> Option<Vec<String>> {
    let whole = exact(hir).filter(|texts| is_useful(texts));
    if whole.is_some() {
        return whole;
    }
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min >= 1 => required(&repetition.sub),
        HirKind::Alternation(parts) => {
            let mut texts = Vec::new();
            for part in parts {
                texts.extend(required(part)?);
            }
            (texts.len() <= MAX_LITERALS).then_some(texts)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut offer = |texts: Vec<String>| {
                if is_useful(&texts) && best.as_ref().is_none_or(|best| worth(&texts) > worth(best))
                {
                    best = Some(texts);
                }
            };
            // Neighbours that are known exactly are joined; what is not ends the run.
            let mut run = vec![String::new()];
            for part in parts {
                let Some(texts) = exact(part) else {
                    offer(std::mem::replace(&mut run, vec![String::new()]));
                    required(part).into_iter().for_each(&mut offer);
                    continue;
                };
                match cross(&run, &texts) {
                    Some(joined) => run = joined,
                    None => offer(std::mem::replace(&mut run, texts)),
                }
            }
            offer(run);
            best
        }
        _ => None,
    }
}

fn is_useful(texts: &[String]) -> bool {
    !texts.is_empty() && texts.iter().all(|text| text.len() >= MIN_LITERAL)
}

/// Longer is rarer; fewer are cheaper.
fn worth(texts: &[String]) -> (usize, std::cmp::Reverse<usize>) {
    let shortest = texts.iter().map(String::len).min().unwrap_or(0);
    (shortest.min(8), std::cmp::Reverse(texts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literals_of_a_pattern_are_in_every_match() {
        let cases: [(&str, Option<&[&str]>); 9] = [
            (r"\bwhats?\s?app\W{0,3}\+?\d", Some(&["whats", "what"])),
            (r"(?:viagra|cialis)\s+\d+", Some(&["viagra", "cialis"])),
            (r"(?i)casino", Some(&["casino", "caſino"])),
            (r"\d{3}-\d{4}", None),
            (r"a+b+", None),
            (r"(?:foo|\d+)x", None),
            (r"(foo)+\d*", Some(&["foo"])),
            (r"colou?r\w", Some(&["colour", "color"])),
            (r"", None),
        ];
        for (pattern, wanted) in cases {
            let found = required_literals(pattern);
            let wanted: Option<Vec<_>> =
                wanted.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(found, wanted, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_would_cost_too_much_are_refused() {
        for pattern in [
            "(?:){4294967295}",
            "(a{100}){100}",
            r"\pL{1000}",
            &"(".repeat(200),
            &format!("{}a{}", "(".repeat(60), ")".repeat(60)),
            &"a".repeat(3000),
        ] {
            assert!(
                compile(pattern).is_err(),
                "{}",
                &pattern[..pattern.len().min(40)]
            );
        }
    }

    #[test]
    fn a_pattern_without_literals_is_a_candidate_when_it_matches() {
        let patterns = [r"\d{3}-\d{4}", "casino"];
        let patterns = (0..)
            .zip(patterns.map(|pattern| compile(pattern).unwrap()))
            .collect();
        let (pass, bare) = PatternPass::new(patterns);

        let rules = |text| {
            pass.candidates(text)
                .iter()
                .map(|(rule, _)| *rule)
                .collect::<Vec<_>>()
        };

        assert_eq!(bare, [0]);
        assert_eq!(rules("CASINO 555-1234"), [1, 0]);
        assert_eq!(rules("nothing"), [0; 0]);
    }
}
