//! What readers see: pages of a thread, as bytes that are made once and served many times.
//!
//! Invariant: a page is never stale for what this instance wrote (writing forgets it before answering), and at most
//! [`FRESH_FOR`] for what another instance or a command wrote.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use super::submit::Face;
use super::{App, Fault};
use crate::domain::{AuthorId, CommentId, Site, SiteId, ThreadKey, Timestamp, time};
use crate::store::comments::{PageFrom, PublicComment};

/// How long a cached page may be behind another process.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Bytes kept at most.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The order of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As a conversation is read.
    #[default]
    Oldest,
    /// Latest first.
    Newest,
}

/// Which part of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// Order.
    pub order: Order,
    /// 1 to 200.
    pub limit: u16,
    /// The last comment of the page before.
    pub after: Option<Uuid>,
}

/// A page of a thread.
#[derive(Clone, Debug)]
pub struct Page {
    /// The comments, in order.
    pub comments: Vec<(CommentId, Face)>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Uuid>,
    /// Comments that readers see in the whole thread.
    pub total: i64,
    /// The thread takes no more comments.
    pub closed: bool,
}

/// A rendered page.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The body of the answer.
    pub body: Bytes,
    /// Its strong entity tag, quotes included.
    pub etag: Arc<str>,
}

/// Rendered pages by thread.
#[derive(Debug, Default)]
pub struct Cache {
    threads: Mutex<HashMap<(SiteId, String), Entry>>,
    bytes: AtomicU64,
    /// Moves on with every write here: a page read before a write must not be kept after it.
    writes: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    read_at: Instant,
    pages: Vec<(PageKey, Rendered)>,
}

impl Cache {
    /// Drops the pages of a thread, because it has changed.
    pub fn forget(&self, site: SiteId, thread: &str) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let mut threads = self.lock();
        if let Some(entry) = threads.remove(&(site, thread.to_owned())) {
            self.subtract(&entry);
        }
    }

    /// The page, if it is fresh enough.
    #[must_use]
    pub fn get(&self, site: SiteId, thread: &ThreadKey, page: PageKey) -> Option<Rendered> {
        // The borrowed look-up would need a key type of its own; one small allocation is cheaper to read.
        let key = (site, thread.as_str().to_owned());
        let threads = self.lock();
        let entry = threads
            .get(&key)
            .filter(|entry| entry.read_at.elapsed() <= FRESH_FOR)?;
        let found = entry.pages.iter().find(|(key, _)| *key == page);
        let rendered = found.map(|(_, rendered)| rendered.clone());
        drop(threads);
        rendered
    }

    /// A mark to take before reading the store for [`Cache::put`].
    #[must_use]
    pub fn mark(&self) -> (u64, Instant) {
        (self.writes.load(Ordering::SeqCst), time::monotonic())
    }

    /// Keeps a page that was read since `mark`, unless something was written meanwhile.
    pub fn put(
        &self,
        (site, thread): (SiteId, &ThreadKey),
        page: PageKey,
        rendered: Rendered,
        (writes, read_at): (u64, Instant),
    ) {
        let n_bytes = rendered.body.len() as u64;
        let place = (site, thread.as_str().to_owned());
        let mut kept = self.lock();
        if self.writes.load(Ordering::SeqCst) != writes {
            return;
        }
        if self.bytes.load(Ordering::Relaxed) + n_bytes > MAX_BYTES as u64 {
            kept.clear();
            self.bytes.store(0, Ordering::Relaxed);
        }
        let fresh = || Entry {
            read_at,
            pages: Vec::new(),
        };
        let entry = kept.entry(place).or_insert_with(fresh);
        if entry.read_at.elapsed() > FRESH_FOR {
            self.subtract(entry);
            *entry = fresh();
        }
        if entry.pages.iter().all(|(key, _)| *key != page) {
            self.bytes.fetch_add(n_bytes, Ordering::Relaxed);
            entry.pages.push((page, rendered));
        }
        drop(kept);
    }

    fn subtract(&self, entry: &Entry) {
        let size: u64 = entry
            .pages
            .iter()
            .map(|(_, page)| page.body.len() as u64)
            .sum();
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(SiteId, String), Entry>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a page of a thread. A thread nobody wrote in is an empty page.
///
/// # Errors
/// What the store said.
pub async fn page(app: &App, site: &Site, thread: &ThreadKey, key: PageKey) -> Result<Page, Fault> {
    let now = app.clock.now();
    let Some(summary) = app.store.thread(site.id, thread.as_str()).await? else {
        return Ok(Page {
            comments: Vec::new(),
            next: None,
            total: 0,
            closed: false,
        });
    };
    let from = match (key.order, key.after) {
        (Order::Oldest, after) => PageFrom::After(after.unwrap_or(Uuid::nil())),
        (Order::Newest, before) => PageFrom::Before(before.unwrap_or(Uuid::max())),
    };
    let limit = usize::from(key.limit);
    let mut rows = app
        .store
        .public_comments(site.id, summary.id, from, i64::from(key.limit) + 1)
        .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let closed = summary.closed_at.is_some()
        || app
            .settings
            .is_too_old(Some(Timestamp(summary.created_at)), now);
    Ok(Page {
        next: rows.last().filter(|_| more).map(|row| row.id),
        comments: rows
            .into_iter()
            .map(|row| (CommentId(row.id), face(app, site.id, thread.as_str(), row)))
            .collect(),
        total: summary.visible,
        closed,
    })
}

/// A stored public comment as readers see it.
#[must_use]
pub fn face(app: &App, site: SiteId, thread: &str, row: PublicComment) -> Face {
    let author = row.author_proven.then_some(AuthorId(row.author_id));
    let name = row.author_name.as_deref().unwrap_or_default();
    Face {
        avatar_seed: app.avatar_seed(site, author, (thread, name)),
        thread: thread.to_owned(),
        parent: row.parent_id.map(CommentId),
        name: row.author_name,
        website: row.author_url,
        body: row.body,
        created_at: Timestamp(row.created_at),
        edited_at: row.edited_at.map(Timestamp),
        depth: row.depth,
    }
}

/// True if a thread takes no more comments.
///
/// # Errors
/// What the store said.
pub async fn is_closed(app: &App, site: &Site, thread: &ThreadKey) -> Result<bool, Fault> {
    let summary = app.store.thread(site.id, thread.as_str()).await?;
    Ok(summary.is_some_and(|summary| {
        summary.closed_at.is_some()
            || app
                .settings
                .is_too_old(Some(Timestamp(summary.created_at)), app.clock.now())
    }))
}
