//! `anteroom user` and `anteroom token`.

use std::io::{BufRead, IsTerminal, StdinLock};

use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tell::{table, tell};
use super::{Failure, open};
use crate::app::App;
use crate::app::accounts::{self, AccountError};
use crate::config::Config;
use crate::domain::{Role, SiteId, Timestamp};

/// `anteroom user …`
#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Add a person; without a password they can only use API tokens
    Add {
        /// The name they log in with
        name: String,
        /// moderator, operator or admin
        #[arg(long, default_value = "moderator")]
        role: Role,
        /// A site they work at; may be given again; none means all
        #[arg(long, value_name = "KEY", num_args = 1..)]
        site: Vec<String>,
        /// Read a password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// List everybody
    List,
    /// Shut a person out, everywhere and at once
    Disable {
        /// The name
        name: String,
    },
    /// Set a password, read from a terminal or the first line of standard input; sessions end
    Passwd {
        /// The name
        name: String,
        /// Taken for symmetry with `add`: the password comes from standard input in any case
        #[arg(long)]
        password_stdin: bool,
    },
}

/// `anteroom token …`
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make an API token for a person; printed once
    Create {
        /// The person's name
        #[arg(long)]
        user: String,
    },
    /// List all tokens
    List,
    /// Make a token void
    Revoke {
        /// Its id, as `token list` prints it
        id: Uuid,
    },
}

pub(super) async fn user(command: UserCommand, config: Config, json: bool) -> Result<(), Failure> {
    let app = open::for_command(&config).await?;
    let result = run_user(&app, command).await;
    app.store.close().await;
    let (value, words) = result?;
    tell(json, &value, &words)
}

pub(super) async fn token(
    command: TokenCommand,
    config: Config,
    json: bool,
) -> Result<(), Failure> {
    let app = open::for_command(&config).await?;
    let result = run_token(&app, command).await;
    app.store.close().await;
    let (value, words) = result?;
    tell(json, &value, &words)
}

async fn run_user(app: &App, command: UserCommand) -> Result<(Value, String), Failure> {
    match command {
        UserCommand::Add {
            name,
            role,
            site,
            password_stdin,
        } => {
            let sites = site_ids(app, &site)?;
            let password = if password_stdin {
                Some(read_password()?)
            } else {
                None
            };
            let can_log_in = password.is_some();
            let added = accounts::add(app, &name, role, sites, password)
                .await
                .map_err(failure)?;
            let sites = if site.is_empty() { None } else { Some(site) };
            let value = json!({ "user": added.name, "role": role.as_str(), "sites": sites });
            let hint = format!("; `anteroom user passwd {name}` lets them log in");
            let hint = if can_log_in { "" } else { &hint };
            Ok((value, format!("added the {role} `{}`{hint}", added.name)))
        }
        UserCommand::List => list_users(app).await,
        UserCommand::Disable { name } => {
            accounts::disable(app, &name).await.map_err(failure)?;
            Ok((
                json!({ "user": name, "disabled": true }),
                format!("`{name}` is shut out"),
            ))
        }
        UserCommand::Passwd {
            name,
            password_stdin: _,
        } => {
            accounts::set_password(app, &name, read_password()?)
                .await
                .map_err(failure)?;
            let words = format!("`{name}` has a new password; old sessions have ended");
            Ok((json!({ "user": name, "password": "set" }), words))
        }
    }
}

async fn list_users(app: &App) -> Result<(Value, String), Failure> {
    let sites = app.sites.current();
    let key_of = |id: &SiteId| sites.by_id(*id).map(|site| site.key.to_string());
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    for account in app.store.accounts().await.map_err(Failure::environment)? {
        let person = account.moderator;
        let ids = person.sites.as_ref();
        let keys: Option<Vec<String>> = ids.map(|ids| ids.iter().filter_map(key_of).collect());
        let state = match (account.disabled_at, &account.password_hash) {
            (Some(_), _) => "disabled",
            (None, None) => "no password",
            (None, Some(_)) => "",
        };
        values.push(json!({
            "user": person.name, "role": person.role.as_str(), "sites": keys,
            "has_password": account.password_hash.is_some(),
            "disabled_at": account.disabled_at.map(Timestamp::to_rfc3339),
        }));
        let keys = keys.map_or_else(|| "all".to_owned(), |keys| keys.join(" "));
        rows.push([person.name, person.role.to_string(), keys, state.to_owned()]);
    }
    Ok((values.into(), table(["NAME", "ROLE", "SITES", ""], rows)))
}

async fn run_token(app: &App, command: TokenCommand) -> Result<(Value, String), Failure> {
    match command {
        TokenCommand::Create { user } => {
            let (id, token) = accounts::create_token(app, &user).await.map_err(failure)?;
            Ok((json!({ "token": token, "id": id, "user": user }), token))
        }
        TokenCommand::List => {
            let (mut values, mut rows) = (Vec::new(), Vec::new());
            for row in app.store.tokens().await.map_err(Failure::environment)? {
                let made = Timestamp(row.created_at).to_rfc3339();
                let revoked = row.revoked_at.map(|at| Timestamp(at).to_rfc3339());
                let state = if revoked.is_some() { "void" } else { "" };
                rows.push([
                    row.id.to_string(),
                    row.moderator.clone(),
                    made.clone(),
                    state.to_owned(),
                ]);
                values.push(json!({
                    "id": row.id, "user": row.moderator, "created_at": made, "revoked_at": revoked,
                }));
            }
            Ok((values.into(), table(["ID", "USER", "MADE", ""], rows)))
        }
        TokenCommand::Revoke { id } => {
            accounts::revoke_token(app, id).await.map_err(failure)?;
            Ok((
                json!({ "id": id, "revoked": true }),
                "the token is void".to_owned(),
            ))
        }
    }
}

fn site_ids(app: &App, keys: &[String]) -> Result<Option<Vec<SiteId>>, Failure> {
    if keys.is_empty() {
        return Ok(None);
    }
    let sites = app.sites.current();
    let mut ids = Vec::with_capacity(keys.len());
    for key in keys {
        let site = sites.by_key(key);
        ids.push(
            site.ok_or_else(|| Failure::refused(&format_args!("there is no site `{key}`")))?
                .id,
        );
    }
    Ok(Some(ids))
}

/// The first line of standard input, not shown when somebody types it.
fn read_password() -> Result<SecretString, Failure> {
    let mut input = std::io::stdin().lock();
    let line = if input.is_terminal() {
        eprint!("Password: ");
        let line = read_unseen(&mut input);
        eprintln!();
        line
    } else {
        read_line(&mut input)
    };
    drop(input);
    let line = line.map_err(Failure::usage)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!(
            "no password on standard input; pass one as its first line"
        )));
    }
    Ok(password.into())
}

fn read_unseen(input: &mut StdinLock<'_>) -> std::io::Result<String> {
    let shown = tcgetattr(&*input)?;
    let mut unseen = shown.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&*input, OptionalActions::Flush, &unseen)?;
    let line = read_line(input);
    tcsetattr(&*input, OptionalActions::Flush, &shown)?;
    line
}

fn read_line(input: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line)
}

fn failure(error: AccountError) -> Failure {
    match error {
        AccountError::Fault(fault) => Failure::environment(fault),
        AccountError::BadName | AccountError::BadPassword(_) => Failure::usage(error),
        error => Failure::refused(&error),
    }
}
