//! `productforge worker`: runs jobs and serves nothing.

use std::process::ExitCode;

use anyhow::Context;

use crate::{
    app::App,
    config::Config,
    http::{self, HttpServerHandle, HttpState},
    telemetry::{self, trace},
};

use super::{
    Failure, FromFile, load,
    process::{LAST_SPANS, StopSignals, announce, open_unless_stopped, runtime},
};

const NO_REDIS: &str = "\
a worker needs REDIS_URL: it shares its queues with the servers, and the embedded store belongs to \
one process.
Set REDIS_URL to the Redis that `productforge serve` uses, or start `productforge serve --workers N`, \
which runs jobs itself.";

const EXAMPLES: &str = "\
SIGTERM or Ctrl-C lets running jobs finish for up to DRAIN_SECONDS and gives the rest back; a second
signal gives them back at once. No attempt is charged.

Example:
  REDIS_URL=redis://cache:6379 productforge worker --workers 16";

/// Run jobs from a shared Redis, without an HTTP server
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs run at once [default: WORKERS, 4]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = load(args.from, [("WORKERS", args.workers)])?;
    if config.store.redis_url.is_none() {
        return Err(Failure::Usage(NO_REDIS.to_owned()));
    }
    if config.worker.slots == 0 {
        return Err(Failure::Usage(
            "a worker with 0 slots runs nothing: set --workers to 1 or more".to_owned(),
        ));
    }
    telemetry::init(&config.log, &telemetry::log_folder(&config))?;
    runtime()?.block_on(work(config))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(config: Config) -> anyhow::Result<()> {
    trace::init(&config.trace)?;
    let drain = config.worker.drain;
    let mut signals = StopSignals::listen().context("signals cannot be received")?;
    let Some(app) = open_unless_stopped(config, &mut signals).await? else { return Ok(()) };
    announce(&app).await?;
    let metrics = serve_metrics(&app)?;
    let worker = app.start_worker();
    log::info!(worker_id = worker.worker_id(); "ready for jobs");

    let signal = tokio::select! {
        signal = signals.next() => signal,
        reason = app.refused() => anyhow::bail!("{reason}"),
    };
    log::info!("{signal}: stopping; a second signal stops at once");
    worker.stop(drain, signals.again()).await;
    if let Some(metrics) = metrics {
        metrics.stopper().stop(false).await;
    }
    app.close().await;
    trace::flush(LAST_SPANS).await;
    Ok(())
}

/// Answers probes and scrapers, if `METRICS_PORT` says where.
fn serve_metrics(app: &App) -> anyhow::Result<Option<HttpServerHandle>> {
    let mut http = app.config.http.clone();
    let Some(port) = http.metrics_port else { return Ok(None) };
    if http.api_key.is_none() && !http.open && !http.host.to_canonical().is_loopback() {
        anyhow::bail!(
            "METRICS_PORT on {} can be reached from other machines: set API_KEY as well",
            http.host
        );
    }
    http.port = port;
    let listener = http::bind(&http).with_context(|| format!("cannot listen on {}:{port}", http.host))?;
    let server = http::serve_metrics(HttpState::new(app.services.clone(), &http), listener)?;
    log::info!("metrics: listening on http://{}", server.addr);
    Ok(Some(server))
}
