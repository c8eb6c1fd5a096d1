//! People: set-up, log-in, sessions, tokens, on both databases and as two instances see them.
//!
//! Not here: cookies and forms, which are the console's.

use std::path::Path;
use std::time::Duration;

use anteroom::app::accounts::{self, AccountError};
use anteroom::app::audit;
use anteroom::app::counters::Counters;
use anteroom::app::places;
use anteroom::app::rulebook::Rulebook;
use anteroom::app::sites::Sites;
use anteroom::app::submit::InFlight;
use anteroom::app::threads::Cache;
use anteroom::app::{App, Parts, Replies, Reply, Settings};
use anteroom::domain::{Clock, Limits, Permission, Role, Timestamp};
use anteroom::seal::file::Roots;
use anteroom::seal::password::Passwords;
use anteroom::seal::{Keyring, secrets};
use anteroom::store::{Pools, Store, connect};
use futures_util::future::join_all;
use tempfile::TempDir;

use crate::rig::{Backend, both_backends};

both_backends! {
    the_first_admin_comes_by_a_link_that_works_once,
    a_setup_link_is_void_after_a_quarter_of_an_hour,
    tries_are_slowed_down_alike_whether_or_not_the_name_exists,
    tries_at_the_same_moment_are_all_counted,
    a_session_ends_when_idle_when_old_and_at_log_out,
    a_sixth_session_ends_the_first,
    another_password_ends_every_session,
    a_disabled_person_is_out_on_every_instance_at_once,
    a_token_works_until_it_is_revoked,
    people_see_their_own_sites_alone,
    names_and_passwords_that_cannot_be_used_are_refused,
    what_was_done_is_in_the_audit_log_and_no_secret_is,
    a_changed_or_missing_row_of_the_audit_log_is_noticed,
}

const PASSWORD: &str = "harbour-lantern-quilt-27";
const WRONG: &str = "harbour-lantern-quilt-28";

async fn the_first_admin_comes_by_a_link_that_works_once(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    let link = accounts::fresh_setup_link(&app).await.unwrap().unwrap();
    let other = accounts::fresh_setup_link(&app).await.unwrap().unwrap();
    assert!(accounts::is_setup_link(&app, &link).await.unwrap());
    assert!(!accounts::is_setup_link(&app, "guessed").await.unwrap());

    let session = accounts::set_up(&app, &link, "ada", PASSWORD.into())
        .await
        .unwrap();
    let actor = accounts::by_session(&app, &session.token)
        .await
        .unwrap()
        .unwrap();

    assert!(actor.moderator.can(Permission::ReadAudit));
    for used in [&link, &other] {
        assert!(!accounts::is_setup_link(&app, used).await.unwrap());
        let again = accounts::set_up(&app, used, "eve", PASSWORD.into()).await;
        assert!(matches!(again, Err(AccountError::LinkVoid)));
    }
    assert!(accounts::fresh_setup_link(&app).await.unwrap().is_none());
}

async fn a_setup_link_is_void_after_a_quarter_of_an_hour(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    let link = accounts::fresh_setup_link(&app).await.unwrap().unwrap();

    house.clock.advance(accounts::SETUP_LINK);

    let late = accounts::set_up(&app, &link, "ada", PASSWORD.into()).await;
    assert!(matches!(late, Err(AccountError::LinkVoid)));
}

async fn tries_are_slowed_down_alike_whether_or_not_the_name_exists(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    add(&app, "ada").await;

    for name in ["ada", "nobody"] {
        for _ in 0..5 {
            let tried = accounts::log_in(&app, name, WRONG.into()).await;
            assert!(matches!(tried, Err(AccountError::WrongLogin)), "{name}");
        }
        let pause = |tried| match tried {
            Err(AccountError::Wait(pause)) => pause,
            other => panic!("{name}: {other:?}"),
        };
        let first = pause(accounts::log_in(&app, name, PASSWORD.into()).await);
        house.clock.advance(first);
        let tried = accounts::log_in(&app, name, WRONG.into()).await;
        assert!(matches!(tried, Err(AccountError::WrongLogin)), "{name}");
        let second = pause(accounts::log_in(&app, name, PASSWORD.into()).await);
        assert_eq!(
            (first, second),
            (Duration::from_secs(1), Duration::from_secs(2))
        );
        house.clock.advance(second);
    }

    accounts::log_in(&app, "ada", PASSWORD.into())
        .await
        .unwrap();
    let after_success = accounts::log_in(&app, "ada", WRONG.into()).await;
    assert!(matches!(after_success, Err(AccountError::WrongLogin)));
    accounts::log_in(&app, "ada", PASSWORD.into())
        .await
        .unwrap();
}

async fn tries_at_the_same_moment_are_all_counted(backend: &Backend) {
    let house = House::new(backend);
    let (one, two) = (house.instance().await, house.instance().await);
    add(&one, "ada").await;

    let tries = (0..20).map(|n| {
        let app = if n % 2 == 0 { &one } else { &two };
        accounts::log_in(app, "ada", WRONG.into())
    });
    let answers = join_all(tries).await;

    let looked_at = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AccountError::WrongLogin)))
        .count();
    let waited = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AccountError::Wait(_))))
        .count();
    assert!(
        (1..=5).contains(&looked_at),
        "{looked_at} passwords were looked at"
    );
    assert_eq!(looked_at + waited, 20);
}

async fn a_session_ends_when_idle_when_old_and_at_log_out(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    let almost_idle = accounts::SESSION_IDLE
        .checked_sub(Duration::from_secs(1))
        .unwrap();

    let idle = house.admin(&app).await;
    house.clock.advance(almost_idle);
    assert!(lives(&app, &idle).await);
    house.clock.advance(almost_idle);
    assert!(lives(&app, &idle).await, "use keeps it alive");
    house.clock.advance(accounts::SESSION_IDLE);
    assert!(!lives(&app, &idle).await);

    let busy = log_in(&app, "admin").await;
    let began_at = house.clock.now();
    while house.clock.now().since(began_at) + almost_idle < accounts::SESSION_LONGEST {
        house.clock.advance(almost_idle);
        assert!(lives(&app, &busy).await);
    }
    house.clock.advance(almost_idle);
    assert!(
        !lives(&app, &busy).await,
        "nobody works for half a day without a break"
    );

    let left = log_in(&app, "admin").await;
    accounts::log_out(&app, &left).await.unwrap();
    assert!(!lives(&app, &left).await);
    accounts::log_out(&app, &left).await.unwrap();
}

async fn a_sixth_session_ends_the_first(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    let mut sessions = vec![house.admin(&app).await];

    for _ in 0..5 {
        house.clock.advance(Duration::from_secs(1));
        sessions.push(log_in(&app, "admin").await);
    }

    let alive = join_all(sessions.iter().map(|token| lives(&app, token))).await;
    assert_eq!(alive, [false, true, true, true, true, true]);
}

async fn another_password_ends_every_session(backend: &Backend) {
    let house = House::new(backend);
    let (one, two) = (house.instance().await, house.instance().await);
    let session = house.admin(&one).await;

    accounts::set_password(&two, "admin", "seven-quiet-barges-moor".into())
        .await
        .unwrap();

    assert!(!lives(&one, &session).await);
    let old = accounts::log_in(&one, "admin", PASSWORD.into()).await;
    assert!(matches!(old, Err(AccountError::WrongLogin)));
    accounts::log_in(&one, "admin", "seven-quiet-barges-moor".into())
        .await
        .unwrap();
}

async fn a_disabled_person_is_out_on_every_instance_at_once(backend: &Backend) {
    let house = House::new(backend);
    let (one, two) = (house.instance().await, house.instance().await);
    add(&one, "ada").await;
    let session = log_in(&one, "ada").await;
    let (_, token) = accounts::create_token(&one, "ada").await.unwrap();
    assert!(accounts::by_token(&one, &token).await.unwrap().is_some());

    accounts::disable(&two, "ada").await.unwrap();

    assert!(!lives(&one, &session).await);
    assert!(accounts::by_token(&one, &token).await.unwrap().is_none());
    let again = accounts::log_in(&one, "ada", PASSWORD.into()).await;
    assert!(matches!(again, Err(AccountError::WrongLogin)));
    let new = accounts::create_token(&one, "ada").await;
    assert!(matches!(new, Err(AccountError::Disabled(_))));
}

async fn a_token_works_until_it_is_revoked(backend: &Backend) {
    let house = House::new(backend);
    let (one, two) = (house.instance().await, house.instance().await);
    add(&one, "ada").await;
    let (id, token) = accounts::create_token(&one, "ada").await.unwrap();
    let (_, other) = accounts::create_token(&one, "ada").await.unwrap();
    let holder = accounts::by_token(&two, &token).await.unwrap().unwrap();
    assert_eq!(holder.moderator.name, "ada");
    assert!(
        accounts::by_token(&two, "ant_guessed")
            .await
            .unwrap()
            .is_none()
    );

    accounts::revoke_token(&two, id).await.unwrap();

    assert!(accounts::by_token(&one, &token).await.unwrap().is_none());
    assert!(accounts::by_token(&one, &other).await.unwrap().is_some());
    let unknown = accounts::revoke_token(&one, uuid::Uuid::nil()).await;
    assert!(matches!(unknown, Err(AccountError::Unknown("token"))));
}

async fn people_see_their_own_sites_alone(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    for key in ["north", "south"] {
        let origin = format!("https://{key}.test");
        places::add_site(&app, key, None, &[origin]).await.unwrap();
    }
    let id = |key| app.sites.current().by_key(key).unwrap().id;
    let sites = Some(vec![id("north")]);
    accounts::add(&app, "ada", Role::Moderator, sites, None)
        .await
        .unwrap();
    let (_, token) = accounts::create_token(&app, "ada").await.unwrap();

    let ada = accounts::by_token(&app, &token)
        .await
        .unwrap()
        .unwrap()
        .moderator;

    assert!(ada.works_at(id("north")) && !ada.works_at(id("south")));
    assert!(ada.can(Permission::Moderate) && !ada.can(Permission::ReadRules));
    let without_password = accounts::log_in(&app, "ada", PASSWORD.into()).await;
    assert!(matches!(without_password, Err(AccountError::WrongLogin)));
}

async fn names_and_passwords_that_cannot_be_used_are_refused(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    add(&app, "ada").await;

    for name in ["", "  ", "a\nb", "command", "Setup", &"x".repeat(65)] {
        let refused = accounts::add(&app, name, Role::Moderator, None, None).await;
        assert!(matches!(refused, Err(AccountError::BadName)), "{name:?}");
    }
    let taken = accounts::add(&app, " ada ", Role::Moderator, None, None).await;
    assert!(matches!(taken, Err(AccountError::NameTaken)));
    for password in ["short", "adaadaadaadaadaada", "12345678901234567890"] {
        let refused = accounts::set_password(&app, "ada", password.into()).await;
        assert!(
            matches!(refused, Err(AccountError::BadPassword(_))),
            "{password}"
        );
    }
}

async fn what_was_done_is_in_the_audit_log_and_no_secret_is(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    let session = house.admin(&app).await;
    accounts::log_out(&app, &session).await.unwrap();
    let (id, token) = accounts::create_token(&app, "admin").await.unwrap();
    let typed_in_the_wrong_field = accounts::log_in(&app, PASSWORD, WRONG.into()).await;
    assert!(matches!(
        typed_in_the_wrong_field,
        Err(AccountError::WrongLogin)
    ));
    let session = log_in(&app, "admin").await;
    accounts::revoke_token(&app, id).await.unwrap();
    accounts::set_password(&app, "admin", "seven-quiet-barges-moor".into())
        .await
        .unwrap();
    accounts::disable(&app, "admin").await.unwrap();

    let mut log = app.store.audit_log(None, 100).await.unwrap();
    log.reverse();

    let told: Vec<String> = log
        .iter()
        .map(|row| format!("{} {} {}", row.actor, row.action, row.subject))
        .collect();
    let id = id.to_string();
    let expected = [
        "setup user.add admin",
        "admin logout admin",
        &format!("command token.create {id}"),
        "admin login admin",
        &format!("command token.revoke {id}"),
        "command user.passwd admin",
        "command user.disable admin",
    ];
    assert_eq!(told, expected);
    let whole = audit::verify(&app).await.unwrap();
    assert_eq!(
        whole,
        audit::Finding {
            rows: 7,
            broken_at: None
        }
    );
    let all = format!("{log:?}");
    for secret in [
        PASSWORD,
        WRONG,
        &token,
        &session,
        &hex::encode(secrets::hash(&token)),
    ] {
        assert!(!all.contains(secret));
    }
}

async fn a_changed_or_missing_row_of_the_audit_log_is_noticed(backend: &Backend) {
    let house = House::new(backend);
    let app = house.instance().await;
    for key in ["a", "b", "c"] {
        let origin = "https://blog.test".to_owned();
        places::add_site(&app, key, None, &[origin]).await.unwrap();
    }

    run(&app, "update audit set subject = 'x' where seq = 2").await;
    let changed = audit::verify(&app).await.unwrap().broken_at;
    run(&app, "delete from audit where seq = 2").await;
    let removed = audit::verify(&app).await.unwrap().broken_at;
    run(&app, "delete from audit where seq = 1").await;
    let beheaded = audit::verify(&app).await.unwrap().broken_at;

    assert_eq!((changed, removed, beheaded), (Some(2), Some(3), Some(3)));
}

/// One installation: a database, keys and a clock, which any number of instances share.
struct House {
    url: String,
    keyring: Keyring,
    clock: Clock,
    _folder: TempDir,
}

impl House {
    fn new(backend: &Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", folder.path().join("house.db").display()),
            Backend::Postgres { url } => url.clone(),
        };
        let roots = Roots {
            enc: [1; 32],
            enc_id: *b"test",
            index: [2; 32],
        };
        Self {
            url,
            keyring: Keyring::from_roots(&roots),
            clock: Clock::fixed(Timestamp(1_750_000_000_000_000)),
            _folder: folder,
        }
    }

    async fn instance(&self) -> App {
        let store = Store::new(connect(&self.url.parse().unwrap()).await.unwrap());
        let second = Duration::from_secs(1);
        App::new(Parts {
            sites: Sites::load(&store).await.unwrap(),
            store,
            keyring: self.keyring.clone(),
            passwords: Passwords::new(self.keyring.clone()),
            clock: self.clock.clone(),
            settings: Settings {
                limits: Limits {
                    name_bytes: 1,
                    email_bytes: 1,
                    url_bytes: 1,
                    body_bytes: 1,
                },
                edit_window: second,
                thread_closes_after: None,
                replies: Replies {
                    by_label: [Reply::Explain; 4],
                    quiet_for: second,
                },
                public_url: "https://comments.test".to_owned(),
            },
            rulebook: Rulebook::empty(Path::new("rules"), self.clock.clone()),
            threads: Cache::default(),
            counters: Counters::default(),
            in_flight: InFlight::default(),
        })
    }

    /// Sets the house up, and returns the session of `admin`.
    async fn admin(&self, app: &App) -> String {
        let link = accounts::fresh_setup_link(app).await.unwrap().unwrap();
        accounts::set_up(app, &link, "admin", PASSWORD.into())
            .await
            .unwrap()
            .token
    }
}

/// What somebody with access to the database alone can do.
async fn run(app: &App, sql: &'static str) {
    match app.store.pools() {
        Pools::Sqlite { writer, .. } => drop(sqlx::query(sql).execute(writer).await.unwrap()),
        Pools::Postgres(pool) => drop(sqlx::query(sql).execute(pool).await.unwrap()),
    }
}

async fn add(app: &App, name: &str) {
    accounts::add(app, name, Role::Moderator, None, Some(PASSWORD.into()))
        .await
        .unwrap();
}

async fn log_in(app: &App, name: &str) -> String {
    accounts::log_in(app, name, PASSWORD.into())
        .await
        .unwrap()
        .token
}

async fn lives(app: &App, token: &str) -> bool {
    accounts::by_session(app, token).await.unwrap().is_some()
}
