//! Tallies where they are Redis' own: two stores on one server, foreign hands, what walks through all keys.

use deadpool_redis::redis::AsyncCommands;
use productforge::store::{Add, AuditPart, Change, LeaseEnd, Queue, StoreError};

use super::{
    audits::audit,
    fixtures::*,
    redis_harness::open,
    redis_only::{run, setup},
};

fn spent(by: i64) -> Add {
    Add::new("spent", "tokens", by)
}

#[tokio::test]
async fn a_tally_is_a_hash_of_whole_numbers() {
    let (_server, store, mut foreign) = setup().await;
    made(&*store, Change::new().add(spent(5)).add(Add::new("spent", "calls", -1).keep_ms(60_000))).await;
    made(&*store, Change::new().add(Add::new("for ever", "x", 1))).await;
    assert_eq!(run::<String>(&mut foreign, "TYPE pf:tally:spent").await, "hash");
    assert_eq!(run::<Vec<String>>(&mut foreign, "HMGET pf:tally:spent tokens calls").await, ["5", "-1"]);
    let left: i64 = run(&mut foreign, "PTTL pf:tally:spent").await;
    assert!((50_000..=60_000).contains(&left), "{left}");
    let keys: Vec<String> = run(&mut foreign, "KEYS *").await;
    assert_eq!(keys.len(), 2, "nothing is kept beside them: {keys:?}");
    made(&*store, Change::new().add(spent(0).keep_ms(0))).await;
    assert_eq!(run::<Vec<String>>(&mut foreign, "KEYS *").await, ["pf:tally:for ever"]);
}

#[tokio::test]
async fn two_stores_count_together_up_to_one_bound() {
    let (server, store, _foreign) = setup().await;
    let stores = [store, open(&server, "")];
    let calls = (0..200).map(|n| {
        let store = stores[n % 2].clone();
        async move { store.apply(Change::new().add(spent(3).below(100)).add(Add::new("made", "x", 1))).await }
    });
    let made = futures_util::future::join_all(calls).await;
    assert_eq!(made.iter().filter(|answer| answer.as_ref().unwrap().is_ok()).count(), 34);
    for store in &stores {
        assert_eq!(tally(&**store, "spent").await, fields(&[("tokens", 102)]));
        assert_eq!(tally(&**store, "made").await, fields(&[("x", 34)]));
    }
    stores[1].close().await;
}

/// What HINCRBY would refuse in the middle of a change is looked at before its first write.
#[tokio::test]
async fn a_field_that_is_no_number_stops_a_change_before_its_first_write() {
    let (_server, store, mut foreign) = setup().await;
    for odd in ["x", "", "1.5", "1e3", "0x10", " 1", "007", "-0", "nan", "inf", "9223372036854775807"] {
        foreign
            .hset_multiple::<_, _, _, ()>("pf:tally:spent", &[("calls", "1"), ("tokens", odd)])
            .await
            .unwrap();
        let change = Change::new()
            .put(put("a", "").indexed(1))
            .enqueue(job(Queue::Low, "1"))
            .add(Add::new("new", "x", 1))
            .add(Add::new("spent", "calls", 1))
            .add(spent(1));
        let answer = store.apply(change).await;
        assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{odd}: {answer:?}");
        assert_eq!(run::<Vec<String>>(&mut foreign, "KEYS *").await, ["pf:tally:spent"], "{odd}");
        // Its other fields go on, and it can be ended.
        made(&*store, Change::new().add(Add::new("spent", "calls", 1))).await;
        made(&*store, Change::new().add(Add::new("spent", "calls", 1).keep_ms(0))).await;
    }
}

/// Changes of many callers travel together; one that meets a broken tally takes none of the others with it.
#[tokio::test]
async fn a_broken_tally_stops_those_that_add_to_it_and_no_others() {
    let (_server, store, mut foreign) = setup().await;
    run::<()>(&mut foreign, "RPUSH pf:tally:broken x").await;
    let calls = (0..200).map(|n| {
        let store = store.clone();
        let name = if n % 10 == 0 { "broken" } else { "spent" };
        async move { (n, store.apply(Change::new().add(spent(1)).add(Add::new(name, "x", 1))).await) }
    });
    for (n, answer) in futures_util::future::join_all(calls).await {
        assert_eq!(matches!(answer, Err(StoreError::Corrupt { .. })), n % 10 == 0, "{answer:?}");
    }
    assert_eq!(tally(&*store, "spent").await, fields(&[("tokens", 180), ("x", 180)]));
    let names = ["spent", "broken"].map(str::to_owned);
    assert!(matches!(store.tallies(&names).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn an_add_that_finds_the_memory_full_is_told_so_and_gives_nothing_half() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["1"]).await;
    made(&*store, Change::new().add(spent(1))).await;
    let token = take_one(&*store).await.token;
    run::<()>(&mut foreign, "CONFIG SET maxmemory 1").await;
    let change = || Change::new().under(token, LeaseEnd::Finish).add(spent(1).keep_ms(60_000));
    let answer = store.apply(change()).await;
    assert!(matches!(answer, Err(StoreError::Full(_))), "{answer:?}");
    assert_eq!(tally(&*store, "spent").await, fields(&[("tokens", 1)]));
    assert_eq!(store.renew(&[token], LEASE_MS).await.unwrap(), [true]);
    run::<()>(&mut foreign, "CONFIG SET maxmemory 0").await;
    made(&*store, change()).await;
    assert_eq!(tally(&*store, "spent").await, fields(&[("tokens", 2)]));
}

#[tokio::test]
async fn an_audit_leaves_tallies_alone_whatever_they_are_called() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["holds", "parked"]).await;
    take_and_claim(&*store, &[claim("agent", 1)]).await;
    take_and_park(&*store, &claim("agent", 1)).await;
    for name in ["spent", "claims:agent", "parked:agent", "pf:claims:agent"] {
        made(&*store, Change::new().add(Add::new(name, "x", 7).keep_ms(600_000))).await;
    }
    for part in [AuditPart::Leases, AuditPart::Index(NOTE, all_notes())] {
        assert_eq!(audit(&*store, &part).await.2, [""; 0]);
    }
    assert_eq!(tally(&*store, "claims:agent").await, fields(&[("x", 7)]));
    assert_eq!(run::<Vec<String>>(&mut foreign, "KEYS pf:tally:*").await.len(), 4);
}
