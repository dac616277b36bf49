//! Redis goes away, hangs, restarts, moves: the store says so soon, and works again by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use productforge::store::{
    Change, LeaseEnd, Queue, QueueDepth, Store, StoreError,
    redis::{RedisOptions, RedisStore},
};

use super::{fixtures::*, redis_harness::open, redis_only::run};
use crate::support::{
    fault_proxy::FaultProxy,
    redis_server::{Options, RedisServer},
    wait::until,
};

/// Two seconds are promised; the rest is for a busy machine.
const PROMISED: Duration = Duration::from_millis(2_800);

/// Every verb says within the promised time that the store is away.
async fn is_away(store: &Arc<dyn Store>) {
    fn check<T: std::fmt::Debug>(verb: &str, asked: Instant, answer: Result<T, StoreError>) {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{verb}: {answer:?}");
        assert!(asked.elapsed() < PROMISED, "{verb} answered after {:?}", asked.elapsed());
    }
    let at = Instant::now();
    tokio::join!(
        async { check("get", at, store.get(&[note("a")]).await) },
        async { check("count", at, store.count(&all_notes()).await) },
        async { check("apply", at, store.apply(Change::new().put(put("a", ""))).await) },
        async { check("sweep", at, store.sweep(1).await) },
        async { check("check", at, store.check().await) },
    );
}

/// It answers again within the promised time.
async fn is_back(store: &Arc<dyn Store>) {
    let since = Instant::now();
    while store.depth().await.is_err() || store.sweep(1).await.is_err() {
        assert!(since.elapsed() < PROMISED, "not back within {:?}", since.elapsed());
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut server = RedisServer::start();
    server.stop();
    let store = open(&server, "");
    is_away(&store).await;
    server.start_again();
    is_back(&store).await;
    enqueue(&*store, &["1"]).await;
}

/// Queue, leases, due times and documents over a restart in order and over kill -9.
#[tokio::test]
async fn a_restart_loses_nothing_that_was_answered() {
    let mut server = RedisServer::start_durable();
    let store = open(&server, "");
    let due = store.now().await.unwrap() + 600_000;
    enqueue(&*store, &["1", "2", "3"]).await;
    made(&*store, Change::new().put(put("a", "one").indexed(1)).enqueue(job_at(Queue::High, "later", due)))
        .await;
    let held = take_one(&*store).await;
    let depth = QueueDepth { high: 0, normal: 2, low: 0, due: 1, leased: 1, ..QueueDepth::default() };
    for round in 0..4 {
        match round % 2 {
            0 => server.kill(),
            _ => server.stop(),
        }
        is_away(&store).await;
        server.start_again();
        is_back(&store).await;
        assert_eq!(store.depth().await.unwrap(), depth);
        assert_eq!(body(&*store, "a").await.unwrap(), "one");
        assert_eq!(store.renew(&[held.token], LEASE_MS).await.unwrap(), [true]);
    }
    made(&*store, Change::new().under(held.token, LeaseEnd::Finish)).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["2", "3"]);
}

/// The contract's hardest promise: the server is killed in the middle of traffic, again and again, and
/// what was answered is there, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_keeps_what_it_answered() {
    let mut server = RedisServer::start_durable();
    let store = open(&server, "");
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..150 {
                    let id = format!("{writer}-{n}");
                    let change = || {
                        Change::new()
                            .expect(note(&id), None)
                            .put(put(&id, "").indexed(n))
                            .enqueue(job(Queue::Normal, &id))
                    };
                    // Unknown ends are tried again; the expectation keeps the second from doubling it.
                    while store.apply(change()).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        })
        .collect();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        server.kill();
        server.start_again();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    is_back(&store).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 600);
    assert_eq!(store.depth().await.unwrap().normal, 600);
}

#[tokio::test]
async fn a_redis_that_hangs_is_away_and_comes_back() {
    let server = RedisServer::start();
    let store = open(&server, "");
    enqueue(&*store, &["1"]).await;
    server.freeze(true);
    is_away(&store).await;
    is_away(&store).await;
    server.freeze(false);
    is_back(&store).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["1"]);
}

/// A restart while nobody called is not the next caller's error.
#[tokio::test]
async fn an_idle_store_does_not_stumble_over_a_restart() {
    let mut server = RedisServer::start_durable();
    let store = open(&server, "");
    made(&*store, Change::new().put(put("a", "one"))).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    server.stop();
    server.start_again();
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    // A write asks a connection that stood idle for over a second before it trusts it.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    made(&*store, Change::new().put(put("a", "two"))).await;
}

/// Refused by the server, not by the network: the client library's own manager would give this answer
/// for ever.
#[tokio::test]
async fn a_connection_that_the_server_refused_is_tried_again() {
    let server = RedisServer::start();
    let mut foreign = server.connection().await;
    run::<()>(&mut foreign, "CONFIG SET maxclients 1").await;
    let store = open(&server, "");
    is_away(&store).await;
    run::<()>(&mut foreign, "CONFIG SET maxclients 100").await;
    is_back(&store).await;
}

#[tokio::test]
async fn a_password_that_becomes_right_is_accepted() {
    let server = RedisServer::start();
    let mut foreign = server.connection().await;
    run::<()>(&mut foreign, "CONFIG SET requirepass old").await;
    let url = server.url().replace("redis://", "redis://:new@");
    let store: Arc<dyn Store> =
        Arc::new(RedisStore::open(RedisOptions { url, prefix: String::new() }).unwrap());
    is_away(&store).await;
    run::<()>(&mut foreign, "CONFIG SET requirepass new").await;
    is_back(&store).await;
}

/// A primary that became a replica refuses writes; a proxy or name behind the URL may lead to the new
/// one, so the connection is made anew.
#[tokio::test]
async fn a_demoted_primary_is_left() {
    let server = RedisServer::start();
    let mut foreign = server.connection().await;
    let store = open(&server, "");
    made(&*store, Change::new().put(put("a", "one"))).await;
    let connections = async |foreign: &mut _| -> u64 {
        let stats: String = run(foreign, "INFO stats").await;
        let total = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        total.unwrap().trim().parse().unwrap()
    };
    run::<()>(&mut foreign, "REPLICAOF 127.0.0.1 1").await;
    let before = connections(&mut foreign).await;
    for _ in 0..2 {
        let answer = store.apply(Change::new().put(put("a", "two"))).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(connections(&mut foreign).await > before, "no new connection was tried");
    run::<()>(&mut foreign, "REPLICAOF NO ONE").await;
    made(&*store, Change::new().put(put("a", "two"))).await;
}

/// With a hash tag for a prefix the store works on a cluster: it follows the node that owns its slot,
/// whichever one the URL names.
#[tokio::test]
async fn on_a_cluster_it_finds_the_owner_of_its_slot() {
    let cluster_node =
        || RedisServer::start_with(Options { extra: "--cluster-enabled yes", ..Options::default() });
    let (owner, other) = (cluster_node(), cluster_node());
    let mut on_owner = owner.connection().await;
    let mut on_other = other.connection().await;
    run::<()>(&mut on_owner, "CLUSTER ADDSLOTSRANGE 0 16383").await;
    run::<()>(&mut on_other, &format!("CLUSTER MEET 127.0.0.1 {}", owner.port())).await;
    for node in [&mut on_owner, &mut on_other] {
        eventually("the cluster has formed", async || {
            run::<String>(node, "CLUSTER INFO").await.contains("cluster_state:ok")
                && run::<String>(node, "CLUSTER NODES").await.contains("0-16383")
        })
        .await;
    }

    let store = open(&other, "{pf}:");
    let waiter = {
        let store = store.clone();
        tokio::spawn(async move { store.wait_for_work(Duration::from_secs(60)).await })
    };
    enqueue(&*store, &["1"]).await;
    tokio::time::timeout(Duration::from_secs(10), waiter).await.expect("woken").unwrap();
    let lease = take_one(&*store).await;
    made(&*store, Change::new().under(lease.token, LeaseEnd::Finish).put(put("a", "one").indexed(1))).await;
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["a"]);
    assert_eq!(run::<String>(&mut on_owner, "GET {pf}:note:a").await, "one");
}

/// The name leads to a new primary, and the old one lives on as a replica that hears nothing more: who reads from it
/// must not go on doing so once a write has found out.
#[tokio::test]
async fn reads_follow_a_write_to_the_new_primary() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let (mut to_old, mut to_new) = (old.connection().await, new.connection().await);
    let way = FaultProxy::start(old.port());
    let options = RedisOptions { url: way.redis_url(), prefix: String::new() };
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(options).unwrap());
    store.apply(Change::new().put(put("a", "before"))).await.unwrap().unwrap();
    assert_eq!(doc(&*store, "a").await.unwrap().body, b"before"[..]);
    run::<()>(&mut to_new, &format!("REPLICAOF 127.0.0.1 {}", old.port())).await;
    until("it has copied all", || async {
        let role: deadpool_redis::redis::Value = run(&mut to_new.clone(), "INFO replication").await;
        format!("{role:?}").contains("master_link_status:up").then_some(())
    })
    .await;
    run::<()>(&mut to_new, "REPLICAOF NO ONE").await;
    way.lead_to(new.port());
    run::<()>(&mut to_old, "REPLICAOF 127.0.0.1 1").await;
    assert_eq!(doc(&*store, "a").await.unwrap().body, b"before"[..], "nobody has noticed yet");
    until("a write is taken", || async {
        let written = store.apply(Change::new().put(put("a", "after"))).await;
        written.is_ok_and(|written| written.is_ok()).then_some(())
    })
    .await;
    assert_eq!(doc(&*store, "a").await.unwrap().body, b"after"[..]);
}
