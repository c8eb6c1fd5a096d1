//! Which basic Latin letter a character looks like, or stands for.
//!
//! [`look`] answers by shape, from the confusables of UTS #39 turned round and from what they miss in practice;
//! [`leet`] answers by custom, for digits and symbols. Neither knows the word around the character: whether a reading
//! is believed is decided in [`glyph`](super::glyph) and [`token`](super::token).
//!
//! Source: UTS #39 §4 (confusable detection), by the `unicode-security` crate.
use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

/// Stands for either `i` or `l`: vertical strokes are not told apart.
pub(crate) const STROKE: u8 = b'|';

/// Returns the lower-case letter a character looks like, [`STROKE`] for `i` or `l`, or none.
pub(crate) fn look(ch: char) -> Option<u8> {
    let code = ch as usize;
    if code < 0x80 {
        return None;
    }
    let page = *LOOKS.pages.get(code >> 8)?;
    let letter = LOOKS.letters[(usize::from(page) << 8) | (code & 0xff)];
    (letter != 0).then_some(letter)
}

/// Returns the lower-case letter a digit or symbol stands for, [`STROKE`] for `i` or `l`, or none.
pub(crate) const fn leet(ch: char) -> Option<u8> {
    Some(match ch {
        '0' => b'o',
        '1' | '!' | '|' | '¡' | '£' => STROKE,
        '2' => b'z',
        '3' | '€' => b'e',
        '4' | '@' => b'a',
        '5' | '$' | '§' => b's',
        '6' | '9' => b'g',
        '7' | '+' | '†' => b't',
        '8' => b'b',
        '(' | '<' | '¢' => b'c',
        '¥' => b'y',
        _ => return None,
    })
}

/// The table of [`look`]: pages of 256 characters, the first of them empty and shared.
struct Looks {
    pages: Vec<u8>,
    letters: Vec<u8>,
}

/// Blocks in which letters that look Latin are sought. Left out are the scripts of East Asia, whose strokes and rings
/// look like `l` and `o` to a table and like themselves to a reader.
const BLOCKS: [std::ops::Range<u32>; 9] = [
    0x80..0x1100,
    0x1200..0x2e80,
    0xa480..0xac00,
    0xfb00..0x1_0000,
    0x1_0000..0x1_2000,
    0x1_6f00..0x1_7000,
    0x1_d400..0x1_d800,
    0x1_e000..0x1_f000,
    0x1_f100..0x1_f200,
];

/// What the confusables leave out: letter, and characters that are read as it.
const MORE: [(u8, &str); 26] = [
    (b'a', "ᴀɐдΛΔλªⱥꞻ"),
    (b'b', "ʙвьъβɓƃþƄ฿"),
    (b'c', "ᴄɔƈȼ¢ↄ𐔜🝌"),
    (b'd', "ᴅðɗƌδ"),
    (b'e', "ᴇǝɛεзэξΣΞҽɇ€ə"),
    (b'f', "ꜰɟƒſ𝈓"),
    (b'g', "ɢɠǥ"),
    (b'h', "ʜнɥɦђћ"),
    (b'i', "ɪɨιїͺ˛"),
    (b'j', "ᴊɉʝ"),
    (b'k', "ᴋʞƙкқҝκ"),
    (b'l', "ʟƚɫɬɭ𝈪"),
    (b'm', "ᴍмɱ"),
    (b'n', "ɴηиπпɲƞŋԥИП"),
    (b'o', "ᴏθΘφøʘΩΦ〇ంಂംං"),
    (b'p', "ᴘƥ"),
    (b'q', "ꞯʠ"),
    (b'r', "ʀяɹгɍɼɽЯ𝈖"),
    (b's', "ꜱʂ§ƨ"),
    (b't', "ᴛтʇτƭŧ†🝨"),
    (b'u', "ᴜμцʉυµц"),
    (b'v', "ᴠʌѵν𝈍"),
    (b'w', "ᴡωшщʍѡϖ"),
    (b'x', "×χҳ"),
    (b'y', "ʏʎγƴɏ¥"),
    (b'z', "ᴢʐƶȥ"),
];

static LOOKS: LazyLock<Looks> = LazyLock::new(|| {
    let mut known: HashMap<String, u8> = HashMap::new();
    for upper in b'A'..=b'Z' {
        let lower = upper.to_ascii_lowercase();
        for letter in [upper, lower] {
            known.insert(
                skeleton(char::from(letter).encode_utf8(&mut [0; 4])).collect(),
                lower,
            );
        }
    }
    known.insert(skeleton("l").collect(), STROKE);

    let mut looks = Looks {
        pages: vec![0; 0x200],
        letters: vec![0; 256],
    };
    for ch in BLOCKS.into_iter().flatten().filter_map(char::from_u32) {
        if let Some(letter) = by_shape(ch, &known) {
            looks.set(ch, letter);
        }
    }
    for (letter, chars) in MORE {
        for ch in chars.chars() {
            looks.set(ch, letter);
        }
    }
    // Letters in squares, circles and flags, which have no decomposition.
    for first in [0x1_f130, 0x1_f150, 0x1_f170, 0x1_f1e6] {
        for (letter, ch) in (b'a'..=b'z').zip((first..).filter_map(char::from_u32)) {
            looks.set(ch, letter);
        }
    }
    looks
});

impl Looks {
    /// Notes a reading, unless the character has one.
    fn set(&mut self, ch: char, letter: u8) {
        let (page, at) = (ch as usize >> 8, ch as usize & 0xff);
        if self.pages[page] == 0 {
            // Fewer than 256 pages exist, see `BLOCKS`: about 80 hold a letter.
            self.pages[page] = u8::try_from(self.letters.len() >> 8).unwrap_or(0);
            self.letters.resize(self.letters.len() + 256, 0);
        }
        let slot = &mut self.letters[(usize::from(self.pages[page]) << 8) | at];
        if *slot == 0 {
            *slot = letter;
        }
    }
}

/// Returns the letter whose skeleton a character shares, strokes and hooks through it apart.
fn by_shape(ch: char, known: &HashMap<String, u8>) -> Option<u8> {
    let mut buffer = [0; 4];
    let typed = &*ch.encode_utf8(&mut buffer);
    if is_combining_mark(ch) || typed.nfd().nth(1).is_some() {
        return None; // a mark, or a letter with an accent: undone by `accents`
    }
    let shape: String = skeleton(typed).collect();
    let bare = shape.trim_end_matches(is_combining_mark);
    known.get(&shape).or_else(|| known.get(bare)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_other_scripts_are_read_by_their_shape() {
        for (letters, latin) in [
            ("аесорхуѕіјԁһԝ", "aecopxysijdhw"),
            ("ΑΒΕΗΙΚΜΝΟΡΤΧΥΖ", "abehikmnoptxyz"),
            ("ᏴᏀᏒᎪ", "bgra"),
            ("ꓮꓐꓚꓓ", "abcd"),
            ("ոսհք", "nuhf"),
            ("ᴀʙᴄᴅᴇꜰɢʜ", "abcdefgh"),
            ("🅰🅱🇨", "abc"),
            ("øđħŧ", "odht"),
            ("ⅿ𝐦", "mm"),
        ] {
            let read: String = letters.chars().filter_map(look).map(char::from).collect();
            assert_eq!(read.replace('|', "i"), latin, "{letters}");
        }
    }

    #[test]
    fn a_stroke_may_be_either_letter() {
        for ch in "ӏǀΙІ".chars() {
            assert_eq!(look(ch), Some(STROKE), "{ch}");
        }
    }

    #[test]
    fn basic_latin_and_east_asian_letters_look_like_themselves() {
        for ch in "azAZ09mlI一ロ工ㅣ".chars() {
            assert_eq!(look(ch), None, "{ch}");
        }
    }
}
