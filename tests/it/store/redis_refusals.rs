//! What Redis refuses in the middle: keys of another type, a full memory. Nothing is half written and no
//! payload is lost.

use deadpool_redis::redis::aio::MultiplexedConnection;
use productforge::store::{Add, Change, IndexName, LeaseEnd, Queue, StoreError};

use super::{
    fixtures::*,
    redis_harness::age,
    redis_only::{run, setup},
};

fn is_corrupt<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_document_of_another_type_is_corrupt_and_left_alone() {
    let (_server, store, mut foreign) = setup().await;
    run::<()>(&mut foreign, "RPUSH note:odd x").await;
    is_corrupt(store.get(&[note("odd")]).await);
    is_corrupt(store.get(&[note("a"), note("odd")]).await);
    let witness = || Change::new().put(put("a", "one").indexed(1)).enqueue(job(Queue::Low, "1"));
    is_corrupt(store.apply(witness().put(put("odd", ""))).await);
    is_corrupt(store.apply(witness().expect(note("odd"), None)).await);
    assert_eq!(run::<Vec<String>>(&mut foreign, "KEYS *").await, ["note:odd"]);
    assert_eq!(run::<Vec<String>>(&mut foreign, "LRANGE note:odd 0 -1").await, ["x"]);
    // It may be removed, and an index that names it can be read.
    run::<()>(&mut foreign, "ZADD notes_index 1 odd").await;
    assert!(walk(&*store, &all_notes(), 10).await.is_empty());
    made(&*store, Change::new().delete(note("odd"))).await;
    assert!(run::<Vec<String>>(&mut foreign, "KEYS *").await.is_empty());
}

/// Every key that a change writes to, when it is not what it should be: nothing is half written.
#[tokio::test]
async fn a_key_of_another_type_stops_a_change_before_its_first_write() {
    for key in [
        "notes_index",
        "notes_by_agent:x",
        "queue_low",
        "pf:leases",
        "pf:inflight",
        "pf:due",
        "pf:event_id",
        "pf:events:all",
        "pf:events:run",
        "pf:expiring",
        "pf:indexed",
        "pf:tally:spent",
    ] {
        let (_server, store, mut foreign) = setup().await;
        enqueue(&*store, &["held"]).await;
        let token = take_one(&*store).await.token;
        run::<()>(&mut foreign, &format!("DEL {key}")).await;
        run::<()>(&mut foreign, &format!("SADD {key} x")).await;
        let before: Vec<String> = keys(&mut foreign).await;
        let change = Change::new()
            .under(token, LeaseEnd::Finish)
            .put(put("a", "").indexed(1).index(IndexName::by(NOTE, "agent", "x"), 1).ttl_ms(1_000_000))
            .enqueue(job(Queue::Low, "1"))
            .enqueue(job_at(Queue::Low, "2", i64::MAX))
            .event("run", Vec::new())
            .add(Add::new("spent", "tokens", 1));
        is_corrupt(store.apply(change).await);
        assert_eq!(keys(&mut foreign).await, before, "{key}");
    }
}

#[tokio::test]
async fn a_key_of_another_type_loses_no_payload() {
    // A list that cannot be read does not hold up the others; when they are empty it is told.
    let (_server, store, mut foreign) = setup().await;
    run::<()>(&mut foreign, "SADD queue_low x").await;
    run::<()>(&mut foreign, "LPUSH queue_high 1").await;
    assert_eq!(payloads(&store.reserve(&reserve_one()).await.unwrap()), ["1"]);
    is_corrupt(store.reserve(&reserve_one()).await);
    for key in ["pf:leases", "pf:inflight", "pf:token", "pf:crashes"] {
        let (_server, store, mut foreign) = setup().await;
        run::<()>(&mut foreign, &format!("SADD {key} x")).await;
        run::<()>(&mut foreign, "LPUSH queue_high 1").await;
        is_corrupt(store.reserve(&reserve_one()).await);
        assert_eq!(run::<Vec<String>>(&mut foreign, "LRANGE queue_high 0 -1").await, ["1"], "{key}");
    }
    for key in ["queue", "pf:crashes"] {
        let (_server, store, mut foreign) = setup().await;
        enqueue(&*store, &["1"]).await;
        take(&*store, 1).await;
        age(&foreign, "", OVER_A_MINUTE_MS).await;
        run::<()>(&mut foreign, &format!("SADD {key} x")).await;
        is_corrupt(store.sweep(100).await);
        assert_eq!(store.leases(9).await.unwrap().len(), 1, "{key}");
    }
}

/// Changes of many callers travel together; one that fails takes none of the others with it.
#[tokio::test]
async fn one_corrupt_change_among_many_fails_alone() {
    let (_server, store, mut foreign) = setup().await;
    run::<()>(&mut foreign, "RPUSH note:odd x").await;
    let calls = (0..200).map(|n| {
        let store = store.clone();
        let id = if n % 10 == 0 { "odd".to_owned() } else { n.to_string() };
        async move { (n, store.apply(Change::new().put(put(&id, "").indexed(n))).await) }
    });
    for (n, answer) in futures_util::future::join_all(calls).await {
        match n % 10 {
            0 => is_corrupt(answer),
            _ => assert!(answer.unwrap().is_ok()),
        }
    }
    assert_eq!(store.count(&all_notes()).await.unwrap(), 180);
}

fn reserve_one() -> productforge::store::Reserve {
    productforge::store::Reserve {
        worker: "w".into(),
        limit: 1,
        lease_ms: LEASE_MS,
        order: productforge::store::Queue::ALL,
    }
}

async fn keys(foreign: &mut MultiplexedConnection) -> Vec<String> {
    let mut keys: Vec<String> = run(foreign, "KEYS *").await;
    keys.sort();
    keys
}

#[tokio::test]
async fn a_full_memory_is_told_and_work_gets_on() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = tokens(&take(&*store, 2).await);
    run::<()>(&mut foreign, "CONFIG SET maxmemory 1").await;

    let hungry = |n: i64| Change::new().put(put(&n.to_string(), "").indexed(n)).enqueue(job(Queue::Low, "4"));
    let answer = store.apply(hungry(0)).await;
    assert!(matches!(answer, Err(StoreError::Full(_))), "{answer:?}");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
    // Also where it travels with what needs memory.
    let (full, finished) = tokio::join!(
        async { futures_util::future::join_all((0..20).map(|n| store.apply(hungry(n)))).await },
        async {
            futures_util::future::join_all((0..20).map(|_| store.apply(Change::new().delete(note("b")))))
                .await
        },
    );
    assert!(full.iter().all(|answer| matches!(answer, Err(StoreError::Full(_)))), "{full:?}");
    assert!(finished.iter().all(|answer| matches!(answer, Ok(Ok(_)))), "{finished:?}");
    // What only moves or removes goes on: no lease may run out because memory did.
    assert_eq!(store.renew(&held, LEASE_MS).await.unwrap(), [true, true]);
    made(&*store, Change::new().under(held[0], LeaseEnd::Requeue)).await;
    assert_eq!(payloads(&take(&*store, 1).await), ["1"]);
    made(&*store, Change::new().under(held[1], LeaseEnd::Finish)).await;
    age(&foreign, "", OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(9).await.unwrap().len(), 1);
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "3"]);

    run::<()>(&mut foreign, "CONFIG SET maxmemory 0").await;
    made(&*store, Change::new().put(put("a", ""))).await;
}
