//! From what arrived to what is valid: every field is read, every error is reported at once.

use super::author::{EmailAddress, Name, Website, Wrong, is_blank};
use super::id::CommentId;
use super::site::ThreadKey;

/// The longest thread title and the longest thread URL, in bytes.
pub const THREAD_TITLE_BYTES: usize = 1024;

/// What arrived, untrusted. An absent field and an empty one are the same.
#[derive(Clone, Default)]
pub struct Draft {
    /// Key of the thread.
    pub thread_key: String,
    /// Address of the post.
    pub thread_url: String,
    /// Title of the post.
    pub thread_title: String,
    /// Id of the comment this one answers.
    pub parent: String,
    /// Typed name.
    pub name: String,
    /// Typed e-mail address.
    pub email: String,
    /// Typed website.
    pub url: String,
    /// Typed text.
    pub body: String,
    /// An earlier receipt.
    pub proof: String,
    /// The author's id at the blog, believed only with the site's API key.
    pub account: String,
    /// The form's signed time stamp.
    pub stamp: String,
    /// What stood in the form's trap; `None` if the form had none.
    pub trap: Option<String>,
}

/// How long fields may be, in bytes of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `author.name`.
    pub name_bytes: usize,
    /// `author.email`.
    pub email_bytes: usize,
    /// `author.url` and `thread.url`.
    pub url_bytes: usize,
    /// `body`.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name_bytes: 245,
            email_bytes: 254,
            url_bytes: 2048,
            body_bytes: 65525,
        }
    }
}

/// The longest id of an account at the blog, in bytes.
const ACCOUNT_BYTES: usize = 512;

/// A valid submission.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The thread it belongs to.
    pub thread: ThreadKey,
    /// Address of the post, if sent.
    pub thread_url: Option<Website>,
    /// Title of the post, if sent.
    pub thread_title: Option<String>,
    /// The comment it answers.
    pub parent: Option<CommentId>,
    /// The name.
    pub name: Name,
    /// The address.
    pub email: EmailAddress,
    /// The website, if given.
    pub website: Option<Website>,
    /// The text, with LF line ends.
    pub body: String,
    /// An earlier receipt, not yet verified.
    pub proof: Option<String>,
}

/// One field that is wrong, named as in the JSON request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// `author.email`, `body`, …
    pub field: &'static str,
    /// What is wrong.
    pub wrong: Wrong,
}

impl Submission {
    /// Reads a draft.
    ///
    /// # Errors
    /// Every field that is wrong, in the order of the form.
    pub fn parse(draft: Draft, limits: &Limits) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut note = |field, wrong| errors.push(FieldError { field, wrong });

        let thread = ThreadKey::parse(&draft.thread_key)
            .map_err(|wrong| note("thread.key", wrong))
            .ok();
        let thread_url = Website::parse(&draft.thread_url, limits.url_bytes)
            .map_err(|wrong| note("thread.url", wrong))
            .ok()
            .flatten();
        let thread_title = parse_title(&draft.thread_title)
            .map_err(|wrong| note("thread.title", wrong))
            .ok()
            .flatten();
        let parent = match draft.parent.trim() {
            "" => None,
            text => text
                .parse()
                .map_err(|_| note("parent", Wrong::NotAnId))
                .ok(),
        };
        let name = Name::parse(&draft.name, limits.name_bytes)
            .map_err(|wrong| note("author.name", wrong))
            .ok();
        let email = EmailAddress::parse(&draft.email, limits.email_bytes)
            .map_err(|wrong| note("author.email", wrong))
            .ok();
        let website = Website::parse(&draft.url, limits.url_bytes)
            .map_err(|wrong| note("author.url", wrong))
            .ok()
            .flatten();
        let body = parse_body(draft.body, limits.body_bytes)
            .map_err(|wrong| note("body", wrong))
            .ok();
        let proof = Some(draft.proof).filter(|proof| !proof.trim().is_empty());
        if draft.account.len() > ACCOUNT_BYTES {
            let max_bytes = ACCOUNT_BYTES;
            note("author.account", Wrong::TooLong { max_bytes });
        } else if draft.account.chars().any(char::is_control) {
            note("author.account", Wrong::ControlCharacter);
        }

        match (thread, name, email, body) {
            (Some(thread), Some(name), Some(email), Some(body)) if errors.is_empty() => Ok(Self {
                thread,
                thread_url,
                thread_title,
                parent,
                name,
                email,
                website,
                body,
                proof,
            }),
            _ => Err(errors),
        }
    }
}

/// Reads a comment's text: CRLF and CR become LF, tab and LF are the only control characters.
///
/// # Errors
/// [`Wrong`] if it is blank, longer than `max_bytes`, or holds another control character.
pub fn parse_body(typed: String, max_bytes: usize) -> Result<String, Wrong> {
    let body = normalise_newlines(typed);
    if is_blank(&body) {
        return Err(Wrong::Missing);
    }
    if body.len() > max_bytes {
        return Err(Wrong::TooLong { max_bytes });
    }
    if body
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(Wrong::ControlCharacter);
    }
    Ok(body)
}

/// Turns CRLF and CR into LF.
#[must_use]
pub fn normalise_newlines(text: String) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text
    }
}

fn parse_title(typed: &str) -> Result<Option<String>, Wrong> {
    let title = typed.trim();
    if title.is_empty() {
        return Ok(None);
    }
    if title.len() > THREAD_TITLE_BYTES {
        return Err(Wrong::TooLong {
            max_bytes: THREAD_TITLE_BYTES,
        });
    }
    if title.chars().any(char::is_control) {
        return Err(Wrong::ControlCharacter);
    }
    Ok(Some(title.to_owned()))
}
