//! How people come in: by password to a session, by API token, and the first of them by the set-up link.
//!
//! A try at a password is counted before the password is looked at, so that a thousand tries at once are counted too;
//! one that goes well ends the count. Names that nobody has are counted, and take as long.
//!
//! ```text
//! tries in vain   1  2  3  4  5    6    7    …  14     15 …
//! pause after     -  -  -  -  1 s  2 s  4 s  …  512 s  15 min
//! ```
//!
//! Invariant: no pause is for ever, and nothing tells whether a name exists.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::super::{App, Fault, complete};
use super::{AccountError, audit, new_person};
use crate::domain::moderator::Via;
use crate::domain::{Actor, Moderator, Role, Timestamp};
use crate::seal::password::Fit;
use crate::seal::secrets;
use crate::store::accounts::Attempts;
use crate::store::{StoreError, Tx};

/// A session ends when it was not used for so long. Source: security.md, section 6, as all of these.
pub const SESSION_IDLE: Duration = Duration::from_mins(30);
/// A session ends after so long in any case.
pub const SESSION_LONGEST: Duration = Duration::from_hours(12);
/// How long a set-up link can be used.
pub const SETUP_LINK: Duration = Duration::from_mins(15);
/// A session's last use is written at most this often.
const TOUCH_EVERY: Duration = Duration::from_mins(1);
/// Tries in vain before pauses begin.
const FREE_TRIES: i64 = 5;
/// The first pause; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// Tries are forgotten when none was made for so long.
pub(crate) const ATTEMPTS_KEPT_FOR: Duration = Duration::from_hours(24);

/// A session that has begun.
pub struct Session {
    /// The cookie's value; stored only as a hash.
    pub token: String,
    /// Who.
    pub moderator: Moderator,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session of {:?}", self.moderator)
    }
}

/// Lets somebody in who knows the password.
///
/// # Errors
/// See [`AccountError`].
pub async fn log_in(
    app: &App,
    name: &str,
    password: SecretString,
) -> Result<Session, AccountError> {
    let (app, name) = (app.clone(), name.trim().to_owned());
    complete(async move {
        let mark = app.keyring.login_mark(&name);
        let tried_before = count(&app, &mark).await?;
        let account = app.store.account(&name).await?;
        let account = account.filter(|account| account.disabled_at.is_none());
        let stored = account
            .as_ref()
            .and_then(|account| account.password_hash.clone());
        let fit = match app
            .passwords
            .verify(password.clone(), stored)
            .await
            .map_err(Into::into)
        {
            Err(AccountError::Busy) => {
                uncount(&app, &mark).await?;
                return Err(AccountError::Busy);
            }
            fit => fit?,
        };
        let Some(account) = account.filter(|_| fit != Fit::No) else {
            return Err(AccountError::WrongLogin);
        };
        let better_hash = match fit {
            // A busy moment is no reason to refuse: the next log-in makes the hash again.
            Fit::Outdated => app.passwords.hash(password).await.ok(),
            Fit::Yes | Fit::No => None,
        };
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        if let Some(hash) = better_hash {
            tx.replace_hash(account.moderator.id, &hash).await?;
        }
        tx.forget_attempts(&mark).await?;
        let data = json!({ "failures_before": tried_before });
        audit(&app, &mut tx, &name, ("login", &name), data, now).await?;
        let session = begin_session(&mut tx, account.moderator, now).await?;
        tx.commit().await?;
        Ok(session)
    })
    .await
}

/// Who a session's cookie stands for.
///
/// # Errors
/// See [`AccountError`].
pub async fn by_session(app: &App, token: &str) -> Result<Option<Actor>, AccountError> {
    let now = app.clock.now();
    let hash = secrets::hash(token);
    let found = app
        .store
        .session_holder(&hash, now.minus(SESSION_IDLE), now)
        .await?;
    let Some((account, seen_at)) = found else {
        return Ok(None);
    };
    if now.since(seen_at) >= TOUCH_EVERY {
        let app = app.clone();
        complete(async move {
            let mut tx = app.store.begin().await?;
            tx.touch_session(&hash, now).await?;
            tx.commit().await?;
            Ok::<_, AccountError>(())
        })
        .await?;
    }
    Ok(Some(Actor {
        moderator: account.moderator,
        via: Via::Session,
    }))
}

/// Ends a session.
///
/// # Errors
/// See [`AccountError`].
pub async fn log_out(app: &App, token: &str) -> Result<(), AccountError> {
    let Some(actor) = by_session(app, token).await? else {
        return Ok(());
    };
    let (app, hash) = (app.clone(), secrets::hash(token));
    complete(async move {
        let name = &actor.moderator.name;
        let mut tx = app.store.begin().await?;
        if tx.end_session(&hash).await? {
            audit(
                &app,
                &mut tx,
                name,
                ("logout", name),
                json!({}),
                app.clock.now(),
            )
            .await?;
        }
        tx.commit().await?;
        Ok(())
    })
    .await
}

/// Who an API token stands for.
///
/// # Errors
/// See [`AccountError`].
pub async fn by_token(app: &App, token: &str) -> Result<Option<Actor>, AccountError> {
    let account = app.store.token_holder(&secrets::hash(token)).await?;
    Ok(account.map(|account| Actor {
        moderator: account.moderator,
        via: Via::Token,
    }))
}

/// A fresh set-up link's token, unless there is an admin.
///
/// # Errors
/// See [`AccountError`].
pub async fn fresh_setup_link(app: &App) -> Result<Option<String>, AccountError> {
    if app.store.has_admin().await? {
        return Ok(None);
    }
    let app = app.clone();
    complete(async move {
        let token = secrets::session_token()?;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        tx.add_setup_link(&secrets::hash(&token), now, now.plus(SETUP_LINK))
            .await?;
        tx.commit().await?;
        Ok(Some(token))
    })
    .await
}

/// True if a set-up link can still be used.
///
/// # Errors
/// See [`AccountError`].
pub async fn is_setup_link(app: &App, token: &str) -> Result<bool, AccountError> {
    let open = app
        .store
        .has_setup_link(&secrets::hash(token), app.clock.now())
        .await?;
    Ok(open && !app.store.has_admin().await?)
}

/// Makes the first admin and lets them in.
///
/// # Errors
/// See [`AccountError`].
pub async fn set_up(
    app: &App,
    token: &str,
    name: &str,
    password: SecretString,
) -> Result<Session, AccountError> {
    let (app, token, name) = (app.clone(), token.to_owned(), name.to_owned());
    complete(async move {
        // Before anything that costs: only who has the link may make the machine hash.
        if !is_setup_link(&app, &token).await? {
            return Err(AccountError::LinkVoid);
        }
        let (admin, hash) = new_person(&app, &name, Role::Admin, None, Some(password)).await?;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        if !tx.take_setup_link(&secrets::hash(&token), now).await? {
            return Err(AccountError::LinkVoid);
        }
        if !tx.add_moderator(&admin, hash.as_deref(), now).await? {
            return Err(AccountError::NameTaken);
        }
        let data = json!({ "role": admin.role.as_str() });
        audit(&app, &mut tx, "setup", ("user.add", &admin.name), data, now).await?;
        let session = begin_session(&mut tx, admin, now).await?;
        tx.commit().await?;
        Ok(session)
    })
    .await
}

async fn begin_session(
    tx: &mut Tx,
    moderator: Moderator,
    now: Timestamp,
) -> Result<Session, AccountError> {
    let token = secrets::session_token()?;
    let hash = secrets::hash(&token);
    tx.add_session(&hash, moderator.id, now, now.plus(SESSION_LONGEST))
        .await?;
    Ok(Session { token, moderator })
}

/// Counts a try before it is made; returns how many went in vain before it.
async fn count(app: &App, mark: &[u8; 32]) -> Result<i64, AccountError> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let seen = tx.attempts(mark).await?;
    let pause = Timestamp(seen.next_try_at).since(now);
    if pause > Duration::ZERO {
        return Err(AccountError::Wait(pause));
    }
    let failures = seen.failures.saturating_add(1);
    let new = Attempts {
        failures,
        next_try_at: now.plus(pause_after(failures)).0,
    };
    match tx.set_attempts(mark, seen, new).await {
        // Somebody tried the same name at this very moment.
        Err(StoreError::Conflict) => return Err(AccountError::Wait(FIRST_PAUSE)),
        set => set?,
    }
    tx.commit().await?;
    Ok(seen.failures)
}

/// Takes back the count of a try that was not made after all.
async fn uncount(app: &App, mark: &[u8; 32]) -> Result<(), Fault> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let seen = tx.attempts(mark).await?;
    let new = Attempts {
        failures: (seen.failures - 1).max(0),
        next_try_at: now.0,
    };
    match tx.set_attempts(mark, seen, new).await {
        Ok(()) => tx.commit().await?,
        // Others are trying too; their counts stand.
        Err(StoreError::Conflict) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn pause_after(failures: i64) -> Duration {
    let Ok(doublings) = u32::try_from(failures - FREE_TRIES) else {
        return Duration::ZERO;
    };
    let factor = 2u32.checked_pow(doublings).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_never_becomes_a_lock() {
        let pauses = [0, 4, 5, 6, 7, 14, 15, 10_000].map(|n| pause_after(n).as_secs());
        assert_eq!(pauses, [0, 0, 1, 2, 4, 512, 900, 900]);
    }
}
