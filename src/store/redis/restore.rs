//! Taking what was dumped.

use deadpool_redis::redis::{Cmd, Value};

use super::{Shared, error::unexpected, keys::Keys, ms, reply::Reply, script};
use crate::store::{EVENT_RETENTION_MS, IndexName, Item, MAX_EVENTS_PER_STREAM, StoreError, limits};

pub(super) async fn restore(store: &Shared, items: &[Item]) -> Result<(), StoreError> {
    limits::check_items(items)?;
    if items.is_empty() {
        return Ok(());
    }
    let [high, normal, low] = &store.keys.lists;
    let keys = &store.keys;
    let names = [
        high,
        normal,
        low,
        &keys.crashes,
        &keys.due,
        &keys.token,
        &keys.event_id,
        &keys.expiring,
        &keys.indexed,
        &keys.all_events,
        &keys.paused,
    ];
    store.work.freshen().await.map_err(|error| store.work.place().explain(&error))?;
    let value = script::RESTORE.run(&store.work, &names, |command| {
        command.arg(&keys.prefix).arg(MAX_EVENTS_PER_STREAM).arg(EVENT_RETENTION_MS);
        for item in items {
            write(command, item, keys);
        }
    });
    match value.await? {
        Value::Int(1) => {}
        misfit @ Value::Array(_) => {
            let mut misfit = Reply::of("restore", misfit)?;
            return Err(StoreError::Corrupt { what: misfit.text()?, why: misfit.text()? });
        }
        _ => return Err(unexpected("restore")),
    }
    store.wakeup.ring();
    Ok(())
}

/// As `scripts/restore.lua` reads it.
fn write(command: &mut Cmd, item: &Item, keys: &Keys) {
    let life = |ttl_ms: Option<u64>| ttl_ms.map_or(String::new(), |ttl| ms::span(ttl.max(1)).to_string());
    match item {
        Item::Document(put) => {
            // Of an index that is named twice the last time counts, as it does for a put.
            command.arg(6 + 2 * put.indexes.len()).arg("d").arg(keys.document(&put.key));
            command.arg(life(put.ttl_ms)).arg(&put.key.id);
            command.arg(keys.index(&IndexName::all(put.key.kind))).arg(&put.body);
            for (index, at) in &put.indexes {
                command.arg(keys.index(index)).arg(ms::seconds(*at));
            }
        }
        Item::Payload(payload) => match payload.due_at {
            None => {
                command.arg(4).arg("p").arg(payload.queue.rank()).arg(payload.crashes).arg(&payload.payload);
            }
            Some(due_at) => {
                command
                    .arg(4)
                    .arg("l")
                    .arg(ms::point(due_at))
                    .arg(payload.queue.rank())
                    .arg(&payload.payload);
            }
        },
        Item::Tally(tally) => {
            command.arg(3 + 2 * tally.fields.len()).arg("t").arg(keys.tally(&tally.name));
            command.arg(life(tally.ttl_ms));
            for (field, value) in &tally.fields {
                command.arg(field).arg(value);
            }
        }
        Item::Event { event, in_all } => {
            command.arg(6).arg("e").arg(&event.stream).arg(event.id).arg(event.at);
            command.arg(u8::from(*in_all)).arg(&event.body);
        }
        Item::Paused(queue) => {
            command.arg(2).arg("x").arg(queue.rank());
        }
    }
}
