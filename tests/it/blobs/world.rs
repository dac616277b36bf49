//! Stores to test, files to put, and tests that are processes of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use productforge::blobs::{self, BlobError, Blobs, Config, Limits};
use tempfile::TempDir;

use crate::support::s3_server::{S3Server, keys};

/// Which engine, for a child process too.
#[derive(Debug, Clone, Copy)]
pub enum Engine {
    Folder,
    Bucket,
}

/// A store with a folder of its own.
pub struct World {
    pub blobs: Arc<dyn Blobs>,
    pub config: Config,
    pub folder: TempDir,
}

/// Quick to give up.
pub fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        silence: Duration::from_secs(20),
        transfer: Duration::from_secs(60),
        room: Duration::from_millis(300),
        retries: 2,
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(50),
        ..Limits::default()
    }
}

/// A prefix that no other test has.
pub fn prefix() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("tests/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn config(engine: Engine, folder: &Path) -> Config {
    match engine {
        Engine::Folder => Config { folder: folder.to_owned(), url: None, keys: None, limits: limits() },
        Engine::Bucket => Config {
            folder: folder.to_owned(),
            url: Some(S3Server::shared().url(&prefix())),
            keys: Some(keys()),
            limits: limits(),
        },
    }
}

impl World {
    pub async fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(engine, &folder.path().join("uploads"));
        Self { blobs: blobs::open(config.clone()).await.unwrap(), config, folder }
    }

    /// A finished file that is not where uploads are staged.
    pub fn file(&self, content: &[u8]) -> PathBuf {
        file(self.folder.path(), content)
    }

    pub async fn put(&self, name: &str, content: &[u8]) -> Result<(), BlobError> {
        let file = self.file(content);
        self.blobs.put(name, &file).await
    }

    /// What is left of unfinished work in the folders of temporary files.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let root = self.folder.path().join("uploads");
        let in_folder =
            |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        in_folder(root.join(".partial")).chain(in_folder(root.join("cache/.partial"))).collect()
    }

    /// Unfinished work may need a moment to notice that it is not wanted.
    pub async fn no_leftovers(&self) {
        for _ in 0..200 {
            if self.leftovers().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("left over: {:?}", self.leftovers());
    }
}

pub fn file(folder: &Path, content: &[u8]) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let path =
        folder.join(format!("finished-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::write(&path, content).unwrap();
    path
}

/// Bytes that do not repeat soon.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub async fn read(blobs: &dyn Blobs, name: &str) -> Result<Vec<u8>, BlobError> {
    let content = blobs.read(name).await?;
    let announced = content.bytes;
    let all = content.stream.try_fold(Vec::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    let all = all.await?;
    assert_eq!(announced, all.len() as u64);
    Ok(all)
}

/// A test of this binary as a process of its own, behind a prefix of words.
pub fn child(before: &[&str], test: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match before {
        [] => Command::new(this),
        [program, words @ ..] => {
            let mut command = Command::new(program);
            command.args(words).arg(this);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
}
