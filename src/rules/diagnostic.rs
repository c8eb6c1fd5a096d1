//! What is wrong with a rule directory, where, and what to do: shown like a good compiler's messages, or as JSON.
//!
//! Not a log: a diagnostic is a value, made by [`super::compile()`] and shown by whoever asked.
//! Invariant: `line` and `column` agree with `span` in the file that was compiled.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value as Json, json};

use super::SourceFile;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The set loads; a person should look.
    Warning,
    /// The set does not load.
    Error,
}

impl Severity {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One message about one place in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable word for the kind of message, such as `unknown-fact`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file, relative to the rule directory.
    pub path: String,
    /// Bytes of the file it is about.
    pub span: Range<usize>,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
    /// What is wrong, with which value.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message about `span` of `text`.
    #[must_use]
    pub fn new(
        severity: Severity,
        code: &'static str,
        path: &str,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end.max(start)).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            code,
            severity,
            path: path.to_owned(),
            span: start..end,
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message: message.into(),
            help: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it keeps the set from loading.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The message with its source line, as a terminal shows it. `directory` is put before the file's path.
    #[must_use]
    pub fn render(&self, files: &[SourceFile], directory: &str, colour: bool) -> String {
        let path = if directory.is_empty() {
            self.path.clone()
        } else {
            format!("{}/{}", directory.trim_end_matches('/'), self.path)
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&*self.message).id(self.code);
        let text = files
            .iter()
            .find(|file| file.path == self.path)
            .and_then(|file| std::str::from_utf8(&file.bytes).ok())
            .map(|text| text.strip_prefix('\u{feff}').unwrap_or(text))
            .filter(|text| self.span.end <= text.len());
        let mut group = match text {
            Some(text) => {
                // Only the lines in question: a list may have a hundred thousand.
                let from = text[..self.span.start]
                    .rfind('\n')
                    .map_or(0, |newline| newline + 1);
                let to = text[self.span.end..]
                    .find('\n')
                    .map_or(text.len(), |newline| self.span.end + newline);
                let marked = self.span.start - from..self.span.end - from;
                Group::with_title(title).element(
                    Snippet::source(&text[from..to])
                        .line_start(self.line)
                        .path(&*path)
                        .annotation(AnnotationKind::Primary.span(marked)),
                )
            }
            None => Group::with_title(title)
                .element(annotate_snippets::Origin::path(&*path).line(self.line)),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(&**help));
        }
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }

    /// The message as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "code": self.code,
            "severity": self.severity.as_str(),
            "file": self.path,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "help": self.help,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            column,
            message,
            ..
        } = self;
        write!(
            f,
            "{path}:{line}:{column}: {}: {message}",
            self.severity.as_str()
        )
    }
}

fn floor_boundary(text: &str, index: usize) -> usize {
    text.floor_char_boundary(index.min(text.len()))
}

/// The known name nearest to `name`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len().max(name.len()) / 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// What to write for a name that is not known: the nearest known one, else all of them.
#[must_use]
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!(
            "known: {}",
            known.into_iter().collect::<Vec<_>>().join(", ")
        ),
    }
}
