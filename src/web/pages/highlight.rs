//! A text cut into pieces that are marked or not, with the characters that have no ink made visible.
//!
//! Invariant: the pieces, joined, are the text, byte for byte, whatever the spans are.

use crate::domain::Span;

/// A span that a reason points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Bytes in the text.
    pub span: Span,
    /// The number of the reason, as shown beside it.
    pub reason: usize,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The piece as typed.
    pub text: &'a str,
    /// The reasons that point at it, ascending; empty for plain text.
    pub reasons: Vec<usize>,
    /// Reasons whose marked passage ends with this piece: their numbers are shown here.
    pub ends: Vec<usize>,
    /// What to show for a single character without ink.
    pub glyph: Option<Glyph>,
}

impl Segment<'_> {
    /// True if a reason points at it.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// The numbers to show after it: `1`, `1, 3`.
    #[must_use]
    pub fn end_numbers(&self) -> String {
        let numbers: Vec<_> = self.ends.iter().map(ToString::to_string).collect();
        numbers.join(", ")
    }
}

/// A stand-in for a character that shows nothing or reorders what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph {
    /// Shown in its place: `RLO`, `ZWSP`.
    pub short: &'static str,
    /// Said on hover and by screen readers.
    pub name: &'static str,
}

/// Cuts `text` at the ends of all marks and around each character without ink.
///
/// Spans that end before they start, lie beyond the text or cut a character are clipped to what can be shown.
#[must_use]
pub fn highlight<'a>(text: &'a str, marks: &[Mark]) -> Vec<Segment<'a>> {
    let marks: Vec<(usize, usize, usize)> = marks
        .iter()
        .map(|mark| {
            let start = text.floor_char_boundary(mark.span.start as usize);
            let end = text.ceil_char_boundary(mark.span.end as usize);
            (start, end, mark.reason)
        })
        .filter(|(start, end, _)| start < end)
        .collect();

    let mut cuts = vec![0, text.len()];
    for (start, end, _) in &marks {
        cuts.extend([*start, *end]);
    }
    for (at, c) in text.char_indices() {
        if glyph_of(c, &text[..at]).is_some() {
            cuts.extend([at, at + c.len_utf8()]);
        }
    }
    cuts.sort_unstable();
    cuts.dedup();

    cuts.windows(2)
        .map(|cut| {
            let (start, end) = (cut[0], cut[1]);
            let piece = &text[start..end];
            let over = |m: &&(usize, usize, usize)| m.0 <= start && end <= m.1;
            Segment {
                text: piece,
                reasons: numbers(marks.iter().filter(over)),
                ends: numbers(marks.iter().filter(over).filter(|m| m.1 == end)),
                glyph: only_char(piece).and_then(|c| glyph_of(c, &text[..start])),
            }
        })
        .collect()
}

fn numbers<'a>(marks: impl Iterator<Item = &'a (usize, usize, usize)>) -> Vec<usize> {
    let mut numbers: Vec<_> = marks.map(|(_, _, reason)| *reason).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn only_char(piece: &str) -> Option<char> {
    let mut chars = piece.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// The stand-in for `c` after `before`. A joiner is shown only where no script or emoji needs it.
fn glyph_of(c: char, before: &str) -> Option<Glyph> {
    let (short, name) = match c {
        '\u{200b}' => ("ZWSP", "zero-width space"),
        '\u{200c}' if joins_nothing(before) => ("ZWNJ", "zero-width non-joiner"),
        '\u{200d}' if joins_nothing(before) => ("ZWJ", "zero-width joiner"),
        '\u{200e}' => ("LRM", "left-to-right mark"),
        '\u{200f}' => ("RLM", "right-to-left mark"),
        '\u{061c}' => ("ALM", "Arabic letter mark"),
        '\u{202a}' => ("LRE", "left-to-right embedding"),
        '\u{202b}' => ("RLE", "right-to-left embedding"),
        '\u{202c}' => ("PDF", "end of direction override"),
        '\u{202d}' => ("LRO", "left-to-right override"),
        '\u{202e}' => ("RLO", "right-to-left override"),
        '\u{2066}' => ("LRI", "left-to-right isolate"),
        '\u{2067}' => ("RLI", "right-to-left isolate"),
        '\u{2068}' => ("FSI", "first strong isolate"),
        '\u{2069}' => ("PDI", "end of isolate"),
        '\u{2028}' => ("LSEP", "line separator"),
        '\u{2029}' => ("PSEP", "paragraph separator"),
        '\u{2060}' => ("WJ", "word joiner"),
        '\u{2061}'..='\u{2064}' => ("INV", "invisible operator"),
        '\u{206a}'..='\u{206f}' => ("DEPR", "deprecated format character"),
        '\u{feff}' => ("BOM", "zero-width no-break space"),
        '\u{00ad}' => ("SHY", "soft hyphen"),
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => ("HF", "Hangul filler"),
        '\u{2800}' => ("BLANK", "blank Braille pattern"),
        '\u{fff9}'..='\u{fffb}' => ("IA", "interlinear annotation"),
        // Tags spell hidden ASCII, but behind a black flag they name the country.
        TAG_FIRST..=TAG_LAST if !names_a_flag(before) => ("TAG", "hidden tag character"),
        '\n' | '\t' => return None,
        _ if c.is_control() => ("CTRL", "control character"),
        _ => return None,
    };
    Some(Glyph { short, name })
}

const TAG_FIRST: char = '\u{e0001}';
const TAG_LAST: char = '\u{e007f}';

fn names_a_flag(before: &str) -> bool {
    before
        .trim_end_matches(|c| (TAG_FIRST..=TAG_LAST).contains(&c))
        .ends_with('\u{1f3f4}')
}

/// True at the start of a text and after a character of a script that has no use for joiners.
fn joins_nothing(before: &str) -> bool {
    before.chars().next_back().is_none_or(|c| {
        c < '\u{0590}' || c.is_whitespace() || ('\u{200b}'..='\u{206f}').contains(&c)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(start: u32, end: u32, reason: usize) -> Mark {
        Mark {
            span: Span { start, end },
            reason,
        }
    }

    #[test]
    fn marked_and_plain_pieces_alternate() {
        let text = "see cheap pills here";

        let pieces = highlight(text, &[mark(4, 15, 1)]);

        let shown: Vec<_> = pieces.iter().map(|p| (p.text, p.is_marked())).collect();
        assert_eq!(
            shown,
            [("see ", false), ("cheap pills", true), (" here", false)]
        );
    }

    #[test]
    fn overlapping_marks_name_all_their_reasons_and_end_once() {
        let pieces = highlight("abcdef", &[mark(0, 4, 1), mark(2, 6, 2)]);

        let shown: Vec<_> = pieces
            .iter()
            .map(|p| (p.text, p.reasons.clone(), p.end_numbers()))
            .collect();
        assert_eq!(
            shown,
            [
                ("ab", vec![1], String::new()),
                ("cd", vec![1, 2], "1".to_owned()),
                ("ef", vec![2], "2".to_owned()),
            ]
        );
    }

    #[test]
    fn an_override_becomes_a_glyph_of_its_own() {
        let pieces = highlight("a\u{202e}b", &[]);

        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].glyph.map(|g| g.short), Some("RLO"));
        assert_eq!(pieces[1].text, "\u{202e}");
    }

    #[test]
    fn joiners_stay_quiet_where_writing_needs_them() {
        let family = "👩\u{200d}👧";
        let persian = "می\u{200c}خواهم";
        let disguise = "via\u{200d}gra";

        assert!(highlight(family, &[]).iter().all(|p| p.glyph.is_none()));
        assert!(highlight(persian, &[]).iter().all(|p| p.glyph.is_none()));
        assert!(highlight(disguise, &[]).iter().any(|p| p.glyph.is_some()));
    }

    proptest! {
        #[test]
        fn the_pieces_joined_are_the_text(
            text in "[a-z <&\u{200b}\u{202e}\u{e4}👩\u{200d}\n]{0,60}",
            spans in prop::collection::vec((0u32..200, 0u32..200, 1usize..5), 0..8),
        ) {
            let marks: Vec<_> = spans.iter().map(|(a, b, n)| mark(*a, *b, *n)).collect();
            let pieces = highlight(&text, &marks);
            let joined: String = pieces.iter().map(|piece| piece.text).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn a_mark_covers_what_its_span_covers_and_no_more(
            text in "[a-f]{1,40}",
            start in 0u32..40,
            length in 1u32..10,
        ) {
            let pieces = highlight(&text, &[mark(start, start + length, 1)]);
            let marked: usize = pieces.iter().filter(|p| p.is_marked()).map(|p| p.text.len()).sum();
            let expected = text.len().min((start + length) as usize).saturating_sub(start as usize);
            prop_assert_eq!(marked, expected);
        }
    }
}
