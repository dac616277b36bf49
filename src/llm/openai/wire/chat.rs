//! Chat completions: what every server speaks.

use serde_json::{Value, json};

use super::Question;
use crate::{
    llm::openai::quirks::Form,
    model::{ChatMessage, MessageRole},
};

/// The body of a request.
pub(super) fn body(question: &Question<'_>) -> Value {
    let request = question.request;
    let messages: Vec<Value> = request.messages.iter().map(message).collect();
    let mut body = json!({"model": question.model, "messages": messages});
    if let Some(max) = question.max_tokens {
        body[question.quirks.limit_field.as_str()] = max.into();
    }
    if !request.tools.is_empty() {
        let tool = |tool: &crate::model::ToolSpec| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters}})
        };
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(form) = &request.schema {
        match question.quirks.form {
            Form::Schema => {
                body["response_format"] = json!({"type": "json_schema",
                    "json_schema": {"name": form.name, "strict": true, "schema": form.schema}});
            }
            Form::Object => body["response_format"] = json!({"type": "json_object"}),
            Form::Prompt => {}
        }
    }
    if question.stream {
        body["stream"] = true.into();
        if question.quirks.stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    body
}

fn message(message: &ChatMessage) -> Value {
    let content = &message.content;
    match message.role {
        MessageRole::System => json!({"role": "system", "content": content}),
        MessageRole::User => json!({"role": "user", "content": content}),
        MessageRole::Assistant if message.tool_calls.is_empty() => {
            json!({"role": "assistant", "content": content})
        }
        MessageRole::Assistant => {
            let call = |call: &crate::model::ToolCall| {
                json!({"id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": arguments(&call.arguments)}})
            };
            let calls: Vec<Value> = message.tool_calls.iter().map(call).collect();
            let content = if content.is_empty() { Value::Null } else { content.as_str().into() };
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        MessageRole::Tool => json!({"role": "tool", "content": content,
            "tool_call_id": message.tool_call_id.as_deref().unwrap_or_default()}),
    }
}

/// Some servers parse what their model wrote when it comes back, and refuse what is no JSON.
pub(super) fn arguments(written: &str) -> String {
    match serde_json::from_str::<Value>(written) {
        Ok(_) => written.to_owned(),
        Err(_) if written.trim().is_empty() => "{}".to_owned(),
        Err(_) => json!({"unreadable": written}).to_string(),
    }
}
