//! Sites and threads as operators change them. A running server honours a change at once.

use super::{App, Fault, complete, new_id};
use crate::domain::{Site, SiteId, SiteKey, ThreadKey};
use crate::seal::{SealError, secrets};
use crate::store::journal::AuditEntry;
use crate::store::{StoreError, Tx};

/// Why a site or thread could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Not a site key.
    #[error("{0}")]
    BadKey(#[from] crate::domain::site::BadSiteKey),
    /// Not a thread key.
    #[error("the thread's key: {0}")]
    BadThread(crate::domain::author::Wrong),
    /// Not an origin.
    #[error("`{0}` is not an origin; it should look like https://blog.example, without a path")]
    BadOrigin(String),
    /// The key is taken.
    #[error("there is a {0} called that already")]
    Taken(&'static str),
    /// There is nothing called that.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// Not the caller's fault.
    #[error("it could not be changed")]
    Fault(#[from] Fault),
}

impl From<StoreError> for PlaceError {
    fn from(error: StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

impl From<SealError> for PlaceError {
    fn from(error: SealError) -> Self {
        Self::Fault(Fault::Keys(error.to_string()))
    }
}

/// A site's keys, shown once.
pub struct SiteKeys {
    /// For the blog's own server.
    pub api_key: String,
    /// For Akismet clients; may only check and report.
    pub door_key: String,
}

/// Adds a site.
///
/// # Errors
/// See [`PlaceError`].
pub async fn add_site(
    app: &App,
    key: &str,
    name: Option<&str>,
    origins: &[String],
) -> Result<SiteKeys, PlaceError> {
    let key = SiteKey::parse(key)?;
    let origins = origins
        .iter()
        .map(|origin| parse_origin(origin))
        .collect::<Result<Vec<_>, _>>()?;
    let now = app.clock.now();
    let keys = new_keys()?;
    let site = Site {
        id: SiteId(new_id(now)?),
        name: name.map_or_else(|| key.to_string(), str::to_owned),
        key,
        origins,
        api_key_hash: secrets::hash(&keys.api_key),
        door_key_hash: secrets::hash(&keys.door_key),
        disabled_at: None,
    };
    let app = app.clone();
    complete(async move {
        let mut tx = app.store.begin().await?;
        if !tx.add_site(&site, now).await? {
            return Err(PlaceError::Taken("site"));
        }
        audit(&app, &mut tx, site.id, "site.add", site.key.as_str()).await?;
        tx.commit().await?;
        refresh(&app).await?;
        Ok(keys)
    })
    .await
}

/// Closes a site to everybody.
///
/// # Errors
/// See [`PlaceError`].
pub async fn disable_site(app: &App, key: &str) -> Result<(), PlaceError> {
    let site = site(app, key)?;
    let app = app.clone();
    complete(async move {
        let mut tx = app.store.begin().await?;
        tx.disable_site(site.id, app.clock.now()).await?;
        audit(&app, &mut tx, site.id, "site.disable", site.key.as_str()).await?;
        tx.commit().await?;
        refresh(&app).await
    })
    .await
}

/// Gives a site new keys; the old ones are void at once.
///
/// # Errors
/// See [`PlaceError`].
pub async fn rotate_keys(app: &App, key: &str) -> Result<SiteKeys, PlaceError> {
    let site = site(app, key)?;
    let keys = new_keys()?;
    let app = app.clone();
    complete(async move {
        let mut tx = app.store.begin().await?;
        let (api, door) = (secrets::hash(&keys.api_key), secrets::hash(&keys.door_key));
        tx.set_site_keys(site.id, &api, &door).await?;
        audit(&app, &mut tx, site.id, "site.key", site.key.as_str()).await?;
        tx.commit().await?;
        refresh(&app).await?;
        Ok(keys)
    })
    .await
}

/// Takes no more comments in a thread, even one that nobody has written in yet.
///
/// # Errors
/// See [`PlaceError`].
pub async fn close_thread(app: &App, site: &str, thread: &str) -> Result<(), PlaceError> {
    set_closed(app, site, thread, true).await
}

/// Takes comments in a thread again.
///
/// # Errors
/// See [`PlaceError`].
pub async fn open_thread(app: &App, site: &str, thread: &str) -> Result<(), PlaceError> {
    set_closed(app, site, thread, false).await
}

async fn set_closed(app: &App, key: &str, thread: &str, closed: bool) -> Result<(), PlaceError> {
    let site = site(app, key)?;
    let thread = ThreadKey::parse(thread).map_err(PlaceError::BadThread)?;
    let app = app.clone();
    complete(async move {
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let id = new_id(now)?;
        tx.set_thread_closed(site.id, (id, thread.as_str()), closed.then_some(now), now)
            .await?;
        let action = if closed {
            "thread.close"
        } else {
            "thread.open"
        };
        audit(&app, &mut tx, site.id, action, thread.as_str()).await?;
        tx.commit().await?;
        app.threads.forget(site.id, thread.as_str());
        Ok(())
    })
    .await
}

/// Gives a thread another key, when its post has moved. Its comments move with it.
///
/// # Errors
/// See [`PlaceError`].
pub async fn rename_thread(app: &App, key: &str, from: &str, to: &str) -> Result<(), PlaceError> {
    let site = site(app, key)?;
    let from = ThreadKey::parse(from).map_err(PlaceError::BadThread)?;
    let to = ThreadKey::parse(to).map_err(PlaceError::BadThread)?;
    let app = app.clone();
    complete(async move {
        if app.store.thread(site.id, to.as_str()).await?.is_some() {
            return Err(PlaceError::Taken("thread"));
        }
        let mut tx = app.store.begin().await?;
        match tx.rename_thread(site.id, from.as_str(), to.as_str()).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Err(PlaceError::Unknown("thread")),
            Err(error) => return Err(error.into()),
        }
        audit(&app, &mut tx, site.id, "thread.rename", to.as_str()).await?;
        tx.commit().await?;
        app.threads.forget(site.id, from.as_str());
        app.threads.forget(site.id, to.as_str());
        Ok(())
    })
    .await
}

/// An origin in its serialised form: scheme, host, and a port that is not the scheme's own.
fn parse_origin(text: &str) -> Result<String, PlaceError> {
    let bad = || PlaceError::BadOrigin(text.to_owned());
    let url = url::Url::parse(text.trim()).map_err(|_| bad())?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    if is_origin {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(bad())
    }
}

fn site(app: &App, key: &str) -> Result<Site, PlaceError> {
    let sites = app.sites.current();
    let found = sites
        .all()
        .into_iter()
        .find(|site| site.key.as_str() == key);
    found
        .map(|site| Site::clone(site))
        .ok_or(PlaceError::Unknown("site"))
}

fn new_keys() -> Result<SiteKeys, SealError> {
    Ok(SiteKeys {
        api_key: secrets::api_key()?,
        door_key: secrets::door_key()?,
    })
}

async fn refresh(app: &App) -> Result<(), PlaceError> {
    Ok(app.sites.catch_up(&app.store).await?)
}

async fn audit(
    app: &App,
    tx: &mut Tx,
    site: SiteId,
    action: &str,
    subject: &str,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at: app.clock.now(),
        actor: "command",
        site: Some(site),
        action,
        subject,
        data: serde_json::json!({}),
    };
    tx.audit(&entry, &|bytes| app.keyring.audit_mac(bytes))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_more() {
        let cases = [
            ("https://Blog.Example", Some("https://blog.example")),
            ("https://blog.example:443/", Some("https://blog.example")),
            ("http://127.0.0.1:4000", Some("http://127.0.0.1:4000")),
            ("https://blog.example/path", None),
            ("blog.example", None),
            ("ftp://blog.example", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_origin(text).ok().as_deref(), expected, "{text}");
        }
    }
}
