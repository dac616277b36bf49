//! Who gets in, and whether the server could listen.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use serde_json::Value;

use super::Finding;
use crate::config::{Config, HttpConfig};

/// A key that has fewer characters, or so few different ones, can be guessed.
const SHORT: usize = 16;
const MONOTONOUS: usize = 8;
const MAKE_ONE: &str = "make one with `openssl rand -base64 32`";

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![key(&config.http)];
    findings.extend(proxies(config));
    findings.extend(address(&config.http).await);
    findings
}

fn key(http: &HttpConfig) -> Finding {
    const NAME: &str = "api_key";
    let beyond = !http.host.to_canonical().is_loopback();
    match &http.api_key {
        Some(key) => {
            let key = key.expose();
            let different = key.bytes().collect::<BTreeSet<_>>().len();
            if key.len() < SHORT || different < MONOTONOUS {
                let found = format!("API_KEY is weak: {} characters, {different} different ones", key.len());
                Finding::warning(NAME, found, format!("take a longer, random one: {MAKE_ONE}"))
            } else {
                Finding::ok(NAME, "API_KEY is set")
            }
        }
        None if !beyond => Finding::ok(NAME, "no API_KEY is set, and only this machine gets in"),
        None if http.open => Finding::warning(
            NAME,
            format!("everybody who reaches {} gets in: OPEN is true and API_KEY is not set", http.host),
            format!("set API_KEY unless that is what you want; {MAKE_ONE}"),
        ),
        // `serve` takes no notice of METRICS_PORT: this is a worker.
        None if http.metrics_port.is_some() => Finding::problem(
            NAME,
            "API_KEY is not set: a worker with METRICS_PORT does not start where other machines reach it",
            format!("set API_KEY; {MAKE_ONE}"),
        ),
        None => Finding::warning(
            NAME,
            "API_KEY is not set: a new key is made with every start, and printed once",
            format!("set API_KEY, so that clients can keep theirs; {MAKE_ONE}"),
        ),
    }
}

/// Whether clients beyond this machine are told from each other and held to a limit. Railway's edge is known.
fn proxies(config: &Config) -> Option<Finding> {
    const NAME: &str = "proxies";
    if config.railway || config.http.host.to_canonical().is_loopback() {
        return None;
    }
    let given: Vec<_> =
        ["TRUSTED_PROXIES", "RATE_LIMIT"].into_iter().filter(|name| config.is_given(name)).collect();
    Some(match given.is_empty() {
        false => Finding::ok(NAME, format!("{} is given", given.join(" and "))),
        true => Finding::warning(
            NAME,
            "neither TRUSTED_PROXIES nor RATE_LIMIT is set: behind a proxy all clients are one, and none has a limit",
            "set TRUSTED_PROXIES to the address of the proxy, or to none where there is none, and RATE_LIMIT=600",
        ),
    })
}

async fn address(http: &HttpConfig) -> Vec<Finding> {
    const NAME: &str = "address";
    let address = SocketAddr::new(http.host, http.port);
    match TcpListener::bind(address) {
        Ok(_) if http.port == 0 => vec![Finding::ok(NAME, format!("{}, on a free port", http.host))],
        Ok(_) => vec![Finding::ok(NAME, format!("{address} is free to listen on"))],
        Err(e) if e.kind() == ErrorKind::AddrInUse => server(http).await,
        Err(e) if e.kind() == ErrorKind::PermissionDenied => vec![Finding::problem(
            NAME,
            format!("this user may not listen on {address}: {e}"),
            "take a PORT above 1023 and put a proxy before it",
        )],
        Err(e) => vec![Finding::problem(
            NAME,
            format!("{address} cannot be listened on: {e}"),
            "set HOST to an address of this machine, or to 0.0.0.0 for all of them",
        )],
    }
}

/// Somebody listens there: a server of ours says how it is.
async fn server(http: &HttpConfig) -> Vec<Finding> {
    let host: IpAddr = if http.host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { http.host };
    let address = SocketAddr::new(host, http.port);
    let Some(health) = health(address).await else {
        return vec![Finding::problem(
            "address",
            format!("another program listens on {address}"),
            "end it, or set PORT to a free one",
        )];
    };
    let version = health["version"].as_str().unwrap_or_default();
    let mut findings =
        vec![Finding::ok("address", format!("a server (version {version}) listens on {address}"))];
    let problems: Vec<_> =
        health["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    findings.push(match problems.as_slice() {
        [] => Finding::ok("server", "it is well, and so is its store"),
        problems => Finding::problem("server", problems.join("; "), "look into its log"),
    });
    findings
}

async fn health(address: SocketAddr) -> Option<Value> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().tls_certs_only([]);
    // Fails only when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = client.build().ok()?.get(format!("http://{address}/system/health")).send().await.ok()?;
    let health: Value = answer.json().await.ok()?;
    health.get("uptime_seconds").is_some().then_some(health)
}
