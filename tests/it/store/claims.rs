//! Claims: at most so many leases hold a name, from the change that claims it until they end.

use productforge::store::{Change, Claim, Delivery, LeaseEnd, MAX_CLAIM_LIMIT, Queue, Refusal, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    as_many_leases_hold_a_name_as_the_limit_says,
    a_refused_claim_is_named_and_nothing_is_written,
    the_first_of_two_refused_claims_is_named,
    when_the_second_claim_is_refused_the_first_is_not_given,
    a_lost_lease_and_a_broken_expectation_come_before_a_refused_claim,
    a_broken_expectation_gives_no_claim,
    a_lease_keeps_what_it_holds_and_counts_once,
    a_claim_made_twice_in_one_change_counts_once,
    names_do_not_meet,
    a_name_is_opaque,
    the_last_limit_said_counts,
    a_refused_claim_says_no_limit,
    a_claim_outlives_renewals_and_changes_of_its_lease,
    a_claim_is_held_while_its_lease_is_only_run_out,
    every_end_of_a_lease_frees_its_claims,
    a_lease_holds_several_names_and_frees_them_all,
    what_a_revocation_frees_is_free_for_the_next_change,
    the_highest_limit_can_be_reached,
);

/// Takes payloads for these many leases.
async fn leases(store: &dyn Store, number: usize) -> Vec<Delivery> {
    for n in 0..number {
        enqueue(store, &[&format!("job {n}")]).await;
    }
    let taken = take(store, number).await;
    assert_eq!(taken.len(), number);
    taken
}

fn limited(claim: &Claim) -> Refusal {
    Refusal::Limited(claim.clone())
}

async fn as_many_leases_hold_a_name_as_the_limit_says(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 3)];
    let held = leases(&*store, 5).await;
    for lease in &held[..3] {
        made(&*store, claiming(lease.token, &agent)).await;
    }
    for lease in &held[3..] {
        assert_eq!(refused(&*store, claiming(lease.token, &agent)).await, limited(&agent[0]));
    }
    made(&*store, Change::new().under(held[1].token, LeaseEnd::Finish)).await;
    made(&*store, claiming(held[4].token, &agent)).await;
    assert_eq!(refused(&*store, claiming(held[3].token, &agent)).await, limited(&agent[0]));
}

async fn a_refused_claim_is_named_and_nothing_is_written(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let held = leases(&*store, 3).await;
    made(&*store, claiming(held[0].token, std::slice::from_ref(&agent))).await;
    made(&*store, Change::new().put(put("kept", "kept").indexed(1))).await;
    let depth = store.depth().await.unwrap();
    let change = claiming(held[1].token, std::slice::from_ref(&agent))
        .put(put("a", "never").indexed(1))
        .delete(note("kept"))
        .enqueue(job(Queue::High, "never"))
        .event("run", b"never".to_vec())
        .revoke(held[2].token);
    assert_eq!(refused(&*store, change).await, limited(&agent));
    assert_eq!(doc(&*store, "a").await, None);
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["kept"]);
    assert!(event_bodies(&*store, "run").await.is_empty());
    assert_eq!(store.depth().await.unwrap(), depth);
    assert_eq!(store.renew(&tokens(&held), LEASE_MS).await.unwrap(), [true; 3]);
}

async fn the_first_of_two_refused_claims_is_named(h: &mut dyn Harness) {
    let store = h.store();
    let (a, b) = (claim("a", 1), claim("b", 1));
    let held = leases(&*store, 2).await;
    made(&*store, claiming(held[0].token, &[a.clone(), b.clone()])).await;
    let both = |first: &Claim, second: &Claim| {
        claiming(held[1].token, &[claim("free", 1), first.clone(), second.clone()])
    };
    assert_eq!(refused(&*store, both(&a, &b)).await, limited(&a));
    assert_eq!(refused(&*store, both(&b, &a)).await, limited(&b));
}

async fn when_the_second_claim_is_refused_the_first_is_not_given(h: &mut dyn Harness) {
    let store = h.store();
    let (a, b) = (claim("a", 1), claim("b", 1));
    let held = leases(&*store, 3).await;
    made(&*store, claiming(held[0].token, std::slice::from_ref(&b))).await;
    let both = claiming(held[1].token, &[a.clone(), b.clone()]);
    assert_eq!(refused(&*store, both).await, limited(&b));
    made(&*store, claiming(held[2].token, &[a])).await;
}

async fn a_lost_lease_and_a_broken_expectation_come_before_a_refused_claim(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    let held = leases(&*store, 3).await;
    made(&*store, claiming(held[0].token, &agent)).await;
    let broken = |lease: &Delivery| claiming(lease.token, &agent).expect(note("a"), Some(rev("one")));
    assert_eq!(refused(&*store, broken(&held[1])).await, Refusal::Changed(note("a")));
    made(&*store, Change::new().under(held[1].token, LeaseEnd::Finish)).await;
    assert_eq!(refused(&*store, broken(&held[1])).await, Refusal::LeaseLost);
    made(&*store, Change::new().put(put("a", "one"))).await;
    assert_eq!(refused(&*store, broken(&held[2])).await, limited(&agent[0]));
}

async fn a_broken_expectation_gives_no_claim(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    let held = leases(&*store, 2).await;
    let broken = claiming(held[0].token, &agent).expect(note("a"), Some(rev("one")));
    assert_eq!(refused(&*store, broken).await, Refusal::Changed(note("a")));
    made(&*store, claiming(held[1].token, &agent)).await;
}

async fn a_lease_keeps_what_it_holds_and_counts_once(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 2)];
    let held = leases(&*store, 3).await;
    for _ in 0..3 {
        made(&*store, claiming(held[0].token, &agent)).await;
    }
    made(&*store, claiming(held[1].token, &agent)).await;
    // The name is full, and those who hold it may still say so.
    assert_eq!(refused(&*store, claiming(held[2].token, &agent)).await, limited(&agent[0]));
    made(&*store, claiming(held[0].token, &agent)).await;
    made(&*store, Change::new().under(held[0].token, LeaseEnd::Finish)).await;
    made(&*store, claiming(held[2].token, &agent)).await;
}

async fn a_claim_made_twice_in_one_change_counts_once(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 2);
    let held = leases(&*store, 3).await;
    made(&*store, claiming(held[0].token, &[agent.clone(), agent.clone()])).await;
    made(&*store, claiming(held[1].token, &[agent.clone(), claim("agent", 2)])).await;
    assert_eq!(
        refused(&*store, claiming(held[2].token, std::slice::from_ref(&agent))).await,
        limited(&agent)
    );
    made(&*store, Change::new().under(held[0].token, LeaseEnd::Finish)).await;
    made(&*store, claiming(held[2].token, &[agent])).await;
}

async fn names_do_not_meet(h: &mut dyn Harness) {
    let store = h.store();
    let held = leases(&*store, 2).await;
    for name in ["a", "b", "a:b", "ab", "A", " a"] {
        made(&*store, claiming(held[0].token, &[claim(name, 1)])).await;
    }
    for name in ["a", "b", "a:b", "ab", "A", " a"] {
        let again = claim(name, 1);
        let refusal = refused(&*store, claiming(held[1].token, std::slice::from_ref(&again))).await;
        assert_eq!(refusal, limited(&again));
    }
    made(&*store, claiming(held[1].token, &[claim("b:a", 1)])).await;
}

async fn a_name_is_opaque(h: &mut dyn Harness) {
    let store = h.store();
    let odd = ["0", "agent:ünï çødé", "a b\tc\r\nd", "\0", "{}", "%s*?[a]", &"ü".repeat(128)];
    let held = leases(&*store, 2).await;
    for name in odd {
        let odd = claim(name, 1);
        made(&*store, claiming(held[0].token, std::slice::from_ref(&odd))).await;
        let refusal = refused(&*store, claiming(held[1].token, std::slice::from_ref(&odd))).await;
        assert_eq!(refusal, limited(&odd));
    }
    made(&*store, Change::new().under(held[0].token, LeaseEnd::Finish)).await;
    for name in odd {
        made(&*store, claiming(held[1].token, &[claim(name, 1)])).await;
    }
}

async fn the_last_limit_said_counts(h: &mut dyn Harness) {
    let store = h.store();
    let held = leases(&*store, 5).await;
    for (lease, limit) in held.iter().zip([1, 2, 3]) {
        made(&*store, claiming(lease.token, &[claim("agent", limit)])).await;
    }
    // Fewer than hold it already: they keep it, nobody comes to it.
    made(&*store, claiming(held[0].token, &[claim("agent", 1)])).await;
    let one = claim("agent", 1);
    assert_eq!(refused(&*store, claiming(held[3].token, std::slice::from_ref(&one))).await, limited(&one));
    made(&*store, Change::new().under(held[0].token, LeaseEnd::Finish)).await;
    made(&*store, Change::new().under(held[1].token, LeaseEnd::Finish)).await;
    assert_eq!(refused(&*store, claiming(held[3].token, std::slice::from_ref(&one))).await, limited(&one));
    made(&*store, claiming(held[3].token, &[claim("agent", 2)])).await;
}

/// A promotion goes by the last limit that a change which was made has said.
async fn a_refused_claim_says_no_limit(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["holder", "parked 1", "parked 2"]).await;
    let holder = take_and_claim(&*store, &[claim("agent", 1)]).await;
    take_and_park(&*store, &claim("agent", 1)).await;
    take_and_park(&*store, &claim("agent", 1)).await;
    let broken = claiming(holder.token, &[claim("agent", 3)]).expect(note("a"), Some(rev("one")));
    assert_eq!(refused(&*store, broken).await, Refusal::Changed(note("a")));
    store.promote(100).await.unwrap();
    assert_eq!(store.depth().await.unwrap().parked, 2);
    made(&*store, claiming(holder.token, &[claim("agent", 2)])).await;
    store.promote(100).await.unwrap();
    assert_eq!(waiting(&*store, Queue::Normal).await, ["parked 1"]);
}

async fn a_claim_outlives_renewals_and_changes_of_its_lease(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    let held = leases(&*store, 2).await;
    made(&*store, claiming(held[0].token, &agent)).await;
    for _ in 0..3 {
        h.age(40_000).await;
        assert_eq!(store.renew(&tokens(&held), LEASE_MS).await.unwrap(), [true; 2]);
        assert!(store.sweep(100).await.unwrap().is_empty());
        made(&*store, Change::new().under(held[0].token, LeaseEnd::Keep).put(put("a", "on"))).await;
    }
    assert_eq!(refused(&*store, claiming(held[1].token, &agent)).await, limited(&agent[0]));
}

async fn a_claim_is_held_while_its_lease_is_only_run_out(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    let held = leases(&*store, 2).await;
    made(&*store, claiming(held[0].token, &agent)).await;
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(refused(&*store, claiming(held[1].token, &agent)).await, limited(&agent[0]));
    assert_eq!(store.renew(&[held[1].token], LEASE_MS).await.unwrap(), [true]);
    assert_eq!(store.sweep(100).await.unwrap()[0].token, held[0].token);
    made(&*store, claiming(held[1].token, &agent)).await;
}

async fn every_end_of_a_lease_frees_its_claims(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    let ends = [
        Some(LeaseEnd::Finish),
        Some(LeaseEnd::Requeue),
        Some(LeaseEnd::Park(claim("other", 1))),
        Some(LeaseEnd::Park(agent[0].clone())),
        // Revoked.
        None,
    ];
    for end in ends {
        enqueue(&*store, &["1"]).await;
        let holder = take_and_claim(&*store, &agent).await;
        made(
            &*store,
            match end {
                Some(end) => Change::new().under(holder.token, end),
                None => Change::new().revoke(holder.token),
            },
        )
        .await;
        take(&*store, 100).await;
        enqueue(&*store, &["2"]).await;
        let next = take_and_claim(&*store, &agent).await;
        made(&*store, Change::new().under(next.token, LeaseEnd::Finish)).await;
    }
    // Swept.
    enqueue(&*store, &["1", "2"]).await;
    take_and_claim(&*store, &agent).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    take_and_claim(&*store, &agent).await;
}

async fn a_lease_holds_several_names_and_frees_them_all(h: &mut dyn Harness) {
    let store = h.store();
    let both = [claim("agent", 1), claim("model", 1)];
    let held = leases(&*store, 3).await;
    made(&*store, claiming(held[0].token, &both[..1])).await;
    made(&*store, claiming(held[0].token, &both[1..])).await;
    for one in &both {
        let refusal = refused(&*store, claiming(held[1].token, std::slice::from_ref(one))).await;
        assert_eq!(refusal, limited(one));
    }
    made(&*store, Change::new().under(held[0].token, LeaseEnd::Finish)).await;
    made(&*store, claiming(held[1].token, &both[..1])).await;
    made(&*store, claiming(held[2].token, &both[1..])).await;
}

async fn what_a_revocation_frees_is_free_for_the_next_change(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", 1)];
    let held = leases(&*store, 2).await;
    made(&*store, claiming(held[0].token, &agent)).await;
    let at_once = claiming(held[1].token, &agent).revoke(held[0].token);
    assert_eq!(refused(&*store, at_once).await, limited(&agent[0]));
    made(&*store, Change::new().revoke(held[0].token)).await;
    made(&*store, claiming(held[1].token, &agent)).await;
}

async fn the_highest_limit_can_be_reached(h: &mut dyn Harness) {
    let store = h.store();
    let agent = [claim("agent", MAX_CLAIM_LIMIT)];
    for _ in 0..MAX_CLAIM_LIMIT / 100 {
        let change = (0..100).fold(Change::new(), |change, _| change.enqueue(job(Queue::Normal, "same")));
        made(&*store, change).await;
        for lease in take(&*store, 100).await {
            made(&*store, claiming(lease.token, &agent)).await;
        }
    }
    enqueue(&*store, &["one too many"]).await;
    let last = take_one(&*store).await;
    assert_eq!(refused(&*store, claiming(last.token, &agent)).await, limited(&agent[0]));
}
