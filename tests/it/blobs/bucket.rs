//! What only the bucket engine has: keys, buckets and servers that are not right, copies in other folders.

use std::{net::TcpListener, time::Instant};

use productforge::blobs::{self, BlobError, Config, Keys};

use super::world::{Engine, World, config, file, limits, prefix};
use crate::support::s3_server::{BUCKET, S3Server, keys};

/// What every call says, with the check at the end.
async fn all_errors(config: Config) -> Vec<BlobError> {
    let blobs = blobs::open(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let small = file(folder.path(), b"x");
    let large = file(folder.path(), &vec![0; 9 * 1024 * 1024]);
    let check = blobs.check().await;
    let errors = vec![
        blobs.put("x", &small).await.unwrap_err(),
        blobs.put("x", &large).await.unwrap_err(),
        blobs.fetch("x").await.unwrap_err(),
        blobs.read("x").await.map(drop).unwrap_err(),
        blobs.stat("x").await.unwrap_err(),
        blobs.list(None, 1).await.unwrap_err(),
        blobs.delete("x").await.unwrap_err(),
        check.read.unwrap_err(),
        check.write.unwrap_err(),
    ];
    assert!(small.exists() && large.exists());
    for error in &errors {
        let text = error.to_string();
        assert!(text.contains("s3://") && !text.contains("secret"), "{text}");
        assert!(text.len() < 700 && !text.contains('\n'), "{text}");
    }
    errors
}

#[tokio::test]
async fn a_wrong_key_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Engine::Bucket, folder.path());
    for (id, secret) in [("tests", "wrong"), ("nobody", "tests-secret")] {
        config.keys = Some(Keys {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: None,
        });
        for error in all_errors(config.clone()).await {
            let text = error.to_string();
            assert!(
                matches!(error, BlobError::Denied { .. }) && text.contains("AWS_SECRET_ACCESS_KEY"),
                "{text}"
            );
            assert!(!error.is_transient());
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
    let mut config = config(Engine::Bucket, folder.path());
    config.url = Some(format!("s3://{BUCKET}/{}?endpoint=http://127.0.0.1:{port}", prefix()));
    let start = Instant::now();
    for error in all_errors(config).await {
        assert!(matches!(error, BlobError::Unreachable { .. }) && error.is_transient(), "{error}");
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Engine::Bucket, folder.path());
    config.url = Some(format!("s3://no-such-bucket/x?endpoint={}", S3Server::shared().endpoint()));
    let blobs = blobs::open(config).await.unwrap();
    let check = blobs.check().await;
    for error in [check.read.unwrap_err(), check.write.unwrap_err()] {
        assert!(matches!(error, BlobError::NoBucket { .. }), "{error}");
        assert!(error.to_string().contains("s3://no-such-bucket/x"), "{error}");
    }
}

#[tokio::test]
async fn another_node_sees_what_was_put() {
    let world = World::new(Engine::Bucket).await;
    world.put("x", b"from here").await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = Config { folder: elsewhere.path().to_owned(), ..world.config.clone() };
    let other = blobs::open(config).await.unwrap();
    assert_eq!(std::fs::read(other.fetch("x").await.unwrap().path()).unwrap(), b"from here");
    // What is deleted is gone for all, copy or not.
    world.blobs.delete("x").await.unwrap();
    assert!(matches!(other.fetch("x").await, Err(BlobError::Missing { .. })));
}

#[tokio::test]
async fn prefixes_are_apart() {
    let world = World::new(Engine::Bucket).await;
    world.put("x", b"x").await.unwrap();
    let inner = world.config.url.clone().map(|url| url.replace('?', "/inner?"));
    let inner = blobs::open(Config { url: inner, ..world.config.clone() }).await.unwrap();
    inner.put("y", &world.file(b"y")).await.unwrap();
    let names = |entries: Vec<blobs::Entry>| entries.into_iter().map(|e| e.name).collect::<Vec<_>>();
    assert_eq!(names(world.blobs.list(None, 10).await.unwrap()), ["x"]);
    assert_eq!(names(inner.list(None, 10).await.unwrap()), ["y"]);
}

#[tokio::test]
async fn keys_are_needed_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Engine::Bucket, folder.path());
    assert!(!format!("{config:?}").contains("tests-secret"));
    config.keys = None;
    let error = blobs::open(config).await.err().unwrap().to_string();
    assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    let bad = Config {
        folder: folder.path().to_owned(),
        url: Some("http://x".to_owned()),
        keys: Some(keys()),
        limits: limits(),
    };
    assert!(matches!(blobs::open(bad).await.err(), Some(BlobError::BadUrl(_))));
}
