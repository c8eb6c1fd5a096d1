//! `anteroom site` and `anteroom thread`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::tell::{table, tell};
use super::{Failure, open};
use crate::app::App;
use crate::app::places::{self, PlaceError, SiteKeys};
use crate::config::Config;
use crate::domain::Timestamp;

/// `anteroom site …`
#[derive(Subcommand)]
pub(super) enum SiteCommand {
    /// Add a site; prints its API key and door key once
    Add {
        /// 1 to 64 of a-z, 0-9 and -
        key: String,
        /// An origin whose pages may submit, such as `https://blog.example`; may be given again
        #[arg(long, value_name = "URL", required = true, num_args = 1..)]
        origin: Vec<String>,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// List all sites
    List,
    /// Close a site to everybody
    Disable {
        /// The site's key
        key: String,
    },
    /// Replace a site's API key and door key
    Key {
        /// The site's key
        key: String,
        /// Make new keys; the old ones are void at once
        #[arg(long, required = true)]
        rotate: bool,
    },
}

/// `anteroom thread …`
#[derive(Subcommand)]
pub(super) enum ThreadCommand {
    /// Take no more comments
    Close(ThreadArguments),
    /// Take comments again
    Open(ThreadArguments),
    /// Give a thread another key, when its post has moved
    Rename {
        #[command(flatten)]
        thread: ThreadArguments,
        /// The new key
        #[arg(long)]
        to: String,
    },
}

/// Which thread.
#[derive(clap::Args)]
pub(super) struct ThreadArguments {
    /// The site's key
    #[arg(long)]
    site: String,
    /// The thread's key, usually the path of the post
    #[arg(long)]
    thread: String,
}

pub(super) async fn site(command: SiteCommand, config: Config, json: bool) -> Result<(), Failure> {
    let app = open::for_command(&config).await?;
    let result = run_site(&app, command).await;
    app.store.close().await;
    let (value, words) = result.map_err(failure)?;
    tell(json, &value, &words)
}

pub(super) async fn thread(
    command: ThreadCommand,
    config: Config,
    json: bool,
) -> Result<(), Failure> {
    let app = open::for_command(&config).await?;
    let result = run_thread(&app, command).await;
    app.store.close().await;
    let (value, words) = result.map_err(failure)?;
    tell(json, &value, &words)
}

async fn run_site(app: &App, command: SiteCommand) -> Result<(Value, String), PlaceError> {
    match command {
        SiteCommand::Add { key, origin, name } => {
            let keys = places::add_site(app, &key, name.as_deref(), &origin).await?;
            Ok(told(
                &key,
                &keys,
                &format!("added the site `{key}`; its keys are shown only now:"),
            ))
        }
        SiteCommand::List => Ok(list_sites(app)),
        SiteCommand::Disable { key } => {
            places::disable_site(app, &key).await?;
            let words = format!("the site `{key}` is closed to everybody");
            Ok((json!({ "site": key, "disabled": true }), words))
        }
        SiteCommand::Key { key, rotate: _ } => {
            let keys = places::rotate_keys(app, &key).await?;
            let words =
                format!("the old keys of `{key}` are void; the new ones are shown only now:");
            Ok(told(&key, &keys, &words))
        }
    }
}

fn told(site: &str, keys: &SiteKeys, words: &str) -> (Value, String) {
    let SiteKeys { api_key, door_key } = keys;
    let value = json!({ "site": site, "api_key": api_key, "door_key": door_key });
    let words =
        format!("{words}\n  API key   {api_key}\n  door key  {door_key}  (for Akismet clients)");
    (value, words)
}

fn list_sites(app: &App) -> (Value, String) {
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    for site in app.sites.current().all() {
        values.push(json!({
            "site": site.key.as_str(), "name": site.name, "origins": site.origins,
            "disabled_at": site.disabled_at.map(Timestamp::to_rfc3339),
        }));
        let state = if site.disabled_at.is_some() {
            "disabled"
        } else {
            ""
        };
        let (key, name) = (site.key.to_string(), site.name.clone());
        rows.push([key, name, site.origins.join(" "), state.to_owned()]);
    }
    (values.into(), table(["SITE", "NAME", "ORIGINS", ""], rows))
}

async fn run_thread(app: &App, command: ThreadCommand) -> Result<(Value, String), PlaceError> {
    let (at, state) = match command {
        ThreadCommand::Close(at) => {
            places::close_thread(app, &at.site, &at.thread).await?;
            (at, "closed")
        }
        ThreadCommand::Open(at) => {
            places::open_thread(app, &at.site, &at.thread).await?;
            (at, "open")
        }
        ThreadCommand::Rename { thread: at, to } => {
            places::rename_thread(app, &at.site, &at.thread, &to).await?;
            let words = format!("the thread `{}` is now `{to}`", at.thread);
            return Ok((
                json!({ "site": at.site, "thread": to, "was": at.thread }),
                words,
            ));
        }
    };
    let value = json!({ "site": at.site, "thread": at.thread, "state": state });
    Ok((value, format!("the thread `{}` is {state}", at.thread)))
}

fn failure(error: PlaceError) -> Failure {
    match error {
        PlaceError::Fault(fault) => Failure::environment(fault),
        PlaceError::Taken(_) | PlaceError::Unknown(_) => Failure::refused(&error),
        error => Failure::usage(error),
    }
}
