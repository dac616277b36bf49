//! The audit: it sees all of a sound store, in pieces, and has nothing to mend.

use productforge::store::{AuditPart, Change, Cursor, IndexName, LeaseEnd, Queue, Store, StoreError};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    the_audit_of_an_empty_store_ends,
    the_audit_of_a_sound_store_mends_nothing_and_changes_nothing,
    the_audit_of_a_large_index_goes_in_pieces_and_sees_all_of_it,
    the_audit_of_many_leases_goes_in_pieces,
    an_audit_may_go_on_while_the_store_changes,
    a_place_that_no_audit_gave_is_invalid,
);

/// More pieces than any test fills.
const MANY_PIECES: usize = 1000;

/// Audits a part to its end; how much was looked at in how many pieces, and what was mended.
pub async fn audit(store: &dyn Store, part: &AuditPart) -> (usize, usize, Vec<String>) {
    let (mut looked_at, mut mended, mut after) = (0, Vec::new(), None);
    for piece in 1..MANY_PIECES {
        let audited = store.audit(part, after).await.unwrap();
        looked_at += audited.looked_at;
        mended.extend(audited.mended);
        after = audited.next;
        if after.is_none() {
            return (looked_at, piece, mended);
        }
    }
    panic!("the audit of {part:?} does not end");
}

fn notes_audit() -> AuditPart {
    AuditPart::Index(NOTE, all_notes())
}

async fn the_audit_of_an_empty_store_ends(h: &mut dyn Harness) {
    let store = h.store();
    for part in [AuditPart::Leases, notes_audit()] {
        let (_, _, mended) = audit(&*store, &part).await;
        assert_eq!(mended, [""; 0]);
    }
}

async fn the_audit_of_a_sound_store_mends_nothing_and_changes_nothing(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + 60_000;
    let narrow = IndexName::by(NOTE, "agent", "x");
    let agent = claim("agent", 1);
    for n in 0..7 {
        let note = put(&n.to_string(), "body").indexed(n).index(narrow.clone(), -n);
        made(&*store, Change::new().put(note.ttl_ms(600_000))).await;
    }
    enqueue(&*store, &["crashes", "holder", "parked 1", "parked 2", "held", "ready"]).await;
    take_one(&*store).await;
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    let crashed = take_one(&*store).await;
    let holder = take_and_claim(&*store, &[agent.clone(), claim("model", 5)]).await;
    take_and_park(&*store, &agent).await;
    take_and_park(&*store, &agent).await;
    let held = take_one(&*store).await;
    made(&*store, Change::new().enqueue(job_at(Queue::Low, "later", soon + 600_000))).await;
    store.pause(Queue::Low, true).await.unwrap();

    let depth = store.depth().await.unwrap();
    for part in [AuditPart::Leases, notes_audit(), AuditPart::Index(NOTE, narrow.clone())] {
        let (looked_at, _, mended) = audit(&*store, &part).await;
        assert_eq!(mended, [""; 0], "{part:?}");
        assert!(looked_at >= 3, "{part:?}: only {looked_at} were looked at");
    }
    assert_eq!(store.depth().await.unwrap(), depth);
    assert_eq!(walk(&*store, &all_notes(), 10).await.len(), 7);
    assert_eq!(store.count(&narrow).await.unwrap(), 7);
    let held_still = [crashed.token, holder.token, held.token];
    assert_eq!(store.renew(&held_still, LEASE_MS).await.unwrap(), [true; 3]);
    made(&*store, Change::new().under(crashed.token, LeaseEnd::Requeue)).await;
    assert_eq!(take_one(&*store).await.crashes, 1);
    made(&*store, Change::new().under(holder.token, LeaseEnd::Finish)).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["parked 1", "ready"]);
}

async fn the_audit_of_a_large_index_goes_in_pieces_and_sees_all_of_it(h: &mut dyn Harness) {
    let store = h.store();
    for block in 0..10 {
        let change = (0..50).fold(Change::new(), |change, n| {
            // Many of the same time.
            change.put(put(&format!("{block}-{n}"), "body").indexed(block / 5))
        });
        made(&*store, change).await;
    }
    let (looked_at, pieces, mended) = audit(&*store, &notes_audit()).await;
    assert_eq!(mended, [""; 0]);
    assert!(looked_at >= 500, "only {looked_at} were looked at");
    assert!(pieces >= 3, "500 entries in {pieces} pieces");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 500);
}

async fn the_audit_of_many_leases_goes_in_pieces(h: &mut dyn Harness) {
    let store = h.store();
    for block in 0..4 {
        let change = (0..100)
            .fold(Change::new(), |change, n| change.enqueue(job(Queue::Normal, &format!("{block}-{n}"))));
        made(&*store, change).await;
        for lease in take(&*store, 100).await {
            made(&*store, claiming(lease.token, &[claim("agent", 1000)])).await;
        }
    }
    let (looked_at, pieces, mended) = audit(&*store, &AuditPart::Leases).await;
    assert_eq!(mended, [""; 0]);
    assert!(looked_at >= 400, "only {looked_at} were looked at");
    assert!(pieces >= 3, "400 leases in {pieces} pieces");
    assert_eq!(store.depth().await.unwrap().leased, 400);
}

async fn an_audit_may_go_on_while_the_store_changes(h: &mut dyn Harness) {
    let store = h.store();
    for n in 0..250 {
        made(&*store, Change::new().put(put(&n.to_string(), "body").indexed(n))).await;
    }
    let part = notes_audit();
    let (mut after, mut mended, mut next_id) = (None, Vec::new(), 0);
    for _ in 0..MANY_PIECES {
        let audited = store.audit(&part, after).await.unwrap();
        mended.extend(audited.mended);
        after = audited.next;
        if after.is_none() {
            break;
        }
        // What the place was named after may be gone when it goes on.
        for _ in 0..50 {
            made(&*store, Change::new().delete(note(&next_id.to_string()))).await;
            next_id += 3;
        }
    }
    assert_eq!(after, None);
    assert_eq!(mended, [""; 0]);
}

async fn a_place_that_no_audit_gave_is_invalid(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1))).await;
    for part in [AuditPart::Leases, notes_audit()] {
        let answer = store.audit(&part, Some(Cursor("nowhere at all".into()))).await;
        assert!(matches!(answer, Err(StoreError::Invalid(_))), "{part:?}: {answer:?}");
    }
}
