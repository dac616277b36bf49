//! Waiting on Redis: woken by foreign programs, through broken connections, cheap, and taking nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_redis::redis::{AsyncCommands, aio::MultiplexedConnection};
use productforge::store::{Change, LeaseEnd, Queue, Store};

use super::{fixtures::*, redis_harness::open, redis_only::run};
use crate::support::redis_server::RedisServer;

const LONG: Duration = Duration::from_secs(60);
/// A wait that ends by itself in this test ends after [`LONG`].
const SOON: Duration = Duration::from_secs(10);

/// Waits until all three lists are watched on the server.
async fn watched(foreign: &mut MultiplexedConnection) {
    eventually("three connections wait in BLMOVE", async || watchers(foreign).await == 3).await;
}

async fn watchers(foreign: &mut MultiplexedConnection) -> usize {
    run::<String>(foreign, "CLIENT LIST").await.matches("flags=b ").count()
}

/// A task that waits once.
fn wait(store: &Arc<dyn Store>) -> tokio::task::JoinHandle<()> {
    let store = store.clone();
    tokio::spawn(async move { store.wait_for_work(LONG).await })
}

async fn woken(waiter: tokio::task::JoinHandle<()>) {
    tokio::time::timeout(SOON, waiter).await.expect("the waiter was woken").unwrap();
}

#[tokio::test]
async fn a_foreign_lpush_wakes_every_waiter() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    for queue in Queue::ALL {
        let waiters = [wait(&store), wait(&store), wait(&store)];
        watched(&mut foreign).await;
        foreign.lpush::<_, _, ()>(queue.name(), "1").await.unwrap();
        for waiter in waiters {
            woken(waiter).await;
        }
        let lease = take_one(&*store).await;
        assert_eq!(lease.queue, queue);
        made(&*store, Change::new().under(lease.token, LeaseEnd::Finish)).await;
    }
}

#[tokio::test]
async fn a_foreign_lpush_wakes_a_waiter_whose_connections_were_cut() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    for _ in 0..3 {
        let waiter = wait(&store);
        watched(&mut foreign).await;
        run::<i64>(&mut foreign, "CLIENT KILL TYPE normal SKIPME yes").await;
        foreign.lpush::<_, _, ()>("queue_low", "1").await.unwrap();
        woken(waiter).await;
        // The connection for work was cut as well; its next call may meet that.
        eventually("the payload is taken", async || {
            store.depth().await.ok();
            store
                .reserve(&productforge::store::Reserve {
                    worker: "w".into(),
                    limit: 1,
                    lease_ms: LEASE_MS,
                    order: productforge::store::Queue::ALL,
                })
                .await
                .is_ok_and(|taken| taken.len() == 1)
        })
        .await;
    }
}

#[tokio::test]
async fn a_waiter_outlives_a_restart_of_the_server() {
    let mut server = RedisServer::start();
    let store = open(&server, "");
    let waiter = wait(&store);
    watched(&mut server.connection().await).await;
    server.kill();
    server.start_again();
    let mut foreign = server.connection().await;
    foreign.lpush::<_, _, ()>("queue", "1").await.unwrap();
    let back = Instant::now();
    woken(waiter).await;
    assert!(back.elapsed() < Duration::from_secs(2), "woken {:?} after the return", back.elapsed());
}

/// Pushes go on while the waiting connections are cut again and again: a pop under way would lose one.
#[tokio::test]
async fn no_waiter_takes_anything() {
    const JOBS: usize = 300;
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    store.wait_for_work(LONG).await;
                }
            })
        })
        .collect();
    for n in 0..JOBS {
        if n % 10 == 0 {
            run::<i64>(&mut foreign, "CLIENT KILL TYPE normal SKIPME yes").await;
        }
        foreign.lpush::<_, _, ()>("queue", n.to_string()).await.unwrap();
    }
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let mut waiting: Vec<String> = run(&mut foreign, "LRANGE queue 0 -1").await;
    waiting.reverse();
    assert_eq!(waiting, (0..JOBS).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// How many commands the server has run so far.
async fn commands(foreign: &mut MultiplexedConnection) -> u64 {
    let stats: String = run(foreign, "INFO commandstats").await;
    let calls =
        stats.lines().filter_map(|line| line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok());
    calls.sum()
}

/// Twenty idle tasks that look for work once a second in one process, as busy as idle gets.
#[tokio::test]
async fn idle_waiting_costs_at_most_five_commands_a_second() {
    const SECONDS: u64 = 6;
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    let first = wait(&store);
    watched(&mut foreign).await;
    let before = commands(&mut foreign).await;
    let deadline = Instant::now() + Duration::from_secs(SECONDS);
    let tasks = (0..20).map(|_| {
        let store = store.clone();
        async move {
            while Instant::now() < deadline {
                store.wait_for_work(Duration::from_millis(200)).await;
            }
        }
    });
    futures_util::future::join_all(tasks).await;
    let spent = commands(&mut foreign).await - before;
    first.abort();
    assert!(spent <= 5 * SECONDS, "{spent} commands in {SECONDS} idle seconds");
}

/// With jobs in a list `BLMOVE` answers at once. While all slots are busy nobody waits, and nothing
/// may run in circles.
#[tokio::test]
async fn jobs_that_nobody_waits_for_cost_nothing() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, ""), server.connection().await);
    foreign.lpush::<_, _, ()>("queue", "1").await.unwrap();
    for _ in 0..3 {
        store.wait_for_work(LONG).await;
    }
    // The watchers of the two empty lists may still wait; the third has answered and stands by.
    eventually("the watchers come to rest", async || watchers(&mut foreign).await <= 2).await;
    let before = commands(&mut foreign).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let spent = commands(&mut foreign).await - before;
    assert!(spent <= 3, "{spent} commands while nobody waited");
}
