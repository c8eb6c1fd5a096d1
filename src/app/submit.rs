//! The pipeline: a comment's way from the door to its verdict, in one function.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::gather::{self, Client, FormUse, Gathered, Proof};
use super::judge::{Case, Judged, judge};
use super::{App, Fault, Reply, complete, new_id};
use crate::domain::{
    AuthorId, CommentId, Draft, FieldError, Label, Outcome, Site, SiteId, Status, Submission,
    Timestamp,
};
use crate::seal::Place;
use crate::store::signals::Signals;
use crate::store::writer::{Bytes, Idempotency, NewComment, NewThread, Recorded};

/// Replies nest at most this deep; deeper ones stay at this depth.
const MAX_DEPTH: i64 = 64;

/// What arrived, and how.
pub struct Arrival {
    /// The fields.
    pub draft: Draft,
    /// Who sent it.
    pub client: Client,
    /// It came with the site's API key: `client` and `draft.account` are the blog's word.
    pub by_site: bool,
    /// The caller's idempotency key.
    pub idempotency_key: Option<String>,
}

/// What the submitter gets.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The comment.
    pub id: CommentId,
    /// The private token; proof of authorship.
    pub token: String,
    /// What the author hears.
    pub answer: Answer,
    /// Until when the author may edit.
    pub edit_until: Timestamp,
    /// The comment as its author may see it.
    pub face: Face,
}

/// What the author hears of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is public.
    Published,
    /// It waits for a person, or is said to.
    Waiting,
    /// It was rejected, and the class of reason is said.
    Rejected {
        /// The class of reason.
        label: Option<Label>,
        /// What the deciding rule lets the author read.
        reply: Option<String>,
    },
}

/// A comment as its author, or a reader, sees it.
#[derive(Clone, Debug)]
pub struct Face {
    /// Key of the thread.
    pub thread: String,
    /// The comment it answers.
    pub parent: Option<CommentId>,
    /// The typed name; `None` once erased.
    pub name: Option<String>,
    /// The website.
    pub website: Option<String>,
    /// Whom the picture stands for.
    pub avatar_seed: [u8; 16],
    /// The text.
    pub body: String,
    /// When it arrived.
    pub created_at: Timestamp,
    /// When it was edited.
    pub edited_at: Option<Timestamp>,
    /// 0 for a comment on the post itself.
    pub depth: i64,
}

/// Why a submission was not taken. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Fields are wrong.
    #[error("{} fields are wrong", .0.len())]
    Fields(Vec<FieldError>),
    /// The comment it answers is not in this thread, or not public.
    #[error("the comment it answers is not here")]
    UnknownParent,
    /// The thread takes no more comments.
    #[error("the thread is closed")]
    ThreadClosed,
    /// The same author said the same here.
    #[error("the same comment is here already")]
    Duplicate,
    /// The site was changed while the submission was on its way: look it up again and start over.
    #[error("the site has just been changed")]
    SiteChanged,
    /// The idempotency key stands for other content.
    #[error("the idempotency key was used for other content")]
    KeyReused,
    /// A request with the same key is under way.
    #[error("a request with the same idempotency key is under way")]
    InFlight,
    /// Not the caller's fault.
    #[error("the submission could not be stored")]
    Fault(#[from] Fault),
}

impl From<crate::store::StoreError> for SubmitError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

/// Takes one submission from the door to its verdict.
///
/// # Errors
/// See [`SubmitError`]; nothing was stored then.
pub async fn submit(app: &App, site: &Arc<Site>, arrival: Arrival) -> Result<Receipt, SubmitError> {
    let now = app.clock.now();
    let Arrival {
        draft,
        client,
        by_site,
        idempotency_key,
    } = arrival;
    let key = idempotency_key.map(|key| fingerprint(app, site, &key, &draft, &client, by_site));
    let form = form_use(app, site, &draft, now);
    let account = (by_site && !draft.account.is_empty())
        .then(|| app.keyring.account_author(site.id, &draft.account).0);
    // 1 parse: pure, all field errors at once.
    let mut submission =
        Submission::parse(draft, &app.settings.limits).map_err(SubmitError::Fields)?;
    if !by_site {
        // Anybody can send any address; only one of the blog's own becomes the thread's.
        submission.thread_url.take_if(|url| !site.has_page(url));
    }
    let _twin = match &key {
        Some(key) => Some(
            app.in_flight
                .enter(site.id, key.mark)
                .ok_or(SubmitError::InFlight)?,
        ),
        None => None,
    };
    let receipt = submission
        .proof
        .as_deref()
        .and_then(|proof| app.keyring.verify_receipt(proof));
    let proof = Proof { receipt, account };
    // 2 gather: the only reads; what is missing stays unknown.
    let mark = key.as_ref().map(|key| key.mark);
    let gathered = gather::facts(app, site, &submission, (&client, proof, form), mark, now).await;
    if let Some(signals) = &gathered.signals {
        app.sites.refresh(&app.store, signals.revision).await?;
        // Whoever read it again, we or another task: what was checked must still be so.
        let is_same = match app.sites.current().by_id(site.id) {
            Some(known) => Arc::ptr_eq(known, site) || known == site,
            None => false,
        };
        if !is_same {
            return Err(SubmitError::SiteChanged);
        }
        // A retry hears what its first request heard, whatever has become of the place since.
        if let (Some(key), Some(first)) = (&key, signals.known_comment) {
            return if signals.known_content.as_deref() == Some(&key.content_hash.0[..]) {
                first_answer(app, site.id, CommentId(first)).await
            } else {
                Err(SubmitError::KeyReused)
            };
        }
        check_place(app, &submission, signals, now)?;
    }
    // 3 evaluate and 4 decide: pure; a filter that fails sends the comment to a person.
    let judged = judge(app, case(site, &submission, &gathered)).await;
    // 5 record: one transaction, in a task of its own.
    let new = new_comment(
        app, site, submission, by_site, &gathered, account, &client, &judged, key, now,
    )?;
    record(app, site, new, judged).await
}

/// Stores a judged comment and says what its author hears.
async fn record(
    app: &App,
    site: &Arc<Site>,
    new: NewComment,
    judged: Judged,
) -> Result<Receipt, SubmitError> {
    let receipt = Receipt {
        id: new.id,
        token: app.keyring.receipt(new.id),
        answer: match new.answer {
            Status::Approved => Answer::Published,
            Status::Rejected => Answer::Rejected {
                label: judged.verdict.label,
                reply: judged.reply(),
            },
            Status::Pending | Status::Withdrawn => Answer::Waiting,
        },
        edit_until: new.edit_until,
        face: Face {
            thread: new.thread.key.clone(),
            parent: new.parent_id,
            name: Some(new.author_name.clone()),
            website: new.author_url.clone(),
            avatar_seed: app.avatar_seed(
                site.id,
                new.author_proven.then_some(AuthorId(new.author_id)),
                (&new.thread.key, &new.author_name),
            ),
            body: new.body.clone(),
            created_at: new.created_at,
            edited_at: None,
            depth: new.depth,
        },
    };
    let app = app.clone();
    let site = site.id;
    complete(async move {
        let thread = new.thread.key.clone();
        let public = new.status == Status::Approved;
        match app.store.writer().record(Box::new(new)).await? {
            Recorded::Stored => {
                // 6 announce: after the commit.
                if public {
                    app.threads.forget(site, &thread);
                }
                Ok(receipt)
            }
            Recorded::Replay(id) => first_answer(&app, site, id).await,
            Recorded::KeyReused => Err(SubmitError::KeyReused),
            Recorded::Duplicate => Err(SubmitError::Duplicate),
        }
    })
    .await
}

/// The answer that a recorded submission got, told again from what does not change about it.
async fn first_answer(app: &App, site: SiteId, id: CommentId) -> Result<Receipt, SubmitError> {
    let gone = || {
        Fault::Store(crate::store::StoreError::Unavailable(
            "the first answer is gone",
        ))
    };
    let standing = app.store.standing(site, id).await?.ok_or_else(gone)?;
    let face = app.store.face(site, id).await?.ok_or_else(gone)?;
    let versions = app.store.versions(site, id).await?;
    let first = versions.into_iter().next().ok_or_else(gone)?;
    let answer = match face.answer.as_str() {
        "approved" => Answer::Published,
        "rejected" => Answer::Rejected {
            label: first.label.as_deref().and_then(|label| label.parse().ok()),
            reply: first.reply,
        },
        _ => Answer::Waiting,
    };
    let name = face.author_name.clone().unwrap_or_default();
    Ok(Receipt {
        id,
        token: app.keyring.receipt(id),
        answer,
        edit_until: standing.edit_until,
        face: Face {
            avatar_seed: app.avatar_seed(
                site,
                face.author_proven.then_some(AuthorId(standing.author)),
                (&face.thread_key, &name),
            ),
            thread: face.thread_key,
            parent: face.parent_id.map(CommentId),
            name: face.author_name,
            website: face.author_url,
            body: first.body,
            created_at: standing.created_at,
            edited_at: None,
            depth: face.depth,
        },
    })
}

impl App {
    /// Whom a picture stands for: the proven author at this site, else the name within its thread; never the address.
    #[must_use]
    pub fn avatar_seed(
        &self,
        site: SiteId,
        author: Option<AuthorId>,
        (thread, name): (&str, &str),
    ) -> [u8; 16] {
        self.keyring.avatar_seed(site, author, thread, name)
    }
}

/// What the form's stamp and trap say; a submission without them is judged without those facts.
fn form_use(app: &App, site: &Site, draft: &Draft, now: Timestamp) -> FormUse {
    let seconds = (!draft.stamp.is_empty())
        .then(|| {
            app.keyring
                .verify_stamp(site.id, &draft.thread_key, &draft.stamp, now)
        })
        .flatten();
    FormUse {
        seconds: seconds.map(|since| since.as_secs_f64()),
        trap_filled: draft.trap.as_ref().map(|trap| !trap.is_empty()),
    }
}

/// The parent must be public in this very thread, and the thread open.
fn check_place(
    app: &App,
    submission: &Submission,
    signals: &Signals,
    now: Timestamp,
) -> Result<(), SubmitError> {
    if submission.parent.is_some() {
        let here = signals.parent_thread_key.as_deref() == Some(submission.thread.as_str());
        if !here || signals.parent_public_version.is_none() {
            return Err(SubmitError::UnknownParent);
        }
    }
    let made = signals.thread_created_at.map(Timestamp);
    if signals.thread_closed_at.is_some() || app.settings.is_too_old(made, now) {
        return Err(SubmitError::ThreadClosed);
    }
    Ok(())
}

impl super::Settings {
    /// True if a thread made then takes no more comments now.
    #[must_use]
    pub fn is_too_old(&self, made: Option<Timestamp>, now: Timestamp) -> bool {
        match (self.thread_closes_after, made) {
            (Some(age), Some(made)) => now.since(made) >= age,
            _ => false,
        }
    }
}

fn case(site: &Site, submission: &Submission, gathered: &Gathered) -> Case {
    Case {
        site: site.key.as_str().into(),
        body: submission.body.clone(),
        name: submission.name.as_str().to_owned(),
        url: submission
            .website
            .as_ref()
            .map_or_else(String::new, |url| url.as_str().to_owned()),
        facts: gathered.facts.clone(),
        facts_missing: gathered.signals.is_none(),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that makes a comment meets here, once"
)]
fn new_comment(
    app: &App,
    site: &Site,
    submission: Submission,
    by_site: bool,
    gathered: &Gathered,
    account: Option<Uuid>,
    client: &Client,
    judged: &Judged,
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<NewComment, Fault> {
    let id = CommentId(new_id(now)?);
    let proven = account.or_else(|| gathered.signals.as_ref().and_then(|s| s.proven_author_id));
    let author_id = match proven {
        Some(author) => author,
        None => new_id(now)?,
    };
    let email_index = app.keyring.blind_index(site.id, &submission.email);
    let place = |column| Place {
        table: "comment",
        column,
        site: site.id,
        row: id.0,
    };
    let keys = |error: crate::seal::SealError| Fault::Keys(error.to_string());
    let email_sealed = app
        .keyring
        .seal(&place("email_sealed"), submission.email.expose().as_bytes())
        .map_err(keys)?;
    let network_sealed = client
        .ip
        .map(|ip| {
            app.keyring
                .seal(&place("network_sealed"), gather::network(ip).as_bytes())
        })
        .transpose()
        .map_err(keys)?;
    let duplicate_marks =
        duplicate_marks(app, site, &submission, &email_index, client, proven, now);
    let outcome = judged.verdict.outcome;
    let answer = app.settings.answer_to(judged);
    let quiet = outcome == Outcome::Reject && answer == Status::Pending;
    Ok(NewComment {
        site_id: site.id,
        thread: NewThread {
            id: new_id(now)?,
            key: submission.thread.as_str().to_owned(),
            url: submission.thread_url.map(|url| url.as_str().to_owned()),
            title: submission.thread_title,
            is_told_by_site: by_site,
        },
        id,
        parent_id: submission.parent,
        depth: gathered
            .signals
            .as_ref()
            .and_then(|signals| signals.parent_depth)
            .map_or(0, |depth| (depth + 1).min(MAX_DEPTH)),
        status: Status::from(outcome),
        answer,
        label: judged.verdict.label,
        risk: judged.risk(),
        author_id,
        author_proven: proven.is_some(),
        author_name: submission.name.as_str().to_owned(),
        author_url: submission.website.map(|url| url.as_str().to_owned()),
        email_sealed: Bytes(email_sealed),
        email_index: Bytes(email_index.to_vec()),
        typed_mark: gathered.typed_mark,
        network_sealed: network_sealed.map(Bytes),
        client_family: client
            .user_agent
            .as_deref()
            .and_then(client_family)
            .map(str::to_owned),
        created_at: now,
        edit_until: now.plus(app.settings.edit_window),
        quiet_until: quiet.then(|| now.plus(app.settings.replies.quiet_for)),
        body: submission.body,
        verdict: judged.to_row(
            app,
            &Place {
                table: "verdict",
                column: "facts_sealed",
                site: site.id,
                row: id.0,
            },
        )?,
        duplicate_marks,
        idempotency,
        event_id: new_id(now)?,
    })
}

/// Keyed hashes by which the same words of the same author in the same thread are known: one for who they typed to be, in
/// their network, and one for who they proved to be.
fn duplicate_marks(
    app: &App,
    site: &Site,
    submission: &Submission,
    email_index: &[u8],
    client: &Client,
    proven: Option<Uuid>,
    now: Timestamp,
) -> Vec<Uuid> {
    let (thread, text) = (submission.thread.as_str(), submission.body.trim());
    let network = app.keyring.network_mark(site.id, client.ip, now);
    let typed: [&[u8]; 4] = [thread.as_bytes(), email_index, &network, text.as_bytes()];
    let typed = app.keyring.mark(site.id, "duplicate/typed", &typed);
    let proven = proven.map(|author| {
        let parts: [&[u8]; 3] = [thread.as_bytes(), author.as_bytes(), text.as_bytes()];
        app.keyring.mark(site.id, "duplicate/proven", &parts)
    });
    std::iter::once(typed).chain(proven).collect()
}

impl super::Settings {
    /// What the author hears of a verdict, as a status.
    #[must_use]
    pub fn answer_to(&self, judged: &Judged) -> Status {
        match judged.verdict.outcome {
            Outcome::Approve => Status::Approved,
            Outcome::Hold => Status::Pending,
            Outcome::Reject => match self.replies.of(judged.verdict.label) {
                Reply::Explain if !judged.is_discarded() => Status::Rejected,
                Reply::Explain | Reply::Quiet => Status::Pending,
            },
        }
    }
}

/// What an idempotency key stands for. Keyed hashes: the content holds an address, and the scope may be a network.
fn fingerprint(
    app: &App,
    site: &Site,
    key: &str,
    draft: &Draft,
    client: &Client,
    by_site: bool,
) -> Idempotency {
    let scope = if by_site {
        Vec::new()
    } else {
        // Not the daily mark: a retry after midnight is still a retry.
        let network = client.ip.map(gather::network).unwrap_or_default();
        network.into_bytes()
    };
    let mark = app
        .keyring
        .mark(site.id, "idempotency/key", &[&scope, key.as_bytes()]);
    let content: Vec<&[u8]> = [
        &draft.thread_key,
        &draft.parent,
        &draft.name,
        &draft.email,
        &draft.url,
        &draft.body,
        &draft.proof,
        &draft.account,
    ]
    .into_iter()
    .map(String::as_bytes)
    .collect();
    let content_hash = app.keyring.mark(site.id, "idempotency/content", &content);
    Idempotency {
        mark,
        content_hash: Bytes(content_hash.as_bytes().to_vec()),
    }
}

/// The browser's family, which is all that is kept of what a client calls itself.
fn client_family(user_agent: &str) -> Option<&'static str> {
    // More specific names first: most browsers also claim to be Safari, and many to be Chrome.
    const FAMILIES: [(&str, &str); 8] = [
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
        ("WordPress/", "WordPress"),
    ];
    FAMILIES
        .iter()
        .find(|(mark, _)| user_agent.contains(mark))
        .map(|(_, family)| *family)
}

/// Keys whose first request is still under way in this instance.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<(SiteId, Uuid)>>>);

/// Leaves the set when dropped.
#[derive(Debug)]
pub struct InFlightGuard {
    set: InFlight,
    key: (SiteId, Uuid),
}

impl InFlight {
    fn enter(&self, site: SiteId, mark: Uuid) -> Option<InFlightGuard> {
        let key = (site, mark);
        let entered = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key);
        entered.then(|| InFlightGuard {
            set: self.clone(),
            key,
        })
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.set
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

/// How long an idempotency key is kept. Source: contract, section 3.
pub const IDEMPOTENCY_KEPT_FOR: Duration = Duration::from_hours(48);
