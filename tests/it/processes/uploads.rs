//! Uploads to a real process: bounded in memory, and a disk that is full.

use std::io::Write;

use reqwest::StatusCode;
use serde_json::Value;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    archive::hostile::hostile,
    support::{
        process::{Process, Server, folder},
        redis_server::RedisServer,
        s3_server::{self, S3Server},
        wait::until,
    },
    surface::uploads::{BOUNDARY, form, shop},
};

async fn upload(server: &Server, bytes: &[u8]) -> (StatusCode, Value) {
    let answer = crate::support::app::client()
        .post(format!("{}/upload/", server.url))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(form(&[("file", Some("x.zip"), bytes)]))
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// A zip of so many bytes that cannot be packed smaller.
fn large(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("noise.bin", stored).unwrap();
    zip.write_all(&noise).unwrap();
    zip.finish().unwrap().into_inner()
}

/// KiB of a process.
fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_507_and_a_line_in_the_log_and_passes() {
    let folder = folder();
    let arguments = ["serve", "--port", "0", "--workers", "0"];
    let process = Process::start_with_small_disk(folder.path(), "workspace/uploads", 4, &arguments, &[]);
    let server = Server::of(process).await;
    let (status, problem) = upload(&server, &large(6 << 20)).await;
    assert_eq!(status, 507, "{problem}");
    assert_eq!(problem["type"], "urn:productforge:problem:disk-full");
    assert_eq!(problem["detail"], "No space is left for uploads; nothing was kept");
    let log = server.process.output();
    assert!(log.contains("no space is left in"), "{log}");
    // Nothing of it was kept, so that there is room for one that fits.
    let (status, receipt) = upload(&server, &shop()).await;
    assert_eq!(status, 200, "{receipt}");
    let (_, list) = server.get("/upload/list").await;
    assert_eq!(list["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_hostile_nor_large_archives_take_memory() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--workers", "0"], &[]).await;
    upload(&server, &shop()).await;
    let idle = memory(server.process.pid(), "VmRSS");
    let bombs = ["bomb_ratio", "bomb_size", "bomb_entries", "bomb_nesting", "overlapping_entries"];
    let mut sent = 0;
    for (name, bytes, reason) in hostile().iter().filter(|(_, _, reason)| bombs.contains(reason)) {
        let (status, problem) = upload(&server, bytes).await;
        assert_eq!((status.as_u16(), &problem["detail"][0]["type"]), (422, &Value::from(*reason)), "{name}");
        sent += 1;
    }
    assert!(sent >= 10, "{sent}");
    // Many at once, each far larger than what is held of it.
    let body = large(12 << 20);
    let many = (0..8).map(|_| upload(&server, &body));
    for (status, receipt) in futures_util::future::join_all(many).await {
        assert_eq!(status, 200, "{receipt}");
    }
    let grown = memory(server.process.pid(), "VmHWM") - idle;
    assert!(grown < 64 << 10, "{grown} KiB above idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_one_node_is_analysed_on_another_one_through_a_bucket() {
    let (redis, s3) = (RedisServer::start(), S3Server::shared());
    let (here, there) = (folder(), folder());
    let bucket = s3.url("two-nodes");
    let redis_url = redis.url();
    let keys = s3_server::keys();
    let (key, secret) = (keys.access_key_id.as_str(), keys.secret_access_key.as_str());
    let environment = [
        ("REDIS_URL", redis_url.as_str()),
        ("BLOB_URL", bucket.as_str()),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ];
    let server = Server::start(here.path(), &["--workers", "0"], &environment).await;
    let (status, receipt) = upload(&server, &shop()).await;
    assert_eq!(status, 200, "{receipt}");
    let _worker = Process::start(there.path(), &["worker"], &environment);
    let path = format!("/upload/{}", receipt["upload_id"].as_str().unwrap());
    let shown = until("the other node has analysed it", || async {
        Some(server.get(&path).await.1).filter(|shown| shown["status"] == "analysed")
    })
    .await;
    assert_eq!(shown["analysis"]["static"]["totals"]["files"], 4, "{shown}");
    let log = server.process.output();
    assert!(!log.contains(secret), "the log keeps secrets");
}
