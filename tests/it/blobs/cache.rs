//! The bucket's local copies: their bound, one download for many, what is in use stays.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use productforge::blobs::{self, BlobError, Config, Limits};

use super::world::{Engine, World, bytes, config, file, limits};

const SIZE: usize = 400_000;
const LIMIT: u64 = 1_000_000;

/// A store with room for two.
async fn small_cache() -> (World, Config) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Engine::Bucket, &folder.path().join("uploads"));
    config.limits = Limits { cache_bytes: LIMIT, ..limits() };
    let blobs = blobs::open(config.clone()).await.unwrap();
    (World { blobs, config: config.clone(), folder }, config)
}

/// The names of the copies that are there, and what they take.
fn copies(world: &World) -> (Vec<String>, u64) {
    let mut all: Vec<(String, u64)> = fs::read_dir(world.config.folder.join("cache"))
        .unwrap()
        .flatten()
        .filter_map(|e| {
            Some((e.file_name().to_str()?.split_once('@')?.0.to_owned(), e.metadata().ok()?.len()))
        })
        .collect();
    all.sort();
    (all.iter().map(|(name, _)| name.clone()).collect(), all.iter().map(|(_, bytes)| bytes).sum())
}

fn is(path: &Path, content: &[u8]) -> bool {
    fs::read(path).unwrap() == content
}

#[tokio::test]
async fn the_oldest_makes_room() {
    let (world, _) = small_cache().await;
    for name in ["a", "b", "c"] {
        world.put(name, &bytes(SIZE, u64::from(name.as_bytes()[0]))).await.unwrap();
    }
    for name in ["a", "b", "a", "c"] {
        drop(world.blobs.fetch(name).await.unwrap());
        // Time stamps of files have steps.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(copies(&world), (vec!["a".to_owned(), "c".to_owned()], 2 * SIZE as u64));
    world.blobs.delete("a").await.unwrap();
    assert_eq!(copies(&world).0, ["c"]);
}

#[tokio::test]
async fn what_is_in_use_stays_and_what_waits_is_told() {
    let (world, _) = small_cache().await;
    for name in ["a", "b", "c"] {
        world.put(name, &bytes(SIZE, 1)).await.unwrap();
    }
    let (a, b) = (world.blobs.fetch("a").await.unwrap(), world.blobs.fetch("b").await.unwrap());
    let start = Instant::now();
    let error = world.blobs.fetch("c").await.unwrap_err();
    assert!(matches!(error, BlobError::CacheBusy { .. }) && error.is_transient(), "{error}");
    assert!(start.elapsed() >= limits().room && start.elapsed() < Duration::from_secs(5));
    assert!(is(a.path(), &bytes(SIZE, 1)) && is(b.path(), &bytes(SIZE, 1)));
    // Room comes while one waits.
    let (c, ()) = tokio::join!(world.blobs.fetch("c"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(a);
    });
    assert!(is(c.unwrap().path(), &bytes(SIZE, 1)));
    assert_eq!(copies(&world).0, ["b", "c"]);
}

#[tokio::test]
async fn a_blob_larger_than_the_cache_is_refused() {
    let (world, _) = small_cache().await;
    world.put("x", &bytes(LIMIT as usize + 1, 1)).await.unwrap();
    let error = world.blobs.fetch("x").await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { bytes: 1_000_001, limit: LIMIT, .. }), "{error}");
    assert_eq!(super::world::read(&*world.blobs, "x").await.unwrap().len(), 1_000_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_one_bound() {
    // Two stores on one folder are to each other what two processes are: they have files alone in common.
    let (world, config) = small_cache().await;
    let other = blobs::open(config).await.unwrap();
    for n in 0..6_u64 {
        world.put(&format!("n{n}"), &bytes(SIZE, n)).await.unwrap();
    }
    let fetches = (0..60_u64).map(|n| {
        let blobs = if n % 2 == 0 { &world.blobs } else { &other };
        let world = &world;
        async move {
            let local = loop {
                match blobs.fetch(&format!("n{}", n % 6)).await {
                    Err(BlobError::CacheBusy { .. }) => {}
                    other => break other.unwrap(),
                }
            };
            assert!(copies(world).1 <= LIMIT);
            assert!(is(local.path(), &bytes(SIZE, n % 6)));
        }
    });
    join_all(fetches).await;
    world.no_leftovers().await;
}

#[tokio::test]
async fn copies_outlive_the_process_and_leftovers_do_not_count() {
    let (world, config) = small_cache().await;
    world.put("a", &bytes(SIZE, 1)).await.unwrap();
    let path = world.blobs.fetch("a").await.unwrap().path().to_owned();
    let before = fs::metadata(&path).unwrap().created().ok();
    // What a killed process leaves: no lock on it.
    let leftover = config.folder.join("cache/.partial/b@0123456789abcdef0123456789abcdef");
    fs::write(&leftover, vec![0; LIMIT as usize]).unwrap();
    let again = blobs::open(config).await.unwrap();
    let local = again.fetch("a").await.unwrap();
    assert_eq!((local.path(), fs::metadata(&path).unwrap().created().ok()), (path.as_path(), before));
    world.put("c", &bytes(SIZE, 2)).await.unwrap();
    again.fetch("c").await.unwrap();
    assert!(!leftover.exists());
}

#[tokio::test]
async fn a_copy_of_another_length_is_not_used() {
    let (world, _) = small_cache().await;
    world.put("a", &bytes(SIZE, 1)).await.unwrap();
    let path = world.blobs.fetch("a").await.unwrap().path().to_owned();
    fs::write(&path, b"torn").unwrap();
    assert!(is(world.blobs.fetch("a").await.unwrap().path(), &bytes(SIZE, 1)));
}

#[tokio::test]
async fn a_put_does_not_need_room_in_the_cache() {
    let (world, _) = small_cache().await;
    let big = file(world.folder.path(), &bytes(3 * LIMIT as usize, 1));
    world.blobs.put("x", &big).await.unwrap();
    assert!(!big.exists());
}
