//! All lists that undo the same disguises, with the automaton they share.
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

use super::entry::{self, Entry};
use super::masked::Masked;
use super::stream::{Stream, edge, is_unspaced, second_reading};
use super::{Hit, Match};
use crate::text::See;
use crate::text::glyph::{self, Glyph, flag};
use crate::text::token;

/// Lists of one view.
#[derive(Debug)]
pub(super) struct Set {
    see: See,
    automaton: AhoCorasick,
    /// For every pattern of the automaton, the first of its targets; one more at the end.
    first_target: Vec<u32>,
    /// Numbers of entries, pattern by pattern.
    targets: Vec<u32>,
    entries: Vec<Stored>,
    /// The letters and plain forms of all entries.
    texts: String,
    masked: Masked,
}

/// An entry as it is kept: 28 bytes and its texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    group: u32,
    number: u32,
    letters_at: u32,
    plain_at: u32,
    letters_len: u16,
    plain_len: u16,
    pub(super) kind: Match,
    is_exception: bool,
    pub(super) is_literal: bool,
}

/// Keys of up to this many bytes in all get a full transition table: about three times as fast, and with some 40
/// classes of bytes at most 5 MiB.
const TABLE_BELOW_KEY_BYTES: usize = 24 * 1024;

/// A byte that UTF-8 never has, and so no key and no text.
const NO_BYTE: u8 = 0xff;

/// The length of a first pattern that matches nothing.
///
/// When it is built, an automaton moves its matching states to the front by swaps and then follows each chain of swaps to
/// its end. Where nearly every state matches (`item1`, `item12`, `item123` …) the few others are swapped along through
/// all of them, and the chains grow with the list: 100,000 such words took seconds. With these states standing first
/// there are as many more chains, and each is so much shorter.
fn decoy_length(kind: AhoCorasickKind) -> usize {
    match kind {
        AhoCorasickKind::DFA => 0,
        _ => 4096,
    }
}

impl Set {
    /// Builds the set.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an entry has at most 200 letters, and a rule directory at most 256 MiB"
    )]
    pub(super) fn new(see: See, entries: Vec<Entry>) -> Result<Self, BuildError> {
        let mut texts = String::new();
        let mut stored = Vec::with_capacity(entries.len());
        let mut keys: Vec<(Box<[u8]>, u32)> = Vec::with_capacity(entries.len());
        for (number, entry) in (0..).zip(entries) {
            let letters_at = texts.len() as u32;
            texts.push_str(&entry.letters);
            let plain_at = if entry.letters == entry.plain {
                letters_at
            } else {
                texts.push_str(&entry.plain);
                texts.len() as u32 - entry.plain.len() as u32
            };
            stored.push(Stored {
                group: entry.group,
                number: entry.number,
                letters_at,
                plain_at,
                letters_len: entry.letters.len() as u16,
                plain_len: entry.plain.len() as u16,
                kind: entry.kind,
                is_exception: entry.is_exception,
                is_literal: entry.is_literal,
            });
            keys.extend(entry.keys.into_iter().flatten().map(|key| (key, number)));
        }
        texts.shrink_to_fit();
        keys.sort_unstable();

        let mut first_target: Vec<u32> = Vec::new();
        let targets: Vec<u32> = keys.iter().map(|(_, number)| *number).collect();
        for n in 0..keys.len() {
            if n == 0 || keys[n].0 != keys[n - 1].0 {
                first_target.push(n as u32);
            }
        }
        let patterns = || first_target.iter().map(|&n| &keys[n as usize].0);
        let size: usize = patterns().map(|key| key.len()).sum();
        let kind = if size < TABLE_BELOW_KEY_BYTES {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let decoy = vec![NO_BYTE; decoy_length(kind)];
        let decoys = (!decoy.is_empty()).then_some(&*decoy);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .prefilter(false)
            .build(decoys.into_iter().chain(patterns().map(|key| &**key)))?;
        if decoys.is_some() {
            // The decoy is the first pattern and stands for no entry.
            first_target.insert(0, 0);
        }
        first_target.push(targets.len() as u32);

        let mut set = Self {
            see,
            automaton,
            first_target,
            targets,
            entries: stored,
            texts,
            masked: Masked::default(),
        };
        if see.has(See::MASK) {
            let sought = (0..)
                .zip(&set.entries)
                .filter(|(_, entry)| !entry.is_literal);
            set.masked = Masked::new(
                sought.map(|(n, entry)| (n, set.letters(entry), entry.kind)),
                see,
            );
        }
        Ok(set)
    }

    /// Adds the hits in a text.
    pub(super) fn find(&self, text: &str, hits: &mut Vec<Hit>) {
        let mut glyphs = glyph::read(text, self.see);
        if self.see.has(See::LEET) {
            token::mark_leet(&mut glyphs);
        }
        if self.see.has(See::JOINED) {
            token::mark_joined(&mut glyphs);
        }
        let mut found = Found {
            set: self,
            text,
            hits: Vec::new(),
            exceptions: Vec::new(),
        };
        found.seek(&Stream::new(&glyphs, self.see));
        if let Some(second) = second_reading(&glyphs) {
            found.seek(&Stream::new(&second, self.see));
        }
        self.masked.find(
            &glyphs,
            self.see,
            &|entry| self.sought(entry),
            &mut |entry, glyphs| {
                found.add(&self.entries[entry as usize], span_of(glyphs));
            },
        );
        found.finish(hits);
    }

    /// Returns what the search for masked words needs of an entry.
    fn sought(&self, entry: u32) -> (&str, Match) {
        let entry = &self.entries[entry as usize];
        (self.letters(entry), entry.kind)
    }

    /// Lists the entries that share a key.
    fn targets_of(&self, pattern: usize) -> impl Iterator<Item = &Stored> {
        let (first, end) = (self.first_target[pattern], self.first_target[pattern + 1]);
        self.targets[first as usize..end as usize]
            .iter()
            .map(|&n| &self.entries[n as usize])
    }

    fn letters(&self, entry: &Stored) -> &str {
        &self.texts[entry.letters_at as usize..][..usize::from(entry.letters_len)]
    }

    fn plain(&self, entry: &Stored) -> &str {
        &self.texts[entry.plain_at as usize..][..usize::from(entry.plain_len)]
    }

    /// Returns the memory the set takes, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.automaton.memory_usage()
            + self.texts.len()
            + self.entries.len() * size_of::<Stored>()
            + (self.first_target.len() + self.targets.len()) * size_of::<u32>()
            + self.masked.size_bytes()
    }
}

/// What was found in one text.
struct Found<'a> {
    set: &'a Set,
    text: &'a str,
    hits: Vec<Hit>,
    exceptions: Vec<(u32, Range<usize>)>,
}

impl Found<'_> {
    /// Runs the automaton and verifies its candidates.
    fn seek(&mut self, stream: &Stream) {
        let set = self.set;
        for candidate in set.automaton.find_overlapping_iter(&stream.key) {
            let (from, to) = stream.units_of(candidate.range());
            let may_start = stream.units[from].is(edge::SOFT_START | flag::JOIN_START);
            let may_end = stream.units[to - 1].is(edge::SOFT_END | flag::JOIN_END);
            for entry in set.targets_of(candidate.pattern().as_usize()) {
                let is_possible = match entry.kind {
                    _ if entry.is_literal => true,
                    Match::Word => may_start && may_end,
                    Match::Prefix => may_start,
                    Match::Substring => true,
                };
                if !is_possible {
                    continue;
                }
                if entry.is_literal {
                    self.seek_literal(entry, &stream.units[from]);
                } else if entry::fits(
                    &stream.units,
                    from,
                    to,
                    set.letters(entry),
                    entry.kind,
                    set.see,
                ) {
                    self.add(entry, span_of(&stream.units[from..to]));
                }
            }
        }
    }

    /// Looks for an entry as it is written, given where its first letter may be.
    fn seek_literal(&mut self, entry: &Stored, first: &Glyph) {
        let plain = self.set.plain(entry);
        let lead = plain.chars().take_while(|ch| !ch.is_alphanumeric()).count();
        let before = &self.text[..first.start as usize];
        let Some(start) = (match lead {
            0 => Some(before.len()),
            _ => before.char_indices().nth_back(lead - 1).map(|(at, _)| at),
        }) else {
            return;
        };
        let Some(length) = entry::plain_prefix(&self.text[start..], plain) else {
            return;
        };
        let end = start + length;
        let starts = !self.text[..start].ends_with(is_spaced_letter);
        let ends = !self.text[end..].starts_with(is_spaced_letter);
        let stands = match entry.kind {
            Match::Word => starts && ends,
            Match::Prefix => starts,
            Match::Substring => true,
        };
        if stands {
            self.add(entry, start..end);
        }
    }

    fn add(&mut self, entry: &Stored, span: Range<usize>) {
        if entry.is_exception {
            self.exceptions.push((entry.group, span));
            return;
        }
        let written = &self.text[span.clone()];
        let evasion = !entry::plain(written).eq(self.set.plain(entry).chars());
        self.hits.push(Hit {
            group: entry.group,
            entry: entry.number,
            span,
            evasion,
        });
    }

    /// Hands over the hits that are no part of an exception.
    fn finish(mut self, hits: &mut Vec<Hit>) {
        for (group, span) in &self.exceptions {
            self.hits.retain(|hit| {
                hit.group != *group || hit.span.start < span.start || span.end < hit.span.end
            });
        }
        hits.append(&mut self.hits);
    }
}

/// Returns the bytes that show a row of glyphs, in whatever order they are displayed.
fn span_of(glyphs: &[Glyph]) -> Range<usize> {
    let start = glyphs.iter().map(|glyph| glyph.start).min().unwrap_or(0);
    let end = glyphs.iter().map(|glyph| glyph.end).max().unwrap_or(0);
    start as usize..end as usize
}

/// Says whether a character is a letter or digit of a script that is written with spaces.
fn is_spaced_letter(ch: char) -> bool {
    ch.is_alphanumeric() && !is_unspaced(ch)
}
