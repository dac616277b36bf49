//! `productforge healthcheck`: is the process of this machine well? For containers, which have no curl.
//!
//! Nobody has to say which process that is, so one image serves both roles. A server is asked over HTTP. Where nobody
//! listens, and there is a Redis, a worker may run here: it says so in the store every ten seconds, under the name of the
//! machine, which in a container is the container's own. A worker that cannot reach its Redis, or has stopped asking for
//! work, is not well; a server whose store is away is (it answers, and says so).

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::TimeDelta;
use reqwest::Url;

use super::{Failure, FromFile, load, migrate, process::runtime, say};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    model::WorkerInfo,
    service::workers::of_host,
    store::Store,
    worker::presence,
};

/// The most that connecting and answering may take, each.
const PATIENCE: Duration = Duration::from_secs(3);
/// A worker speaks every ten seconds; this is three times missed.
const SILENCE: TimeDelta = TimeDelta::seconds(35);

const EXAMPLES: &str = "\
Exits with 0 if the server answers 2xx within three seconds, else with 1, also where the command line or
the configuration is wrong: containers reserve other codes. Where nobody listens and
REDIS_URL is set, a worker of this machine is as good: it has to have spoken in the last 35 seconds.

Examples:
  productforge healthcheck
  productforge healthcheck --worker
  productforge healthcheck --url http://127.0.0.1:9000/system/health
  productforge healthcheck --server https://forge.example.com";

/// Ask the server or worker of this machine whether it is well; the exit code tells
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to ask, /system/ping where it names no path [default: the configured HOST and PORT]
    #[arg(long, visible_alias = "server")]
    url: Option<String>,
    /// Look for a worker alone, also where a server runs
    #[arg(long, conflicts_with = "url")]
    worker: bool,
    #[command(flatten)]
    from: FromFile,
}

/// Whatever is wrong, the exit code is 1: containers reserve 2.
pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    look(args).map_err(|failure| match failure {
        Failure::Usage(why) => Failure::Failed(anyhow::anyhow!(why)),
        other => other,
    })
}

fn look(args: Args) -> Result<ExitCode, Failure> {
    if let Some(text) = args.url {
        let url =
            Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(mut url) = url else {
            let why = format!("--url {text}: must be an address such as http://127.0.0.1:8000");
            return Err(Failure::Usage(why));
        };
        if url.path() == "/" {
            url.set_path("/system/ping");
        }
        return server(&url);
    }
    let config = load(args.from, [])?;
    if args.worker {
        return worker(&config);
    }
    let address = SocketAddr::new(reachable(config.http.host), config.http.port);
    let url =
        Url::parse(&format!("http://{address}/system/ping")).context("HOST and PORT make no address")?;
    match server(&url) {
        Err(Failure::Failed(error)) if is_refused(&error) && config.store.redis_url.is_some() => {
            worker(&config).map_err(|other| match other {
                Failure::Failed(why) => Failure::Failed(anyhow::anyhow!("{error:#}; {why:#}")),
                usage => usage,
            })
        }
        outcome => outcome,
    }
}

fn server(url: &Url) -> Result<ExitCode, Failure> {
    let asked = match url.scheme() {
        "https" => ask_by_tls(url),
        _ => ask(url),
    };
    let status = asked.with_context(|| format!("{url} does not answer"))?;
    if !(200..300).contains(&status) {
        return Err(anyhow::anyhow!("{url} answers {status}").into());
    }
    say("ok");
    Ok(ExitCode::SUCCESS)
}

/// Whether nobody listens there; a server that hangs is another matter.
fn is_refused(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether a worker of this machine has spoken lately, and asks for work.
fn worker(config: &Config) -> Result<ExitCode, Failure> {
    if config.store.redis_url.is_none() {
        return Err(Failure::Usage("a worker needs REDIS_URL, and so does the look for one".to_owned()));
    }
    let host = presence::host();
    let looked = runtime()?.block_on(async {
        let store = migrate::open(config)?;
        let found = tokio::time::timeout(PATIENCE, of_host(&store, &host)).await;
        store.close().await;
        anyhow::Ok(found.context("Redis does not answer in time")?.map_err(anyhow::Error::from)?)
    });
    let workers = looked.context("workers cannot be looked for")?;
    let now = SystemClock.now();
    let heard = |worker: &&WorkerInfo| now - worker.seen_at < SILENCE;
    let Some(worker) = workers.iter().filter(heard).max_by_key(|worker| worker.seen_at) else {
        let silence = SILENCE.num_seconds();
        return Err(anyhow::anyhow!("no worker of {host} has spoken in the last {silence} seconds").into());
    };
    if worker.is_idle_alive() {
        return Err(anyhow::anyhow!("worker {} has stopped asking for work", worker.worker_id).into());
    }
    say("ok");
    Ok(ExitCode::SUCCESS)
}

/// A server that listens on all addresses is asked on loopback.
fn reachable(host: IpAddr) -> IpAddr {
    if host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { host }
}

/// One GET without TLS or redirects; the status of the answer.
fn ask(url: &Url) -> anyhow::Result<u16> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        bail!("the address names no host");
    };
    let addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs()?;
    let mut stream = connect(addresses)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request =
        format!("GET {}{query} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n", url.path());
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    line.strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.trim().parse().ok())
        .context("the answer is not HTTP")
}

/// The same with TLS.
fn ask_by_tls(url: &Url) -> anyhow::Result<u16> {
    // Fails only when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(PATIENCE)
        .timeout(2 * PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot set up HTTPS (are CA certificates installed?)")?;
    // The request has clocks of its own, which belong to the runtime.
    let answer = runtime()?.block_on(async { client.get(url.clone()).send().await })?;
    Ok(answer.status().as_u16())
}

fn connect(addresses: impl Iterator<Item = SocketAddr>) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => bail!("the host has no address"),
    }
}
