//! Servers that break, lie or are not there.

use std::time::{Duration, Instant};

use productforge::{
    config::{LlmConfig, Secret},
    llm::{Deaf, ModelErrorKind, ModelProvider},
};

use super::{error_of, provider, request};
use crate::support::fake_model::{Delivery, FAKE_KEY, FakeModel, Reply};

#[tokio::test]
async fn broken_connections_are_told_from_bad_answers() {
    use ModelErrorKind::{BadAnswer, BadRequest, Connection, RateLimited, Unavailable};
    for (reply, kind) in [
        (Reply::reset(), Connection),
        (Reply::answer("x").delivered(Delivery::Close), Connection),
        (Reply::answer("a longer answer").delivered(Delivery::CutAfter(30)), Connection),
        (Reply::answer("a longer answer").delivered(Delivery::ResetAfter(30)), Connection),
        (Reply::raw(200, "application/json", r#"{"choices":[{"message":{"con"#), BadAnswer),
        (Reply::raw(200, "text/html", "<html><title>Log in</title></html>"), BadAnswer),
        (Reply::raw(200, "application/json", ""), BadAnswer),
        (Reply::raw(200, "text/event-stream", "data: {}\n\n"), Connection),
        (Reply::raw(200, "text/event-stream", "data: nonsense\n\n"), BadAnswer),
        (Reply::raw(200, "application/json", vec![0xff; 100]), BadAnswer),
        (Reply::answer("x").header("content-encoding", "gzip"), Connection),
        (Reply::raw(404, "text/plain", "404 page not found"), BadRequest),
        (
            Reply::raw(429, "application/json", r#"{"error":{"code":429}}"#).delivered(Delivery::CutAfter(8)),
            RateLimited,
        ),
        (Reply::raw(500, "text/html", vec![b'x'; 10 << 20]), Unavailable),
    ] {
        let shown = format!("{} {:?}", reply.status, reply.delivery);
        let fake = FakeModel::by(move |_, _| reply.clone());
        let error = error_of(&fake).await;
        assert_eq!(error.kind, kind, "{shown}: {error}");
        assert!(error.message.len() < 2_000, "{shown}");
    }
}

#[tokio::test]
async fn a_flood_is_not_read() {
    let fake = FakeModel::by(|_, _| Reply::raw(200, "application/json", vec![b' '; 17 << 20]));
    let error = error_of(&fake).await;
    assert_eq!(error.kind, ModelErrorKind::BadAnswer);
    assert!(error.message.contains("16 MiB"), "{error}");
}

#[tokio::test]
async fn a_slow_server_times_out() {
    let fake = FakeModel::by(|_, _| Reply::answer("late").held());
    let config = LlmConfig { timeout: Duration::from_millis(80), ..fake.config() };
    let started = Instant::now();
    let error = provider(&config).complete(&request("hi"), &Deaf).await.unwrap_err();
    assert_eq!((error.kind, error.requests), (ModelErrorKind::Timeout, 4));
    assert!(started.elapsed() >= Duration::from_millis(4 * 80));
    assert!(error.message.contains("within 0.08 s"), "{error}");
    fake.until("four hang-ups", |f| f.hang_ups() == 4).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let config = LlmConfig {
        base_url: Some(format!("http://somebody:hunter2@{address}/v1?token=hunter2")),
        ..FakeModel::start().config()
    };
    let error = provider(&config).complete(&request("hi"), &Deaf).await.unwrap_err();
    assert_eq!((error.kind, error.requests), (ModelErrorKind::Connection, 4));
    assert!(error.message.contains(&format!("http://{address}")), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_key_that_the_provider_repeats_does_not_show() {
    let long = "x".repeat(480);
    for key in [FAKE_KEY, "gsk_a-key-of-another-kind/+=", "sk-x"] {
        for body in [
            format!(r#"{{"error":{{"message":"Incorrect API key provided: {key}.","code":"{key}"}}}}"#),
            // Cut in the middle of the key.
            format!("{long} {key}"),
            format!("<html><title>{key}</title></html>"),
        ] {
            let fake = FakeModel::by(move |_, _| Reply::raw(401, "text/plain", body.clone()));
            let config = LlmConfig { api_key: Some(Secret::new(key)), ..fake.config() };
            let error = provider(&config).complete(&request("hi"), &Deaf).await.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&key[..4.min(key.len())]), "{shown}");
        }
    }
}
