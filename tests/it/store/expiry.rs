//! Documents whose life has ended: absent for every verb from that moment, and cleared away in bounds.

use productforge::store::{Change, IndexName, ListQuery, Refusal};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_document_lives_until_its_life_ends,
    an_expired_document_counts_as_absent_in_an_expectation,
    an_expired_document_is_neither_listed_nor_counted,
    counts_are_true_when_very_many_expire_at_once,
    a_page_may_be_short_but_no_living_document_is_missed,
    a_put_gives_a_new_life,
    a_put_without_a_life_limit_lives_for_ever,
    a_life_of_nothing_ends_at_once,
    the_longest_life_is_taken,
    a_document_may_come_back_after_its_life,
    deleting_an_expired_document_counts_nothing_twice,
    expire_is_bounded_and_comes_to_an_end,
    expire_leaves_the_living_alone,
);

const MINUTE: u64 = 60_000;

async fn a_document_lives_until_its_life_ends(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").ttl_ms(3 * MINUTE))).await;
    h.age(2 * MINUTE).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    h.age(2 * MINUTE).await;
    assert_eq!(doc(&*store, "a").await, None);
}

async fn an_expired_document_counts_as_absent_in_an_expectation(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").ttl_ms(MINUTE))).await;
    assert_eq!(refused(&*store, Change::new().expect(note("a"), None)).await, Refusal::Changed(note("a")));
    h.age(OVER_A_MINUTE_MS).await;
    let stale = Change::new().expect(note("a"), Some(rev("one"))).put(put("a", "two"));
    assert_eq!(refused(&*store, stale).await, Refusal::Changed(note("a")));
    made(&*store, Change::new().expect(note("a"), None).put(put("a", "new"))).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "new");
}

async fn an_expired_document_is_neither_listed_nor_counted(h: &mut dyn Harness) {
    let store = h.store();
    let narrow = IndexName::by(NOTE, "agent", "x");
    made(&*store, Change::new().put(put("dies", "").indexed(1).index(narrow.clone(), 1).ttl_ms(MINUTE)))
        .await;
    made(&*store, Change::new().put(put("stays", "").indexed(2).index(narrow.clone(), 2))).await;
    h.age(OVER_A_MINUTE_MS).await;
    for index in [all_notes(), narrow] {
        assert_eq!(walk(&*store, &index, 1).await, ["stays"]);
        assert_eq!(store.count(&index).await.unwrap(), 1);
    }
}

async fn counts_are_true_when_very_many_expire_at_once(h: &mut dyn Harness) {
    let store = h.store();
    for block in 0..5 {
        let change = (0..100).fold(Change::new(), |change, n| {
            change.put(put(&format!("{block}-{n}"), "").indexed(n).ttl_ms(MINUTE))
        });
        made(&*store, change).await;
    }
    made(&*store, Change::new().put(put("stays", "").indexed(1))).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 501);
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
    assert_eq!(walk(&*store, &all_notes(), 100).await, ["stays"]);
}

async fn a_page_may_be_short_but_no_living_document_is_missed(h: &mut dyn Harness) {
    let store = h.store();
    for n in 0..30 {
        let note = put(&format!("n{n:02}"), "").indexed(n);
        made(&*store, Change::new().put(if n % 10 == 0 { note } else { note.ttl_ms(MINUTE) })).await;
    }
    h.age(OVER_A_MINUTE_MS).await;
    for limit in [1, 3, 10, 100] {
        assert_eq!(walk(&*store, &all_notes(), limit).await, ["n20", "n10", "n00"]);
    }
}

async fn a_put_gives_a_new_life(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1).ttl_ms(2 * MINUTE))).await;
    h.age(MINUTE).await;
    made(&*store, Change::new().put(put("a", "one").indexed(1).ttl_ms(4 * MINUTE))).await;
    h.age(2 * MINUTE).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
    h.age(4 * MINUTE).await;
    assert_eq!(doc(&*store, "a").await, None);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
}

async fn a_put_without_a_life_limit_lives_for_ever(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1).ttl_ms(MINUTE))).await;
    made(&*store, Change::new().put(put("a", "one").indexed(1))).await;
    h.age(OVER_A_MINUTE_MS).await;
    while store.expire(100).await.unwrap() {}
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
}

async fn a_life_of_nothing_ends_at_once(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one"))).await;
    made(&*store, Change::new().put(put("a", "two").indexed(1).ttl_ms(0))).await;
    assert_eq!(doc(&*store, "a").await, None);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
    assert!(walk(&*store, &all_notes(), 10).await.is_empty());
}

async fn the_longest_life_is_taken(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1).ttl_ms(u64::MAX))).await;
    h.age(1000 * MINUTE).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
}

async fn a_document_may_come_back_after_its_life(h: &mut dyn Harness) {
    let store = h.store();
    let narrow = IndexName::by(NOTE, "agent", "x");
    made(&*store, Change::new().put(put("a", "one").index(narrow.clone(), 1).ttl_ms(MINUTE))).await;
    h.age(OVER_A_MINUTE_MS).await;
    made(&*store, Change::new().put(put("a", "two").indexed(1))).await;
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["a"]);
    assert!(walk(&*store, &narrow, 10).await.is_empty());
    assert_eq!(store.count(&narrow).await.unwrap(), 0);
    while store.expire(100).await.unwrap() {}
    assert_eq!(body(&*store, "a").await.unwrap(), "two");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
}

async fn deleting_an_expired_document_counts_nothing_twice(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "").indexed(1).ttl_ms(MINUTE)).put(put("b", "").indexed(2)))
        .await;
    h.age(OVER_A_MINUTE_MS).await;
    made(&*store, Change::new().delete(note("a"))).await;
    while store.expire(100).await.unwrap() {}
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
}

async fn expire_is_bounded_and_comes_to_an_end(h: &mut dyn Harness) {
    let store = h.store();
    let narrow = IndexName::by(NOTE, "agent", "x");
    for n in 0..5 {
        let note = put(&format!("n{n}"), "").indexed(n).index(narrow.clone(), n).ttl_ms(MINUTE);
        made(&*store, Change::new().put(note)).await;
    }
    assert!(!store.expire(100).await.unwrap());
    h.age(OVER_A_MINUTE_MS).await;
    let mut calls = 1;
    while store.expire(2).await.unwrap() {
        calls += 1;
        assert!(calls < 20, "expire never ends");
    }
    assert!(calls >= 2, "more than asked for in one call");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
    assert_eq!(store.count(&narrow).await.unwrap(), 0);
}

async fn expire_leaves_the_living_alone(h: &mut dyn Harness) {
    let store = h.store();
    made(
        &*store,
        Change::new().put(put("a", "").indexed(1).ttl_ms(10 * MINUTE)).put(put("b", "").indexed(2)),
    )
    .await;
    h.age(OVER_A_MINUTE_MS).await;
    assert!(!store.expire(100).await.unwrap());
    let page = store.list(&ListQuery::newest(NOTE, 10)).await.unwrap();
    assert_eq!(ids(&page.docs), ["b", "a"]);
}
