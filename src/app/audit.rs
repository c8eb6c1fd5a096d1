//! Whether the audit log is whole. Each row's keyed hash covers the row and the hash before it, so that a row cannot be
//! changed, removed or put in between without the key ring.
//!
//! Not seen from here: that the newest rows were cut off, which takes a copy of the last hash kept elsewhere.

use super::{App, Fault};
use crate::store::journal::AuditRow;

/// Rows read at once.
const PAGE: i64 = 500;

/// What a look at every row of the audit log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Rows looked at.
    pub rows: u64,
    /// The newest row whose hash does not fit it and the row before it.
    pub broken_at: Option<i64>,
}

/// Looks at every row, newest first, up to the first that does not fit.
///
/// # Errors
/// What the store said.
pub async fn verify(app: &App) -> Result<Finding, Fault> {
    let mut finding = Finding {
        rows: 0,
        broken_at: None,
    };
    let mut after: Option<AuditRow> = None;
    loop {
        let page = app
            .store
            .audit_log(after.as_ref().map(|row| row.seq), PAGE)
            .await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            finding.rows += 1;
            if let Some(after) = &after
                && !follows(app, after, Some(&row))
            {
                return Ok(Finding {
                    broken_at: Some(after.seq),
                    ..finding
                });
            }
            after = Some(row);
        }
    }
    if let Some(first) = after
        && !follows(app, &first, None)
    {
        finding.broken_at = Some(first.seq);
    }
    Ok(finding)
}

fn follows(app: &App, row: &AuditRow, before: Option<&AuditRow>) -> bool {
    let (seq, hash) = before.map_or((0, &[][..]), |before| (before.seq, &before.hash[..]));
    let bytes = [hash, &row.hashed_bytes()].concat();
    row.seq == seq + 1 && row.hash == app.keyring.audit_mac(&bytes)
}
