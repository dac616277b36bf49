//! Writing, reading and removing documents.

use productforge::store::{Change, DocKey, Kind, Put};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_document_that_was_never_put_is_absent,
    a_put_document_is_read_back_byte_for_byte,
    a_second_put_replaces_the_first,
    a_deleted_document_is_absent,
    deleting_what_is_not_there_changes_nothing,
    many_keys_are_answered_in_the_order_asked,
    asking_for_no_keys_answers_nothing,
    documents_of_different_kinds_do_not_meet,
    an_id_may_hold_any_character,
    within_one_change_the_last_put_of_a_key_wins,
    within_one_change_a_delete_comes_after_a_put,
    an_empty_change_is_made,
);

async fn a_document_that_was_never_put_is_absent(h: &mut dyn Harness) {
    assert_eq!(doc(&*h.store(), "a").await, None);
}

async fn a_put_document_is_read_back_byte_for_byte(h: &mut dyn Harness) {
    let store = h.store();
    let bytes: Vec<u8> = (0..=255).chain([0, 13, 10, 0]).collect();
    made(&*store, Change::new().put(Put::raw(note("bytes"), bytes.clone())).put(put("empty", ""))).await;
    assert_eq!(doc(&*store, "bytes").await.unwrap().body, bytes);
    assert_eq!(body(&*store, "empty").await.unwrap(), "");
}

async fn a_second_put_replaces_the_first(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one"))).await;
    made(&*store, Change::new().put(put("a", "two"))).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "two");
    assert_eq!(doc(&*store, "a").await.unwrap().revision(), rev("two"));
}

async fn a_deleted_document_is_absent(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one"))).await;
    made(&*store, Change::new().delete(note("a"))).await;
    assert_eq!(doc(&*store, "a").await, None);
}

async fn deleting_what_is_not_there_changes_nothing(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("b", "stays").indexed(1))).await;
    made(&*store, Change::new().delete(note("a"))).await;
    assert_eq!(body(&*store, "b").await.unwrap(), "stays");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
}

async fn many_keys_are_answered_in_the_order_asked(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "1")).put(put("b", "2")).put(put("c", "3"))).await;
    let found = store.get(&[note("c"), note("no"), note("a"), note("c")]).await.unwrap();
    let bodies: Vec<_> = found.iter().map(|doc| doc.as_ref().map(|doc| doc.body.as_slice())).collect();
    assert_eq!(bodies, [Some(&b"3"[..]), None, Some(b"1"), Some(b"3")]);
    assert_eq!(found[0].as_ref().unwrap().key, note("c"));
}

async fn asking_for_no_keys_answers_nothing(h: &mut dyn Harness) {
    assert!(h.store().get(&[]).await.unwrap().is_empty());
}

async fn documents_of_different_kinds_do_not_meet(h: &mut dyn Harness) {
    let store = h.store();
    let tag = DocKey::new(Kind("tag"), "a");
    made(
        &*store,
        Change::new().put(put("a", "note").indexed(1)).put(Put::raw(tag.clone(), "tag").indexed(1)),
    )
    .await;
    made(&*store, Change::new().delete(note("a"))).await;
    assert_eq!(store.get(&[tag]).await.unwrap()[0].as_ref().unwrap().body, b"tag");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
}

async fn an_id_may_hold_any_character(h: &mut dyn Harness) {
    let store = h.store();
    let odd = ["a:b", "a b", "ünï", "{x}", "%", "*", "a\nb", "'; --", "\u{1F600}", "a:", ":a"];
    for (at, id) in odd.iter().enumerate() {
        made(&*store, Change::new().put(put(id, id).indexed(at as i64))).await;
    }
    for id in odd {
        assert_eq!(body(&*store, id).await.unwrap(), id);
    }
    let newest_first: Vec<_> = odd.iter().rev().copied().collect();
    assert_eq!(walk(&*store, &all_notes(), 2).await, newest_first);
}

async fn within_one_change_the_last_put_of_a_key_wins(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1)).put(put("a", "two"))).await;
    assert_eq!(body(&*store, "a").await.unwrap(), "two");
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
}

async fn within_one_change_a_delete_comes_after_a_put(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().delete(note("a")).put(put("a", "one").indexed(1))).await;
    assert_eq!(doc(&*store, "a").await, None);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
}

async fn an_empty_change_is_made(h: &mut dyn Harness) {
    assert!(made(&*h.store(), Change::new()).await.event_ids.is_empty());
}
