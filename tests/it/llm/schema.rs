//! What goes out and what the fake server answers, held against the provider's published schema.

use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use productforge::{
    config::{ApiStyle, ProviderConfig},
    llm::{ChatRequest, Deaf, ModelProvider, OutputSchema, openai::OpenAiProvider, pacing::Unpaced},
    model::{ChatMessage, ToolCall, ToolOutput, ToolSpec},
};
use serde_json::{Value, json};

use super::request;
use crate::support::fake_model::{Ask, FakeModel, Reply};

/// Chat completions and responses, cut from the document that OpenAI publishes; see `openapi/README.md`.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("openapi/openapi-subset.json")).unwrap());

fn validator(schema: &str) -> Validator {
    let reference =
        json!({"$ref": format!("#/components/schemas/{schema}"), "components": DOCUMENT["components"]});
    jsonschema::validator_for(&reference).unwrap()
}

fn assert_fits(validator: &Validator, value: &Value) {
    let faults: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
}

fn config(fake: &FakeModel, api: ApiStyle, stream: bool) -> ProviderConfig {
    ProviderConfig {
        name: "lab".to_owned(),
        base_url: fake.base_url(),
        key: None,
        api,
        model: "gpt-4o-mini".to_owned(),
        headers: Vec::new(),
        max_tokens: None,
        stream,
        timeouts: Default::default(),
        requests_per_minute: None,
        concurrency: None,
        prices: Default::default(),
    }
}

/// A plain question, one with everything, and one in the middle of a conversation with tools.
fn requests() -> Vec<ChatRequest> {
    let form = OutputSchema {
        name: "verdict".to_owned(),
        schema: json!({"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"],
            "additionalProperties": false}),
    };
    let tool = ToolSpec {
        name: "calculator".to_owned(),
        description: "Works out an expression".to_owned(),
        parameters: json!({"type": "object", "properties": {"expression": {"type": "string"}},
            "required": ["expression"]}),
    };
    let mut everything = request("hi");
    (everything.max_tokens, everything.schema) = (Some(64), Some(Arc::new(form)));
    everything.tools = vec![tool];
    let mut middle = everything.clone();
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "calculator".to_owned(),
        arguments: json!({"expression": "1"}).to_string(),
    };
    let output = ToolOutput {
        tool_call_id: "call_1".to_owned(),
        name: "calculator".to_owned(),
        content: "1".to_owned(),
        failed: false,
        duration_ms: 1,
    };
    middle.messages.push(ChatMessage::assistant("", vec![call]));
    middle.messages.push(ChatMessage::tool(&output));
    vec![request("hi"), everything, middle]
}

/// A response as the newer interface gives it, whole or as a stream.
fn response(ask: &Ask) -> Reply {
    let whole = json!({
        "id": "resp_1", "object": "response", "created_at": 1_790_000_000, "status": "completed", "error": null,
        "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": "gpt-4o-mini",
        "output": [{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "Fine.", "annotations": [], "logprobs": []}]}],
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "metadata": {},
        "usage": {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18},
    });
    if ask.json["stream"] != true {
        return Reply::json(200, whole);
    }
    let delta = json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
        "content_index": 0, "delta": "Fine.", "sequence_number": 4, "logprobs": []});
    let completed = json!({"type": "response.completed", "response": whole, "sequence_number": 9});
    let frames = [delta, completed].map(|frame| {
        (std::time::Duration::ZERO, format!("event: {}\ndata: {frame}\n\n", frame["type"].as_str().unwrap()))
    });
    Reply::stream(frames)
}

#[tokio::test]
async fn every_chat_completion_that_is_asked_for_fits_the_published_schema() {
    let validator = validator("CreateChatCompletionRequest");
    for stream in [false, true] {
        let fake = FakeModel::start();
        let provider =
            OpenAiProvider::from_config(config(&fake, ApiStyle::Chat, stream), Arc::new(Unpaced)).unwrap();
        for request in requests() {
            provider.complete(&request, &Deaf).await.unwrap();
        }
        assert_eq!(fake.calls(), 3);
        for ask in fake.requests() {
            assert_fits(&validator, &ask.json);
            assert_eq!(ask.json["stream"] == true, stream);
        }
    }
}

#[tokio::test]
async fn every_response_that_is_asked_for_fits_the_published_schema() {
    let validator = validator("CreateResponse");
    for stream in [false, true] {
        let fake = FakeModel::by(|ask, _| response(ask));
        let config = config(&fake, ApiStyle::Responses, stream);
        let provider = OpenAiProvider::from_config(config, Arc::new(Unpaced)).unwrap();
        for request in requests() {
            let answer = provider.complete(&request, &Deaf).await.unwrap();
            assert_eq!((answer.text.as_str(), answer.usage.cached_tokens), ("Fine.", 3));
        }
        for ask in fake.requests() {
            assert_eq!(ask.path, "/v1/responses");
            assert_fits(&validator, &ask.json);
        }
    }
}

#[test]
fn what_the_fake_server_answers_fits_it_too() {
    let completion = validator("CreateChatCompletionResponse");
    let tools = Reply::tools(&[("calculator", json!({"expression": "1"}))]);
    for reply in [Reply::answer("Fine."), tools] {
        assert_fits(&completion, &serde_json::from_slice(&reply.body).unwrap());
    }
    let chunk = validator("CreateChatCompletionStreamResponse");
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    for frame in [
        Reply::delta("x"),
        Reply::chunk(json!({}), Some("stop"), None),
        Reply::chunk(json!({}), None, Some(&usage)),
    ] {
        let mut value: Value = serde_json::from_str(frame.trim_start_matches("data: ").trim()).unwrap();
        // Servers send these as null; this cut of the document has lost that they may.
        if value["usage"].is_null() {
            value.as_object_mut().unwrap().remove("usage");
        }
        if let Some(choice) = value["choices"].get_mut(0).and_then(Value::as_object_mut) {
            choice.remove("logprobs");
            if choice["finish_reason"].is_null() {
                choice.insert("finish_reason".to_owned(), "stop".into());
            }
        }
        assert_fits(&chunk, &value);
    }
    let ask = |stream: bool| Ask {
        method: "POST".to_owned(),
        path: "/v1/responses".to_owned(),
        headers: Vec::new(),
        json: json!({"stream": stream}),
        nth: 1,
        at: std::time::Instant::now(),
    };
    assert_fits(&validator("Response"), &serde_json::from_slice(&response(&ask(false)).body).unwrap());
}

#[test]
fn a_wrong_request_would_be_found() {
    let validator = validator("CreateChatCompletionRequest");
    assert!(!validator.is_valid(&json!({"model": "m"})), "messages are missing");
    assert!(!validator.is_valid(&json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]})));
}
