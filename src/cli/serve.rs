//! `productforge serve`: the API, the dashboard and, in the same process, a worker.
//!
//! [`serve`] shows the order in which the parts start and stop, from top to bottom.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::FutureExt;

use crate::{
    config::{Config, HttpConfig, Secret},
    http::{self, HttpState, Stopper},
    telemetry::{self, trace},
};

use super::{
    Failure, FromFile, load, note,
    process::{LAST_SPANS, StopSignals, announce, open_unless_stopped, runtime},
};

/// How long a second signal waits for what cannot be stopped.
const AT_ONCE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
It listens on this machine alone unless HOST, --host or RAILWAY_ENVIRONMENT says otherwise. Beyond
this machine a key is needed: API_KEY, or else one that is made at the start and printed once.

SIGTERM or Ctrl-C stops taking requests, lets running jobs finish for up to DRAIN_SECONDS and gives
the rest back; a second signal gives them back at once. No attempt is charged. Behind a balancer set
DRAIN_DELAY_SECONDS: for so long /system/health says draining before requests are refused.

Examples:
  productforge serve
  productforge serve --port 9000 --workers 16
  REDIS_URL=redis://cache:6379 productforge serve --workers 0   # workers run elsewhere
  API_KEY=… productforge serve --host 0.0.0.0";

/// Serve the API and the dashboard, and run jobs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The address to listen on [default: HOST, 127.0.0.1]
    #[arg(long, value_name = "IP")]
    host: Option<String>,
    /// The port to listen on; 0 takes a free one [default: PORT, 8000]
    #[arg(long)]
    port: Option<String>,
    /// Jobs run at once by this process; 0 runs none [default: WORKERS, 4]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Let everybody in, also from other machines, if API_KEY is not set
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = load(
        args.from,
        [
            ("HOST", args.host),
            ("PORT", args.port),
            ("WORKERS", args.workers),
            ("OPEN", args.open.then(|| "true".to_owned())),
        ],
    )?;
    telemetry::init(&config.log, &telemetry::log_folder(&config))?;
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config));
    // What still runs beside the process has had its time: a look-up of a name, a look through an archive.
    runtime.shutdown_timeout(AT_ONCE);
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(mut config: Config) -> anyhow::Result<()> {
    trace::init(&config.trace)?;
    let mut signals = StopSignals::listen().context("signals cannot be received")?;
    lock_the_door(&mut config.http)?;

    let Some(app) = open_unless_stopped(config, &mut signals).await? else { return Ok(()) };
    announce(&app).await?;
    let http = &app.config.http;
    let listener = http::bind(http)
        .with_context(|| format!("cannot listen on {}", SocketAddr::new(http.host, http.port)))?;
    let server = http::serve(HttpState::new(app.services.clone(), http), listener)?;
    let worker = (app.config.worker.slots > 0).then(|| app.start_worker());
    ready(server.addr);

    let stopper = server.stopper();
    let signal = tokio::select! {
        signal = signals.next() => signal,
        ended = server.ended() => bail!("the HTTP server ended by itself: {ended:?}"),
        reason = app.refused() => bail!("{reason}"),
    };

    log::info!("{signal}: stopping; a second signal stops at once");
    let at_once = signals.again().shared();
    let stop_worker = async {
        if let Some(worker) = worker {
            worker.stop(app.config.worker.drain, at_once.clone()).await;
        }
    };
    let delay = app.config.http.drain_delay;
    tokio::join!(stop_server(&stopper, delay, at_once.clone()), stop_worker);
    app.close().await;
    trace::flush(LAST_SPANS).await;
    log::info!("stopped");
    Ok(())
}

/// Says first that it is stopping, while it answers still, so that a balancer sends requests elsewhere; then takes no
/// new connection and lets requests under way end. Unless it has to be at once.
async fn stop_server(server: &Stopper, delay: Duration, at_once: impl Future<Output = ()>) {
    let in_order = async {
        server.drain();
        if !delay.is_zero() {
            log::info!("health says draining for {:.1} s before the listener closes", delay.as_secs_f64());
            tokio::time::sleep(delay).await;
        }
        server.stop(true).await;
    };
    tokio::select! {
        () = in_order => {}
        // A listener that is stopping in order already hears nothing more until it is done: it ends with the process.
        () = at_once => {
            let _ = tokio::time::timeout(AT_ONCE, server.stop(false)).await;
        }
    }
}

/// Beyond this machine nobody gets in without a key, unless that is what was asked for.
fn lock_the_door(http: &mut HttpConfig) -> anyhow::Result<()> {
    if http.api_key.is_some() {
        if http.open {
            log::warn!("API_KEY is set, so --open changes nothing");
        }
        return Ok(());
    }
    if http.host.to_canonical().is_loopback() {
        return Ok(());
    }
    if http.open {
        log::warn!("everybody who reaches {} can use this server: --open, and no API_KEY", http.host);
        return Ok(());
    }
    let key = new_key()?;
    // Not a log record: keys stay out of the log file.
    note(&format!(
        "\nThis server can be reached from other machines and API_KEY is not set, so a key was made.\n\
         It is shown only here and changes with every start; set API_KEY to keep one.\n\n    \
         API key: {}\n",
        key.expose()
    ));
    http.api_key = Some(key);
    Ok(())
}

/// 32 random bytes, fit for a header.
fn new_key() -> anyhow::Result<Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// The last lines of the start: from here on requests are answered.
fn ready(addr: SocketAddr) {
    let mut reachable = addr;
    if reachable.ip().is_unspecified() {
        reachable.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    log::info!("dashboard: http://{reachable}/dashboard/");
    log::info!("listening on http://{addr}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    fn http(settings: &[(&str, &str)]) -> HttpConfig {
        let env = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let mut http = Config::from_parts(&Flags::new(), env).unwrap().http;
        lock_the_door(&mut http).unwrap();
        http
    }

    #[test]
    fn on_loopback_no_key_is_needed() {
        assert!(http(&[]).api_key.is_none());
        assert!(http(&[("HOST", "::1")]).api_key.is_none());
        assert!(http(&[("HOST", "::ffff:127.0.0.1")]).api_key.is_none());
    }

    #[test]
    fn beyond_loopback_a_key_is_made() {
        let key = http(&[("HOST", "0.0.0.0")]).api_key.unwrap();
        assert_eq!(key.expose().len(), 43, "32 bytes in base64");
        let other = http(&[("RAILWAY_ENVIRONMENT", "production")]).api_key.unwrap();
        assert!(key != other);
    }

    #[test]
    fn a_given_key_is_kept_and_open_is_open() {
        let given = http(&[("HOST", "0.0.0.0"), ("API_KEY", "0123456789")]).api_key.unwrap();
        assert_eq!(given.expose(), "0123456789");
        assert!(http(&[("HOST", "0.0.0.0"), ("OPEN", "1")]).api_key.is_none());
        let both = http(&[("HOST", "0.0.0.0"), ("OPEN", "1"), ("API_KEY", "0123456789")]);
        assert!(both.api_key.is_some(), "a key that was set is never dropped");
    }
}
