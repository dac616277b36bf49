//! What every engine does.

use std::{
    collections::BTreeSet,
    io::{Read, Seek, SeekFrom},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use productforge::blobs::{BlobError, Stat};

use super::world::{Engine, World, bytes, read};

macro_rules! both_engines {
    ($($name:ident),* $(,)?) => {
        mod of_folder {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(World::new(Engine::Folder).await).await; })*
        }
        mod of_bucket {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(World::new(Engine::Bucket).await).await; })*
        }
    };
}

both_engines!(
    what_is_put_can_be_had_until_it_is_deleted,
    sizes_at_the_borders_of_parts,
    a_put_replaces,
    a_failed_put_leaves_the_file,
    bad_names_are_refused_everywhere,
    listings_come_in_pages_in_order,
    many_at_once,
    dropped_futures_leave_all_or_nothing,
    it_says_whether_it_works,
);

async fn what_is_put_can_be_had_until_it_is_deleted(world: World) {
    let blobs = &world.blobs;
    let content = bytes(300_000, 1);
    let file = world.file(&content);
    assert_eq!(blobs.stat("a.pdf").await, Ok(None));
    blobs.put("a.pdf", &file).await.unwrap();
    assert!(!file.exists());
    assert_eq!(blobs.stat("a.pdf").await, Ok(Some(Stat { bytes: 300_000 })));

    let local = blobs.fetch("a.pdf").await.unwrap();
    assert_eq!(local.bytes(), 300_000);
    let mut opened = std::fs::File::open(local.path()).unwrap();
    let mut part = [0; 10];
    opened.seek(SeekFrom::Start(123_456)).and_then(|_| opened.read_exact(&mut part)).unwrap();
    assert_eq!(part, content[123_456..123_466]);
    assert_eq!(read(&**blobs, "a.pdf").await.unwrap(), content);

    blobs.delete("a.pdf").await.unwrap();
    blobs.delete("a.pdf").await.unwrap();
    assert_eq!(blobs.stat("a.pdf").await, Ok(None));
    drop(local);
    for error in [blobs.fetch("a.pdf").await.map(drop), blobs.read("a.pdf").await.map(drop)] {
        let error = error.unwrap_err();
        assert!(matches!(error, BlobError::Missing { .. }), "{error}");
        assert!(!error.is_transient());
    }

    let staged = blobs.staging().join("upload");
    std::fs::write(&staged, b"staged").unwrap();
    blobs.put("b", &staged).await.unwrap();
    assert_eq!(read(&**blobs, "b").await.unwrap(), b"staged");
    world.no_leftovers().await;
}

async fn sizes_at_the_borders_of_parts(world: World) {
    const PART: usize = 8 * 1024 * 1024;
    for size in [0, 1, PART, PART + 1, 2 * PART] {
        let content = bytes(size, size as u64);
        world.put("x", &content).await.unwrap();
        assert_eq!(world.blobs.stat("x").await, Ok(Some(Stat { bytes: size as u64 })));
        assert!(read(&*world.blobs, "x").await.unwrap() == content, "{size}");
        let local = world.blobs.fetch("x").await.unwrap();
        assert!(std::fs::read(local.path()).unwrap() == content, "{size}");
    }
}

async fn a_put_replaces(world: World) {
    for content in [b"one".as_slice(), b"two", b"three"] {
        world.put("x", content).await.unwrap();
        let local = world.blobs.fetch("x").await.unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), content);
    }
}

async fn a_failed_put_leaves_the_file(world: World) {
    let file = world.file(b"x");
    world.blobs.put("../x", &file).await.unwrap_err();
    assert!(file.exists());
    let folder = world.blobs.put("x", world.folder.path()).await.unwrap_err();
    assert!(matches!(folder, BlobError::NotAFile { .. }), "{folder}");
    let gone = world.blobs.put("x", &world.folder.path().join("gone")).await.unwrap_err();
    assert!(matches!(gone, BlobError::Io { .. }), "{gone}");
    #[cfg(unix)]
    {
        let link = world.folder.path().join("link");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        let error = world.blobs.put("x", &link).await.unwrap_err();
        assert!(matches!(error, BlobError::NotAFile { .. }), "{error}");
    }
    assert_eq!(world.blobs.stat("x").await, Ok(None));
}

async fn bad_names_are_refused_everywhere(world: World) {
    let long = "x".repeat(201);
    let file = world.file(b"x");
    let names = [
        "", ".", "..", ".x", "a/b", "../x", "/x", "a\\b", "a b", "a\0b", "a%2f", "ä", "a\n", "a@b", "*",
        &long,
    ];
    for name in names {
        let blobs = &world.blobs;
        for result in [
            blobs.put(name, &file).await,
            blobs.fetch(name).await.map(drop),
            blobs.read(name).await.map(drop),
            blobs.delete(name).await,
            blobs.stat(name).await.map(drop),
        ] {
            assert!(matches!(result, Err(BlobError::BadName { .. })), "{name:?}: {result:?}");
        }
    }
    for name in ["-", "a", "_x", "a..b", "CON", &"x".repeat(200)] {
        world.put(name, name.as_bytes()).await.unwrap();
        let local = world.blobs.fetch(name).await.unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), name.as_bytes());
    }
}

async fn listings_come_in_pages_in_order(world: World) {
    let blobs = &world.blobs;
    assert_eq!(blobs.list(None, 10).await, Ok(Vec::new()));
    let mut names: Vec<String> = (0..23).map(|n| format!("n-{n:03}.txt")).collect();
    names.extend(["A", "Z_", "a-", "a.", "a0", "aa", "_", "-"].map(str::to_owned));
    for name in &names {
        world.put(name, name.as_bytes()).await.unwrap();
    }
    names.sort();
    for limit in [1, 4, 31, 1_000, usize::MAX] {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = blobs.list(after.as_deref(), limit).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= limit);
            after = Some(last.name.clone());
            for entry in page {
                assert_eq!(entry.bytes, entry.name.len() as u64);
                let age = SystemTime::now().duration_since(entry.modified).unwrap_or_default();
                assert!(age < Duration::from_secs(300), "{age:?}");
                seen.push(entry.name);
            }
        }
        assert_eq!(seen, names);
    }
    assert_eq!(blobs.list(None, 0).await, Ok(Vec::new()));
    // Also between names, and with something that is no name.
    assert_eq!(blobs.list(Some("n-0219"), 1).await.unwrap()[0].name, "n-022.txt");
    assert_eq!(blobs.list(Some("~"), 1).await, Ok(Vec::new()));
}

async fn many_at_once(world: World) {
    let world = Arc::new(world);
    let work = (0..24).map(|n: u64| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let (name, content) = (format!("n{n}"), bytes(50_000 + n as usize, n));
            world.put(&name, &content).await.unwrap();
            // One name that all write and read: always one of the contents, whole.
            world.put("same", &vec![n as u8; 100_000]).await.unwrap();
            let same = match world.blobs.fetch("same").await {
                Ok(local) => std::fs::read(local.path()).unwrap(),
                // It was replaced twice during one fetch.
                Err(BlobError::Damaged { .. }) => vec![0; 100_000],
                Err(e) => panic!("{e}"),
            };
            assert_eq!(same.iter().copied().collect::<BTreeSet<u8>>().len(), 1);
            assert_eq!(same.len(), 100_000);
            assert!(read(&*world.blobs, &name).await.unwrap() == content);
            world.blobs.delete(&name).await.unwrap();
        })
    });
    for done in join_all(work).await {
        done.unwrap();
    }
    assert_eq!(world.blobs.list(None, 10).await.unwrap().len(), 1);
    world.no_leftovers().await;
}

async fn dropped_futures_leave_all_or_nothing(world: World) {
    // Two parts, and more than one write of a download.
    let content = bytes(9 * 1024 * 1024, 7);
    let mut cut = 0;
    for step in 0..24 {
        let (name, patience) = (format!("n{step}"), Duration::from_millis(step * step));
        let file = world.file(&content);
        let put = tokio::time::timeout(patience, world.blobs.put(&name, &file)).await;
        cut += usize::from(put.is_err());
        if let Ok(result) = put {
            result.unwrap();
        }
        match world.blobs.stat(&name).await.unwrap() {
            None => continue,
            Some(stat) => assert_eq!(stat.bytes, content.len() as u64),
        }
        let fetch = tokio::time::timeout(patience / 2, world.blobs.fetch(&name)).await;
        drop(fetch);
        let local = world.blobs.fetch(&name).await.unwrap();
        assert!(std::fs::read(local.path()).unwrap() == content);
    }
    assert!(cut > 0, "nothing was cut off: the test shows nothing");
    world.no_leftovers().await;
}

async fn it_says_whether_it_works(world: World) {
    let check = world.blobs.check().await;
    assert_eq!((&check.read, &check.write), (&Ok(()), &Ok(())), "{check:?}");
    let is_named = check.place.contains("uploads") || check.place.starts_with("s3://productforge/tests/");
    assert!(is_named && !format!("{check:?}").contains("secret"), "{check:?}");
    assert_eq!(world.blobs.list(None, 10).await, Ok(Vec::new()));
    world.no_leftovers().await;
}
