//! Expectations: what must be true for a change to be made, and that a refusal writes nothing.

use productforge::store::{ALL_EVENTS, Change, LeaseEnd, Queue, Refusal, Token};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    expecting_absence_holds_only_while_there_is_none,
    expecting_a_revision_holds_only_while_it_is_the_same,
    a_body_that_went_and_came_back_counts_as_unchanged,
    a_document_may_be_expected_without_being_written,
    the_first_broken_expectation_is_named,
    expectations_are_compared_before_anything_is_written,
    a_refused_change_writes_nothing_at_all,
    a_lost_lease_is_named_before_a_broken_expectation,
    a_change_under_a_lost_lease_writes_nothing_at_all,
);

async fn expecting_absence_holds_only_while_there_is_none(h: &mut dyn Harness) {
    let store = h.store();
    let create = || Change::new().expect(note("a"), None).put(put("a", "one"));
    made(&*store, create()).await;
    assert_eq!(refused(&*store, create()).await, Refusal::Changed(note("a")));
    made(&*store, Change::new().delete(note("a"))).await;
    made(&*store, create()).await;
}

async fn expecting_a_revision_holds_only_while_it_is_the_same(h: &mut dyn Harness) {
    let store = h.store();
    let step = |from: &str, to: &str| Change::new().expect(note("a"), Some(rev(from))).put(put("a", to));
    assert_eq!(refused(&*store, step("one", "two")).await, Refusal::Changed(note("a")));
    made(&*store, Change::new().put(put("a", "one"))).await;
    made(&*store, step("one", "two")).await;
    assert_eq!(refused(&*store, step("one", "three")).await, Refusal::Changed(note("a")));
    assert_eq!(body(&*store, "a").await.unwrap(), "two");
}

async fn a_body_that_went_and_came_back_counts_as_unchanged(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one"))).await;
    made(&*store, Change::new().put(put("a", "two"))).await;
    made(&*store, Change::new().put(put("a", "one"))).await;
    made(&*store, Change::new().expect(note("a"), Some(rev("one"))).delete(note("a"))).await;
}

async fn a_document_may_be_expected_without_being_written(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("gate", "open"))).await;
    let through = |id: &str| Change::new().expect(note("gate"), Some(rev("open"))).put(put(id, "through"));
    made(&*store, through("a")).await;
    made(&*store, Change::new().put(put("gate", "shut"))).await;
    assert_eq!(refused(&*store, through("b")).await, Refusal::Changed(note("gate")));
    assert_eq!(doc(&*store, "b").await, None);
}

async fn the_first_broken_expectation_is_named(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one")).put(put("b", "one")).put(put("c", "one"))).await;
    let change = Change::new()
        .expect(note("a"), Some(rev("one")))
        .expect(note("c"), None)
        .expect(note("b"), Some(rev("two")));
    assert_eq!(refused(&*store, change).await, Refusal::Changed(note("c")));
}

async fn expectations_are_compared_before_anything_is_written(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one"))).await;
    let change = Change::new()
        .expect(note("a"), Some(rev("one")))
        .expect(note("b"), None)
        .put(put("b", "new"))
        .delete(note("a"));
    made(&*store, change).await;
    assert_eq!(body(&*store, "b").await.unwrap(), "new");
}

/// A change that does everything a change can do.
fn everything(under: Option<(Token, LeaseEnd)>) -> Change {
    let change = match under {
        Some((token, end)) => Change::new().under(token, end),
        None => Change::new(),
    };
    change
        .expect(note("gate"), Some(rev("open")))
        .put(put("a", "changed").index(all_notes(), 99))
        .put(put("new", "new").indexed(100).ttl_ms(1_000_000))
        .delete(note("b"))
        .enqueue(job(Queue::High, "job"))
        .enqueue(job_at(Queue::Low, "later", i64::MAX / 4))
        .event("stream", b"{}".to_vec())
}

async fn a_refused_change_writes_nothing_at_all(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["held"]).await;
    let lease = take_one(&*store).await;
    made(&*store, Change::new().put(put("a", "one").indexed(1)).put(put("b", "one").indexed(2))).await;
    made(&*store, Change::new().put(put("gate", "shut"))).await;
    let depth = store.depth().await.unwrap();

    for under in [None, Some((lease.token, LeaseEnd::Finish)), Some((lease.token, LeaseEnd::Requeue))] {
        assert_eq!(refused(&*store, everything(under)).await, Refusal::Changed(note("gate")));
    }

    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    assert_eq!(doc(&*store, "new").await, None);
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["b", "a"]);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 2);
    assert_eq!(store.depth().await.unwrap(), depth);
    assert!(take(&*store, 10).await.is_empty());
    assert!(event_bodies(&*store, "stream").await.is_empty());
    assert!(event_bodies(&*store, ALL_EVENTS).await.is_empty());
    assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [true]);
}

async fn a_lost_lease_is_named_before_a_broken_expectation(h: &mut dyn Harness) {
    let store = h.store();
    let change = Change::new().under(Token(4711), LeaseEnd::Keep).expect(note("a"), Some(rev("one")));
    assert_eq!(refused(&*store, change).await, Refusal::LeaseLost);
}

async fn a_change_under_a_lost_lease_writes_nothing_at_all(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("gate", "open")).put(put("a", "one")).put(put("b", "one"))).await;
    enqueue(&*store, &["job"]).await;
    let lease = take_one(&*store).await;
    made(&*store, Change::new().under(lease.token, LeaseEnd::Finish)).await;
    let depth = store.depth().await.unwrap();

    for end in [LeaseEnd::Keep, LeaseEnd::Finish, LeaseEnd::Requeue] {
        assert_eq!(refused(&*store, everything(Some((lease.token, end)))).await, Refusal::LeaseLost);
    }

    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    assert_eq!(body(&*store, "b").await.unwrap(), "one");
    assert_eq!(doc(&*store, "new").await, None);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
    assert_eq!(store.depth().await.unwrap(), depth);
    assert!(event_bodies(&*store, ALL_EVENTS).await.is_empty());
}
