//! Queues and leases: the verbs that move payloads.

use super::{Shared, ms, reply::Reply, script};
use crate::store::{
    Delivery, LeaseInfo, Promoted, Queue, QueueDepth, Reserve, StoreError, Swept, Token, limits,
};

pub(super) async fn reserve(store: &Shared, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
    limits::check_page("payloads", request.limit)?;
    let [high, normal, low] = &store.keys.lists;
    let keys =
        [high, normal, low, &store.keys.leases, &store.keys.inflight, &store.keys.token, &store.keys.crashes];
    let value = script::RESERVE
        .run(&store.work, &keys, |command| {
            command.arg(request.limit).arg(ms::span(request.lease_ms)).arg(&request.worker);
        })
        .await?;
    let mut reply = Reply::of("reserve", value)?;
    let mut deliveries = Vec::with_capacity(reply.len() / 4);
    while !reply.is_empty() {
        deliveries.push(Delivery {
            token: Token(reply.number()?),
            queue: queue(reply.number()?)?,
            crashes: reply.number()?,
            payload: reply.bytes()?,
        });
    }
    Ok(deliveries)
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
    let value = script::SWEEP.run(&store.work, &keys, |command| _ = command.arg(limit)).await?;
    let mut reply = Reply::of("sweep", value)?;
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
    let keys = [high, normal, low, &store.keys.due];
    let value = script::PROMOTE.run(&store.work, &keys, |command| _ = command.arg(limit)).await?;
    let mut reply = Reply::of("promote", value)?;
    let promoted = Promoted { moved: reply.number()?, next_due: reply.optional_number()?, now: 0 };
    if promoted.moved > 0 {
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
    let keys = [high, normal, low, &store.keys.due, &store.keys.leases];
    let value = script::DEPTH.run(&store.read, &keys, |_| ()).await?;
    let mut reply = Reply::of("depth", value)?;
    Ok(QueueDepth {
        high: reply.number()?,
        normal: reply.number()?,
        low: reply.number()?,
        due: reply.number()?,
        leased: reply.number()?,
        ..QueueDepth::default()
    })
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
