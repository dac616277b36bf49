//! Tallies whose life has ended: absent for every verb from that moment, and cleared away in bounds.

use std::collections::BTreeMap;

use productforge::store::{Add, Change, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_tally_lives_until_its_life_ends,
    a_tally_without_a_life_limit_lives_for_ever,
    a_life_that_is_said_anew_counts_from_then,
    an_add_that_says_no_life_leaves_it_as_it_is,
    a_life_is_that_of_the_whole_tally,
    the_last_life_that_a_change_says_counts,
    a_life_of_nothing_ends_with_its_change,
    the_longest_life_of_a_tally_is_taken,
    a_tally_that_has_ended_counts_as_nothing_for_a_bound,
    a_tally_that_has_ended_begins_anew,
    a_refused_change_says_no_life,
    clearing_away_takes_what_has_ended_and_nothing_else,
);

const MINUTE: u64 = 60_000;

fn spent(by: i64) -> Add {
    Add::new("spent", "tokens", by)
}

async fn value(store: &dyn Store) -> Option<i64> {
    tally(store, "spent").await.get("tokens").copied()
}

async fn a_tally_lives_until_its_life_ends(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5).keep_ms(3 * MINUTE))).await;
    h.age(2 * MINUTE).await;
    assert_eq!(value(&*store).await, Some(5));
    h.age(2 * MINUTE).await;
    assert_eq!(tally(&*store, "spent").await, BTreeMap::new());
    let names = ["spent".to_owned(), "other".to_owned()];
    assert_eq!(store.tallies(&names).await.unwrap(), [BTreeMap::new(), BTreeMap::new()]);
}

async fn a_tally_without_a_life_limit_lives_for_ever(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5))).await;
    h.age(1_000_000 * MINUTE).await;
    store.expire(100).await.unwrap();
    assert_eq!(value(&*store).await, Some(5));
}

async fn a_life_that_is_said_anew_counts_from_then(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(1)).add(Add::new("short", "x", 1).keep_ms(10 * MINUTE))).await;
    for _ in 0..3 {
        made(&*store, Change::new().add(spent(1).keep_ms(3 * MINUTE))).await;
        h.age(2 * MINUTE).await;
    }
    assert_eq!(value(&*store).await, Some(4));
    // A shorter one too.
    made(&*store, Change::new().add(Add::new("short", "x", 1).keep_ms(MINUTE))).await;
    h.age(2 * MINUTE).await;
    assert_eq!(tally(&*store, "short").await, BTreeMap::new());
    assert_eq!(value(&*store).await, None);
}

async fn an_add_that_says_no_life_leaves_it_as_it_is(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(1).keep_ms(3 * MINUTE))).await;
    h.age(2 * MINUTE).await;
    made(&*store, Change::new().add(spent(1))).await;
    assert_eq!(value(&*store).await, Some(2));
    h.age(2 * MINUTE).await;
    assert_eq!(value(&*store).await, None);
}

async fn a_life_is_that_of_the_whole_tally(h: &mut dyn Harness) {
    let store = h.store();
    let change = Change::new()
        .add(Add::new("spent", "calls", 1))
        .add(spent(1).keep_ms(MINUTE))
        .add(Add::new("spent", "errors", 1))
        .add(Add::new("other", "x", 1));
    made(&*store, change).await;
    assert_eq!(tally(&*store, "spent").await.len(), 3);
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(tally(&*store, "spent").await, BTreeMap::new());
    assert_eq!(tally(&*store, "other").await, fields(&[("x", 1)]));
}

async fn the_last_life_that_a_change_says_counts(h: &mut dyn Harness) {
    let store = h.store();
    let lives = |name: &str, lives: [Option<u64>; 3]| {
        lives.into_iter().map(move |keep_ms| Add { keep_ms, ..Add::new(name, "x", 1) }).collect::<Vec<_>>()
    };
    let change = [
        lives("longer", [Some(MINUTE), Some(3 * MINUTE), None]),
        lives("shorter", [Some(3 * MINUTE), None, Some(MINUTE)]),
        lives("apart", [Some(0), None, None]),
        lives("between", [Some(MINUTE), None, None]),
        lives("apart", [None, None, Some(3 * MINUTE)]),
    ];
    made(&*store, change.concat().into_iter().fold(Change::new(), Change::add)).await;
    for (name, sum) in [("longer", 3), ("shorter", 3), ("apart", 6), ("between", 3)] {
        assert_eq!(tally(&*store, name).await, fields(&[("x", sum)]), "{name}");
    }
    h.age(2 * MINUTE).await;
    for (name, lives) in [("longer", true), ("shorter", false), ("apart", true), ("between", false)] {
        assert_eq!(!tally(&*store, name).await.is_empty(), lives, "{name}");
    }
    h.age(2 * MINUTE).await;
    for name in ["longer", "apart"] {
        assert_eq!(tally(&*store, name).await, BTreeMap::new());
    }
}

async fn a_life_of_nothing_ends_with_its_change(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5)).add(Add::new("spent", "calls", 1))).await;
    made(&*store, Change::new().add(spent(1).below(6).keep_ms(0)).add(Add::new("spent", "x", 1))).await;
    assert_eq!(tally(&*store, "spent").await, BTreeMap::new());
    made(&*store, Change::new().add(spent(3).below(1))).await;
    assert_eq!(tally(&*store, "spent").await, fields(&[("tokens", 3)]));
    h.age(1_000 * MINUTE).await;
    assert_eq!(value(&*store).await, Some(3));
}

async fn the_longest_life_of_a_tally_is_taken(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5).keep_ms(u64::MAX))).await;
    h.age(1_000_000 * MINUTE).await;
    assert_eq!(value(&*store).await, Some(5));
    made(&*store, Change::new().add(spent(1).keep_ms(MINUTE))).await;
    assert_eq!(value(&*store).await, Some(6));
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(value(&*store).await, None);
}

async fn a_tally_that_has_ended_counts_as_nothing_for_a_bound(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5).keep_ms(MINUTE))).await;
    let more = || Change::new().add(spent(2).below(5));
    let exceeded = exceeded("spent", "tokens");
    assert_eq!(refused(&*store, more()).await, exceeded);
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(refused(&*store, Change::new().add(spent(2).below(0))).await, exceeded);
    made(&*store, more()).await;
    assert_eq!(value(&*store).await, Some(2));
}

async fn a_tally_that_has_ended_begins_anew(h: &mut dyn Harness) {
    let store = h.store();
    for janitor in [false, true] {
        made(&*store, Change::new().add(spent(5).keep_ms(MINUTE)).add(Add::new("spent", "calls", 1))).await;
        h.age(OVER_A_MINUTE_MS).await;
        if janitor {
            store.expire(100).await.unwrap();
        }
        made(&*store, Change::new().add(spent(2))).await;
        assert_eq!(tally(&*store, "spent").await, fields(&[("tokens", 2)]), "janitor: {janitor}");
        // Nothing of the old life is left: it lives for ever.
        h.age(OVER_A_MINUTE_MS).await;
        store.expire(100).await.unwrap();
        assert_eq!(tally(&*store, "spent").await, fields(&[("tokens", 2)]), "janitor: {janitor}");
        made(&*store, Change::new().add(spent(0).keep_ms(0))).await;
    }
}

async fn a_refused_change_says_no_life(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5))).await;
    refused(&*store, Change::new().add(spent(1).keep_ms(MINUTE)).add(spent(1).below(5))).await;
    refused(&*store, Change::new().expect(note("a"), Some(rev("one"))).add(spent(1).keep_ms(0))).await;
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(value(&*store).await, Some(5));
}

async fn clearing_away_takes_what_has_ended_and_nothing_else(h: &mut dyn Harness) {
    let store = h.store();
    for n in 0..25 {
        let change = Change::new()
            .add(Add::new(format!("ends {n}"), "x", 1).keep_ms(MINUTE))
            .add(Add::new(format!("stays {n}"), "x", 1).keep_ms(3 * MINUTE));
        made(&*store, change).await;
    }
    made(&*store, Change::new().add(spent(1))).await;
    h.age(OVER_A_MINUTE_MS).await;
    let mut calls = 0;
    while store.expire(10).await.unwrap() {
        calls += 1;
        assert!(calls < 25, "it has no end");
    }
    let names = |what: &str| (0..25).map(|n| format!("{what} {n}")).collect::<Vec<_>>();
    assert!(store.tallies(&names("ends")).await.unwrap().iter().all(BTreeMap::is_empty));
    assert!(store.tallies(&names("stays")).await.unwrap().iter().all(|tally| *tally == fields(&[("x", 1)])));
    assert_eq!(value(&*store).await, Some(1));
}
