//! What readers see: the demonstration post, the outcome of a form, the receipt, an error.
//!
//! The form posts `thread`, `parent`, `name`, `email`, `url`, `body`, `redirect`, `stamp` and the trap field to
//! `/api/v1/sites/{site}/comments`. The receipt's page posts to `/c/{id}/edit` (`receipt`, `body`), `/c/{id}/withdraw`
//! (`receipt`) and `/c/{id}/appeal` (`receipt`, `text`), since a form cannot send PATCH or DELETE.
//!
//! Not here: an e-mail address. It is not sent back, not even to who has just typed it; the browser remembers it.

use std::collections::HashMap;

use askama::Template;

use super::words::count;
use super::{CommentHtml, FieldNote, When, is_own_path, is_web_address, note_at};
use crate::domain::{Label, Status};
use crate::web::assets;

/// A comment in a thread.
#[derive(Clone, Debug)]
pub struct ThreadComment {
    /// Identity; the comment's anchor is `comment-{id}`.
    pub id: String,
    /// The comment it answers.
    pub parent: Option<String>,
    /// Who wrote it.
    pub name: String,
    /// Their website: http or https, checked when it was stored.
    pub url: Option<String>,
    /// `data:` or own URL of the identicon.
    pub avatar: String,
    /// The text.
    pub html: CommentHtml,
    /// When.
    pub at: When,
    /// True if it was edited since.
    pub is_edited: bool,
}

/// A comment at its place in the thread.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The comment.
    pub comment: &'a ThreadComment,
    /// How far it is set in: 0 for an answer to the post, at most [`DEEPEST`].
    pub depth: usize,
}

/// Answers to answers are set in up to here; deeper ones stay at this margin.
pub const DEEPEST: usize = 4;

/// Puts comments in reading order: every answer under what it answers, siblings in the order given.
///
/// A comment whose parent is not among them stands at the margin.
#[must_use]
pub fn reading_order(comments: &[ThreadComment]) -> Vec<Placed<'_>> {
    let known: HashMap<&str, usize> = comments
        .iter()
        .enumerate()
        .map(|(at, comment)| (comment.id.as_str(), at))
        .collect();
    let mut answers: Vec<Vec<usize>> = vec![Vec::new(); comments.len()];
    let mut stack = Vec::new();
    for (at, comment) in comments.iter().enumerate().rev() {
        let parent = comment.parent.as_deref().and_then(|id| known.get(id));
        match parent {
            // Ids only ever answer what came before, so there is no circle; a listing that lies is cut here.
            Some(parent) if *parent < at => answers[*parent].push(at),
            _ => stack.push((at, 0)),
        }
    }
    let mut placed = Vec::with_capacity(comments.len());
    while let Some((at, depth)) = stack.pop() {
        placed.push(Placed {
            comment: &comments[at],
            depth: depth.min(DEEPEST),
        });
        for answer in &answers[at] {
            stack.push((*answer, depth + 1));
        }
    }
    placed
}

/// The form "Leave a reply", with what was typed and what to correct.
#[derive(Clone, Debug, Default)]
pub struct ReplyForm {
    /// The site's key.
    pub site: String,
    /// The thread's key.
    pub thread: String,
    /// The comment that is answered.
    pub parent: Option<ReplyTo>,
    /// Where to go afterwards; a page with the outcome if none.
    pub redirect: Option<String>,
    /// The signed time stamp.
    pub stamp: String,
    /// Name of the field that people do not see.
    pub trap_field: String,
    /// The name as typed.
    pub name: String,
    /// The website as typed.
    pub url: String,
    /// The text as typed.
    pub body: String,
    /// What to correct, at `name`, `email`, `url` or `body`; `thread`, `parent` and the like are said above the form.
    pub notes: Vec<FieldNote>,
    /// False once the thread is closed.
    pub is_open: bool,
    /// True under the post, where one may turn from a comment to the post itself.
    pub is_on_post: bool,
}

/// The comment that a reply answers.
#[derive(Clone, Debug)]
pub struct ReplyTo {
    /// Identity.
    pub id: String,
    /// Who wrote it; empty if that is not at hand.
    pub name: String,
}

impl ThreadComment {
    /// The author's website, if it can be linked to.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| is_web_address(url))
    }
}

impl BackTo {
    /// The address, if it leads to a page; else the top of this one.
    #[must_use]
    pub fn link(&self) -> &str {
        if is_web_address(&self.href) || is_own_path(&self.href) {
            &self.href
        } else {
            "#"
        }
    }
}

impl ReplyForm {
    /// The message at `field`.
    #[must_use]
    pub fn note(&self, field: &str) -> Option<&str> {
        note_at(&self.notes, field)
    }
}

/// The demonstration post.
#[derive(Clone, Debug, Template)]
#[template(path = "demo.html", config = "src/web/askama.toml")]
pub struct DemoPage {
    /// The nonce in the page's Content-Security-Policy.
    pub nonce: String,
    /// Every approved comment, the oldest first.
    pub comments: Vec<ThreadComment>,
    /// The form.
    pub form: ReplyForm,
    /// True after a submission that waits: `?comment=pending`.
    pub is_pending: bool,
}

impl DemoPage {
    /// The comments in reading order.
    #[must_use]
    pub fn thread(&self) -> Vec<Placed<'_>> {
        reading_order(&self.comments)
    }

    /// `3 comments`.
    #[must_use]
    pub fn heading(&self) -> String {
        match self.comments.len() {
            0 => "No comments yet".to_owned(),
            n => count(n as u64, "comment"),
        }
    }
}

/// What came of a form, when it is not refused.
#[derive(Clone, Debug, Template)]
#[template(path = "submitted.html", config = "src/web/askama.toml")]
pub struct SubmittedPage {
    /// True if it stands in the thread, false if it waits.
    pub is_published: bool,
    /// The name as typed.
    pub name: String,
    /// The text as typed.
    pub text: String,
    /// The receipt's page.
    pub receipt_href: String,
    /// The post to go back to: http or https, on an origin of the site.
    pub back: Option<BackTo>,
    /// Until when it may be edited.
    pub edit_until: Option<When>,
}

/// The post to go back to.
#[derive(Clone, Debug)]
pub struct BackTo {
    /// Its address.
    pub href: String,
    /// Its title, else its address.
    pub title: String,
}

/// A submission that was refused, and said so.
#[derive(Clone, Debug, Template)]
#[template(path = "refused.html", config = "src/web/askama.toml")]
pub struct RefusedPage {
    /// What the rule wants to say.
    pub reply: String,
    /// The text as typed.
    pub text: String,
    /// The receipt's page, where one may appeal.
    pub receipt_href: String,
    /// The post to go back to.
    pub back: Option<BackTo>,
}

/// Why a form was not taken, when no field of it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What, in a few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub reason: &'static str,
}

/// A form that was not taken, to be sent again.
#[derive(Clone, Debug, Template)]
#[template(path = "form_errors.html", config = "src/web/askama.toml")]
pub struct FormErrorsPage {
    /// The form, with what was typed and the notes.
    pub form: ReplyForm,
    /// Why it was not taken, unless the notes say so.
    pub refusal: Option<Refusal>,
    /// After how many seconds to try again.
    pub retry_after_s: Option<u64>,
    /// The post to go back to.
    pub back: Option<BackTo>,
}

impl FormErrorsPage {
    /// `Please correct 2 fields`.
    #[must_use]
    pub fn heading(&self) -> String {
        if let Some(refusal) = self.refusal {
            return refusal.title.to_owned();
        }
        match self.form.notes.len() {
            0 => "Please try again".to_owned(),
            1 => "One thing to correct".to_owned(),
            n => format!("{n} things to correct"),
        }
    }

    /// `Try again in 30 seconds.`
    #[must_use]
    pub fn retry(&self) -> Option<String> {
        self.retry_after_s.map(try_again)
    }

    /// A field's name as it stands above it; `None` for fields one cannot see.
    #[must_use]
    pub fn field_name(&self, field: &str) -> Option<&'static str> {
        match field {
            "name" => Some("Name"),
            "email" => Some("Email"),
            "url" => Some("Website"),
            "body" => Some("Comment"),
            _ => None,
        }
    }
}

/// The author's view of one comment.
#[derive(Clone, Debug, Template)]
#[template(path = "receipt.html", config = "src/web/askama.toml")]
pub struct ReceiptPage {
    /// Identity.
    pub id: String,
    /// The private token, kept in the forms.
    pub receipt: String,
    /// Where it stands, as its author may know it.
    pub status: Status,
    /// The class of reason, if it was rejected and the author may know.
    pub label: Option<Label>,
    /// The rule's words for the author.
    pub reply: Option<String>,
    /// Who wrote it.
    pub name: String,
    /// The text that readers see; the latest one, if they see none.
    pub text: String,
    /// When it arrived.
    pub at: When,
    /// Number of that text.
    pub version: i64,
    /// The latest text, while readers see an earlier one.
    pub edit: Option<EditView>,
    /// The post it stands under.
    pub post: Option<BackTo>,
    /// Until when it may be edited; `None` once it may not.
    pub edit_until: Option<When>,
    /// True if it may be withdrawn.
    pub can_withdraw: bool,
    /// Whether the author may appeal, or has.
    pub appeal: AppealState,
    /// What has just happened: `Your change is saved.`
    pub notice: Option<String>,
    /// What to correct, at `body` or `text`.
    pub notes: Vec<FieldNote>,
    /// The text as typed, if an edit was refused.
    pub typed: Option<String>,
}

/// A change of a published comment that readers do not see.
#[derive(Clone, Debug)]
pub struct EditView {
    /// False while it waits for a person.
    pub is_refused: bool,
    /// The class of reason, if it was refused.
    pub label: Option<Label>,
    /// The rule's words for the author.
    pub reply: Option<String>,
    /// The new text.
    pub text: String,
}

impl EditView {
    /// Why readers do not see it, in words for its author.
    #[must_use]
    pub fn why(&self) -> &str {
        match &self.reply {
            _ if !self.is_refused => "A person will read it. You do not have to do anything.",
            Some(reply) => reply,
            None => class_of_reason(self.label),
        }
    }
}

/// Whether an author may appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppealState {
    /// There is nothing to appeal against.
    None,
    /// They may, once.
    Open,
    /// They have, with this text.
    Sent(String),
}

impl ReceiptPage {
    /// The message at `field`.
    #[must_use]
    pub fn note(&self, field: &str) -> Option<&str> {
        note_at(&self.notes, field)
    }

    /// Where it stands, in a word.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self.status {
            Status::Approved => "Published",
            Status::Pending => "Waiting",
            Status::Rejected => "Not published",
            Status::Withdrawn => "Withdrawn",
        }
    }

    /// Where it stands, as a heading.
    #[must_use]
    pub const fn heading(&self) -> &'static str {
        match self.status {
            Status::Approved => "Your comment is published",
            Status::Pending => "Your comment is waiting for a person to read it",
            Status::Rejected => "Your comment was not published",
            Status::Withdrawn => "Your comment is withdrawn",
        }
    }

    /// Why, in words for its author.
    #[must_use]
    pub fn why(&self) -> &str {
        match (self.status, &self.reply) {
            (Status::Approved, _) => "Everybody can read it under the post.",
            (Status::Pending, _) => {
                "New comments are read before they appear. You do not have to do anything; look here again later."
            }
            (Status::Withdrawn, _) => "Nobody can read it any more.",
            (Status::Rejected, Some(reply)) => reply,
            (Status::Rejected, None) => class_of_reason(self.label),
        }
    }

    /// The text to begin an edit with: what was typed, else the latest.
    #[must_use]
    pub fn latest(&self) -> &str {
        match (&self.typed, &self.edit) {
            (Some(typed), _) => typed,
            (None, Some(edit)) => &edit.text,
            (None, None) => &self.text,
        }
    }
}

/// A class of reason, in words for an author.
const fn class_of_reason(label: Option<Label>) -> &'static str {
    match label {
        Some(Label::Spam) => "It was taken for advertising.",
        Some(Label::Abuse) => "It was taken for an attack on somebody.",
        Some(Label::Quality) => "It says too little to be published.",
        Some(Label::Policy) => "It goes against the rules of this site.",
        None => "The moderators of this site decided against it.",
    }
}

/// Something went wrong, said on a page.
#[derive(Clone, Debug, Template)]
#[template(path = "problem.html", config = "src/web/askama.toml")]
pub struct ProblemPage {
    /// The HTTP status.
    pub status: u16,
    /// What, in a few words.
    pub title: String,
    /// What it means and what to do.
    pub detail: String,
    /// After how many seconds to try again.
    pub retry_after_s: Option<u64>,
    /// What to quote when asking for help.
    pub request_id: Option<String>,
    /// A way out: address and words.
    pub back: Option<BackTo>,
    /// What was typed, so that it is not lost.
    pub typed: Option<String>,
}

impl ProblemPage {
    /// A page with these words and nothing else.
    #[must_use]
    pub fn new(status: u16, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: title.into(),
            detail: detail.into(),
            retry_after_s: None,
            request_id: None,
            back: None,
            typed: None,
        }
    }

    /// `Try again in 30 seconds.`
    #[must_use]
    pub fn retry(&self) -> Option<String> {
        self.retry_after_s.map(try_again)
    }
}

fn try_again(seconds: u64) -> String {
    match seconds {
        0 | 1 => "Try again in a second.".to_owned(),
        2..=90 => format!("Try again in {seconds} seconds."),
        _ => format!("Try again in {}.", count(seconds.div_ceil(60), "minute")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Timestamp;

    fn a_comment(id: usize, parent: Option<usize>) -> ThreadComment {
        ThreadComment {
            id: id.to_string(),
            parent: parent.map(|id| id.to_string()),
            name: "Ada".to_owned(),
            url: None,
            avatar: String::new(),
            html: CommentHtml::from_allow_list(String::new()),
            at: When::new(Timestamp(0), Timestamp(0)),
            is_edited: false,
        }
    }

    #[test]
    fn an_answer_stands_under_what_it_answers() {
        let thread = [
            a_comment(0, None),
            a_comment(1, None),
            a_comment(2, Some(0)),
            a_comment(3, Some(2)),
            a_comment(4, Some(0)),
        ];

        let placed: Vec<_> = reading_order(&thread)
            .iter()
            .map(|p| (p.comment.id.clone(), p.depth))
            .collect();

        let expected = [("0", 0), ("2", 1), ("3", 2), ("4", 1), ("1", 0)];
        assert_eq!(placed, expected.map(|(id, depth)| (id.to_owned(), depth)));
    }

    #[test]
    fn an_answer_to_nothing_known_stands_at_the_margin() {
        let thread = [a_comment(0, Some(99)), a_comment(1, Some(1))];

        let placed = reading_order(&thread);

        assert_eq!(placed.len(), 2);
        assert!(placed.iter().all(|p| p.depth == 0));
    }

    proptest! {
        #[test]
        fn every_comment_is_placed_once_whatever_the_parents(
            parents in prop::collection::vec(prop::option::of(0usize..30), 0..30)
        ) {
            let thread: Vec<_> =
                parents.iter().enumerate().map(|(id, parent)| a_comment(id, *parent)).collect();
            let mut ids: Vec<_> =
                reading_order(&thread).iter().map(|p| p.comment.id.clone()).collect();
            ids.sort();
            let mut all: Vec<_> = thread.iter().map(|c| c.id.clone()).collect();
            all.sort();
            prop_assert_eq!(ids, all);
        }
    }
}
