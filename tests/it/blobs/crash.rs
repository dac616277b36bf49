//! A process that is killed in the middle of puts: what is there is whole.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use productforge::blobs::{self, Config};

use super::world::{Engine, World, bytes, child, file, limits, read};
use crate::support::s3_server::keys;

const BYTES: usize = 20 * 1024 * 1024;
const TEST: &str = "blobs::crash::of_folder";

#[tokio::test(flavor = "multi_thread")]
async fn of_folder() {
    // This test starts itself as the process that is killed.
    if std::env::var_os("BLOBS_TEST_FOLDER").is_some() {
        return put_until_killed().await;
    }
    killed_in_the_middle(World::new(Engine::Folder).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_bucket() {
    killed_in_the_middle(World::new(Engine::Bucket).await).await;
}

async fn killed_in_the_middle(world: World) {
    let content = bytes(BYTES, 1);
    let mut whole = 0;
    for round in 0..6 {
        let source = tempfile::tempdir_in(elsewhere()).unwrap();
        file(source.path(), &content);
        file(source.path(), &content);
        let mut command = child(&[], TEST);
        command
            .env("BLOBS_TEST_FOLDER", &world.config.folder)
            .env("BLOBS_TEST_SOURCE", source.path())
            .stdout(Stdio::piped());
        if let Some(url) = &world.config.url {
            command.env("BLOBS_TEST_URL", url);
        }
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("putting")));
        tokio::time::sleep(Duration::from_millis(5 + 40 * round)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        for entry in world.blobs.list(None, 1_000).await.unwrap() {
            assert_eq!(entry.bytes, BYTES as u64);
            assert!(read(&*world.blobs, &entry.name).await.unwrap() == content);
            world.blobs.delete(&entry.name).await.unwrap();
            whole += 1;
        }
    }
    assert!(whole < 12, "nothing was cut off: the test shows nothing");
    // The store works on, whatever was left.
    world.put("after", &content).await.unwrap();
    assert!(read(&*world.blobs, "after").await.unwrap() == content);
}

/// Another file system than that of the folder, so that a put has to copy.
fn elsewhere() -> PathBuf {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() }
}

async fn put_until_killed() {
    let given = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let (folder, source) = (given("BLOBS_TEST_FOLDER"), given("BLOBS_TEST_SOURCE"));
    let url = std::env::var("BLOBS_TEST_URL").ok();
    let blobs = blobs::open(Config { folder, url, keys: Some(keys()), limits: limits() }).await.unwrap();
    println!("putting");
    for (n, file) in fs::read_dir(source).unwrap().enumerate() {
        let name = format!("{}-{n}", std::process::id());
        blobs.put(&name, &file.unwrap().path()).await.unwrap();
    }
}
