//! Servers that are broken or lie, played by a script: what they do, no honest server can be made to do.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use productforge::blobs::{self, BlobError, Blobs, Config, Limits};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::world::{file, limits};
use crate::support::s3_server::keys;

type Answer = Box<dyn Fn(&str) -> String + Send + Sync>;

/// Answers each request by its first line, and remembers those lines.
struct Script {
    blobs: Arc<dyn Blobs>,
    requests: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Script {
    async fn new(limits: Limits, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, answer): (Arc<Mutex<Vec<String>>>, Arc<Answer>) =
            (Arc::default(), Arc::new(Box::new(answer)));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            folder: folder.path().join("uploads"),
            url: Some(format!("s3://bucket/p?endpoint=http://{address}")),
            keys: Some(keys()),
            limits,
        };
        Self { blobs: blobs::open(config).await.unwrap(), requests, folder }
    }

    fn count(&self, start: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }
}

/// One request and its answer; an empty answer is none.
async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, answer: Arc<Answer>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<u64>().ok());
    tokio::io::copy(&mut (&mut stream).take(length.unwrap_or(0)), &mut tokio::io::sink()).await.ok()?;
    let line = head.lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(line.clone());
    let answer = answer(&line);
    if answer.is_empty() {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    stream.write_all(answer.as_bytes()).await.ok()
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// What an object's headers are, with the digest of this content.
fn object(content: &str) -> String {
    let digest: String = Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect();
    format!("etag: \"1\"\r\nlast-modified: Fri, 27 Nov 2026 08:00:00 GMT\r\nx-amz-meta-sha256: {digest}\r\n")
}

fn head(content: &str) -> String {
    let length = content.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{}content-length: {length}\r\n\r\n", object(content))
}

#[tokio::test]
async fn content_that_is_not_what_was_put_is_damaged() {
    // Other bytes, fewer, more, of other lengths than announced.
    for body in ["0123456780", "012345678", "01234567890", ""] {
        let script = Script::new(limits(), move |line| match line.starts_with("head") {
            true => head("0123456789"),
            false => reply("200 OK", &object("0123456789"), body),
        })
        .await;
        let error = script.blobs.fetch("x").await.unwrap_err();
        assert!(matches!(error, BlobError::Damaged { .. }), "{body}: {error}");
        assert_eq!(script.count("get"), 2);
        let cache = script.folder.path().join("uploads/cache");
        let left = std::fs::read_dir(cache).unwrap().flatten().filter(|e| e.file_name() != ".lock").count();
        assert_eq!(left, 1, "only the folder of temporary files");
    }
}

#[tokio::test]
async fn bytes_come_as_they_were_put_whatever_they_are_called() {
    let script = Script::new(limits(), |line| {
        let compressed = "content-encoding: gzip\r\n";
        match line.starts_with("head") {
            true => head("0123456789").replacen("etag", &format!("{compressed}etag"), 1),
            false => reply("200 OK", &format!("{compressed}{}", object("0123456789")), "0123456789"),
        }
    })
    .await;
    let local = script.blobs.fetch("x").await.unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), b"0123456789");
}

#[tokio::test]
async fn an_object_without_a_digest_is_not_trusted() {
    let plain = "etag: \"1\"\r\nlast-modified: Fri, 27 Nov 2026 08:00:00 GMT\r\n";
    for digest in ["", "x-amz-meta-sha256: ../../../etc\r\n", "x-amz-meta-sha256: é\r\n"] {
        let headers = format!("{plain}{digest}");
        let script = Script::new(limits(), move |_| reply("200 OK", &headers, "")).await;
        let error = script.blobs.fetch("x").await.unwrap_err();
        assert!(matches!(error, BlobError::Damaged { .. } | BlobError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn one_download_serves_all_who_wait() {
    let script = Script::new(limits(), |line| {
        if line.starts_with("head") {
            return head("0123456789");
        }
        std::thread::sleep(Duration::from_millis(150));
        reply("200 OK", &object("0123456789"), "0123456789")
    })
    .await;
    let fetches = (0..8).map(|_| script.blobs.fetch("x"));
    for local in futures_util::future::join_all(fetches).await {
        assert_eq!(std::fs::read(local.unwrap().path()).unwrap(), b"0123456789");
    }
    assert_eq!(script.count("get"), 1);
}

#[tokio::test]
async fn what_fails_for_the_moment_is_tried_again() {
    let left = Mutex::new(2);
    let script = Script::new(limits(), move |_| {
        let mut left = left.lock().unwrap();
        if *left == 0 {
            return reply("200 OK", "etag: \"1\"\r\n", "");
        }
        *left -= 1;
        reply("503 Slow Down", "", "<Error><Code>SlowDown</Code><Message>wait</Message></Error>")
    })
    .await;
    script.blobs.put("x", &file(script.folder.path(), b"x")).await.unwrap();
    assert_eq!(script.count("put"), 3);
}

#[tokio::test]
async fn tries_have_an_end_and_errors_their_meaning() {
    let error = |status: &'static str, code: &'static str| async move {
        let script = Script::new(limits(), move |_| {
            reply(
                status,
                "",
                &format!("<Error><Code>{code}</Code><Message>said\n{}</Message></Error>", "x".repeat(9_000)),
            )
        })
        .await;
        let kept = file(script.folder.path(), b"x");
        let error = script.blobs.put("x", &kept).await.unwrap_err();
        assert!(kept.exists() && error.to_string().len() < 500, "{error}");
        (error, script.count("put"))
    };
    assert!(matches!(error("503 X", "SlowDown").await, (BlobError::Unreachable { .. }, 3)));
    assert!(matches!(error("500 X", "InternalError").await, (BlobError::Unreachable { .. }, 3)));
    assert!(matches!(error("429 X", "TooMany").await, (BlobError::Unreachable { .. }, 3)));
    assert!(matches!(error("507 X", "XMinioStorageFull").await, (BlobError::Full { .. }, _)));
    assert!(matches!(error("403 X", "AccessDenied").await, (BlobError::Denied { .. }, 1)));
    assert!(matches!(error("401 X", "Unauthorized").await, (BlobError::Denied { .. }, 1)));
    assert!(matches!(error("404 X", "NoSuchBucket").await, (BlobError::NoBucket { .. }, 1)));
    let (refused, tries) = error("400 X", "AuthorizationHeaderMalformed").await;
    assert!(matches!(refused, BlobError::Refused { .. }) && tries == 1, "{refused}");
    assert!(refused.to_string().contains("AuthorizationHeaderMalformed: said"), "{refused}");
    let (refused, _) = error("301 X", "PermanentRedirect").await;
    assert!(matches!(refused, BlobError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn silence_ends() {
    let limits = Limits { silence: Duration::from_millis(200), retries: 1, ..limits() };
    let script = Script::new(limits, |_| String::new()).await;
    let start = Instant::now();
    let error = script.blobs.fetch("x").await.unwrap_err();
    assert!(matches!(error, BlobError::Unreachable { .. }), "{error}");
    let limits = Limits { transfer: Duration::from_millis(200), ..super::world::limits() };
    let script = Script::new(limits, |_| String::new()).await;
    let error = script.blobs.put("x", &file(script.folder.path(), b"x")).await.unwrap_err();
    assert!(matches!(error, BlobError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn nonsense_is_an_error() {
    for nonsense in [
        "x",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ] {
        let script = Script::new(limits(), move |_| nonsense.to_owned()).await;
        script.blobs.list(None, 10).await.unwrap_err();
        script.blobs.fetch("x").await.unwrap_err();
        script.blobs.put("x", &file(script.folder.path(), b"x")).await.map(drop).unwrap_or_default();
        let check = script.blobs.check().await;
        assert!(check.read.is_err() && check.write.is_err());
    }
    let huge = "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"1\"\r\nlast-modified: Fri, 27 Nov 2026 08:00:00 GMT\r\n\
        content-length: 18446744073709551615\r\nx-amz-meta-sha256: ";
    let script = Script::new(limits(), move |_| format!("{huge}{}\r\n\r\n", "0".repeat(64))).await;
    let error = script.blobs.fetch("x").await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_listing_without_end_ends() {
    let script = Script::new(limits(), |_| {
        reply(
            "200 OK",
            "",
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>",
        )
    })
    .await;
    let error = script.blobs.list(None, 10).await.unwrap_err();
    assert!(matches!(error, BlobError::Refused { .. }) && error.to_string().contains("no end"), "{error}");
}

/// A server that begins an upload in parts and takes none of them.
fn no_parts(line: &str) -> String {
    match line {
        line if line.starts_with("post") && line.contains("?uploads") => reply(
            "200 OK",
            "",
            "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
        ),
        line if line.starts_with("delete") => reply("204 No Content", "", ""),
        line if line.contains("slow") => String::new(),
        _ => reply("403 Forbidden", "", ""),
    }
}

#[tokio::test]
async fn an_upload_in_parts_is_aborted_when_it_fails_or_is_dropped() {
    for name in ["x", "slow"] {
        let script = Script::new(limits(), no_parts).await;
        let large = file(script.folder.path(), &vec![0; 20 * 1024 * 1024]);
        let put = tokio::time::timeout(Duration::from_secs(2), script.blobs.put(name, &large)).await;
        assert_eq!(put.is_err(), name == "slow");
        for _ in 0..100 {
            if script.count("delete") > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(script.count("delete"), 1, "{:?}", script.requests.lock().unwrap());
        assert_eq!(script.count(&format!("delete /bucket/p/{name}?uploadid=u1")), 1);
        assert!(large.exists());
    }
}
