//! Parking: a payload waits for its claim, keeps what it had, and comes back to the front of its queue.

use productforge::store::{Change, Claim, Delivery, Enqueue, LeaseEnd, Queue, QueueDepth, Refusal, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_parked_payload_is_not_given_out,
    a_payload_whose_claim_can_be_had_goes_straight_back_to_the_front,
    parking_for_what_one_held_oneself_goes_straight_back,
    the_end_of_a_holder_gives_back_the_one_that_was_parked_first,
    a_lease_that_held_nothing_gives_nothing_back,
    each_name_that_was_held_gives_one_back,
    a_parked_payload_comes_back_before_all_that_waits,
    a_parked_payload_comes_back_to_its_own_queue,
    crash_counts_outlive_parking,
    a_payload_that_is_parked_is_opaque_too,
    equal_payloads_are_parked_as_two,
    one_payload_is_parked_again_and_again,
    a_change_that_parks_writes_all_the_rest_of_it,
    parking_changes_nothing_when_the_change_is_refused,
    a_sweep_gives_back_as_many_as_held,
    a_revocation_gives_back_too,
    a_promotion_gives_back_what_nobody_s_end_did,
    a_promotion_goes_by_the_last_limit_said,
    a_promotion_of_what_is_parked_is_bounded,
    a_promotion_leaves_parked_what_cannot_be_had,
);

/// Holds `agent` (limit 1) and has parked these payloads for it.
async fn hold_and_park(store: &dyn Store, agent: &Claim, parked: &[&str]) -> Delivery {
    enqueue(store, &["holder"]).await;
    let holder = take_and_claim(store, std::slice::from_ref(agent)).await;
    for payload in parked {
        enqueue(store, &[payload]).await;
        assert_eq!(take_and_park(store, agent).await.payload, payload.as_bytes());
    }
    assert_eq!(store.depth().await.unwrap().parked, parked.len() as u64);
    holder
}

async fn finish(store: &dyn Store, lease: &Delivery) {
    made(store, Change::new().under(lease.token, LeaseEnd::Finish)).await;
}

async fn a_parked_payload_is_not_given_out(h: &mut dyn Harness) {
    let store = h.store();
    let holder = hold_and_park(&*store, &claim("agent", 1), &["1"]).await;
    assert!(take(&*store, 9).await.is_empty());
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { parked: 1, leased: 1, ..QueueDepth::default() });
    assert_eq!((depth.ready(), depth.open()), (0, 2));
    assert_eq!(store.leases(9).await.unwrap().len(), 1);

    // Neither does it run out.
    store.renew(&[holder.token], 10 * LEASE_MS).await.unwrap();
    h.age(OVER_A_MINUTE_MS).await;
    assert!(store.sweep(100).await.unwrap().is_empty());
    assert_eq!(store.promote(100).await.unwrap().moved, 0);
    assert_eq!(store.depth().await.unwrap(), depth);
}

async fn a_payload_whose_claim_can_be_had_goes_straight_back_to_the_front(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    // Nobody holds it, or fewer than may.
    let lease = take_and_park(&*store, &claim("agent", 1)).await;
    assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [false]);
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "2", "3"]);
    take_and_claim(&*store, &[claim("agent", 2)]).await;
    take_and_park(&*store, &claim("agent", 2)).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["2", "3"]);
    take_and_park(&*store, &claim("agent", 1)).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["3"]);
    assert_eq!(store.depth().await.unwrap().parked, 1);
}

async fn parking_for_what_one_held_oneself_goes_straight_back(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    enqueue(&*store, &["1", "2"]).await;
    let lease = take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    made(&*store, Change::new().under(lease.token, LeaseEnd::Park(agent.clone()))).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "2"]);
    take_and_claim(&*store, &[agent]).await;
}

async fn the_end_of_a_holder_gives_back_the_one_that_was_parked_first(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let mut holder = hold_and_park(&*store, &agent, &["1", "2", "3"]).await;
    for (number, payload) in ["1", "2", "3"].into_iter().enumerate() {
        finish(&*store, &holder).await;
        assert_eq!(waiting(&*store, Queue::Normal).await, [payload]);
        assert_eq!(store.depth().await.unwrap().parked, 2 - number as u64);
        holder = take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    }
    finish(&*store, &holder).await;
    assert_eq!(store.depth().await.unwrap(), QueueDepth::default());
}

async fn a_lease_that_held_nothing_gives_nothing_back(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    hold_and_park(&*store, &agent, &["1"]).await;
    enqueue(&*store, &["other", "tried"]).await;
    let other = take_and_claim(&*store, &[claim("other", 1)]).await;
    let tried = take_one(&*store).await;
    let refusal = refused(&*store, claiming(tried.token, std::slice::from_ref(&agent))).await;
    assert_eq!(refusal, Refusal::Limited(agent));
    finish(&*store, &other).await;
    finish(&*store, &tried).await;
    assert_eq!(store.depth().await.unwrap().parked, 1);
}

async fn each_name_that_was_held_gives_one_back(h: &mut dyn Harness) {
    let store = h.store();
    let (a, b) = (claim("a", 1), claim("b", 1));
    enqueue(&*store, &["holder", "a 1", "b 1", "a 2", "b 2"]).await;
    let holder = take_and_claim(&*store, &[a.clone(), b.clone()]).await;
    for claim in [&a, &b, &a, &b] {
        take_and_park(&*store, claim).await;
    }
    finish(&*store, &holder).await;
    let mut back = waiting(&*store, Queue::Normal).await;
    back.sort();
    assert_eq!(back, ["a 1", "b 1"]);
    assert_eq!(store.depth().await.unwrap().parked, 2);
}

async fn a_parked_payload_comes_back_before_all_that_waits(h: &mut dyn Harness) {
    let store = h.store();
    let holder = hold_and_park(&*store, &claim("agent", 1), &["parked"]).await;
    enqueue(&*store, &["1", "2"]).await;
    let next = Change::new().under(holder.token, LeaseEnd::Finish).enqueue(job(Queue::Normal, "3"));
    made(&*store, next).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["parked", "1", "2", "3"]);
    assert_eq!(payloads(&take(&*store, 9).await), ["parked", "1", "2", "3"]);
}

async fn a_parked_payload_comes_back_to_its_own_queue(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    for queue in Queue::ALL {
        let holder = hold_and_park(&*store, &agent, &[]).await;
        made(&*store, Change::new().enqueue(job(queue, "parked"))).await;
        take_and_park(&*store, &agent).await;
        made(&*store, Change::new().enqueue(job(queue, "there"))).await;
        finish(&*store, &holder).await;
        assert_eq!(waiting(&*store, queue).await, ["parked", "there"]);
        for delivery in take(&*store, 9).await {
            assert_eq!(delivery.queue, queue);
            finish(&*store, &delivery).await;
        }
    }
}

async fn crash_counts_outlive_parking(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    enqueue(&*store, &["1"]).await;
    for _ in 0..2 {
        take_one(&*store).await;
        h.age(OVER_A_MINUTE_MS).await;
        store.sweep(100).await.unwrap();
    }
    // Straight back.
    assert_eq!(take_and_park(&*store, &agent).await.crashes, 2);
    let crashed = take_one(&*store).await;
    assert_eq!(crashed.crashes, 2);
    // By way of the parked ones.
    let holder = hold_and_park(&*store, &agent, &[]).await;
    made(&*store, Change::new().under(crashed.token, LeaseEnd::Park(agent))).await;
    finish(&*store, &holder).await;
    let back = take_one(&*store).await;
    assert_eq!((back.payload.as_slice(), back.crashes), (b"1".as_slice(), 2));
    finish(&*store, &back).await;
    enqueue(&*store, &["1"]).await;
    assert_eq!(take_one(&*store).await.crashes, 0);
}

async fn a_payload_that_is_parked_is_opaque_too(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let odd: [Vec<u8>; 5] =
        [(0..=255).collect(), Vec::new(), vec![0, 0], b" 1 2 \r\n".to_vec(), vec![b'x'; 200_000]];
    for payload in odd {
        let holder = hold_and_park(&*store, &agent, &[]).await;
        let entry = Enqueue { queue: Queue::Low, payload: payload.clone(), due_at: None };
        made(&*store, Change::new().enqueue(entry)).await;
        take_and_park(&*store, &agent).await;
        finish(&*store, &holder).await;
        let back = take_one(&*store).await;
        assert_eq!(back.payload, payload);
        finish(&*store, &back).await;
    }
}

async fn equal_payloads_are_parked_as_two(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let holder = hold_and_park(&*store, &agent, &["same", "same"]).await;
    finish(&*store, &holder).await;
    assert_eq!(store.depth().await.unwrap().parked, 1);
    let first = take_and_claim(&*store, &[agent]).await;
    finish(&*store, &first).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["same"]);
}

async fn one_payload_is_parked_again_and_again(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let mut holder = hold_and_park(&*store, &agent, &["1"]).await;
    for _ in 0..3 {
        finish(&*store, &holder).await;
        let back = take_one(&*store).await;
        assert_eq!(back.payload, b"1");
        // Somebody else was quicker.
        enqueue(&*store, &["quicker"]).await;
        holder = take_and_claim(&*store, std::slice::from_ref(&agent)).await;
        made(&*store, Change::new().under(back.token, LeaseEnd::Park(agent.clone()))).await;
        assert_eq!(store.depth().await.unwrap().parked, 1);
    }
}

async fn a_change_that_parks_writes_all_the_rest_of_it(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    hold_and_park(&*store, &agent, &[]).await;
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    let change = Change::new()
        .under(lease.token, LeaseEnd::Park(agent))
        .put(put("job", "waits for its agent"))
        .enqueue(job(Queue::High, "more"))
        .event("run", b"parked".to_vec());
    made(&*store, change).await;
    assert_eq!(body(&*store, "job").await.unwrap(), "waits for its agent");
    assert_eq!(event_bodies(&*store, "run").await, ["parked"]);
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { high: 1, parked: 1, leased: 1, ..QueueDepth::default() });
}

async fn parking_changes_nothing_when_the_change_is_refused(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    hold_and_park(&*store, &agent, &[]).await;
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    let depth = store.depth().await.unwrap();
    let broken = Change::new().under(lease.token, LeaseEnd::Park(agent)).expect(note("a"), Some(rev("one")));
    assert_eq!(refused(&*store, broken).await, Refusal::Changed(note("a")));
    assert_eq!(store.depth().await.unwrap(), depth);
    assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [true]);
}

async fn a_sweep_gives_back_as_many_as_held(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 2);
    enqueue(&*store, &["h1", "h2", "1", "2", "3"]).await;
    take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    for _ in 0..3 {
        take_and_park(&*store, &agent).await;
    }
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap().len(), 2);
    let mut back: Vec<_> = take(&*store, 9).await;
    back.sort_by(|a, b| a.payload.cmp(&b.payload));
    assert_eq!(payloads(&back), ["1", "2", "h1", "h2"]);
    assert_eq!(back.iter().map(|delivery| delivery.crashes).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(store.depth().await.unwrap().parked, 1);
}

async fn a_revocation_gives_back_too(h: &mut dyn Harness) {
    let store = h.store();
    let holder = hold_and_park(&*store, &claim("agent", 1), &["1", "2"]).await;
    made(&*store, Change::new().revoke(holder.token)).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["1"]);
    // It is not given back twice for the same lease.
    made(&*store, Change::new().revoke(holder.token)).await;
    assert_eq!(store.depth().await.unwrap().parked, 1);
}

async fn a_promotion_gives_back_what_nobody_s_end_did(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let holder = hold_and_park(&*store, &agent, &["1", "2", "3"]).await;
    finish(&*store, &holder).await;
    // The one that went back ends without having claimed.
    let first = take_one(&*store).await;
    finish(&*store, &first).await;
    assert!(take(&*store, 9).await.is_empty());
    let promoted = store.promote(100).await.unwrap();
    assert_eq!((promoted.moved, promoted.next_due), (0, None));
    assert_eq!(payloads(&take(&*store, 9).await), ["2"]);
    assert_eq!(store.depth().await.unwrap().parked, 1);
}

async fn a_promotion_goes_by_the_last_limit_said(h: &mut dyn Harness) {
    let store = h.store();
    let holder = hold_and_park(&*store, &claim("agent", 1), &["1", "2", "3", "4"]).await;
    made(&*store, claiming(holder.token, &[claim("agent", 3)])).await;
    enqueue(&*store, &["there"]).await;
    store.promote(100).await.unwrap();
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "2", "there"]);
    assert_eq!(store.depth().await.unwrap().parked, 2);
}

async fn a_promotion_of_what_is_parked_is_bounded(h: &mut dyn Harness) {
    let store = h.store();
    let holder = hold_and_park(&*store, &claim("agent", 1), &["1", "2", "3", "4", "5"]).await;
    made(&*store, claiming(holder.token, &[claim("agent", 100)])).await;
    for left in [3, 1, 0, 0] {
        store.promote(2).await.unwrap();
        assert_eq!(store.depth().await.unwrap().parked, left);
    }
    let mut back = waiting(&*store, Queue::Normal).await;
    back.sort();
    assert_eq!(back, ["1", "2", "3", "4", "5"]);
}

async fn a_promotion_leaves_parked_what_cannot_be_had(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + 60_000;
    let holder = hold_and_park(&*store, &claim("agent", 1), &["1", "2"]).await;
    store.renew(&[holder.token], 10 * LEASE_MS).await.unwrap();
    made(&*store, Change::new().enqueue(job_at(Queue::Normal, "due", soon))).await;
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.promote(100).await.unwrap().moved, 1);
    assert_eq!(payloads(&take(&*store, 9).await), ["due"]);
    assert_eq!(store.depth().await.unwrap().parked, 2);
}
