//! A text as a row of glyphs: what each character reads as, and which bytes show it.
//!
//! This is the step every view and every matcher shares. It undoes what concerns single characters (overrides,
//! invisible characters, NFKC and case, accents, look-alikes); what concerns words (leet, joined, repeat, mask) is left
//! to [`token`](super::token) and to the matcher.
//!
//! **Invariant:** `start` and `end` of a glyph lie on character boundaries of the text.
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_normalization::{IsNormalized, is_nfc_quick, is_nfkc_quick};

use super::See;
use super::bidi;
use super::lookalike::look;

/// One character as it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyph {
    /// The character, folded as far as was asked.
    pub(crate) ch: char,
    /// The basic Latin letter it looks like, or 0.
    pub(crate) look: u8,
    /// Another letter it may be read as, or 0: `Υ` looks like a `y`, but is the capital of `υ`, which looks like a `u`.
    pub(crate) other_look: u8,
    /// What is known about it, see [`flag`].
    pub(crate) flags: u32,
    /// First byte that shows it.
    pub(crate) start: u32,
    /// Byte behind the last that shows it.
    pub(crate) end: u32,
}

/// Flags of a glyph.
pub(crate) mod flag {
    /// It was typed as a capital.
    pub(crate) const UPPER: u32 = 1;
    /// Its word is an imitation of Latin, so its look counts.
    pub(crate) const LATIN: u32 = 1 << 1;
    /// Its word mixes scripts, so a Latin letter may stand for one of the other script.
    pub(crate) const MIXED: u32 = 1 << 2;
    /// It stands for a letter, see [`leet`](crate::text::lookalike::leet).
    pub(crate) const LEET: u32 = 1 << 3;
    /// It belongs to a word: a letter, a digit, a mark, or a symbol that stands for a letter.
    pub(crate) const WORD: u32 = 1 << 4;
    /// It was set apart from the letter before it, and both belong to one spelt-out word.
    pub(crate) const JOINED: u32 = 1 << 5;
    /// A spelt-out word may begin here.
    pub(crate) const JOIN_START: u32 = 1 << 6;
    /// A spelt-out word may end here.
    pub(crate) const JOIN_END: u32 = 1 << 7;
    /// The space before it in a spelt-out text is wider than the others, as between words.
    pub(crate) const JOIN_SPACE: u32 = 1 << 8;
}

impl Glyph {
    /// Says whether a flag is set.
    pub(crate) const fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Says whether it belongs to a word.
    pub(crate) const fn is_word(&self) -> bool {
        self.is(flag::WORD)
    }
}

/// A character and where it was typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    pub(super) ch: char,
    pub(super) start: u32,
}

impl Typed {
    /// Notes a character. Texts beyond 4 GiB are cut in [`read`].
    pub(super) fn new(start: usize, ch: char) -> Self {
        Self {
            ch,
            start: u32::try_from(start).unwrap_or(u32::MAX),
        }
    }

    fn end(self) -> u32 {
        self.start + utf8_len(self.ch)
    }
}

/// The bytes of a character in UTF-8: 1 to 4.
fn utf8_len(ch: char) -> u32 {
    match ch {
        '\0'..='\u{7f}' => 1,
        '\u{80}'..='\u{7ff}' => 2,
        '\u{800}'..='\u{ffff}' => 3,
        '\u{10000}'.. => 4,
    }
}

/// Reads a text as glyphs.
///
/// # Complexity
/// Linear in the text; a run of marks costs its sorting.
pub(crate) fn read(text: &str, see: See) -> Vec<Glyph> {
    let text = &text[..text.floor_char_boundary(u32::MAX as usize)];
    let mut glyphs = Vec::with_capacity(text.len());
    if text.is_ascii()
        && !text
            .bytes()
            .any(|b| b.is_ascii_control() && !b.is_ascii_whitespace())
    {
        read_ascii(text, see, &mut glyphs);
        return glyphs;
    }
    if see.has(See::BIDI) && bidi::is_overridden(text) {
        read_typed(bidi::displayed(text).into_iter(), see, &mut glyphs);
    } else {
        let typed = text.char_indices().map(|(start, ch)| Typed::new(start, ch));
        read_typed(typed, see, &mut glyphs);
    }
    if see.has(See::CONFUSABLE) {
        believe_looks(&mut glyphs);
    }
    glyphs
}

/// Reads a text of basic Latin, which needs nothing undone but case.
fn read_ascii(text: &str, see: See, glyphs: &mut Vec<Glyph>) {
    let fold = see.has(See::FOLD);
    glyphs.extend(text.bytes().zip(0_u32..).map(|(byte, start)| {
        let upper = byte.is_ascii_uppercase();
        Glyph {
            ch: char::from(if fold {
                byte.to_ascii_lowercase()
            } else {
                byte
            }),
            look: 0,
            other_look: 0,
            flags: if upper {
                flag::UPPER | flag::WORD
            } else {
                ascii_word(byte)
            },
            start,
            end: start + 1,
        }
    }));
}

/// Returns the flag `WORD` for a letter or digit.
const fn ascii_word(byte: u8) -> u32 {
    if byte.is_ascii_alphanumeric() {
        flag::WORD
    } else {
        0
    }
}

/// Reads characters in the order given.
fn read_typed(typed: impl Iterator<Item = Typed>, see: See, glyphs: &mut Vec<Glyph>) {
    let mut typed = typed
        .filter(|typed| !(see.has(See::INVISIBLE) && is_invisible(typed.ch)))
        .peekable();
    let mut cluster = String::new();
    let mut folded = String::new();
    while let Some(first) = typed.next() {
        let mut end = first.end();
        cluster.clear();
        while let Some(mark) = typed.next_if(|next| !next.ch.is_ascii() && joins_cluster(next.ch)) {
            // Marks lie behind their letter, except where overrides moved them.
            end = end.max(mark.end());
            if !(see.has(See::ACCENTS) && is_diacritic(mark.ch)) {
                if cluster.is_empty() {
                    cluster.push(first.ch);
                }
                cluster.push(mark.ch);
            }
        }
        let mut push = |ch: char, (look, other_look): (u8, u8)| {
            let flags = if first.ch.is_uppercase() {
                flag::UPPER
            } else {
                0
            };
            let word = look != 0 || ch.is_alphanumeric() || is_combining_mark(ch);
            glyphs.push(Glyph {
                ch,
                look,
                other_look,
                flags: flags | if word { flag::WORD } else { 0 },
                start: first.start.min(end),
                end,
            });
        };
        if cluster.is_empty() {
            if let Some(ch) = fold_one(first.ch, see) {
                push(ch, looks_of(first.ch, ch, see));
                continue;
            }
            cluster.push(first.ch);
        }
        folded.clear();
        fold_cluster(&cluster, see, &mut folded);
        let mut parts = folded.chars();
        let sole = parts.next().filter(|_| parts.next().is_none());
        let looks = looks_of(first.ch, first.ch, see);
        if looks.0 != 0 && folded.starts_with(' ') {
            // A letter that decomposes to a space and a mark is still what it looks like.
            push(first.ch, looks);
        } else if let Some(ch) = sole {
            push(ch, looks_of(first.ch, ch, see));
        } else {
            for ch in folded.chars() {
                push(ch, looks_of(ch, ch, see));
            }
        }
    }
}

/// Returns the letter a character looks like, by what was typed or else by what it folds to, and the other letter it
/// may be read as; 0 for none.
fn looks_of(typed: char, folded: char, see: See) -> (u8, u8) {
    if !see.has(See::CONFUSABLE) || typed.is_ascii() {
        return (0, 0);
    }
    if folded.is_ascii() {
        // The long s: an `f` to the eye.
        return if typed == 'ſ' { (b'f', 0) } else { (0, 0) };
    }
    match (look(typed), look(folded)) {
        (Some(first), Some(second)) if first != second => (first, second),
        (first, second) => (first.or(second).unwrap_or(0), 0),
    }
}

/// Folds a character that folds to one, or returns none where the slow way is needed.
fn fold_one(ch: char, see: See) -> Option<char> {
    if ch.is_ascii() {
        return Some(if see.has(See::FOLD) {
            ch.to_ascii_lowercase()
        } else {
            ch
        });
    }
    if see.has(See::FOLD) && is_nfkc_quick(std::iter::once(ch)) != IsNormalized::Yes {
        return None;
    }
    if see.has(See::ACCENTS) && is_accented_script(ch) && has_accent(ch) {
        return None;
    }
    if !see.has(See::FOLD) {
        return Some(ch);
    }
    match ch {
        'ς' => Some('σ'),
        'ß' | 'ẞ' => None,
        _ => {
            let mut lower = ch.to_lowercase();
            let first = lower.next()?;
            lower.next().is_none().then_some(first)
        }
    }
}

/// Folds a letter with its marks.
fn fold_cluster(cluster: &str, see: See, folded: &mut String) {
    let fold = see.has(See::FOLD);
    let strip = see.has(See::ACCENTS);
    let mut push = |ch: char| {
        if !fold {
            folded.push(ch);
        } else if ch == 'ß' || ch == 'ẞ' {
            folded.push_str("ss");
        } else if ch == 'ς' {
            folded.push('σ');
        } else {
            folded.extend(
                ch.to_lowercase()
                    .filter(|&lower| lower != '\u{307}' || ch != 'İ'),
            );
        }
    };
    let mut strip_and_push = |ch: char| {
        if strip && is_diacritic(ch) {
            return;
        }
        if strip && is_accented_script(ch) && has_accent(ch) {
            decompose_canonical(ch, |part| {
                if !is_diacritic(part) {
                    push(part);
                }
            });
        } else {
            push(ch);
        }
    };
    if fold {
        cluster.nfkc().for_each(&mut strip_and_push);
    } else if strip || is_nfc_quick(cluster.chars()) == IsNormalized::Yes {
        cluster.chars().for_each(&mut strip_and_push);
    } else {
        cluster.nfc().for_each(&mut strip_and_push);
    }
}

/// Says whether a character goes with the one before it when a text is normalised.
fn joins_cluster(ch: char) -> bool {
    is_combining_mark(ch) || matches!(ch, '\u{1160}'..='\u{11ff}')
}

/// Says whether a letter carries a mark that `accents` drops.
fn has_accent(ch: char) -> bool {
    let mut accented = false;
    decompose_canonical(ch, |part| accented |= is_diacritic(part));
    accented
}

/// Says whether a letter belongs to a script whose marks are accents: Latin, Greek, Cyrillic, Hebrew, Arabic.
fn is_accented_script(ch: char) -> bool {
    matches!(ch, '\u{c0}'..='\u{6ff}' | '\u{1e00}'..='\u{1fff}' | '\u{212a}'..='\u{212b}')
}

/// Says whether a mark is an accent: it changes how a letter looks, not which letter a reader sees. Vowel signs of
/// Indic and other scripts are letters to their readers and stay.
fn is_diacritic(ch: char) -> bool {
    matches!(ch,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Says whether a character shows nothing: default-ignorable code points, controls, tags, variation selectors.
///
/// Source: Unicode `DerivedCoreProperties.txt`, `Default_Ignorable_Code_Point`; controls, interlinear annotation and
/// the empty Braille pattern added.
pub(crate) fn is_invisible(ch: char) -> bool {
    if ch.is_ascii() {
        return ch.is_ascii_control() && !ch.is_ascii_whitespace() && ch != '\u{b}';
    }
    matches!(ch,
        '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Decides, word by word, whether look-alikes are read as Latin.
///
/// A word is an imitation if it holds a Latin letter too, or letters of several scripts. A word all of whose letters
/// look Latin is one if the text around it is mainly Latin. A symbol that looks like a letter is read as one anywhere.
fn believe_looks(glyphs: &mut [Glyph]) {
    if glyphs
        .iter()
        .all(|glyph| glyph.look == 0 && (glyph.ch.is_ascii() || !glyph.is_word()))
    {
        return;
    }
    let latin = glyphs.iter().filter(|glyph| is_latin(glyph.ch)).count();
    let other = glyphs
        .iter()
        .filter(|glyph| glyph.is_word() && !is_latin(glyph.ch))
        .count();
    let mainly_latin = latin > other;
    let mut from = 0;
    while from < glyphs.len() {
        let length = glyphs[from..]
            .iter()
            .take_while(|glyph| glyph.is_word())
            .count();
        believe_word(&mut glyphs[from..from + length], mainly_latin);
        from += length + 1;
    }
}

/// Reads an `S` beside a long s as its capital, which it is: who types `ſ` for `f` may type both.
fn read_long_s(word: &mut [Glyph]) {
    for n in 0..word.len() {
        let is_long = |n: Option<usize>| {
            n.and_then(|n| word.get(n))
                .is_some_and(|next| next.ch == 's' && next.look == b'f')
        };
        let is_capital = word[n].ch == 's' && word[n].is(flag::UPPER);
        if is_capital && (is_long(n.checked_sub(1)) || is_long(Some(n + 1))) {
            word[n].look = b'f';
        }
    }
}

/// Decides whether the look-alikes of one word are read as Latin.
fn believe_word(word: &mut [Glyph], mainly_latin: bool) {
    if word
        .iter()
        .all(|glyph| glyph.look == 0 && glyph.ch.is_ascii())
    {
        return;
    }
    read_long_s(word);
    let mut has_latin = false;
    let mut all_look = true;
    let mut script = None;
    let mut scripts_differ = false;
    for glyph in word.iter() {
        if is_latin(glyph.ch) {
            has_latin = true;
        } else if glyph.look == 0 {
            all_look &= glyph.ch.is_ascii();
        }
        if !glyph.ch.is_ascii() && glyph.ch.is_alphabetic() {
            let block = glyph.ch as u32 >> 8;
            scripts_differ |= script.is_some_and(|first| first != block);
            script = Some(block);
        }
    }
    let mixed = has_latin && script.is_some();
    let imitates = has_latin || (all_look && (mainly_latin || scripts_differ));
    for glyph in word {
        if imitates || !glyph.ch.is_alphanumeric() {
            glyph.flags |= flag::LATIN;
        }
        if mixed || !mainly_latin {
            glyph.flags |= flag::MIXED;
        }
    }
}

/// Says whether a character is a letter of the Latin script.
pub(crate) fn is_latin(ch: char) -> bool {
    ch.is_ascii_alphabetic()
        || (matches!(ch, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') && ch.is_alphabetic())
}
