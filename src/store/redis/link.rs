//! A link to Redis: one connection that many callers share, made anew whenever it is spoilt.
//!
//! The client library has a `ConnectionManager` for this and deadpool a pool; both were left:
//! - A pooled connection carries one command at a time (plus a `PING` per take). Sixty-four tasks over
//!   one multiplexed connection were measured more than twenty times faster than over a pool of four.
//! - The `ConnectionManager` makes no new connection after a time-out (a half-open connection stays
//!   until the kernel gives it up), after `READONLY` (it stays with a demoted primary), nor when a first
//!   connection was refused by the server ("max number of clients", a password that was wrong for a
//!   while): that error is then its answer for ever.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cmd,
};
use tokio::time::{Instant, timeout_at};

use super::error::{Place, spoils_connection};
use crate::telemetry::counters;

/// How long a call may take, with whatever connecting it needs.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(2);
/// What is sent must come through a slow network or a busy machine at this many bytes a second;
/// only what is far larger than usual gets noticeably more time by it.
const SLOWEST_BYTES_PER_SECOND: u32 = 4 << 20;
/// How long making one connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// After a failed connection the next one is tried no sooner than this, so that callers fail at once
/// instead of queueing up, and a server that comes back is not trampled.
const PAUSE_MS: std::ops::Range<u64> = 50..200;
/// A connection unused for this long is asked before a write is trusted to it.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// Commands that wait for the socket.
const BUFFERED_COMMANDS: usize = 1024;

/// One shared connection.
pub(super) struct Link {
    info: ConnectionInfo,
    place: Place,
    state: Mutex<State>,
    /// Held while connecting, so that one caller connects and the others wait for it.
    connecting: tokio::sync::Mutex<()>,
    /// Counts the connections lost by all links to this server: what broke one may have broken the others.
    losses: Arc<AtomicU64>,
    /// Counts the connections made by all links to this server: where one could be made, the others can.
    connects: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections made, so that only the spoilt one is dropped.
    generation: u64,
    last_used: Option<Instant>,
    /// The count of [`Link::losses`] when the connection last answered.
    losses_seen: u64,
    pause_until: Option<Instant>,
    /// The count of [`Link::connects`] when a connection failed.
    connects_seen: u64,
    last_failure: String,
    /// The cluster node that owns our slot, once another one sent us there.
    moved_to: Option<ConnectionAddr>,
}

impl Link {
    pub fn new(info: ConnectionInfo, place: Place) -> Self {
        let (state, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { info, place, state, connecting, losses: Arc::default(), connects: Arc::default() }
    }

    /// Another link to the same server.
    pub fn beside(&self) -> Self {
        let (losses, connects) = (self.losses.clone(), self.connects.clone());
        Self { losses, connects, ..Self::new(self.info.clone(), self.place.clone()) }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Sends a command and waits for its reply, at the most the [`limit`] of its size.
    pub async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let bytes = command.args_iter().map(|arg| if let Arg::Simple(bytes) = arg { bytes.len() } else { 0 });
        self.attempt(command, Instant::now() + limit(bytes.sum())).await
    }

    /// The same for a command that may be repeated: a connection that broke since it was last used
    /// costs one more try, not an error.
    pub async fn read(&self, command: &Cmd) -> Result<Value, RedisError> {
        let deadline = Instant::now() + CALL_LIMIT;
        match self.attempt(command, deadline).await {
            Err(error) if error.is_connection_dropped() => self.attempt(command, deadline).await,
            answer => answer,
        }
    }

    /// Asks a connection that stood idle, or that was not used since another one was lost, whether it
    /// is still one: before a write, which must not be repeated when the connection breaks under it.
    pub async fn freshen(&self) -> Result<(), RedisError> {
        let doubtful = {
            let state = self.state();
            state.last_used.is_none_or(|at| at.elapsed() > STALE_AFTER)
                || state.losses_seen != self.losses.load(Ordering::Acquire)
        };
        if doubtful { self.read(&cmd("PING")).await.map(|_| ()) } else { Ok(()) }
    }

    /// Where to connect to now.
    pub fn target(&self) -> ConnectionInfo {
        match self.state().moved_to.clone() {
            Some(address) => self.info.clone().set_addr(address),
            None => self.info.clone(),
        }
    }

    /// Lets go of the connection.
    pub fn close(&self) {
        self.state().connection = None;
    }

    async fn attempt(&self, command: &Cmd, deadline: Instant) -> Result<Value, RedisError> {
        counters::REDIS_OPERATIONS.add(1);
        for _ in 0..2 {
            let losses = self.losses.load(Ordering::Acquire);
            let (generation, mut connection) = self.connection(deadline).await?;
            let answer = timeout_at(deadline, connection.req_packed_command(command))
                .await
                .unwrap_or_else(|_| Err(timed_out("no answer in time")))
                .and_then(Value::extract_error);
            match answer {
                Ok(value) => {
                    let mut state = self.state();
                    state.last_used = Some(Instant::now());
                    state.losses_seen = losses;
                    return Ok(value);
                }
                Err(error) => {
                    if spoils_connection(&error) {
                        self.drop_connection(generation);
                    }
                    // A command that was sent elsewhere was not run here.
                    if error.kind() != moved() || !self.follow(&error) {
                        return Err(error);
                    }
                }
            }
        }
        Err(timed_out("sent from one cluster node to the next"))
    }

    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), RedisError> {
        if let Some(found) = self.current() {
            return Ok(found);
        }
        let _one_at_a_time = timeout_at(deadline, self.connecting.lock())
            .await
            .map_err(|_| timed_out("no connection in time"))?;
        if let Some(found) = self.current() {
            return Ok(found);
        }
        {
            let state = self.state();
            let still_away = state.connects_seen == self.connects.load(Ordering::Acquire);
            if still_away && state.pause_until.is_some_and(|until| Instant::now() < until) {
                return Err(failed(state.last_failure.clone()));
            }
        }
        match timeout_at(deadline, connect(self.target())).await {
            Ok(Ok(connection)) => {
                let mut state = self.state();
                self.connects.fetch_add(1, Ordering::AcqRel);
                state.generation += 1;
                state.connection = Some(connection.clone());
                Ok((state.generation, connection))
            }
            Ok(Err(error)) => Err(self.note_failure(error)),
            Err(_) => Err(self.note_failure(timed_out("no connection in time"))),
        }
    }

    fn current(&self) -> Option<(u64, MultiplexedConnection)> {
        let state = self.state();
        state.connection.clone().map(|connection| (state.generation, connection))
    }

    fn note_failure(&self, error: RedisError) -> RedisError {
        let mut state = self.state();
        state.pause_until = Some(Instant::now() + Duration::from_millis(rand::random_range(PAUSE_MS)));
        state.connects_seen = self.connects.load(Ordering::Acquire);
        state.last_failure = error.to_string();
        // The node we were sent to may be gone for good; the URL's one knows better.
        state.moved_to = None;
        error
    }

    fn drop_connection(&self, generation: u64) {
        let mut state = self.state();
        if state.generation == generation && state.connection.take().is_some() {
            state.moved_to = None;
            self.losses.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Remembers where a cluster node sent us. With the one hash tag of the prefix all keys have the
    /// same owner, so one address is all there is to know of a cluster.
    fn follow(&self, error: &RedisError) -> bool {
        let Some((host, port)) = error.redirect_node().and_then(|(address, _)| address.rsplit_once(':'))
        else {
            return false;
        };
        let Ok(port) = port.parse() else { return false };
        let address = match self.info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        self.state().moved_to = Some(address);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a call may take that sends this much.
pub(super) fn limit(bytes: usize) -> Duration {
    CALL_LIMIT + Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(SLOWEST_BYTES_PER_SECOND))
}

/// Makes one connection, within [`CONNECT_LIMIT`]. The library's limit for replies is off (its 500 ms
/// would also cut off blocking commands): every caller here has one of its own, and drops the
/// connection when it is reached.
pub(super) async fn connect(info: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFERED_COMMANDS);
    Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
}

fn moved() -> ErrorKind {
    ErrorKind::Server(deadpool_redis::redis::ServerErrorKind::Moved)
}

fn timed_out(why: &'static str) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, why).into()
}

/// A connection that was tried a moment ago and is not tried again yet.
fn failed(why: String) -> RedisError {
    std::io::Error::other(why).into()
}
