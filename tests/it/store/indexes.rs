//! Time-ordered indexes: what stands in them, pages, cursors and counts.

use productforge::store::{Change, Cursor, DocKey, IndexName, Kind, ListQuery, Put, StoreError};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_page_comes_newest_first,
    documents_of_the_same_time_come_in_descending_order_of_id,
    times_may_be_negative_or_far_away,
    an_index_that_was_never_written_is_empty,
    a_put_without_an_index_is_listed_nowhere,
    a_put_leaves_the_indexes_it_does_not_name,
    a_put_at_another_time_moves_the_document,
    a_deleted_document_leaves_all_its_indexes,
    pages_meet_each_document_once,
    the_last_page_says_so,
    a_cursor_holds_its_place_while_others_come_and_go,
    a_cursor_outlives_the_document_it_ended_at,
    a_cursor_that_no_engine_made_is_invalid,
    a_count_follows_every_move,
    writing_a_document_again_does_not_count_it_twice,
    an_index_belongs_to_its_kind,
    a_listing_can_begin_at_a_time,
    the_oldest_come_first_where_that_is_asked_for,
);

fn by_agent(name: &str) -> IndexName {
    IndexName::by(NOTE, "agent", name)
}

async fn a_page_comes_newest_first(h: &mut dyn Harness) {
    let store = h.store();
    for (id, at) in [("b", 20), ("c", 30), ("a", 10)] {
        made(&*store, Change::new().put(put(id, id).indexed(at))).await;
    }
    let page = store.list(&ListQuery::newest(NOTE, 2)).await.unwrap();
    assert_eq!(ids(&page.docs), ["c", "b"]);
    assert_eq!(page.docs[0].body, b"c");
    let page = store.list(&ListQuery::newest(NOTE, 2).after(page.next)).await.unwrap();
    assert_eq!(ids(&page.docs), ["a"]);
}

async fn documents_of_the_same_time_come_in_descending_order_of_id(h: &mut dyn Harness) {
    let store = h.store();
    for id in ["b", "a10", "c", "a9", "B", "ü"] {
        made(&*store, Change::new().put(put(id, id).indexed(5))).await;
    }
    for limit in [1, 2, 3, 10] {
        assert_eq!(walk(&*store, &all_notes(), limit).await, ["ü", "c", "b", "a9", "a10", "B"]);
    }
}

async fn times_may_be_negative_or_far_away(h: &mut dyn Harness) {
    let store = h.store();
    // Beyond 2^53 a time would not survive as a double; no calendar goes there.
    let far = 1 << 53;
    for (id, at) in [("past", -far), ("zero", 0), ("minus", -1), ("ahead", far), ("near", far - 1)] {
        made(&*store, Change::new().put(put(id, id).indexed(at))).await;
    }
    assert_eq!(walk(&*store, &all_notes(), 1).await, ["ahead", "near", "zero", "minus", "past"]);
}

async fn an_index_that_was_never_written_is_empty(h: &mut dyn Harness) {
    let store = h.store();
    let page = store.list(&ListQuery::newest(NOTE, 10)).await.unwrap();
    assert!(page.docs.is_empty() && page.next.is_none());
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
}

async fn a_put_without_an_index_is_listed_nowhere(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one"))).await;
    assert!(walk(&*store, &all_notes(), 10).await.is_empty());
    assert_eq!(store.count(&all_notes()).await.unwrap(), 0);
}

async fn a_put_leaves_the_indexes_it_does_not_name(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1).index(by_agent("x"), 1))).await;
    made(&*store, Change::new().put(put("a", "two").indexed(1).index(by_agent("y"), 1))).await;
    assert!(walk(&*store, &by_agent("x"), 10).await.is_empty());
    assert_eq!(store.count(&by_agent("x")).await.unwrap(), 0);
    assert_eq!(walk(&*store, &by_agent("y"), 10).await, ["a"]);
    assert_eq!(store.count(&by_agent("y")).await.unwrap(), 1);
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["a"]);

    made(&*store, Change::new().put(put("a", "three"))).await;
    for index in [all_notes(), by_agent("x"), by_agent("y")] {
        assert!(walk(&*store, &index, 10).await.is_empty());
        assert_eq!(store.count(&index).await.unwrap(), 0);
    }
}

async fn a_put_at_another_time_moves_the_document(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "a").indexed(1)).put(put("b", "b").indexed(2))).await;
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["b", "a"]);
    made(&*store, Change::new().put(put("a", "a").indexed(3))).await;
    assert_eq!(walk(&*store, &all_notes(), 10).await, ["a", "b"]);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 2);
}

async fn a_deleted_document_leaves_all_its_indexes(h: &mut dyn Harness) {
    let store = h.store();
    made(&*store, Change::new().put(put("a", "one").indexed(1).index(by_agent("x"), 7))).await;
    made(&*store, Change::new().delete(note("a"))).await;
    for index in [all_notes(), by_agent("x")] {
        assert!(walk(&*store, &index, 10).await.is_empty());
        assert_eq!(store.count(&index).await.unwrap(), 0);
    }
    made(&*store, Change::new().put(put("a", "back"))).await;
    assert!(walk(&*store, &all_notes(), 10).await.is_empty());
}

/// 25 notes, several of the same time; their ids newest first.
async fn notes_with_equal_times(h: &mut dyn Harness) -> Vec<String> {
    let store = h.store();
    let mut notes: Vec<(i64, String)> = (0..25).map(|n| (n / 4, format!("n{n:02}"))).collect();
    for (at, id) in &notes {
        made(&*store, Change::new().put(put(id, id).indexed(*at))).await;
    }
    notes.sort();
    notes.into_iter().rev().map(|(_, id)| id).collect()
}

async fn pages_meet_each_document_once(h: &mut dyn Harness) {
    let expected = notes_with_equal_times(h).await;
    for limit in [1, 2, 3, 7, 25, 100] {
        assert_eq!(walk(&*h.store(), &all_notes(), limit).await, expected);
    }
}

async fn the_last_page_says_so(h: &mut dyn Harness) {
    let store = h.store();
    notes_with_equal_times(h).await;
    assert_eq!(store.list(&ListQuery::newest(NOTE, 100)).await.unwrap().next, None);
    assert!(store.list(&ListQuery::newest(NOTE, 24)).await.unwrap().next.is_some());
}

async fn a_cursor_holds_its_place_while_others_come_and_go(h: &mut dyn Harness) {
    let store = h.store();
    for at in 0..10 {
        made(&*store, Change::new().put(put(&format!("n{at}"), "").indexed(at))).await;
    }
    let first = store.list(&ListQuery::newest(NOTE, 4)).await.unwrap();
    assert_eq!(ids(&first.docs), ["n9", "n8", "n7", "n6"]);

    let meanwhile = Change::new().put(put("newer", "").indexed(100)).delete(note("n8")).delete(note("n4"));
    made(&*store, meanwhile).await;

    let rest = store.list(&ListQuery::newest(NOTE, 100).after(first.next)).await.unwrap();
    assert_eq!(ids(&rest.docs), ["n5", "n3", "n2", "n1", "n0"]);
}

async fn a_cursor_outlives_the_document_it_ended_at(h: &mut dyn Harness) {
    let store = h.store();
    for id in ["a", "b", "c", "d"] {
        made(&*store, Change::new().put(put(id, id).indexed(1))).await;
    }
    let first = store.list(&ListQuery::newest(NOTE, 2)).await.unwrap();
    assert_eq!(ids(&first.docs), ["d", "c"]);
    made(&*store, Change::new().delete(note("c"))).await;
    let rest = store.list(&ListQuery::newest(NOTE, 2).after(first.next)).await.unwrap();
    assert_eq!(ids(&rest.docs), ["b", "a"]);
}

async fn a_cursor_that_no_engine_made_is_invalid(h: &mut dyn Harness) {
    let store = h.store();
    for text in ["", "nonsense", "x:y:z", "-", "999999999999999999999999:a"] {
        let query = ListQuery::newest(NOTE, 2).after(Some(Cursor(text.into())));
        let answer = store.list(&query).await;
        assert!(matches!(answer, Err(StoreError::Invalid(_))), "{text:?} gave {answer:?}");
    }
}

async fn a_count_follows_every_move(h: &mut dyn Harness) {
    let store = h.store();
    let mut change = Change::new();
    for n in 0..60 {
        let agent = if n % 3 == 0 { "x" } else { "y" };
        change = change.put(put(&format!("n{n}"), "").indexed(n).index(by_agent(agent), n));
    }
    made(&*store, change).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 60);
    assert_eq!(store.count(&by_agent("x")).await.unwrap(), 20);
    assert_eq!(store.count(&by_agent("y")).await.unwrap(), 40);

    made(&*store, Change::new().delete(note("n0")).put(put("n3", "").indexed(3).index(by_agent("y"), 3)))
        .await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 59);
    assert_eq!(store.count(&by_agent("x")).await.unwrap(), 18);
    assert_eq!(store.count(&by_agent("y")).await.unwrap(), 41);
}

async fn writing_a_document_again_does_not_count_it_twice(h: &mut dyn Harness) {
    let store = h.store();
    for text in ["one", "two", "three"] {
        made(&*store, Change::new().put(put("a", text).indexed(1))).await;
    }
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
    made(&*store, Change::new().put(put("a", "four").indexed(1).indexed(2))).await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 1);
    assert_eq!(walk(&*store, &all_notes(), 1).await, ["a"]);
}

async fn an_index_belongs_to_its_kind(h: &mut dyn Harness) {
    let store = h.store();
    let tag = Kind("tag");
    made(&*store, Change::new().put(put("a", "note").indexed(1))).await;
    made(&*store, Change::new().put(Put::raw(DocKey::new(tag, "a"), "tag").indexed(1))).await;
    assert_eq!(store.list(&ListQuery::newest(NOTE, 5)).await.unwrap().docs[0].body, b"note");
    assert_eq!(store.list(&ListQuery::newest(tag, 5)).await.unwrap().docs[0].body, b"tag");
    assert_eq!(store.count(&IndexName::all(tag)).await.unwrap(), 1);
}

async fn a_listing_can_begin_at_a_time(h: &mut dyn Harness) {
    let store = h.store();
    for (id, at) in [("e", 50), ("d", 40), ("c2", 30), ("c1", 30), ("b", 20), ("a", -5)] {
        made(&*store, Change::new().put(put(id, id).indexed(at))).await;
    }
    let from = async |until, limit| {
        let page = store.list(&ListQuery::newest(NOTE, limit).until(until)).await.unwrap();
        (page.docs.iter().map(|doc| doc.key.id.clone()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(from(Some(40), 10).await.0, ["d", "c2", "c1", "b", "a"]);
    assert_eq!(from(Some(39), 10).await.0, ["c2", "c1", "b", "a"]);
    assert_eq!(from(Some(-5), 10).await.0, ["a"]);
    assert_eq!(from(Some(-6), 10).await.0, [""; 0]);
    assert_eq!(from(Some(i64::MAX), 1).await.0, ["e"]);
    assert_eq!(from(Some(i64::MIN), 1).await.0, [""; 0]);
    // A cursor goes on from its own place.
    let (first, next) = from(Some(30), 1).await;
    assert_eq!(first, ["c2"]);
    let page = store.list(&ListQuery::newest(NOTE, 2).until(Some(30)).after(next)).await.unwrap();
    assert_eq!(ids(&page.docs), ["c1", "b"]);
}

async fn the_oldest_come_first_where_that_is_asked_for(h: &mut dyn Harness) {
    let store = h.store();
    let all = [("a", -5), ("b", 20), ("c1", 30), ("c10", 30), ("c2", 30), ("d", 40)];
    for (id, at) in all.iter().rev() {
        made(&*store, Change::new().put(put(id, id).indexed(*at))).await;
    }
    for limit in [1, 2, 3, 6, 10] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = ListQuery::newest(NOTE, limit).oldest_first().after(after);
            let page = store.list(&query).await.unwrap();
            assert!(page.docs.len() <= limit);
            found.extend(page.docs.into_iter().map(|doc| doc.key.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, all.map(|(id, _)| id), "in pages of {limit}");
    }
    // A cursor holds its place although what it ended at has gone.
    let page = store.list(&ListQuery::newest(NOTE, 4).oldest_first()).await.unwrap();
    made(&*store, Change::new().delete(DocKey::new(NOTE, "c10")).delete(DocKey::new(NOTE, "a"))).await;
    let page = store.list(&ListQuery::newest(NOTE, 4).oldest_first().after(page.next)).await.unwrap();
    assert_eq!(ids(&page.docs), ["c2", "d"]);
}
