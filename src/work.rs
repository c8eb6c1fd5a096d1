//! What goes on beside the requests: rules that change, settings that change, rows whose time is over.
//!
//! Invariant: each task is watched; one that ends before the program does is an error and is started again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, retention, rulebook};
use crate::telemetry::numbers::{TIDY_EVERY, numbers};

/// How often the store is asked whether sites, people or keys have changed.
const REVISION_EVERY: Duration = Duration::from_millis(100);
/// How often rows whose time is over are removed.
const SWEEP_EVERY: Duration = Duration::from_mins(15);
/// The pause before a task that failed starts again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Makes smaller what a door has counted in memory.
pub type Tidy = Arc<dyn Fn() + Send + Sync>;

/// Starts every background task; they end when `stop` is cancelled. `tidy_door` is called every [`TIDY_EVERY`].
pub fn start(app: &App, tidy_door: &Tidy, stop: &CancellationToken, tasks: &TaskTracker) {
    supervise("rules", app, stop, tasks, |app| async move {
        watch_rules(app).await;
    });
    supervise("settings", app, stop, tasks, |app| async move {
        watch_settings(app).await;
    });
    let tidy_door = Arc::clone(tidy_door);
    supervise("tidy", app, stop, tasks, move |_| {
        tidy(Arc::clone(&tidy_door))
    });
    supervise(
        "sweep",
        app,
        stop,
        tasks,
        |app| async move { sweep(app).await },
    );
}

/// Runs a task for ever: one that returns or panics is reported and started again.
fn supervise<F, W>(
    name: &'static str,
    app: &App,
    stop: &CancellationToken,
    tasks: &TaskTracker,
    work: W,
) where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(App) -> F + Send + 'static,
{
    let (app, stop) = (app.clone(), stop.clone());
    tasks.spawn(async move {
        while !stop.is_cancelled() {
            #[expect(clippy::disallowed_methods, reason = "a task of its own, so that a panic ends only it")]
            let running = tokio::spawn(work(app.clone()));
            let abort = running.abort_handle();
            tokio::select! {
                () = stop.cancelled() => abort.abort(),
                ended = running => {
                    let panicked = ended.is_err();
                    tracing::error!(task = name, panicked, "a background task ended; it starts again");
                    tokio::time::sleep(RESTART_AFTER).await;
                }
            }
        }
    });
}

/// Loads changed rules, and says at once whether what stands in the directory is whole.
async fn watch_rules(app: App) {
    let mut ticks = tokio::time::interval(rulebook::POLL_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let own = app.clone();
        // A panic while compiling is a defect of ours, not a reason to stop serving: the supervisor reports it.
        if let Err(panic) = tokio::task::spawn_blocking(move || own.rulebook.poll()).await {
            std::panic::resume_unwind(panic.into_panic());
        }
        let broken = !app.rulebook.state().errors.is_empty();
        numbers().rules_broken.set(if broken { 1.0 } else { 0.0 });
    }
}

async fn watch_settings(app: App) {
    let mut ticks = tokio::time::interval(REVISION_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match app.sites.catch_up(&app.store).await {
            Ok(()) => failing = false,
            // Said once for each outage, not ten times a second.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(
                    code = error.code(),
                    "settings could not be read from the store"
                );
            }
            Err(_) => {}
        }
    }
}

async fn sweep(app: App) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        match retention::sweep(&app).await {
            Ok(removed) => {
                tracing::debug!(count = removed, "rows whose time was over were removed");
            }
            Err(fault) => tracing::warn!(
                code = fault.code(),
                "a sweep failed; the next one tries again"
            ),
        }
    }
}

/// Keeps what is counted in memory small.
async fn tidy(tidy_door: Tidy) {
    let mut ticks = tokio::time::interval(TIDY_EVERY);
    loop {
        ticks.tick().await;
        tidy_door();
        numbers().tidy();
    }
}
