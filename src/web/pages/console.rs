//! The moderators' pages: set-up, login, queue, case, audit log, rules.
//!
//! Every button is a form that works without script. The forms post to
//!
//! | to | fields besides `csrf` |
//! |---|---|
//! | `/console/setup` | `token`, `name`, `password` |
//! | `/console/login` | `name`, `password`, `next` |
//! | `/console/logout` | |
//! | `/console/comments/{id}/decision` | `choice` (see [`read_choice`]), `note`, `version`, `from`, `next` |
//! | `/console/decisions` | `item` repeated (`{id}:{version}`), `choice`, `next` |
//! | `/console/decisions/{id}/undo` | `next` |
//! | `/console/comments/{id}/reveal` | `reason` |
//!
//! and `next` is a path with query on this host, to be redirected to (`303`) if it starts with `/console`.
//! Not here: who may do what; a page shows what its struct says may be done.

use askama::Template;

use super::card::{Case, Decided, Quoted, Written, short_hash};
use super::words::{self, grouped};
use super::{FieldNote, When, is_own_path, note_at};
use crate::domain::{CommentId, Decision, DecisionId, Label, QueueOrder, Role};
use crate::web::assets;

/// What surrounds every page behind the login.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The nonce in the page's Content-Security-Policy.
    pub nonce: String,
    /// The session's token against forged requests.
    pub csrf: String,
    /// Who is logged in.
    pub moderator: String,
    /// What they may do.
    pub role: Role,
    /// Which page this is.
    pub section: Section,
    /// How many comments wait at all their sites.
    pub waiting: u64,
    /// Something everybody should know: rules that do not load, headers that nobody trusts.
    pub warning: Option<String>,
    /// What has just happened.
    pub notice: Option<Notice>,
    /// The moderator's last decision, as long as it can be taken back and no notice offers that already.
    pub last: Option<Last>,
}

impl Shell {
    /// True if the rules page is theirs to read.
    #[must_use]
    pub fn reads_rules(&self) -> bool {
        self.role >= Role::Operator
    }

    /// True if the audit log is theirs to read.
    #[must_use]
    pub fn reads_audit(&self) -> bool {
        self.role >= Role::Admin
    }
}

/// A page of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The queue, and a single comment.
    Queue,
    /// The audit log.
    Audit,
    /// The rules.
    Rules,
}

/// What has just happened, said once at the top of the next page.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A decision was taken.
    Decided {
        /// In words: `Rejected as spam: Max Muster`.
        what: String,
        /// The decision, if it may be taken back.
        undo: Option<DecisionId>,
        /// Of several comments, those that were left alone.
        left: Left,
    },
    /// A decision was taken back.
    Undone {
        /// In words: `Max Muster is back in the queue`.
        what: String,
    },
    /// Another was faster, everywhere.
    Conflict {
        /// What was left alone.
        left: Left,
    },
    /// Something did not work; nothing was changed.
    Failed {
        /// In words.
        what: String,
    },
}

/// A decision that can still be taken back.
#[derive(Clone, Debug)]
pub struct Last {
    /// In words: `Approved: Max Muster`.
    pub what: String,
    /// The decision.
    pub id: DecisionId,
}

/// Comments that a decision left alone, because they do not stand as they were shown.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// The first of them.
    pub lines: Vec<LeftLine>,
    /// How many there are in all.
    pub total: u64,
}

impl Left {
    /// `1 comment was not decided`.
    #[must_use]
    pub fn lead(&self) -> String {
        let verb = if self.total == 1 { "was" } else { "were" };
        format!("{} {verb} not decided", words::count(self.total, "comment"))
    }

    /// How many are not listed.
    #[must_use]
    pub fn n_more(&self) -> u64 {
        self.total.saturating_sub(self.lines.len() as u64)
    }
}

/// One comment that was left alone.
#[derive(Clone, Debug)]
pub struct LeftLine {
    /// Which.
    pub id: CommentId,
    /// Who wrote it.
    pub name: String,
    /// Why: `Ada approved this just now`.
    pub why: String,
}

/// The value of a decision's button.
///
/// # Examples
/// ```
/// use anteroom::domain::{Decision, Label};
/// use anteroom::web::pages::console::read_choice;
///
/// assert_eq!(read_choice("reject:spam"), Some((Decision::Reject, Some(Label::Spam))));
/// assert_eq!(read_choice("approve"), Some((Decision::Approve, None)));
/// ```
#[must_use]
pub fn read_choice(value: &str) -> Option<(Decision, Option<Label>)> {
    match value.split_once(':') {
        None => {
            let decision = value.parse().ok()?;
            (decision != Decision::Reject).then_some((decision, None))
        }
        Some(("reject", label)) => Some((Decision::Reject, Some(label.parse().ok()?))),
        Some(_) => None,
    }
}

/// The first visit: who is the administrator?
#[derive(Clone, Debug, Template)]
#[template(path = "console/setup.html", config = "src/web/askama.toml")]
pub struct SetupPage {
    /// The one-time token from the terminal; `None` if it has run out or was used.
    pub token: Option<String>,
    /// The name as typed.
    pub name: String,
    /// What to correct, at `name` or `password`.
    pub notes: Vec<FieldNote>,
    /// The least number of characters of a password.
    pub password_min: usize,
}

impl SetupPage {
    /// The message at `field`.
    #[must_use]
    pub fn note(&self, field: &str) -> Option<&str> {
        note_at(&self.notes, field)
    }
}

/// Who are you?
#[derive(Clone, Debug, Template)]
#[template(path = "console/login.html", config = "src/web/askama.toml")]
pub struct LoginPage {
    /// A token against forged logins.
    pub csrf: String,
    /// The name as typed.
    pub name: String,
    /// Where to go afterwards: a path under `/console`.
    pub next: String,
    /// Why not, the same words whatever was wrong.
    pub error: Option<String>,
    /// What else to say: `You have been logged out.`
    pub hint: Option<String>,
}

/// The queue, with the selected comment beside it.
#[derive(Clone, Debug, Template)]
#[template(path = "console/queue.html", config = "src/web/askama.toml")]
pub struct QueuePage {
    /// What surrounds it.
    pub shell: Shell,
    /// What is asked for.
    pub filter: QueueFilter,
    /// One page of items.
    pub rows: Vec<QueueRow>,
    /// The item whose card is shown: the one asked for, else the first.
    pub selected: Option<Case>,
    /// How many items the filter matches.
    pub total: u64,
    /// When the oldest of them arrived.
    pub oldest: Option<When>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// What the queue is asked for, as in the address.
#[derive(Clone, Debug, Default)]
pub struct QueueFilter {
    /// A site's key.
    pub site: Option<String>,
    /// The order.
    pub order: QueueOrder,
    /// A label.
    pub label: Option<Label>,
    /// A rule's id.
    pub rule: Option<String>,
    /// Words in text or name.
    pub q: String,
    /// Where this page began.
    pub cursor: Option<String>,
    /// The sites one may choose.
    pub sites: Vec<SiteChoice>,
}

/// A site in the filter.
#[derive(Clone, Debug)]
pub struct SiteChoice {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// How many comments wait there.
    pub waiting: u64,
}

/// An item in the list.
#[derive(Clone, Debug)]
pub struct QueueRow {
    /// Identity.
    pub id: CommentId,
    /// The latest text's number.
    pub version: i64,
    /// Who wrote it.
    pub name: String,
    /// `data:` or own URL of the identicon.
    pub avatar: String,
    /// Its first words; [`super::words::excerpt`] makes them.
    pub excerpt: String,
    /// When it arrived.
    pub at: When,
    /// Why it waits.
    pub label: Option<Label>,
    /// Why, in short: the deciding rule's message.
    pub why: String,
    /// The post's title or key.
    pub post: String,
    /// How many readers reported it.
    pub reports: u64,
    /// Who else works on it.
    pub held_by: Option<String>,
    /// How many are alike; 0 if none.
    pub n_alike: u64,
}

impl QueueFilter {
    /// True if it leaves something out.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.site.is_some() || self.label.is_some() || self.rule.is_some() || !self.q.is_empty()
    }

    /// The address of this view, with `item` selected.
    #[must_use]
    pub fn href(&self, item: Option<&CommentId>) -> String {
        self.address(self.cursor.as_deref(), item)
    }

    /// The address of the page that begins at `cursor`.
    #[must_use]
    pub fn page_href(&self, cursor: Option<&str>) -> String {
        self.address(cursor, None)
    }

    fn address(&self, cursor: Option<&str>, item: Option<&CommentId>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(site) = &self.site {
            query.append_pair("site", site);
        }
        if self.order != QueueOrder::default() {
            query.append_pair("order", self.order.as_str());
        }
        if let Some(label) = self.label {
            query.append_pair("label", label.as_str());
        }
        if let Some(rule) = &self.rule {
            query.append_pair("rule", rule);
        }
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        if let Some(item) = item {
            query.append_pair("item", &item.to_string());
        }
        match query.finish() {
            query if query.is_empty() => "/console".to_owned(),
            query => format!("/console?{query}"),
        }
    }
}

impl QueuePage {
    /// True if `row`'s card is shown.
    #[must_use]
    pub fn is_selected(&self, row: &QueueRow) -> bool {
        self.selected.as_ref().is_some_and(|case| case.id == row.id)
    }

    /// The address to go to after the selected item has been decided: its neighbour.
    #[must_use]
    pub fn next(&self) -> String {
        let at = self.rows.iter().position(|row| self.is_selected(row));
        let neighbour = at.and_then(|at| {
            self.rows
                .get(at + 1)
                .or_else(|| at.checked_sub(1).and_then(|before| self.rows.get(before)))
        });
        self.filter.href(neighbour.map(|row| &row.id))
    }

    /// `37 waiting, the oldest for 4 hours`.
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.oldest {
            Some(oldest) if self.total > 1 => {
                format!(
                    "{} waiting, the oldest for {}",
                    grouped(self.total),
                    oldest.age()
                )
            }
            Some(oldest) if self.total == 1 => format!("1 waiting, for {}", oldest.age()),
            _ => format!("{} waiting", grouped(self.total)),
        }
    }

    /// The orders one may choose, with their names.
    #[must_use]
    pub const fn orders(&self) -> [(QueueOrder, &'static str); 4] {
        [
            (QueueOrder::Risk, "Riskiest first"),
            (QueueOrder::Oldest, "Oldest first"),
            (QueueOrder::Newest, "Newest first"),
            (QueueOrder::Reports, "Most reported"),
        ]
    }

    /// The labels one may choose.
    #[must_use]
    pub const fn labels(&self) -> [Label; 4] {
        Label::ALL
    }
}

/// One comment with its whole history.
#[derive(Clone, Debug, Template)]
#[template(path = "console/case.html", config = "src/web/askama.toml")]
pub struct CasePage {
    /// What surrounds it.
    pub shell: Shell,
    /// The comment as it stands.
    pub case: Case,
    /// Every text, the latest first.
    pub versions: Vec<Written>,
    /// Every decision, the latest first.
    pub decisions: Vec<Decided>,
    /// Comments much like it, with where they stand.
    pub similar: Vec<Quoted>,
    /// True if this moderator may see the author's address, with a reason.
    pub can_reveal: bool,
    /// The address, on the one page that answers a granted request.
    pub revealed: Option<String>,
    /// What is wrong with the reason that was given to see it.
    pub reason_note: Option<String>,
    /// The longest reason, in characters.
    pub reason_max: usize,
}

impl CasePage {
    /// The address to come back to.
    #[must_use]
    pub fn next(&self) -> String {
        format!("/console/comments/{}", self.case.id)
    }
}

/// The audit log.
#[derive(Clone, Debug, Template)]
#[template(path = "console/audit.html", config = "src/web/askama.toml")]
pub struct AuditPage {
    /// What surrounds it.
    pub shell: Shell,
    /// One page of entries, the latest first.
    pub entries: Vec<AuditLine>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// Whether the chain of hashes was found whole, if it was checked.
    pub is_whole: Option<bool>,
}

impl AuditPage {
    /// The address to come back to.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        "/console/audit"
    }
}

/// One entry of the audit log.
#[derive(Clone, Debug)]
pub struct AuditLine {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: When,
    /// Who: a moderator's name, `command line`, `the filters`.
    pub actor: String,
    /// What, as stored: `comment.approve`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// The page of what it was done to.
    pub subject_href: Option<String>,
    /// What else was noted, as pairs of name and value.
    pub details: Vec<(String, String)>,
    /// Hash of this entry and all before it.
    pub hash: String,
}

impl AuditLine {
    /// The page of what it was done to, if it is one of ours.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.subject_href
            .as_deref()
            .filter(|path| is_own_path(path))
    }

    /// The first digits of the hash.
    #[must_use]
    pub fn short_hash(&self) -> &str {
        short_hash(&self.hash)
    }
}

/// The running rules.
#[derive(Clone, Debug, Template)]
#[template(path = "console/rules.html", config = "src/web/askama.toml")]
pub struct RulesPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The directory they are read from.
    pub dir: String,
    /// Hash of the running set.
    pub hash: String,
    /// Since when it runs.
    pub loaded: When,
    /// What is wrong with the directory as it stands; while there is an error the running set stays.
    pub problems: Vec<RuleProblem>,
    /// Thresholds by label.
    pub thresholds: Vec<ThresholdLine>,
    /// Every rule, in the order of the files.
    pub rules: Vec<RuleLine>,
}

impl RulesPage {
    /// The address to come back to.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        "/console/rules"
    }

    /// True if the directory does not load.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.is_error)
    }

    /// The first digits of the running set's hash.
    #[must_use]
    pub fn short_hash(&self) -> &str {
        short_hash(&self.hash)
    }

    /// How many rules count.
    #[must_use]
    pub fn n_enforced(&self) -> usize {
        self.rules.iter().filter(|rule| rule.is_enforced()).count()
    }
}

/// One diagnostic of the rule loader.
#[derive(Clone, Debug)]
pub struct RuleProblem {
    /// An error keeps the set from loading, a warning does not.
    pub is_error: bool,
    /// The file, within the directory.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The source with a pointer, as the terminal shows it.
    pub excerpt: String,
    /// What to do.
    pub help: Option<String>,
}

/// Points at which a label holds and rejects.
#[derive(Clone, Debug)]
pub struct ThresholdLine {
    /// The label.
    pub label: Label,
    /// From here on a person looks.
    pub hold: f64,
    /// From here on it is rejected.
    pub reject: f64,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RuleLine {
    /// Its stable id.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Its label.
    pub label: Label,
    /// `+3.5`, `holds`, `rejects`; [`super::words::signed`] writes points.
    pub effect: String,
    /// `off`, `shadow`, `canary 10 %`, `enforce`.
    pub mode: String,
    /// File and line.
    pub source: String,
    /// How often it matched lately, if that is counted.
    pub hits: Option<u64>,
}

impl RuleLine {
    /// True if it counts for everybody.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.mode == "enforce"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_decision_and_a_rejection_says_why() {
        assert_eq!(read_choice("hold"), Some((Decision::Hold, None)));
        assert_eq!(
            read_choice("reject:abuse"),
            Some((Decision::Reject, Some(Label::Abuse)))
        );
        assert_eq!(read_choice("reject"), None);
        assert_eq!(read_choice("approve:spam"), None);
        assert_eq!(read_choice("reject:rude"), None);
        assert_eq!(read_choice(""), None);
    }

    #[test]
    fn the_address_of_a_view_names_only_what_is_asked_for() {
        let plain = QueueFilter::default();
        let narrow = QueueFilter {
            label: Some(Label::Spam),
            q: "a & b".to_owned(),
            ..QueueFilter::default()
        };

        assert_eq!(plain.href(None), "/console");
        assert_eq!(narrow.href(None), "/console?label=spam&q=a+%26+b");
    }
}
