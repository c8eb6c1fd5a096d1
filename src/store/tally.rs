//! The counts that a transaction moves: a thread's, an author's, the queue's.
//!
//! They are gathered while comments change and written once, in the order in which every writer takes these rows
//! (threads, authors, queue, each by key): two transactions then wait for each other, and never in a circle.
//!
//! Invariant: a transaction that changed a comment writes its tally before it commits.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::comments::{Change, Happened, Standing};
use super::{StoreError, Tx, on};
use crate::domain::{Label, SiteId, Status};

/// What a transaction adds to the counts.
#[derive(Debug, Default)]
#[must_use = "counts that are not written are wrong from then on"]
pub struct Tally {
    threads: BTreeMap<(SiteId, Uuid), Thread>,
    /// Approved, pending, rejected.
    authors: BTreeMap<(SiteId, Uuid), [i64; 3]>,
    queue: BTreeMap<(SiteId, &'static str), i64>,
}

#[derive(Debug, Default)]
struct Thread {
    visible: i64,
    approved: i64,
    pending: i64,
    rejected: i64,
    withdrawn: i64,
    changes: i64,
}

impl Tally {
    /// Notes that a comment went from `before` to `after`.
    pub(super) fn note(&mut self, before: &Standing, after: &Change) {
        let delta =
            |status: Status| i64::from(after.status == status) - i64::from(before.status == status);
        let moved = [Status::Approved, Status::Pending, Status::Rejected].map(delta);
        let thread = self
            .threads
            .entry((before.site, before.thread.0))
            .or_default();
        thread.visible +=
            i64::from(after.public_version.is_some()) - i64::from(before.public_version.is_some());
        thread.approved += moved[0];
        thread.pending += moved[1];
        thread.rejected += moved[2];
        thread.withdrawn += delta(Status::Withdrawn);
        thread.changes += i64::from(after.public_version != before.public_version);
        for mark in [Some(before.author), before.typed_mark]
            .into_iter()
            .flatten()
        {
            let author = self.authors.entry((before.site, mark)).or_default();
            for (count, delta) in author.iter_mut().zip(moved) {
                *count += delta;
            }
        }
        let word = |label: Option<Label>| label.map_or("", Label::as_str);
        if before.status == Status::Pending {
            *self
                .queue
                .entry((before.site, word(before.label)))
                .or_default() -= 1;
        }
        if after.status == Status::Pending {
            *self
                .queue
                .entry((before.site, word(after.label)))
                .or_default() += 1;
        }
    }
}

impl Tx {
    /// Changes one comment, and writes its counts.
    ///
    /// # Errors
    /// As [`Tx::change`].
    pub async fn change_one(
        &mut self,
        before: &Standing,
        after: &Change,
        happened: &Happened,
    ) -> Result<(), StoreError> {
        let mut tally = Tally::default();
        self.change(before, after, happened, &mut tally).await?;
        self.count(tally).await
    }

    /// Writes the counts.
    ///
    /// # Errors
    /// What the database said.
    pub async fn count(&mut self, tally: Tally) -> Result<(), StoreError> {
        const THREAD: &str = "
            update thread set visible = visible + $1, approved = approved + $2, pending = pending + $3,
                rejected = rejected + $4, withdrawn = withdrawn + $5, changes = changes + $6
            where site_id = $7 and id = $8";
        const AUTHOR: &str = "
            update author_record set approved = approved + $1, pending = pending + $2, rejected = rejected + $3
            where site_id = $4 and mark = $5";
        const QUEUE: &str = "insert into queue_count (site_id, label, n) values ($1, $2, $3)
                             on conflict (site_id, label) do update set n = queue_count.n + excluded.n";
        for ((site, id), thread) in tally.threads {
            on!(self, conn => { sqlx::query(THREAD)
                .bind(thread.visible)
                .bind(thread.approved)
                .bind(thread.pending)
                .bind(thread.rejected)
                .bind(thread.withdrawn)
                .bind(thread.changes)
                .bind(site.0)
                .bind(id)
                .execute(conn).await?; });
        }
        for ((site, mark), [approved, pending, rejected]) in tally.authors {
            on!(self, conn => { sqlx::query(AUTHOR)
                .bind(approved).bind(pending).bind(rejected).bind(site.0).bind(mark)
                .execute(conn).await?; });
        }
        for ((site, label), n) in tally.queue {
            on!(self, conn => { sqlx::query(QUEUE)
                .bind(site.0).bind(label).bind(n).execute(conn).await?; });
        }
        Ok(())
    }
}
