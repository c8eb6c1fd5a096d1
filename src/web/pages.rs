//! Everything a person sees, as HTML: one struct a page, filled by a handler, rendered by a template.
//!
//! Not here: requests, the store, permissions. A struct holds finished words and numbers, never a secret: there is
//! no field for an e-mail address in it. Pages hold no inline script, style or event handler and name no other host, so they work
//! under `default-src 'none'; script-src 'nonce-…'; style-src 'self'; img-src 'self' data:; form-action 'self'`
//! (`connect-src 'self'` and `require-trusted-types-for 'script'; trusted-types anteroom` where a script runs).
//!
//! Invariant: whatever a stranger typed reaches a page through the templates' escaping. The two types that are not escaped,
//! [`CommentHtml`] and [`When`], are written by this program alone.
//!
//! ```
//! use anteroom::web::pages::{ProblemPage, Template};
//!
//! let page = ProblemPage::new(404, "No such page", "The address may have been mistyped.");
//! assert!(page.render().is_ok_and(|html| html.contains("No such page")));
//! ```

pub mod card;
pub mod console;
pub mod highlight;
pub mod reader;
pub mod words;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::fmt;

pub use askama::Template;
pub use card::{Case, Reason, VerdictView};
pub use console::{AuditPage, CasePage, LoginPage, QueuePage, RulesPage, SetupPage, Shell};
pub use reader::{
    DemoPage, FormErrorsPage, ProblemPage, ReceiptPage, RefusedPage, ReplyForm, SubmittedPage,
    ThreadComment,
};
pub use words::When;

/// A comment's text as HTML, written from the allow-list of Markdown events.
///
/// Invariant: made by the Markdown writer alone; it is inserted into pages as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentHtml(String);

impl CommentHtml {
    /// Takes what the Markdown writer wrote. Nothing else may be passed here.
    #[must_use]
    pub const fn from_allow_list(html: String) -> Self {
        Self(html)
    }
}

impl fmt::Display for CommentHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for CommentHtml {}

/// A field of a form that has to be corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNote {
    /// The field's name in the form: `name`, `email`, `url`, `body`, `password` …
    pub field: String,
    /// What to correct, in a reader's words.
    pub message: String,
}

impl FieldNote {
    /// A note at `field`, written as a sentence.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self {
            field: field.into(),
            message: words::sentence(message.as_ref()),
        }
    }
}

/// The message at `field`, if there is one.
fn note_at<'a>(notes: &'a [FieldNote], field: &str) -> Option<&'a str> {
    notes
        .iter()
        .find(|note| note.field == field)
        .map(|note| note.message.as_str())
}

/// True if `url` is an address of the web. What was stored has been checked; this is the second look.
fn is_web_address(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// True if `path` stays on this host.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains('\\')
}
