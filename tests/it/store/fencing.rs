//! Fencing: only the holder of the current token can do anything under it.

use productforge::store::{Change, LeaseEnd, Refusal, Store, Token};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_token_that_never_was_is_refused,
    a_swept_token_is_refused_everywhere,
    a_swept_token_is_refused_while_another_worker_holds_the_job,
    a_finished_token_is_refused_everywhere,
    a_requeued_token_is_refused_everywhere,
    a_kept_lease_can_be_used_again_and_again,
    finishing_writes_the_result_and_ends_the_lease_in_one_step,
    requeueing_puts_the_job_back_to_the_front,
    a_requeue_comes_before_what_the_same_change_enqueues,
);

/// Every use of the token is refused and changes nothing.
async fn is_refused_everywhere(store: &dyn Store, token: Token) {
    let depth = store.depth().await.unwrap();
    let parked = LeaseEnd::Park(claim("late", 1));
    for end in [LeaseEnd::Keep, LeaseEnd::Finish, LeaseEnd::Requeue, parked] {
        let change = Change::new().under(token, end).put(put("late", "never"));
        assert_eq!(refused(store, change).await, Refusal::LeaseLost);
    }
    assert_eq!(refused(store, claiming(token, &[claim("late", 1)])).await, Refusal::LeaseLost);
    made(store, Change::new().revoke(token)).await;
    assert_eq!(store.renew(&[token], LEASE_MS).await.unwrap(), [false]);
    assert_eq!(doc(store, "late").await, None);
    assert_eq!(store.depth().await.unwrap(), depth);
}

async fn a_token_that_never_was_is_refused(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    for stranger in [Token(0), Token(token.0 + 1), Token(u64::MAX)] {
        is_refused_everywhere(&*store, stranger).await;
    }
    made(&*store, Change::new().under(token, LeaseEnd::Finish)).await;
}

async fn a_swept_token_is_refused_everywhere(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let stale = take_one(&*store).await.token;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    is_refused_everywhere(&*store, stale).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["1"]);
}

async fn a_swept_token_is_refused_while_another_worker_holds_the_job(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let stale = take_one(&*store).await.token;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    let current = take_one(&*store).await.token;
    assert!(current > stale);
    is_refused_everywhere(&*store, stale).await;
    made(&*store, Change::new().under(current, LeaseEnd::Finish).put(put("result", "by the second"))).await;
    is_refused_everywhere(&*store, stale).await;
    assert_eq!(body(&*store, "result").await.unwrap(), "by the second");
}

async fn a_finished_token_is_refused_everywhere(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    made(&*store, Change::new().under(token, LeaseEnd::Finish)).await;
    is_refused_everywhere(&*store, token).await;
    assert!(take(&*store, 9).await.is_empty());
}

async fn a_requeued_token_is_refused_everywhere(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    made(&*store, Change::new().under(token, LeaseEnd::Requeue)).await;
    is_refused_everywhere(&*store, token).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["1"]);
}

async fn a_kept_lease_can_be_used_again_and_again(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    for text in ["one", "two", "three"] {
        made(&*store, Change::new().under(token, LeaseEnd::Keep).put(put("progress", text))).await;
    }
    assert_eq!(body(&*store, "progress").await.unwrap(), "three");
    made(&*store, Change::new().under(token, LeaseEnd::Finish)).await;
}

async fn finishing_writes_the_result_and_ends_the_lease_in_one_step(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    let finish = || {
        Change::new()
            .under(token, LeaseEnd::Finish)
            .expect(note("result"), None)
            .put(put("result", "done").indexed(1))
            .event("run", b"finished".to_vec())
    };
    assert_eq!(made(&*store, finish()).await.event_ids.len(), 1);
    assert_eq!(refused(&*store, finish()).await, Refusal::LeaseLost);
    assert_eq!(event_bodies(&*store, "run").await, ["finished"]);
    assert_eq!(store.depth().await.unwrap().open(), 0);
}

async fn requeueing_puts_the_job_back_to_the_front(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = tokens(&take(&*store, 2).await);
    made(&*store, Change::new().under(held[0], LeaseEnd::Requeue)).await;
    assert_eq!(payloads(&take(&*store, 1).await), ["1"]);
    made(&*store, Change::new().under(held[1], LeaseEnd::Requeue)).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["2", "3"]);
}

async fn a_requeue_comes_before_what_the_same_change_enqueues(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    let change =
        Change::new().under(token, LeaseEnd::Requeue).enqueue(job(productforge::store::Queue::Normal, "2"));
    made(&*store, change).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "2"]);
}
