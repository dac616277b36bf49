//! Waiting for the events of a stream: no event is slept through.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use productforge::store::{ALL_EVENTS, Change, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_wait_for_an_event_that_is_there_returns_at_once,
    a_wait_ends_after_the_longest_time,
    a_wait_does_not_spin_while_other_streams_are_silent,
    an_event_wakes_who_waits_for_its_stream,
    every_event_wakes_who_waits_for_all_of_them,
    an_event_wakes_everybody_who_waits,
    no_event_is_slept_through_in_a_race,
);

/// Far longer than any test should take; a waiter that sleeps it out was not woken.
const LONG: Duration = Duration::from_secs(60);
/// What "soon" may cost on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Reads a stream from `after` on until it has `number` more events, waiting for each.
async fn follow(store: Arc<dyn Store>, stream: &str, mut after: u64, number: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < number {
        store.wait_for_events(stream, after, LONG).await;
        for event in store.events(stream, after, 100).await.unwrap() {
            after = event.id;
            bodies.push(String::from_utf8(event.body).unwrap());
        }
    }
    bodies
}

async fn append(store: &dyn Store, stream: &str, body: &str) -> u64 {
    made(store, Change::new().event(stream, body.into())).await.event_ids[0]
}

async fn a_wait_for_an_event_that_is_there_returns_at_once(h: &mut dyn Harness) {
    let store = h.store();
    let first = append(&*store, "run", "1").await;
    append(&*store, "run", "2").await;
    for (stream, after) in [("run", 0), ("run", first), (ALL_EVENTS, 0), (ALL_EVENTS, first)] {
        let started = Instant::now();
        store.wait_for_events(stream, after, LONG).await;
        assert!(started.elapsed() < SOON, "{stream} after {after}");
    }
}

async fn a_wait_ends_after_the_longest_time(h: &mut dyn Harness) {
    let store = h.store();
    let last = append(&*store, "run", "1").await;
    for (stream, after) in [("run", last), ("silent", 0), (ALL_EVENTS, last), ("run", u64::MAX)] {
        let started = Instant::now();
        store.wait_for_events(stream, after, Duration::from_millis(30)).await;
        assert!(started.elapsed() < SOON, "{stream} after {after}");
    }
}

/// It may return early now and then, but not each time.
async fn a_wait_does_not_spin_while_other_streams_are_silent(h: &mut dyn Harness) {
    const WAIT: Duration = Duration::from_millis(30);
    let store = h.store();
    let last = append(&*store, "run", "1").await;
    for (stream, after) in [("run", last), ("silent", 0), (ALL_EVENTS, last)] {
        let mut waited = false;
        for _ in 0..20 {
            let started = Instant::now();
            store.wait_for_events(stream, after, WAIT).await;
            waited |= started.elapsed() >= WAIT;
        }
        assert!(waited, "{stream} is silent, and no wait lasted");
    }
}

async fn an_event_wakes_who_waits_for_its_stream(h: &mut dyn Harness) {
    let store = h.store();
    let last = append(&*store, "run", "before").await;
    let follower = tokio::spawn(follow(store.clone(), "run", last, 3));
    for (stream, body) in [("other", "x"), ("run", "1"), ("other", "y"), ("run", "2"), ("run", "3")] {
        append(&*store, stream, body).await;
        tokio::task::yield_now().await;
    }
    let bodies = tokio::time::timeout(SOON, follower).await.expect("the follower was woken").unwrap();
    assert_eq!(bodies, ["1", "2", "3"]);
}

async fn every_event_wakes_who_waits_for_all_of_them(h: &mut dyn Harness) {
    let store = h.store();
    let follower = tokio::spawn(follow(store.clone(), ALL_EVENTS, 0, 3));
    for (stream, body) in [("a", "1"), ("b", "2"), ("c", "3")] {
        append(&*store, stream, body).await;
        tokio::task::yield_now().await;
    }
    let bodies = tokio::time::timeout(SOON, follower).await.expect("the follower was woken").unwrap();
    assert_eq!(bodies, ["1", "2", "3"]);
}

async fn an_event_wakes_everybody_who_waits(h: &mut dyn Harness) {
    let store = h.store();
    let followers: Vec<_> = ["run", "run", "run", ALL_EVENTS, ALL_EVENTS]
        .map(|stream| tokio::spawn(follow(store.clone(), stream, 0, 1)))
        .into();
    append(&*store, "run", "1").await;
    for follower in followers {
        let bodies = tokio::time::timeout(SOON, follower).await.expect("the follower was woken").unwrap();
        assert_eq!(bodies, ["1"]);
    }
}

/// The next event is written as soon as the last one was read, so that events fall into every gap of
/// the follower. One that is slept through makes it wait for [`LONG`].
async fn no_event_is_slept_through_in_a_race(h: &mut dyn Harness) {
    const ROUNDS: usize = 200;
    let store = h.store();
    let (read, mut was_read) = tokio::sync::mpsc::unbounded_channel();
    let reader = store.clone();
    let follower = tokio::spawn(async move {
        let mut after = 0;
        for _ in 0..ROUNDS {
            loop {
                reader.wait_for_events("run", after, LONG).await;
                if let Some(event) = reader.events("run", after, 1).await.unwrap().pop() {
                    after = event.id;
                    break;
                }
            }
            read.send(()).unwrap();
        }
    });
    for round in 0..ROUNDS {
        append(&*store, "run", &round.to_string()).await;
        let woken = tokio::time::timeout(SOON, was_read.recv()).await;
        assert!(matches!(woken, Ok(Some(()))), "event {round} was slept through");
    }
    follower.await.unwrap();
}
