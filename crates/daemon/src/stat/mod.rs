//! The statistics service: a CTI client of the sites' servers with an endpoint of its own. It runs in a server's process,
//! on a thread of its own, or as a process of its own (`tandem stat`); telephony does not notice when it is lost.

mod engine;
mod http;
mod layout;
mod lines;
mod link;
mod live;
mod lock;
mod metrics;
mod store;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use self::engine::Engine;
use self::live::Live;
use crate::config::{self, Origin, StatConfig};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What prevented the start, or ended the service.
pub fn serve(config: StatConfig) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            ended = run(config) => ended,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

/// Starts the service beside a server, if its configuration has it. Nothing that happens to it ends the server.
pub fn start_beside(origin: &Origin) {
    let origin = origin.clone();
    let body = move || {
        let served = config::load_stat(&origin).map_err(anyhow::Error::from).and_then(|config| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(config))
        });
        if let Err(error) = served {
            tracing::error!(error = %format!("{error:#}"), "the statistics service ended; telephony goes on");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("stat".to_owned()).spawn(body) {
        tracing::error!(%error, "the statistics service cannot start; telephony goes on");
    }
}

async fn run(config: StatConfig) -> Result<()> {
    let layout = layout::read(&config)?;
    let settings = config.settings;
    let listener = TcpListener::bind(settings.listen).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {} for statistics", settings.listen))?;
    let live = Arc::new(Live::default());
    tracing::info!(
        listen = %format!("http://{}", settings.listen),
        sites = settings.sites.len(),
        queues = layout.sites.iter().map(|site| site.queues.len()).sum::<usize>(),
        places = layout.places.len(),
        version = env!("CARGO_PKG_VERSION"),
        "serving statistics"
    );
    let engine = tokio::spawn(Engine::new(settings, layout, Arc::clone(&live)).run());
    tokio::select! {
        served = http::serve(listener, live) => served.context("the endpoint ended"),
        ended = engine => Err(anyhow!("the model ended: {}", ended.err().map_or_else(String::new, |e| e.to_string()))),
    }
}
