//! Every kind of request that the client sends.

use productforge::{
    config::{ApiStyle, ProviderConfig},
    llm::{ChatRequest, Deaf, ModelProvider},
    model::{ChatMessage, ToolCall, ToolOutput},
};

use super::{
    super::{calculator, color, configured, request},
    Published,
};
use crate::support::fake_model::{FakeModel, Reply};

/// Requests of every kind.
fn questions() -> Vec<ChatRequest> {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "calculator".to_owned(),
        arguments: r#"{"sum": "1 + 1"}"#.to_owned(),
    };
    let output = ToolOutput {
        tool_call_id: "call_1".to_owned(),
        name: "calculator".to_owned(),
        content: "2".to_owned(),
        failed: false,
        duration_ms: 1,
    };
    let conversation = vec![
        ChatMessage::system("Be short."),
        ChatMessage::user("1 + 1?"),
        ChatMessage::assistant("", vec![call.clone()]),
        ChatMessage::tool(&output),
        ChatMessage::assistant("Two.", vec![]),
        ChatMessage::user("Sure?"),
        ChatMessage::assistant("I count again.", vec![call]),
        ChatMessage::tool(&output),
    ];
    vec![
        request("hi"),
        ChatRequest { messages: vec![ChatMessage::system("Say something.")], ..request("") },
        ChatRequest { max_tokens: Some(5), ..request("hi") },
        ChatRequest { tools: vec![calculator()], ..request("1 + 1?") },
        ChatRequest { messages: conversation, tools: vec![calculator()], ..request("") },
        ChatRequest { schema: Some(color()), ..request("The color of the sky, as JSON?") },
        ChatRequest {
            schema: Some(color()),
            tools: vec![calculator()],
            max_tokens: Some(9),
            ..request("json")
        },
    ]
}

#[tokio::test]
async fn all_that_is_sent_is_as_published() {
    let complaints = [
        "",
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
        "Unsupported parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        "Unknown parameter: 'response_format.json_schema.strict'.",
        "Unrecognized request argument supplied: stream_options",
        "Unsupported value: 'stream' does not support true with this model.",
        "Unknown parameter: 'store'.",
    ];
    for (api, schema) in
        [(ApiStyle::Chat, "CreateChatCompletionRequest"), (ApiStyle::Responses, "CreateResponse")]
    {
        let published = Published::new(schema);
        let mut sent = 0;
        for stream in [true, false] {
            for complaint in complaints {
                let fake = FakeModel::start();
                let config = ProviderConfig { api, stream, ..fake.provider("openai") };
                for question in questions() {
                    // A client that has learned nothing yet.
                    let client = configured(config.clone());
                    if !complaint.is_empty() {
                        fake.push(Reply::error(400, "unknown_parameter", "invalid_request_error", complaint));
                    }
                    let _ = client.complete(&question, &Deaf).await;
                }
                fake.requests().iter().for_each(|ask| published.check(&ask.json));
                sent += fake.calls();
            }
        }
        // The complaints have led to requests of their own.
        assert!(sent > 2 * complaints.len() * questions().len() + 14, "{sent}");
    }
}
