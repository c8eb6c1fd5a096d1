//! A comment as HTML: a small subset of Markdown, written out from an allow-list.
//!
//! Nothing passes through. The parser's events are matched one by one and written with the tags below; what looks like
//! HTML is text, an address is a link only if it is `http` or `https`. There is no sanitiser, so there is none to break.
//!
//! To the parser a tag is a block or a piece of its own, in which there is no Markdown. So the `<` that would begin one is
//! hidden from it, and put back into what it reports: only the tag becomes text, and the words around it stay what they are.
//!
//! **Invariant:** the output holds no tags but `p em strong code pre blockquote ul ol li br a`, no attributes but
//! `href` and `rel` of `a`, and every tag is closed.
use std::borrow::Cow;

use linkify::{LinkFinder, LinkKind};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, TextMergeStream};
use url::Url;

/// Deepest nesting written; what lies deeper is written without its tags.
const MAX_DEPTH: usize = 12;

/// Stands for a `<` that the parser must not see: a noncharacter, which means nothing in a text; one that was typed all the
/// same is shown as `<`. A control character would not do, for it ends a link's address.
const HIDDEN: char = '\u{fdd0}';

/// Writes a comment as HTML.
///
/// # Complexity
/// Linear in the body.
#[must_use]
pub fn html(body: &str) -> String {
    let mut writer = Writer::new(body.len());
    let body = hide_tags(body);
    for event in TextMergeStream::new(Parser::new_ext(&body, Options::empty())) {
        writer.event(event);
    }
    writer.html
}

/// Hides each `<` that begins a tag, a comment, a declaration or an instruction; those of addresses, `<https://a.test>`,
/// stay, and so does one behind a backslash, which the parser takes for text by itself.
fn hide_tags(body: &str) -> Cow<'_, str> {
    let bytes = body.as_bytes();
    let mut hidden = String::new();
    let mut written = 0;
    let mut backslashes = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'<' && backslashes.is_multiple_of(2) && begins_tag(&bytes[at + 1..]) {
            hidden.push_str(&body[written..at]);
            hidden.push(HIDDEN);
            written = at + 1;
        }
        backslashes = if *byte == b'\\' { backslashes + 1 } else { 0 };
    }
    if written == 0 {
        return Cow::Borrowed(body);
    }
    hidden.push_str(&body[written..]);
    Cow::Owned(hidden)
}

/// Whether what follows a `<` makes it the beginning of markup. A name must end as a tag's does: an address goes on with
/// `:`, `@` or a dot.
///
/// Source: `CommonMark` 0.31, sections 4.6 and 6.6.
fn begins_tag(rest: &[u8]) -> bool {
    match rest.first() {
        Some(b'/' | b'!' | b'?') => true,
        Some(first) if first.is_ascii_alphabetic() => {
            let end = rest
                .iter()
                .find(|byte| !(byte.is_ascii_alphanumeric() || **byte == b'-'));
            end.is_none_or(|end| end.is_ascii_whitespace() || matches!(end, b'/' | b'>'))
        }
        Some(_) | None => false,
    }
}

/// What the author wrote, with the `<` that was hidden.
fn unhide(text: &str) -> Cow<'_, str> {
    if text.contains(HIDDEN) {
        Cow::Owned(text.replace(HIDDEN, "<"))
    } else {
        Cow::Borrowed(text)
    }
}

/// An element that is open in the parser's tree.
#[derive(Clone, Copy)]
enum Open {
    /// Written with this closing tag.
    Written(&'static str),
    /// Its content is written without a tag of its own.
    Bare,
    /// A link, and the length of the output where its content began.
    Link(usize),
}

/// Writes events as HTML.
struct Writer {
    html: String,
    open: Vec<Open>,
    /// Elements of `open` that were written.
    depth: usize,
    /// Links of `open`: links do not nest.
    links: usize,
    /// Addresses of the links that are open.
    targets: Vec<String>,
    /// Whether the text is code, in which no address becomes a link.
    is_code: bool,
    finder: LinkFinder,
}

impl Writer {
    fn new(size: usize) -> Self {
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]);
        Self {
            html: String::with_capacity(size + size / 4 + 16),
            open: Vec::new(),
            depth: 0,
            links: 0,
            targets: Vec::new(),
            is_code: false,
            finder,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_code || self.links > 0 => {
                escape(&unhide(&text), &mut self.html);
            }
            Event::Text(text) => self.text_with_links(&unhide(&text)),
            Event::Code(code) => {
                self.html.push_str("<code>");
                escape(&unhide(&code), &mut self.html);
                self.html.push_str("</code>");
            }
            // Hidden before, so that none comes; should one come all the same, it is text.
            Event::Html(raw) | Event::InlineHtml(raw) => self.raw(&unhide(&raw)),
            Event::SoftBreak | Event::HardBreak => self.html.push_str("<br>\n"),
            // Formulas, footnotes and tasks need options that are off; should they come all the same, they are text.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                escape(&unhide(&text), &mut self.html);
            }
            Event::Rule | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::Heading { .. } | Tag::HtmlBlock => self.write("<p>", "</p>\n"),
            Tag::Emphasis => self.write("<em>", "</em>"),
            Tag::Strong => self.write("<strong>", "</strong>"),
            Tag::BlockQuote(_) => self.write("<blockquote>\n", "</blockquote>\n"),
            Tag::List(None) => self.write("<ul>\n", "</ul>\n"),
            Tag::List(Some(_)) => self.write("<ol>\n", "</ol>\n"),
            Tag::Item => self.write("<li>", "</li>\n"),
            Tag::CodeBlock(_) => {
                self.is_code = true;
                self.write("<pre><code>", "</code></pre>\n");
            }
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.link(&unhide(&dest_url));
            }
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => self.open.push(Open::Bare),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        if matches!(tag, TagEnd::CodeBlock) {
            self.is_code = false;
        }
        match self.open.pop() {
            Some(Open::Written(closing)) => {
                self.depth -= 1;
                self.html.push_str(closing);
            }
            Some(Open::Link(begun)) => {
                self.links -= 1;
                let target = self.targets.pop().unwrap_or_default();
                // A link without text would be one that nobody sees.
                if self.html[begun..].trim().is_empty() {
                    escape(&target, &mut self.html);
                }
                self.html.push_str("</a>");
            }
            Some(Open::Bare) | None => {}
        }
    }

    /// Opens an element, unless it lies too deep.
    fn write(&mut self, opening: &str, closing: &'static str) {
        if self.depth >= MAX_DEPTH {
            self.open.push(Open::Bare);
            return;
        }
        self.depth += 1;
        self.open.push(Open::Written(closing));
        self.html.push_str(opening);
    }

    /// Opens a link, if its address is one that may be followed and no link is open.
    fn link(&mut self, address: &str) {
        match followable(address) {
            Some(url) if self.links == 0 => {
                open_anchor(&url, &mut self.html);
                self.links += 1;
                self.open.push(Open::Link(self.html.len()));
                self.targets.push(url);
            }
            Some(_) | None => self.open.push(Open::Bare),
        }
    }

    /// Writes text, its bare addresses as links.
    fn text_with_links(&mut self, text: &str) {
        let mut written = 0;
        let Self { html, finder, .. } = self;
        for link in finder.links(text) {
            let Some(url) = followable(link.as_str()) else {
                continue;
            };
            escape(&text[written..link.start()], html);
            open_anchor(&url, html);
            escape(link.as_str(), html);
            html.push_str("</a>");
            written = link.end();
        }
        escape(&text[written..], html);
    }

    /// Writes what looks like HTML as the text it is.
    fn raw(&mut self, raw: &str) {
        for (number, line) in raw.trim_end_matches(['\r', '\n']).split('\n').enumerate() {
            if number > 0 {
                self.html.push_str("<br>\n");
            }
            escape(line, &mut self.html);
        }
        if raw.ends_with('\n') {
            self.html.push('\n');
        }
    }
}

/// Writes the opening tag of a link.
fn open_anchor(url: &str, html: &mut String) {
    html.push_str("<a href=\"");
    escape(url, html);
    html.push_str("\" rel=\"nofollow ugc noopener\">");
}

/// Returns an address in its normal form, if it is an absolute one of the web.
fn followable(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| url.into())
}

/// Appends a text in which nothing is markup.
fn escape(text: &str, html: &mut String) {
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            0 => "\u{fffd}",
            _ => continue,
        };
        html.push_str(&text[written..at]);
        html.push_str(entity);
        written = at + 1;
    }
    html.push_str(&text[written..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, expected: &str) {
        assert_eq!(html(body), expected, "{body:?}");
    }

    #[test]
    fn the_subset_is_written() {
        check(
            "Hello *dear* **world**\nnext",
            "<p>Hello <em>dear</em> <strong>world</strong><br>\nnext</p>\n",
        );
        check(
            "> a\n\n- b\n- c",
            "<blockquote>\n<p>a</p>\n</blockquote>\n<ul>\n<li>b</li>\n<li>c</li>\n</ul>\n",
        );
        check("1. a", "<ol>\n<li>a</li>\n</ol>\n");
        check(
            "`a<b`\n\n```rust\nx & y\n```",
            "<p><code>a&lt;b</code></p>\n<pre><code>x &amp; y\n</code></pre>\n",
        );
        check("# Title", "<p>Title</p>\n");
    }

    #[test]
    fn links_are_web_addresses_and_marked() {
        let rel = "rel=\"nofollow ugc noopener\"";
        check(
            "[a](https://b.test/?c&d)",
            &format!("<p><a href=\"https://b.test/?c&amp;d\" {rel}>a</a></p>\n"),
        );
        check(
            "see http://a.test/c_d_e.",
            &format!("<p>see <a href=\"http://a.test/c_d_e\" {rel}>http://a.test/c_d_e</a>.</p>\n"),
        );
        check(
            "[](http://a.test)",
            &format!("<p><a href=\"http://a.test/\" {rel}>http://a.test/</a></p>\n"),
        );
        check(
            "![alt](http://a.test/b.png)",
            &format!("<p><a href=\"http://a.test/b.png\" {rel}>alt</a></p>\n"),
        );
    }

    #[test]
    fn nothing_else_becomes_a_link() {
        check("[a](javascript:alert(1))", "<p>a</p>\n");
        check(
            "[a](/b) [c](//d.test) [e](data:text/html,x)",
            "<p>a c e</p>\n",
        );
        check("![a](b)", "<p>a</p>\n");
        check("<mailto:a@b.test>", "<p>mailto:a@b.test</p>\n");
    }

    #[test]
    fn html_is_text() {
        check(
            "<b onclick=x>hi</b>",
            "<p>&lt;b onclick=x&gt;hi&lt;/b&gt;</p>\n",
        );
        check(
            "<script>\nalert(1)\n</script>",
            "<p>&lt;script&gt;<br>\nalert(1)<br>\n&lt;/script&gt;</p>\n",
        );
        check("&lt;b&gt; \" '", "<p>&lt;b&gt; &quot; &#39;</p>\n");
    }

    #[test]
    fn only_the_tag_becomes_text_and_the_words_around_it_stay_markdown() {
        let rel = "rel=\"nofollow ugc noopener\"";
        check(
            "<div>\nline **bold** https://q.test/\n</div>",
            &format!(
                "<p>&lt;div&gt;<br>\nline <strong>bold</strong> \
                 <a href=\"https://q.test/\" {rel}>https://q.test/</a><br>\n&lt;/div&gt;</p>\n"
            ),
        );
        check("<!-- *a* -->", "<p>&lt;!-- <em>a</em> --&gt;</p>\n");
        check(
            "- <b>*a*</b>",
            "<ul>\n<li>&lt;b&gt;<em>a</em>&lt;/b&gt;</li>\n</ul>\n",
        );
        check(
            "`<b>` and\n\n    <i>",
            "<p><code>&lt;b&gt;</code> and</p>\n<pre><code>&lt;i&gt;</code></pre>\n",
        );
        check(
            "<https://a.test/b> \\<b> 1 < 2",
            &format!(
                "<p><a href=\"https://a.test/b\" {rel}>https://a.test/b</a> &lt;b&gt; 1 &lt; 2</p>\n"
            ),
        );
        check(
            "[a](https://b.test/?<i>)",
            &format!("<p><a href=\"https://b.test/?%3Ci%3E\" {rel}>a</a></p>\n"),
        );
    }

    /// Reads HTML as the invariant has it; returns what breaks it.
    fn offence(html: &str) -> Option<String> {
        const TAGS: [&str; 11] = [
            "p",
            "em",
            "strong",
            "code",
            "pre",
            "blockquote",
            "ul",
            "ol",
            "li",
            "br",
            "a",
        ];
        let mut open: Vec<&str> = Vec::new();
        let mut rest = html;
        while let Some(at) = rest.find(['<', '>', '"']) {
            let Some(end) = rest[at..].strip_prefix('<').and_then(|tag| tag.find('>')) else {
                return Some(format!("loose {:?}", &rest[at..]));
            };
            let tag = &rest[at + 1..at + 1 + end];
            rest = &rest[at + end + 2..];
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return Some(format!("unbalanced {name}"));
                }
                continue;
            }
            let name = tag.split(' ').next().unwrap_or_default();
            if !TAGS.contains(&name) {
                return Some(format!("tag {name}"));
            }
            let attributes = &tag[name.len()..];
            let is_link = attributes
                .strip_prefix(" href=\"http")
                .and_then(|rest| rest.strip_suffix("\" rel=\"nofollow ugc noopener\""))
                .is_some_and(|address| !address.contains('"'));
            if name == "a" && !is_link || name != "a" && !attributes.is_empty() {
                return Some(format!("attributes {attributes}"));
            }
            if name != "br" {
                open.push(name);
            }
        }
        (!open.is_empty())
            .then(|| format!("unclosed {open:?}"))
            .or_else(|| {
                rest.contains(['<', '>'])
                    .then(|| "loose bracket".to_owned())
            })
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = html(&">".repeat(5_000));

        assert_eq!(deep.matches("<blockquote>").count(), MAX_DEPTH);
        assert_eq!(offence(&deep), None);
    }

    proptest! {
        #[test]
        fn only_the_allow_list_is_ever_written(
            body in "([*_`>#\\[\\]()!<>&\"'/ \n-]|http://|https://a\\.test|javascript:|<b>|href=|\\PC){0,80}"
        ) {
            prop_assert_eq!(offence(&html(&body)), None);
        }

        #[test]
        fn the_parser_never_sees_a_tag(
            body in "([*_`>#\\[\\]()!?<>&\"'/= \\\\\n-]|</?(b|div|script|pre|a)|<!--|<!\\[CDATA\\[|http://|a@b.test|\\PC){0,60}"
        ) {
            let body = hide_tags(&body);
            let html = Parser::new_ext(&body, Options::empty())
                .find(|event| matches!(event, Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::HtmlBlock)));
            prop_assert_eq!(html, None);
        }
    }
}
