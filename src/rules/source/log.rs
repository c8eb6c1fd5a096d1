//! Where diagnostics gather while files are read, and the files they point into.

use std::collections::HashMap;
use std::ops::Range;

use crate::rules::diagnostic::{Diagnostic, Severity};

/// Most diagnostics of one kind shown for one file; a broken list of a hundred thousand lines says it once.
const MOST_OF_A_KIND: usize = 20;

/// A file of the directory as text.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::rules) struct File<'a> {
    pub(in crate::rules) path: &'a str,
    pub(in crate::rules) text: &'a str,
}

/// A value and the bytes it was read from.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct At<T> {
    pub(in crate::rules) value: T,
    pub(in crate::rules) span: Range<usize>,
}

/// The diagnostics so far.
#[derive(Debug, Default)]
pub(in crate::rules) struct Log {
    said: HashMap<(String, &'static str), usize>,
    diagnostics: Vec<Diagnostic>,
}

impl Log {
    /// Notes what keeps the set from loading.
    pub(in crate::rules) fn error(
        &mut self,
        file: File<'_>,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) {
        self.note(Severity::Error, file, code, span, message.into(), None);
    }

    /// Notes what keeps the set from loading, with advice.
    pub(in crate::rules) fn error_with(
        &mut self,
        file: File<'_>,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.note(Severity::Error, file, code, span, message.into(), help);
    }

    /// Notes what a person should look at.
    pub(in crate::rules) fn warn(
        &mut self,
        file: File<'_>,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        self.note(
            Severity::Warning,
            file,
            code,
            span,
            message.into(),
            help.map(str::to_owned),
        );
    }

    fn note(
        &mut self,
        severity: Severity,
        file: File<'_>,
        code: &'static str,
        span: &Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        let said = self.said.entry((file.path.to_owned(), code)).or_default();
        *said += 1;
        if *said > MOST_OF_A_KIND {
            return;
        }
        let mut diagnostic =
            Diagnostic::new(severity, code, file.path, file.text, span.clone(), message);
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }

    /// Whether a file cannot be read at all.
    pub(in crate::rules) fn has_unread_files(&self) -> bool {
        let codes = ["toml", "not-utf8"];
        self.diagnostics
            .iter()
            .any(|diagnostic| codes.contains(&diagnostic.code))
    }

    /// Whether anything noted so far keeps the set from loading.
    pub(in crate::rules) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The diagnostics, by file and place; what was left out is counted at the last of its kind.
    pub(in crate::rules) fn finish(mut self) -> Vec<Diagnostic> {
        for ((path, code), said) in &self.said {
            if *said <= MOST_OF_A_KIND {
                continue;
            }
            let more = format!("and {} more like this in the file", said - MOST_OF_A_KIND);
            let last = self
                .diagnostics
                .iter_mut()
                .rfind(|diagnostic| diagnostic.path == *path && diagnostic.code == *code);
            if let Some(last) = last {
                last.help = Some(
                    last.help
                        .take()
                        .map_or(more.clone(), |help| format!("{help}; {more}")),
                );
            }
        }
        self.diagnostics.sort_by(|a, b| {
            (&a.path, a.line, a.column, a.code).cmp(&(&b.path, b.line, b.column, b.code))
        });
        self.diagnostics
    }
}
