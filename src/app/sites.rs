//! Sites as last read from the store. A running server honours at once what a command changed: every submission reads
//! the store's revision together with its other signals and starts again if it has moved, a site or key that is not known
//! here is looked for in the store, and a sweep asks several times a second.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::{Site, SiteId};
use crate::store::{Store, StoreError};

/// The sites.
#[derive(Debug)]
pub struct Sites {
    current: ArcSwap<Snapshot>,
}

/// All sites at one revision.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The store's revision when this was read.
    pub revision: i64,
    by_key: HashMap<String, Arc<Site>>,
    by_id: HashMap<SiteId, Arc<Site>>,
}

impl Snapshot {
    /// The enabled site called `key`.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<&Arc<Site>> {
        self.by_key
            .get(key)
            .filter(|site| site.disabled_at.is_none())
    }

    /// The site `id`, disabled or not.
    #[must_use]
    pub fn by_id(&self, id: SiteId) -> Option<&Arc<Site>> {
        self.by_id.get(&id)
    }

    /// Every site, disabled or not, by key.
    #[must_use]
    pub fn all(&self) -> Vec<&Arc<Site>> {
        let mut all: Vec<_> = self.by_key.values().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}

impl Sites {
    /// Reads the sites for the first time.
    ///
    /// # Errors
    /// What the store said.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            current: ArcSwap::from_pointee(read(store).await?),
        })
    }

    /// The sites as last read.
    #[must_use]
    pub fn current(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Reads the sites again if the store has moved past what is known here.
    ///
    /// # Errors
    /// What the store said.
    pub async fn refresh(&self, store: &Store, revision: i64) -> Result<(), StoreError> {
        if revision > self.current.load().revision {
            self.current.store(Arc::new(read(store).await?));
        }
        Ok(())
    }

    /// Asks the store whether it has moved on, and reads the sites again if so.
    ///
    /// # Errors
    /// What the store said.
    pub async fn catch_up(&self, store: &Store) -> Result<(), StoreError> {
        self.refresh(store, store.revision().await?).await
    }
}

async fn read(store: &Store) -> Result<Snapshot, StoreError> {
    // The revision first: a change in between is then read twice rather than missed.
    let revision = store.revision().await?;
    let sites: Vec<Arc<Site>> = store.sites().await?.into_iter().map(Arc::new).collect();
    Ok(Snapshot {
        revision,
        by_key: sites
            .iter()
            .map(|site| (site.key.as_str().to_owned(), Arc::clone(site)))
            .collect(),
        by_id: sites.into_iter().map(|site| (site.id, site)).collect(),
    })
}
