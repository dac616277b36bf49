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
