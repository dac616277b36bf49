//! What stands between strangers and the routes: who is believed, counted and slowed down.

use std::{
    any::Any,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use actix_web::{dev::Extensions, rt::net::TcpStream};
use socket2::{SockRef, TcpKeepalive};

use super::{
    GuessThrottle,
    connections::{Connections, Place},
    rate_limit::RateLimiter,
};
use crate::config::{HttpConfig, TrustedProxies};

/// The most addresses that are counted at once, and the most keys.
const MAX_CALLERS: usize = 10_000;
/// How many connections beyond `MAX_CONNECTIONS` are told so; what comes then waits unanswered.
const TOLD: usize = 256;

/// How long clients may take. They are no settings; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the head of a request.
    pub head: Duration,
    /// For a body that is held in memory.
    pub body: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), body: Duration::from_secs(30), unread: Duration::from_secs(60) }
    }
}

/// One for all threads of a server.
#[derive(Debug)]
pub struct Gate {
    pub proxies: TrustedProxies,
    /// Wrong keys, at the login and at the API.
    pub guesses: GuessThrottle,
    /// Requests a minute of an address without a right key.
    pub rate_limit: Option<u32>,
    pub by_address: RateLimiter<IpAddr>,
    /// Requests a minute of a key that has no limit of its own.
    pub key_rate_limit: Option<u32>,
    pub by_key: RateLimiter<String>,
    /// Attempts without a right by the name of the key, as far as they are kept.
    pub refused: RateLimiter<Option<String>>,
    pub patience: Patience,
    max_connections: usize,
    connections: Connections,
    begun: Instant,
    warned_of_proxy: AtomicBool,
}

impl Gate {
    pub fn new(config: &HttpConfig) -> Self {
        Self {
            proxies: config.trusted_proxies.clone(),
            guesses: GuessThrottle::default(),
            rate_limit: config.rate_limit,
            by_address: RateLimiter::new("address", MAX_CALLERS),
            key_rate_limit: config.key_rate_limit,
            by_key: RateLimiter::new("key", MAX_CALLERS),
            refused: RateLimiter::new("refused", MAX_CALLERS),
            patience: Patience::default(),
            max_connections: config.max_connections,
            connections: Connections::new(config.max_connections),
            begun: Instant::now(),
            warned_of_proxy: AtomicBool::new(false),
        }
    }

    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// A time that only goes forward.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// So many connections a thread of `threads` are accepted; the rest waits.
    pub fn accepted(&self, threads: usize) -> usize {
        (self.max_connections + TOLD).div_ceil(threads)
    }

    /// Notes a connection that was made, and says how long its client may read nothing.
    pub fn connected(&self, connection: &dyn Any, data: &mut Extensions) {
        let stream = connection.downcast_ref::<TcpStream>();
        let peer = stream.and_then(|stream| stream.peer_addr().ok());
        let address = peer.map(|peer| peer.ip().to_canonical());
        let place =
            self.connections.take(address.filter(|ip| !ip.is_loopback() && !self.proxies.trusts(*ip)));
        data.insert(Connection { peer, place, asked: AtomicBool::new(false) });
        if let Some(stream) = stream
            && let Err(error) = watch(&SockRef::from(stream), self.patience.unread)
        {
            log::debug!("a connection could not be set up: {error}");
        }
    }

    /// Says once that callers cannot be told apart.
    pub fn warn_of_proxy(&self, peer: Option<IpAddr>) {
        if let Some(peer) = peer
            && !self.warned_of_proxy.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "requests come through a proxy at {peer} that is not trusted to say for whom: logs and limits take all of \
                 them for one client. If the proxy is yours, set TRUSTED_PROXIES={peer}"
            );
        }
    }
}

/// A client that is gone, or reads nothing, must not hold its connection for ever.
fn watch(socket: &SockRef<'_>, unread: Duration) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unread))?;
    // The system counts these in whole seconds.
    let second = Duration::from_secs(1);
    let (time, interval) = (unread.max(second), (unread / 4).max(second));
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(interval))
}

/// A connection, as long as it is there.
pub struct Connection {
    peer: Option<SocketAddr>,
    place: Place,
    /// Whether a request came that could be read.
    asked: AtomicBool,
}

impl Connection {
    /// Whether it is one of those that are answered.
    pub fn has_room(&self) -> bool {
        self.place.has_room()
    }

    /// Notes that a request came.
    pub fn asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.asked.load(Ordering::Relaxed) {
            let peer = self.peer.map_or_else(|| "-".to_owned(), |peer| peer.ip().to_string());
            log::debug!("a connection from {peer} ended without a request that could be read");
        }
    }
}
