//! Events: an ordered log, by stream and over all of them.

use productforge::store::{ALL_EVENTS, Change, EVENT_RETENTION_MS, MAX_EVENTS_PER_STREAM, RETIRED_MS, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_stream_that_was_never_written_is_empty,
    events_come_in_the_order_they_were_appended,
    the_ids_answered_are_the_ids_read,
    an_event_reads_the_same_from_its_stream_and_from_all,
    streams_do_not_meet,
    reading_goes_on_after_an_id,
    reading_is_bounded,
    the_newest_event_of_a_stream_is_known,
    an_event_body_is_opaque_bytes,
    an_event_carries_the_time_of_its_change,
    a_stream_keeps_at_least_its_newest_events,
    a_stream_is_dropped_a_week_after_its_last_event_or_an_hour_after_it_was_retired,
);

async fn a_stream_that_was_never_written_is_empty(h: &mut dyn Harness) {
    let store = h.store();
    assert!(store.events("run", 0, 100).await.unwrap().is_empty());
    assert!(store.events(ALL_EVENTS, 0, 100).await.unwrap().is_empty());
}

async fn events_come_in_the_order_they_were_appended(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().event("run", b"1".to_vec()).event("run", b"2".to_vec())).await;
    made(&*store, Change::new().event("run", b"3".to_vec())).await;
    assert_eq!(event_bodies(&*store, "run").await, ["1", "2", "3"]);
    let events = store.events("run", 0, 100).await.unwrap();
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id), "{events:?}");
}

async fn the_ids_answered_are_the_ids_read(h: &mut dyn Harness) {
    let store = h.store();
    let change = Change::new().event("a", b"1".to_vec()).event("b", b"2".to_vec()).event("a", b"3".to_vec());
    let ids = made(&*store, change).await.event_ids;
    assert_eq!(ids.len(), 3);
    let read = async |stream: &str| -> Vec<u64> {
        store.events(stream, 0, 100).await.unwrap().iter().map(|event| event.id).collect()
    };
    assert_eq!(read(ALL_EVENTS).await, ids);
    assert_eq!(read("a").await, [ids[0], ids[2]]);
    assert_eq!(read("b").await, [ids[1]]);
}

async fn an_event_reads_the_same_from_its_stream_and_from_all(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().event("run", b"1".to_vec())).await;
    let own = store.events("run", 0, 100).await.unwrap();
    assert_eq!(own[0].stream, "run");
    assert_eq!(store.events(ALL_EVENTS, 0, 100).await.unwrap(), own);
}

async fn streams_do_not_meet(h: &mut dyn Harness) {
    let store = h.store();
    for stream in ["a", "b", "a:b", "ab", "a"] {
        made(&*store, Change::new().event(stream, stream.as_bytes().to_vec())).await;
    }
    assert_eq!(event_bodies(&*store, "a").await, ["a", "a"]);
    assert_eq!(event_bodies(&*store, "a:b").await, ["a:b"]);
    assert_eq!(event_bodies(&*store, ALL_EVENTS).await, ["a", "b", "a:b", "ab", "a"]);
}

async fn the_newest_event_of_a_stream_is_known(h: &mut dyn Harness) {
    let store = h.store();
    assert_eq!(store.newest_event("a").await.unwrap(), 0);
    assert_eq!(store.newest_event(ALL_EVENTS).await.unwrap(), 0);
    let change = Change::new().event("a", b"1".to_vec()).event("b", b"2".to_vec());
    let ids = made(&*store, change).await.event_ids;
    assert_eq!(store.newest_event("a").await.unwrap(), ids[0]);
    assert_eq!(store.newest_event("b").await.unwrap(), ids[1]);
    assert_eq!(store.newest_event(ALL_EVENTS).await.unwrap(), ids[1]);
    assert!(store.events(ALL_EVENTS, ids[1], 10).await.unwrap().is_empty(), "nothing is newer");
}

async fn reading_goes_on_after_an_id(h: &mut dyn Harness) {
    let store = h.store();
    let mut ids = Vec::new();
    for n in 0..6 {
        let stream = if n % 2 == 0 { "even" } else { "odd" };
        ids.extend(made(&*store, Change::new().event(stream, n.to_string().into_bytes())).await.event_ids);
    }
    let after = async |stream: &str, after: u64| -> Vec<u64> {
        store.events(stream, after, 100).await.unwrap().iter().map(|event| event.id).collect()
    };
    assert_eq!(after("even", ids[0]).await, [ids[2], ids[4]]);
    // An id of another stream marks the place just as well.
    assert_eq!(after("even", ids[1]).await, [ids[2], ids[4]]);
    assert_eq!(after(ALL_EVENTS, ids[3]).await, [ids[4], ids[5]]);
    assert!(after(ALL_EVENTS, ids[5]).await.is_empty());
    assert!(after(ALL_EVENTS, u64::MAX).await.is_empty());
}

async fn reading_is_bounded(h: &mut dyn Harness) {
    let store = h.store();
    let change = (0..10).fold(Change::new(), |change, n| change.event("run", vec![b'0' + n]));
    let ids = made(&*store, change).await.event_ids;
    let mut read = Vec::new();
    loop {
        let after = read.last().copied().unwrap_or(0);
        let part = store.events("run", after, 3).await.unwrap();
        assert!(part.len() <= 3);
        if part.is_empty() {
            break;
        }
        read.extend(part.iter().map(|event| event.id));
    }
    assert_eq!(read, ids);
}

async fn an_event_body_is_opaque_bytes(h: &mut dyn Harness) {
    let store = h.store();
    let bytes: Vec<u8> = (0..=255).collect();
    made(&*store, Change::new().event("run", bytes.clone()).event("run", Vec::new())).await;
    let events = store.events("run", 0, 100).await.unwrap();
    assert_eq!((&events[0].body, &events[1].body), (&bytes, &Vec::new()));
}

async fn an_event_carries_the_time_of_its_change(h: &mut dyn Harness) {
    let store = h.store();
    let before = store.now().await.unwrap();
    made(&*store, Change::new().event("run", b"1".to_vec())).await;
    let after = store.now().await.unwrap();
    let at = store.events("run", 0, 100).await.unwrap()[0].at;
    assert!((before..=after).contains(&at), "{at} is not in {before}..={after}");
}

async fn a_stream_keeps_at_least_its_newest_events(h: &mut dyn Harness) {
    let store = h.store();
    let mut ids = made(&*store, Change::new().event("quiet", b"first of all".to_vec())).await.event_ids;
    for _ in 0..MAX_EVENTS_PER_STREAM / 100 + 5 {
        let change = (0..100).fold(Change::new(), |change, _| change.event("busy", b"{}".to_vec()));
        ids.extend(made(&*store, change).await.event_ids);
    }
    while store.expire(100).await.unwrap() {}
    for stream in ["busy", ALL_EVENTS] {
        let mut kept = Vec::new();
        loop {
            let after = kept.last().copied().unwrap_or(0);
            let part = store.events(stream, after, 100).await.unwrap();
            kept.extend(part.iter().map(|event| event.id));
            if part.is_empty() {
                break;
            }
        }
        assert!(kept.len() >= MAX_EVENTS_PER_STREAM, "{stream} kept only {}", kept.len());
        assert!(ids.ends_with(&kept[kept.len() - MAX_EVENTS_PER_STREAM..]), "{stream} has a hole");
    }
    assert_eq!(event_bodies(&*store, "quiet").await, ["first of all"], "another stream's noise took it");
}

async fn a_stream_is_dropped_a_week_after_its_last_event_or_an_hour_after_it_was_retired(
    h: &mut dyn Harness,
) {
    let store = h.store();
    let append = async |stream: &str| {
        made(&*store, Change::new().event(stream, stream.as_bytes().to_vec())).await;
    };
    for stream in ["stays", "gone", "goes on", "gone later"] {
        append(stream).await;
    }
    for stream in ["gone", "goes on", "never there"] {
        store.retire(stream).await.unwrap();
    }
    append("goes on").await;
    // Enough that the newest events of all do not need those.
    for _ in 0..MAX_EVENTS_PER_STREAM / 100 + 5 {
        made(&*store, (0..100).fold(Change::new(), |change, _| change.event("busy", b"{}".to_vec()))).await;
    }
    // It says itself whether more is left, however much that is.
    let swept = async |store: &dyn Store| while store.expire(100).await.unwrap() {};
    h.age(RETIRED_MS - 60_000).await;
    swept(&*store).await;
    assert_eq!(event_bodies(&*store, "gone").await, ["gone"], "its viewers have an hour");
    store.retire("gone later").await.unwrap();
    h.age(120_000).await;
    swept(&*store).await;
    assert!(event_bodies(&*store, "gone").await.is_empty());
    assert_eq!(store.newest_event("gone").await.unwrap(), 0);
    assert_eq!(event_bodies(&*store, "goes on").await, ["goes on", "goes on"]);
    assert_eq!(event_bodies(&*store, "gone later").await, ["gone later"]);
    append("gone").await;
    assert_eq!(event_bodies(&*store, "gone").await, ["gone"], "it begins anew");
    h.age(RETIRED_MS).await;
    swept(&*store).await;
    assert!(event_bodies(&*store, "gone later").await.is_empty());
    assert_eq!(event_bodies(&*store, "gone").await, ["gone"]);
    assert_eq!(event_bodies(&*store, "stays").await, ["stays"]);
    h.age(EVENT_RETENTION_MS).await;
    swept(&*store).await;
    assert!(event_bodies(&*store, "stays").await.is_empty());
    assert_eq!(store.newest_event("busy").await.unwrap(), 0, "thousands at once");
}
