//! Faults of the machine: a full disk, one that cannot be written, no file descriptors left, a clock that jumps. Each is
//! said, each is answered, and it passes by itself. Of Redis: `outage`.

use std::{net::TcpStream, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    process::{Process, Server, folder},
    wait::{until, until_within},
};

const PATIENCE: Duration = Duration::from_secs(90);
/// Clock ticks of a second, as the kernel tells them.
const TICKS: u64 = 100;

/// Ticks of a processor that a process has used.
fn used(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// That a process does not turn in circles: of the next three seconds it takes less than half of a processor.
async fn is_calm(pid: u32) {
    let before = used(pid);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..4 {
        seconds.tick().await;
    }
    let share = used(pid) - before;
    assert!(share < 3 * TICKS / 2, "{share} of {} ticks: it turns in circles", 3 * TICKS);
}

/// A zip of so many bytes that does not get smaller.
fn filler(bytes: usize) -> Vec<u8> {
    use std::io::Write;
    let noise: Vec<u8> = (0..bytes as u64).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("noise.bin", stored).unwrap();
    zip.write_all(&noise).unwrap();
    zip.finish().unwrap().into_inner()
}

async fn upload(server: &Server, bytes: &[u8]) -> String {
    use crate::surface::uploads::{BOUNDARY, form};
    let request = crate::support::app::client()
        .post(format!("{}/upload/", server.url))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(form(&[("file", Some("filler.zip"), bytes)]));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["upload_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_store_is_507_reads_go_on_and_room_is_all_it_needs() {
    let folder = folder();
    let arguments = ["serve", "--port", "0", "--workers", "0"];
    let process = Process::start_with_small_disk(folder.path(), "workspace", 12, &arguments, &[]);
    let server = Server::of(process).await;
    let filler = upload(&server, &filler(4 << 20)).await;
    let mut accepted = Vec::new();
    let problem = loop {
        let text = format!("{} {}", accepted.len(), "a long brief ".repeat(6_000));
        let (status, answer) = server.post("/results/task", json!({"job": text})).await;
        match status {
            200 => accepted.push(answer["job_id"].as_str().unwrap().to_owned()),
            507 => break answer,
            _ => panic!("{status} {answer}"),
        }
        assert!(accepted.len() < 1_000, "the disk is not full");
    };
    assert_eq!(problem["type"], "urn:productforge:problem:store-full");
    assert_eq!(problem["detail"], "The store is full; nothing was written");
    let log = server.process.output();
    assert!(
        log.contains("The embedded store could not commit") && log.contains("the store is full"),
        "{log}"
    );
    for path in ["/system/ping", "/system/health", "/upload/list", "/jobs?limit=1"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    is_calm(server.process.pid()).await;
    let client = crate::support::app::client();
    let freed = client.delete(format!("{}/upload/{filler}", server.url)).send().await.unwrap();
    assert_eq!(freed.status(), 200, "{}", freed.text().await.unwrap());
    let (status, answer) = server.post("/results/task", json!({"job": "after"})).await;
    assert_eq!(status, 200, "{answer}");
    for id in &accepted {
        assert_eq!(server.get(&format!("/jobs/{id}")).await.0, 200, "what was accepted is there");
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_said_at_the_start_and_nothing_is_in_the_way_after_it() {
    let folder = folder();
    let workspace = folder.path().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    let script = "mount -t tmpfs -o ro tmpfs workspace && exec \"$0\" serve --port 0";
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    let run = |way: &[&str], script: &str, program: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(way).args(["sh", "-c", script, program]).current_dir(folder.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap()
    };
    let way = ways.iter().find(|way| run(way, "mount -t tmpfs tmpfs workspace", "true").status.success());
    let way = way.expect("a mount namespace, by a user namespace or as root");
    let ended = run(way, script, env!("CARGO_BIN_EXE_productforge"));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the embedded store cannot be opened"), "{said}");
    assert!(said.contains("workspace/productforge.db") && said.contains("Read-only file system"), "{said}");
    // The same command, once the disk can be written again.
    let server = Server::start(folder.path(), &["--workers", "0"], &[]).await;
    assert_eq!(server.post("/results/task", json!({"job": "now"})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_file_descriptors_it_neither_ends_nor_turns_in_circles_and_answers_when_some_are_free() {
    let folder = folder();
    let process = Process::start_limited(
        folder.path(),
        "ulimit -n 96",
        &["serve", "--port", "0", "--workers", "2"],
        &[("SIMULATED_LATENCY_MS", "0")],
    );
    let mut server = Server::of(process).await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(server.get("/system/ping").await.0, 200);
    // More than it may have; the system takes those that it does not take.
    let many: Vec<TcpStream> = (0..120).map(|_| TcpStream::connect(&address).unwrap()).collect();
    until("the log says it", || async {
        let log = server.process.output();
        (log.contains("Too many open files") || log.contains("os error 24")).then_some(())
    })
    .await;
    is_calm(server.process.pid()).await;
    assert!(server.process.ended().is_none(), "{}", server.process.output());
    drop(many);
    // A client of its own: what the other one held open is of no use here.
    let fresh = crate::support::app::client();
    until_within(PATIENCE, "it answers again", || async {
        let asked = fresh.get(format!("{}/system/ping", server.url)).send().await;
        asked.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
    let id = server.orchestrate("After the rush").await;
    let workflow = until_within(PATIENCE, "it ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed", "{workflow:#}");
}

/// The library that turns the clock of a process.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists()).expect("libfaketime is missing: ./dev setup installs it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_either_way_stops_no_job_and_doubles_none() {
    let folder = folder();
    let clock = folder.path().join("clock");
    let turn = |to: &str| {
        let new = folder.path().join("clock.new");
        std::fs::write(&new, to).unwrap();
        std::fs::rename(new, &clock).unwrap();
    };
    turn("+0");
    let (library, file) = (faketime(), clock.clone());
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_CACHE_DURATION", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("SIMULATED_LATENCY_MS", "150"),
        ("RESULT_TTL", "864000"),
    ];
    let server = Server::start(folder.path(), &[], &environment).await;
    let now = async || server.get("/system/status").await.1["timestamp"].as_str().unwrap().to_owned();
    let mut ids = Vec::new();
    for (n, to) in ["+1h", "+0", "-1h", "+0"].into_iter().enumerate() {
        for brief in 0..3 {
            ids.push(server.orchestrate(&format!("Brief {brief} before jump {n}")).await);
        }
        let path = format!("/workflows/{}", ids.last().unwrap());
        until("it works", || async {
            let workflow = server.get(&path).await.1;
            let steps = workflow["workflow"]["steps"].as_array().unwrap().clone();
            steps.iter().any(|step| step["status"] == "processing").then_some(())
        })
        .await;
        let before = now().await;
        turn(to);
        until("the clock has jumped", || async { (now().await[..13] != before[..13]).then_some(()) }).await;
        ids.push(server.orchestrate(&format!("After jump {n}")).await);
        for id in &ids {
            let workflow = until_within(PATIENCE, "the workflow ends", || server.ended(id)).await;
            assert_eq!(workflow["status"], "completed", "{workflow:#}");
        }
        is_calm(server.process.pid()).await;
    }
    for id in &ids {
        let workflow = server.get(&format!("/workflows/{id}")).await.1;
        let steps = workflow["workflow"]["steps"].as_array().unwrap().len();
        let results = server.get(&format!("/results/workflow/{id}")).await.1;
        assert_eq!(results.as_array().map(Vec::len), Some(steps), "one result for every step");
    }
    let log = server.process.output();
    assert!(!log.contains("panicked") && !log.contains("a request failed"), "{log}");
}
