//! One entry of a list, and whether a stretch of text is it.
//!
//! An entry keeps two forms: what is sought when disguises are undone (`letters`), and how it looks when nothing is
//! (`plain`), which tells an evasion from plain writing.
use super::Match;
use super::stream::{Stream, class_of, class_of_char, edge, reads_as};
use crate::text::See;
use crate::text::glyph::{self, Glyph, flag};
use crate::text::token;

/// An entry as it was read from a list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) group: u32,
    pub(super) number: u32,
    pub(super) kind: Match,
    pub(super) is_exception: bool,
    /// The letters sought; a space for white space between words, an apostrophe where one may stand.
    pub(super) letters: Box<str>,
    /// The entry in lower case with single spaces.
    pub(super) plain: Box<str>,
    /// Whether it is found only as it is written, because it holds other punctuation.
    pub(super) is_literal: bool,
    /// What the automaton seeks: with runs kept apart across words, and, if that differs, with runs joined across them.
    pub(super) keys: [Option<Box<[u8]>>; 2],
}

impl Entry {
    /// Reads an entry; group, number and kind are for the caller to fill in.
    pub(super) fn parse(text: &str, see: See) -> Result<Self, &'static str> {
        let mut glyphs = glyph::read(text.trim(), see);
        if see.has(See::LEET) {
            token::mark_leet(&mut glyphs);
        }
        let stream = Stream::new(&glyphs, see);
        if stream.units.is_empty() {
            return Err("it holds no letter, digit or symbol");
        }
        if stream.units.len() > LONGEST {
            return Err("it is longer than 200 letters");
        }
        let mut letters = String::new();
        let first = stream.units[0].start;
        let last = stream.units[stream.units.len() - 1].end;
        let mut is_literal = glyphs
            .iter()
            .any(|glyph| glyph.start < first || glyph.end > last);
        for unit in &stream.units {
            is_literal |= unit.is(edge::OTHER);
            if unit.is(edge::SPACE | edge::HYPHEN) {
                letters.push(' ');
            } else if unit.is(edge::APOSTROPHE) {
                letters.push('\'');
            }
            letters.push(unit.ch);
        }
        let across = across_words(&stream, see);
        let keys = [
            (across != stream.key).then(|| across.into_boxed_slice()),
            Some(stream.key.into_boxed_slice()),
        ];
        Ok(Self {
            group: 0,
            number: 0,
            kind: Match::Word,
            is_exception: false,
            letters: letters.into_boxed_str(),
            plain: plain(text.trim()).collect(),
            is_literal,
            keys,
        })
    }
}

/// Most letters an entry may have.
const LONGEST: usize = 200;

/// Fewest letters that are a word of their own beside a symbol that may hide a letter: `ass` is no word in `ass@rt`.
const LONG_ENOUGH: usize = 4;
/// Fewest letters of a word in which a `v` may be a `u`: not in `CV` or `TV`.
const LONG_ENOUGH_FOR_V: usize = 3;

/// Returns the key with runs of a letter joined across words, as they stand in a text spelt out letter by letter.
fn across_words(stream: &Stream, see: See) -> Vec<u8> {
    let mut key = String::new();
    let mut last = '\0';
    for unit in &stream.units {
        let class = class_of(unit, see);
        if class != last || !see.has(See::REPEAT) {
            key.push(class);
        }
        last = class;
    }
    key.into_bytes()
}

/// Returns a text in lower case with single spaces and straight apostrophes.
pub(super) fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut was_space = false;
    text.chars()
        .flat_map(char::to_lowercase)
        .filter_map(move |ch| {
            let is_space = ch.is_whitespace();
            let doubles = is_space && was_space;
            was_space = is_space;
            match ch {
                _ if doubles => None,
                _ if is_space => Some(' '),
                '\u{2019}' => Some('\''),
                'ς' => Some('σ'),
                _ => Some(ch),
            }
        })
}

/// Returns the length in bytes of the start of a text that is an entry as written, if it begins with one.
pub(super) fn plain_prefix(text: &str, entry: &str) -> Option<usize> {
    let mut entry = entry.chars().peekable();
    let mut was_space = false;
    for (at, typed) in text.char_indices() {
        if entry.peek().is_none() {
            return Some(at);
        }
        if typed.is_whitespace() && was_space {
            continue;
        }
        was_space = typed.is_whitespace();
        for ch in plain(typed.encode_utf8(&mut [0; 4])) {
            entry.next_if_eq(&ch)?;
        }
    }
    entry.peek().is_none().then_some(text.len())
}

/// What lies between two letters of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    None,
    Apostrophe,
    Space,
}

/// Lists the letters of an entry with the gap before each.
pub(super) fn parts(letters: &str) -> impl Iterator<Item = (Gap, char)> + '_ {
    let mut gap = Gap::None;
    letters.chars().filter_map(move |ch| match ch {
        ' ' => {
            gap = Gap::Space;
            None
        }
        '\'' => {
            gap = Gap::Apostrophe;
            None
        }
        _ => Some((std::mem::replace(&mut gap, Gap::None), ch)),
    })
}

/// Says whether units `from..to` of a text are an entry's letters, with its boundaries.
pub(super) fn fits(
    units: &[Glyph],
    from: usize,
    to: usize,
    letters: &str,
    kind: Match,
    see: See,
) -> bool {
    let mut trial = Trial {
        units,
        see,
        stretched: 0,
        is_stretch_sure: false,
        is_spelt: None,
    };
    let mut parts = parts(letters).peekable();
    if to - from < LONG_ENOUGH_FOR_V
        && units[from..to].iter().any(|unit| unit.ch == 'v')
        && !letters.contains('v')
    {
        return false;
    }
    let mut at = from;
    let mut run = [(Gap::None, '\0'); LONGEST];
    while at < to {
        let class = class_of(&units[at], see);
        let mut end = at + 1;
        while end < to && class_of(&units[end], see) == class {
            end += 1;
        }
        let mut length = 0;
        while let Some(part) = parts.next_if(|(_, ch)| class_of_char(*ch, see) == class) {
            run[length] = part;
            length += 1;
        }
        if length == 0 || !trial.take(at, end, &run[..length], at == from) {
            return false;
        }
        at = end;
    }
    parts.next().is_none() && trial.is_credible_stretch() && trial.has_boundaries(from, to, kind)
}

/// The comparison of a stretch of text with an entry.
struct Trial<'a> {
    units: &'a [Glyph],
    see: See,
    /// Runs longer in the text than in the entry.
    stretched: u32,
    /// Whether one of them is no spelling of a common word.
    is_stretch_sure: bool,
    /// Whether the letters are spelt out one by one; none before the second letter.
    is_spelt: Option<bool>,
}

impl Trial<'_> {
    /// Compares one run of a class in the text with one in the entry.
    fn take(&mut self, at: usize, end: usize, run: &[(Gap, char)], is_first: bool) -> bool {
        let Some(surplus) = (end - at).checked_sub(run.len()) else {
            return false;
        };
        if surplus > 0 {
            if !self.see.has(See::REPEAT) || run[0].1.is_numeric() {
                return false;
            }
            self.stretched += 1;
            self.is_stretch_sure |= end - at > 2
                || self.is_typed_in_turns(at, end)
                || (run.len() == 1 && self.is_odd_double(at, run[0].1));
        }
        let mut part = 0;
        for n in at..end {
            let mut gap = run[part].0;
            if n > at {
                // A letter repeats the one before, unless it does not read as it or what is left is needed.
                let is_needed = end - n < run.len() - part;
                let is_parted = self.units[n].is(edge::GAP) && !self.units[n].is(flag::JOINED);
                if is_needed || is_parted || !self.reads(n, run[part].1) {
                    part += 1;
                    gap = match run.get(part) {
                        Some(next) => next.0,
                        None => return false,
                    };
                } else {
                    gap = Gap::None;
                }
            }
            if !self.reads(n, run[part].1) || !((is_first && n == at) || self.has_gap(n, gap)) {
                return false;
            }
        }
        part + 1 == run.len()
    }

    fn reads(&self, n: usize, entry: char) -> bool {
        let before = n.checked_sub(1).map(|n| &self.units[n]);
        let before = before.filter(|before| before.end == self.units[n].start);
        reads_as(&self.units[n], before, entry, self.see)
    }

    /// Says whether what lies before a unit is what the entry has there.
    fn has_gap(&mut self, n: usize, gap: Gap) -> bool {
        let unit = &self.units[n];
        let is_spelt = unit.is(flag::JOINED);
        if *self.is_spelt.get_or_insert(is_spelt) != is_spelt {
            return false;
        }
        if is_spelt {
            return gap == Gap::Space || !unit.is(flag::JOIN_SPACE);
        }
        match gap {
            Gap::None => !unit.is(edge::GAP),
            Gap::Apostrophe => unit.flags & edge::GAP == edge::APOSTROPHE,
            Gap::Space => {
                unit.is(edge::SPACE | edge::HYPHEN | edge::HIDDEN) && !unit.is(edge::OTHER)
            }
        }
    }

    /// Says whether letters of a run are not typed alike: in both cases, in two scripts, something hidden between.
    fn is_typed_in_turns(&self, at: usize, end: usize) -> bool {
        self.units[at..end].windows(2).any(|pair| {
            pair[0].ch != pair[1].ch
                || pair[0].is(flag::UPPER) != pair[1].is(flag::UPPER)
                || pair[1].is(edge::HIDDEN)
        })
    }

    /// Says whether a doubled letter is one that hardly any word doubles there.
    fn is_odd_double(&self, at: usize, letter: char) -> bool {
        let is_vowel = |ch: char| matches!(ch, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
        let before = at
            .checked_sub(1)
            .map(|n| &self.units[n])
            .filter(|_| !self.units[at].is(edge::START));
        match letter {
            'a' | 'h' | 'i' | 'j' | 'k' | 'q' | 'u' | 'v' | 'w' | 'x' | 'y' => true,
            'e' | 'o' => false,
            'a'..='z' => match before {
                None => letter != 'l',
                Some(before) => before.ch.is_ascii_lowercase() && !is_vowel(before.ch),
            },
            _ => false,
        }
    }

    /// Says whether the longer runs can be meant as stretching: `good` is not `god` stretched.
    const fn is_credible_stretch(&self) -> bool {
        self.stretched == 0 || self.stretched > 1 || self.is_stretch_sure
    }

    /// Says whether the stretch begins and ends where the kind of match asks for it.
    fn has_boundaries(&self, from: usize, to: usize, kind: Match) -> bool {
        let (first, last) = (&self.units[from], &self.units[to - 1]);
        let (start, end) = if self.is_spelt == Some(true) {
            (first.is(flag::JOIN_START), last.is(flag::JOIN_END))
        } else {
            let is_long = to - from >= LONG_ENOUGH;
            let start = first.is(edge::START) || (is_long && first.is(edge::SOFT_START));
            let end = last.is(edge::END) || (is_long && last.is(edge::SOFT_END));
            (start, end)
        };
        match kind {
            Match::Word => start && end,
            Match::Prefix => start,
            Match::Substring => true,
        }
    }
}
