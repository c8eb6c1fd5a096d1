//! `anteroom audit`.

use clap::Subcommand;
use serde_json::json;

use super::tell::tell;
use super::{Failure, open};
use crate::app::audit;
use crate::config::Config;

/// `anteroom audit …`
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Check that no row of the audit log was changed, removed or added by other hands
    Verify,
}

pub(super) async fn run(command: AuditCommand, config: Config, json: bool) -> Result<(), Failure> {
    let AuditCommand::Verify = command;
    let app = open::for_command(&config).await?;
    let found = audit::verify(&app).await;
    app.store.close().await;
    let found = found.map_err(Failure::environment)?;
    let value = json!({ "rows": found.rows, "broken_at": found.broken_at });
    let words = match found.broken_at {
        None => format!("all {} rows fit together", found.rows),
        Some(seq) => format!("row {seq} does not fit the one before it, or was changed"),
    };
    tell(json, &value, &words)?;
    if found.broken_at.is_some() {
        Err(Failure::No)
    } else {
        Ok(())
    }
}
