//! A text with some disguises undone, and the way back to the bytes as typed.
//!
//! What is undone is a [`See`]; it happens in this order whatever the order of the names: overrides are read as
//! displayed (`bidi`), what shows nothing is dropped (`invisible`), NFKC and lower case (`fold`), accents, look-alikes
//! (`confusable`, by the character as typed, so that `Η` is an `h` and `η` an `n`), `leet`, `joined`, `repeat` (three
//! and more of a letter become one; two stay). `mask` changes no text: a symbol that hides a letter is known by the
//! words it may hide, see `rules::words`.
//!
//! Where one character may be read in two ways, the view takes the likelier; the word matcher tries both.
use std::ops::Range;

use super::See;
use super::glyph::{self, Glyph, flag};
use super::lookalike::{STROKE, leet};
use super::token;

/// A text as a filter reads it.
#[derive(Debug, Clone)]
pub struct View {
    text: String,
    map: Map,
}

impl View {
    /// Reads a text with the classes of `see` undone.
    ///
    /// # Complexity
    /// Linear in the text; a text of basic Latin with nothing but case to undo is copied.
    #[must_use]
    pub fn of(text: &str, see: See) -> Self {
        if see.without(See::FOLD.with(See::MASK)).is_empty()
            && (text.is_ascii() || !see.has(See::FOLD))
        {
            let folded = if see.has(See::FOLD) {
                text.to_ascii_lowercase()
            } else {
                text.to_owned()
            };
            let map = Map::straight(folded.len());
            return Self { text: folded, map };
        }
        let mut glyphs = glyph::read(text, see);
        if see.has(See::LEET) {
            token::mark_leet(&mut glyphs);
        }
        if see.has(See::JOINED) {
            token::mark_joined(&mut glyphs);
        }
        let mut view = Self {
            text: String::with_capacity(text.len()),
            map: Map::default(),
        };
        let mut at = 0;
        while at < glyphs.len() {
            if let Some(gap) = gap_to_joined(&glyphs, at) {
                if glyphs[at + gap].is(flag::JOIN_SPACE) {
                    let (start, end) = (glyphs[at].start, glyphs[at + gap - 1].end);
                    view.push(' ', start.min(end), start.max(end));
                }
                at += gap;
                continue;
            }
            let glyph = glyphs[at];
            let ch = reading(&glyph);
            let run = if see.has(See::REPEAT) && ch.is_alphabetic() {
                glyphs[at..]
                    .iter()
                    .take_while(|next| reading(next) == ch && next.is_word())
                    .count()
            } else {
                1
            };
            if run > 2 {
                let last = glyphs[at + run - 1];
                view.push(ch, glyph.start.min(last.start), glyph.end.max(last.end));
                at += run;
            } else {
                view.push(ch, glyph.start, glyph.end);
                at += 1;
            }
        }
        view
    }

    /// Returns what is read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the range of the original text that shows a range of the view.
    ///
    /// The range is widened to character boundaries of both texts; an empty range stays empty.
    #[must_use]
    pub fn original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(range.start);
        let end = self.text.ceil_char_boundary(range.end.max(start));
        self.map.original(start..end)
    }

    fn push(&mut self, ch: char, start: u32, end: u32) {
        self.map.push(self.text.len(), ch.len_utf8(), start, end);
        self.text.push(ch);
    }
}

/// Returns the number of glyphs between here and the next letter of a spelt-out word, if `at` is such a gap.
fn gap_to_joined(glyphs: &[Glyph], at: usize) -> Option<usize> {
    if glyphs[at].is_word() || at == 0 || !glyphs[at - 1].is_word() {
        return None;
    }
    let gap = glyphs[at..]
        .iter()
        .take_while(|glyph| !glyph.is_word())
        .count();
    glyphs
        .get(at + gap)
        .filter(|next| next.is(flag::JOINED))
        .map(|_| gap)
}

/// Returns the character a glyph is most likely read as.
fn reading(glyph: &Glyph) -> char {
    if glyph.look != 0 && glyph.is(flag::LATIN) {
        return match glyph.look {
            STROKE if glyph.is(flag::UPPER) => 'i',
            STROKE => 'l',
            letter => char::from(letter),
        };
    }
    match leet(glyph.ch) {
        Some(STROKE) if glyph.is(flag::LEET) && glyph.ch == '|' => 'l',
        Some(STROKE) if glyph.is(flag::LEET) => 'i',
        Some(letter) if glyph.is(flag::LEET) => char::from(letter),
        _ => glyph.ch,
    }
}

/// The way from bytes of a view to bytes of the original, as few pieces as the changes allow.
#[derive(Debug, Clone, Default)]
struct Map {
    pieces: Vec<Piece>,
}

/// Bytes of the view from `at` to the next piece, shown by bytes `start..end` of the original.
#[derive(Debug, Clone, Copy)]
struct Piece {
    at: u32,
    /// Invariant: if `end - start` is the length of the piece, bytes correspond one by one.
    start: u32,
    end: u32,
    /// Length in the view.
    len: u32,
}

impl Piece {
    const fn is_straight(&self) -> bool {
        self.end - self.start == self.len
    }
}

impl Map {
    /// Maps a text to itself.
    fn straight(len: usize) -> Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Self {
            pieces: vec![Piece {
                at: 0,
                start: 0,
                end: len,
                len,
            }],
        }
    }

    /// Adds a character of `len` bytes that is shown by `start..end`.
    fn push(&mut self, at: usize, len: usize, start: u32, end: u32) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        if let Some(last) = self.pieces.last_mut()
            && last.is_straight()
            && end - start == len
            && last.end == start
        {
            last.len += len;
            last.end = end;
            return;
        }
        self.pieces.push(Piece {
            at,
            start,
            end,
            len,
        });
    }

    fn original(&self, range: Range<usize>) -> Range<usize> {
        let from = self
            .pieces
            .partition_point(|piece| piece.at as usize <= range.start);
        let Some(first) = from.checked_sub(1) else {
            return 0..0;
        };
        let (mut start, mut end) = (usize::MAX, 0);
        for piece in &self.pieces[first..] {
            let at = piece.at as usize;
            if at >= range.end && start != usize::MAX {
                break;
            }
            let (left, right) = if piece.is_straight() {
                let skip = range.start.saturating_sub(at).min(piece.len as usize);
                let stop = (range.end.max(range.start) - at).min(piece.len as usize);
                (
                    piece.start as usize + skip,
                    piece.start as usize + stop.max(skip),
                )
            } else if range.is_empty() {
                (piece.start as usize, piece.start as usize)
            } else {
                (piece.start as usize, piece.end as usize)
            };
            start = start.min(left);
            end = end.max(right);
        }
        start.min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks what a view reads.
    fn check(typed: &str, expected: &str) {
        assert_eq!(View::of(typed, See::ALL).text(), expected, "{typed:?}");
    }

    #[test]
    fn each_disguise_is_undone() {
        check("ＦＵＬＬ ｗｉｄｔｈ", "full width");
        check("g\u{200b}ar\u{ad}d\u{2060}en", "garden");
        check("gárd̶en̈ naïve", "garden naive");
        check("gаrdеn in my town", "garden in my town");
        check("𝒈𝒂𝒓𝒅𝒆𝒏", "garden");
        check("g4rd3n b!ke", "garden bike");
        check("g.a.r.d.e.n g a r d e n now", "garden garden now");
        check("g a r d e n   p o n d", "garden pond");
        check("gaaarden good", "garden good");
        check("a \u{202e}nedrag\u{202c} b", "a garden b");
    }

    #[test]
    fn plain_text_is_left_alone() {
        for plain in [
            "call 0800 555 0199 before 5pm on the 4th for $50",
            "push it as shown (see it), 3 of 10 at 12:30!",
            "привет, это просто текст",
            "我喜欢这个花园",
            "สวัสดีครับ",
            "안녕하세요 정원",
        ] {
            check(plain, plain);
        }
    }

    #[test]
    fn a_range_covers_what_a_person_would_point_at() {
        let typed = "see g\u{200b}á\u{200b}rd̶en now";
        let view = View::of(typed, See::ALL);
        let at = view.text().find("garden").unwrap();
        assert_eq!(&typed[view.original(at..at + 6)], "g\u{200b}á\u{200b}rd̶en");

        let typed = "see g a r d e n now";
        let view = View::of(typed, See::ALL);
        let at = view.text().find("garden").unwrap();
        assert_eq!(&typed[view.original(at..at + 6)], "g a r d e n");

        let typed = "see \u{202e}nedrag\u{202c} now";
        let view = View::of(typed, See::ALL);
        let at = view.text().find("garden").unwrap();
        assert_eq!(&typed[view.original(at..at + 6)], "nedrag");
    }

    #[test]
    fn an_expansion_maps_to_the_one_character() {
        let typed = "a \u{fdfa} b";
        let view = View::of(typed, See::FOLD);
        let at = view.text().find('ص').unwrap();
        assert_eq!(&typed[view.original(at..at + 2)], "\u{fdfa}");
    }

    proptest! {
        #[test]
        fn every_range_lies_on_boundaries_and_grows_with_its_view(
            typed in "([a-z0-9 .!@$]|\\PC|[\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{300}-\u{310}]){0,60}",
            bits in 0_u16..512,
            ends in (0_usize..400, 0_usize..400),
        ) {
            let see: See = See::all_names().enumerate().filter(|(n, _)| bits >> n & 1 == 1)
                .map(|(_, name)| name.parse::<See>().unwrap()).collect();
            let view = View::of(&typed, see);
            let (start, end) = (ends.0.min(ends.1), ends.0.max(ends.1));

            let range = view.original(start.min(view.text().len())..end.min(view.text().len()));

            prop_assert!(typed.get(range.clone()).is_some());
            let whole = view.original(0..view.text().len());
            prop_assert!(range.is_empty() || (whole.start <= range.start && range.end <= whole.end));
        }
    }
}
