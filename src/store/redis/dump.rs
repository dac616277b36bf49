//! Giving all that is kept, piece by piece. For a store at rest: each piece is several commands.

use std::collections::BTreeMap;

use deadpool_redis::redis::{Value, cmd};

use super::{
    Shared,
    error::unexpected,
    queues::Packed,
    reply::{Reply, bytes},
    script,
};
use crate::store::{
    ALL_EVENTS, Cursor, DocKey, Dump, Event, IndexName, Item, Kind, MAX_DOCUMENT_BYTES, MAX_PAYLOAD_BYTES,
    Payload, Put, Queue, StoreError, Tally, UnixMs, dump::PIECE_BYTES, limits,
};

/// Where a walk is: in which part of the store, at which step of it, and behind which name there.
struct Place {
    stage: Stage,
    step: String,
    name: String,
}

/// What is given, in this order.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// step: cursor of `SCAN`, name: the last key given of what that step shows, in order of names.
    Documents,
    /// step: how many were given.
    Leased,
    /// step: how many were given of the claim of this name.
    Parked,
    /// step: how many were given, name: rank of the queue.
    Ready,
    Due,
    Tallies,
    /// Events that are in their own streams only. step: `cursor.id`, name: stream.
    Streams,
    /// step: the last id.
    Events,
    Paused,
}

const STAGES: [(&str, Stage); 9] = [
    ("documents", Stage::Documents),
    ("leased", Stage::Leased),
    ("parked", Stage::Parked),
    ("ready", Stage::Ready),
    ("due", Stage::Due),
    ("tallies", Stage::Tallies),
    ("streams", Stage::Streams),
    ("events", Stage::Events),
    ("paused", Stage::Paused),
];

impl Place {
    fn parse(cursor: &Cursor) -> Result<Self, StoreError> {
        let mut parts = cursor.0.splitn(3, ':');
        let parsed = (|| {
            let word = parts.next()?;
            let (_, stage) = *STAGES.iter().find(|(name, _)| *name == word)?;
            Some(Self { stage, step: parts.next()?.to_owned(), name: parts.next()?.to_owned() })
        })();
        parsed.ok_or_else(|| StoreError::Invalid("the cursor is not one of this store".to_owned()))
    }

    fn beginning_of(stage: Stage) -> Self {
        Self { stage, step: "0".to_owned(), name: String::new() }
    }

    fn at(stage: Stage, step: impl ToString, name: impl Into<String>) -> Option<Self> {
        Some(Self { stage, step: step.to_string(), name: name.into() })
    }

    fn cursor(&self) -> Cursor {
        let word = STAGES.iter().find(|(_, stage)| *stage == self.stage).map_or("", |(word, _)| word);
        Cursor(format!("{word}:{}:{}", self.step, self.name))
    }

    /// The step as a number.
    fn number(&self) -> Result<usize, StoreError> {
        self.step.parse().map_err(|_| StoreError::Invalid("the cursor is not one of this store".to_owned()))
    }

    /// The stage behind this one.
    fn next_stage(&self) -> Option<Self> {
        let at = STAGES.iter().position(|(_, stage)| *stage == self.stage)?;
        STAGES.get(at + 1).map(|(_, stage)| Self::beginning_of(*stage))
    }
}

/// What a stage gives at once, and where it goes on; nothing at its end.
type Piece = (Vec<Item>, Option<Place>);

pub(super) async fn dump(store: &Shared, after: Option<&Cursor>, limit: usize) -> Result<Dump, StoreError> {
    limits::check_page("items of a dump", limit)?;
    let mut place = match after {
        Some(cursor) => Place::parse(cursor)?,
        None => Place::beginning_of(Stage::Documents),
    };
    let mut left_out = Vec::new();
    loop {
        let (items, next) = match place.stage {
            Stage::Documents => documents(store, &place, &mut left_out).await?,
            Stage::Leased => leased(store, &place, limit).await?,
            Stage::Parked => parked(store, &place, limit).await?,
            Stage::Ready => ready(store, &place, limit, &mut left_out).await?,
            Stage::Due => due(store, &place, limit).await?,
            Stage::Tallies => tallies(store, &place).await?,
            Stage::Streams => streams(store, &place, limit).await?,
            Stage::Events => events(store, &place, limit).await?,
            Stage::Paused => paused(store).await?,
        };
        let next = next.or_else(|| place.next_stage());
        match next {
            // A step that had nothing to give.
            Some(next) if items.is_empty() && left_out.is_empty() => place = next,
            next => return Ok(Dump { items, left_out, next: next.map(|next| next.cursor()) }),
        }
    }
}

/// A step of `SCAN`: the next one's cursor, and its keys behind the prefix, in order, those after `name`.
async fn scan(
    store: &Shared,
    step: &str,
    under: &str,
    name: &str,
) -> Result<(String, Vec<Vec<u8>>), StoreError> {
    let pattern = format!("{}{under}*", escaped(&store.keys.prefix));
    let value = script::DUMP_KEYS
        .run(&store.read, &[&store.keys.indexed], |command| _ = command.arg(step).arg(&pattern))
        .await?;
    let mut reply = Reply::of("a walk", value)?;
    let next = reply.text()?;
    let mut keys = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let key = reply.bytes()?;
        keys.extend(key.strip_prefix(store.keys.prefix.as_bytes()).map(<[u8]>::to_vec));
    }
    keys.sort();
    keys.dedup();
    keys.retain(|key| key.as_slice() > name.as_bytes());
    Ok((next, keys))
}

/// A prefix as part of a pattern: what means something there means itself.
fn escaped(prefix: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    prefix.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The place behind a step of `SCAN`, if there is one.
fn behind(stage: Stage, next: &str) -> Option<Place> {
    if next == "0" { None } else { Place::at(stage, next, "") }
}

/// The document that a key is of.
fn document_key(key: &[u8], left_out: &mut Vec<(String, String)>) -> Option<DocKey> {
    let shown = String::from_utf8_lossy(key).into_owned();
    if key.starts_with(b"pf:") {
        if key.starts_with(b"pf:adopted:") {
            left_out.push((shown, "it is what an adopted document was made from".to_owned()));
        }
        return None;
    }
    let colon = key.iter().position(|byte| *byte == b':')?;
    let kind = Kind::named(std::str::from_utf8(&key[..colon]).ok()?).ok()?;
    match std::str::from_utf8(&key[colon + 1..]) {
        Ok(id) => Some(DocKey::new(kind, id)),
        Err(_) => {
            left_out.push((shown, "its name is not UTF-8".to_owned()));
            None
        }
    }
}

async fn documents(
    store: &Shared,
    place: &Place,
    left_out: &mut Vec<(String, String)>,
) -> Result<Piece, StoreError> {
    let (next, found) = scan(store, &place.step, "", &place.name).await?;
    let keys: Vec<DocKey> = found.iter().filter_map(|key| document_key(key, left_out)).collect();
    let names: Vec<String> = std::iter::once(store.keys.indexed.clone())
        .chain(keys.iter().map(|key| store.keys.document(key)))
        .collect();
    let value = script::DUMP_DOCUMENTS
        .run(&store.read, &names, |command| {
            command.arg(PIECE_BYTES).arg(MAX_DOCUMENT_BYTES);
            for key in &keys {
                command.arg(store.keys.index(&IndexName::all(key.kind))).arg(&key.id);
            }
        })
        .await?;
    let mut reply = Reply::of("a dump", value)?;
    let mut items = Vec::with_capacity(keys.len());
    let mut last = None;
    for key in &keys {
        if reply.is_empty() {
            // It was enough: the rest of this step comes with the next piece.
            let last: Option<&DocKey> = last;
            let last = last.map(ToString::to_string).unwrap_or_default();
            return Ok((items, Place::at(Stage::Documents, &place.step, last)));
        }
        last = Some(key);
        let mut document = reply.array()?;
        let (kind, length): (String, usize) = (document.text()?, document.number()?);
        let life: i64 = document.number()?;
        match document.optional_bytes()? {
            Some(body) => {
                let mut put = Put::raw(key.clone(), body);
                put.ttl_ms = u64::try_from(life).ok().map(|left| left.max(1));
                while !document.is_empty() {
                    let index = document.text()?;
                    let at = milliseconds(&document.text()?)?;
                    let index = index.strip_prefix(&store.keys.prefix).unwrap_or(&index).to_owned();
                    let index = IndexName::named(index);
                    // An index that a put named twice is noted twice.
                    if put.indexes.iter().all(|(other, _)| *other != index) {
                        put.indexes.push((index, at));
                    }
                }
                items.push(Item::Document(put));
            }
            None if kind == "none" => {}
            // A narrower index: it is given with the documents that stand in it.
            None if kind == "zset" && key.kind.0.contains("s_by_") => {}
            None if kind == "string" => {
                left_out.push((
                    key.to_string(),
                    format!("it has {length} bytes, the most is {MAX_DOCUMENT_BYTES}"),
                ));
            }
            None => left_out.push((key.to_string(), format!("it is a {kind}, not a document"))),
        }
    }
    Ok((items, behind(Stage::Documents, &next)))
}

/// A score of an index, in seconds.
fn milliseconds(score: &str) -> Result<UnixMs, StoreError> {
    let seconds: f64 = score.parse().map_err(|_| unexpected("a dump"))?;
    Ok((seconds * 1000.0).round() as UnixMs)
}

async fn leased(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
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

async fn parked(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
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

async fn ready(
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

async fn due(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
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

async fn tallies(store: &Shared, place: &Place) -> Result<Piece, StoreError> {
    let (next, keys) = scan(store, &place.step, "pf:tally:", "").await?;
    let names: Vec<String> = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
    let keys: Vec<String> = names.iter().map(|name| format!("{}{name}", store.keys.prefix)).collect();
    let mut reply = Reply::of("a dump", script::DUMP_TALLIES.run(&store.read, &keys, |_| ()).await?)?;
    let mut items = Vec::with_capacity(names.len());
    for name in &names {
        let mut tally = reply.array()?;
        let life: i64 = tally.number()?;
        if life == -2 {
            continue;
        }
        let mut fields = BTreeMap::new();
        while !tally.is_empty() {
            fields.insert(tally.text()?, tally.number()?);
        }
        let name = name.strip_prefix("pf:tally:").unwrap_or(name).to_owned();
        let ttl_ms = u64::try_from(life).ok().map(|left| left.max(1));
        items.push(Item::Tally(Tally { name, ttl_ms, fields }));
    }
    Ok((items, behind(Stage::Tallies, &next)))
}

/// Events that have been dropped from the stream of all and are kept in their own.
async fn streams(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
    let (step, id) = place.step.split_once('.').unwrap_or((&place.step, "0"));
    let mut after: u64 = id.parse().unwrap_or(0);
    let oldest = read_events(store, ALL_EVENTS, "0", "+", 1).await?;
    let end = oldest.first().map_or_else(|| "+".to_owned(), |event| format!("({}-0", event.id));
    let (next, mut keys) = scan(store, step, "pf:events:", &place.name).await?;
    if after > 0 {
        // The stream in the middle of which the last piece ended.
        keys.insert(0, place.name.as_bytes().to_vec());
    }
    let mut items = Vec::new();
    for key in keys {
        let Ok(name) = String::from_utf8(key) else { continue };
        let stream = name.strip_prefix("pf:events:").unwrap_or(&name);
        if stream == ALL_EVENTS {
            after = 0;
            continue;
        }
        let wanted = limit - items.len();
        let events = read_events(store, stream, &format!("({after}-0"), &end, wanted).await?;
        let full = events.len() == wanted;
        let last = events.last().map(|event| event.id);
        items.extend(events.into_iter().map(|event| Item::Event { event, in_all: false }));
        after = 0;
        if let Some(last) = last.filter(|_| full) {
            return Ok((items, Place::at(Stage::Streams, format!("{step}.{last}"), name)));
        }
    }
    Ok((items, behind(Stage::Streams, &next)))
}

async fn events(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
    let after = &place.step;
    let found = read_events(store, ALL_EVENTS, &format!("({after}-0"), "+", limit).await?;
    let last = found.last().map(|event| event.id).filter(|_| found.len() == limit);
    let items = found.into_iter().map(|event| Item::Event { event, in_all: true }).collect();
    Ok((items, last.and_then(|last| Place::at(Stage::Events, last, ""))))
}

async fn read_events(
    store: &Shared,
    stream: &str,
    from: &str,
    to: &str,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let mut command = cmd("XRANGE");
    command.arg(store.keys.events(stream)).arg(from).arg(to).arg("COUNT").arg(limit);
    super::documents::read_stream(stream, store.read(&command).await?)
}

async fn paused(store: &Shared) -> Result<Piece, StoreError> {
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
