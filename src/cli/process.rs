//! What long-running commands share: the runtime, what they say at the start, and the signals.

use std::{io, time::Duration};

use anyhow::Context;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    app::App,
    config::{Config, LlmConfig},
    store::StoreError,
};

/// How long a process that stops waits for the collector of traces.
pub(super) const LAST_SPANS: Duration = Duration::from_secs(2);

/// The threads that services and workers run on.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("no threads can be started")
}

/// Opens the application, which can take a while: a database may have to be migrated, or somebody does so. `None`
/// if a signal asked to stop meanwhile; what was begun then is gone on with by the next process.
pub(super) async fn open_unless_stopped(
    config: Config,
    signals: &mut StopSignals,
) -> anyhow::Result<Option<App>> {
    tokio::select! {
        app = App::open(config) => app.map(Some),
        signal = signals.next() => {
            log::info!("{signal}: stopped before the start was complete");
            Ok(None)
        }
    }
}

/// Says what the process stands on: its store and its model.
pub(super) async fn announce(app: &App) -> anyhow::Result<()> {
    match app.store.check().await {
        Ok(report) => {
            log::info!(engine = report.engine, version = report.version.as_str(); "store is ready");
            for check in report.checks.iter().filter(|check| !check.ok) {
                log::warn!("store: {}", check.detail);
            }
        }
        // Started together with its Redis, say: it is there in a moment, and until then 503 is the answer.
        Err(e @ StoreError::Unavailable(_)) => match app.store.trouble() {
            // Told already, by the store.
            Some(_) => log::warn!("the store is not available; starting all the same and trying on"),
            None => log::error!("{e}; starting all the same and trying on"),
        },
        Err(e) => return Err(e).context("the store does not answer"),
    }
    match model(&app.config.llm) {
        Some(model) => log::info!("model: {model}"),
        None => log::warn!(
            "No model is configured: answers are simulated. Set OPENAI_API_KEY or OPENAI_BASE_URL."
        ),
    }
    Ok(())
}

/// The models and whose they are; `None` when answers are simulated. An address can hold a password, so only
/// its host is told.
fn model(llm: &LlmConfig) -> Option<String> {
    let default = llm.default_provider()?;
    let mut text = format!("{} at {}", default.model, default.host());
    let others: Vec<_> =
        llm.providers.iter().map(|p| p.name.as_str()).filter(|n| *n != default.name).collect();
    if !others.is_empty() {
        text.push_str(&format!("; also configured: {}", others.join(", ")));
    }
    Some(text)
}

/// SIGTERM (the platform) and SIGINT (Ctrl-C) both ask the process to stop.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From here on the signals no longer end the process by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next request to stop, by the name of its signal.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Completes with the second request, which means "at once".
    pub(super) async fn again(&mut self) {
        let signal = self.next().await;
        log::warn!("{signal} again: stopping at once");
    }
}
