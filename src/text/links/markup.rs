//! Links written as markup: where their address and their text stand.
//!
//! Spammers paste one text into every kind of comment box, so all three kinds are read, well-formed or not. Searches
//! for a closing part are bounded, which keeps the whole linear.
use std::ops::Range;

use super::Form;

/// A link in markup, by its ranges in the text.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) span: Range<usize>,
    pub(super) address: Range<usize>,
    pub(super) anchor: Option<Range<usize>>,
    pub(super) form: Form,
}

/// Longest opening tag and longest address, in bytes.
const LONGEST_TAG: usize = 2_048;
/// Longest text of a link, in bytes.
const LONGEST_ANCHOR: usize = 512;

/// Finds markup in a text, in order and without overlaps.
pub(super) fn find(text: &str) -> Vec<Marked> {
    let mut found: Vec<Marked> = Vec::new();
    let mut bracket = None;
    let mut at = 0;
    while let Some(next) = text[at..].find(['[', ']', '<']) {
        at += next;
        let marked = match text.as_bytes()[at] {
            b'<' => html(text, at),
            b'[' => {
                bracket = Some(at);
                bbcode(text, at)
            }
            _ => bracket.take().and_then(|start| markdown(text, start, at)),
        };
        at += 1;
        if let Some(marked) = marked {
            at = marked.span.end;
            bracket = None;
            found.push(marked);
        }
    }
    found
}

/// Reads `[text](address "title")`, given the places of its brackets.
fn markdown(text: &str, start: usize, close: usize) -> Option<Marked> {
    let open = close + 1;
    if !text[open..].starts_with('(') {
        return None;
    }
    let first = open + 1;
    let end = first + window(&text[first..], LONGEST_TAG).find(')')?;
    let inside = &text[first..end];
    let lead = inside.len() - inside.trim_start().len();
    let address = inside.split_whitespace().next()?;
    let from = first + lead;
    Some(Marked {
        span: start..end + 1,
        address: without(from..from + address.len(), text, '<', '>'),
        anchor: Some(start + 1..close),
        form: Form::Markdown,
    })
}

/// Reads `[url=address]text[/url]`, `[url]address[/url]` and the same with `link`.
fn bbcode(text: &str, start: usize) -> Option<Marked> {
    let rest = &text[start + 1..];
    let name = ["url", "link"].into_iter().find(|name| {
        rest.get(..name.len())
            .is_some_and(|typed| typed.eq_ignore_ascii_case(name))
    })?;
    let behind = start + 1 + name.len();
    let tag_end = behind + window(&text[behind..], LONGEST_TAG).find(']')?;
    let closing = find_ignoring_case(window(&text[tag_end + 1..], LONGEST_ANCHOR), "[/", name);
    let (anchor_end, end) = match closing {
        Some(at) => (tag_end + 1 + at, tag_end + 1 + at + name.len() + 3),
        None => (tag_end + 1, tag_end + 1),
    };
    let anchor = tag_end + 1..anchor_end;
    let address = match text.as_bytes()[behind] {
        b'=' => quoted(behind + 1..tag_end, text),
        b']' => closing.map(|_| anchor.clone())?,
        _ => return None,
    };
    Some(Marked {
        span: start..end.min(text.len()),
        address,
        anchor: Some(anchor),
        form: Form::Bbcode,
    })
}

/// Reads `<a … href=address …>text</a>`.
fn html(text: &str, start: usize) -> Option<Marked> {
    let tag = window(&text[start..], LONGEST_TAG);
    let is_anchor = tag.get(1..3).is_some_and(|typed| {
        typed.as_bytes()[0].eq_ignore_ascii_case(&b'a') && typed.as_bytes()[1].is_ascii_whitespace()
    });
    if !is_anchor {
        return None;
    }
    let tag = &tag[..tag.find('>')?];
    let name = find_ignoring_case(tag, "hre", "f")?;
    let equals = tag[name + 4..].find(|ch: char| !ch.is_ascii_whitespace())? + name + 4;
    if tag.as_bytes()[equals] != b'=' {
        return None;
    }
    let value = equals + 1 + tag[equals + 1..].find(|ch: char| !ch.is_ascii_whitespace())?;
    let length = match tag.as_bytes()[value] {
        quote @ (b'"' | b'\'') => tag[value + 1..]
            .find(char::from(quote))
            .map_or(tag.len() - value, |at| at + 2),
        _ => tag[value..]
            .find(|ch: char| ch.is_ascii_whitespace())
            .unwrap_or(tag.len() - value),
    };
    let tag_end = start + tag.len() + 1;
    let closing = find_ignoring_case(window(&text[tag_end..], LONGEST_ANCHOR), "</", "a");
    let anchor = tag_end..tag_end + closing.unwrap_or(0);
    let end = closing.map_or(tag_end, |at| {
        let behind = tag_end + at + 3;
        behind + window(&text[behind..], 8).find('>').map_or(0, |at| at + 1)
    });
    Some(Marked {
        span: start..end,
        address: quoted(start + value..start + value + length, text),
        anchor: Some(anchor),
        form: Form::Html,
    })
}

/// Returns the start of a text, at most so many bytes.
fn window(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// Finds two strings after each other, the second in any case.
fn find_ignoring_case(text: &str, first: &str, second: &str) -> Option<usize> {
    let length = first.len() + second.len();
    text.as_bytes().windows(length).position(|window| {
        window[..first.len()].eq_ignore_ascii_case(first.as_bytes())
            && window[first.len()..].eq_ignore_ascii_case(second.as_bytes())
    })
}

/// Returns a range without the quotes around it.
fn quoted(range: Range<usize>, text: &str) -> Range<usize> {
    let inner = without(range, text, '"', '"');
    without(inner, text, '\'', '\'')
}

/// Returns a range without a character before and another behind it.
fn without(range: Range<usize>, text: &str, before: char, behind: char) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + usize::from(inner.starts_with(before));
    let end = range.end - usize::from(inner.ends_with(behind) && inner.len() > 1);
    start..end.max(start)
}
