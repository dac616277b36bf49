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
    Arg, Cmd, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cmd,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    error::{Place, spoils_connection},
    target::Target,
    trouble::Trouble,
};
use crate::{config::RedisServers, telemetry::counters};

/// How long a call may take, with whatever connecting it needs.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(2);
/// What is sent must come through a slow network or a busy machine at this many bytes a second;
/// only what is far larger than usual gets noticeably more time by it.
const SLOWEST_BYTES_PER_SECOND: u32 = 4 << 20;
/// After a failed connection the next one is tried no sooner than this, so that callers fail at once
/// instead of queueing up, and a server that comes back is not trampled.
const PAUSE_MS: std::ops::Range<u64> = 50..200;
/// A connection unused for this long is asked before a write is trusted to it.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// The pause before a command is sent again that a cluster did not run, because the slot moves or has no
/// owner for a moment.
const AGAIN_MS: std::ops::Range<u64> = 20..100;
/// How often a command may be sent to another node.
const MOST_MOVES: usize = 3;

/// One shared connection.
pub(super) struct Link {
    target: Arc<Target>,
    state: Mutex<State>,
    /// Held while connecting, so that one caller connects and the others wait for it.
    connecting: tokio::sync::Mutex<()>,
    /// Counts the connections lost by all links to this server: what broke one may have broken the others.
    losses: Arc<AtomicU64>,
    /// Counts how often a link to this server found it to be no primary any more: what others still have there only reads,
    /// and from a server that may fall behind for ever.
    demotions: Arc<AtomicU64>,
    /// Counts the connections made by all links to this server: where one could be made, the others can.
    connects: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections made, so that only the spoilt one is dropped.
    generation: u64,
    last_used: Option<Instant>,
    /// The count of [`Link::demotions`] before the connection was made.
    demotions_seen: u64,
    /// The count of [`Link::losses`] when the connection last answered.
    losses_seen: u64,
    pause_until: Option<Instant>,
    /// The count of [`Link::connects`] when a connection failed.
    connects_seen: u64,
    last_failure: Option<RedisError>,
}

impl Link {
    pub fn new(target: Arc<Target>) -> Self {
        let (state, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        let (losses, demotions, connects) = (Arc::default(), Arc::default(), Arc::default());
        Self { target, state, connecting, losses, demotions, connects }
    }

    /// Another link to the same server.
    pub fn beside(&self) -> Self {
        let (losses, connects) = (self.losses.clone(), self.connects.clone());
        Self { losses, connects, demotions: self.demotions.clone(), ..Self::new(self.target.clone()) }
    }

    pub fn place(&self) -> &Place {
        &self.target.place
    }

    pub fn target(&self) -> &Target {
        &self.target
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
        let mut broken = false;
        loop {
            match self.attempt(command, deadline).await {
                Err(error) if error.is_connection_dropped() && !broken => broken = true,
                // Keys that a script looks at have gone to another node; the others follow.
                Err(error) if Trouble::of(&error) == Trouble::SlotMoves => {
                    let pause = Duration::from_millis(rand::random_range(AGAIN_MS));
                    if Instant::now() + pause >= deadline {
                        return Err(error);
                    }
                    sleep(pause).await;
                }
                answer => return answer,
            }
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

    /// Lets go of the connection.
    pub fn close(&self) {
        self.state().connection = None;
    }

    async fn attempt(&self, command: &Cmd, deadline: Instant) -> Result<Value, RedisError> {
        counters::REDIS_OPERATIONS.add(1);
        let mut moves = 0;
        loop {
            let losses = self.losses.load(Ordering::Acquire);
            let (generation, mut connection) = self.connection(deadline).await?;
            let answer = timeout_at(deadline, connection.req_packed_command(command))
                .await
                .unwrap_or_else(|_| Err(timed_out("no answer in time")))
                .and_then(Value::extract_error);
            let error = match answer {
                Ok(value) => {
                    self.place().troubles.answered(false, &self.place().shown);
                    let mut state = self.state();
                    state.last_used = Some(Instant::now());
                    state.losses_seen = losses;
                    return Ok(value);
                }
                Err(error) => error,
            };
            if spoils_connection(&error) && self.drop_connection(generation) && is_read_only(&error) {
                self.demotions.fetch_add(1, Ordering::AcqRel);
            }
            // In each of these cases nothing was run.
            let pause = match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved)
                    if moves < MOST_MOVES
                        && self.target.guard().is_some()
                        && self.target.sent_elsewhere(&error) =>
                {
                    moves += 1;
                    continue;
                }
                ErrorKind::Server(
                    ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown,
                ) => Duration::from_millis(rand::random_range(AGAIN_MS)),
                // The sentinels may know of another primary by now.
                ErrorKind::Server(ServerErrorKind::ReadOnly)
                    if matches!(self.target.servers(), RedisServers::Sentinels { .. }) =>
                {
                    Duration::from_millis(rand::random_range(PAUSE_MS))
                }
                _ => return Err(error),
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
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
                return Err(state.last_failure.clone().unwrap_or_else(|| timed_out("no connection in time")));
            }
        }
        let demotions = self.demotions.load(Ordering::Acquire);
        match timeout_at(deadline, self.target.connect()).await {
            Ok(Ok(connection)) => {
                let mut state = self.state();
                state.demotions_seen = demotions;
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
        let mut state = self.state();
        if state.demotions_seen != self.demotions.load(Ordering::Acquire) {
            state.connection = None;
        }
        state.connection.clone().map(|connection| (state.generation, connection))
    }

    fn note_failure(&self, error: RedisError) -> RedisError {
        let mut state = self.state();
        state.pause_until = Some(Instant::now() + Duration::from_millis(rand::random_range(PAUSE_MS)));
        state.connects_seen = self.connects.load(Ordering::Acquire);
        state.last_failure = Some(error.clone());
        error
    }

    /// Whether it was this call that dropped it.
    fn drop_connection(&self, generation: u64) -> bool {
        let mut state = self.state();
        let dropped = state.generation == generation && state.connection.take().is_some();
        if dropped {
            self.losses.fetch_add(1, Ordering::AcqRel);
        }
        dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// How long a call may take that sends this much.
pub(super) fn limit(bytes: usize) -> Duration {
    CALL_LIMIT + Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(SLOWEST_BYTES_PER_SECOND))
}

fn timed_out(why: &'static str) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, why).into()
}
