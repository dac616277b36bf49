//! What is SQLite's own: files, locks, schema versions and what a crash leaves behind.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;

use productforge::{
    clock::SystemClock,
    store::{
        Add, AuditPart, Change, Delivery, LeaseEnd, Queue, QueueDepth, Store, StoreError,
        sqlite::{Location, SqliteStore},
    },
};

use super::{audits::audit, fixtures::*};

fn open(file: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(Location::File(file.to_owned()), Arc::new(SystemClock))
}

fn refusal(file: &Path) -> String {
    match open(file) {
        Ok(_) => panic!("{} was opened", file.display()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn the_folder_of_a_new_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/store.db");
    open(&file).unwrap().close().await;
    assert!(file.exists());
}

#[tokio::test]
async fn a_file_in_use_is_refused_until_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let first = open(&file).unwrap();
    assert!(refusal(&file).contains("in use by another process"), "{}", refusal(&file));
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(refusal(&link).contains("in use by another process"), "{}", refusal(&link));
    first.close().await;
    open(&file).unwrap().close().await;
}

#[tokio::test]
async fn a_store_that_is_dropped_lets_go_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    for _ in 0..5 {
        let store = open(&file).unwrap();
        enqueue(&store, &["1"]).await;
    }
    assert_eq!(open(&file).unwrap().depth().await.unwrap().normal, 5);
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    open(&file).unwrap().close().await;
    let conn = Connection::open(&file).unwrap();
    conn.pragma_update(None, "user_version", 4711).unwrap();
    drop(conn);
    assert!(refusal(&file).contains("version 4711"), "{}", refusal(&file));
}

#[tokio::test]
async fn a_file_of_an_older_program_is_brought_up_to_date_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch(include_str!("../../../src/store/sqlite/migrations/0001_start.sql")).unwrap();
    conn.execute_batch(
        "PRAGMA user_version = 1;
         INSERT INTO documents (no, kind, id, body) VALUES (1, 'note', 'a', CAST('one' AS BLOB));
         INSERT INTO indexes (no, name, entries) VALUES (1, 'notes_index', 1);
         INSERT INTO index_entries (index_no, at, id, document) VALUES (1, 5, 'a', 1);
         INSERT INTO ready (queue, position, payload, crashes) VALUES (1, 1, CAST('1' AS BLOB), 2);
         INSERT INTO leases (queue, payload, crashes, worker, expires_at)
             VALUES (2, CAST('2' AS BLOB), 0, 'w', 9000000000000);
         UPDATE depths SET amount = 1 WHERE place IN (1, 4);",
    )
    .unwrap();
    drop(conn);
    let store = open(&file).unwrap();
    assert_eq!(walk(&store, &all_notes(), 10).await, ["a"]);
    let depth = QueueDepth { normal: 1, leased: 1, ..QueueDepth::default() };
    assert_eq!(store.depth().await.unwrap(), depth);
    let old = store.leases(9).await.unwrap().remove(0);
    made(&store, claiming(old.token, &[claim("agent", 1)])).await;
    assert_eq!(take_and_park(&store, &claim("agent", 1)).await.crashes, 2);
    made(&store, Change::new().under(old.token, LeaseEnd::Finish)).await;
    assert_eq!(take_one(&store).await.crashes, 2);
    made(&store, Change::new().add(Add::new("spent", "tokens", 5))).await;
    assert_eq!(tally(&store, "spent").await, fields(&[("tokens", 5)]));
    for part in [AuditPart::Leases, AuditPart::Index(NOTE, all_notes())] {
        assert_eq!(audit(&store, &part).await.2, [""; 0]);
    }
    store.close().await;
    open(&file).unwrap().close().await;
}

#[tokio::test]
async fn the_janitor_leaves_no_row_of_a_tally_whose_life_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let store = open(&file).unwrap();
    for n in 0..5 {
        let ended = Add::new(n.to_string(), "tokens", 5).keep_ms(0);
        made(&store, Change::new().add(Add::new("stays", "tokens", 5)).add(ended)).await;
    }
    assert!(store.expire(2).await.unwrap());
    assert!(store.expire(2).await.unwrap());
    assert!(!store.expire(2).await.unwrap());
    store.close().await;
    let conn = Connection::open(&file).unwrap();
    for table in ["tallies", "tally_fields"] {
        let rows = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap(), 1, "{table}");
    }
}

/// Puts a foreign hand to a store's file between a close and the next opening.
async fn tampered(store: SqliteStore, file: &Path, sql: &str) -> SqliteStore {
    store.close().await;
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
    open(file).unwrap()
}

/// A store with three notes, one lease that holds a claim, and two payloads parked for it.
async fn one_with_a_bit_of_all(file: &Path) -> (SqliteStore, Delivery) {
    let store = open(file).unwrap();
    for n in 0..3 {
        made(&store, Change::new().put(put(&n.to_string(), "body").indexed(n))).await;
    }
    enqueue(&store, &["holder", "parked 1", "parked 2", "ready"]).await;
    let holder = take_and_claim(&store, &[claim("agent", 1)]).await;
    take_and_park(&store, &claim("agent", 1)).await;
    take_and_park(&store, &claim("agent", 1)).await;
    (store, holder)
}

#[tokio::test]
async fn an_audit_frees_a_claim_whose_lease_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let (store, _) = one_with_a_bit_of_all(&file).await;
    let store = tampered(store, &file, "DELETE FROM leases").await;
    store.promote(100).await.unwrap();
    assert_eq!(store.depth().await.unwrap().parked, 2, "the claim counts as held");
    let (_, _, mended) = audit(&store, &AuditPart::Leases).await;
    assert_eq!(mended.len(), 2, "{mended:?}");
    assert!(mended[1].contains("`agent` was held by lease"), "{mended:?}");
    let depth = QueueDepth { normal: 1, parked: 2, ..QueueDepth::default() };
    assert_eq!(store.depth().await.unwrap(), depth);
    store.promote(100).await.unwrap();
    take_and_claim(&store, &[claim("agent", 1)]).await;
    assert_eq!(audit(&store, &AuditPart::Leases).await.2, [""; 0]);
}

#[tokio::test]
async fn an_audit_counts_again_what_was_counted_wrongly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let (store, holder) = one_with_a_bit_of_all(&file).await;
    let depth = store.depth().await.unwrap();
    let wrong = "UPDATE depths SET amount = amount + 7; UPDATE claims SET held = 5, parked = 0;
                 UPDATE indexes SET entries = 12;";
    let store = tampered(store, &file, wrong).await;
    assert_ne!(store.depth().await.unwrap(), depth);
    let (_, _, mended) = audit(&store, &AuditPart::Leases).await;
    assert_eq!(mended.len(), 7, "six places and a claim: {mended:?}");
    assert_eq!(store.depth().await.unwrap(), depth);
    let notes = AuditPart::Index(NOTE, all_notes());
    assert_eq!(audit(&store, &notes).await.2, ["notes_index: there are 3 entries, 12 were counted"]);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 3);
    made(&store, Change::new().under(holder.token, LeaseEnd::Finish)).await;
    assert_eq!(waiting(&store, Queue::Normal).await, ["parked 1", "ready"]);
    for part in [AuditPart::Leases, notes] {
        assert_eq!(audit(&store, &part).await.2, [""; 0]);
    }
}

#[tokio::test]
async fn an_audit_takes_entries_without_a_document_out_of_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let (store, _) = one_with_a_bit_of_all(&file).await;
    let store = tampered(store, &file, "DELETE FROM documents WHERE id = '1'").await;
    assert_eq!(store.count(&all_notes()).await.unwrap(), 3);
    let notes = AuditPart::Index(NOTE, all_notes());
    assert_eq!(audit(&store, &notes).await.2, ["notes_index: `1` stood in it, which is gone"]);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 2);
    assert_eq!(walk(&store, &all_notes(), 10).await, ["2", "0"]);
    assert_eq!(audit(&store, &notes).await.2, [""; 0]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let text = "this is a letter, not a database ".repeat(100);
    std::fs::write(&file, &text).unwrap();
    assert!(refusal(&file).contains("not a database"), "{}", refusal(&file));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    assert!(refusal(&in_the_way.join("store.db")).contains("file"));
}

/// What a killed process leaves: the files as they are at that instant. Copying them while the store
/// is open gives the same.
#[tokio::test]
async fn everything_that_was_answered_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let store = open(&file).unwrap();
    for n in 0..20 {
        let id = n.to_string();
        let change = Change::new()
            .put(put(&id, "kept").indexed(n))
            .enqueue(job(Queue::Normal, &id))
            .event("run", id.into_bytes());
        made(&store, change).await;
    }
    let held = take(&store, 5).await;

    let copy = folder.path().join("copy.db");
    std::fs::copy(&file, &copy).unwrap();
    std::fs::copy(folder.path().join("store.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let found = open(&copy).unwrap();
    assert_eq!(found.count(&all_notes()).await.unwrap(), 20);
    assert_eq!(walk(&found, &all_notes(), 100).await.len(), 20);
    assert_eq!(event_bodies(&found, "run").await.len(), 20);
    let depth = found.depth().await.unwrap();
    assert_eq!((depth.normal, depth.leased), (15, 5));
    assert_eq!(found.renew(&tokens(&held), LEASE_MS).await.unwrap(), [true; 5]);
}

#[tokio::test]
async fn a_store_says_whether_it_keeps_what_it_is_given() {
    let memory = SqliteStore::open(Location::Memory, Arc::new(SystemClock)).unwrap();
    let report = memory.check().await.unwrap();
    assert_eq!(report.engine, "sqlite");
    assert!(report.checks.iter().any(|check| check.name == "persistence" && !check.ok), "{report:?}");

    let folder = tempfile::tempdir().unwrap();
    let file = open(&folder.path().join("store.db")).unwrap();
    let report = file.check().await.unwrap();
    assert!(report.checks.iter().all(|check| check.ok), "{report:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_stored_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new").join("store.db");
    let store = open(&file).unwrap();
    store.apply(Change::new().event("stream", b"secret".to_vec())).await.unwrap().unwrap();
    for path in [file.clone(), file.with_extension("db-wal"), file.parent().unwrap().to_owned()] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", path.display());
    }
}
