//! Documents and tallies: what is found by walking through the keys.

use std::collections::BTreeMap;

use super::{
    super::{Shared, error::unexpected, reply::Reply, script},
    Piece, Place, Stage,
};
use crate::store::{
    DocKey, IndexName, Item, Kind, MAX_DOCUMENT_BYTES, Put, StoreError, Tally, UnixMs, dump::PIECE_BYTES,
};

/// A step of `SCAN`: the next one's cursor, and its keys behind the prefix, in order, those after `name`.
pub(super) async fn scan(
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
pub(super) fn behind(stage: Stage, next: &str) -> Option<Place> {
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

pub(super) async fn documents(
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

pub(super) async fn tallies(store: &Shared, place: &Place) -> Result<Piece, StoreError> {
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
