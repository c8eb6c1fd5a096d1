//! What the letters of a text tell without their meaning: script, language, capitals, repetition, disorder.
//!
//! These are measurements, not judgements: a text in capitals or of great entropy is nothing but that. Only
//! [`language`] costs more than a pass over the text, so it is a function of its own.
//!
//! **Invariant:** every ratio lies between 0 and 1, whatever the text.
use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};
use unicode_segmentation::UnicodeSegmentation;

use super::glyph::{is_invisible, is_latin};
use super::lookalike::look;

/// Measurements of a text, all from one pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    /// Characters, by Unicode's scalar values.
    pub chars: usize,
    /// Words, by Unicode's word boundaries.
    pub words: usize,
    /// The script most letters are written in, by its ISO 15924 code; none without letters.
    pub script: Option<&'static str>,
    /// Words that mix letters of look-alike scripts.
    pub mixed_words: usize,
    /// Places disguised by invisible characters, direction overrides or look-alike letters.
    pub disguised_places: usize,
    /// Share of capitals among the letters that have case.
    pub caps_ratio: f64,
    /// Share of characters that repeat the one before, in runs of three or more.
    pub repeat_ratio: f64,
    /// Shannon entropy of the characters, in bits.
    pub entropy: f64,
    /// Share of the Latin letters that stand in words no language would write.
    pub gibberish: f64,
}

impl Shape {
    /// Measures a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut shape = Self {
            words: count_words(text),
            ..Self::default()
        };
        let (mut upper, mut cased, mut repeats, mut run) = (0_usize, 0_usize, 0_usize, 0_usize);
        let mut last = None;
        let mut ascii_counts = [0_u32; 128];
        let mut other_counts: HashMap<char, u32> = HashMap::new();
        let mut scripts: Vec<(Script, usize)> = Vec::new();
        for ch in text.chars() {
            shape.chars += 1;
            if ch.is_ascii() {
                ascii_counts[ch as usize] += 1;
            } else {
                *other_counts.entry(ch).or_default() += 1;
            }
            if ch.is_alphabetic() {
                let script = if ch.is_ascii() {
                    Script::Latin
                } else {
                    ch.script()
                };
                match scripts.iter_mut().find(|(known, _)| *known == script) {
                    Some((_, count)) => *count += 1,
                    None => scripts.push((script, 1)),
                }
                upper += usize::from(ch.is_uppercase());
                cased += usize::from(ch.is_uppercase() || ch.is_lowercase());
            }
            run = if last == Some(ch) { run + 1 } else { 0 };
            repeats += match run {
                0 | 1 => 0,
                2 => 2,
                _ => 1,
            };
            last = Some(ch);
        }
        let counts = ascii_counts.iter().chain(other_counts.values());
        shape.entropy = entropy(counts.copied().filter(|&count| count > 0), shape.chars);
        shape.script = scripts
            .iter()
            .filter(|(script, _)| !matches!(script, Script::Common | Script::Inherited))
            .max_by_key(|(_, count)| *count)
            .map(|(script, _)| script.short_name());
        shape.caps_ratio = ratio(upper, cased);
        shape.repeat_ratio = ratio(repeats, shape.chars);
        shape.gibberish = gibberish(text);
        if !text.is_ascii() {
            shape.mixed_words = words(text).filter(|word| mixes_scripts(word)).count();
            shape.disguised_places = shape.mixed_words + hidden_places(text);
        }
        shape
    }
}

/// A language that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// Its ISO 639-3 code.
    pub code: &'static str,
    /// Whether the text is long and clear enough to rely on it.
    pub is_reliable: bool,
}

/// Most bytes that the language is told from: it costs 0.4 microseconds a byte.
const LANGUAGE_BYTES: usize = 200;

/// Tells the language of a text from its first 200 bytes of words, or none if it cannot be told.
#[must_use]
pub fn language(text: &str) -> Option<Language> {
    let mut sample = String::with_capacity(LANGUAGE_BYTES + 8);
    for word in text
        .split_whitespace()
        .filter(|word| !word.contains("://") && !word.contains('@'))
    {
        let room = LANGUAGE_BYTES.saturating_sub(sample.len());
        if room == 0 {
            break;
        }
        // A text without spaces is cut within its only word.
        sample.push_str(&word[..word.floor_char_boundary(room)]);
        sample.push(' ');
    }
    let found = whatlang::detect(&sample)?;
    Some(Language {
        code: found.lang().code(),
        is_reliable: found.is_reliable(),
    })
}

/// Counts words.
fn count_words(text: &str) -> usize {
    if !text.is_ascii() {
        return text.unicode_words().count();
    }
    // In basic Latin a word is letters and digits, joined by an apostrophe, a dot or an underscore between them.
    let bytes = text.as_bytes();
    let mut count = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let follows = |n: usize| bytes.get(n).is_some_and(u8::is_ascii_alphanumeric);
        let continues = match at.checked_sub(1).map(|n| bytes[n]) {
            None => false,
            Some(b'\'' | b'.' | b'_') => at >= 2 && follows(at - 2),
            Some(before) => before.is_ascii_alphanumeric(),
        };
        count += usize::from(byte.is_ascii_alphanumeric() && !continues);
    }
    count
}

/// Lists maximal runs of letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|ch: char| !ch.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Says whether a word holds Latin letters and letters of another script that look Latin.
fn mixes_scripts(word: &str) -> bool {
    const SHORTEST: usize = 4; // `µm` and `Δt` are units
    let has_latin = word.chars().any(is_latin);
    let has_lookalike = || {
        word.chars().any(|ch| {
            look(ch).is_some()
                && matches!(
                    ch.script(),
                    Script::Cyrillic
                        | Script::Greek
                        | Script::Armenian
                        | Script::Cherokee
                        | Script::Coptic
                        | Script::Lisu
                        | Script::Georgian
                        | Script::Canadian_Aboriginal
                        | Script::Deseret
                        | Script::Osage
                        | Script::Warang_Citi
                        | Script::Miao
                )
        })
    };
    !word.is_ascii() && has_latin && has_lookalike() && word.chars().count() >= SHORTEST
}

/// Counts places where something invisible stands within a word, and direction overrides.
fn hidden_places(text: &str) -> usize {
    let mut places = 0;
    let mut letter_before = false;
    let mut hidden = false;
    for ch in text.chars() {
        if matches!(ch, '\u{202d}' | '\u{202e}') {
            places += 1;
        } else if is_invisible(ch) && ch != '\u{ad}' {
            hidden = letter_before && needs_no_joiner(ch);
            continue;
        } else if hidden && is_latin(ch) {
            places += 1;
        }
        hidden = false;
        letter_before = is_latin(ch) || (letter_before && !ch.is_ascii() && !ch.is_alphanumeric());
    }
    places
}

/// Says whether an invisible character has no business between Latin letters.
const fn needs_no_joiner(ch: char) -> bool {
    !matches!(ch, '\u{fe00}'..='\u{fe0f}' | '\u{200e}' | '\u{200f}')
}

/// Returns the entropy of counts that add up to `total`, in bits.
#[expect(clippy::cast_precision_loss, reason = "no text has 2^52 characters")]
fn entropy(counts: impl Iterator<Item = u32>, total: usize) -> f64 {
    if total == 0 {
        return 0.0;
    }
    let total = total as f64;
    let sum: f64 = counts
        .map(|count| f64::from(count) * f64::from(count).log2())
        .sum();
    (total.log2() - sum / total).max(0.0)
}

/// Returns a share, 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "no text has 2^52 characters")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// For each letter from `a`, those that may follow it: pairs that make up more than one in 10,000 in English, and
/// those that are as common in other languages with Latin letters.
const PAIRS: [&str; 26] = [
    "abcdefghijklmnopqrstuvwxyz",
    "abcdehijlmnorstuyz",
    "abcdehiklnoqrstuvyz",
    "abcdefghijklmnorstuvwyz",
    "abcdefghijklmnopqrstuvwxyz",
    "aefijlnorstuy",
    "abdeghijlmnorstuvwy",
    "abdefhilmnorstuvwyj",
    "abcdefghijklmnopqrstuvxyz",
    "adeijknou",
    "aehijklmnoprstuvwyz",
    "abcdefghijklmnopqrstuvwyz",
    "abcefijlmnoprstuwyz",
    "abcdefghijklmnoprstuvwxyz",
    "abcdefghijklmnopqrstuvwxyz",
    "aefhijklnoprstuwyz",
    "u",
    "abcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnopqrstuvwyz",
    "abcefhijklmnorstuvwyz",
    "abcdefghijklmnopqrstuvxyz",
    "aeijklnorsuyz",
    "abcdehiklnoprstuwyz",
    "acehipotux",
    "abcdefghijklmnoprstuvwxz",
    "abcdehijklmnorstuvwyz",
];

/// Returns the share of Latin letters that stand in words no language would write.
fn gibberish(text: &str) -> f64 {
    const SHORTEST: usize = 4;
    let (mut odd, mut all) = (0, 0);
    for token in text
        .split_whitespace()
        .filter(|token| !token.contains("://") && !token.contains('@'))
    {
        for word in words(token) {
            let letters: Vec<u8> = word
                .nfd()
                .filter(char::is_ascii_alphabetic)
                .map(|ch| (ch as u8).to_ascii_lowercase())
                .collect();
            all += letters.len();
            if letters.len() >= SHORTEST && is_unwritten(&letters) {
                odd += letters.len();
            }
        }
    }
    ratio(odd, all)
}

/// Says whether letters are too disordered for a word: rare pairs, no vowel, or consonants without end.
fn is_unwritten(letters: &[u8]) -> bool {
    const LONGEST_WORD: usize = 40;
    let is_vowel = |letter: u8| matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    if letters.iter().all(|letter| *letter == letters[0]) {
        return false; // `hmmm` and `aaah` repeat, which is measured by itself
    }
    let vowels = letters.iter().filter(|&&letter| is_vowel(letter)).count();
    let rare = letters
        .windows(2)
        .filter(|pair| {
            !PAIRS[usize::from(pair[0] - b'a')]
                .as_bytes()
                .contains(&pair[1])
        })
        .count();
    let consonants = letters
        .split(|&letter| is_vowel(letter))
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    (rare * 5 >= letters.len()) // one pair in five
        || (vowels == 0 && letters.len() >= 6)
        || consonants >= 7
        || letters.len() > LONGEST_WORD
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_dominant_script_is_named_by_its_code() {
        for (text, script) in [
            ("a garden", Some("Latn")),
            ("привет всем, garden", Some("Cyrl")),
            ("花园很美", Some("Hani")),
            ("12:30 !", None),
        ] {
            assert_eq!(Shape::of(text).script, script, "{text}");
        }
    }

    #[test]
    fn words_that_mix_look_alike_scripts_are_counted() {
        assert_eq!(Shape::of("gаrdеn and park").mixed_words, 1);
        for honest in [
            "5 µm at Δt",
            "привет from garden",
            "naïve café",
            "东京tower",
        ] {
            assert_eq!(Shape::of(honest).mixed_words, 0, "{honest}");
        }
    }

    #[test]
    fn disguised_places_are_counted() {
        assert_eq!(
            Shape::of("g\u{200b}arden \u{202e}kcab\u{202c}").disguised_places,
            2
        );
        for honest in [
            "👩\u{200d}👩\u{200d}👧 family",
            "co\u{ad}operate",
            "می\u{200c}خواهم",
            "\u{feff}hello",
            "a ❤\u{fe0f} b",
        ] {
            assert_eq!(Shape::of(honest).disguised_places, 0, "{honest}");
        }
    }

    #[test]
    fn ratios_are_what_they_say() {
        let shape = Shape::of("ABcd eee!");

        assert!((shape.caps_ratio - 2.0 / 7.0).abs() < 1e-9);
        assert!((shape.repeat_ratio - 2.0 / 9.0).abs() < 1e-9);
        assert!((Shape::of("abab").entropy - 1.0).abs() < 1e-9);
    }

    #[test]
    fn words_are_counted_as_unicode_has_them() {
        for text in [
            "don't stop. a_b c.d 3.5 e-mail",
            "",
            "  one  ",
            "a.b.",
            "x' y",
        ] {
            assert_eq!(count_words(text), text.unicode_words().count(), "{text:?}");
        }
    }

    #[test]
    fn gibberish_is_told_from_words() {
        for words in [
            "The quick fox jumps over rhythm and strengths",
            "Szczęście przyszło",
            "Straßenbahnhaltestelle",
        ] {
            assert!(Shape::of(words).gibberish < 0.35, "{words}");
        }
        for noise in ["xkjqzv bqwpgk", "zxqjvkw", "hjklqx fgdqzm"] {
            assert!(Shape::of(noise).gibberish > 0.8, "{noise}");
        }
    }

    #[test]
    fn a_language_is_told_from_a_sentence() {
        let german =
            language("Das ist ein schöner Garten, und wir gehen gerne darin spazieren.").unwrap();

        assert_eq!(
            german,
            Language {
                code: "deu",
                is_reliable: true
            }
        );
        assert_eq!(language("12345"), None);
    }

    proptest! {
        #[test]
        fn every_ratio_lies_between_0_and_1(text in "\\PC{0,60}") {
            let shape = Shape::of(&text);
            for ratio in [shape.caps_ratio, shape.repeat_ratio, shape.gibberish] {
                prop_assert!((0.0..=1.0).contains(&ratio));
            }
            prop_assert!(shape.entropy >= 0.0);
            let _ = language(&text);
        }

        #[test]
        fn basic_latin_words_are_counted_as_unicode_has_them(text in "[a-z0-9'._ -]{0,12}") {
            let odd = text.contains(['_', '\'', '.']);
            prop_assert!(odd || count_words(&text) == text.unicode_words().count());
        }
    }
}
