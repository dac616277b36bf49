//! Responses: OpenAI's newer interface. Nothing is stored there; the whole conversation goes with each
//! request, as with chat completions.

use serde_json::{Value, json};

use super::{Question, chat};
use crate::{
    llm::openai::quirks::Form,
    model::{ChatMessage, MessageRole, ToolSpec},
};

/// The body of a request.
pub(super) fn body(question: &Question<'_>) -> Value {
    let request = question.request;
    let system: Vec<&str> = request
        .messages
        .iter()
        .filter(|m| m.role == MessageRole::System)
        .map(|m| m.content.as_str())
        .collect();
    let input: Vec<Value> = request.messages.iter().flat_map(items).collect();
    let mut body = json!({"model": question.model, "input": input, "store": false});
    if !system.is_empty() {
        body["instructions"] = system.join("\n\n").into();
    }
    if let Some(max) = question.max_tokens {
        // The interface takes no less.
        body["max_output_tokens"] = max.max(16).into();
    }
    if !request.tools.is_empty() {
        let tool = |tool: &ToolSpec| {
            json!({"type": "function", "name": tool.name, "description": tool.description,
                "parameters": tool.parameters, "strict": false})
        };
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(form) = &request.schema {
        match question.quirks.form {
            Form::Schema => {
                body["text"] = json!({"format": {"type": "json_schema", "name": form.name, "strict": true,
                    "schema": form.schema}});
            }
            Form::Object => body["text"] = json!({"format": {"type": "json_object"}}),
            Form::Prompt => {}
        }
    }
    if question.stream {
        body["stream"] = true.into();
    }
    body
}

/// The items that a message becomes.
fn items(message: &ChatMessage) -> Vec<Value> {
    let text = |role: &str| json!({"role": role, "content": message.content});
    match message.role {
        MessageRole::System => Vec::new(),
        MessageRole::User => vec![text("user")],
        MessageRole::Assistant => {
            let said = (!message.content.is_empty()).then(|| text("assistant"));
            let calls = message.tool_calls.iter().map(|call| {
                json!({"type": "function_call", "call_id": call.id, "name": call.name,
                    "arguments": chat::arguments(&call.arguments)})
            });
            said.into_iter().chain(calls).collect()
        }
        MessageRole::Tool => vec![json!({"type": "function_call_output", "output": message.content,
            "call_id": message.tool_call_id.as_deref().unwrap_or_default()})],
    }
}

/// An answer in the form of a chat completion.
pub(super) fn as_chat(value: &Value) -> Result<Value, String> {
    let Some(output) = value["output"].as_array() else {
        let quote = crate::llm::openai::text::one_line(&value.to_string(), 200);
        return Err(format!("the provider's answer has no output: {quote}"));
    };
    let (mut text, mut refusal, mut calls) = (String::new(), String::new(), Vec::new());
    for item in output {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().into_iter().flatten() {
                    text.push_str(part["text"].as_str().unwrap_or_default());
                    refusal.push_str(part["refusal"].as_str().unwrap_or_default());
                }
            }
            Some("function_call") => calls.push(json!({"id": item["call_id"], "type": "function",
                "function": {"name": item["name"], "arguments": item["arguments"]}})),
            // Thoughts, and whatever there may be one day.
            _ => {}
        }
    }
    let reason = match (value["status"].as_str(), value["incomplete_details"]["reason"].as_str()) {
        (Some("incomplete"), Some("max_output_tokens")) => "length",
        (Some("incomplete"), Some(other)) => other,
        _ if !calls.is_empty() => "tool_calls",
        _ => "stop",
    };
    let usage = &value["usage"];
    let usage = match usage.is_object() {
        true => json!({
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
            "prompt_tokens_details": usage["input_tokens_details"],
            "completion_tokens_details": usage["output_tokens_details"],
            "cost": usage["cost"],
        }),
        false => Value::Null,
    };
    Ok(json!({
        "model": value["model"],
        "choices": [{
            "finish_reason": reason,
            "message": {"role": "assistant", "content": text, "refusal": refusal, "tool_calls": calls},
        }],
        "usage": usage,
    }))
}
