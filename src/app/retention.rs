//! Rows that are kept for a time only.

use super::{App, Fault, complete};
use crate::app::accounts::ATTEMPTS_KEPT_FOR;
use crate::app::submit::IDEMPOTENCY_KEPT_FOR;
use crate::domain::Timestamp;

/// Removes rows whose time is over; returns how many.
///
/// # Errors
/// What the store said.
pub async fn sweep(app: &App) -> Result<u64, Fault> {
    let now = app.clock.now();
    let app = app.clone();
    complete(async move {
        let mut tx = app.store.begin().await?;
        let removed = tx
            .remove_idempotency_before(now.minus(IDEMPOTENCY_KEPT_FOR))
            .await?
            + tx.remove_sessions_before(Timestamp(now.0)).await?
            + tx.remove_attempts_before(now.minus(ATTEMPTS_KEPT_FOR))
                .await?;
        tx.commit().await?;
        Ok(removed)
    })
    .await
}
