//! What Redis forgot on its own, and how the audit mends it.

use productforge::store::{AuditPart, Change, Claim, Enqueue, LeaseEnd, MAX_PAYLOAD_BYTES, Queue, Store};

use super::{
    audits::audit,
    fixtures::*,
    redis_only::{run, setup},
};

async fn mended(store: &dyn Store, part: AuditPart) -> Vec<String> {
    audit(store, &part).await.2
}

#[tokio::test]
async fn what_an_eviction_tore_apart_among_leases_is_mended() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["no lease", "no payload", "whole"]).await;
    let taken = take(&*store, 9).await;
    run::<()>(&mut foreign, &format!("ZREM pf:leases {}", taken[0].token)).await;
    run::<()>(&mut foreign, &format!("HDEL pf:inflight {}", taken[1].token)).await;
    assert_eq!(mended(&*store, AuditPart::Leases).await.len(), 2);
    assert_eq!(payloads(&take(&*store, 9).await), ["no lease"]);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.leased, depth.ready()), (2, 0));
    assert_eq!(mended(&*store, AuditPart::Leases).await, [""; 0], "once is enough");
}

#[tokio::test]
async fn what_an_eviction_tore_apart_among_claims_is_mended() {
    let (_server, store, mut foreign) = setup().await;
    enqueue(&*store, &["holds", "parked"]).await;
    let taken = take(&*store, 9).await;
    let agent = Claim { name: "agent".into(), limit: 1 };
    made(&*store, Change::new().under(taken[0].token, LeaseEnd::Keep).claim(agent.clone())).await;
    made(&*store, Change::new().under(taken[1].token, LeaseEnd::Park(agent))).await;
    // Who held the claim ends, and nothing says any more that it held it nor that something waits.
    run::<()>(&mut foreign, "DEL pf:claimed pf:parked pf:parked_count").await;
    made(&*store, Change::new().under(taken[0].token, LeaseEnd::Finish)).await;
    store.promote(100).await.unwrap();
    assert!(take(&*store, 9).await.is_empty());
    assert_eq!(mended(&*store, AuditPart::Leases).await.len(), 3);
    assert_eq!(store.depth().await.unwrap().parked, 1);
    store.promote(100).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["parked"]);
    assert_eq!(store.depth().await.unwrap().parked, 0);
    assert_eq!(mended(&*store, AuditPart::Leases).await, [""; 0]);
}

#[tokio::test]
async fn an_index_entry_without_a_document_is_removed_unless_it_is_fresh() {
    let (_server, store, mut foreign) = setup().await;
    made(&*store, Change::new().put(put("there", "1").indexed(1))).await;
    let now = store.now().await.unwrap() / 1000;
    run::<()>(&mut foreign, &format!("ZADD notes_index 1763800000.5 ghost {now} half-written")).await;
    assert_eq!(mended(&*store, AuditPart::Index(NOTE, all_notes())).await.len(), 1);
    assert_eq!(run::<Vec<String>>(&mut foreign, "ZRANGE notes_index 0 -1").await, ["there", "half-written"]);
}

#[tokio::test]
async fn very_large_payloads_come_in_portions() {
    let (_server, store, _foreign) = setup().await;
    for _ in 0..12 {
        let entry = Enqueue { queue: Queue::Normal, payload: vec![b'x'; MAX_PAYLOAD_BYTES], due_at: None };
        made(&*store, Change::new().enqueue(entry)).await;
    }
    assert_eq!(take(&*store, 100).await.len(), 8);
    assert_eq!(take(&*store, 100).await.len(), 4);
}
