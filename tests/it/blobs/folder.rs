//! What only the folder engine has: other nodes, full disks, rights, old leftovers.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use productforge::blobs::{self, BlobError, Folder};

use super::world::{Engine, World, bytes, child, config, file};

#[tokio::test]
async fn another_node_is_told_what_it_needs() {
    let world = World::new(Engine::Folder).await;
    let error = world.blobs.fetch("a.pdf").await.unwrap_err().to_string();
    assert!(error.contains("this node has no upload 'a.pdf'") && error.contains("need BLOB_URL"), "{error}");
}

#[tokio::test]
async fn leftovers_go_when_they_are_old() {
    let world = World::new(Engine::Folder).await;
    let (old, young) = (world.blobs.staging().join("old"), world.blobs.staging().join("young"));
    fs::write(&old, b"x").unwrap();
    fs::write(&young, b"x").unwrap();
    let before = SystemTime::now() - Duration::from_secs(25 * 3_600);
    File::options().write(true).open(&old).unwrap().set_modified(before).unwrap();
    blobs::open(world.config.clone()).await.unwrap();
    assert!(!old.exists() && young.exists());
}

#[tokio::test]
async fn what_is_no_blob_is_not_shown() {
    let world = World::new(Engine::Folder).await;
    let root = &world.config.folder;
    fs::create_dir(root.join("folder")).unwrap();
    fs::write(root.join(".hidden"), b"x").unwrap();
    fs::write(root.join("a b"), b"x").unwrap();
    world.put("x", b"x").await.unwrap();
    let names: Vec<String> = world.blobs.list(None, 10).await.unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["x"]);
    assert_eq!(world.blobs.stat("folder").await, Ok(None));
    assert!(matches!(world.blobs.fetch("folder").await, Err(BlobError::Missing { .. })));
    assert!(matches!(world.blobs.read("folder").await.map(drop), Err(BlobError::Missing { .. })));
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"x").unwrap();
    let error = Folder::open(&folder.path().join("file/uploads")).await.unwrap_err();
    assert!(error.to_string().contains("file/uploads"), "{error}");
}

#[tokio::test]
async fn the_folder_may_vanish() {
    let world = World::new(Engine::Folder).await;
    fs::remove_dir_all(&world.config.folder).unwrap();
    let file = world.file(b"x");
    assert!(world.blobs.put("x", &file).await.is_err());
    assert!(file.exists());
    let check = world.blobs.check().await;
    assert!(check.read.is_err() && check.write.is_err());
}

/// A small file system of its own, seen by the child alone and gone with it. Works for root, and for others
/// where user namespaces are allowed.
fn in_small_file_system(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@""#;
    let at = folder.path().to_str().unwrap();
    // Root needs no user namespace, and may not be allowed one.
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    let works = |way: &&&[&str]| {
        let tried =
            std::process::Command::new("unshare").args(**way).args(["sh", "-c", script, at, "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let way = ways.iter().find(works).expect("a mount namespace, by a user namespace or as root");
    let command = [&["unshare"], *way, &["sh", "-c", script, at]].concat();
    let output = child(&command, test).env("BLOBS_TEST_FOLDER", at).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("1 passed"), "{words}");
}

/// None when somebody else than the test started this process.
fn given_folder() -> Option<PathBuf> {
    std::env::var_os("BLOBS_TEST_FOLDER").map(PathBuf::from)
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).filter(|p| p.is_file()).collect()
}

#[tokio::test]
async fn a_full_disk_is_its_own_error() {
    // This test starts itself as the process that has such a disk.
    match given_folder() {
        Some(folder) => on_a_full_disk(folder).await,
        None => in_small_file_system("blobs::folder::a_full_disk_is_its_own_error"),
    }
}

async fn on_a_full_disk(folder: PathBuf) {
    let elsewhere = tempfile::tempdir().unwrap();
    let blobs = blobs::open(config(Engine::Folder, &folder)).await.unwrap();
    // Another file system: copied.
    blobs.put("small", &file(elsewhere.path(), &bytes(1_000_000, 1))).await.unwrap();
    let large = file(elsewhere.path(), &bytes(5_000_000, 2));
    let error = blobs.put("large", &large).await.unwrap_err();
    assert!(matches!(error, BlobError::Full { .. }) && error.to_string().contains("free some"), "{error}");
    assert!(large.exists());
    assert_eq!(names_in(blobs.staging()), [] as [PathBuf; 0]);
    assert_eq!(blobs.list(None, 10).await.unwrap().len(), 1);
    let fill = folder.join(".fill");
    let _ = fs::write(&fill, vec![0; 5_000_000]);
    let check = blobs.check().await;
    assert_eq!(check.read, Ok(()));
    assert!(matches!(check.write, Err(BlobError::Full { .. })), "{check:?}");
    // Room makes the same put succeed.
    fs::remove_file(fill).unwrap();
    blobs.delete("small").await.unwrap();
    blobs.put("large", &file(elsewhere.path(), &bytes(3_900_000, 2))).await.unwrap();
}

#[tokio::test]
async fn a_read_only_disk_is_denied() {
    // This test starts itself as the process that has such a disk.
    match given_folder() {
        Some(folder) => on_a_read_only_disk(folder).await,
        None => in_small_file_system("blobs::folder::a_read_only_disk_is_denied"),
    }
}

async fn on_a_read_only_disk(folder: PathBuf) {
    let elsewhere = tempfile::tempdir().unwrap();
    let blobs = blobs::open(config(Engine::Folder, &folder)).await.unwrap();
    blobs.put("x", &file(elsewhere.path(), b"x")).await.unwrap();
    let remounted =
        std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&folder).status().unwrap();
    assert!(remounted.success());
    let kept = file(elsewhere.path(), b"y");
    for error in [blobs.put("y", &kept).await.unwrap_err(), blobs.delete("x").await.unwrap_err()] {
        assert!(matches!(error, BlobError::Denied { .. }), "{error}");
    }
    assert!(kept.exists());
    let check = blobs.check().await;
    assert_eq!(check.read, Ok(()));
    assert!(matches!(check.write, Err(BlobError::Denied { .. })), "{check:?}");
    assert!(blobs.fetch("x").await.is_ok());
}
