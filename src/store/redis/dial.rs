//! Opens one connection to one server, in the clear or by TLS; who is connected to, [`super::target`] decides.

use std::{path::Path, time::Duration};

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, TlsCertificates, aio::MultiplexedConnection, cmd, io::tcp::TcpSettings,
    parse_redis_value, pipe,
};

use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::trouble::{CLOSED_AT_ONCE, NO_HANDSHAKE, OWN_FILES};
use crate::config::RedisAccess;

/// How long making one connection may take.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// A peer that acknowledges nothing for this long is gone, whatever TCP hopes.
#[cfg(target_os = "linux")]
const PEER_LIMIT: Duration = Duration::from_secs(10);
/// How long it is listened to what a server says unasked.
const LISTEN_LIMIT: Duration = Duration::from_millis(200);
/// Commands that wait for the socket.
const BUFFERED_COMMANDS: usize = 1024;

/// Opens a connection, within [`CONNECT_LIMIT`]; nothing is said on it yet. The library's limit for replies is
/// off (its 500 ms would also cut off blocking commands): every caller has one of its own.
pub(super) async fn open(
    address: &ConnectionAddr,
    access: &RedisAccess,
) -> Result<MultiplexedConnection, RedisError> {
    let encrypted = matches!(address, ConnectionAddr::TcpTls { .. });
    let tcp = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(PEER_LIMIT);
    let quiet = RedisConnectionInfo::default().set_skip_set_lib_name();
    let info = address.clone().into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(quiet);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFERED_COMMANDS);
    let client = match certificates(access)?.filter(|_| encrypted) {
        Some(certificates) => Client::build_with_tls(info, certificates).map_err(own_files)?,
        None => Client::open(info)?,
    };
    let opened = client.get_multiplexed_async_connection_with_config(&config).await;
    opened.map_err(|error| match encrypted && error.is_timeout() {
        true => (ErrorKind::Io, NO_HANDSHAKE, error.to_string()).into(),
        false => error,
    })
}

/// What is said first. We say the password: the library makes one error of whatever a server answers to it.
pub(super) fn greeting(user: Option<&str>, password: Option<&str>) -> Pipeline {
    let mut greeting = pipe();
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        let mut login = cmd("AUTH");
        user.into_iter().for_each(|user| _ = login.arg(user));
        greeting.add_command(login.arg(password).clone());
    }
    greeting
}

/// The files of the configuration, as they are now.
fn certificates(access: &RedisAccess) -> Result<Option<TlsCertificates>, RedisError> {
    let client_tls = match &access.certificate {
        Some((certificate, key)) => {
            Some(ClientTlsConfig { client_cert: file(certificate)?, client_key: file(key)? })
        }
        None => None,
    };
    let root_cert = access.ca.as_deref().map(file).transpose()?;
    let named = client_tls.is_some() || root_cert.is_some();
    Ok(named.then_some(TlsCertificates { client_tls, root_cert }))
}

fn file(path: &Path) -> Result<Vec<u8>, RedisError> {
    std::fs::read(path)
        .map_err(|error| (ErrorKind::Client, OWN_FILES, format!("{}: {error}", path.display())).into())
}

fn own_files(error: RedisError) -> RedisError {
    (ErrorKind::Client, OWN_FILES, error.to_string()).into()
}

/// Whether a server let go of a connection before it had said anything that we heard.
pub(super) fn is_closed_at_once(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal() && !error.is_timeout()
}

/// Why it did, as far as it says so. A server that has no connection left says it unasked and closes; what it says is
/// lost with the connection when we speak meanwhile. So one is made on which we only listen.
pub(super) async fn why_closed(address: &ConnectionAddr, error: &RedisError) -> RedisError {
    match timeout(LISTEN_LIMIT, said_unasked(address)).await {
        Ok(Some(said)) => said,
        _ => (ErrorKind::Io, CLOSED_AT_ONCE, error.to_string()).into(),
    }
}

async fn said_unasked(address: &ConnectionAddr) -> Option<RedisError> {
    let ConnectionAddr::Tcp(host, port) = address else { return None };
    let mut stream = TcpStream::connect((host.as_str(), *port)).await.ok()?;
    let mut said = [0; 256];
    let length = stream.read(&mut said).await.ok()?;
    parse_redis_value(said.get(..length)?).ok()?.extract_error().err()
}

/// A server that says nothing.
pub(super) fn silent() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}
