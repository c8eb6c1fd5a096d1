//! A text as the matcher reads it: its letters one after the other, what lies between them, and the key made of them.
//!
//! **Invariant:** each byte of the key belongs to exactly one run, runs follow each other without gaps, and every unit
//! belongs to one run.
use crate::text::See;
use crate::text::glyph::{Glyph, flag};
use crate::text::lookalike::{STROKE, leet, look};

/// Flags the matcher adds to those of [`flag`].
pub(super) mod edge {
    /// A word begins here.
    pub(crate) const START: u32 = 1 << 9;
    /// A word ends here.
    pub(crate) const END: u32 = 1 << 10;
    /// White space lies before it.
    pub(crate) const SPACE: u32 = 1 << 11;
    /// An apostrophe lies before it.
    pub(crate) const APOSTROPHE: u32 = 1 << 12;
    /// A hyphen or the like lies before it.
    pub(crate) const HYPHEN: u32 = 1 << 13;
    /// Other punctuation lies before it.
    pub(crate) const OTHER: u32 = 1 << 14;
    /// Something invisible was dropped before it.
    pub(crate) const HIDDEN: u32 = 1 << 15;
    /// A word begins here, if the symbol before it hides no letter.
    pub(crate) const SOFT_START: u32 = 1 << 16;
    /// A word ends here, if the symbol behind it hides no letter.
    pub(crate) const SOFT_END: u32 = 1 << 17;
    /// Anything that can be seen lies before it.
    pub(crate) const GAP: u32 = SPACE | APOSTROPHE | HYPHEN | OTHER;
}

/// The letters of a text and their key.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Letters, digits, marks and pictographs, in reading order.
    pub(super) units: Vec<Glyph>,
    /// What the automaton reads.
    pub(super) key: Vec<u8>,
    /// For every byte of the key, the number of its run.
    pub(super) run_at: Vec<u32>,
    /// For every run, its first unit.
    pub(super) runs: Vec<u32>,
}

impl Stream {
    /// Makes a stream of the glyphs of a text.
    pub(super) fn new(glyphs: &[Glyph], see: See) -> Self {
        let mut stream = Self {
            units: Vec::with_capacity(glyphs.len()),
            key: Vec::with_capacity(glyphs.len()),
            run_at: Vec::with_capacity(glyphs.len()),
            runs: Vec::with_capacity(glyphs.len()),
        };
        let mut gap = 0;
        let mut last_class = '\0';
        let mut behind = 0;
        for (n, glyph) in glyphs.iter().enumerate() {
            if glyph.start > behind {
                gap |= edge::HIDDEN;
            }
            behind = glyph.end;
            let mut unit = *glyph;
            if glyph.is_word() {
                unit.flags |= edges(glyphs, n, see) | gap;
            } else if is_pictograph(glyph.ch) && !leads_to_joined(glyphs, n) {
                unit.flags |= edge::START | edge::END | gap;
            } else {
                gap |= gap_of(glyph.ch);
                continue;
            }
            gap = 0;
            let class = class_of(&unit, see);
            let repeats = see.has(See::REPEAT)
                && class == last_class
                && (unit.flags & edge::GAP == 0 || unit.is(flag::JOINED));
            if !repeats {
                stream.push_run(class);
            }
            last_class = class;
            stream.units.push(unit);
        }
        stream
    }

    /// Begins a run with the next unit.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no text comes near the 4 GiB that a position can name"
    )]
    fn push_run(&mut self, class: char) {
        let run = self.runs.len() as u32;
        self.runs.push(self.units.len() as u32);
        if class.is_ascii() {
            self.key.push(class as u8);
            self.run_at.push(run);
        } else {
            let mut buffer = [0; 4];
            let bytes = class.encode_utf8(&mut buffer).as_bytes();
            self.key.extend_from_slice(bytes);
            self.run_at.resize(self.key.len(), run);
        }
    }

    /// Returns the units of the runs that a range of the key stands for.
    pub(super) fn units_of(&self, key: std::ops::Range<usize>) -> (usize, usize) {
        let first = self.run_at[key.start] as usize;
        let last = self.run_at[key.end - 1] as usize;
        let end = self
            .runs
            .get(last + 1)
            .map_or(self.units.len(), |&unit| unit as usize);
        (self.runs[first] as usize, end)
    }
}

/// Returns what all characters that may be confused with this one have in common.
pub(super) fn class_of(unit: &Glyph, see: See) -> char {
    match unit.look {
        0 => class_of_char(unit.ch, see),
        STROKE => 'i',
        letter => class_of_char(char::from(letter), see),
    }
}

/// As [`class_of`], for a character of an entry.
pub(super) fn class_of_char(ch: char, see: See) -> char {
    let strokes = see.has(See::CONFUSABLE) || see.has(See::LEET);
    match ch {
        'l' if strokes => 'i',
        'v' if see.has(See::LEET) => 'u',
        'a'..='z' => ch,
        _ => {
            if see.has(See::LEET)
                && let Some(letter) = leet(ch)
            {
                return if letter == STROKE {
                    'i'
                } else {
                    char::from(letter)
                };
            }
            match if see.has(See::CONFUSABLE) {
                look(ch)
            } else {
                None
            } {
                Some(STROKE | b'l') => 'i',
                Some(b'v') if see.has(See::LEET) => 'u',
                Some(letter) => char::from(letter),
                None => ch,
            }
        }
    }
}

/// Reads every glyph of a text that may be two letters as its second one; none if there is no such glyph.
pub(super) fn second_reading(glyphs: &[Glyph]) -> Option<Vec<Glyph>> {
    if glyphs.iter().all(|glyph| glyph.other_look == 0) {
        return None;
    }
    let second = |glyph: &Glyph| match glyph.other_look {
        0 => *glyph,
        letter if glyph.look == 0 => Glyph {
            look: letter,
            flags: glyph.flags | flag::LATIN,
            ..*glyph
        },
        letter => Glyph {
            look: letter,
            ..*glyph
        },
    };
    Some(glyphs.iter().map(second).collect())
}

/// Says whether a letter of a text may be read as a letter of an entry.
///
/// `before` is the unit that stands directly before it in its word, if any: among capitals an `l` may be an `I`, and
/// among small letters an `I` an `l`.
pub(super) fn reads_as(unit: &Glyph, before: Option<&Glyph>, entry: char, see: See) -> bool {
    if unit.ch == entry {
        return true;
    }
    let is_stroke = matches!(entry, 'i' | 'l');
    let stands_for = |letter: u8| {
        if letter == STROKE {
            is_stroke
        } else {
            char::from(letter) == entry
        }
    };
    if unit.look != 0 && unit.is(flag::LATIN) && stands_for(unit.look) {
        return true;
    }
    if entry == 'u' && see.has(See::LEET) && (unit.ch == 'v' || unit.look == b'v') {
        return true;
    }
    if unit.is(flag::LEET) && leet(unit.ch).is_some_and(stands_for) {
        return true;
    }
    if !see.has(See::CONFUSABLE) {
        return false;
    }
    if unit.is(flag::MIXED)
        && let Some(letter) = look(entry)
    {
        // A Latin letter, or one of a third script, in place of one of the script of the entry.
        let own = if unit.look != 0 {
            unit.look
        } else {
            u8::try_from(unit.ch).unwrap_or(0)
        };
        return own == letter || (letter == STROKE && matches!(own, b'i' | b'l'));
    }
    is_stroke
        && matches!(unit.ch, 'i' | 'l')
        && before.is_some_and(|before| {
            before.ch.is_alphabetic() && before.is(flag::UPPER) != unit.is(flag::UPPER)
        })
}

/// Returns where a word may begin and end around a letter.
fn edges(glyphs: &[Glyph], n: usize, see: See) -> u32 {
    // A symbol that stands for a letter is inside a word beside any other.
    let is_inside = |next: usize| !is_letter(glyphs[n].ch) && glyphs[next].is_word();
    let start = match n.checked_sub(1) {
        None => Edge::Hard,
        Some(before) if is_inside(before) => Edge::None,
        Some(before) => edge_between(glyphs, before, n, see),
    };
    let end = match n + 1 {
        behind if behind == glyphs.len() => Edge::Hard,
        behind if is_inside(behind) => Edge::None,
        behind => edge_between(glyphs, n, behind, see),
    };
    let start = match start {
        Edge::None => 0,
        Edge::Soft => edge::SOFT_START,
        Edge::Hard => edge::START | edge::SOFT_START,
    };
    start
        | match end {
            Edge::None => 0,
            Edge::Soft => edge::SOFT_END,
            Edge::Hard => edge::END | edge::SOFT_END,
        }
}

/// Whether a word may end between two glyphs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// It may not.
    None,
    /// It may, unless the symbol that stands there hides a letter.
    Soft,
    /// It may.
    Hard,
}

/// Says whether a word may end between two neighbours, at least one of which belongs to a word.
fn edge_between(glyphs: &[Glyph], left: usize, right: usize, see: See) -> Edge {
    let (before, behind) = (&glyphs[left], &glyphs[right]);
    let of = |is_edge| if is_edge { Edge::Hard } else { Edge::None };
    match (is_letter(before.ch), is_letter(behind.ch)) {
        (true, true) if before.ch.is_ascii() && behind.ch.is_ascii() => Edge::None,
        (true, true) => of(is_script_edge(before.ch, behind.ch)),
        (false, false) => Edge::Hard,
        // Within a word, a symbol hides a letter as likely as not.
        (true, false) => match glyphs[right..]
            .iter()
            .find(|glyph| !hides_letter(glyph, see))
        {
            _ if !hides_letter(behind, see) => Edge::Hard,
            Some(next) if is_letter(next.ch) => soft(glyphs, right, next),
            _ => Edge::Hard,
        },
        (false, true) => match glyphs[..=left]
            .iter()
            .rev()
            .find(|glyph| !hides_letter(glyph, see))
        {
            _ if !hides_letter(before, see) => Edge::Hard,
            Some(last) if is_letter(last.ch) => soft(glyphs, left, behind),
            _ => Edge::Hard,
        },
    }
}

/// Returns how far a symbol between letters parts them: an exclamation mark before a capital ends a sentence.
fn soft(glyphs: &[Glyph], symbol: usize, behind: &Glyph) -> Edge {
    let ends_sentence = glyphs[symbol].ch == '!' && behind.is(flag::UPPER);
    if ends_sentence {
        Edge::Hard
    } else {
        Edge::Soft
    }
}

/// Says whether a symbol may stand for a letter or hide one.
fn hides_letter(glyph: &Glyph, see: See) -> bool {
    !is_letter(glyph.ch)
        && (glyph.is(flag::LEET)
            || (see.has(See::MASK) && matches!(glyph.ch, '*' | '#' | '@' | '$' | '%' | '^' | '~')))
}

/// Says whether a word may end between two letters because of their scripts.
fn is_script_edge(left: char, right: char) -> bool {
    !is_mark(right)
        && (is_unspaced(left) || is_unspaced(right) || is_katakana(left) != is_katakana(right))
}

/// Says whether a character is part of words: a letter, a digit or a mark.
fn is_letter(ch: char) -> bool {
    ch.is_alphanumeric() || is_mark(ch)
}

fn is_mark(ch: char) -> bool {
    !ch.is_ascii() && unicode_normalization::char::is_combining_mark(ch)
}

/// Says whether a script is written without spaces, so that a word may begin and end at any of its letters.
///
/// Source: UAX #29 §4 (word boundaries), which leaves Han, Hiragana and the scripts of South East Asia to dictionaries.
pub(super) fn is_unspaced(ch: char) -> bool {
    matches!(ch,
        '\u{e00}'..='\u{eff}' | '\u{f40}'..='\u{fbc}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{309f}'
        | '\u{3400}'..='\u{9fff}' | '\u{aa80}'..='\u{aadf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_katakana(ch: char) -> bool {
    matches!(ch, '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}')
}

/// Says whether a character is a picture or symbol that a list may hold as an entry.
pub(super) fn is_pictograph(ch: char) -> bool {
    matches!(ch, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Says whether a character is white space in a wide sense: what a reader sees as a space.
fn gap_of(ch: char) -> u32 {
    if ch.is_whitespace() || ch == '\u{2800}' {
        return edge::SPACE;
    }
    match ch {
        '\'' | '\u{2019}' | '\u{2018}' | '`' | '\u{b4}' => edge::APOSTROPHE,
        '-' | '_' | '/' | '.' | '\u{2010}'..='\u{2015}' | '\u{b7}' | '\u{2022}' | '\u{30fb}' => {
            edge::HYPHEN
        }
        _ => edge::OTHER,
    }
}

/// Says whether a glyph lies between letters of a spelt-out word.
fn leads_to_joined(glyphs: &[Glyph], n: usize) -> bool {
    glyphs[n..]
        .iter()
        .find(|glyph| glyph.is_word())
        .is_some_and(|next| next.is(flag::JOINED))
}
