//! `productforge healthcheck`: does the server answer? For containers, which have no curl.

use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use reqwest::Url;

use super::{Failure, FromFile, load, process::runtime, say};

/// The most that connecting and answering may take, each.
const PATIENCE: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Exits with 0 if the answer is a 2xx within three seconds, else with 1.

Examples:
  productforge healthcheck
  productforge healthcheck --url http://127.0.0.1:9000/system/health
  productforge healthcheck --server https://forge.example.com";

/// Ask a running server whether it answers; the exit code tells
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to ask, /system/ping where it names no path [default: the configured HOST and PORT]
    #[arg(long, visible_alias = "server")]
    url: Option<String>,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let url = match args.url {
        Some(url) => url,
        None => {
            let http = load(args.from, [])?.http;
            format!("http://{}/system/ping", SocketAddr::new(reachable(http.host), http.port))
        }
    };
    let mut url = Url::parse(&url).map_err(|e| Failure::Usage(format!("--url {url}: {e}")))?;
    if url.path() == "/" {
        url.set_path("/system/ping");
    }
    let asked = match url.scheme() {
        "http" => ask(&url),
        "https" => ask_by_tls(&url),
        _ => return Err(Failure::Usage("--url must begin with http:// or https://".to_owned())),
    };
    let status = asked.with_context(|| format!("{url} does not answer"))?;
    if !(200..300).contains(&status) {
        return Err(anyhow::anyhow!("{url} answers {status}").into());
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
