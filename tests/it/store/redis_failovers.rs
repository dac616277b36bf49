//! The primary dies under load: another server takes its place, work goes on there, and what had been
//! replicated is there once.
//!
//! What Redis promises: a write that was answered and had not reached a replica is lost with its primary.
//! `min-replicas-to-write 1` refuses writes while no replica listens; it does not wait for one. So the tests
//! ask for no more than what a later write, waited for with `WAIT`, proves to have been replicated.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{aio::MultiplexedConnection, cmd};
use productforge::store::{
    Change, Queue, Store,
    redis::{RedisOptions, RedisStore},
};

use super::{fixtures::*, topologies::sentinel_access};
use crate::support::{
    redis_cluster::RedisCluster,
    redis_sentinels::RedisSentinels,
    redis_server::RedisServer,
    wait::{until, until_within},
};

/// Documents and payloads that every writer makes.
const EACH: usize = 120;
const WRITERS: usize = 4;
/// When the server is killed.
const HALF: usize = WRITERS * EACH / 2;

/// Whether a replica has all that was written until now.
async fn is_replicated(primary: &mut MultiplexedConnection, key: &str) -> bool {
    let written = cmd("INCR").arg(key).query_async::<u64>(primary).await;
    let wait = async || cmd("WAIT").arg(1).arg(500).query_async::<u64>(&mut primary.clone()).await;
    written.is_ok() && wait().await.is_ok_and(|replicas| replicas > 0)
}

/// Writers that write until all is written, whatever happens; those documents that were replicated while the
/// first primary lived.
async fn write_all(
    store: &Arc<dyn Store>,
    primary: &MultiplexedConnection,
    foreign_key: &str,
    half_done: Arc<AtomicBool>,
) -> HashSet<String> {
    let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let writers = (0..WRITERS).map(|writer| {
        let (store, mut primary) = (store.clone(), primary.clone());
        let (done, half_done, key) = (done.clone(), half_done.clone(), foreign_key.to_owned());
        tokio::spawn(async move {
            let mut replicated = Vec::new();
            for n in 0..EACH {
                let id = format!("{writer}-{n}");
                until_within(Duration::from_secs(60), "a write is taken", async || {
                    let change = Change::new()
                        .expect(note(&id), None)
                        .put(put(&id, "").indexed(n as i64))
                        .enqueue(job(Queue::Normal, &id));
                    // Refused is made before, by a call whose answer was lost.
                    store.apply(change).await.is_ok().then_some(())
                })
                .await;
                if is_replicated(&mut primary, &key).await {
                    replicated.push(id);
                }
                half_done.fetch_or(done.fetch_add(1, Ordering::AcqRel) + 1 == HALF, Ordering::AcqRel);
            }
            replicated
        })
    });
    let mut all = HashSet::new();
    for written in futures_util::future::join_all(writers).await {
        all.extend(written.unwrap());
    }
    all
}

/// Every replicated document is there with its payload, and no payload is there twice.
async fn nothing_is_lost_or_doubled(store: &Arc<dyn Store>, replicated: &HashSet<String>) {
    assert!(replicated.len() > HALF / 2, "only {} were replicated", replicated.len());
    let mut given: HashMap<String, usize> = HashMap::new();
    loop {
        let taken = payloads(&take(&**store, 100).await);
        if taken.is_empty() {
            break;
        }
        taken.into_iter().for_each(|id| *given.entry(id).or_default() += 1);
    }
    assert!(given.values().all(|times| *times == 1), "{given:?}");
    for id in replicated {
        assert_eq!(given.get(id), Some(&1), "{id} was replicated and is lost");
        assert!(body(&**store, id).await.is_some(), "{id}");
    }
}

/// What a server says of its replication. Connections are ended when a role changes, so this makes its own.
async fn replication(server: &RedisServer) -> String {
    let Ok(mut connection) = server.try_connection().await else { return String::new() };
    cmd("INFO").arg("replication").query_async(&mut connection).await.unwrap_or_default()
}

async fn set(flag: &AtomicBool) {
    until_within(Duration::from_secs(60), "half of it is written", || async {
        flag.load(Ordering::Acquire).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_lead_to_the_next_primary() {
    let mut redis = RedisSentinels::start("--min-replicas-max-lag 1").await;
    let options = RedisOptions { url: redis.url(), prefix: String::new() };
    let store: Arc<dyn Store> = Arc::new(RedisStore::open_with(options, sentinel_access()).unwrap());
    // Waits on connections of their own, over the failover.
    let waits = {
        let store = store.clone();
        tokio::spawn(async move { store.wait_for_events("after", 0, Duration::from_secs(120)).await })
    };
    let primary = redis.servers[0].connection().await;
    let half_done = Arc::new(AtomicBool::new(false));
    let (replicated, ()) = tokio::join!(write_all(&store, &primary, "foreign", half_done.clone()), async {
        set(&half_done).await;
        redis.servers[0].kill();
    });
    nothing_is_lost_or_doubled(&store, &replicated).await;
    made(&*store, Change::new().event("after", Vec::new())).await;
    tokio::time::timeout(Duration::from_secs(30), waits).await.expect("it is woken").unwrap();

    // The old primary comes back as a replica, and is not written to.
    redis.servers[0].start_again();
    until_within(Duration::from_secs(60), "the old primary follows the new one", || async {
        let info = replication(&redis.servers[0]).await;
        (info.contains("role:slave") && info.contains("master_link_status:up")).then_some(())
    })
    .await;
    until("a write is taken by the new one", || async {
        let change = Change::new().put(put("again", "new"));
        store.apply(change).await.is_ok().then_some(())
    })
    .await;
    until("the old one has it from there", || async {
        let mut old = redis.servers[0].try_connection().await.ok()?;
        let found = cmd("GET").arg("note:again").query_async::<Option<String>>(&mut old).await;
        (found.ok()?.as_deref() == Some("new")).then_some(())
    })
    .await;
}

/// The sentinels decide on a failover while the old primary is well: it refuses writes, or closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_on_purpose_is_followed() {
    let redis = RedisSentinels::start("").await;
    let options = RedisOptions { url: redis.url(), prefix: String::new() };
    let store = RedisStore::open_with(options, sentinel_access()).unwrap();
    made(&store, Change::new().put(put("a", "one"))).await;
    redis.fail_over().await;
    until_within(Duration::from_secs(60), "a write arrives at the new primary", async || {
        store.apply(Change::new().put(put("a", "two"))).await.ok()?.ok()?;
        let mut replica = redis.servers[1].try_connection().await.ok()?;
        let found = cmd("GET").arg("note:a").query_async::<String>(&mut replica).await.ok()?;
        (found == "two" && replication(&redis.servers[1]).await.contains("role:master")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_replaces_the_owner_of_the_slot() {
    // The slot of {pf} is the second node's; every primary has a replica then that can be elected.
    let mut cluster = RedisCluster::start_with(2).await;
    let owner = RedisCluster::first_owner(cluster.slot_of("{pf}:").await);
    assert!(owner < 2, "the owner has no replica");
    let options = RedisOptions { url: cluster.url(), prefix: "{pf}:".to_owned() };
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(options).unwrap());
    let primary = cluster.connection(owner);
    let half_done = Arc::new(AtomicBool::new(false));
    let (replicated, ()) =
        tokio::join!(write_all(&store, &primary, "{pf}:foreign", half_done.clone()), async {
            set(&half_done).await;
            cluster.nodes[owner].kill();
        });
    nothing_is_lost_or_doubled(&store, &replicated).await;
}
