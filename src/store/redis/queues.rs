//! Queues and leases: the verbs that move payloads.

use std::time::{Duration, Instant};

use deadpool_redis::redis::{Cmd, Value, cmd};

use super::{Shared, keys::Keys, ms, reply::Reply, script};
use crate::store::{
    Delivery, LeaseInfo, Promoted, Queue, QueueDepth, Reserve, StoreError, Swept, Token, UnixMs, limits,
};

pub(super) async fn reserve(store: &Shared, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
    limits::check_page("payloads", request.limit)?;
    let begun = Instant::now();
    Ok(take(store, request, Note::Ignored).await?.deliveries(begun))
}

/// What a `reserve` does with the note of a worker that waits; see `scripts/reserve.lua`.
#[derive(Clone, Copy)]
pub(super) enum Note {
    Ignored,
    /// Left for so long, if nothing was taken.
    Left(Duration),
    Removed,
}

/// What a `reserve` has taken.
pub(super) struct Taken {
    payloads: Vec<Payload>,
    /// The server's time.
    pub at: UnixMs,
    /// Whether something had been taken by the note before.
    pub by_note: bool,
}

struct Payload {
    token: Token,
    queue: Queue,
    crashes: u32,
    bytes: Vec<u8>,
}

impl Taken {
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.payloads.iter().map(|payload| payload.token)
    }

    /// As it goes to the worker; `leased_at` is not after the leases' beginning.
    pub fn deliveries(self, leased_at: Instant) -> Vec<Delivery> {
        let delivery = |Payload { token, queue, crashes, bytes }| Delivery {
            token,
            queue,
            payload: bytes,
            crashes,
            leased_at,
        };
        self.payloads.into_iter().map(delivery).collect()
    }
}

pub(super) async fn take(store: &Shared, request: &Reserve, note: Note) -> Result<Taken, StoreError> {
    let keys = reserve_keys(&store.keys, request);
    let value =
        script::RESERVE.run(&store.work, &keys, |command| reserve_args(command, request, note)).await?;
    let (taken, paused) = read_taken(value)?;
    store.wakeup.passing_over(paused);
    Ok(taken)
}

/// What a connection that waits for a list sends behind its waiting.
pub(super) fn take_by_note(store: &Shared, request: &Reserve) -> Cmd {
    let keys = reserve_keys(&store.keys, request);
    script::PICKUP.command(&store.work, &keys, |command| {
        command
            .arg(ms::span(request.lease_ms))
            .arg(format!(" {} {}", request.worker.len(), request.worker))
            .arg(ranks(request));
    })
}

fn reserve_keys(keys: &Keys, request: &Reserve) -> [String; 9] {
    let [high, normal, low] = keys.lists.clone();
    let wanted = keys.wanted(&request.worker);
    let (leases, inflight, token) = (keys.leases.clone(), keys.inflight.clone(), keys.token.clone());
    [high, normal, low, leases, inflight, token, keys.crashes.clone(), keys.paused.clone(), wanted]
}

fn reserve_args(command: &mut Cmd, request: &Reserve, note: Note) {
    command.arg(request.limit).arg(ms::span(request.lease_ms)).arg(&request.worker).arg(ranks(request));
    match note {
        Note::Ignored => command.arg(""),
        Note::Left(time) => command.arg("wait").arg(time.as_millis() as u64),
        Note::Removed => command.arg("end"),
    };
}

/// The queues to take from, as the scripts read them.
fn ranks(request: &Reserve) -> String {
    request.order.iter().map(|queue| char::from(b'0' + queue.rank())).collect()
}

/// What the script has taken, and which queues are paused.
pub(super) fn read_taken(value: Value) -> Result<(Taken, [bool; 3]), StoreError> {
    let mut reply = Reply::of("reserve", value)?;
    let paused = paused(&reply.text()?);
    let (first, ranks, crashes): (i64, _, _) = (reply.number()?, reply.bytes()?, reply.text()?);
    let at = reply.number()?;
    let mut crashes = crashes.split_terminator(',').map(|number| number.parse().unwrap_or(0));
    let mut payloads = Vec::with_capacity(reply.len());
    for (token, rank) in (first.max(0) as u64..).zip(ranks) {
        payloads.push(Payload {
            token: Token(token),
            queue: queue(i64::from(rank) - i64::from(b'0'))?,
            crashes: crashes.next().unwrap_or(0),
            bytes: reply.bytes()?,
        });
    }
    Ok((Taken { payloads, at, by_note: first < 0 }, paused))
}

/// Which queues a list of ranks names.
fn paused(ranks: &str) -> [bool; 3] {
    [0, 1, 2].map(|rank| ranks.as_bytes().contains(&(b'0' + rank)))
}

pub(super) async fn renew(store: &Shared, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
    limits::check_batch("tokens", tokens.len())?;
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let value = script::RENEW
        .run(&store.work, &[&store.keys.leases], |command| {
            command.arg(ms::span(lease_ms));
            for token in tokens {
                command.arg(token.0);
            }
        })
        .await?;
    let mut reply = Reply::of("renew", value)?;
    tokens.iter().map(|_| Ok(reply.number::<u8>()? == 1)).collect()
}

pub(super) async fn sweep(store: &Shared, limit: usize) -> Result<Vec<Swept>, StoreError> {
    limits::check_batch("leases", limit)?;
    let [high, normal, low] = &store.keys.lists;
    let keys = [high, normal, low, &store.keys.leases, &store.keys.inflight, &store.keys.crashes];
    let value = script::SWEEP.run(&store.work, &keys, |command| {
        command.arg(limit).arg(&store.keys.prefix);
    });
    let mut reply = Reply::of("sweep", value.await?)?;
    let mut swept = Vec::with_capacity(reply.len() / 3);
    while !reply.is_empty() {
        swept.push(Swept { token: Token(reply.number()?), crashes: reply.number()?, worker: reply.text()? });
    }
    if !swept.is_empty() {
        store.wakeup.ring();
    }
    Ok(swept)
}

pub(super) async fn promote(store: &Shared, limit: usize) -> Result<Promoted, StoreError> {
    limits::check_batch("payloads", limit)?;
    let [high, normal, low] = &store.keys.lists;
    let keys = [high, normal, low, &store.keys.due, &store.keys.crashes, &store.keys.parked];
    let value = script::PROMOTE.run(&store.work, &keys, |command| {
        command.arg(limit).arg(&store.keys.prefix);
    });
    let mut reply = Reply::of("promote", value.await?)?;
    let promoted =
        Promoted { moved: reply.number()?, next_due: reply.optional_number()?, now: reply.number()? };
    let unparked: usize = reply.number()?;
    if promoted.moved + unparked > 0 {
        store.wakeup.ring();
    }
    Ok(promoted)
}

pub(super) async fn leases(store: &Shared, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
    limits::check_batch("leases", limit)?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let keys = [&store.keys.leases, &store.keys.inflight];
    let value = script::LEASES.run(&store.read, &keys, |command| _ = command.arg(limit)).await?;
    let mut reply = Reply::of("leases", value)?;
    let mut leases = Vec::with_capacity(reply.len() / 3);
    while !reply.is_empty() {
        let (token, expires_at, packed) = (Token(reply.number()?), reply.number()?, reply.bytes()?);
        let Some(lease) = Packed::parse(&packed) else {
            return Err(StoreError::Corrupt {
                what: store.keys.inflight.clone(),
                why: format!("the entry of lease {token} is not of our form"),
            });
        };
        leases.push(LeaseInfo {
            token,
            worker: String::from_utf8_lossy(lease.worker).into_owned(),
            queue: lease.queue,
            payload: lease.payload.to_vec(),
            crashes: lease.crashes,
            expires_at,
        });
    }
    Ok(leases)
}

pub(super) async fn depth(store: &Shared) -> Result<QueueDepth, StoreError> {
    let [high, normal, low] = &store.keys.lists;
    let keys = &store.keys;
    let keys = [high, normal, low, &keys.due, &keys.leases, &keys.parked_count, &keys.paused];
    let value = script::DEPTH.run(&store.read, &keys, |_| ()).await?;
    let mut reply = Reply::of("depth", value)?;
    Ok(QueueDepth {
        high: reply.number()?,
        normal: reply.number()?,
        low: reply.number()?,
        due: reply.number()?,
        leased: reply.number()?,
        parked: reply.number()?,
        paused: paused(&reply.text()?),
    })
}

pub(super) async fn waiting(store: &Shared, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    limits::check_batch("payloads", limit)?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut command = cmd("LRANGE");
    command.arg(&store.keys.lists[usize::from(queue.rank())]).arg(-(limit as i64)).arg(-1);
    let mut reply = Reply::of("waiting", store.read(&command).await?)?;
    let mut payloads = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        payloads.push(reply.bytes()?);
    }
    payloads.reverse();
    Ok(payloads)
}

pub(super) async fn pause(store: &Shared, queue: Queue, paused: bool) -> Result<(), StoreError> {
    let mut command = cmd(if paused { "HSET" } else { "HDEL" });
    command.arg(&store.keys.paused).arg(queue.rank());
    if paused {
        command.arg(1);
    }
    store.work.send(&command).await.map_err(|error| store.work.place().explain(&error))?;
    if !paused {
        store.wakeup.passing_over([false; 3]);
        store.wakeup.ring();
    }
    Ok(())
}

fn queue(rank: i64) -> Result<Queue, StoreError> {
    Queue::from_rank(rank).ok_or_else(|| StoreError::Corrupt {
        what: "a lease".to_owned(),
        why: format!("there is no queue {rank}"),
    })
}

/// An entry of `pf:inflight`, as `pack_lease` in the scripts writes it.
pub(super) struct Packed<'a> {
    pub queue: Queue,
    pub crashes: u32,
    worker: &'a [u8],
    pub payload: &'a [u8],
}

impl<'a> Packed<'a> {
    pub fn parse(entry: &'a [u8]) -> Option<Self> {
        let mut parts = entry.splitn(4, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
        let (rank, crashes, length) = (number()?, number()?, number()?);
        let (worker, payload) = parts.next()?.split_at_checked(length as usize)?;
        Some(Self { queue: Queue::from_rank(rank.into())?, crashes, worker, payload })
    }
}
