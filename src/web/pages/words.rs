//! Numbers and moments in words.

use std::fmt;

use crate::domain::Timestamp;

/// A moment as people say it, with the exact one on hover: `<time …>3 minutes ago</time>`.
///
/// Invariant: prints digits and our own words only, so it is not escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The moment.
    pub at: Timestamp,
    /// The moment the page is made.
    pub now: Timestamp,
}

impl When {
    /// `at`, seen from `now`.
    #[must_use]
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// `just now`, `3 minutes ago`, `in 12 minutes`.
    #[must_use]
    pub fn words(&self) -> String {
        if self.at > self.now {
            match span(self.at.since(self.now).as_secs()) {
                None => "in a moment".to_owned(),
                Some(words) => format!("in {words}"),
            }
        } else {
            match span(self.now.since(self.at).as_secs()) {
                None => "just now".to_owned(),
                Some(words) => format!("{words} ago"),
            }
        }
    }

    /// `4 hours`, for the age of something.
    #[must_use]
    pub fn age(&self) -> String {
        span(self.now.since(self.at).as_secs()).unwrap_or_else(|| "less than a minute".to_owned())
    }

    /// `24 Nov 2026, 03:14 UTC`.
    #[must_use]
    pub fn exact(&self) -> String {
        match jiff::Timestamp::from_microsecond(self.at.as_micros()) {
            Ok(moment) => moment.strftime("%-d %b %Y, %H:%M UTC").to_string(),
            // Outside the years -9999..9999, which no clock gives.
            Err(_) => self.at.to_rfc3339(),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"<time datetime="{}" title="{}">{}</time>"#,
            self.at.to_rfc3339(),
            self.exact(),
            self.words()
        )
    }
}

impl askama::filters::HtmlSafe for When {}

/// A length of time in its largest unit; `None` below a minute.
fn span(seconds: u64) -> Option<String> {
    const UNITS: [(u64, &str); 5] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    let (length, unit) = UNITS.into_iter().find(|(length, _)| seconds >= *length)?;
    Some(count(seconds / length, unit))
}

/// `1 comment`, `3 comments`; the plural is the regular one.
#[must_use]
pub fn count(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n))
}

/// `12,345`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Points as people read them: at most one decimal, a real minus sign, `+` when asked for by [`signed`].
#[must_use]
pub fn points(value: f64) -> String {
    let text = format!("{:.1}", value.abs());
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if value < 0.0 && text != "0" {
        format!("\u{2212}{text}")
    } else {
        text.to_owned()
    }
}

/// Points with their sign.
#[must_use]
pub fn signed(value: f64) -> String {
    let text = points(value);
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// The first letter as a sentence begins.
#[must_use]
pub fn capitalised(words: &str) -> String {
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Words as a sentence: with a capital and a full stop.
#[must_use]
pub fn sentence(words: &str) -> String {
    let mut out = capitalised(words);
    if out.ends_with(char::is_alphanumeric) {
        out.push('.');
    }
    out
}

/// The first words of a text on one line, cut at a character boundary at most `max_chars` in.
#[must_use]
pub fn excerpt(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    let mut n = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if n > 0 && n + 1 + length > max_chars {
            out.push('…');
            return out;
        }
        if n > 0 {
            out.push(' ');
            n += 1;
        }
        if length > max_chars {
            out.extend(word.chars().take(max_chars));
            out.push('…');
            return out;
        }
        out.push_str(word);
        n += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_489_456_000_000);

    #[test]
    fn a_moment_is_said_in_its_largest_unit() {
        let ago = |seconds| When::new(NOW.minus(Duration::from_secs(seconds)), NOW).words();

        assert_eq!(ago(5), "just now");
        assert_eq!(ago(60), "1 minute ago");
        assert_eq!(ago(7_300), "2 hours ago");
        assert_eq!(ago(3 * 86_400), "3 days ago");
        assert_eq!(ago(800 * 86_400), "2 years ago");
    }

    #[test]
    fn a_moment_to_come_is_said_as_such() {
        let at = NOW.plus(Duration::from_secs(12 * 60 + 5));

        assert_eq!(When::new(at, NOW).words(), "in 12 minutes");
    }

    #[test]
    fn the_exact_moment_stands_in_the_title() {
        let html = When::new(Timestamp(0), NOW).to_string();

        assert!(html.contains(r#"datetime="1970-01-01T00:00:00.000Z""#));
        assert!(html.contains(r#"title="1 Jan 1970, 00:00 UTC""#));
    }

    #[test]
    fn points_carry_a_real_minus_and_no_empty_decimal() {
        assert_eq!(signed(3.5), "+3.5");
        assert_eq!(signed(-2.0), "\u{2212}2");
        assert_eq!(points(-0.01), "0");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(count(1, "comment"), "1 comment");
        assert_eq!(count(1_234_567, "comment"), "1,234,567 comments");
    }

    #[test]
    fn a_message_becomes_a_sentence_once() {
        assert_eq!(
            sentence("this field is required"),
            "This field is required."
        );
        assert_eq!(sentence("Was that all?"), "Was that all?");
    }

    #[test]
    fn an_excerpt_never_exceeds_its_length_by_more_than_the_ellipsis() {
        for text in ["", "ä ö", "one two three four", &"x".repeat(99)] {
            assert!(excerpt(text, 9).chars().count() <= 10, "{text}");
        }
        assert_eq!(excerpt("one two three", 8), "one two…");
    }
}
