//! The largest uploads, and what they take in memory.

use std::{fs, path::PathBuf};

use futures_util::TryStreamExt;
use productforge::blobs::{self, Config};
use sha2::{Digest, Sha256};

use super::world::{Engine, World, bytes, child, file, limits};
use crate::support::s3_server::keys;

const BYTES: usize = 45 * 1024 * 1024;
/// Three parts of 8 MiB on their way, their copies in the HTTP client, and a margin.
const MAX_GROWTH_KIB: u64 = 40 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn of_folder() {
    // This test starts itself as the process that is measured.
    if let Some(folder) = std::env::var_os("BLOBS_TEST_FOLDER") {
        return measured(PathBuf::from(folder)).await;
    }
    flat(World::new(Engine::Folder).await);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn of_bucket() {
    flat(World::new(Engine::Bucket).await);
}

fn flat(world: World) {
    let mut command = child(&[], "blobs::large::of_folder");
    command.env("BLOBS_TEST_FOLDER", &world.config.folder);
    if let Some(url) = &world.config.url {
        command.env("BLOBS_TEST_URL", url);
    }
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    let growth = words.lines().find_map(|line| line.split_once("growth in KiB: ")?.1.parse::<u64>().ok());
    eprintln!("{words}");
    let growth = growth.unwrap_or_else(|| panic!("{words}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success() && growth < MAX_GROWTH_KIB, "{words}");
}

async fn measured(folder: PathBuf) {
    let url = std::env::var("BLOBS_TEST_URL").ok();
    let config = Config { folder: folder.clone(), url, keys: Some(keys()), limits: limits() };
    let blobs = blobs::open(config).await.unwrap();
    blobs.put("small", &file(&folder, b"x")).await.unwrap();
    let (large, expected) = {
        let content = bytes(BYTES, 3);
        (file(&folder, &content), Sha256::digest(&content))
    };
    let before = status("VmRSS:");
    fs::write("/proc/self/clear_refs", "5").unwrap();
    blobs.put("large", &large).await.unwrap();
    let local = blobs.fetch("large").await.unwrap();
    assert_eq!(local.bytes(), BYTES as u64);
    let stream = blobs.read("large").await.unwrap().stream;
    let hash = stream.try_fold(Sha256::new(), |mut hash, chunk| async move {
        hash.update(&chunk);
        Ok(hash)
    });
    assert_eq!(hash.await.unwrap().finalize(), expected);
    println!("growth in KiB: {}", status("VmHWM:").saturating_sub(before));
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
