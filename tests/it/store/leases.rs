//! Leases: how long they are held, how they are renewed, and what happens when they run out.

use productforge::store::{Change, LeaseEnd, Queue, Token};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_renewed_lease_lasts_longer,
    renewing_says_for_each_token_whether_it_is_held,
    a_lease_may_be_renewed_to_a_shorter_time,
    a_lease_that_ran_out_is_held_until_it_is_swept,
    a_sweep_takes_only_what_has_run_out,
    a_sweep_tells_whose_lease_it_was,
    a_sweep_is_bounded,
    swept_payloads_go_to_the_front_of_their_queues,
    every_sweep_counts_one_more_crash,
    a_requeue_counts_no_crash_and_forgets_none,
    crashes_are_forgotten_when_a_job_finishes,
    crashes_of_equal_payloads_do_not_mix_after_a_finish,
    leases_are_listed_the_next_to_run_out_first,
    the_list_of_leases_is_bounded,
    the_longest_lease_is_taken,
);

async fn a_renewed_lease_lasts_longer(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    for _ in 0..3 {
        h.age(40_000).await;
        assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [true]);
    }
    assert!(store.sweep(100).await.unwrap().is_empty());
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap().len(), 1);
}

async fn renewing_says_for_each_token_whether_it_is_held(h: &mut dyn Harness) {
    let store = h.store();
    assert!(store.renew(&[], LEASE_MS).await.unwrap().is_empty());
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = tokens(&take(&*store, 3).await);
    made(&*store, Change::new().under(held[1], LeaseEnd::Finish)).await;
    let asked = [held[2], Token(u64::MAX), held[1], held[0], Token(0)];
    assert_eq!(store.renew(&asked, LEASE_MS).await.unwrap(), [true, false, false, true, false]);
}

async fn a_lease_may_be_renewed_to_a_shorter_time(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_for(&*store, "w", 1, 10 * LEASE_MS).await.remove(0);
    assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [true]);
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap()[0].token, lease.token);
}

async fn a_lease_that_ran_out_is_held_until_it_is_swept(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    let held = tokens(&take(&*store, 3).await);
    h.age(OVER_A_MINUTE_MS).await;
    assert!(take(&*store, 9).await.is_empty(), "only a sweep gives it back");
    made(&*store, Change::new().under(held[0], LeaseEnd::Keep).put(put("a", "late but held"))).await;
    made(&*store, Change::new().under(held[1], LeaseEnd::Finish)).await;
    assert_eq!(store.renew(&held, LEASE_MS).await.unwrap(), [true, false, true]);
    assert!(store.sweep(100).await.unwrap().is_empty(), "renewed in time");
}

async fn a_sweep_takes_only_what_has_run_out(h: &mut dyn Harness) {
    let store = h.store();
    assert!(store.sweep(100).await.unwrap().is_empty());
    enqueue(&*store, &["short", "long"]).await;
    let short = take_for(&*store, "w", 1, LEASE_MS).await.remove(0);
    let long = take_for(&*store, "w", 1, 10 * LEASE_MS).await.remove(0);
    assert!(store.sweep(100).await.unwrap().is_empty());
    h.age(OVER_A_MINUTE_MS).await;
    let swept = store.sweep(100).await.unwrap();
    assert_eq!(swept.iter().map(|s| s.token).collect::<Vec<_>>(), [short.token]);
    assert_eq!(store.renew(&[short.token, long.token], LEASE_MS).await.unwrap(), [false, true]);
    assert!(store.sweep(100).await.unwrap().is_empty(), "swept once");
}

async fn a_sweep_tells_whose_lease_it_was(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_for(&*store, "host-7:42", 1, LEASE_MS).await.remove(0);
    h.age(OVER_A_MINUTE_MS).await;
    let swept = store.sweep(100).await.unwrap();
    assert_eq!((swept[0].worker.as_str(), swept[0].token, swept[0].crashes), ("host-7:42", lease.token, 1));
}

async fn a_sweep_is_bounded(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3", "4", "5"]).await;
    let mut held = tokens(&take(&*store, 5).await);
    h.age(OVER_A_MINUTE_MS).await;
    let mut swept = Vec::new();
    for expected in [2, 2, 1, 0] {
        let part = store.sweep(2).await.unwrap();
        assert_eq!(part.len(), expected);
        swept.extend(part.into_iter().map(|s| s.token));
    }
    swept.sort();
    held.sort();
    assert_eq!(swept, held);
}

async fn swept_payloads_go_to_the_front_of_their_queues(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().enqueue(job(Queue::Low, "low 1")).enqueue(job(Queue::Low, "low 2"))).await;
    enqueue(&*store, &["1", "2"]).await;
    assert_eq!(payloads(&take(&*store, 1).await), ["1"]);
    assert_eq!(payloads(&take_for(&*store, "w", 1, 10 * LEASE_MS).await), ["2"]);
    assert_eq!(payloads(&take(&*store, 1).await), ["low 1"]);
    enqueue(&*store, &["3"]).await;
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap().len(), 2);
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "3", "low 1", "low 2"]);
}

async fn every_sweep_counts_one_more_crash(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    for crashes in 0..4 {
        assert_eq!(take_one(&*store).await.crashes, crashes);
        assert_eq!(store.leases(9).await.unwrap()[0].crashes, crashes);
        h.age(OVER_A_MINUTE_MS).await;
        assert_eq!(store.sweep(100).await.unwrap()[0].crashes, crashes + 1);
    }
}

async fn a_requeue_counts_no_crash_and_forgets_none(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    take_one(&*store).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    for _ in 0..2 {
        let lease = take_one(&*store).await;
        assert_eq!(lease.crashes, 1);
        made(&*store, Change::new().under(lease.token, LeaseEnd::Requeue)).await;
    }
}

async fn crashes_are_forgotten_when_a_job_finishes(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    take_one(&*store).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    let second = take_one(&*store).await;
    assert_eq!(second.crashes, 1);
    // The next try of the same job, with the very same bytes, starts afresh.
    let retry = Change::new().under(second.token, LeaseEnd::Finish).enqueue(job(Queue::Normal, "1"));
    made(&*store, retry).await;
    assert_eq!(take_one(&*store).await.crashes, 0);
}

async fn crashes_of_equal_payloads_do_not_mix_after_a_finish(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["same"]).await;
    let lease = take_one(&*store).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    assert_eq!(refused(&*store, Change::new().under(lease.token, LeaseEnd::Finish)).await, lost());
    let lease = take_one(&*store).await;
    made(&*store, Change::new().under(lease.token, LeaseEnd::Finish)).await;
    enqueue(&*store, &["same"]).await;
    assert_eq!(take_one(&*store).await.crashes, 0);
}

fn lost() -> productforge::store::Refusal {
    productforge::store::Refusal::LeaseLost
}

async fn leases_are_listed_the_next_to_run_out_first(h: &mut dyn Harness) {
    let store = h.store();
    assert!(store.leases(100).await.unwrap().is_empty());
    made(&*store, Change::new().enqueue(job(Queue::High, "1"))).await;
    made(&*store, Change::new().enqueue(job(Queue::Low, "2")).enqueue(job(Queue::Low, "3"))).await;
    take_for(&*store, "b", 1, 3 * LEASE_MS).await;
    let soonest = take_for(&*store, "a", 1, LEASE_MS).await.remove(0);
    take_for(&*store, "c", 1, 2 * LEASE_MS).await;

    let now = store.now().await.unwrap();
    let leases = store.leases(100).await.unwrap();
    assert_eq!(leases.iter().map(|l| l.worker.as_str()).collect::<Vec<_>>(), ["a", "c", "b"]);
    assert_eq!(leases[0].token, soonest.token);
    assert_eq!(leases[0].payload, b"2");
    assert_eq!((leases[0].queue, leases[2].queue), (Queue::Low, Queue::High));
    let left = leases[0].expires_at - now;
    assert!((30_000..=60_000).contains(&left), "{left} ms left of a minute");

    store.renew(&[soonest.token], 9 * LEASE_MS).await.unwrap();
    let leases = store.leases(100).await.unwrap();
    assert_eq!(leases.iter().map(|l| l.worker.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
}

async fn the_list_of_leases_is_bounded(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    for minutes in 1..=3 {
        take_for(&*store, &format!("w{minutes}"), 1, minutes * LEASE_MS).await;
    }
    let workers: Vec<_> = store.leases(2).await.unwrap().into_iter().map(|lease| lease.worker).collect();
    assert_eq!(workers, ["w1", "w2"]);
}

async fn the_longest_lease_is_taken(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_for(&*store, "w", 1, u64::MAX).await.remove(0);
    assert_eq!(store.renew(&[lease.token], u64::MAX).await.unwrap(), [true]);
    h.age(1000 * LEASE_MS).await;
    assert!(store.sweep(100).await.unwrap().is_empty());
}
