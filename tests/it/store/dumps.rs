//! Dump and restore: what one store keeps another one takes, and is the same.

use std::sync::Arc;

use productforge::{
    clock::SystemClock,
    store::{
        Add, Change, Cursor, IndexName, Item, LeaseEnd, MAX_BATCH, Payload, Queue, Reserve, Store,
        StoreError, Tally,
        sqlite::{Location, SqliteStore},
    },
};

use super::{
    fixtures::*,
    harness::Harness,
    operations::{generate, indexes},
    playing::play,
    redis_harness,
};
use crate::support::redis_server::RedisServer;

on_every_store!(
    an_empty_store_has_nothing_to_dump,
    everything_kept_is_dumped_once,
    what_is_restored_is_dumped_again_as_it_was,
    a_restored_document_leaves_the_indexes_it_stood_in,
    a_restored_payload_is_taken_behind_what_waits_with_its_crashes,
    a_restored_event_keeps_its_id_and_new_ones_come_after_it,
    an_event_is_restored_once,
    events_that_only_their_own_stream_keeps_are_dumped,
    a_restored_life_ends,
    what_breaks_a_limit_is_not_restored,
    what_a_cursor_cannot_be_is_refused,
    what_random_operations_leave_survives_the_way_through_both_engines,
);

/// All of it, in pieces of so many.
pub async fn dump_by(store: &dyn Store, limit: usize) -> Vec<Item> {
    let (mut items, mut after): (Vec<Item>, Option<Cursor>) = (Vec::new(), None);
    for _ in 0..10_000 {
        let piece = store.dump(after, limit).await.unwrap();
        assert_eq!(piece.left_out, []);
        items.extend(piece.items);
        after = piece.next;
        if after.is_none() {
            return items;
        }
    }
    panic!("a dump has no end");
}

/// All of it in a form that can be compared: what has no order in order, and of lives only that there is one.
pub async fn dump(store: &dyn Store, limit: usize) -> Vec<Item> {
    let mut items = dump_by(store, limit).await;
    for item in &mut items {
        match item {
            Item::Document(put) => {
                put.ttl_ms = put.ttl_ms.map(|_| 1);
                put.indexes.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
            }
            Item::Tally(tally) => tally.ttl_ms = tally.ttl_ms.map(|_| 1),
            // How long all are kept is for an engine to say.
            Item::Event { in_all, .. } => *in_all = true,
            Item::Payload(_) | Item::Paused(_) => {}
        }
    }
    let place = |item: &Item| match item {
        Item::Document(put) => (0, put.key.to_string()),
        Item::Payload(payload) => {
            (1, if payload.due_at.is_some() { "due" } else { payload.queue.name() }.to_owned())
        }
        Item::Tally(tally) => (2, tally.name.clone()),
        Item::Event { event, .. } => (3, format!("{:020}", event.id)),
        Item::Paused(queue) => (4, queue.name().to_owned()),
    };
    items.sort_by_key(place);
    items.dedup_by(|one, other| one == other && !matches!(one, Item::Payload(_)));
    items
}

async fn restore(store: &dyn Store, items: &[Item]) {
    for piece in items.chunks(7) {
        store.restore(piece).await.unwrap();
    }
}

/// Something of everything.
async fn fill(store: &dyn Store) {
    for n in 0..25 {
        let put = put(&format!("n{n:02}"), &format!("body {n}")).indexed(n * 1000);
        let put = if n % 2 == 0 { put.index(IndexName::by(NOTE, "agent", "x"), n) } else { put };
        let put = if n % 3 == 0 { put.ttl_ms(3_600_000) } else { put };
        made(store, Change::new().put(put).event("stream", format!("event {n}").into_bytes())).await;
    }
    let due_at = store.now().await.unwrap() + 3_600_000;
    for queue in Queue::ALL {
        let jobs = (0..5).map(|n| job(queue, &format!("{} {n}", queue.name())));
        let change = jobs.fold(Change::new(), Change::enqueue);
        made(store, change.enqueue(job_at(queue, "later", due_at))).await;
    }
    made(store, Change::new().add(Add::new("spent", "tokens", 7)).add(Add::new("spent", "calls", -2))).await;
    made(store, Change::new().add(Add::new("day", "tokens", 1).keep_ms(3_600_000))).await;
    store.pause(Queue::Low, true).await.unwrap();
}

async fn an_empty_store_has_nothing_to_dump(h: &mut dyn Harness) {
    assert_eq!(dump(h.store().as_ref(), 10).await, []);
}

async fn everything_kept_is_dumped_once(h: &mut dyn Harness) {
    let store = h.store();
    let store = store.as_ref();
    fill(store).await;
    // One is leased, one parked, one was returned after a crash.
    let crashed = take_one(store).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(10).await.unwrap();
    assert_eq!(crashed.payload, b"queue_high 0");
    let held = take_for(store, "w", 2, 600_000).await;
    let holder = take_for(store, "w", 1, 600_000).await.remove(0);
    made(store, claiming(holder.token, &[claim("agent", 1)])).await;
    made(store, Change::new().under(held[1].token, LeaseEnd::Park(claim("agent", 1)))).await;
    let all = dump(store, 3).await;
    assert_eq!(all, dump(store, 100).await, "in whatever pieces");
    let count = |what: fn(&Item) -> bool| all.iter().filter(|item| what(item)).count();
    assert_eq!(count(|item| matches!(item, Item::Document(_))), 25);
    assert_eq!(count(|item| matches!(item, Item::Event { .. })), 25);
    assert_eq!(count(|item| matches!(item, Item::Tally(_))), 2);
    assert_eq!(count(|item| *item == Item::Paused(Queue::Low)), 1);
    assert_eq!(count(|item| matches!(item, Item::Payload(payload) if payload.due_at.is_some())), 3);
    assert_eq!(count(|item| matches!(item, Item::Payload(payload) if payload.due_at.is_none())), 15);
    let ready = |queue: Queue| -> Vec<(String, u32)> {
        let payloads = all.iter().filter_map(|item| match item {
            Item::Payload(payload) if payload.due_at.is_none() && payload.queue == queue => Some(payload),
            _ => None,
        });
        payloads.map(|p| (String::from_utf8(p.payload.clone()).unwrap(), p.crashes)).collect()
    };
    let high = ready(Queue::High);
    assert_eq!(high.iter().map(|(_, crashes)| crashes).sum::<u32>(), 1, "{high:?}");
    assert!(high.contains(&("queue_high 0".to_owned(), 1)), "{high:?}");
    let in_front: Vec<_> = high[3..].iter().map(|(payload, _)| payload.as_str()).collect();
    assert_eq!(in_front, ["queue_high 3", "queue_high 4"], "leased and parked ones come first");
    let names: Vec<_> = ready(Queue::Low).into_iter().map(|(payload, _)| payload).collect();
    assert_eq!(names, ["queue_low 0", "queue_low 1", "queue_low 2", "queue_low 3", "queue_low 4"]);
}

async fn what_is_restored_is_dumped_again_as_it_was(h: &mut dyn Harness) {
    let source = SqliteStore::open(Location::Memory, Arc::new(SystemClock)).unwrap();
    fill(&source).await;
    let before = dump(&source, 100).await;
    restore(h.store().as_ref(), &dump_by(&source, 10).await).await;
    let after = dump(h.store().as_ref(), 100).await;
    assert_eq!(after, before);
    let store = h.store();
    assert_eq!(store.count(&all_notes()).await.unwrap(), 25);
    assert_eq!(walk(store.as_ref(), &IndexName::by(NOTE, "agent", "x"), 10).await.len(), 13);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.ready(), depth.due, depth.paused), (15, 3, [false, false, true]));
    assert_eq!(tally(store.as_ref(), "spent").await, fields(&[("calls", -2), ("tokens", 7)]));
    assert_eq!(event_bodies(store.as_ref(), "stream").await.len(), 25);
    assert_eq!(event_bodies(store.as_ref(), "all").await.len(), 25);
}

async fn a_restored_document_leaves_the_indexes_it_stood_in(h: &mut dyn Harness) {
    let store = h.store();
    let (x, y) = (IndexName::by(NOTE, "agent", "x"), IndexName::by(NOTE, "agent", "y"));
    let before = put("a", "1").indexed(1).index(x.clone(), 1);
    made(store.as_ref(), Change::new().put(before)).await;
    let after = put("a", "2").index(y.clone(), 5);
    store.restore(&[Item::Document(after)]).await.unwrap();
    for (index, expected) in [(all_notes(), 0), (x, 0), (y, 1)] {
        assert_eq!(store.count(&index).await.unwrap(), expected, "{}", index.as_str());
    }
    assert_eq!(body(store.as_ref(), "a").await.as_deref(), Some("2"));
}

fn crashed(payload: &str, crashes: u32) -> Item {
    Item::Payload(Payload { queue: Queue::Normal, payload: payload.into(), crashes, due_at: None })
}

async fn a_restored_payload_is_taken_behind_what_waits_with_its_crashes(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(store.as_ref(), &["first"]).await;
    store.restore(&[crashed("second", 2), crashed("third", 0), crashed("second", 1)]).await.unwrap();
    let taken = take(store.as_ref(), 10).await;
    assert_eq!(payloads(&taken), ["first", "second", "third", "second"]);
    let crashes: Vec<u32> = taken.iter().map(|delivery| delivery.crashes).collect();
    assert_eq!(crashes, [0, 2, 0, 1]);
}

async fn a_restored_event_keeps_its_id_and_new_ones_come_after_it(h: &mut dyn Harness) {
    let store = h.store();
    let at = store.now().await.unwrap();
    let event = |id, body: &str| {
        let event = productforge::store::Event { id, stream: "s".to_owned(), at, body: body.into() };
        Item::Event { event, in_all: true }
    };
    let far = 9_000_000_000_000_000;
    store.restore(&[event(41, "a"), event(far, "b")]).await.unwrap();
    let new = made(store.as_ref(), Change::new().event("s", b"c".to_vec())).await.event_ids[0];
    assert!(new > far, "{new}");
    for stream in ["s", "all"] {
        let events = store.events(stream, 0, 10).await.unwrap();
        let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
        assert_eq!((ids, events[0].stream.as_str()), (vec![41, far, new], "s"));
    }
}

async fn an_event_is_restored_once(h: &mut dyn Harness) {
    let store = h.store();
    fill(store.as_ref()).await;
    let events: Vec<Item> = dump(store.as_ref(), 100)
        .await
        .into_iter()
        .filter(|item| matches!(item, Item::Event { .. }))
        .collect();
    restore(store.as_ref(), &events).await;
    assert_eq!(event_bodies(store.as_ref(), "stream").await.len(), 25);
}

async fn events_that_only_their_own_stream_keeps_are_dumped(h: &mut dyn Harness) {
    let store = h.store();
    let tell = |stream: &str, number: usize| {
        let stream = stream.to_owned();
        (0..number)
            .fold(Change::new(), move |change, n| change.event(stream.clone(), format!("{n}").into_bytes()))
    };
    for stream in ["old 1", "old 2"] {
        made(store.as_ref(), tell(stream, 5)).await;
    }
    for _ in 0..103 {
        made(store.as_ref(), tell("busy", MAX_BATCH)).await;
    }
    let before = dump(store.as_ref(), 3).await;
    let server = RedisServer::start();
    let redis = redis_harness::open(&server, "");
    let sqlite = SqliteStore::open(Location::Memory, Arc::new(SystemClock)).unwrap();
    for piece in dump_by(store.as_ref(), 100).await.chunks(MAX_BATCH) {
        redis.restore(piece).await.unwrap();
    }
    for piece in dump_by(redis.as_ref(), 100).await.chunks(MAX_BATCH) {
        sqlite.restore(piece).await.unwrap();
    }
    for copy in [redis.as_ref(), &sqlite as &dyn Store] {
        assert!(dump(copy, 100).await == before, "they differ");
        assert_eq!(event_bodies(copy, "old 1").await, ["0", "1", "2", "3", "4"]);
        let all = copy.events("all", 0, 100).await.unwrap();
        assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}

async fn a_restored_life_ends(h: &mut dyn Harness) {
    let store = h.store();
    let day = Tally { name: "day".to_owned(), ttl_ms: Some(60_000), fields: fields(&[("a", 1)]) };
    let items = [Item::Document(put("a", "1").indexed(1).ttl_ms(60_000)), Item::Tally(day)];
    store.restore(&items).await.unwrap();
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(body(store.as_ref(), "a").await, None);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
    assert_eq!(tally(store.as_ref(), "day").await, fields(&[]));
    assert_eq!(dump(store.as_ref(), 10).await, []);
}

async fn what_breaks_a_limit_is_not_restored(h: &mut dyn Harness) {
    let store = h.store();
    let too_many = vec![crashed("x", 0); MAX_BATCH + 1];
    let too_long = [crashed("fits", 0), crashed(&"x".repeat(2 << 20), 0)];
    for items in [&too_many[..], &too_long] {
        assert!(matches!(store.restore(items).await, Err(StoreError::Invalid(_))));
    }
    for limit in [0, MAX_BATCH + 1] {
        assert!(matches!(store.dump(None, limit).await, Err(StoreError::Invalid(_))));
    }
    assert_eq!(dump(store.as_ref(), 10).await, []);
}

async fn what_a_cursor_cannot_be_is_refused(h: &mut dyn Harness) {
    for cursor in ["", "nonsense", "documents", "leased:x:", "99:0:0", "-1:0:0"] {
        let after = Some(Cursor(cursor.to_owned()));
        let dumped = h.store().dump(after, 10).await;
        assert!(matches!(dumped, Err(StoreError::Invalid(_))), "{cursor}: {dumped:?}");
    }
}

async fn what_random_operations_leave_survives_the_way_through_both_engines(h: &mut dyn Harness) {
    play(h, &generate(11, 400)).await.unwrap();
    let store = h.store();
    let before = dump(store.as_ref(), 100).await;
    let server = RedisServer::start();
    let redis = redis_harness::open(&server, "{copy}:");
    let sqlite = SqliteStore::open(Location::Memory, Arc::new(SystemClock)).unwrap();
    restore(redis.as_ref(), &before).await;
    restore(&sqlite, &dump_by(redis.as_ref(), 9).await).await;
    let after = dump(&sqlite, 100).await;
    assert_eq!(after.len(), before.len());
    let differing: Vec<_> = after.iter().zip(&before).filter(|(after, before)| after != before).collect();
    assert!(differing.is_empty(), "{:#?}", &differing[..differing.len().min(3)]);
    for index in indexes() {
        assert_eq!(walk(&sqlite, &index, 3).await, walk(redis.as_ref(), &index, 4).await);
    }
    let everything = Reserve { worker: "w".into(), limit: 100, lease_ms: 1_000, order: Queue::ALL };
    let taken = |deliveries: Vec<productforge::store::Delivery>| -> Vec<(Vec<u8>, u32)> {
        deliveries.into_iter().map(|delivery| (delivery.payload, delivery.crashes)).collect()
    };
    assert_eq!(
        taken(sqlite.reserve(&everything).await.unwrap()),
        taken(redis.reserve(&everything).await.unwrap())
    );
}
