//! Documents, indexes and events: the verbs that read, and the janitor's.

use deadpool_redis::redis::{Value, cmd};

use super::{
    Shared,
    error::unexpected,
    ms,
    reply::{Reply, bytes, number},
    script,
};
use crate::store::{
    ALL_EVENTS, Cursor, Doc, DocKey, DocPage, Event, IndexName, ListQuery, MAX_BATCH, RETIRED_MS, StoreError,
    limits,
};

pub(super) async fn get(store: &Shared, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
    limits::check_batch("keys", keys.len())?;
    let names: Vec<String> = keys.iter().map(|key| store.keys.document(key)).collect();
    let bodies = match names.as_slice() {
        [] => Vec::new(),
        // By far the most frequent read needs no script to be one moment.
        [name] => vec![store.read(cmd("GET").arg(name)).await?],
        names => match script::GET.run(&store.read, names, |_| ()).await? {
            Value::Array(bodies) => bodies,
            _ => return Err(unexpected("get")),
        },
    };
    keys.iter()
        .zip(bodies)
        .map(|(key, body)| Ok(bytes("get", body)?.map(|body| Doc { key: key.clone(), body })))
        .collect()
}

pub(super) async fn list(store: &Shared, query: &ListQuery) -> Result<DocPage, StoreError> {
    limits::check_page("documents", query.limit)?;
    let after = query.after.as_ref().map(Place::parse).transpose()?;
    // No id comes before the empty one: behind it begins what is older.
    let until = query
        .until
        .filter(|_| !query.oldest_first)
        .map_or_else(String::new, |at| ms::seconds(at.saturating_add(1)));
    let (score, id) = after.as_ref().map_or((until.as_str(), ""), |place| (place.score, place.id));
    let value = script::LIST
        .run(&store.read, &[store.keys.index(&query.index)], |command| {
            let document = format!("{}{}:", store.keys.prefix, query.kind.0);
            command.arg(document).arg(query.limit).arg(score).arg(id);
            command.arg(u8::from(query.oldest_first));
        })
        .await?;
    let mut reply = Reply::of("list", value)?;
    let next = match (reply.optional_bytes()?, reply.optional_bytes()?) {
        (Some(score), Some(id)) => Some(Place::cursor(&score, &id)?),
        _ => None,
    };
    let mut docs = Vec::with_capacity(reply.len() / 2);
    while !reply.is_empty() {
        docs.push(Doc { key: DocKey::new(query.kind, reply.text()?), body: reply.bytes()? });
    }
    Ok(DocPage { docs, next })
}

/// Where a page ended: the score as Redis writes it, which reads back as the very same number also
/// where a legacy time has more digits than milliseconds, and the id.
pub(super) struct Place<'a> {
    pub score: &'a str,
    pub id: &'a str,
}

impl<'a> Place<'a> {
    pub fn parse(cursor: &'a Cursor) -> Result<Self, StoreError> {
        cursor
            .0
            .split_once(' ')
            .filter(|(score, _)| score.parse::<f64>().is_ok_and(f64::is_finite))
            .map(|(score, id)| Self { score, id })
            .ok_or_else(|| StoreError::Invalid("the cursor is not one of this store".to_owned()))
    }

    pub fn cursor(score: &[u8], id: &[u8]) -> Result<Cursor, StoreError> {
        match (std::str::from_utf8(score), std::str::from_utf8(id)) {
            (Ok(score), Ok(id)) => Ok(Cursor(format!("{score} {id}"))),
            _ => Err(unexpected("list")),
        }
    }
}

pub(super) async fn count(store: &Shared, index: &IndexName) -> Result<u64, StoreError> {
    let keys = [&store.keys.index(index), &store.keys.expiring];
    loop {
        let value = script::COUNT.run(&store.read, &keys, |_| ()).await?;
        match number("count", &value)? {
            count @ 0.. => return Ok(count as u64),
            // What has died must not be counted: it goes first, in bounded steps.
            i64::MIN..0 => {
                expire(store, MAX_BATCH).await?;
            }
        }
    }
}

pub(super) async fn expire(store: &Shared, limit: usize) -> Result<bool, StoreError> {
    limits::check_batch("documents", limit)?;
    let keys = [&store.keys.expiring, &store.keys.indexed];
    let value = script::EXPIRE
        .run(&store.work, &keys, |command| _ = command.arg(&store.keys.prefix).arg(limit))
        .await?;
    Ok(number::<u8>("expire", &value)? == 1)
}

pub(super) async fn events(
    store: &Shared,
    stream: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    limits::check_batch("events", limit)?;
    // Redis takes no range that begins after the greatest id there is.
    if limit == 0 || after == u64::MAX {
        return Ok(Vec::new());
    }
    let start = format!("{}-0", after + 1);
    let value = store
        .read(cmd("XRANGE").arg(store.keys.events(stream)).arg(start).arg("+").arg("COUNT").arg(limit))
        .await?;
    read_stream(stream, value)
}

pub(super) async fn newest_event(store: &Shared, stream: &str) -> Result<u64, StoreError> {
    let mut newest = cmd("XREVRANGE");
    newest.arg(store.keys.events(stream)).arg("+").arg("-").arg("COUNT").arg(1);
    let events = read_stream(stream, store.read(&newest).await?)?;
    Ok(events.last().map_or(0, |event| event.id))
}

/// Whoever appends to it gives it its whole life back.
pub(super) async fn retire(store: &Shared, stream: &str) -> Result<(), StoreError> {
    let mut command = cmd("PEXPIRE");
    command.arg(store.keys.events(stream)).arg(RETIRED_MS);
    store.work.send(&command).await.map(|_| ()).map_err(|error| store.work.place().explain(&error))
}

/// The events of a range of a stream.
pub(super) fn read_stream(stream: &str, value: Value) -> Result<Vec<Event>, StoreError> {
    let mut reply = Reply::of("events", value)?;
    let mut events = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut entry = reply.array()?;
        let id = entry.text()?;
        let id =
            id.split_once('-').and_then(|(id, _)| id.parse().ok()).ok_or_else(|| unexpected("events"))?;
        let mut event = Event { id, stream: stream.to_owned(), at: 0, body: Vec::new() };
        let mut fields = entry.array()?;
        while !fields.is_empty() {
            match fields.bytes()?.as_slice() {
                b"t" => event.at = fields.number()?,
                b"s" if stream == ALL_EVENTS => event.stream = fields.text()?,
                b"b" => event.body = fields.bytes()?,
                _ => _ = fields.next()?,
            }
        }
        events.push(event);
    }
    Ok(events)
}
