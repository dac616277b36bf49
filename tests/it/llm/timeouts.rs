//! Servers that take their time: every limit is kept, and its error says which one it was.

use std::time::{Duration, Instant};

use productforge::{
    config::{ModelTimeouts, ProviderConfig},
    llm::{Deaf, ModelErrorKind, ModelProvider},
};

use super::{QUICK, configured, request};
use crate::support::fake_model::{FakeModel, Piece, Reply};

const SHORT: Duration = Duration::from_millis(80);
const LONG: Duration = Duration::from_secs(30);
const LONGEST: ModelTimeouts = ModelTimeouts { connect: LONG, first_byte: LONG, idle: LONG, total: LONG };

/// The message of a time-out, and how long it took.
async fn message(config: ProviderConfig) -> (String, Duration) {
    let provider = configured(config);
    let provider = provider.with_retry(productforge::llm::openai::RetryPolicy { max_requests: 1, ..QUICK });
    let started = Instant::now();
    let error = provider.complete(&request("hi"), &Deaf).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Timeout, "{error}");
    (error.message, started.elapsed())
}

#[tokio::test]
async fn every_limit_is_kept_and_named() {
    let stream = || Reply::stream([Piece::text("a"), Piece::text("b"), Piece::text("c")]);
    let headers_only = || Reply::stream([Piece::raw(": still thinking\n\n"), Piece::text("a")]);
    let first = ModelTimeouts { first_byte: SHORT, ..LONGEST };
    let idle = ModelTimeouts { idle: SHORT, ..LONGEST };
    let total = ModelTimeouts { total: SHORT, ..LONGEST };
    for (reply, timeouts, words) in [
        (Reply::answer("late").held(), first, "no first token within 0.08 s"),
        (headers_only().held_after(1), first, "no first token within 0.08 s"),
        (headers_only().held_after(1), total, "no whole answer within 0.08 s"),
        (stream().held_after(1), idle, "fell silent in the middle of its answer for 0.08 s"),
        (Reply::answer("late").held(), total, "no whole answer within 0.08 s"),
        (stream().every(SHORT / 2), total, "no whole answer within 0.08 s"),
    ] {
        let fake = FakeModel::by(move |_, _| reply.clone());
        let (message, took) = message(ProviderConfig { timeouts, ..fake.provider("openai") }).await;
        assert!(message.contains(words), "{message}: {words}");
        assert!(took >= SHORT && took < LONG / 2, "{words}: {took:?}");
        fake.until("the hang-up", |f| f.hang_ups() == 1).await;
    }
}

#[tokio::test]
async fn a_slow_answer_that_keeps_coming_is_waited_for() {
    let pieces = (0..6).map(|_| Piece::text("x"));
    let fake = FakeModel::scripted([Reply::stream(pieces).every(SHORT)]);
    let timeouts = ModelTimeouts { first_byte: 4 * SHORT, idle: 4 * SHORT, ..LONGEST };
    let provider = configured(ProviderConfig { timeouts, ..fake.provider("openai") });
    let answer = provider.complete(&request("hi"), &Deaf).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.requests), ("xxxxxx", 1));
    assert!(answer.duration_ms > 380, "{}", answer.duration_ms);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_named() {
    // A queue of one that is full: the system does not answer whoever knocks now.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let knock = || tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address));
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = knock().await {
        waiting.push(stream);
    }
    let timeouts = ModelTimeouts { connect: SHORT, ..LONGEST };
    let base_url = format!("http://{address}/v1");
    let config = ProviderConfig { base_url, timeouts, ..FakeModel::start().provider("openai") };
    let (message, took) = message(config).await;
    assert!(message.contains("no connection") && message.contains("within 0.08 s"), "{message}");
    assert!(took < LONG / 2);
}
