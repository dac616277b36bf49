//! What is Redis' own: the owner's schema, foreign programs beside us, what the server forgot, what the
//! store says of it.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{AsyncCommands, FromRedisValue, aio::MultiplexedConnection, cmd};
use productforge::store::{Add, Change, IndexName, LeaseEnd, ListQuery, Queue, Store, StoreReport, redis};

use super::{
    fixtures::*,
    redis_harness::{age, open},
};
use crate::support::redis_server::{Options, RedisServer};

/// A server, a store on it without a prefix as the owner has it, and a foreign program.
pub async fn setup() -> (RedisServer, Arc<dyn Store>, MultiplexedConnection) {
    let server = RedisServer::start();
    let (store, foreign) = (open(&server, ""), server.connection().await);
    (server, store, foreign)
}

/// Runs a command given as words.
pub async fn run<T: FromRedisValue>(foreign: &mut MultiplexedConnection, words: &str) -> T {
    let mut words = words.split(' ');
    let mut command = cmd(words.next().unwrap());
    words.for_each(|word| _ = command.arg(word));
    command.query_async(foreign).await.unwrap()
}

#[tokio::test]
async fn keys_and_types_are_where_the_owner_has_them() {
    let (_server, store, mut foreign) = setup().await;
    let at = 1_763_812_345_678;
    let change = Change::new()
        .put(
            put("a", r#"{"x":1}"#)
                .indexed(at)
                .index(IndexName::by(NOTE, "agent", "qa_bot"), at)
                .ttl_ms(60_000),
        )
        .enqueue(job(Queue::High, r#"{"job_id":"h"}"#))
        .enqueue(job(Queue::Normal, r#"{"job_id":"n"}"#))
        .enqueue(job(Queue::Low, r#"{"job_id":"l"}"#))
        .event("run", b"{}".to_vec());
    made(&*store, change).await;

    for (key, kind) in [
        ("note:a", "string"),
        ("notes_index", "zset"),
        ("notes_by_agent:qa_bot", "zset"),
        ("queue_high", "list"),
        ("queue", "list"),
        ("queue_low", "list"),
        ("pf:events:run", "stream"),
        ("pf:events:all", "stream"),
    ] {
        assert_eq!(run::<String>(&mut foreign, &format!("TYPE {key}")).await, kind, "{key}");
    }
    assert_eq!(run::<String>(&mut foreign, "GET note:a").await, r#"{"x":1}"#);
    assert_eq!(run::<f64>(&mut foreign, "ZSCORE notes_index a").await, 1_763_812_345.678);
    assert_eq!(run::<i64>(&mut foreign, "TTL note:a").await, 60);
    assert_eq!(run::<Vec<String>>(&mut foreign, "LRANGE queue 0 -1").await, [r#"{"job_id":"n"}"#]);
}

#[tokio::test]
async fn every_key_stands_behind_the_prefix() {
    let server = RedisServer::start();
    let (store, mut foreign) = (open(&server, "{pf}:"), server.connection().await);
    let narrow = IndexName::by(NOTE, "agent", "x");
    let later = store.now().await.unwrap() + 60_000;
    let change = Change::new()
        .put(put("a", "").indexed(1).index(narrow.clone(), 1).ttl_ms(60_000))
        .enqueue(job(Queue::Normal, "crashes"))
        .enqueue(job(Queue::Normal, "held"))
        .enqueue(job_at(Queue::Low, "later", later))
        .event("run", b"{}".to_vec())
        .add(Add::new("spent", "tokens", 1));
    made(&*store, change).await;
    take_for(&*store, "w", 1, 0).await;
    take(&*store, 1).await;
    store.sweep(100).await.unwrap();

    let mut keys: Vec<String> = run(&mut foreign, "KEYS *").await;
    keys.sort();
    let mut expected = [
        "note:a",
        "notes_by_agent:x",
        "notes_index",
        "pf:crashes",
        "pf:due",
        "pf:event_id",
        "pf:events:all",
        "pf:events:run",
        "pf:expiring",
        "pf:indexed",
        "pf:inflight",
        "pf:leases",
        "pf:tally:spent",
        "pf:token",
        "queue",
    ]
    .map(|key| format!("{{pf}}:{key}"));
    expected.sort();
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_foreign_lpush_is_taken_in_order_of_priority() {
    let (_server, store, mut foreign) = setup().await;
    let odd: Vec<u8> = (0..=255).collect();
    for (list, payload) in [("queue_low", b"l1".to_vec()), ("queue", odd.clone()), ("queue", b"n2".to_vec())]
    {
        foreign.lpush::<_, _, ()>(list, payload).await.unwrap();
    }
    made(&*store, Change::new().enqueue(job(Queue::Low, "l2"))).await;
    foreign.lpush::<_, _, ()>("queue_high", "h1").await.unwrap();
    let taken: Vec<_> = take(&*store, 9).await.into_iter().map(|delivery| delivery.payload).collect();
    assert_eq!(taken, [b"h1".to_vec(), odd, b"n2".to_vec(), b"l1".to_vec(), b"l2".to_vec()]);
}

#[tokio::test]
async fn what_comes_back_is_raw_in_its_list_where_it_stood() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["1", "2", "3", "4"]).await;
    let held = tokens(&take(&*store, 3).await);
    made(&*store, Change::new().under(held[2], LeaseEnd::Requeue)).await;
    age(&foreign, "", OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    // The head is on the left, the tail is taken first.
    assert_eq!(run::<Vec<String>>(&mut foreign, "LRANGE queue 0 -1").await, ["4", "3", "2", "1"]);
}

#[tokio::test]
async fn equal_payloads_keep_crash_counts_of_their_own() {
    let (_server, store, foreign) = setup().await;
    enqueue(&*store, &["same", "same", "same"]).await;
    for _ in 0..2 {
        take(&*store, 1).await;
        age(&foreign, "", OVER_A_MINUTE_MS).await;
        store.sweep(100).await.unwrap();
    }
    let crashes: Vec<_> = take(&*store, 9).await.into_iter().map(|delivery| delivery.crashes).collect();
    assert_eq!(crashes, [2, 0, 0]);
}

#[tokio::test]
async fn a_crash_mark_does_not_outlive_what_a_foreign_consumer_took() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["1"]).await;
    take(&*store, 1).await;
    age(&foreign, "", OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    assert_eq!(run::<String>(&mut foreign, "RPOP queue").await, "1");
    assert!(take(&*store, 1).await.is_empty());
    assert!(!run::<bool>(&mut foreign, "EXISTS pf:crashes").await);
}

#[tokio::test]
async fn pages_are_exact_over_legacy_times() {
    let (_server, store, mut foreign) = setup().await;
    // Python's time.time() has microseconds, and a burst of jobs shares one.
    let mut expected = Vec::new();
    for n in (0..250).rev() {
        let (id, time) = (format!("n{n:03}"), format!("1763812345.{:06}", 123_456 + n / 40));
        foreign.set::<_, _, ()>(format!("note:{id}"), "{}").await.unwrap();
        run::<()>(&mut foreign, &format!("ZADD notes_index {time} {id}")).await;
        expected.push(id);
    }
    for limit in [1, 7, 100] {
        assert_eq!(walk(&*store, &all_notes(), limit).await, expected);
    }
    // The place is kept where the document has gone and others have come.
    let page = store.list(&ListQuery::newest(NOTE, 100)).await.unwrap();
    made(&*store, Change::new().delete(note("n150")).delete(note("n149"))).await;
    run::<()>(&mut foreign, "ZADD notes_index 1763812345.123459 n150x").await;
    let rest = store.list(&ListQuery::newest(NOTE, 3).after(page.next)).await.unwrap();
    assert_eq!(ids(&rest.docs), ["n148", "n147", "n146"]);
}

#[tokio::test]
async fn what_foreign_programs_do_to_lives_is_followed() {
    let (_server, store, mut foreign) = setup().await;
    for id in ["kept", "prolonged", "gone"] {
        made(&*store, Change::new().put(put(id, id).indexed(1).ttl_ms(60_000))).await;
    }
    run::<()>(&mut foreign, "SET note:kept for-ever").await;
    run::<()>(&mut foreign, "SET note:prolonged longer EX 1000").await;
    age(&foreign, "", OVER_A_MINUTE_MS).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 2);
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["prolonged", "kept"]);
    age(&foreign, "", 1_000_000).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let (_server, store, mut foreign) = setup().await;
    for _ in 0..3 {
        enqueue(&*store, &["1"]).await;
        run::<()>(&mut foreign, "SCRIPT FLUSH").await;
        let token = take_one(&*store).await.token;
        made(&*store, Change::new().under(token, LeaseEnd::Finish)).await;
    }
}

/// A worker that sleeps through a flush, or through a failover to a replica that lagged, wakes up with
/// the token of a lease that another one now has, were tokens a plain counter.
#[tokio::test]
async fn tokens_and_event_ids_rise_also_after_everything_was_lost() {
    let (_server, store, mut foreign) = setup().await;
    let one_round = async || {
        enqueue(&*store, &["1"]).await;
        let events = made(&*store, Change::new().event("run", Vec::new())).await.event_ids;
        (take_one(&*store).await.token, events)
    };
    let before = one_round().await;
    run::<()>(&mut foreign, "FLUSHALL").await;
    let after = one_round().await;
    assert!(before.0 < after.0 && before.1 < after.1, "{before:?} then {after:?}");
    let late = Change::new().under(before.0, LeaseEnd::Finish);
    assert_eq!(refused(&*store, late).await, productforge::store::Refusal::LeaseLost);
}

fn finding(report: &StoreReport, name: &str) -> (bool, String) {
    let check = report.checks.iter().find(|check| check.name == name).unwrap();
    (check.ok, check.detail.clone())
}

#[tokio::test]
async fn the_check_says_what_to_do() {
    let (_server, store, mut foreign) = setup().await;
    run::<()>(&mut foreign, "CONFIG SET maxmemory-policy allkeys-lru").await;
    let report = store.check().await.unwrap();
    assert_eq!(report.engine, "redis");
    assert!(finding(&report, "version").0, "{report:?}");
    for (name, advice) in [("eviction", "noeviction"), ("persistence", "appendonly yes")] {
        let (ok, detail) = finding(&report, name);
        assert!(!ok && detail.contains(advice), "{detail}");
    }
    let server = RedisServer::start_durable();
    let report = open(&server, "").check().await.unwrap();
    assert!(report.checks.iter().all(|check| check.ok), "{report:?}");
}

#[tokio::test]
async fn the_check_does_not_fail_where_the_server_keeps_its_mouth_shut() {
    let extra = "--user mute on >pw ~* +@all -info -config";
    let server = RedisServer::start_with(Options { extra, ..Options::default() });
    let url = server.url().replace("redis://", "redis://mute:pw@");
    let store = redis::RedisStore::open(redis::RedisOptions { url, prefix: String::new() }).unwrap();
    let report = store.check().await.unwrap();
    assert_eq!(report.version, "unknown");
    for name in ["version", "role", "eviction", "persistence"] {
        assert!(finding(&report, name).1.starts_with("unknown"), "{report:?}");
    }
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let server = RedisServer::start_with(Options { extra: "--requirepass right", ..Options::default() });
    let place = format!("127.0.0.1:{}", server.port());
    for url in [
        format!("redis://:s3cret@{place}"),
        format!("redis://s3cret:s3cret@{place}/0"),
        "redis://:s3cret@127.0.0.1:1".to_owned(),
        "redis://:s3cret@no-such-host.invalid".to_owned(),
        "redis://:s3cret@127.0.0.1:99999999".to_owned(),
        "http://:s3cret@127.0.0.1".to_owned(),
        "redis://:s3cret@127.0.0.1/not-a-number".to_owned(),
    ] {
        let error =
            match redis::RedisStore::open(redis::RedisOptions { url: url.clone(), prefix: String::new() }) {
                Ok(store) => store.now().await.unwrap_err(),
                Err(error) => error,
            };
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}: {error:?}");
    }
}

/// A closed store holds nothing open.
#[tokio::test]
async fn closing_ends_all_connections() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["1"]).await;
    store.wait_for_work(Duration::from_secs(5)).await;
    store.depth().await.unwrap();
    store.close().await;
    eventually("only the test is connected", async || {
        run::<String>(&mut foreign, "CLIENT LIST").await.lines().count() == 1
    })
    .await;
}
