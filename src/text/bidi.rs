//! Puts text under directional overrides into the order in which it is displayed.
//!
//! Only overrides (RLO, LRO) are undone, because only they make a reader see other words than a machine; natural
//! right-to-left text is left in logical order, which is its reading order. This is no full bidirectional algorithm.
//!
//! Source: UAX #9, rules X1 to X8 (levels) and L2 (reversal), reduced to overrides.
use unicode_normalization::char::is_combining_mark;

use super::glyph::Typed;

/// Deepest level of embedding, as UAX #9 has it; deeper controls are ignored.
const MAX_DEPTH: u8 = 125;

/// Says whether a text holds a directional override at all.
pub(super) fn is_overridden(text: &str) -> bool {
    text.contains(['\u{202d}', '\u{202e}'])
}

/// Returns the characters of a text as displayed, without the controls that ordered them.
///
/// # Complexity
/// Linear in the text, times the depth of nested overrides for the pieces between controls alone.
pub(super) fn displayed(text: &str) -> Vec<Typed> {
    let mut shown = Vec::with_capacity(text.len());
    let mut pieces: Vec<Piece> = Vec::new();
    let mut stack: Vec<Embedding> = Vec::new();
    let mut ignored = 0_usize;
    for (start, ch) in text.char_indices() {
        let (level, overrides) = stack.last().map_or((0, false), |embedding| {
            (embedding.level, embedding.overrides)
        });
        match ch {
            '\u{202a}'..='\u{202b}' | '\u{202d}'..='\u{202e}' | '\u{2066}'..='\u{2068}' => {
                let new = match ch {
                    '\u{202e}' => Embedding {
                        level: (level + 1) | 1,
                        overrides: true,
                    },
                    '\u{202d}' => Embedding {
                        level: (level + 2) & !1,
                        overrides: true,
                    },
                    // An embedding or isolate without override leaves words in reading order.
                    _ => Embedding {
                        level,
                        overrides: overrides && level % 2 == 1,
                    },
                };
                if stack.len() < usize::from(MAX_DEPTH) && new.level <= MAX_DEPTH {
                    stack.push(new);
                } else {
                    ignored += 1;
                }
            }
            '\u{202c}' | '\u{2069}' => {
                if ignored > 0 {
                    ignored -= 1;
                } else {
                    stack.pop();
                }
            }
            '\n' | '\r' | '\u{2029}' => {
                stack.clear();
                ignored = 0;
                reorder(&mut shown, &mut pieces);
                shown.push(Typed::new(start, ch));
            }
            _ => {
                // A right-to-left letter under a right-to-left override is displayed as it reads.
                let level = if overrides && is_right_to_left(ch) {
                    level ^ 1
                } else {
                    level
                };
                match pieces.last_mut() {
                    Some(piece) if piece.level == level => piece.chars.push(Typed::new(start, ch)),
                    _ => pieces.push(Piece {
                        level,
                        chars: vec![Typed::new(start, ch)],
                    }),
                }
            }
        }
    }
    reorder(&mut shown, &mut pieces);
    shown
}

/// One embedding that is open.
#[derive(Clone, Copy)]
struct Embedding {
    level: u8,
    overrides: bool,
}

/// Characters of one level in a row.
struct Piece {
    level: u8,
    chars: Vec<Typed>,
}

/// Moves a line's pieces to the end of `shown`, reversed level by level from the deepest (rule L2).
fn reorder(shown: &mut Vec<Typed>, pieces: &mut Vec<Piece>) {
    let deepest = pieces.iter().map(|piece| piece.level).max().unwrap_or(0);
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    for level in (1..=deepest).rev() {
        let mut from = 0;
        while from < order.len() {
            let run = order[from..]
                .iter()
                .take_while(|&&n| pieces[n].level >= level)
                .count();
            order[from..from + run].reverse();
            from += run + 1;
        }
    }
    for n in order {
        if pieces[n].level % 2 == 1 {
            push_reversed(shown, &pieces[n].chars);
        } else {
            shown.extend_from_slice(&pieces[n].chars);
        }
    }
    pieces.clear();
}

/// Appends characters last first, each mark still behind its letter.
fn push_reversed(shown: &mut Vec<Typed>, chars: &[Typed]) {
    let mut end = chars.len();
    for start in (0..chars.len()).rev() {
        if start == 0 || !is_combining_mark(chars[start].ch) {
            shown.extend_from_slice(&chars[start..end]);
            end = start;
        }
    }
}

/// Says whether a character belongs to a right-to-left script.
fn is_right_to_left(ch: char) -> bool {
    matches!(ch, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: &str) {
        let shown: String = displayed(typed).iter().map(|typed| typed.ch).collect();
        assert_eq!(shown, expected, "{typed:?}");
    }

    #[test]
    fn an_override_is_read_as_displayed() {
        check("a \u{202e}olleh\u{202c} b", "a hello b");
        check("\u{202e}olleh", "hello");
        check(
            "\u{202e}dlrow \u{202d}big\u{202c} olleh\u{202c}",
            "hello big world",
        );
    }

    #[test]
    fn natural_right_to_left_text_keeps_its_order() {
        check("\u{202b}שלום\u{202c} a", "שלום a");
        check("\u{202e}שלום\u{202c}", "שלום");
    }

    #[test]
    fn a_new_line_ends_every_override() {
        check("\u{202e}ba\ncd", "ab\ncd");
    }

    #[test]
    fn marks_stay_behind_their_letter() {
        check("\u{202e}xe\u{301}a\u{202c}", "ae\u{301}x");
    }
}
