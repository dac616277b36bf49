//! What must hold for whatever stands where Redis should answer.

use std::time::Instant;

use deadpool_redis::redis::{Value, parse_redis_value};

use super::{
    apply, documents, event_watch,
    queues::{self, Packed},
    reply::Reply,
};
use crate::store::{Change, Cursor, DocKey, Kind, StoreError, limits};

/// A reply is taken apart or is an error, and what is taken out of it is in it. The first byte says which reply was
/// expected.
pub fn replies(data: &[u8]) {
    let Some((expected, bytes)) = data.split_first() else { return };
    match expected % 7 {
        0 => packed(bytes),
        1 => place(&String::from_utf8_lossy(bytes)),
        expected => {
            let Ok(value) = parse_redis_value(bytes) else { return };
            reply(expected, value, bytes.len());
        }
    }
}

fn reply(expected: u8, value: Value, size: usize) {
    match expected {
        2 => {
            let Ok(events) = documents::read_stream("a stream", value) else { return };
            assert!(events.len() <= size && events.iter().all(|event| event.stream == "a stream"));
        }
        3 => {
            let Ok((taken, _)) = queues::read_taken(value) else { return };
            let taken = taken.deliveries(Instant::now());
            assert!(taken.len() <= size);
            let in_a_row = taken.windows(2).all(|pair| pair[1].token.0 == pair[0].token.0 + 1);
            assert!(in_a_row, "leases with gaps");
        }
        4 => {
            let Ok(entries) = event_watch::streams(value) else { return };
            assert!(entries.len() <= size);
        }
        5 => {
            let change = Change::new().expect(DocKey::new(Kind("agent"), "a"), None);
            let Ok(mut reply) = Reply::of("apply", value) else { return };
            if let Ok(Ok(applied)) = apply::read(&change, &mut reply) {
                assert_eq!(applied.event_ids.len(), change.events.len());
            }
        }
        _ => {
            let Ok(mut reply) = Reply::of("anything", value) else { return };
            let mut left = reply.len();
            while !reply.is_empty() {
                match left % 4 {
                    0 => _ = reply.optional_number::<u32>(),
                    1 => _ = reply.text(),
                    2 => _ = reply.optional_bytes(),
                    _ => _ = reply.array(),
                }
                left -= 1;
                assert_eq!(reply.len(), left, "an item is taken once");
            }
            assert!(reply.number::<u64>().is_err(), "there is nothing left");
        }
    }
}

/// The entry of a lease.
fn packed(entry: &[u8]) {
    if let Some(lease) = Packed::parse(entry) {
        assert!(entry.ends_with(lease.payload) && lease.payload.len() < entry.len());
    }
}

/// The place where a page ended.
fn place(text: &str) {
    let cursor = Cursor(text.to_owned());
    match documents::Place::parse(&cursor) {
        Ok(place) => {
            let again = documents::Place::cursor(place.score.as_bytes(), place.id.as_bytes());
            assert_eq!(again.ok(), Some(cursor.clone()));
        }
        Err(error) => assert!(matches!(error, StoreError::Invalid(_)), "{error}"),
    }
    let _ = limits::check_batch("keys", text.len());
}
