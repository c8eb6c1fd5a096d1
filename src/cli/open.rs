//! From a configuration to an [`App`]: data directory, keys, database, rules.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use secrecy::ExposeSecret;

use super::Failure;
use crate::app::counters::Counters;
use crate::app::rulebook::{LoadError, Rulebook};
use crate::app::sites::Sites;
use crate::app::submit::InFlight;
use crate::app::threads::Cache;
use crate::app::{App, Fault, Parts, Replies, Reply, Settings, complete, new_id};
use crate::config::Config;
use crate::domain::{Clock, Label, Limits, Site, SiteId, SiteKey};
use crate::seal::password::Passwords;
use crate::seal::{Keyring, secrets};
use crate::store::connect::Location;
use crate::store::{Store, connect};

/// The setting that says which key ring the database belongs to.
const KEYRING: &str = "keyring";
/// The setting that says the demonstration site was made, so that nobody who removes it finds it back.
const DEMO: &str = "demo";

/// Opens everything that use cases need, making what is not there yet. `public_url` is where the service is reached.
pub(super) async fn app(config: &Config, public_url: String) -> Result<App, Failure> {
    let clock = Clock::system();
    let rulebook =
        Rulebook::open(&config.rules.dir, clock.clone()).map_err(|error| match error {
            LoadError::Broken(problems) => {
                let all: Vec<String> = problems
                    .into_iter()
                    .map(|problem| problem.rendered)
                    .collect();
                Failure::environment(anyhow::anyhow!("rules.dir has errors\n{}", all.join("\n")))
            }
            error @ LoadError::Unreadable { .. } => Failure::environment(
                anyhow::anyhow!(error).context("rules.dir must name a rule directory"),
            ),
        })?;
    let (store, keyring) = store(config).await?;
    let sites = Sites::load(&store).await.map_err(Failure::environment)?;
    Ok(App::new(Parts {
        store,
        passwords: Passwords::new(keyring.clone()),
        keyring,
        clock,
        settings: settings(config, public_url),
        rulebook,
        sites,
        threads: Cache::default(),
        counters: Counters::default(),
        in_flight: InFlight::default(),
    }))
}

/// Opens what a command needs that changes sites or people: no rules are loaded for it.
pub(super) async fn for_command(config: &Config) -> Result<App, Failure> {
    let clock = Clock::system();
    let (store, keyring) = store(config).await?;
    let sites = Sites::load(&store).await.map_err(Failure::environment)?;
    Ok(App::new(Parts {
        store,
        passwords: Passwords::new(keyring.clone()),
        keyring,
        clock: clock.clone(),
        settings: settings(config, config.public_url(config.server.listen)),
        rulebook: Rulebook::empty(&config.rules.dir, clock),
        sites,
        threads: Cache::default(),
        counters: Counters::default(),
        in_flight: InFlight::default(),
    }))
}

/// Opens the database with the key ring it belongs to.
pub(super) async fn store(config: &Config) -> Result<(Store, Keyring), Failure> {
    let url = config.database_url();
    let location: Location = url.expose_secret().parse().map_err(Failure::environment)?;
    create_private_folder(&config.data.dir)?;
    let pools = connect(&location).await.map_err(Failure::environment)?;
    let store = Store::new(pools);
    let known = store.setting(KEYRING).await.map_err(Failure::environment)?;
    let path = config.keys_file();
    let keyring = if known.is_none() {
        Keyring::open_or_create(&path)
    } else {
        Keyring::open(&path)
    };
    let keyring = keyring.map_err(|error| {
        Failure::environment(
            anyhow::anyhow!(error).context(format!("keys.file `{}`", path.display())),
        )
    })?;
    let fingerprint = keyring.fingerprint();
    let own = store.clone();
    let ours = fingerprint.clone();
    complete(async move {
        let mut tx = own.begin().await?;
        tx.set_once(KEYRING, &ours).await?;
        tx.commit().await?;
        Ok::<_, Fault>(())
    })
    .await
    .map_err(Failure::environment)?;
    let known = store.setting(KEYRING).await.map_err(Failure::environment)?;
    if known.as_deref() != Some(&*fingerprint) {
        return Err(Failure::environment(anyhow::anyhow!(
            "the database was made with another key ring than `{}`; set keys.file to the one it was made with",
            path.display()
        )));
    }
    Ok((store, keyring))
}

/// Makes the site `demo` on a machine that never had one.
pub(super) async fn ensure_demo(app: &App) -> Result<(), Failure> {
    if app
        .store
        .setting(DEMO)
        .await
        .map_err(Failure::environment)?
        .is_some()
    {
        return Ok(());
    }
    let now = app.clock.now();
    let site = Site {
        id: SiteId(new_id(now).map_err(Failure::environment)?),
        key: SiteKey::parse("demo").map_err(Failure::environment)?,
        name: "Demonstration".to_owned(),
        origins: vec![app.settings.public_url.clone()],
        // Keys that nobody was told: `site key demo --rotate` makes ones that somebody is.
        api_key_hash: secrets::hash(&secrets::api_key().map_err(Failure::environment)?),
        door_key_hash: secrets::hash(&secrets::door_key().map_err(Failure::environment)?),
        disabled_at: None,
    };
    let own = app.clone();
    complete(async move {
        let mut tx = own.store.begin().await?;
        // Of several instances that start on one empty database, one makes the site.
        if tx.set_once(DEMO, "made").await? {
            tx.add_site(&site, now).await?;
        }
        tx.commit().await?;
        own.sites.catch_up(&own.store).await?;
        Ok::<_, Fault>(())
    })
    .await
    .map_err(Failure::environment)
}

fn settings(config: &Config, public_url: String) -> Settings {
    Settings {
        limits: Limits {
            name_bytes: config.limits.name_bytes,
            email_bytes: config.limits.email_bytes,
            url_bytes: config.limits.url_bytes,
            body_bytes: config.limits.body_bytes,
        },
        edit_window: config.limits.edit_window,
        thread_closes_after: config.limits.thread_closes_after,
        replies: Replies {
            by_label: Label::ALL.map(|label| reply(config, label)),
            quiet_for: config.replies.quiet_for,
        },
        public_url,
    }
}

fn reply(config: &Config, label: Label) -> Reply {
    let set = match label {
        Label::Spam => config.replies.spam,
        Label::Abuse => config.replies.abuse,
        Label::Quality => config.replies.quality,
        Label::Policy => config.replies.policy,
    };
    match set {
        crate::config::Reply::Quiet => Reply::Quiet,
        crate::config::Reply::Explain => Reply::Explain,
    }
}

fn create_private_folder(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| {
            Failure::environment(
                anyhow::anyhow!(error)
                    .context(format!("cannot create data.dir `{}`", path.display())),
            )
        })
}
