//! Words in which symbols hide letters: `g*rden`, `g##den`, `g**d*n`.
//!
//! A hidden letter may be any, so the automaton cannot find these words. They are looked up by length and by first and
//! last letter, then compared. Only a word with symbols between its letters costs anything.
use super::Match;
use super::entry::{Gap, parts};
use super::stream::{class_of, class_of_char, is_pictograph, reads_as};
use crate::text::See;
use crate::text::glyph::{Glyph, flag};

/// The entries by length, first and last letter.
#[derive(Debug, Default)]
pub(super) struct Masked {
    /// Packed length, first and last class; number of the entry. Sorted.
    index: Vec<(u32, u32)>,
    /// Lengths of entries that need not end with the word. Sorted.
    open_lengths: Vec<u8>,
    /// Most words an entry has.
    most_words: usize,
}

/// Most comparisons made for one text: enough for a hundred masked words among 100,000 entries.
const MOST_COMPARISONS: u32 = 20_000;
/// Shortest and longest word that is looked up.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=64;
/// Most words of an entry that are looked at together.
const MOST_WORDS: usize = 4;

impl Masked {
    /// Indexes entries: number, letters, kind.
    pub(super) fn new<'a>(entries: impl Iterator<Item = (u32, &'a str, Match)>, see: See) -> Self {
        let mut masked = Self::default();
        for (number, letters, kind) in entries {
            let mut length = 0_usize;
            let mut words = 1;
            let (mut first, mut last) = ('\0', '\0');
            for (gap, ch) in parts(letters) {
                let class = class_of_char(ch, see);
                first = if length == 0 { class } else { first };
                last = class;
                length += 1;
                words += usize::from(gap == Gap::Space);
            }
            if !LENGTHS.contains(&length) {
                continue;
            }
            masked.index.push((pack(length, first, last), number));
            masked.most_words = masked.most_words.max(words.min(MOST_WORDS));
            if kind != Match::Word {
                let length = u8::try_from(length).expect("`LENGTHS` fit a byte");
                masked.open_lengths.push(length);
            }
        }
        masked.index.sort_unstable();
        masked.index.shrink_to_fit();
        masked.open_lengths.sort_unstable();
        masked.open_lengths.dedup();
        masked
    }

    /// Calls `found` with each entry that a masked word may be, and the glyphs that show it.
    pub(super) fn find<'a>(
        &self,
        glyphs: &[Glyph],
        see: See,
        sought: &impl Fn(u32) -> (&'a str, Match),
        found: &mut impl FnMut(u32, &[Glyph]),
    ) {
        if self.index.is_empty() || !glyphs.iter().any(is_mask) {
            return;
        }
        let mut search = Search {
            masked: self,
            glyphs,
            see,
            sought,
            found,
            left: MOST_COMPARISONS,
        };
        let mut at = 0;
        while at < glyphs.len() && search.left > 0 {
            if !glyphs[at].is_word() || is_mask(&glyphs[at]) {
                at += 1;
                continue;
            }
            let end = end_of_token(glyphs, at);
            search.token(at, end);
            at = end + 1;
        }
    }

    /// Returns the memory the index takes, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.index.len() * size_of::<(u32, u32)>()
    }
}

/// The search in one text.
struct Search<'s, S, F> {
    masked: &'s Masked,
    glyphs: &'s [Glyph],
    see: See,
    sought: &'s S,
    found: &'s mut F,
    left: u32,
}

impl<'a, S: Fn(u32) -> (&'a str, Match), F: FnMut(u32, &[Glyph])> Search<'_, S, F> {
    /// Looks up a masked word, alone and with the words around it.
    fn token(&mut self, from: usize, end: usize) {
        let token = &self.glyphs[from..end];
        if !token.iter().any(is_mask) || token.iter().any(|glyph| glyph.is(flag::JOINED)) {
            return;
        }
        for &length in &self.masked.open_lengths {
            let length = usize::from(length);
            if length < token.len() {
                self.lookup(from, from + length, true);
            }
        }
        let mut start = from;
        for before in 0..self.masked.most_words {
            if before > 0 {
                let Some(earlier) = word_before(self.glyphs, start) else {
                    break;
                };
                start = earlier;
            }
            let mut stop = end;
            for behind in 0..self.masked.most_words - before {
                if behind > 0 {
                    let Some(later) = word_behind(self.glyphs, stop) else {
                        break;
                    };
                    stop = later;
                }
                self.lookup(start, stop, false);
            }
        }
    }

    /// Compares the glyphs `from..end`, spaces left out, with the entries they may be.
    fn lookup(&mut self, from: usize, end: usize, is_open: bool) {
        let glyphs = &self.glyphs[from..end];
        let cells = || glyphs.iter().filter(|glyph| is_cell(glyph));
        let length = cells().count();
        let (Some(first), Some(last)) = (cells().next(), cells().next_back()) else {
            return;
        };
        if !LENGTHS.contains(&length) || is_mask(first) || !tells_enough(cells(), length) {
            return;
        }
        let first = class_of(first, self.see);
        let keys = if is_mask(last) {
            pack(length, first, '\0')..=pack(length, first, '\u{7f}') | 0xff
        } else {
            let key = pack(length, first, class_of(last, self.see));
            key..=key
        };
        let index = &self.masked.index;
        let start = index.partition_point(|(key, _)| key < keys.start());
        for &(_, entry) in index[start..]
            .iter()
            .take_while(|(key, _)| key <= keys.end())
        {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let (letters, kind) = (self.sought)(entry);
            if (kind != Match::Word || !is_open) && is_shown_by(letters, glyphs, self.see) {
                (self.found)(entry, glyphs);
            }
        }
    }
}

/// Says whether glyphs show an entry, hidden letters apart.
fn is_shown_by(letters: &str, glyphs: &[Glyph], see: See) -> bool {
    let mut parts = parts(letters);
    let mut gap = false;
    let mut before: Option<&Glyph> = None;
    for glyph in glyphs {
        if !is_cell(glyph) {
            gap = true;
            continue;
        }
        let Some((entry_gap, entry)) = parts.next() else {
            return false;
        };
        let is_first = before.is_none();
        if !is_first && (entry_gap == Gap::Space) != gap {
            return false;
        }
        if !is_mask(glyph) && !reads_as(glyph, before.filter(|_| !gap), entry, see) {
            return false;
        }
        if is_mask(glyph) && !entry.is_alphabetic() {
            return false;
        }
        gap = false;
        before = Some(glyph);
    }
    parts.next().is_none()
}

/// Packs what an entry is looked up by.
fn pack(length: usize, first: char, last: char) -> u32 {
    let byte = |ch: char| {
        if ch.is_ascii() {
            ch as u32
        } else {
            (ch as u32 & 0x7f) | 0x80
        }
    };
    // Longer ones than `LENGTHS` are in no index, so nothing is lost when they share a key.
    let length = u32::from(u8::try_from(length).unwrap_or(u8::MAX));
    length << 16 | byte(first) << 8 | byte(last)
}

/// Says whether a glyph stands for a letter of an entry: a letter, or a symbol that hides one.
fn is_cell(glyph: &Glyph) -> bool {
    glyph.is_word() || is_mask(glyph)
}

/// Says whether a symbol hides a letter wherever it stands between letters.
fn is_mask(glyph: &Glyph) -> bool {
    match glyph.ch {
        '*' | '#' | '@' | '$' | '%' | '^' | '~' | '_' | '•' | '×' | '∗' | '⁎' | '✱' | '.' | '-'
        | '?' | '!' => true,
        ch => !ch.is_ascii() && is_pictograph(ch) && !glyph.is_word(),
    }
}

/// Says whether a symbol stands between words too, so that only one alone may hide a letter.
const fn is_weak(ch: char) -> bool {
    matches!(ch, '.' | '-' | '?' | '!')
}

/// Returns the end of the word with symbols that begins at a letter.
fn end_of_token(glyphs: &[Glyph], from: usize) -> usize {
    let mut end = from;
    let mut is_masked = false;
    while end < glyphs.len() {
        let glyph = &glyphs[end];
        if is_weak(glyph.ch) && !glyph.is(flag::LEET) {
            let is_between = glyphs
                .get(end + 1)
                .is_some_and(|next| next.is_word() && !is_mask(next));
            if is_masked || !is_between {
                break;
            }
            is_masked = true;
        } else if is_mask(glyph) {
            is_masked = true;
        } else if !glyph.is_word() {
            break;
        }
        end += 1;
    }
    // Emphasis around a word hides nothing.
    if let Some(before) = from.checked_sub(1)
        && is_mask(&glyphs[before])
    {
        while end > from && glyphs[end - 1].ch == glyphs[before].ch {
            end -= 1;
        }
    }
    while end > from && is_mask(&glyphs[end - 1]) && !matches!(glyphs[end - 1].ch, '*' | '#' | '@')
    {
        end -= 1;
    }
    end
}

/// Says whether enough of a word is left to tell which it is: half of it, or its first and last letter.
fn tells_enough<'g>(cells: impl Iterator<Item = &'g Glyph>, length: usize) -> bool {
    let (mut hidden, mut has_weak, mut last) = (0, false, None);
    for glyph in cells {
        hidden += usize::from(is_mask(glyph));
        has_weak |= is_weak(glyph.ch) && !glyph.is(flag::LEET);
        last = Some(glyph);
    }
    let known = length - hidden;
    let Some(last) = last else { return false };
    if hidden == 0 || known < 2 || (has_weak && (length < 4 || hidden > 1)) {
        return false;
    }
    if is_mask(last) {
        return known > hidden || (known == hidden && last.ch == '*');
    }
    known >= hidden || length <= 8
}

/// Returns where the word before a place begins, if only a space or hyphen lies between.
fn word_before(glyphs: &[Glyph], at: usize) -> Option<usize> {
    let spaces = glyphs[..at]
        .iter()
        .rev()
        .take_while(|glyph| glyph.ch.is_whitespace())
        .count();
    let end = at - spaces;
    let length = glyphs[..end]
        .iter()
        .rev()
        .take_while(|glyph| is_cell(glyph))
        .count();
    (spaces > 0 && length > 0).then(|| end - length)
}

/// Returns where the word behind a place ends, if only a space lies between.
fn word_behind(glyphs: &[Glyph], at: usize) -> Option<usize> {
    let spaces = glyphs[at..]
        .iter()
        .take_while(|glyph| glyph.ch.is_whitespace())
        .count();
    let start = at + spaces;
    let length = glyphs[start..]
        .iter()
        .take_while(|glyph| is_cell(glyph))
        .count();
    (spaces > 0 && length > 0).then(|| start + length)
}
