//! What concerns words rather than characters: digits that stand for letters, and words spelt out letter by letter.
//!
//! Both passes only set flags on glyphs ([`flag::LEET`], [`flag::JOINED`] and its kin); views and matchers decide what
//! to make of them. Numbers, prices, dates, sizes and product codes are left alone.
use super::glyph::{Glyph, flag};
use super::lookalike::leet;

/// Marks the digits and symbols that stand for letters.
pub(crate) fn mark_leet(glyphs: &mut [Glyph]) {
    let last_closing = glyphs
        .iter()
        .rposition(|glyph| matches!(glyph.ch, ')' | '>'))
        .unwrap_or(0);
    let mut from = 0;
    while from < glyphs.len() {
        let length = glyphs[from..]
            .iter()
            .take_while(|glyph| is_token(glyph))
            .count();
        let end = from + length;
        if glyphs[from..end]
            .iter()
            .any(|glyph| leet(glyph.ch).is_some())
        {
            mark_token(glyphs, from, end, last_closing);
        }
        from = end + 1;
    }
}

/// Says whether a glyph may be part of a token: a word with symbols in it.
fn is_token(glyph: &Glyph) -> bool {
    glyph.is_word() || leet(glyph.ch).is_some()
}

/// Marks one token.
fn mark_token(glyphs: &mut [Glyph], from: usize, end: usize, last_closing: usize) {
    let end = from + without_punctuation(&glyphs[from..end]).len();
    let token = &glyphs[from..end];
    let digits = token.iter().filter(|glyph| is_digit(glyph)).count();
    let symbols = token.iter().filter(|glyph| !glyph.is_word()).count();
    let letters = token.len() - digits - symbols;
    if digits + symbols == 0 || is_amount(token) {
        return;
    }
    let are_letters = if letters == 0 {
        spells_without_letters(token, digits)
    } else {
        digits <= 3 * letters && !is_code(token) && !is_size(token)
    };
    if !are_letters && (letters == 0 || digits > 0) {
        return;
    }
    for (n, glyph) in glyphs.iter_mut().enumerate().take(end).skip(from) {
        let stands = is_digit(glyph)
            || match glyph.ch {
                // A bracket that is closed further on is a bracket.
                '(' | '<' => n >= last_closing,
                '¡' => n > from,
                ch => !glyph.is_word() && leet(ch).is_some(),
            };
        if stands {
            glyph.flags |= flag::LEET | flag::WORD;
            if glyph.ch == '6' {
                glyph.other_look = b'b';
            }
        }
    }
}

/// Cuts punctuation off the end of a token: exclamation marks, and more than one bracket, which is a smile.
fn without_punctuation(token: &[Glyph]) -> &[Glyph] {
    let ends_in = |token: &[Glyph], mark| token.last().is_some_and(|last| last.ch == mark);
    let mut end = token.len();
    while end > 0 {
        let rest = &token[..end];
        let is_mark = matches!(rest[end - 1].ch, '!' | '<' | '¡' | '§' | '†')
            || ['(', '|', '@', '+']
                .iter()
                .any(|&mark| ends_in(rest, mark) && ends_in(&rest[..end - 1], mark));
        if !is_mark {
            break;
        }
        let mark = rest[end - 1].ch;
        while end > 0 && token[end - 1].ch == mark {
            end -= 1;
        }
    }
    &token[..end]
}

/// Says whether digits and symbols without a letter spell a word: `@$$`, `4$5`, but no number, price or sum.
fn spells_without_letters(token: &[Glyph], digits: usize) -> bool {
    let has = |ch| token.iter().any(|glyph| glyph.ch == ch);
    let [first, .., last] = token else {
        return false;
    };
    match digits {
        0 => token.len() >= 3 && has('@') && has('$'),
        1..=3 => is_digit(first) && is_digit(last) && (has('@') || has('$')),
        _ => false,
    }
}

fn is_digit(glyph: &Glyph) -> bool {
    glyph.ch.is_ascii_digit()
}

/// Says whether a token is an amount of money: `$50`, `US$5k`.
fn is_amount(token: &[Glyph]) -> bool {
    let code = token
        .iter()
        .take_while(|glyph| glyph.is(flag::UPPER))
        .count();
    let [sign, number @ ..] = &token[code..] else {
        return false;
    };
    let is_currency = matches!(sign.ch, '$' | '£' | '€' | '¥');
    code <= 3
        && is_currency
        && (is_size(number) || (!number.is_empty() && number.iter().all(is_digit)))
}

/// Says whether a token is a code such as `A55`: one or two capitals and a number.
fn is_code(token: &[Glyph]) -> bool {
    let capitals = token
        .iter()
        .take_while(|glyph| glyph.is(flag::UPPER))
        .count();
    (1..=2).contains(&capitals)
        && token[capitals..]
            .iter()
            .all(|glyph| glyph.ch.is_ascii_digit())
}

/// Says whether a token is a number with its unit or ending: `5th`, `90s`, `7in`, `4am`.
fn is_size(token: &[Glyph]) -> bool {
    const ENDINGS: [&str; 52] = [
        "st", "nd", "rd", "th", "s", "am", "pm", "k", "m", "g", "x", "h", "d", "b", "c", "f", "p",
        "a", "e", "l", "t", "v", "w", "y", "in", "ft", "kg", "km", "cm", "mm", "nm", "mg", "ml",
        "mb", "gb", "tb", "kb", "px", "hz", "oz", "lb", "lbs", "min", "mins", "sec", "secs", "hr",
        "hrs", "yr", "yrs", "er", "ish",
    ];
    let digits = token
        .iter()
        .take_while(|glyph| glyph.ch.is_ascii_digit())
        .count();
    let ending = &token[digits..];
    digits > 0
        && ENDINGS.iter().any(|known| {
            known.len() == ending.len()
                && known
                    .chars()
                    .zip(ending)
                    .all(|(ch, glyph)| glyph.ch.to_ascii_lowercase() == ch)
        })
}

/// Fewest letters in a row that are taken for a spelt-out word.
const FEWEST_LETTERS: usize = 3;
/// Most characters between two letters of a spelt-out word.
const WIDEST_GAP: usize = 5;

/// Marks words spelt out letter by letter: `s p e l t`, `s.p.e.l.t`, `s - p - e - l - t`.
///
/// Only letters that stand alone count, so that no two words of a sentence are joined.
pub(crate) fn mark_joined(glyphs: &mut [Glyph]) {
    let mut letters: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < glyphs.len() {
        if !is_letter(glyphs, at) {
            at += 1;
            continue;
        }
        let too_far = letters
            .last()
            .is_some_and(|&last| at - last - 1 > WIDEST_GAP);
        let is_alone = !glyphs.get(at + 1).is_some_and(Glyph::is_word);
        if too_far || !is_alone {
            mark_run(glyphs, &letters);
            letters.clear();
        }
        if is_alone {
            letters.push(at);
            at += 1;
        } else {
            at += glyphs[at..]
                .iter()
                .take_while(|glyph| glyph.is_word())
                .count();
        }
    }
    mark_run(glyphs, &letters);
}

/// Says whether a glyph may be a letter of a spelt-out word.
fn is_letter(glyphs: &[Glyph], at: usize) -> bool {
    let glyph = &glyphs[at];
    if glyph.is_word() {
        return true;
    }
    let is_apart = |n: Option<usize>| {
        n.and_then(|n| glyphs.get(n))
            .is_some_and(|next| !next.is_word())
    };
    matches!(glyph.ch, '@' | '$' | '!') && is_apart(at.checked_sub(1)) && is_apart(Some(at + 1))
}

/// Marks one row of letters that stand alone.
fn mark_run(glyphs: &mut [Glyph], letters: &[usize]) {
    if letters.len() < FEWEST_LETTERS {
        return;
    }
    // Within a word the gaps are alike; where one is wider, or a space among dots, a word ends.
    let gap = |n: usize| &glyphs[letters[n - 1] + 1..letters[n]];
    let is_blank = |n: usize| gap(n).iter().all(|glyph| glyph.ch.is_whitespace());
    let narrowest = (1..letters.len()).map(|n| gap(n).len()).min().unwrap_or(1);
    let ends_before = |n: usize, word: usize| {
        let is_odd = || word + 1 < n && is_blank(n) && !is_blank(word + 1);
        n == letters.len() || gap(n).len() > narrowest || is_odd()
    };
    let is_one_letter_word = |n: usize| matches!(glyphs[letters[n]].ch, 'a' | 'i' | 'u');
    let mut flags = vec![0_u32; letters.len()];
    let mut word = 0;
    for n in 1..=letters.len() {
        let ends = ends_before(n, word);
        if n < letters.len() {
            flags[n] |= flag::JOINED | if ends { flag::JOIN_SPACE } else { 0 };
        }
        if ends {
            flags[word] |= flag::JOIN_START;
            flags[n - 1] |= flag::JOIN_END;
            if n - word > FEWEST_LETTERS {
                if is_one_letter_word(word) {
                    flags[word + 1] |= flag::JOIN_START;
                }
                if is_one_letter_word(n - 1) {
                    flags[n - 2] |= flag::JOIN_END;
                }
            }
            word = n;
        }
    }
    let has_letter = letters.iter().any(|&at| glyphs[at].ch.is_alphabetic());
    for (&at, flags) in letters.iter().zip(flags) {
        let leet = if has_letter && leet(glyphs[at].ch).is_some() {
            flag::LEET | flag::WORD
        } else {
            0
        };
        glyphs[at].flags |= flags | leet;
    }
}
