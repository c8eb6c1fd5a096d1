//! `anteroom serve`: everything that runs.

use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Failure, open};
use crate::app::accounts;
use crate::config::Config;
use crate::web::client::Proxies;
use crate::web::limits::Limits;
use crate::web::{self, WebState, serve};
use crate::{telemetry, work};

/// Runs the service until it is told to stop.
pub(super) async fn run(config: Config) -> Result<(), Failure> {
    telemetry::start(&config.log).map_err(Failure::environment)?;
    let listener = serve::bind(config.server.listen)
        .with_context(|| format!("cannot listen on {} (server.listen)", config.server.listen))
        .map_err(Failure::Environment)?;
    let address = config.public_url(listener.local_addr().map_err(Failure::environment)?);
    let app = open::app(&config, address.clone()).await?;
    open::ensure_demo(&app).await?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let limits = Arc::new(Limits::new(&config.rates));
    let proxies = Arc::new(Proxies::new(config.server.trusted_proxies.clone()));
    let counted = Arc::clone(&limits);
    let tidy_door: work::Tidy = Arc::new(move || counted.tidy());
    work::start(&app, &tidy_door, &stop, &tasks);
    let state = WebState {
        app: app.clone(),
        limits: Arc::clone(&limits),
        stop: stop.clone(),
    };
    let front = web::front(state, &config, Arc::clone(&proxies)).map_err(Failure::environment)?;
    if let Some(at) = config.server.metrics_listen {
        let listener = serve::bind(at)
            .with_context(|| format!("cannot listen on {at} (server.metrics_listen)"))
            .map_err(Failure::Environment)?;
        let front = web::metrics_front(&config, limits, Arc::clone(&proxies));
        tasks.spawn(serve::run(
            listener,
            front,
            Arc::clone(&proxies),
            stop.clone(),
        ));
    }
    greet(&app, &address).await?;
    let signal = stop.clone();
    tasks.spawn(async move {
        match serve::asked_to_stop().await {
            Ok(()) => tracing::info!("asked to stop; requests under way are finished first"),
            Err(error) => tracing::error!(code = error.raw_os_error(), "signals cannot be heard"),
        }
        signal.cancel();
    });
    serve::run(listener, front, proxies, stop.clone()).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    app.store.close().await;
    Ok(())
}

/// Says where to look, and hands over the set-up link while nobody can log in. To the terminal only, never to the log.
async fn greet(app: &crate::app::App, address: &str) -> Result<(), Failure> {
    println!("Anteroom is listening on {address}");
    println!("  a post to try it on     {address}/demo");
    match accounts::fresh_setup_link(app)
        .await
        .map_err(Failure::environment)?
    {
        Some(token) => {
            println!("  set up the console      {address}/console/setup?token={token}");
            println!("                          (works once, within 15 minutes)");
        }
        None => println!("  the moderators' queue   {address}/console"),
    }
    Ok(())
}
