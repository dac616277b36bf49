//! Bounds of adds: a change is made while its fields are below them, and not at all otherwise.

use std::collections::BTreeMap;

use productforge::store::{Add, Change, LeaseEnd, MAX_TALLY, Queue, Refusal, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_field_is_added_to_while_it_is_below_the_bound,
    a_field_that_is_not_there_counts_as_nothing,
    a_bound_holds_for_values_below_nothing,
    a_bound_without_an_add_is_a_condition_all_the_same,
    no_bound_sees_what_its_own_change_adds,
    a_bound_beyond_all_values_refuses_nothing_or_all,
    the_first_field_that_is_not_below_its_bound_is_named,
    every_other_condition_comes_before_a_bound,
    whatever_refuses_a_change_nothing_is_added,
    a_refused_change_writes_nothing,
    many_changes_at_once_pass_a_bound_by_no_more_than_one_add,
    of_many_changes_at_once_each_is_made_or_refused_by_itself,
);

fn spent(by: i64) -> Add {
    Add::new("spent", "tokens", by)
}

async fn value(store: &dyn Store) -> Option<i64> {
    tally(store, "spent").await.get("tokens").copied()
}

async fn a_field_is_added_to_while_it_is_below_the_bound(h: &mut dyn Harness) {
    let store = h.store();
    let four = || Change::new().add(spent(4).below(10));
    for sum in [4, 8, 12] {
        made(&*store, four()).await;
        assert_eq!(value(&*store).await, Some(sum));
    }
    assert_eq!(refused(&*store, four()).await, exceeded("spent", "tokens"));
    // Exactly at the bound is not below it; one less is.
    made(&*store, Change::new().add(spent(-2))).await;
    assert_eq!(refused(&*store, four()).await, exceeded("spent", "tokens"));
    made(&*store, Change::new().add(spent(-1))).await;
    made(&*store, four()).await;
    assert_eq!(value(&*store).await, Some(13));
    // Who says no bound is not asked for one.
    made(&*store, Change::new().add(spent(1))).await;
    assert_eq!(value(&*store).await, Some(14));
}

async fn a_field_that_is_not_there_counts_as_nothing(h: &mut dyn Harness) {
    let store = h.store();
    for below in [0, -1] {
        assert_eq!(
            refused(&*store, Change::new().add(spent(1).below(below))).await,
            exceeded("spent", "tokens")
        );
    }
    assert_eq!(tally(&*store, "spent").await, BTreeMap::new());
    made(&*store, Change::new().add(Add::new("spent", "other", 100))).await;
    made(&*store, Change::new().add(spent(1).below(1))).await;
    assert_eq!(value(&*store).await, Some(1));
}

async fn a_bound_holds_for_values_below_nothing(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(-10))).await;
    assert_eq!(refused(&*store, Change::new().add(spent(1).below(-10))).await, exceeded("spent", "tokens"));
    made(&*store, Change::new().add(spent(-5).below(-9))).await;
    assert_eq!(value(&*store).await, Some(-15));
}

async fn a_bound_without_an_add_is_a_condition_all_the_same(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(5))).await;
    let gate = |below: i64| Change::new().add(spent(0).below(below)).put(put("a", "through"));
    assert_eq!(refused(&*store, gate(5)).await, exceeded("spent", "tokens"));
    assert_eq!(doc(&*store, "a").await, None);
    made(&*store, gate(6)).await;
    assert_eq!((value(&*store).await, body(&*store, "a").await.as_deref()), (Some(5), Some("through")));
}

async fn no_bound_sees_what_its_own_change_adds(h: &mut dyn Harness) {
    let store = h.store();
    let change = Change::new()
        .add(spent(10).below(1))
        .add(spent(10).below(1))
        .add(Add::new("other", "tokens", 1))
        .add(spent(10).below(1));
    made(&*store, change.clone()).await;
    assert_eq!(value(&*store).await, Some(30));
    // Nor one that it would take away first.
    let lower = Change::new().add(spent(-30)).add(spent(1).below(30));
    assert_eq!(refused(&*store, lower).await, exceeded("spent", "tokens"));
    assert_eq!(value(&*store).await, Some(30));
}

async fn a_bound_beyond_all_values_refuses_nothing_or_all(h: &mut dyn Harness) {
    let store = h.store();
    for field in ["up", "down"] {
        let by = if field == "up" { MAX_TALLY } else { -MAX_TALLY };
        made(&*store, Change::new().add(Add::new("spent", field, by))).await;
        let bound = |below: i64| Change::new().add(Add::new("spent", field, 0).below(below));
        for below in [i64::MAX, MAX_TALLY + 2, MAX_TALLY + 1, by + 1] {
            made(&*store, bound(below)).await;
        }
        for below in [i64::MIN, -MAX_TALLY - 2, -MAX_TALLY - 1, -MAX_TALLY, by] {
            assert_eq!(refused(&*store, bound(below)).await, exceeded("spent", field));
        }
    }
}

async fn the_first_field_that_is_not_below_its_bound_is_named(h: &mut dyn Harness) {
    let store = h.store();
    made(
        &*store,
        Change::new().add(Add::new("a", "x", 5)).add(Add::new("a", "y", 5)).add(Add::new("b", "x", 5)),
    )
    .await;
    let at = |tally: &str, field: &str, below: i64| Add::new(tally, field, 1).below(below);
    let refusals = [
        (vec![at("a", "x", 6), at("a", "y", 5), at("b", "x", 5)], exceeded("a", "y")),
        (vec![at("b", "x", 5), at("a", "y", 5), at("a", "x", 5)], exceeded("b", "x")),
        (vec![at("a", "x", 6), at("b", "y", 1), at("a", "x", 6), at("a", "x", 5)], exceeded("a", "x")),
        (vec![Add::new("a", "x", 1), Add::new("b", "x", 1), at("b", "y", 0)], exceeded("b", "y")),
    ];
    for (adds, refusal) in refusals {
        let change = adds.into_iter().fold(Change::new(), Change::add);
        assert_eq!(refused(&*store, change).await, refusal);
    }
    assert_eq!(tally(&*store, "a").await, fields(&[("x", 5), ("y", 5)]));
    assert_eq!(tally(&*store, "b").await, fields(&[("x", 5)]));
}

async fn every_other_condition_comes_before_a_bound(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = take(&*store, 3).await;
    let agent = claim("agent", 1);
    made(&*store, claiming(held[0].token, std::slice::from_ref(&agent))).await;
    made(&*store, Change::new().add(spent(5))).await;
    let broken = |lease: usize| {
        claiming(held[lease].token, std::slice::from_ref(&agent))
            .expect(note("a"), Some(rev("one")))
            .add(spent(1).below(5))
    };
    made(&*store, Change::new().under(held[2].token, LeaseEnd::Finish)).await;
    assert_eq!(refused(&*store, broken(2)).await, Refusal::LeaseLost);
    assert_eq!(refused(&*store, broken(1)).await, Refusal::Changed(note("a")));
    made(&*store, Change::new().put(put("a", "one"))).await;
    assert_eq!(refused(&*store, broken(1)).await, Refusal::Limited(agent.clone()));
    made(&*store, Change::new().under(held[0].token, LeaseEnd::Finish)).await;
    assert_eq!(refused(&*store, broken(1)).await, exceeded("spent", "tokens"));
    // The claim was not given.
    enqueue(&*store, &["4"]).await;
    take_and_claim(&*store, &[agent]).await;
}

async fn whatever_refuses_a_change_nothing_is_added(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = take(&*store, 3).await;
    let agent = [claim("agent", 1)];
    made(&*store, claiming(held[0].token, &agent)).await;
    made(&*store, Change::new().under(held[2].token, LeaseEnd::Finish)).await;
    let adds = |change: Change| change.add(Add::new("new", "x", 1)).add(spent(1).keep_ms(1));
    refused(&*store, adds(Change::new().under(held[2].token, LeaseEnd::Keep))).await;
    refused(&*store, adds(Change::new().expect(note("a"), Some(rev("one"))))).await;
    refused(&*store, adds(claiming(held[1].token, &agent))).await;
    refused(&*store, adds(Change::new()).add(Add::new("last", "x", 1).below(0))).await;
    for name in ["new", "spent", "last"] {
        assert_eq!(tally(&*store, name).await, BTreeMap::new());
    }
}

async fn a_refused_change_writes_nothing(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("kept", "kept").indexed(1)).add(spent(5))).await;
    enqueue(&*store, &["held", "other"]).await;
    let held = take(&*store, 2).await;
    let depth = store.depth().await.unwrap();
    for end in [LeaseEnd::Keep, LeaseEnd::Finish, LeaseEnd::Requeue, LeaseEnd::Park(claim("agent", 1))] {
        let change = Change::new()
            .under(held[0].token, end)
            .expect(note("kept"), Some(rev("kept")))
            .put(put("a", "never").indexed(2))
            .put(put("kept", "never").indexed(3))
            .delete(note("kept"))
            .enqueue(job(Queue::High, "never"))
            .event("run", b"never".to_vec())
            .revoke(held[1].token)
            .add(Add::new("new", "x", 1))
            .add(spent(1).below(5));
        assert_eq!(refused(&*store, change).await, exceeded("spent", "tokens"));
    }
    assert_eq!(doc(&*store, "a").await, None);
    assert_eq!(body(&*store, "kept").await.unwrap(), "kept");
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["kept"]);
    assert!(event_bodies(&*store, "run").await.is_empty());
    assert_eq!(store.depth().await.unwrap(), depth);
    assert_eq!(store.renew(&tokens(&held), LEASE_MS).await.unwrap(), [true; 2]);
    assert_eq!(tally(&*store, "new").await, BTreeMap::new());
    assert_eq!(value(&*store).await, Some(5));
}

async fn many_changes_at_once_pass_a_bound_by_no_more_than_one_add(h: &mut dyn Harness) {
    let store = h.store();
    for (field, by, below, makes) in [("one", 1, 50, 50), ("seven", 7, 50, 8), ("all", 1, 1_000, 100)] {
        let change = Change::new().add(Add::new("spent", field, by).below(below));
        let outcomes = at_once(&store, vec![change; 100]).await;
        assert_eq!(outcomes.into_iter().filter(|made| *made).count(), makes, "{field}");
        assert_eq!(tally(&*store, "spent").await[field], by * makes as i64);
    }
}

/// Some are refused, and nothing of them is written, while those beside them are made.
async fn of_many_changes_at_once_each_is_made_or_refused_by_itself(h: &mut dyn Harness) {
    let store = h.store();
    let change = |n: i64| {
        let counted = spent(1).below(if n % 2 == 0 { i64::MAX } else { 0 });
        let id = n.to_string();
        Change::new()
            .put(put(&id, "").indexed(n))
            .enqueue(job(Queue::Normal, &id))
            .event("run", id.into_bytes())
            .add(Add::new("all", "x", 1))
            .add(counted)
    };
    let outcomes = at_once(&store, (0..100).map(change).collect()).await;
    assert_eq!(outcomes, (0..100).map(|n| n % 2 == 0).collect::<Vec<_>>());
    assert_eq!((value(&*store).await, tally(&*store, "all").await), (Some(50), fields(&[("x", 50)])));
    assert_eq!(store.count(&all_notes()).await.unwrap(), 50);
    assert_eq!(store.depth().await.unwrap().normal, 50);
    let mut events: Vec<i64> =
        event_bodies(&*store, "run").await.iter().map(|body| body.parse().unwrap()).collect();
    events.sort();
    assert_eq!(events, (0..50).map(|n| 2 * n).collect::<Vec<_>>());
}
