//! Files of uploads that belong to no upload: which go, and which have to stay because they may be somebody else's.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use productforge::{
    app::App,
    clock::{Clock, ManualClock, SystemClock},
    model::Upload,
    service::{records, uploads},
    store::{Change, Store},
};
use serde_json::json;

use crate::support::{
    app::memory, blobs::TempBlobs, engines::Engine, scripted::chain, sleepy_store::SleepyStore, world::config,
};

on_both_engines!(
    a_file_that_belongs_to_no_upload_goes_when_it_was_an_orphan_for_a_day,
    files_of_another_installation_stay_and_that_is_said,
    a_store_that_knows_none_of_the_files_takes_none_of_them,
    after_an_older_backup_was_restored_there_is_a_day_to_go_back,
    an_upload_that_cannot_be_removed_stands_in_nobodys_way,
);

const HOUR_MS: i64 = 3_600_000;

/// One installation, or what takes itself for one.
struct World {
    app: App,
    clock: Arc<ManualClock>,
}

fn world(store: Arc<dyn Store>, blobs: &Arc<TempBlobs>) -> World {
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
    let app = App::assemble(config(&[]), store, blobs.clone(), chain(|_| "approve"), clock.clone());
    World { app, clock }
}

impl World {
    async fn sweep(&self) -> usize {
        self.app.services.uploads.sweep_orphans().await.unwrap()
    }

    /// The document of an upload, as a store knows it.
    async fn knows(&self, id: &str) {
        self.knows_until(id, "2126-11-22T10:18:03Z").await;
    }

    async fn knows_until(&self, id: &str, end: &str) {
        let document: Upload = serde_json::from_value(json!({
            "upload_id": id, "filename": "shop.zip", "original_filename": "shop.zip", "size": 1,
            "file_path": format!("workspace/uploads/{id}_shop.zip"), "blob": format!("{id}_shop.zip"),
            "uploaded_at": "2026-11-22T10:18:03.863641", "expires_at": end}))
        .unwrap();
        let put = records::put_upload(&document, Duration::from_secs(90 * 86_400));
        self.app.store.apply(Change::new().put(put)).await.unwrap().unwrap();
    }

    async fn warnings(&self) -> String {
        self.app.services.system.verify().await["warnings"].to_string()
    }
}

fn id(n: u32) -> String {
    format!("1b60f9b1-6a43-4a3e-b9c6-{n:012}")
}

/// The file of an upload, which is two hours old.
fn file(blobs: &TempBlobs, name: &str) {
    let path = blobs.root().join(name);
    std::fs::write(&path, "x").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(7_200);
    std::fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

fn file_of(blobs: &TempBlobs, n: u32) {
    file(blobs, &format!("{}_shop.zip", id(n)));
}

/// The files of uploads, by number.
fn left(blobs: &TempBlobs, numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.filter(|n| blobs.root().join(format!("{}_shop.zip", id(*n))).exists()).collect()
}

async fn a_file_that_belongs_to_no_upload_goes_when_it_was_an_orphan_for_a_day(engine: Engine) {
    let blobs = TempBlobs::new();
    let here = world(engine.store.clone(), &blobs);
    assert_eq!(here.sweep().await, 0, "there are no files: they are its own from now on");
    here.knows(&id(0)).await;
    for n in 0..2 {
        file_of(&blobs, n);
    }
    file(&blobs, "0e8491485-no-uuid_x.zip");
    std::fs::write(blobs.root().join(format!("{}_shop.zip", id(2))), "just now").unwrap();
    assert_eq!(here.sweep().await, 0, "seen for the first time");
    here.clock.advance(23 * HOUR_MS);
    assert_eq!(here.sweep().await, 0, "for less than a day");
    here.clock.advance(2 * HOUR_MS);
    assert_eq!((here.sweep().await, here.sweep().await), (1, 0));
    assert_eq!(left(&blobs, 0..3), [0, 2], "what a document names stays, and so does what is under way");
    assert!(blobs.files().contains(&"0e8491485-no-uuid_x.zip".to_owned()), "it is nobody's to remove");
    assert!(!here.warnings().await.contains("another installation"));
}

async fn files_of_another_installation_stay_and_that_is_said(engine: Engine) {
    let blobs = TempBlobs::new();
    let production = world(engine.store.clone(), &blobs);
    for n in 0..5 {
        production.knows(&id(n)).await;
        file_of(&blobs, n);
    }
    assert_eq!(production.sweep().await, 0);
    assert!(blobs.files().contains(&uploads::MARK.to_owned()), "the files are marked as its own");
    // One with a store of its own, and with an upload of its own, on the same files.
    let other = world(memory(), &blobs);
    other.knows(&id(5)).await;
    file_of(&blobs, 5);
    for _ in 0..3 {
        assert_eq!(other.sweep().await, 0);
        other.clock.advance(25 * HOUR_MS);
    }
    assert_eq!(left(&blobs, 0..6), [0, 1, 2, 3, 4, 5]);
    let warnings = other.warnings().await;
    assert!(
        warnings.contains("belong to another installation") && warnings.contains("BLOB_URL"),
        "{warnings}"
    );
    assert!(!production.warnings().await.contains("another installation"));
}

async fn a_store_that_knows_none_of_the_files_takes_none_of_them(engine: Engine) {
    let blobs = TempBlobs::new();
    // Files of before there were marks; the store that knew them is gone.
    for n in 0..4 {
        file_of(&blobs, n);
    }
    let here = world(engine.store.clone(), &blobs);
    here.knows(&id(0)).await;
    for _ in 0..3 {
        assert_eq!(here.sweep().await, 0);
        here.clock.advance(25 * HOUR_MS);
    }
    assert_eq!(left(&blobs, 0..4), [0, 1, 2, 3]);
    assert!(!blobs.files().contains(&uploads::MARK.to_owned()));
    // It knows as many as it does not know: they are its own.
    here.knows(&id(1)).await;
    here.sweep().await;
    here.sweep().await;
    here.clock.advance(25 * HOUR_MS);
    assert_eq!(here.sweep().await, 2);
    assert_eq!(left(&blobs, 0..4), [0, 1]);
}

async fn after_an_older_backup_was_restored_there_is_a_day_to_go_back(engine: Engine) {
    let blobs = TempBlobs::new();
    let newest = world(engine.store.clone(), &blobs);
    newest.sweep().await;
    let before = engine.store.get(&[records::installation_key()]).await.unwrap().pop().flatten().unwrap();
    for n in 0..3 {
        newest.knows(&id(n)).await;
        file_of(&blobs, n);
    }
    // The same installation as it was before these were uploaded.
    let older = world(memory(), &blobs);
    let put = productforge::store::Put::raw(before.key.clone(), before.body.clone());
    older.app.store.apply(Change::new().put(put)).await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(older.sweep().await, 0);
        older.clock.advance(7 * HOUR_MS);
    }
    assert_eq!(left(&blobs, 0..3), [0, 1, 2]);
    newest.clock.advance(48 * HOUR_MS);
    assert_eq!((newest.sweep().await, newest.sweep().await), (0, 0), "gone back: nothing is lost");
    assert_eq!(left(&blobs, 0..3), [0, 1, 2]);
}

async fn an_upload_that_cannot_be_removed_stands_in_nobodys_way(engine: Engine) {
    let blobs = TempBlobs::new();
    let store = SleepyStore::over(engine.store.clone());
    let here = world(store.clone(), &blobs);
    // Those that ended first come first.
    for n in 0..103 {
        here.knows_until(&id(n), &format!("2026-01-01T10:{:02}:{:02}Z", n / 60, n % 60)).await;
        file_of(&blobs, n);
    }
    store.break_down(&id(1));
    while here.app.services.uploads.expire().await.unwrap() {}
    assert_eq!(left(&blobs, 0..103), [0; 0]);
    let keys: Vec<_> = (0..3).map(|n| records::upload_key(&id(n))).collect();
    let known: Vec<_> = engine.store.get(&keys).await.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(known, [false, true, false]);
}
