//! Backups of a store that is worked on, by the real executable: made under load, restored elsewhere, damaged, cut off.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use productforge::{
    clock::SystemClock,
    service::records,
    store::{
        Change, IndexName, Put, Store,
        sqlite::{Location, SqliteStore},
    },
};
use serde_json::{Value, json};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{
    support::{
        app::{TestApp, client},
        blobs::TempBlobs,
        command::{Ended, Workspace},
        process::{Process, Server},
        redis_server::RedisServer,
        sleepy_store::SleepyStore,
        wait::{until, until_within},
    },
    surface::uploads::{BOUNDARY, form, shop},
};

const PATIENCE: Duration = Duration::from_secs(120);

fn database(workspace: &Workspace) -> PathBuf {
    workspace.path().join("workspace/productforge.db")
}

async fn upload(server: &Server) -> String {
    let request = client()
        .post(format!("{}/upload/", server.url))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(form(&[("file", Some("shop.zip"), &shop())]));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["upload_id"].as_str().unwrap().to_owned()
}

/// A backup by the command, of a running server, without standing in the way of the test's own tasks.
async fn backup(workspace: &Workspace, server: &Server, file: &str) -> Ended {
    let mut command = workspace.command(&["backup", "--json", "--url", &server.url, "--out", file]);
    tokio::task::spawn_blocking(move || Ended::of(command.output().unwrap())).await.unwrap()
}

fn restore(workspace: &Workspace, file: &Path, more: &[&str]) -> Ended {
    workspace.run(&[&["restore", file.to_str().unwrap()], more].concat(), &[])
}

/// A small store that was used, and a backup of it, made without a server.
async fn small_backup(workspace: &Workspace) -> PathBuf {
    let server = Server::start(workspace.path(), &[], &[]).await;
    let id = server.orchestrate("Fix the login bug").await;
    until("the workflow ends", || server.ended(&id)).await;
    upload(&server).await;
    drop(server);
    let file = workspace.path().join("small.zip");
    let told = workspace.run(&["backup", "--out", "small.zip"], &[]).expect_code(0);
    assert!(
        told.stdout.contains("workflows") && told.stderr.contains("The backup is in small.zip"),
        "{told:?}"
    );
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_has_all_that_was_accepted_and_its_work_ends_elsewhere() {
    let (here, there) = (Workspace::new(), Workspace::new());
    let environment = [("SIMULATED_LATENCY_MS", "60"), ("WORKERS", "4")];
    let mut server = Server::start(here.path(), &[], &environment).await;
    let archive = upload(&server).await;
    let mut before = Vec::new();
    for n in 0..15 {
        before.push(server.orchestrate(&format!("Brief {n}")).await);
    }
    let first = before[0].clone();
    until("some work is done", || server.ended(&first)).await;
    // More is accepted while the backup is made.
    let more = async {
        for n in 0..10 {
            server.orchestrate(&format!("Brief {n}, late")).await;
        }
    };
    let (made, ()) = tokio::join!(backup(&here, &server, "b.zip"), more);
    let told: Value = serde_json::from_str(&made.expect_code(0).stdout).unwrap();
    let counts = &told["manifest"]["counts"];
    assert!(counts["workflows"].as_u64() >= Some(15) && counts["uploads"] == 1, "{counts}");
    assert!(counts["jobs_running"].as_u64() > Some(0), "the test wants leases in the backup: {counts}");
    server.process.kill();

    let restored = restore(&there, &here.path().join("b.zip"), &[]).expect_code(0);
    assert!(restored.stdout.contains("jobs running"), "{restored:?}");
    let server = Server::start(there.path(), &[], &environment).await;
    for id in &before {
        let workflow = until_within(PATIENCE, "the workflow ends", || server.ended(id)).await;
        assert_eq!(workflow["status"], "completed", "{workflow:#}");
        let steps = workflow["steps"].as_array().unwrap().iter();
        let mut expected: Vec<_> = steps.map(|step| step["job_id"].as_str().unwrap().to_owned()).collect();
        let (_, results) = server.get(&format!("/results/workflow/{id}")).await;
        let results = results.as_array().unwrap().iter();
        let mut found: Vec<_> = results.map(|r| r["job_id"].as_str().unwrap().to_owned()).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "one result for every step");
    }
    let path = format!("/upload/{archive}");
    let shown = until_within(PATIENCE, "the upload is analysed", || async {
        Some(server.get(&path).await.1).filter(|shown| shown["status"] == "analysed")
    })
    .await;
    let name = Path::new(shown["file_path"].as_str().unwrap()).file_name().unwrap().to_owned();
    assert_eq!(std::fs::read(there.path().join("workspace/uploads").join(name)).unwrap(), shop());
}

#[tokio::test]
async fn a_backup_that_is_cut_off_damaged_foreign_or_newer_is_refused_with_what_is_wrong() {
    let (here, there) = (Workspace::new(), Workspace::new());
    let good = std::fs::read(small_backup(&here).await).unwrap();
    let file = there.path().join("bad.zip");
    let refused = |bytes: &[u8], words: &str| {
        std::fs::write(&file, bytes).unwrap();
        for more in [&["--check"][..], &[]] {
            let ended = restore(&there, &file, more).expect_code(1);
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
        assert!(!database(&there).exists(), "{words}: something was restored");
    };
    refused(&good[..good.len() - 100], "It was cut off");
    refused(&good[..good.len() / 2], "It was cut off");
    refused(b"", "it is no zip file");
    refused(b"SQLite format 3\0 and so on", "it is no zip file");
    refused(&shop(), "it has no manifest.json");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    refused(&flipped, "the backup is damaged: ");
    refused(&changed(&good, |manifest| manifest["format"] = "else".into()), "is of something else");
    refused(
        &changed(&good, |manifest| manifest["schema"] = 1_000.into()),
        "made by version 3.0.0, in a newer form",
    );
    refused(
        &changed(&good, |manifest| manifest["parts"][0]["sha256"] = "00".into()),
        "its SHA-256 is not the one",
    );
    refused(
        &changed(&good, |manifest| manifest["parts"][0]["bytes"] = 5.into()),
        "is longer than it should be",
    );
    refused(
        &changed(&good, |manifest| manifest["parts"][0]["name"] = "uploads/../x".into()),
        "which no backup has",
    );
    std::fs::remove_file(&file).unwrap();
    assert!(restore(&there, &file, &[]).expect_code(1).stderr.contains("bad.zip cannot be read"));
}

/// The same backup with another manifest.
fn changed(backup: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut archive = ZipArchive::new(std::io::Cursor::new(backup)).unwrap();
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut change = Some(change);
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        if name == "manifest.json" {
            let mut manifest = serde_json::from_slice(&bytes).unwrap();
            change.take().unwrap()(&mut manifest);
            bytes = serde_json::to_vec(&manifest).unwrap();
        }
        out.start_file(name, SimpleFileOptions::default()).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_store_that_is_there_or_in_use_is_not_overwritten_unless_that_is_said() {
    let (here, there) = (Workspace::new(), Workspace::new());
    let backup = small_backup(&here).await;
    let server = Server::start(there.path(), &[], &[]).await;
    let id = server.orchestrate("The other store").await;
    until("the workflow ends", || server.ended(&id)).await;
    let in_use = restore(&there, &backup, &["--force"]).expect_code(1);
    assert!(in_use.stderr.contains("stop it first"), "{in_use:?}");
    drop(server);
    let occupied = restore(&there, &backup, &[]).expect_code(1);
    assert!(occupied.stderr.contains("--force puts the backup in its place"), "{occupied:?}");
    restore(&there, &backup, &["--force"]).expect_code(0);
    let names = workflows(&database(&there)).await;
    assert!(names == ["Fix the login bug"], "{names:?}");
    let kept = there.path().join("workspace/productforge.db.before-restore");
    assert_eq!(workflows(&kept).await, ["The other store"]);
    let twice = here.run(&["backup", "--out", "small.zip"], &[]).expect_code(1);
    assert!(twice.stderr.contains("small.zip is there already; --force"), "{twice:?}");
}

/// The briefs in a store.
async fn workflows(file: &Path) -> Vec<String> {
    let store = SqliteStore::open(Location::File(file.to_owned()), Arc::new(SystemClock)).unwrap();
    let page = store.list(&productforge::store::ListQuery::newest(records::WORKFLOW, 100)).await.unwrap();
    store.close().await;
    page.docs
        .iter()
        .map(|doc| doc.parse::<Value>().unwrap()["original_task"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_the_old_store_or_the_new_one() {
    let (here, there) = (Workspace::new(), Workspace::new());
    let backup = small_backup(&here).await;
    // Large enough that it takes a while.
    let store = SqliteStore::open(Location::File(database(&here)), Arc::new(SystemClock)).unwrap();
    for n in 0..40 {
        let noise: Vec<u8> =
            (0..1_u64 << 20).map(|i| (i.wrapping_mul(2_654_435_761 + n) >> 13) as u8).collect();
        let put = Put::raw(records::result_key(&format!("large-{n}")), noise);
        store.apply(Change::new().put(put)).await.unwrap().unwrap();
    }
    store.close().await;
    std::fs::remove_file(&backup).unwrap();
    here.run(&["backup", "--out", "small.zip"], &[]).expect_code(0);
    let server = Server::start(there.path(), &[], &[]).await;
    let id = server.orchestrate("The other store").await;
    until("the workflow ends", || server.ended(&id)).await;
    drop(server);
    let folder = there.path().join("workspace");
    let unpacked = || {
        let entries = std::fs::read_dir(&folder).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".restore-")).count()
    };
    let mut halfway = 0;
    for _ in 0..5 {
        let arguments = ["restore", "--force", backup.to_str().unwrap()];
        let mut process = Process::start(there.path(), &arguments, &[]);
        until("it unpacks", || {
            std::future::ready((unpacked() > 0 || process.ended().is_some()).then_some(()))
        })
        .await;
        process.kill();
        let names = workflows(&database(&there)).await;
        assert!(names == ["The other store"] || names == ["Fix the login bug"], "{names:?}");
        halfway += usize::from(names == ["The other store"]);
    }
    assert!(halfway > 0, "every restore was faster than its kill");
    // Neither a start nor a restore is held up by what the killed ones have left, and it goes.
    drop(Server::start(there.path(), &["--workers", "0"], &[]).await);
    assert_eq!(unpacked(), 0, "a start removes what was unpacked");
    restore(&there, &backup, &["--force"]).expect_code(0);
    assert_eq!(workflows(&database(&there)).await, ["Fix the login bug"]);
    assert_eq!(unpacked(), 0);
}

#[tokio::test]
async fn an_upload_whose_file_is_not_there_is_named_and_the_command_fails() {
    let here = Workspace::new();
    let server = Server::start(here.path(), &["--workers", "0"], &[]).await;
    let (kept, lost) = (upload(&server).await, upload(&server).await);
    let uploads = here.path().join("workspace/uploads");
    std::fs::remove_file(uploads.join(format!("{lost}_shop.zip"))).unwrap();
    let made = backup(&here, &server, "b.zip").await.expect_code(1);
    assert!(made.stderr.contains("The files of 1 uploads were not there"), "{made:?}");
    let told: Value = serde_json::from_str(&made.stdout).unwrap();
    let manifest = &told["manifest"];
    assert_eq!((&manifest["missing"], &manifest["left_out"]), (&json!([lost]), &json!([])));
    assert_eq!(manifest["counts"]["uploads"], 2, "the document is in it");
    drop(server);
    let without = here.run(&["backup", "--out", "c.zip"], &[]).expect_code(1);
    assert!(without.stdout.contains("the files of 1 uploads, which were not there"), "{without:?}");
    let there = Workspace::new();
    restore(&there, &here.path().join("b.zip"), &[]).expect_code(0);
    let server = Server::start(there.path(), &["--workers", "0"], &[]).await;
    for id in [&kept, &lost] {
        assert_eq!(server.get(&format!("/upload/{id}")).await.0, 200);
    }
    // Nothing is left of the making.
    assert_eq!(std::fs::read_dir(uploads.join(".partial")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_goes_while_a_backup_is_made_is_not_in_it_at_all() {
    let folder = crate::support::process::folder();
    let file = Location::File(folder.path().join("a.db"));
    let store = SqliteStore::open(file, Arc::new(SystemClock)).unwrap();
    let blobs = TempBlobs::new();
    let app = TestApp::builder().store(Arc::new(store)).blobs(blobs.clone()).start().await;
    let services = &app.app.services;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut incoming = services.uploads.begin().await.unwrap();
        incoming.write(&shop()).await.unwrap();
        ids.push(services.uploads.accept(incoming, "shop.zip", "demo", None).await.unwrap().upload_id);
    }
    let snapshot = services.backups.snapshot().await.unwrap();
    services.uploads.delete(&ids[1]).await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let written = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        snapshot.write(&runtime, &mut out)
    });
    let manifest = written.await.unwrap().unwrap();
    assert_eq!(manifest.left_out, ids[1..]);
    assert_eq!((manifest.missing.len(), manifest.counts["uploads"]), (0, 1));
}

#[tokio::test]
async fn a_backup_that_the_disk_has_no_room_for_is_refused_before_anything_is_written() {
    let folder = crate::support::process::folder();
    let file = Location::File(folder.path().join("a.db"));
    let store = SleepyStore::over(Arc::new(SqliteStore::open(file, Arc::new(SystemClock)).unwrap()));
    let blobs = TempBlobs::new();
    let app = TestApp::builder().store(store.clone()).blobs(blobs.clone()).start().await;
    store.grow(1 << 60);
    let answer = app.post("/system/backup", &json!({})).await;
    let why = answer.problem(507).as_str().unwrap().to_owned();
    let needed = (1_u64 << 60) + (16 << 20);
    assert!(why.contains(&format!("needs {needed} bytes")) && why.contains("are free"), "{why}");
    assert_eq!(answer.json()["type"], "urn:productforge:problem:disk-full");
    assert_eq!(blobs.files(), [""; 0]);
    store.grow(1 << 20);
    assert_eq!(app.post("/system/backup", &json!({})).await.status, 200);
}

#[tokio::test]
async fn what_a_killed_backup_left_behind_is_gone_after_the_next_start() {
    let here = Workspace::new();
    let left = here.path().join("workspace/uploads/.partial/backup-x7f3");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("productforge.db"), "half of a copy").unwrap();
    drop(Server::start(here.path(), &["--workers", "0"], &[]).await);
    assert!(!left.exists());
}

#[tokio::test]
async fn a_server_that_dies_on_the_way_leaves_no_file() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dying = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 4096]).unwrap();
        let begun = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nPK\x03\x04half\r\n";
        connection.write_all(begun.as_bytes()).unwrap();
    });
    let workspace = Workspace::new();
    let ended = workspace.run(&["backup", "--out", "b.zip", "--url", &url], &[]).expect_code(1);
    assert!(ended.stderr.contains("Nothing was kept"), "{ended:?}");
    dying.join().unwrap();
    let left: Vec<_> = std::fs::read_dir(workspace.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("backup") || name.to_string_lossy().contains("zip"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// As root, as somebody who takes care of a machine restores; what others make is theirs anyway.
#[tokio::test]
async fn what_root_restores_belongs_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (here, there) = (Workspace::new(), Workspace::new());
    let backup = small_backup(&here).await;
    let folder = there.path().join("workspace");
    std::fs::create_dir(&folder).unwrap();
    let is_root = chown(&folder, Some(10_001), Some(10_001)).is_ok();
    restore(&there, &backup, &[]).expect_code(0);
    restore(&there, &backup, &["--force"]).expect_code(0);
    let owner = std::fs::metadata(&folder).unwrap().uid();
    assert_eq!(owner == 10_001, is_root);
    let mut left = vec![folder];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), owner, "{}", path.display());
        seen += 1;
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen >= 7, "the database, its lock, the old one, the log and an upload, with folders: {seen}");
}

/// Whoever is in the wrong folder is told so, and not to start a server, of whose empty store a backup would be made.
#[test]
fn where_there_is_no_store_and_no_server_that_is_said() {
    let workspace = Workspace::new();
    let ended = workspace.run(&["backup"], &[]).expect_code(3);
    let told = "there is no workspace/productforge.db here (WORKSPACE_DIR), and no server answers at \
                http://127.0.0.1:8000: set WORKSPACE_DIR to the folder of the store, or name the server with --server";
    assert_eq!(ended.stderr, format!("error: {told}\n"));
    assert_eq!(std::fs::read_dir(workspace.path()).unwrap().count(), 0, "a folder was made");
}

#[tokio::test]
async fn a_state_in_redis_is_backed_up_by_redis_and_that_is_said() {
    let (redis, workspace) = (RedisServer::start(), Workspace::new());
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str())];
    let server = Server::start(workspace.path(), &["--workers", "0"], &environment).await;
    let (status, problem) = server.post("/system/backup", Value::Null).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("BGSAVE"), "{problem}");
    let asked = workspace.run(&["backup", "--url", &server.url], &[]).expect_code(1);
    let said = workspace.run(&["backup"], &environment).expect_code(1);
    assert!(asked.stderr.contains("BGSAVE") && said.stderr.contains("BGSAVE"), "{asked:?} {said:?}");
    let back = workspace.run(&["restore", "none.zip"], &environment).expect_code(2);
    assert!(back.stderr.contains("REDIS_URL is set"), "{back:?}");
}

#[tokio::test]
async fn a_copy_of_a_moment_can_be_opened_and_has_what_was_there_then() {
    let folder = crate::support::process::folder();
    let open = |name: &str| {
        SqliteStore::open(Location::File(folder.path().join(name)), Arc::new(SystemClock)).unwrap()
    };
    let store = open("a.db");
    let put = |id: &str| Put::raw(records::agent_key(id), "{}").indexed(1);
    store.apply(Change::new().put(put("first"))).await.unwrap().unwrap();
    let copy = folder.path().join("b.db");
    assert!(store.snapshot(&copy).await.unwrap());
    store.apply(Change::new().put(put("second"))).await.unwrap().unwrap();
    assert!(store.snapshot(&copy).await.is_err(), "a file that is there is not written over");
    let copied = open("b.db");
    assert_eq!(copied.count(&IndexName::all(records::AGENT)).await.unwrap(), 1);
    assert_eq!(store.count(&IndexName::all(records::AGENT)).await.unwrap(), 2);
}
