//! TLS to Redis: with the right certificate it works; each wrong one is named, and a certificate that becomes
//! right is accepted without a restart.

use std::sync::Arc;

use deadpool_redis::redis::cmd;

use super::redis_troubles::Scene;
use crate::support::{
    certificates::{Authority, Certificate},
    redis_server::Options,
};

fn encrypted(certificate: &Arc<Certificate>) -> Options {
    Options { tls: Some(certificate.clone()), ..Options::default() }
}

/// Gives Redis another certificate while it runs.
async fn renew(scene: &mut Scene, certificate: &Certificate) {
    let mut set = cmd("CONFIG");
    set.arg("SET").arg("tls-cert-file").arg(certificate.certificate().to_str().unwrap());
    set.arg("tls-key-file").arg(certificate.key().to_str().unwrap());
    set.query_async::<()>(&mut scene.foreign).await.unwrap();
}

async fn trusting(certificate: &Arc<Certificate>, authority: &Certificate) -> Scene {
    let ca = authority.authority().display().to_string();
    Scene::with(encrypted(certificate), |redis| vec![("REDIS_URL", redis.url()), ("REDIS_CA_FILE", ca)]).await
}

#[tokio::test]
async fn an_unknown_authority() {
    let ours = Arc::new(Authority::new().issue(&["127.0.0.1"]));
    let other = Authority::new().issue(&["127.0.0.1"]);
    let scene = trusting(&ours, &other).await;
    scene.is_ill("certificate of an authority that is not trusted").await;
    scene.refuses(503, "store-unavailable").await;
    scene.told_once("certificate of an authority that is not trusted").await;
    // The file is mended.
    std::fs::copy(ours.authority(), other.authority()).unwrap();
    scene.recovers().await;
    let (_, verify) = scene.server.get("/system/verify").await;
    assert!(verify.to_string().contains("connections are encrypted"), "{verify}");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let (wrong, right) = (Arc::new(authority.issue(&["redis.example"])), authority.issue(&["127.0.0.1"]));
    let mut scene = trusting(&wrong, &wrong).await;
    scene.is_ill("certificate for another host name").await;
    scene.told_once("certificate for another host name").await;
    renew(&mut scene, &right).await;
    scene.recovers().await;
}

#[tokio::test]
async fn a_certificate_that_has_run_out() {
    let authority = Authority::new();
    let old = Arc::new(authority.issue_until(&["127.0.0.1"], 2020));
    let mut scene = trusting(&old, &old).await;
    scene.is_ill("certificate that has run out").await;
    scene.told_once("certificate that has run out").await;
    renew(&mut scene, &authority.issue(&["127.0.0.1"])).await;
    scene.recovers().await;
}

#[tokio::test]
async fn a_certificate_of_ours_that_is_wanted() {
    let authority = Authority::new();
    let certificate = Arc::new(authority.issue(&["127.0.0.1"]));
    let mut scene = trusting(&certificate, &certificate).await;
    scene.run::<()>("CONFIG SET tls-auth-clients yes").await;
    scene.run::<i64>("CLIENT KILL TYPE normal SKIPME yes").await;
    // The refusal is lost now and then: Redis closes while we speak.
    scene.is_ill("REDIS_CERT_FILE").await;
    scene.run::<()>("CONFIG SET tls-auth-clients no").await;
    scene.recovers().await;
    drop(scene);

    // With a certificate of its own a client is let in.
    let own = authority.issue(&["client"]);
    let options =
        Options { extra: "--tls-auth-clients yes", tls: Some(certificate.clone()), ..Options::default() };
    let scene = Scene::with(options, |redis| {
        vec![
            ("REDIS_URL", redis.url()),
            ("REDIS_CA_FILE", certificate.authority().display().to_string()),
            ("REDIS_CERT_FILE", own.certificate().display().to_string()),
            ("REDIS_KEY_FILE", own.key().display().to_string()),
        ]
    })
    .await;
    assert_eq!(scene.server.get("/system/health").await.0, 200);
}

#[tokio::test]
async fn a_port_without_tls() {
    let scene = Scene::with(Options::default(), |redis| {
        vec![("REDIS_URL", redis.url().replace("redis:", "rediss:"))]
    })
    .await;
    scene.is_ill("does not answer the TLS handshake").await;
    scene.told_once("does not answer the TLS handshake").await;
}
