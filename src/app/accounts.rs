//! People who may log in, and the API tokens they use. How they come in is in [`login`].
//!
//! Invariant: whoever is disabled is out with the commit, on every instance: nothing about people is cached.

mod login;

use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use login::ATTEMPTS_KEPT_FOR;
pub use login::{
    SESSION_IDLE, SESSION_LONGEST, SETUP_LINK, Session, by_session, by_token, fresh_setup_link,
    is_setup_link, log_in, log_out, set_up,
};

use super::{App, Fault, complete, new_id};
use crate::domain::{Moderator, ModeratorId, Role, SiteId, Timestamp};
use crate::seal::password::{self, BadPassword, HashError};
use crate::seal::secrets;
use crate::store::accounts::Account;
use crate::store::journal::AuditEntry;
use crate::store::{StoreError, Tx};

/// The longest name, in bytes.
const NAME_BYTES: usize = 64;
/// Who did something, in the audit log, when it was a command.
const COMMAND: &str = "command";
/// Names that nobody may have, because the audit log means something else by them.
const RESERVED: [&str; 2] = [COMMAND, "setup"];

/// Why somebody could not be let in, or an account not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Unknown name, wrong password, disabled: nobody is told which.
    #[error("name and password do not fit")]
    WrongLogin,
    /// Too many failures; try again after so long.
    #[error("too many failed log-ins; try again in {}", wait_words(*.0))]
    Wait(std::time::Duration),
    /// The machine hashes as many passwords as it should.
    #[error("too many log-ins at once; try again in a moment")]
    Busy,
    /// The password cannot be used.
    #[error("{0}")]
    BadPassword(#[from] BadPassword),
    /// The name cannot be used.
    #[error("a name has 1 to 64 bytes, no control characters, and is not `command` or `setup`")]
    BadName,
    /// Somebody has the name.
    #[error("there is somebody called that already")]
    NameTaken,
    /// There is nobody, or nothing, called that.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// Somebody who is disabled gets nothing new.
    #[error("`{0}` is disabled")]
    Disabled(String),
    /// The set-up link was used, or its time is over.
    #[error("the set-up link is used up or too old; start the service again for a fresh one")]
    LinkVoid,
    /// Not the caller's fault.
    #[error("the account could not be changed")]
    Fault(#[from] Fault),
}

/// `1 second`, `32 seconds`, `9 minutes`: rounded up, since an earlier try is one in vain.
fn wait_words(wait: std::time::Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0 | 1 => "1 second".to_owned(),
        2..=119 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

impl From<HashError> for AccountError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Broken => Self::Fault(Fault::Keys(error.to_string())),
        }
    }
}

impl From<crate::seal::SealError> for AccountError {
    fn from(error: crate::seal::SealError) -> Self {
        Self::Fault(Fault::Keys(error.to_string()))
    }
}

/// Adds a person.
///
/// # Errors
/// See [`AccountError`].
pub async fn add(
    app: &App,
    name: &str,
    role: Role,
    sites: Option<Vec<SiteId>>,
    password: Option<SecretString>,
) -> Result<Moderator, AccountError> {
    let (app, name) = (app.clone(), name.to_owned());
    complete(async move {
        let (person, hash) = new_person(&app, &name, role, sites, password).await?;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        if !tx.add_moderator(&person, hash.as_deref(), now).await? {
            return Err(AccountError::NameTaken);
        }
        let sites = person.sites.as_ref();
        let sites = sites.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        let data = json!({ "role": person.role.as_str(), "sites": sites });
        audit(
            &app,
            &mut tx,
            COMMAND,
            ("user.add", &person.name),
            data,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(person)
    })
    .await
}

/// Gives a person another password; their sessions end.
///
/// # Errors
/// See [`AccountError`].
pub async fn set_password(
    app: &App,
    name: &str,
    password: SecretString,
) -> Result<(), AccountError> {
    let (app, name) = (app.clone(), name.to_owned());
    complete(async move {
        let person = find(&app, &name).await?.moderator;
        password::check(&password, &person.name)?;
        let hash = app.passwords.hash(password).await?;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        tx.set_password(person.id, &hash).await?;
        tx.forget_attempts(&app.keyring.login_mark(&person.name))
            .await?;
        audit(
            &app,
            &mut tx,
            COMMAND,
            ("user.passwd", &person.name),
            json!({}),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

/// Shuts a person out, everywhere and at once.
///
/// # Errors
/// See [`AccountError`].
pub async fn disable(app: &App, name: &str) -> Result<(), AccountError> {
    let (app, name) = (app.clone(), name.to_owned());
    complete(async move {
        let person = find(&app, &name).await?.moderator;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        tx.disable_moderator(person.id, now).await?;
        audit(
            &app,
            &mut tx,
            COMMAND,
            ("user.disable", &person.name),
            json!({}),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

/// Makes an API token for a person; it is shown once.
///
/// # Errors
/// See [`AccountError`].
pub async fn create_token(app: &App, name: &str) -> Result<(Uuid, String), AccountError> {
    let (app, name) = (app.clone(), name.to_owned());
    complete(async move {
        let account = find(&app, &name).await?;
        if account.disabled_at.is_some() {
            return Err(AccountError::Disabled(name));
        }
        let token = secrets::api_token()?;
        let now = app.clock.now();
        let id = new_id(now)?;
        let mut tx = app.store.begin().await?;
        tx.add_token(id, &secrets::hash(&token), account.moderator.id, now)
            .await?;
        let data = json!({ "user": name });
        audit(
            &app,
            &mut tx,
            COMMAND,
            ("token.create", &id.to_string()),
            data,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok((id, token))
    })
    .await
}

/// Makes an API token void.
///
/// # Errors
/// See [`AccountError`].
pub async fn revoke_token(app: &App, id: Uuid) -> Result<(), AccountError> {
    let app = app.clone();
    complete(async move {
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        match tx.revoke_token(id, now).await {
            Err(StoreError::Conflict) => return Err(AccountError::Unknown("token")),
            revoked => revoked?,
        }
        audit(
            &app,
            &mut tx,
            COMMAND,
            ("token.revoke", &id.to_string()),
            json!({}),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

async fn find(app: &App, name: &str) -> Result<Account, AccountError> {
    app.store
        .account(name.trim())
        .await?
        .ok_or(AccountError::Unknown("user"))
}

/// A person with a valid name, and the hash of a password that can be used.
async fn new_person(
    app: &App,
    name: &str,
    role: Role,
    sites: Option<Vec<SiteId>>,
    password: Option<SecretString>,
) -> Result<(Moderator, Option<String>), AccountError> {
    let name = name.trim();
    let fits = (1..=NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if !fits || RESERVED.contains(&&*name.to_lowercase()) {
        return Err(AccountError::BadName);
    }
    let hash = match password {
        Some(password) => {
            password::check(&password, name)?;
            Some(app.passwords.hash(password).await?)
        }
        None => None,
    };
    let id = ModeratorId(new_id(app.clock.now())?);
    Ok((
        Moderator {
            id,
            name: name.to_owned(),
            role,
            sites,
        },
        hash,
    ))
}

async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &str,
    (action, subject): (&str, &str),
    data: Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at,
        actor,
        site: None,
        action,
        subject,
        data,
    };
    tx.audit(&entry, &|bytes| app.keyring.audit_mac(bytes))
        .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_pause_is_said_in_words_and_never_too_short() {
        for (wait, expected) in [
            (Duration::ZERO, "1 second"),
            (Duration::from_secs(1), "1 second"),
            (Duration::from_millis(1001), "2 seconds"),
            (Duration::from_secs(119), "119 seconds"),
            (Duration::from_secs(512), "9 minutes"),
        ] {
            let told = AccountError::Wait(wait).to_string();
            let expected = format!("too many failed log-ins; try again in {expected}");
            assert_eq!(told, expected);
        }
    }
}
