//! What is SQLite's own: files, locks, schema versions and what a crash leaves behind.

use std::{path::Path, sync::Arc};

use productforge::{
    clock::SystemClock,
    store::{
        Change, Queue, Store, StoreError,
        sqlite::{Location, SqliteStore},
    },
};

use super::fixtures::*;

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
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.pragma_update(None, "user_version", 4711).unwrap();
    drop(conn);
    assert!(refusal(&file).contains("version 4711"), "{}", refusal(&file));
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
