//! The use cases on both databases, without HTTP: what the pipeline stores, what moderators and authors can do with it,
//! and that every count stays in step.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anteroom::app::author::{self, AuthorError};
use anteroom::app::counters::Counters;
use anteroom::app::gather::Client;
use anteroom::app::review::{self, QueueQuery, ReviewError, Wish};
use anteroom::app::rulebook::Rulebook;
use anteroom::app::sites::Sites;
use anteroom::app::submit::{self, Answer, Arrival, InFlight, Receipt, SubmitError};
use anteroom::app::threads::{self, Cache, Order, PageKey};
use anteroom::app::{App, Parts, Replies, Reply, Settings, accounts, places};
use anteroom::domain::moderator::Via;
use anteroom::domain::{
    Actor, Clock, CommentId, Decision, Draft, Label, Limits, Role, Site, Status, ThreadKey,
    Timestamp, Version,
};
use anteroom::seal::Keyring;
use anteroom::seal::password::Passwords;
use anteroom::store::{Store, connect};
use tempfile::TempDir;

const RULES: &str = r#"
[[rule]]
id = "words.wait"
label = "policy"
points = 5.0
words = { entries = ["please wait"], on = ["body"], match = "word" }
[[rule]]
id = "words.reject"
label = "spam"
points = 12.0
words = { entries = ["please reject"], on = ["body"], match = "word" }
[[rule]]
id = "words.refuse"
label = "abuse"
points = 12.0
reply = "Please mind your tone."
words = { entries = ["please refuse"], on = ["body"], match = "word" }
[[rule]]
id = "author.known"
label = "spam"
points = 5.0
when = "author.approved > 0 && body.words == 1"
"#;

/// One installation: an app over a database of its own, a site `garden`, and a clock that a test moves.
struct World {
    app: App,
    site: Arc<Site>,
    clock: Clock,
    folder: TempDir,
}

impl World {
    async fn new(database: &str, folder: TempDir) -> Self {
        let rules = folder.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        let policy = "format = 1\n[thresholds]\nhold = 4.0\nreject = 10.0\n";
        std::fs::write(rules.join("policy.toml"), policy).unwrap();
        std::fs::write(rules.join("10.toml"), RULES).unwrap();
        let clock = Clock::fixed(Timestamp(1_790_000_000_000_000));
        let app = app(database, &rules, folder.path(), &clock).await;
        places::add_site(&app, "garden", None, &["https://garden.example".to_owned()])
            .await
            .unwrap();
        let site = Arc::clone(app.sites.current().by_key("garden").unwrap());
        Self {
            app,
            site,
            clock,
            folder,
        }
    }

    async fn submit(&self, number: u32, body: &str) -> Result<Receipt, SubmitError> {
        self.submit_as(number, body, |_| {}).await
    }

    async fn submit_as(
        &self,
        number: u32,
        body: &str,
        change: impl FnOnce(&mut Arrival),
    ) -> Result<Receipt, SubmitError> {
        let mut arrival = Arrival {
            draft: Draft {
                thread_key: "/harbour/".to_owned(),
                name: format!("Reader {number}"),
                email: format!("reader-{number}@mail.example"),
                body: body.to_owned(),
                ..Draft::default()
            },
            client: Client {
                ip: Some("192.0.2.7".parse().unwrap()),
                ..Client::default()
            },
            by_site: false,
            idempotency_key: None,
        };
        change(&mut arrival);
        self.clock.advance(Duration::from_millis(5));
        submit::submit(&self.app, &self.site, arrival).await
    }

    async fn moderator(&self, name: &str) -> Actor {
        let moderator = accounts::add(&self.app, name, Role::Moderator, None, None)
            .await
            .unwrap();
        Actor {
            moderator,
            via: Via::Token,
        }
    }

    async fn visible(&self) -> Vec<String> {
        let key = PageKey {
            order: Order::Oldest,
            limit: 50,
            after: None,
        };
        let thread = ThreadKey::parse("/harbour/").unwrap();
        let page = threads::page(&self.app, &self.site, &thread, key)
            .await
            .unwrap();
        assert_eq!(
            page.total,
            i64::try_from(page.comments.len()).unwrap(),
            "the count is in step"
        );
        page.comments
            .into_iter()
            .map(|(_, face)| face.body)
            .collect()
    }

    async fn waiting(&self, actor: &Actor) -> i64 {
        let query = QueueQuery {
            limit: 100,
            ..QueueQuery::default()
        };
        let page = review::queue(&self.app, actor, &query).await.unwrap();
        assert_eq!(
            page.total,
            i64::try_from(page.items.len()).unwrap(),
            "the count is in step"
        );
        page.total
    }
}

async fn app(database: &str, rules: &Path, folder: &Path, clock: &Clock) -> App {
    let store = Store::new(connect(&database.parse().unwrap()).await.unwrap());
    let keyring = Keyring::open_or_create(&folder.join("keyring.toml")).unwrap();
    let sites = Sites::load(&store).await.unwrap();
    App::new(Parts {
        store,
        passwords: Passwords::new(keyring.clone()),
        keyring,
        clock: clock.clone(),
        settings: Settings {
            limits: Limits::default(),
            edit_window: Duration::from_mins(15),
            thread_closes_after: None,
            replies: Replies {
                by_label: [Reply::Quiet, Reply::Explain, Reply::Explain, Reply::Explain],
                quiet_for: Duration::from_hours(24),
            },
            public_url: "http://127.0.0.1:8080".to_owned(),
        },
        rulebook: Rulebook::open(rules, clock.clone()).unwrap(),
        sites,
        threads: Cache::default(),
        counters: Counters::default(),
        in_flight: InFlight::default(),
    })
}

fn wish(decision: Decision, label: Option<Label>) -> Wish {
    Wish {
        decision,
        label,
        note: None,
    }
}

const FIRST: Version = Version::FIRST;

/// Each test twice: on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("test.db").display());
                super::$name(super::World::new(&url, folder).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(url) = crate::rig::postgres::fresh_database() else { return };
                super::$name(super::World::new(&url, tempfile::tempdir().unwrap()).await).await;
            })*
        }
    };
}

on_both! {
    verdicts_decide_where_a_comment_stands,
    a_decision_and_its_undo_keep_every_count_in_step,
    a_late_decision_is_refused_with_the_one_that_stands,
    a_batch_is_decided_and_undone_as_one,
    the_same_words_are_taken_once_until_they_are_withdrawn,
    a_retry_gets_the_first_answer_and_other_content_is_refused,
    a_receipt_is_proof_and_a_typed_name_is_not,
    a_held_edit_leaves_the_approved_text_public,
    a_rejected_edit_changes_nothing_that_readers_see,
    a_quiet_rejection_is_told_after_its_time,
    an_appeal_brings_a_rejection_back_once,
    reports_of_three_networks_bring_a_comment_before_a_person,
    a_closed_thread_takes_nothing,
    a_parent_must_be_public_in_the_same_thread,
    two_moderators_never_hold_one_item,
    sessions_end_and_tokens_are_void_at_once,
    the_audit_log_is_one_chain,
    many_at_once_are_all_stored_once,
    a_person_sees_only_their_own_sites,
}

async fn verdicts_decide_where_a_comment_stands(world: World) {
    let ada = world.moderator("ada").await;

    let approved = world.submit(1, "The plums are ripe.").await.unwrap();
    let held = world.submit(2, "Could you please wait?").await.unwrap();
    let quiet = world
        .submit(3, "You must please reject this.")
        .await
        .unwrap();
    let loud = world
        .submit(4, "You must please refuse this.")
        .await
        .unwrap();

    assert_eq!(approved.answer, Answer::Published);
    assert_eq!(held.answer, Answer::Waiting);
    assert_eq!(quiet.answer, Answer::Waiting);
    let told = Answer::Rejected {
        label: Some(Label::Abuse),
        reply: Some("Please mind your tone.".to_owned()),
    };
    assert_eq!(loud.answer, told);
    assert_eq!(world.visible().await, ["The plums are ripe."]);
    assert_eq!(world.waiting(&ada).await, 1);
    let detail = review::detail(&world.app, &ada, quiet.id).await.unwrap();
    assert_eq!(detail.standing.status, Status::Rejected);
    assert!(detail.versions[0].findings.0.get().contains("words.reject"));
}

async fn a_decision_and_its_undo_keep_every_count_in_step(world: World) {
    let ada = world.moderator("ada").await;
    let held = world.submit(1, "Do please wait.").await.unwrap();

    let yes = wish(Decision::Approve, None);
    let decided = review::decide(&world.app, &ada, held.id, yes, (FIRST, Status::Pending))
        .await
        .unwrap();
    assert_eq!(world.visible().await, ["Do please wait."]);
    assert_eq!(world.waiting(&ada).await, 0);

    let undone = review::undo(&world.app, &ada, decided.id.0).await.unwrap();
    assert_eq!(undone.restored, [held.id]);
    assert!(world.visible().await.is_empty());
    assert_eq!(world.waiting(&ada).await, 1);
    let again = review::undo(&world.app, &ada, decided.id.0).await;
    assert!(matches!(again, Err(ReviewError::CannotUndo)), "{again:?}");

    world.clock.advance(Duration::from_secs(1));
    let no = wish(Decision::Reject, Some(Label::Spam));
    review::decide(&world.app, &ada, held.id, no, (FIRST, Status::Pending))
        .await
        .unwrap();
    assert_eq!(world.waiting(&ada).await, 0);
    let detail = review::detail(&world.app, &ada, held.id).await.unwrap();
    assert_eq!(detail.standing.label, Some(Label::Spam));
    assert_eq!(detail.decisions.len(), 2);
    assert!(detail.decisions[0].undone_at.is_some());
}

async fn a_late_decision_is_refused_with_the_one_that_stands(world: World) {
    let ada = world.moderator("ada").await;
    let ben = world.moderator("ben").await;
    let held = world.submit(1, "Do please wait.").await.unwrap();
    let yes = wish(Decision::Approve, None);
    review::decide(
        &world.app,
        &ada,
        held.id,
        yes.clone(),
        (FIRST, Status::Pending),
    )
    .await
    .unwrap();

    let late = review::decide(&world.app, &ben, held.id, yes, (FIRST, Status::Pending)).await;

    let Err(ReviewError::Conflict(standing)) = late else {
        panic!("{late:?}")
    };
    assert_eq!(standing.status, Status::Approved);
    assert_eq!(standing.decision.unwrap().moderator, "ada");
}

async fn a_batch_is_decided_and_undone_as_one(world: World) {
    let ada = world.moderator("ada").await;
    let mut items = Vec::new();
    for number in 0..7 {
        let held = world
            .submit(number, &format!("{number}: please wait"))
            .await
            .unwrap();
        items.push((held.id, FIRST));
    }
    let no = wish(Decision::Reject, Some(Label::Spam));
    review::decide(
        &world.app,
        &ada,
        items[0].0,
        no.clone(),
        (FIRST, Status::Pending),
    )
    .await
    .unwrap();

    let bulk = review::decide_many(&world.app, &ada, items, no)
        .await
        .unwrap();

    assert_eq!((bulk.decided.len(), bulk.conflicts.len()), (6, 1));
    assert_eq!(world.waiting(&ada).await, 0);
    let undone = review::undo(&world.app, &ada, bulk.id.0).await.unwrap();
    assert_eq!(undone.restored.len(), 6);
    assert_eq!(world.waiting(&ada).await, 6);
}

async fn the_same_words_are_taken_once_until_they_are_withdrawn(world: World) {
    let first = world.submit(1, "The plums are ripe.").await.unwrap();

    let again = world.submit(1, "The plums are ripe.").await;
    assert!(matches!(again, Err(SubmitError::Duplicate)), "{again:?}");
    world
        .submit(2, "The plums are ripe.")
        .await
        .expect("somebody else may say so too");

    author::withdraw(&world.app, first.id, &first.token)
        .await
        .unwrap();
    world
        .submit(1, "The plums are ripe.")
        .await
        .expect("it is not there any more");
    assert_eq!(world.visible().await.len(), 2);
}

async fn a_retry_gets_the_first_answer_and_other_content_is_refused(world: World) {
    let key = |arrival: &mut Arrival| arrival.idempotency_key = Some("k-1".to_owned());
    let first = world.submit_as(1, "Do please wait.", key).await.unwrap();
    let ada = world.moderator("ada").await;
    let yes = wish(Decision::Approve, None);
    review::decide(&world.app, &ada, first.id, yes, (FIRST, Status::Pending))
        .await
        .unwrap();

    let retry = world.submit_as(1, "Do please wait.", key).await.unwrap();
    let other = world.submit_as(1, "Something else.", key).await;

    assert_eq!(
        (retry.id, retry.answer),
        (first.id, Answer::Waiting),
        "the first answer, not today's"
    );
    assert_eq!(retry.token, first.token);
    assert!(matches!(other, Err(SubmitError::KeyReused)), "{other:?}");
    assert_eq!(world.visible().await.len(), 1);
}

async fn a_receipt_is_proof_and_a_typed_name_is_not(world: World) {
    let first = world.submit(1, "The plums are ripe.").await.unwrap();

    // The rule holds a one-word comment of somebody with an approved comment, so that proof shows.
    let typed = world.submit(1, "Yes.").await.unwrap();
    let proven = world
        .submit_as(9, "No.", |arrival| {
            arrival.draft.proof.clone_from(&first.token);
        })
        .await
        .unwrap();
    let forged = world
        .submit_as(8, "Oh.", |arrival| {
            arrival.draft.proof = format!("{}0", first.token);
        })
        .await
        .unwrap();

    assert_eq!(typed.answer, Answer::Published);
    assert_eq!(proven.answer, Answer::Waiting);
    assert_eq!(forged.answer, Answer::Published);
}

async fn a_held_edit_leaves_the_approved_text_public(world: World) {
    let ada = world.moderator("ada").await;
    let first = world.submit(1, "The plums are ripe.").await.unwrap();

    let (own, answer) = author::edit(
        &world.app,
        first.id,
        &first.token,
        "No, please wait.".to_owned(),
    )
    .await
    .unwrap();

    assert_eq!(
        (own.status, own.version, answer),
        (Status::Pending, 2, Answer::Waiting)
    );
    assert_eq!(world.visible().await, ["The plums are ripe."]);
    assert_eq!(world.waiting(&ada).await, 1);
    let stale = wish(Decision::Approve, None);
    let stale = review::decide(&world.app, &ada, first.id, stale, (FIRST, Status::Pending)).await;
    assert!(
        matches!(stale, Err(ReviewError::Conflict(_))),
        "nobody saw version 2 decided"
    );
    let yes = wish(Decision::Approve, None);
    review::decide(
        &world.app,
        &ada,
        first.id,
        yes,
        (Version(2), Status::Pending),
    )
    .await
    .unwrap();
    assert_eq!(world.visible().await, ["No, please wait."]);

    world.clock.advance(Duration::from_mins(16));
    let late = author::edit(&world.app, first.id, &first.token, "Too late.".to_owned()).await;
    assert!(matches!(late, Err(AuthorError::EditClosed)), "{late:?}");
}

async fn a_rejected_edit_changes_nothing_that_readers_see(world: World) {
    let first = world.submit(1, "The plums are ripe.").await.unwrap();

    let (own, answer) = author::edit(
        &world.app,
        first.id,
        &first.token,
        "Ha, please refuse!".to_owned(),
    )
    .await
    .unwrap();

    assert!(
        matches!(
            answer,
            Answer::Rejected {
                label: Some(Label::Abuse),
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(
        (own.status, own.public_version),
        (Status::Approved, Some(1))
    );
    assert_eq!(world.visible().await, ["The plums are ripe."]);
}

async fn a_quiet_rejection_is_told_after_its_time(world: World) {
    let quiet = world
        .submit(1, "You must please reject this.")
        .await
        .unwrap();
    let view = async || {
        author::view(&world.app, quiet.id, &quiet.token)
            .await
            .unwrap()
    };

    assert_eq!(
        (view().await.status, view().await.label),
        (Status::Pending, None)
    );

    world.clock.advance(Duration::from_hours(25));
    assert_eq!(
        (view().await.status, view().await.label),
        (Status::Rejected, Some(Label::Spam))
    );
    let stranger = author::view(&world.app, quiet.id, "r1.none.none").await;
    assert!(
        matches!(stranger, Err(AuthorError::NotFound)),
        "{stranger:?}"
    );
}

async fn an_appeal_brings_a_rejection_back_once(world: World) {
    let ada = world.moderator("ada").await;
    let loud = world
        .submit(1, "You must please refuse this.")
        .await
        .unwrap();
    let appeal =
        async |text: &str| author::appeal(&world.app, loud.id, &loud.token, text.to_owned()).await;

    let own = appeal("I quoted the mayor.").await.unwrap();

    assert_eq!(own.status, Status::Pending);
    assert_eq!(world.waiting(&ada).await, 1);
    let detail = review::detail(&world.app, &ada, loud.id).await.unwrap();
    assert_eq!(detail.appeal.unwrap().0, "I quoted the mayor.");
    assert!(matches!(appeal("Again.").await, Err(AuthorError::NoAppeal)));
}

async fn reports_of_three_networks_bring_a_comment_before_a_person(world: World) {
    let ada = world.moderator("ada").await;
    let first = world.submit(1, "The plums are ripe.").await.unwrap();
    let report = async |ip: &str| {
        let ip = Some(ip.parse().unwrap());
        author::report(&world.app, first.id, "rude".to_owned(), ip)
            .await
            .unwrap();
    };

    for ip in ["192.0.2.1", "192.0.2.9", "198.51.100.2"] {
        report(ip).await;
    }
    assert_eq!(world.waiting(&ada).await, 0, "one network counts once");
    report("203.0.113.3").await;

    assert_eq!(world.waiting(&ada).await, 1);
    assert_eq!(
        world.visible().await.len(),
        1,
        "it stays public until somebody decides"
    );
}

async fn a_closed_thread_takes_nothing(world: World) {
    places::close_thread(&world.app, "garden", "/harbour/")
        .await
        .unwrap();
    let closed = world.submit(1, "The plums are ripe.").await;
    assert!(
        matches!(closed, Err(SubmitError::ThreadClosed)),
        "{closed:?}"
    );

    places::open_thread(&world.app, "garden", "/harbour/")
        .await
        .unwrap();
    world.submit(1, "The plums are ripe.").await.unwrap();
    places::rename_thread(&world.app, "garden", "/harbour/", "/port/")
        .await
        .unwrap();
    assert!(world.visible().await.is_empty());
}

async fn a_parent_must_be_public_in_the_same_thread(world: World) {
    let public = world.submit(1, "The plums are ripe.").await.unwrap();
    let hidden = world.submit(2, "Do please wait.").await.unwrap();
    let reply = async |number: u32, parent: CommentId, thread: &str| {
        let (parent, thread) = (parent.to_string(), thread.to_owned());
        world
            .submit_as(number, "So they are.", |arrival| {
                arrival.draft.parent = parent;
                arrival.draft.thread_key = thread;
            })
            .await
    };

    let here = reply(3, public.id, "/harbour/").await.unwrap();

    assert_eq!((here.face.parent, here.face.depth), (Some(public.id), 1));
    assert!(matches!(
        reply(4, hidden.id, "/harbour/").await,
        Err(SubmitError::UnknownParent)
    ));
    assert!(matches!(
        reply(5, public.id, "/other/").await,
        Err(SubmitError::UnknownParent)
    ));
}

async fn two_moderators_never_hold_one_item(world: World) {
    let ada = world.moderator("ada").await;
    let ben = world.moderator("ben").await;
    for number in 0..5 {
        world
            .submit(number, &format!("{number}: please wait"))
            .await
            .unwrap();
    }
    let claim = async |actor: &Actor, limit| {
        let order = anteroom::domain::QueueOrder::Oldest;
        let rows = review::claim(&world.app, actor, None, limit, order)
            .await
            .unwrap();
        rows.into_iter()
            .map(|(_, row)| CommentId(row.id))
            .collect::<Vec<_>>()
    };

    let hers = claim(&ada, 3).await;
    let his = claim(&ben, 5).await;

    assert_eq!((hers.len(), his.len()), (3, 2));
    assert!(hers.iter().all(|id| !his.contains(id)));
    assert_eq!(
        review::release(&world.app, &ben, &hers).await.unwrap(),
        0,
        "not his to give back"
    );
    assert_eq!(
        review::release(&world.app, &ada, &hers[..1]).await.unwrap(),
        1
    );
    assert_eq!(claim(&ben, 5).await.len(), 3);
    world.clock.advance(Duration::from_mins(11));
    assert_eq!(claim(&ada, 5).await.len(), 5, "leases run out");
}

async fn sessions_end_and_tokens_are_void_at_once(world: World) {
    let app = &world.app;
    let link = accounts::fresh_setup_link(app).await.unwrap().unwrap();
    let password = || "three calm herons wade".into();
    let session = accounts::set_up(app, &link, "ada", password())
        .await
        .unwrap();
    let used = accounts::set_up(app, &link, "eve", password()).await;
    assert!(matches!(used, Err(accounts::AccountError::LinkVoid)));
    assert!(accounts::fresh_setup_link(app).await.unwrap().is_none());
    assert!(
        accounts::by_session(app, &session.token)
            .await
            .unwrap()
            .is_some()
    );

    let wrong = accounts::log_in(app, "ada", "three calm herons fly".into()).await;
    assert!(matches!(wrong, Err(accounts::AccountError::WrongLogin)));
    let second = accounts::log_in(app, "ada", password()).await.unwrap();
    let (id, token) = accounts::create_token(app, "ada").await.unwrap();
    assert!(accounts::by_token(app, &token).await.unwrap().is_some());
    accounts::revoke_token(app, id).await.unwrap();
    assert!(accounts::by_token(app, &token).await.unwrap().is_none());

    accounts::log_out(app, &second.token).await.unwrap();
    assert!(
        accounts::by_session(app, &second.token)
            .await
            .unwrap()
            .is_none()
    );
    world.clock.advance(Duration::from_mins(31));
    assert!(
        accounts::by_session(app, &session.token)
            .await
            .unwrap()
            .is_none(),
        "idle too long"
    );
    let third = accounts::log_in(app, "ada", password()).await.unwrap();
    accounts::disable(app, "ada").await.unwrap();
    assert!(
        accounts::by_session(app, &third.token)
            .await
            .unwrap()
            .is_none()
    );
}

async fn the_audit_log_is_one_chain(world: World) {
    let ada = world.moderator("ada").await;
    let held = world.submit(1, "Do please wait.").await.unwrap();
    let yes = wish(Decision::Approve, None);
    review::decide(&world.app, &ada, held.id, yes, (FIRST, Status::Pending))
        .await
        .unwrap();

    let mut rows = world.app.store.audit_log(None, 100).await.unwrap();
    rows.reverse();

    let actions: Vec<&str> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["site.add", "user.add", "decision"]);
    let mut previous: Vec<u8> = Vec::new();
    for row in rows {
        previous.extend(row.hashed_bytes());
        assert_eq!(world.app.keyring.audit_mac(&previous).to_vec(), row.hash);
        previous = row.hash;
    }
}

async fn many_at_once_are_all_stored_once(world: World) {
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let world = Arc::clone(&world);
            let key = format!("k-{}", number % 150);
            tokio::spawn(async move {
                let author = number % 150;
                let body = format!("{author} plums");
                world
                    .submit_as(author, &body, |arrival| arrival.idempotency_key = Some(key))
                    .await
            })
        })
        .collect();
    let mut stored = std::collections::HashSet::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(receipt) => {
                stored.insert(receipt.id);
            }
            Err(SubmitError::InFlight) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    assert_eq!(stored.len(), 150);
    let summary = world
        .app
        .store
        .thread(world.site.id, "/harbour/")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(summary.visible, 150);
}

async fn a_person_sees_only_their_own_sites(world: World) {
    places::add_site(
        &world.app,
        "forest",
        None,
        &["https://forest.example".to_owned()],
    )
    .await
    .unwrap();
    let forest = world.app.sites.current().by_key("forest").unwrap().id;
    let eve = accounts::add(&world.app, "eve", Role::Admin, Some(vec![forest]), None)
        .await
        .unwrap();
    let eve = Actor {
        moderator: eve,
        via: Via::Token,
    };
    let held = world.submit(1, "Do please wait.").await.unwrap();

    let yes = wish(Decision::Approve, None);
    let theirs = review::decide(&world.app, &eve, held.id, yes, (FIRST, Status::Pending)).await;
    let named = QueueQuery {
        site: Some("garden".to_owned()),
        limit: 10,
        ..QueueQuery::default()
    };

    assert!(matches!(theirs, Err(ReviewError::NotFound)), "{theirs:?}");
    assert!(matches!(
        review::queue(&world.app, &eve, &named).await,
        Err(ReviewError::NotFound)
    ));
    assert!(matches!(
        review::reveal(&world.app, &eve, held.id, "x").await,
        Err(ReviewError::NotFound)
    ));
    assert_eq!(world.waiting(&eve).await, 0);
}

/// The address is nowhere in the database's files, in no spelling a reader of the files would recognise.
#[tokio::test]
async fn an_address_is_not_in_the_files_and_is_revealed_to_an_admin_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let world = World::new(&url, folder).await;
    let ada = world.moderator("ada").await;
    let root = accounts::add(&world.app, "root", Role::Admin, None, None)
        .await
        .unwrap();
    let root = Actor {
        moderator: root,
        via: Via::Token,
    };
    let receipt = world
        .submit_as(1, "The plums are ripe.", |arrival| {
            arrival.draft.email = "Canary.Bird@Cage-Of-Gold.example".to_owned();
        })
        .await
        .unwrap();

    let denied = review::reveal(&world.app, &ada, receipt.id, "a reader asked").await;
    assert!(matches!(denied, Err(ReviewError::Forbidden)));
    let address = review::reveal(&world.app, &root, receipt.id, "a reader asked")
        .await
        .unwrap();
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&address),
        "Canary.Bird@Cage-Of-Gold.example"
    );
    world.app.store.close().await;
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap().to_ascii_lowercase();
            for canary in [b"canary.bird".as_slice(), b"cage-of-gold", b"192.0.2.7"] {
                let found = bytes.windows(canary.len()).any(|window| window == canary);
                assert!(
                    !found,
                    "{} in {}",
                    String::from_utf8_lossy(canary),
                    path.display()
                );
            }
        }
    }
}
