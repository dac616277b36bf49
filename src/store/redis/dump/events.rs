//! Events: those that are in their own streams only, then those of all.

use deadpool_redis::redis::cmd;

use super::{
    super::{Shared, documents::read_stream},
    Piece, Place, Stage,
    documents::{behind, scan},
};
use crate::store::{ALL_EVENTS, Event, Item, StoreError};

/// Events that have been dropped from the stream of all and are kept in their own.
pub(super) async fn streams(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
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

pub(super) async fn events(store: &Shared, place: &Place, limit: usize) -> Result<Piece, StoreError> {
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
    read_stream(stream, store.read(&command).await?)
}
