//! Against a real model, if a small one: llama.cpp's own server, its own fields and its own errors.

use productforge::{
    config::LlmConfig,
    llm::{Deaf, ModelErrorKind, ModelProvider},
};

use super::{provider, request};
use crate::support::small_model::SmallModel;

#[tokio::test]
async fn a_real_model_answers_and_refuses() {
    let model = SmallModel::start();
    let provider = provider(&model.config());

    let answer = provider.complete(&request("What is the capital of France?"), &Deaf).await.unwrap();
    assert!(!answer.text.trim().is_empty());
    assert_eq!((answer.model.as_str(), answer.requests), ("smollm2-135m-instruct", 1));
    assert!(matches!(answer.finish_reason.as_deref(), Some("stop" | "length")), "{answer:?}");
    let usage = answer.usage;
    assert!(usage.prompt_tokens > 5 && (1..=48).contains(&usage.completion_tokens), "{usage:?}");
    assert_eq!(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert!(!usage.estimated);

    let error = provider.complete(&request(&"word ".repeat(9_000)), &Deaf).await.unwrap_err();
    assert_eq!((error.kind, error.status, error.requests), (ModelErrorKind::ContextTooLong, Some(400), 1));

    let astray = LlmConfig { base_url: Some(model.base_url().replace("/v1", "/v9")), ..model.config() };
    let error = super::provider(&astray).complete(&request("hi"), &Deaf).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::BadRequest);
    assert!(error.message.contains("OPENAI_BASE_URL"), "{error}");
}

/// The form of a verdict, through the ladder of forms, streamed and not.
#[tokio::test]
async fn a_real_model_streams_and_keeps_to_a_form() {
    use productforge::{
        engine::verdict::{parse_verdict, schema},
        llm::{ChatRequest, OutputSchema},
        model::{ChatMessage, VerdictKind},
    };

    let model = SmallModel::start();
    let form = OutputSchema { name: schema::NAME.to_owned(), schema: schema::SCHEMA.clone() };
    let question = ChatRequest {
        messages: vec![
            ChatMessage::system("You review work. Answer with one JSON object."),
            ChatMessage::user("The work: 'A brick can hold a door open.' Approve it."),
        ],
        max_tokens: Some(160),
        schema: Some(std::sync::Arc::new(form)),
        ..ChatRequest::default()
    };
    for stream in [true, false] {
        let config = LlmConfig { stream, max_tokens: None, ..model.config() };
        let answer = provider(&config).complete(&question, &Deaf).await.unwrap();
        assert_eq!(answer.first_token_ms.is_some(), stream);
        assert!(!answer.usage.estimated && answer.usage.completion_tokens > 0, "{answer:?}");
        // What it thinks of bricks is its own affair; that it is a verdict is not.
        let verdict = parse_verdict(&answer.text);
        assert_ne!(verdict.verdict, VerdictKind::Unstructured, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_real_server_answers_through_the_newer_interface_too() {
    use productforge::{
        config::{ApiStyle, ProviderConfig},
        llm::{openai::OpenAiProvider, pacing::Unpaced},
    };

    let model = SmallModel::start();
    for stream in [true, false] {
        let config = ProviderConfig {
            name: "small".to_owned(),
            base_url: model.base_url(),
            key: None,
            api: ApiStyle::Responses,
            model: "smollm2-135m-instruct".to_owned(),
            headers: Vec::new(),
            max_tokens: Some(24),
            stream,
            timeouts: Default::default(),
            requests_per_minute: None,
            concurrency: None,
            prices: Default::default(),
        };
        let provider = OpenAiProvider::from_config(config, std::sync::Arc::new(Unpaced)).unwrap();
        let answer = provider.complete(&request("Say hello."), &Deaf).await.unwrap();
        assert!(!answer.text.trim().is_empty() && answer.usage.completion_tokens > 0, "{answer:?}");
    }
}
