//! What operators see of a running program: a log with few fields, and numbers with few labels.
//!
//! Not here: what moderators see, which is the audit log in the store.
//!
//! Invariant: nothing that a reader typed reaches a log line or a label. Fields are taken from [`journal::ALLOWED`] and
//! from nowhere else; the rest is dropped and counted.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat};

pub mod journal;
pub mod numbers;

use journal::{Journal, Look};

/// Starts the log on standard error, once in the life of a program, and sends panics there.
///
/// # Errors
/// If a log was started before.
pub fn start(log: &Log) -> Result<(), TryInitError> {
    let look = match log.format {
        Some(LogFormat::Pretty) => Look::Pretty {
            colour: is_terminal(),
        },
        None if is_terminal() => Look::Pretty { colour: true },
        Some(LogFormat::Json) | None => Look::Json,
    };
    let directives = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(directives(&log.level)));
    tracing_subscriber::registry()
        .with(directives)
        .with(Journal::new(look, std::io::stderr))
        .try_init()?;
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// A bare level is meant for this program; other people's code speaks up from `warn`.
fn directives(level: &str) -> String {
    match level.trim().parse::<tracing::Level>() {
        Ok(tracing::Level::ERROR) => "error".to_owned(),
        Ok(level) => format!("warn,anteroom={level}"),
        Err(_) => level.to_owned(),
    }
}

/// Says where, never what: a payload may quote the input that caused it.
fn report_panic(panic: &PanicHookInfo<'_>) {
    numbers::numbers().panics.increment(1);
    let (file, line, column) = panic.location().map_or(("", 0, 0), |place| {
        (place.file(), place.line(), place.column())
    });
    tracing::error!(file, line, column, "a task panicked");
}

fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_for_this_program_alone() {
        assert_eq!(directives("debug"), "warn,anteroom=DEBUG");
        assert_eq!(directives("error"), "error");
        assert_eq!(directives("info,sqlx=debug"), "info,sqlx=debug");
    }
}
