//! What stands on the wire, and what comes back when all is well.

use std::time::Duration;

use productforge::{
    config::{LlmConfig, Secret},
    llm::{ChatRequest, Deaf, ModelProvider, openai::OpenAiProvider},
    model::ChatMessage,
};
use serde_json::json;

use super::{ask, provider, request};
use crate::support::fake_model::{FAKE_KEY, FakeModel, Reply};

#[tokio::test]
async fn a_question_goes_out_as_openai_wants_it() {
    let fake = FakeModel::start();
    ask(&fake).await.unwrap();
    let [sent] = fake.requests().try_into().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {FAKE_KEY}").as_str()));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert!(sent.header("user-agent").unwrap().starts_with("productforge/"));
    assert_eq!(
        sent.json,
        json!({"model": "test-default", "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "How are you?"},
        ], "stream": true, "stream_options": {"include_usage": true}})
    );
}

#[tokio::test]
async fn a_key_is_not_needed() {
    let fake = FakeModel::start();
    let config = LlmConfig { api_key: None, ..fake.config() };
    provider(&config).complete(&request("hi"), &Deaf).await.unwrap();
    assert_eq!(fake.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn model_and_limit_are_those_of_the_request_before_those_of_the_configuration() {
    let fake = FakeModel::start();
    let provider = provider(&LlmConfig { max_tokens: Some(900), ..fake.config() });
    provider.complete(&request("hi"), &Deaf).await.unwrap();
    let own = ChatRequest { models: vec!["big".to_owned()], max_tokens: Some(5), ..request("hi") };
    provider.complete(&own, &Deaf).await.unwrap();
    let sent = fake.requests();
    assert_eq!((&sent[0].json["model"], &sent[0].json["max_tokens"]), (&json!("test-default"), &json!(900)));
    assert_eq!((&sent[1].json["model"], &sent[1].json["max_tokens"]), (&json!("big"), &json!(5)));
    assert!(sent[1].json.get("max_completion_tokens").is_none());
}

#[tokio::test]
async fn a_server_that_wants_the_other_name_for_the_limit_gets_it_from_then_on() {
    let fake = FakeModel::scripted([Reply::error(
        400,
        "unsupported_parameter",
        "invalid_request_error",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    )]);
    let provider = provider(&LlmConfig { max_tokens: Some(9), ..fake.config() });
    assert_eq!(provider.complete(&request("hi"), &Deaf).await.unwrap().requests, 2);
    assert_eq!(provider.complete(&request("hi"), &Deaf).await.unwrap().requests, 1);
    let sent = fake.requests();
    assert_eq!(sent[0].json["max_tokens"], 9);
    for sent in &sent[1..] {
        assert_eq!(sent.json["max_completion_tokens"], 9);
        assert!(sent.json.get("max_tokens").is_none());
    }
}

#[tokio::test]
async fn an_answer_comes_back_with_all_that_is_known() {
    let fake = FakeModel::scripted([Reply::answer("Fine, thanks.").after(Duration::from_millis(60))]);
    let answer = ask(&fake).await.unwrap();
    assert_eq!(answer.text, "Fine, thanks.");
    assert_eq!(answer.model, "fake-model-1");
    assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
    assert_eq!(answer.requests, 1);
    assert!((60..5_000).contains(&answer.duration_ms), "{} ms", answer.duration_ms);
    let usage = answer.usage;
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (11, 7, 18));
    assert!(!usage.estimated);
}

#[tokio::test]
async fn missing_usage_is_estimated_and_said_to_be() {
    let body = json!({"choices": [{"message": {"content": "12345678"}}]});
    let answer = ask(&FakeModel::scripted([Reply::json(200, body)])).await.unwrap();
    assert!(answer.usage.estimated);
    assert_eq!(answer.usage.completion_tokens, 2);
    assert_eq!(answer.model, "test-default");
}

#[tokio::test]
async fn a_wrong_content_type_around_a_good_answer_does_no_harm() {
    let mut reply = Reply::answer("Fine.");
    reply.headers[0].1 = "text/html; charset=latin1".to_owned();
    assert_eq!(ask(&FakeModel::scripted([reply])).await.unwrap().text, "Fine.");
}

#[tokio::test]
async fn connections_are_used_again() {
    let fake = FakeModel::start();
    let provider = provider(&fake.config());
    for _ in 0..3 {
        provider.complete(&request("hi"), &Deaf).await.unwrap();
    }
    assert_eq!((fake.calls(), fake.connections()), (3, 1));
}

#[tokio::test]
async fn many_questions_are_asked_at_once() {
    let fake = FakeModel::by(|_, _| Reply::answer("ok").held());
    let provider = provider(&fake.config());
    let question = request("hi");
    let all = futures_util::future::join_all((0..20).map(|_| provider.complete(&question, &Deaf)));
    let release = async {
        fake.until("20 questions at once", |f| f.in_flight() == 20).await;
        fake.release();
    };
    let (answers, ()) = tokio::join!(all, release);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.most_in_flight(), 20);
}

#[tokio::test]
async fn a_dropped_question_hangs_up() {
    let fake = FakeModel::by(|_, _| Reply::answer("never read").held());
    let provider = provider(&fake.config());
    let question = request("hi");
    tokio::select! {
        _ = provider.complete(&question, &Deaf) => panic!("the answer is held"),
        () = fake.until("the question", |f| f.in_flight() == 1) => {}
    }
    fake.until("the hang-up", |f| f.hang_ups() == 1 && f.in_flight() == 0).await;
    assert_eq!(fake.calls(), 1);
}

#[test]
fn a_client_is_built_for_every_sensible_address() {
    let build = |base: Option<&str>| {
        OpenAiProvider::new(&LlmConfig {
            api_key: Some(Secret::new("sk-0123456789")),
            base_url: base.map(str::to_owned),
            ..FakeModel::start().config()
        })
        .is_ok()
    };
    assert!(build(Some("http://127.0.0.1:1/v1")) && build(Some("http://[::1]:1/v1/")));
    assert!(!build(Some("not an address")));
}

#[tokio::test]
async fn the_fake_plays_a_whole_review() {
    let fake = FakeModel::review_chain();
    let provider = provider(&fake.config());
    let say = async |system: &str, user: &str| {
        let messages = vec![ChatMessage::system(system), ChatMessage::user(user)];
        provider.complete(&ChatRequest { messages, ..request("") }, &Deaf).await.unwrap().text
    };
    let qa = r#"Answer {"verdict": "approve" or "revise" or "reject"}."#;
    assert!(say("Plan.", "Plan the launch.").await.contains("Plan the launch."));
    assert!(say(qa, "## Work of bot (round 1)").await.contains(r#""verdict": "revise""#));
    assert!(say("Work.", "Verdict: revise. Approve or reject?").await.contains("fine piece of work"));
    assert!(say(qa, "## Work of bot (round 1)").await.contains(r#""verdict": "revise""#));
    assert!(say(qa, "## Work of bot (round 2)").await.contains(r#""verdict": "approve""#));
    assert!(say(qa, "The work.").await.contains(r#""verdict": "approve""#));
}
