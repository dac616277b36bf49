//! Tallies: numbers that are added to, in the one write.

use std::collections::BTreeMap;

use productforge::store::{Add, Change, LeaseEnd, MAX_BATCH, MAX_TALLY, Queue, Refusal, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_tally_that_nobody_added_to_is_empty,
    tallies_come_in_the_order_of_their_names,
    what_is_added_to_a_field_sums_up,
    a_field_that_comes_back_to_nothing_stays,
    a_tally_has_many_fields,
    names_and_fields_are_opaque_and_do_not_meet,
    adds_are_made_with_all_else_of_their_change,
    adds_are_made_under_a_lease_however_it_ends,
    many_changes_at_once_sum_up_exactly,
    a_value_stops_at_the_largest_number,
);

fn spent(by: i64) -> Add {
    Add::new("spent", "tokens", by)
}

async fn value(store: &dyn Store) -> Option<i64> {
    tally(store, "spent").await.get("tokens").copied()
}

async fn a_tally_that_nobody_added_to_is_empty(h: &mut dyn Harness) {
    let store = h.store();
    assert_eq!(tally(&*store, "spent").await, BTreeMap::new());
    assert_eq!(store.tallies(&[]).await.unwrap(), []);
    made(&*store, Change::new().add(spent(1))).await;
    assert_eq!(tally(&*store, "other").await, BTreeMap::new());
    assert_eq!(tally(&*store, "").await, BTreeMap::new());
}

async fn tallies_come_in_the_order_of_their_names(h: &mut dyn Harness) {
    let store = h.store();
    let change =
        Change::new().add(Add::new("a", "x", 1)).add(Add::new("b", "x", 2)).add(Add::new("b", "y", 3));
    made(&*store, change).await;
    let names = ["b", "none", "a", "b"].map(str::to_owned);
    let found = store.tallies(&names).await.unwrap();
    let b = fields(&[("x", 2), ("y", 3)]);
    assert_eq!(found, [b.clone(), fields(&[]), fields(&[("x", 1)]), b]);
}

async fn what_is_added_to_a_field_sums_up(h: &mut dyn Harness) {
    let store = h.store();
    for (by, sum) in [(5, 5), (7, 12), (-20, -8), (0, -8), (8, 0)] {
        made(&*store, Change::new().add(spent(by))).await;
        assert_eq!(value(&*store).await, Some(sum));
    }
    // Several of one change, also where another tally stands between them.
    let change = Change::new().add(spent(1)).add(spent(1)).add(Add::new("other", "tokens", 9)).add(spent(-5));
    made(&*store, change).await;
    assert_eq!(value(&*store).await, Some(-3));
    assert_eq!(tally(&*store, "other").await, fields(&[("tokens", 9)]));
}

async fn a_field_that_comes_back_to_nothing_stays(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().add(spent(3))).await;
    made(&*store, Change::new().add(spent(-3)).add(Add::new("new", "x", 0))).await;
    assert_eq!(value(&*store).await, Some(0));
    assert_eq!(tally(&*store, "new").await, fields(&[("x", 0)]));
}

async fn a_tally_has_many_fields(h: &mut dyn Harness) {
    let store = h.store();
    for block in 0..10 {
        let adds = (0..MAX_BATCH as i64).map(|n| Add::new("spent", format!("{block}-{n}"), n));
        made(&*store, adds.fold(Change::new(), Change::add)).await;
    }
    let found = tally(&*store, "spent").await;
    assert_eq!(found.len(), 10 * MAX_BATCH);
    assert_eq!((found["0-0"], found["9-99"]), (0, 99));
}

async fn names_and_fields_are_opaque_and_do_not_meet(h: &mut dyn Harness) {
    let store = h.store();
    let odd = [
        "0",
        "a",
        "A",
        " a",
        "a:b",
        "ünï çødé",
        "a b\tc\r\nd",
        "\0",
        "{}",
        "%s*?[a]",
        &"ü".repeat(128),
        "-1",
    ];
    for (n, name) in odd.iter().enumerate() {
        let adds = odd.iter().enumerate().map(|(m, field)| Add::new(*name, *field, (100 * n + m) as i64));
        made(&*store, adds.fold(Change::new(), Change::add)).await;
    }
    for (n, name) in odd.iter().enumerate() {
        let expected: Vec<_> =
            odd.iter().enumerate().map(|(m, field)| (*field, (100 * n + m) as i64)).collect();
        assert_eq!(tally(&*store, name).await, fields(&expected), "{name:?}");
        let refusal = refused(&*store, Change::new().add(Add::new(*name, *name, 1).below(0))).await;
        assert_eq!(refusal, exceeded(name, name));
    }
}

async fn adds_are_made_with_all_else_of_their_change(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["held", "other"]).await;
    let held = take(&*store, 2).await;
    made(&*store, Change::new().put(put("before", "one"))).await;
    let later = store.now().await.unwrap() + 600_000;
    let change = claiming(held[0].token, &[claim("agent", 1)])
        .expect(note("before"), Some(rev("one")))
        .expect(note("a"), None)
        .add(Add::new("spent", "calls", 1).below(1))
        .put(put("a", "a").indexed(1))
        .put(put("b", "b").indexed(2))
        .add(spent(7).below(i64::MAX))
        .delete(note("before"))
        .enqueue(job(Queue::High, "next"))
        .enqueue(job_at(Queue::Low, "later", later))
        .event("run", b"event".to_vec())
        .add(Add::new("agent", "tokens", 7))
        .revoke(held[1].token);
    assert_eq!(made(&*store, change).await.event_ids.len(), 1);
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["b", "a"]);
    assert_eq!((body(&*store, "a").await.unwrap(), doc(&*store, "before").await), ("a".to_owned(), None));
    assert_eq!(waiting(&*store, Queue::High).await, ["next"]);
    assert_eq!(event_bodies(&*store, "run").await, ["event"]);
    assert_eq!(store.renew(&tokens(&held), LEASE_MS).await.unwrap(), [true, false]);
    assert_eq!(store.depth().await.unwrap().due, 1);
    assert_eq!(tally(&*store, "spent").await, fields(&[("calls", 1), ("tokens", 7)]));
    assert_eq!(tally(&*store, "agent").await, fields(&[("tokens", 7)]));
    let other = take_one(&*store).await;
    assert_eq!(
        refused(&*store, claiming(other.token, &[claim("agent", 1)])).await,
        Refusal::Limited(claim("agent", 1))
    );
}

async fn adds_are_made_under_a_lease_however_it_ends(h: &mut dyn Harness) {
    let store = h.store();
    let parked = claim("agent", 1);
    enqueue(&*store, &["holder"]).await;
    take_and_claim(&*store, std::slice::from_ref(&parked)).await;
    for end in [LeaseEnd::Keep, LeaseEnd::Finish, LeaseEnd::Requeue, LeaseEnd::Park(parked)] {
        enqueue(&*store, &["1"]).await;
        let token = take_one(&*store).await.token;
        let change = Change::new().under(token, end.clone()).add(spent(1).below(100));
        made(&*store, change.clone()).await;
        if end != LeaseEnd::Keep {
            assert_eq!(refused(&*store, change).await, Refusal::LeaseLost);
        }
    }
    assert_eq!(value(&*store).await, Some(4));
    assert_eq!(store.depth().await.unwrap().parked, 1);
}

async fn many_changes_at_once_sum_up_exactly(h: &mut dyn Harness) {
    let store = h.store();
    let change = |n: i64| Change::new().add(spent(n)).add(spent(1)).add(Add::new("other", "x", -n));
    for round in 1..=3 {
        assert_eq!(at_once(&store, (0..100).map(change).collect()).await, [true; 100]);
        assert_eq!(value(&*store).await, Some(round * (4_950 + 100)));
        assert_eq!(tally(&*store, "other").await, fields(&[("x", round * -4_950)]));
    }
}

async fn a_value_stops_at_the_largest_number(h: &mut dyn Harness) {
    let store = h.store();
    for sign in [1, -1] {
        let field = sign.to_string();
        let add = |by: i64| Change::new().add(Add::new("spent", field.clone(), sign * by));
        let value = async || tally(&*store, "spent").await[&field];
        made(&*store, add(MAX_TALLY - 1)).await;
        assert_eq!(value().await, sign * (MAX_TALLY - 1));
        made(&*store, add(1)).await;
        assert_eq!(value().await, sign * MAX_TALLY);
        for too_much in [1, 2, MAX_TALLY - 1, MAX_TALLY] {
            made(&*store, add(too_much)).await;
            assert_eq!(value().await, sign * MAX_TALLY, "{too_much}");
        }
        made(&*store, add(-MAX_TALLY)).await;
        assert_eq!(value().await, 0);
        // One after another, also in one change: what was cut off does not come back.
        let there_and_back = add(MAX_TALLY).add.into_iter().chain(add(5).add).chain(add(-7).add);
        made(&*store, there_and_back.fold(Change::new(), Change::add)).await;
        assert_eq!(value().await, sign * (MAX_TALLY - 7));
    }
}
