//! Revoking: a change ends leases of others, and their payloads are gone with them.

use productforge::store::{Change, LeaseEnd, Queue, QueueDepth, Refusal, Token};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_revoked_lease_is_not_held_any_more,
    a_revoked_payload_is_gone,
    a_lease_that_is_not_held_is_passed_over,
    several_leases_are_revoked_at_once_and_each_counts_once,
    a_revocation_is_part_of_its_change,
    a_refused_change_revokes_nothing,
    a_change_may_revoke_its_own_lease,
    a_change_that_revokes_its_own_lease_holds_no_claim,
    a_revoked_lease_is_not_swept,
    a_retry_in_the_place_of_a_revoked_job_starts_afresh,
);

async fn a_revoked_lease_is_not_held_any_more(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2"]).await;
    let held = tokens(&take(&*store, 2).await);
    made(&*store, Change::new().revoke(held[0])).await;
    assert_eq!(store.renew(&held, LEASE_MS).await.unwrap(), [false, true]);
    for end in [LeaseEnd::Keep, LeaseEnd::Finish, LeaseEnd::Requeue, LeaseEnd::Park(claim("agent", 1))] {
        let late = Change::new().under(held[0], end).put(put("late", "never"));
        assert_eq!(refused(&*store, late).await, Refusal::LeaseLost);
    }
    assert_eq!(doc(&*store, "late").await, None);
    assert_eq!(store.leases(9).await.unwrap().len(), 1);
    made(&*store, Change::new().under(held[1], LeaseEnd::Finish)).await;
}

async fn a_revoked_payload_is_gone(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    made(&*store, Change::new().revoke(token)).await;
    assert_eq!(store.depth().await.unwrap(), QueueDepth::default());
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    store.promote(100).await.unwrap();
    assert!(take(&*store, 9).await.is_empty());
}

async fn a_lease_that_is_not_held_is_passed_over(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["finished", "requeued", "held"]).await;
    let held = tokens(&take(&*store, 3).await);
    made(&*store, Change::new().under(held[0], LeaseEnd::Finish)).await;
    made(&*store, Change::new().under(held[1], LeaseEnd::Requeue)).await;
    let change = [held[0], Token(0), held[1], Token(u64::MAX), Token(held[2].0 + 1000)]
        .into_iter()
        .fold(Change::new().put(put("a", "one")), Change::revoke);
    made(&*store, change).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { normal: 1, leased: 1, ..QueueDepth::default() });
    assert_eq!(payloads(&take(&*store, 9).await), ["requeued"]);
}

async fn several_leases_are_revoked_at_once_and_each_counts_once(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3", "4"]).await;
    let held = tokens(&take(&*store, 4).await);
    let change = [held[2], held[0], held[2], held[0]].into_iter().fold(Change::new(), Change::revoke);
    made(&*store, change).await;
    assert_eq!(store.renew(&held, LEASE_MS).await.unwrap(), [false, true, false, true]);
    assert_eq!(store.depth().await.unwrap().leased, 2);
}

async fn a_revocation_is_part_of_its_change(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["cancelled", "canceller"]).await;
    let held = tokens(&take(&*store, 2).await);
    let change = Change::new()
        .under(held[1], LeaseEnd::Finish)
        .expect(note("result"), None)
        .put(put("result", "cancelled"))
        .event("run", b"cancelled".to_vec())
        .enqueue(job(Queue::High, "next"))
        .revoke(held[0]);
    made(&*store, change).await;
    assert_eq!(body(&*store, "result").await.unwrap(), "cancelled");
    assert_eq!(event_bodies(&*store, "run").await, ["cancelled"]);
    assert_eq!(store.depth().await.unwrap(), QueueDepth { high: 1, ..QueueDepth::default() });
}

async fn a_refused_change_revokes_nothing(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = tokens(&take(&*store, 3).await);
    let broken = Change::new().expect(note("a"), Some(rev("one"))).revoke(held[0]);
    assert_eq!(refused(&*store, broken).await, Refusal::Changed(note("a")));
    made(&*store, Change::new().under(held[1], LeaseEnd::Finish)).await;
    let lost = Change::new().under(held[1], LeaseEnd::Finish).revoke(held[0]);
    assert_eq!(refused(&*store, lost).await, Refusal::LeaseLost);
    assert_eq!(store.renew(&held, LEASE_MS).await.unwrap(), [true, false, true]);
}

async fn a_change_may_revoke_its_own_lease(h: &mut dyn Harness) {
    let store = h.store();
    let ends = [LeaseEnd::Keep, LeaseEnd::Finish, LeaseEnd::Requeue, LeaseEnd::Park(claim("agent", 1))];
    for (number, end) in ends.into_iter().enumerate() {
        enqueue(&*store, &["1"]).await;
        let token = take_one(&*store).await.token;
        let id = number.to_string();
        made(&*store, Change::new().under(token, end).revoke(token).put(put(&id, "made"))).await;
        assert_eq!(body(&*store, &id).await.unwrap(), "made");
        assert_eq!(store.renew(&[token], LEASE_MS).await.unwrap(), [false]);
        assert_eq!(store.depth().await.unwrap(), QueueDepth::default());
        assert!(take(&*store, 9).await.is_empty());
    }
}

async fn a_change_that_revokes_its_own_lease_holds_no_claim(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    enqueue(&*store, &["1", "2"]).await;
    let token = take_one(&*store).await.token;
    made(&*store, claiming(token, &agent).revoke(token)).await;
    take_and_claim(&*store, &agent).await;
}

async fn a_revoked_lease_is_not_swept(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2"]).await;
    let held = tokens(&take(&*store, 2).await);
    h.age(OVER_A_MINUTE_MS).await;
    made(&*store, Change::new().revoke(held[0])).await;
    let swept: Vec<Token> = store.sweep(100).await.unwrap().iter().map(|swept| swept.token).collect();
    assert_eq!(swept, [held[1]]);
    assert_eq!(payloads(&take(&*store, 9).await), ["2"]);
}

async fn a_retry_in_the_place_of_a_revoked_job_starts_afresh(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    take_one(&*store).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    let crashed = take_one(&*store).await;
    assert_eq!(crashed.crashes, 1);
    made(&*store, Change::new().revoke(crashed.token).enqueue(job(Queue::Normal, "1"))).await;
    assert_eq!(take_one(&*store).await.crashes, 0);
}
