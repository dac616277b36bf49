//! When the client asks again, and how long it waits.

use std::time::{Duration, Instant, SystemTime};

use productforge::llm::{
    Deaf, ModelErrorKind, ModelProvider,
    openai::{OpenAiProvider, RetryPolicy},
};

use super::{ask, error_of, provider, request};
use crate::support::fake_model::{Delivery, FakeModel, Reply};

/// The times between the requests that a fake model got.
fn gaps(fake: &FakeModel) -> Vec<Duration> {
    fake.requests().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test]
async fn passing_troubles_are_outlived() {
    for trouble in [
        Reply::rate_limited(),
        Reply::raw(408, "text/plain", ""),
        Reply::raw(409, "text/plain", ""),
        Reply::raw(500, "application/json", "{}"),
        Reply::raw(502, "text/html", "<html><title>502 Bad Gateway</title></html>"),
        Reply::raw(503, "text/plain", "busy"),
        Reply::raw(529, "application/json", r#"{"error":{"type":"overloaded_error"}}"#),
        Reply::reset(),
        Reply::answer("x").delivered(Delivery::Close),
        Reply::answer("a longer answer").delivered(Delivery::CutAfter(20)),
        Reply::answer("a longer answer").delivered(Delivery::ResetAfter(20)),
        Reply::json(200, serde_json::json!({"error": {"code": 502, "message": "upstream"}})),
        Reply::answer(""),
    ] {
        let fake = FakeModel::scripted([trouble.clone()]);
        let answer = ask(&fake).await.unwrap_or_else(|e| panic!("{trouble:?}: {e}"));
        assert_eq!((answer.text.as_str(), answer.requests), ("A fine answer.", 2), "{trouble:?}");
    }
}

#[tokio::test]
async fn four_requests_are_the_most() {
    let fake = FakeModel::by(|_, _| Reply::raw(503, "text/plain", "busy"));
    let error = error_of(&fake).await;
    assert_eq!((error.kind, error.requests, fake.calls()), (ModelErrorKind::Unavailable, 4, 4));
    assert_eq!(error.status, Some(503));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_asked_for_once_more_only() {
    let fake = FakeModel::by(|_, _| Reply::answer(" \n"));
    let error = error_of(&fake).await;
    assert_eq!((error.kind, error.requests, fake.calls()), (ModelErrorKind::BadAnswer, 2, 2));
}

#[tokio::test]
async fn what_cannot_get_better_is_asked_once() {
    use ModelErrorKind::*;
    for (reply, kind) in [
        (Reply::error(401, "invalid_api_key", "invalid_request_error", "no"), Auth),
        (Reply::raw(403, "text/html", "<html></html>"), Auth),
        (Reply::raw(402, "text/plain", ""), Billing),
        (
            Reply::error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
            Billing,
        ),
        (Reply::error(400, "context_length_exceeded", "invalid_request_error", "too long"), ContextTooLong),
        (Reply::error(404, "model_not_found", "invalid_request_error", "no model"), UnknownModel),
        (Reply::raw(400, "text/plain", "no"), BadRequest),
        (Reply::raw(422, "application/json", r#"{"detail":"no"}"#), BadRequest),
        (Reply::raw(307, "text/plain", "").header("location", "/elsewhere"), BadRequest),
        (Reply::completion(serde_json::json!({"content": null, "refusal": "no"}), "stop"), Refused),
        (Reply::completion(serde_json::json!({"content": "half"}), "content_filter"), Refused),
        (Reply::rate_limited().header("x-should-retry", "false"), RateLimited),
    ] {
        let fake = FakeModel::by(move |_, _| reply.clone());
        let error = error_of(&fake).await;
        assert_eq!((error.kind, error.requests, fake.calls()), (kind, 1, 1), "{error}");
    }
}

#[tokio::test]
async fn the_provider_may_ask_for_another_try() {
    let fake = FakeModel::scripted([Reply::raw(400, "text/plain", "").header("x-should-retry", "true")]);
    assert_eq!(ask(&fake).await.unwrap().requests, 2);
}

#[tokio::test]
async fn an_asked_wait_is_kept() {
    let fake = FakeModel::scripted([
        Reply::rate_limited().header("retry-after-ms", "120").header("retry-after", "60"),
        Reply::raw(503, "text/plain", "").header("retry-after", "0.08"),
        Reply::rate_limited()
            .header("x-ratelimit-remaining-tokens", "0")
            .header("x-ratelimit-reset-tokens", "100ms"),
    ]);
    assert_eq!(ask(&fake).await.unwrap().requests, 4);
    for (gap, asked) in gaps(&fake).into_iter().zip([120, 80, 100]) {
        let gap = gap.as_millis();
        assert!(gap >= asked && gap < asked + 1_000, "waited {gap} ms, asked {asked} ms");
    }
}

#[tokio::test]
async fn a_date_to_wait_for_is_understood() {
    // Dates have whole seconds: two ahead is between one and two from now.
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    let fake = FakeModel::scripted([Reply::rate_limited().header("retry-after", &date)]);
    let patient = RetryPolicy { longest_wait: Duration::from_secs(5), ..super::QUICK };
    let provider = OpenAiProvider::new(&fake.config()).unwrap().with_retry(patient);
    provider.complete(&request("hi"), &Deaf).await.unwrap();
    let gap = gaps(&fake)[0].as_millis();
    assert!((700..4_000).contains(&gap), "waited {gap} ms");
}

#[tokio::test]
async fn a_long_wait_is_handed_back_and_not_slept() {
    let fake = FakeModel::by(|_, _| Reply::rate_limited().header("retry-after", "3600"));
    let started = Instant::now();
    let error = error_of(&fake).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!((error.kind, fake.calls()), (ModelErrorKind::RateLimited, 1));
    assert_eq!(error.retry_after, Some(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn the_default_bounds_are_those_of_the_design() {
    let policy = RetryPolicy::default();
    assert_eq!((policy.base.as_millis(), policy.cap.as_secs()), (500, 8));
    assert_eq!((policy.max_requests, policy.longest_wait.as_secs()), (4, 20));
}

#[tokio::test]
async fn a_wait_ends_with_its_question() {
    let fake = FakeModel::by(|_, _| Reply::rate_limited().header("retry-after", "0.9"));
    let provider = provider(&fake.config());
    let question = request("hi");
    tokio::time::timeout(Duration::from_millis(200), provider.complete(&question, &Deaf)).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(fake.calls(), 1);
}
