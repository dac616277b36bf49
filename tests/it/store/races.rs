//! Atomicity under concurrency: races have one winner, and a dropped call is whole or nothing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use productforge::store::{ALL_EVENTS, Change, LeaseEnd, Queue, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    of_many_creations_exactly_one_wins,
    of_many_changes_of_one_revision_exactly_one_wins,
    of_many_finishers_of_one_lease_exactly_one_wins,
    counters_in_documents_lose_no_update,
    concurrent_workers_take_every_payload_exactly_once,
    readers_never_see_half_a_change,
    a_dropped_call_did_all_of_its_step_or_nothing,
    a_dropped_reservation_loses_no_payload,
);

const TASKS: usize = 16;

/// Runs `change(n)` in many tasks at once; how many were made.
async fn winners(store: &Arc<dyn Store>, change: impl Fn(usize) -> Change) -> usize {
    let start = Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| {
            let (store, start, change) = (store.clone(), start.clone(), change(n));
            tokio::spawn(async move {
                start.wait().await;
                store.apply(change).await.unwrap().is_ok()
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    won
}

async fn of_many_creations_exactly_one_wins(h: &mut dyn Harness) {
    let store = h.store();
    for round in 0..10 {
        let id = format!("n{round}");
        let create = |n: usize| {
            Change::new()
                .expect(note(&id), None)
                .put(put(&id, &n.to_string()).indexed(1))
                .enqueue(job(Queue::Normal, &id))
                .event("run", id.clone().into_bytes())
        };
        assert_eq!(winners(&store, create).await, 1);
    }
    assert_eq!(store.count(&all_notes()).await.unwrap(), 10);
    assert_eq!(store.depth().await.unwrap().normal, 10);
    assert_eq!(event_bodies(&*store, "run").await.len(), 10);
}

async fn of_many_changes_of_one_revision_exactly_one_wins(h: &mut dyn Harness) {
    let store = h.store();
    let mut current = "start".to_owned();
    made(&*store, Change::new().put(put("a", &current))).await;
    for round in 0..10 {
        let step = |n: usize| {
            Change::new().expect(note("a"), Some(rev(&current))).put(put("a", &format!("{round}-{n}")))
        };
        assert_eq!(winners(&store, step).await, 1);
        current = body(&*store, "a").await.unwrap();
    }
}

async fn of_many_finishers_of_one_lease_exactly_one_wins(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    let finish = |n: usize| {
        let end = if n.is_multiple_of(2) { LeaseEnd::Finish } else { LeaseEnd::Requeue };
        Change::new().under(token, end).event("run", n.to_string().into_bytes())
    };
    assert_eq!(winners(&store, finish).await, 1);
    assert_eq!(event_bodies(&*store, "run").await.len(), 1);
    assert!(store.depth().await.unwrap().open() <= 1);
}

async fn counters_in_documents_lose_no_update(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("n", "0"))).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    loop {
                        let old = doc(&*store, "n").await.unwrap();
                        let new = String::from_utf8(old.body.clone()).unwrap().parse::<u32>().unwrap() + 1;
                        let change = Change::new()
                            .expect(note("n"), Some(old.revision()))
                            .put(put("n", &new.to_string()));
                        if store.apply(change).await.unwrap().is_ok() {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(body(&*store, "n").await.unwrap(), "80");
}

async fn concurrent_workers_take_every_payload_exactly_once(h: &mut dyn Harness) {
    const JOBS: usize = 300;
    let store = h.store();
    for block in 0..JOBS / 100 {
        let change = (0..100).fold(Change::new(), |change, n| {
            change.enqueue(job(Queue::ALL[n % 3], &format!("{}", block * 100 + n)))
        });
        made(&*store, change).await;
    }
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let taken = take_for(&*store, &format!("w{n}"), 1 + n, LEASE_MS).await;
                    if taken.is_empty() {
                        return mine;
                    }
                    for delivery in &taken {
                        made(&*store, Change::new().under(delivery.token, LeaseEnd::Finish)).await;
                    }
                    mine.extend(payloads(&taken));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), JOBS);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), JOBS);
    assert_eq!(store.depth().await.unwrap().open(), 0);
}

async fn readers_never_see_half_a_change(h: &mut dyn Harness) {
    let store = h.store();
    let both = |text: &str| Change::new().put(put("a", text)).put(put("b", text));
    made(&*store, both("start")).await;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                made(&*store, both(&n.to_string())).await;
            }
        })
    };
    while !writer.is_finished() {
        let found = store.get(&[note("a"), note("b")]).await.unwrap();
        let bodies: Vec<_> = found.into_iter().map(|doc| doc.unwrap().body).collect();
        assert_eq!(bodies[0], bodies[1]);
    }
    writer.await.unwrap();
}

/// Lets a call run for a moment and drops it: `round` picks the moment, from before it was sent to
/// after it answered.
async fn drop_midway<T>(round: usize, call: impl Future<Output = T>) {
    let moment = Duration::from_micros((round as u64 * 37) % 1500);
    let _ = tokio::time::timeout(moment, call).await;
}

async fn a_dropped_call_did_all_of_its_step_or_nothing(h: &mut dyn Harness) {
    const ROUNDS: usize = 100;
    let store = h.store();
    for round in 0..ROUNDS {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let change = Change::new()
            .put(put(&a, "").indexed(1))
            .put(put(&b, ""))
            .enqueue(job(Queue::Normal, &a))
            .event("run", a.clone().into_bytes());
        drop_midway(round, store.apply(change)).await;
        let found = store.get(&[note(&a), note(&b)]).await.unwrap();
        assert_eq!(found[0].is_some(), found[1].is_some(), "half a change in round {round}");
    }
    // What was still under way when its caller left comes to rest, and all parts agree.
    eventually("documents, jobs and events agree", async || {
        let documents = walk(&*store, &all_notes(), 100).await.into_iter().collect::<BTreeSet<_>>();
        let jobs = store.depth().await.unwrap().normal as usize;
        let events = event_bodies(&*store, ALL_EVENTS).await.into_iter().collect::<BTreeSet<_>>();
        documents == events && jobs == events.len()
    })
    .await;
}

async fn a_dropped_reservation_loses_no_payload(h: &mut dyn Harness) {
    const JOBS: usize = 100;
    let store = h.store();
    let change = (0..JOBS).fold(Change::new(), |c, n| c.enqueue(job(Queue::Normal, &n.to_string())));
    made(&*store, change).await;
    for round in 0..40 {
        drop_midway(round, take(&*store, 2)).await;
        assert_eq!(store.depth().await.unwrap().open(), JOBS as u64);
    }
    let mut found = BTreeSet::new();
    eventually("every payload comes back", async || {
        h.age(OVER_A_MINUTE_MS).await;
        store.sweep(100).await.unwrap();
        found.extend(payloads(&take(&*store, 100).await));
        found.len() == JOBS
    })
    .await;
}
