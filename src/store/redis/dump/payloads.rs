//! Payloads: leased, parked, ready and due later; and which queues are paused.

use std::collections::BTreeMap;

use deadpool_redis::redis::{Value, cmd};

use super::{
    super::{
        Shared,
        queues::Packed,
        reply::{Reply, bytes},
    },
    Piece, Place, Stage,
};
use crate::store::{Item, MAX_PAYLOAD_BYTES, Payload, Queue, StoreError, UnixMs};

pub(super) async fn leased(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
    let from = place.number()?;
    let tokens = range(store, "ZRANGE", &store.keys.leases, from, limit).await?;
    let mut items = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let packed = store.read(cmd("HGET").arg(&store.keys.inflight).arg(token)).await?;
        let Some(packed) = bytes("a dump", packed)? else { continue };
        let lease = Packed::parse(&packed).ok_or_else(|| StoreError::Corrupt {
            what: store.keys.inflight.clone(),
            why: "the entry of a lease is not of our form".to_owned(),
        })?;
        items.push(payload(lease.queue, lease.payload.to_vec(), lease.crashes));
    }
    let more = tokens.len() == limit;
    Ok((items, Place::at(Stage::Leased, from + limit, "").filter(|_| more)))
}

pub(super) async fn parked(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
    let mut reply = Reply::of("a dump", store.read(cmd("HKEYS").arg(&store.keys.parked)).await?)?;
    let mut names = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        names.push(reply.text()?);
    }
    names.sort();
    let Some(name) = names.iter().find(|name| **name >= place.name) else { return Ok((Vec::new(), None)) };
    let from = if *name == place.name { place.number()? } else { 0 };
    let list = format!("{}pf:parked:{name}", store.keys.prefix);
    let entries = range(store, "LRANGE", &list, from, limit).await?;
    let more = entries.len() == limit;
    let items = entries.iter().filter_map(|entry| {
        let mut parts = entry.splitn(3, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
        let (rank, crashes) = (number()?, number()?);
        Some(payload(Queue::from_rank(rank.into())?, parts.next()?.to_vec(), crashes))
    });
    let items = items.collect();
    let next = match more {
        true => Place::at(Stage::Parked, from + limit, name.clone()),
        // Nothing sorts between a name and the same with a zero behind it.
        false => Place::at(Stage::Parked, 0, format!("{name}\0")),
    };
    Ok((items, next))
}

pub(super) async fn ready(
    store: &Shared,
    place: &Place,
    limit: usize,
    left_out: &mut Vec<(String, String)>,
) -> Result<Piece, StoreError> {
    let rank = if place.name.is_empty() { 0 } else { place.name.parse().unwrap_or(0) };
    let Some(queue) = Queue::from_rank(rank) else { return Ok((Vec::new(), None)) };
    let from = place.number()? as i64;
    let list = &store.keys.lists[usize::from(queue.rank())];
    let (first, last) = (-from - limit as i64, -from - 1);
    let value = store.read(cmd("LRANGE").arg(list).arg(first).arg(last)).await?;
    let mut reply = Reply::of("a dump", value)?;
    let mut payloads = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        payloads.push(reply.bytes()?);
    }
    payloads.reverse();
    let next = match payloads.len() == limit {
        true => Place::at(Stage::Ready, from + limit as i64, rank.to_string()),
        false => Place::at(Stage::Ready, 0, (rank + 1).to_string()),
    };
    let crashes = crashes(store, queue, &payloads).await?;
    let mut items = Vec::with_capacity(payloads.len());
    for (bytes, crashes) in payloads.into_iter().zip(crashes) {
        match bytes.len() <= MAX_PAYLOAD_BYTES {
            true => items.push(payload(queue, bytes, crashes)),
            false => left_out.push((
                queue.name().to_owned(),
                format!("a payload has {} bytes, the most is {MAX_PAYLOAD_BYTES}", bytes.len()),
            )),
        }
    }
    Ok((items, next))
}

/// How often each of these has crashed. Equal ones that wait have a stack of counts, of which the top is that
/// of the first to be taken.
async fn crashes(store: &Shared, queue: Queue, payloads: &[Vec<u8>]) -> Result<Vec<u32>, StoreError> {
    if payloads.is_empty() || store.read(cmd("EXISTS").arg(&store.keys.crashes)).await? == Value::Int(0) {
        return Ok(vec![0; payloads.len()]);
    }
    let fields: Vec<String> = payloads
        .iter()
        .map(|payload| format!("{}{}", queue.rank(), sha1_smol::Sha1::from(payload).digest()))
        .collect();
    let mut command = cmd("HMGET");
    command.arg(&store.keys.crashes);
    for field in &fields {
        command.arg(field);
    }
    let mut reply = Reply::of("a dump", store.read(&command).await?)?;
    let mut stacks: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut crashes = Vec::with_capacity(fields.len());
    for field in &fields {
        let stack = reply.optional_bytes()?;
        let left = stacks.entry(field).or_insert_with(|| {
            let text = String::from_utf8(stack.unwrap_or_default()).unwrap_or_default();
            text.split_terminator(',').map(|count| count.parse().unwrap_or(0)).collect()
        });
        crashes.push(left.pop().unwrap_or(0));
    }
    Ok(crashes)
}

pub(super) async fn due(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
    let from = place.number()?;
    let mut command = cmd("ZRANGE");
    command.arg(&store.keys.due).arg(from).arg(from + limit - 1).arg("WITHSCORES");
    let mut reply = Reply::of("a dump", store.read(&command).await?)?;
    let (mut items, mut read) = (Vec::new(), 0);
    while !reply.is_empty() {
        read += 1;
        let (member, due_at): (Vec<u8>, UnixMs) = (reply.bytes()?, reply.number()?);
        // `<number> <rank> <payload>`; what has another form is passed over by a promotion, too.
        let mut parts = member.splitn(3, |byte| *byte == b' ').skip(1);
        let rank = parts.next().and_then(|rank| std::str::from_utf8(rank).ok()?.parse().ok());
        if let (Some(queue), Some(bytes)) = (rank.and_then(Queue::from_rank), parts.next()) {
            let (payload, due_at) = (bytes.to_vec(), Some(due_at));
            items.push(Item::Payload(Payload { queue, payload, crashes: 0, due_at }));
        }
    }
    Ok((items, Place::at(Stage::Due, from + limit, "").filter(|_| read == limit)))
}

pub(super) async fn paused(store: &Shared) -> Result<Piece, StoreError> {
    let mut reply = Reply::of("a dump", store.read(cmd("HKEYS").arg(&store.keys.paused)).await?)?;
    let mut items = Vec::new();
    while !reply.is_empty() {
        items.extend(Queue::from_rank(reply.number()?).map(Item::Paused));
    }
    Ok((items, None))
}

async fn range(
    store: &Shared,
    verb: &str,
    key: &str,
    from: usize,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let value = store.read(cmd(verb).arg(key).arg(from).arg(from + limit - 1)).await?;
    let mut reply = Reply::of("a dump", value)?;
    let mut all = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        all.push(reply.bytes()?);
    }
    Ok(all)
}

fn payload(queue: Queue, payload: Vec<u8>, crashes: u32) -> Item {
    Item::Payload(Payload { queue, payload, crashes, due_at: None })
}
