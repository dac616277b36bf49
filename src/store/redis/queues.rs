//! Queues and leases: the verbs that move payloads.

use deadpool_redis::redis::cmd;

use super::{Shared, ms, reply::Reply, script};
use crate::store::{
    Delivery, LeaseInfo, Promoted, Queue, QueueDepth, Reserve, StoreError, Swept, Token, limits,
};

pub(super) async fn reserve(store: &Shared, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
    limits::check_page("payloads", request.limit)?;
    let [high, normal, low] = &store.keys.lists;
    let keys = &store.keys;
    let keys = [high, normal, low, &keys.leases, &keys.inflight, &keys.token, &keys.crashes, &keys.paused];
    let order: String = request.order.iter().map(|queue| char::from(b'0' + queue.rank())).collect();
    let value = script::RESERVE
        .run(&store.work, &keys, |command| {
            command.arg(request.limit).arg(ms::span(request.lease_ms)).arg(&request.worker).arg(&order);
        })
        .await?;
    let mut reply = Reply::of("reserve", value)?;
    store.wakeup.passing_over(paused(&reply.text()?));
    let (first, ranks, crashes): (u64, _, _) = (reply.number()?, reply.bytes()?, reply.text()?);
    let mut crashes = crashes.split_terminator(',').map(|number| number.parse().unwrap_or(0));
    let mut deliveries = Vec::with_capacity(reply.len());
    for (token, rank) in (first..).zip(ranks) {
        deliveries.push(Delivery {
            token: Token(token),
            queue: queue(i64::from(rank) - i64::from(b'0'))?,
            crashes: crashes.next().unwrap_or(0),
            payload: reply.bytes()?,
        });
    }
    Ok(deliveries)
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
struct Packed<'a> {
    queue: Queue,
    crashes: u32,
    worker: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packed<'a> {
    fn parse(entry: &'a [u8]) -> Option<Self> {
        let mut parts = entry.splitn(4, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
        let (rank, crashes, length) = (number()?, number()?, number()?);
        let (worker, payload) = parts.next()?.split_at_checked(length as usize)?;
        Some(Self { queue: Queue::from_rank(rank.into())?, crashes, worker, payload })
    }
}
