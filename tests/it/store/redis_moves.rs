//! A cluster moves our slot from node to node: while it does, nothing is half done; then work goes on at the
//! new owner, nothing lost and nothing double.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use productforge::store::{
    Change, LeaseEnd, Queue, Store, StoreError,
    redis::{RedisOptions, RedisStore},
};

use super::fixtures::*;
use crate::support::{
    redis_cluster::RedisCluster,
    redis_server::{Options, RedisServer},
    wait::until_within,
};

const PREFIX: &str = "{pf}:";

async fn open(cluster: &RedisCluster) -> (Arc<dyn Store>, u32, usize) {
    let slot = cluster.slot_of(PREFIX).await;
    let options = RedisOptions { url: cluster.url(), prefix: PREFIX.to_owned() };
    (Arc::new(RedisStore::open(options).unwrap()), slot, RedisCluster::first_owner(slot))
}

/// Keys on both sides: every write is refused as a whole, every read tells what is or that it cannot.
#[tokio::test]
async fn in_the_middle_of_a_move_nothing_is_half_done() {
    let cluster = RedisCluster::start().await;
    let (store, slot, from) = open(&cluster).await;
    let to = (from + 1) % 3;
    for n in 0..20 {
        let id = n.to_string();
        made(&*store, Change::new().put(put(&id, &id).indexed(n)).enqueue(job(Queue::Normal, &id))).await;
    }
    let held = take_one(&*store).await;
    let count = async |node| -> usize { cluster.run(node, &format!("CLUSTER COUNTKEYSINSLOT {slot}")).await };
    let all = count(from).await;
    cluster.begin_move(slot, from, to).await;
    for most in [0, all / 3, all / 3] {
        cluster.move_keys(slot, from, to, most).await;
        let counts = (count(from).await, count(to).await);
        let writes = [
            Change::new().put(put("new", "new").indexed(1)).enqueue(job(Queue::Low, "new")),
            Change::new().put(put("0", "other")),
            Change::new().under(held.token, LeaseEnd::Requeue),
            Change::new().event("run", Vec::new()),
        ];
        // At once: each is tried again until its time is up.
        let writes = futures_util::future::join_all(writes.map(|change| store.apply(change)));
        let tokens = [held.token];
        let (writes, renewed, swept) = tokio::join!(writes, store.renew(&tokens, LEASE_MS), store.sweep(9));
        assert!(writes.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{writes:?}");
        assert!(matches!(renewed, Err(StoreError::Unavailable(_))), "{renewed:?}");
        assert!(matches!(swept, Err(StoreError::Unavailable(_))), "{swept:?}");
        // Never "there is none".
        match store.get(&[note("7")]).await {
            Ok(found) => assert_eq!(found[0].as_ref().unwrap().body, b"7"),
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
        }
        assert_eq!((count(from).await, count(to).await), counts, "something was written");
    }
    cluster.end_move(slot, from, to).await;
    assert_eq!((count(from).await, count(to).await), (0, all));
    made(&*store, Change::new().under(held.token, LeaseEnd::Requeue)).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 20);
    assert_eq!(take(&*store, 100).await.len(), 20);
}

/// Writers and takers go on while the slot goes round the cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_under_load_loses_and_doubles_nothing() {
    const WRITERS: usize = 3;
    const EACH: usize = 150;
    let cluster = RedisCluster::start().await;
    let (store, slot, first) = open(&cluster).await;
    let written = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, written) = (store.clone(), written.clone());
            tokio::spawn(async move {
                for n in 0..EACH {
                    let id = format!("{writer}-{n}");
                    until_within(Duration::from_secs(60), "a write is taken", async || {
                        let change = Change::new()
                            .expect(note(&id), None)
                            .put(put(&id, "").indexed(n as i64))
                            .enqueue(job(Queue::Normal, &id));
                        store.apply(change).await.is_ok().then_some(())
                    })
                    .await;
                    written.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    // Takes by waiting, on connections of its own, and finishes each job.
    let taker = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut given: HashMap<String, usize> = HashMap::new();
            let request = productforge::store::Reserve {
                worker: "w".into(),
                limit: 10,
                lease_ms: 600_000,
                order: Queue::ALL,
            };
            while given.len() < WRITERS * EACH {
                let Ok(taken) = store.reserve_or_wait(&request, Duration::from_secs(5)).await else {
                    continue;
                };
                for delivery in taken {
                    *given.entry(String::from_utf8(delivery.payload).unwrap()).or_default() += 1;
                    until_within(Duration::from_secs(60), "a job is finished", async || {
                        let finish = Change::new().under(delivery.token, LeaseEnd::Finish);
                        store.apply(finish).await.is_ok().then_some(())
                    })
                    .await;
                }
            }
            given
        })
    };
    for round in 0..3 {
        let (from, to) = ((first + round) % 3, (first + round + 1) % 3);
        until_within(Duration::from_secs(60), "work goes on", async || {
            (written.load(Ordering::Acquire) >= WRITERS * EACH * (round + 1) / 4).then_some(())
        })
        .await;
        cluster.begin_move(slot, from, to).await;
        cluster.end_move(slot, from, to).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let given = tokio::time::timeout(Duration::from_secs(60), taker).await.expect("all is taken").unwrap();
    assert!(given.values().all(|times| *times == 1), "{given:?}");
    assert_eq!(store.count(&all_notes()).await.unwrap() as usize, WRITERS * EACH);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.normal, depth.leased), (0, 0));
}

/// Without a hash tag keys would lie in many slots: the store refuses to work at all.
#[tokio::test]
async fn a_cluster_without_a_hash_tag_is_refused() {
    let words = "--cluster-enabled yes --cluster-port";
    let port = crate::support::process::free_port();
    let arguments = words.split(' ').map(str::to_owned).chain([port.to_string()]).collect();
    let node = RedisServer::start_with(Options { arguments, ..Options::default() });
    let options = RedisOptions { url: node.url(), prefix: "pf:".to_owned() };
    let store = RedisStore::open(options).unwrap();
    let Err(StoreError::Unusable(why)) = store.apply(Change::new().put(put("a", ""))).await else {
        panic!("it works");
    };
    assert!(why.contains("set REDIS_PREFIX to a hash tag such as {pf}:"), "{why}");
}
