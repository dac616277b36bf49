//! Picking up on Redis: by a note that is spent once, ends by itself, and survives broken connections.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{AsyncCommands, aio::MultiplexedConnection};
use productforge::store::{Change, Delivery, LeaseEnd, Queue, Reserve, Store};

use super::{fixtures::*, redis_harness::open, redis_only::run};
use crate::support::redis_server::RedisServer;

const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(10);
const NOTE_KEY: &str = "pf:wanted:worker-1";

fn idle(store: &Arc<dyn Store>, limit: usize) -> tokio::task::JoinHandle<Vec<Delivery>> {
    let store = store.clone();
    let request = Reserve { worker: "worker-1".into(), limit, lease_ms: LEASE_MS, order: Queue::ALL };
    tokio::spawn(async move {
        loop {
            // An error is a connection that was cut: the pool tries on as well.
            match store.reserve_or_wait(&request, LONG).await {
                Ok(taken) if !taken.is_empty() => return taken,
                _ => tokio::task::yield_now().await,
            }
        }
    })
}

async fn taken(worker: tokio::task::JoinHandle<Vec<Delivery>>) -> Vec<Delivery> {
    tokio::time::timeout(SOON, worker).await.expect("work came").unwrap()
}

/// Waits until the worker's note is there and all three lists are watched.
async fn waits(foreign: &mut MultiplexedConnection) {
    eventually("a note is left and three connections wait", async || {
        let note: Option<i64> = foreign.get(NOTE_KEY).await.unwrap();
        let blocked = run::<String>(foreign, "CLIENT LIST").await.matches("flags=b ").count();
        note.is_some_and(|wanted| wanted > 0) && blocked == 3
    })
    .await;
}

/// How often a script has run.
async fn scripts(foreign: &mut MultiplexedConnection) -> u64 {
    let stats: String = run(foreign, "INFO commandstats").await;
    let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or_default();
    line.split("calls=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_foreign_lpush_is_taken_without_another_question() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    for queue in Queue::ALL {
        let worker = idle(&store, 4);
        waits(&mut foreign).await;
        let before = scripts(&mut foreign).await;
        foreign.lpush::<_, _, ()>(queue.name(), "1").await.unwrap();
        let found = taken(worker).await;
        assert_eq!(scripts(&mut foreign).await - before, 1, "the one script is what took it");
        assert_eq!((found.len(), found[0].queue), (1, queue));
        made(&*store, Change::new().under(found[0].token, LeaseEnd::Finish)).await;
    }
}

#[tokio::test]
async fn three_lists_that_fill_at_once_give_no_more_than_the_free_slots() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    for _ in 0..20 {
        let worker = idle(&store, 1);
        waits(&mut foreign).await;
        let mut all = deadpool_redis::redis::pipe();
        for queue in Queue::ALL {
            all.lpush(queue.name(), &["1", "2"]).ignore();
        }
        all.atomic().query_async::<()>(&mut foreign).await.unwrap();
        let found = taken(worker).await;
        assert_eq!(found.len(), 1);
        assert_eq!(store.depth().await.unwrap().leased, 1);
        for delivery in found.into_iter().chain(take(&*store, 9).await) {
            made(&*store, Change::new().under(delivery.token, LeaseEnd::Finish)).await;
        }
    }
}

/// As it is for a worker that is frozen, or whose machine is gone, while its connections still wait.
#[tokio::test]
async fn connections_of_a_worker_whose_note_has_ended_take_nothing() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    let worker = idle(&store, 4);
    waits(&mut foreign).await;
    let life: i64 = run(&mut foreign, &format!("PTTL {NOTE_KEY}")).await;
    assert!((1..=LONG.as_millis() as i64 + 1_000).contains(&life), "the note lives for {life} ms");
    foreign.del::<_, ()>(NOTE_KEY).await.unwrap();
    let before = scripts(&mut foreign).await;
    foreign.lpush::<_, _, ()>("queue", "1").await.unwrap();
    // The worker lives and was woken: it asks by itself.
    assert_eq!(taken(worker).await.len(), 1);
    assert!(scripts(&mut foreign).await - before >= 2);
}

#[tokio::test]
async fn what_is_out_of_the_ordinary_is_left_to_the_worker() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    // A payload that has crashed: its count must come with it.
    enqueue(&*store, &["1"]).await;
    take_for(&*store, "another", 1, 1).await;
    let worker = idle(&store, 4);
    waits(&mut foreign).await;
    eventually("it is swept", async || !store.sweep(9).await.unwrap().is_empty()).await;
    let found = taken(worker).await;
    assert_eq!((found.len(), found[0].crashes), (1, 1));
    made(&*store, Change::new().under(found[0].token, LeaseEnd::Finish)).await;
    // A key of the wrong type: nothing is taken, nothing is lost, and the worker is told.
    let worker = idle(&store, 4);
    waits(&mut foreign).await;
    foreign.del::<_, ()>("pf:leases").await.unwrap();
    foreign.set::<_, _, ()>("pf:leases", "x").await.unwrap();
    foreign.lpush::<_, _, ()>("queue", &["2", "3"]).await.unwrap();
    let request = Reserve { worker: "w".into(), limit: 9, lease_ms: LEASE_MS, order: Queue::ALL };
    assert!(store.reserve(&request).await.is_err());
    assert_eq!(waiting(&*store, Queue::Normal).await, ["2", "3"]);
    foreign.del::<_, ()>("pf:leases").await.unwrap();
    assert_eq!(payloads(&taken(worker).await)[0], "2");
}

#[tokio::test]
async fn a_worker_that_waits_survives_cut_connections_and_a_forgotten_script() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    for round in 0..6 {
        let worker = idle(&store, 4);
        waits(&mut foreign).await;
        if round % 2 == 0 {
            run::<i64>(&mut foreign, "CLIENT KILL TYPE normal SKIPME yes").await;
        } else {
            run::<String>(&mut foreign, "SCRIPT FLUSH").await;
        }
        foreign.lpush::<_, _, ()>("queue_low", round.to_string()).await.unwrap();
        let found = taken(worker).await;
        assert_eq!(payloads(&found), [round.to_string()]);
        // The connection for work was cut as well; its next call may meet that.
        store.depth().await.ok();
        eventually("it is finished", async || {
            store.apply(Change::new().under(found[0].token, LeaseEnd::Finish)).await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_nothing_taken_for_a_worker_that_has_gone() {
    let server = RedisServer::start();
    let mut foreign = server.connection().await;
    for round in 0..10 {
        let store = open(&server, "");
        let worker = idle(&store, 4);
        waits(&mut foreign).await;
        let pushed = foreign.lpush::<_, _, ()>("queue", round.to_string());
        worker.abort();
        pushed.await.unwrap();
        if let Ok(found) = worker.await {
            made(&*store, Change::new().under(found[0].token, LeaseEnd::Requeue)).await;
        }
        store.close().await;
        let (waiting, leased): (Vec<String>, i64) =
            (run(&mut foreign, "LRANGE queue 0 -1").await, run(&mut foreign, "ZCARD pf:leases").await);
        assert_eq!((waiting, leased), (vec![round.to_string()], 0));
        run::<i64>(&mut foreign, "DEL queue").await;
    }
}
