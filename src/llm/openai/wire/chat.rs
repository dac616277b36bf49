//! `POST {base}/chat/completions`: what every server speaks.

use serde_json::{Map, Value, json};

use super::{Draft, Fault, Question, content, short, usage};
use crate::{
    llm::openai::manners::{Manners, Rung},
    model::{ChatMessage, MessageRole, ToolCall, ToolSpec},
};

/// The body of a request.
pub(super) fn body(question: &Question<'_>, manners: &Manners) -> Value {
    let messages: Vec<Value> = question.messages.iter().map(message).collect();
    let mut body = json!({"model": question.model, "messages": messages});
    if let Some(max) = question.max_tokens {
        body[manners.limit.as_str()] = max.into();
    }
    if !question.tools.is_empty() {
        body["tools"] = question.tools.iter().map(tool).collect();
    }
    if let Some(format) = format(question, manners) {
        body["response_format"] = format;
    }
    if manners.stream {
        body["stream"] = true.into();
        if manners.stream_options {
            body["stream_options"] = json!({"include_usage": true});
            if manners.obfuscation {
                body["stream_options"]["include_obfuscation"] = false.into();
            }
        }
    }
    body
}

fn message(message: &ChatMessage) -> Value {
    let ChatMessage { role, content, tool_calls, tool_call_id } = message;
    let mut json = json!({"role": role, "content": content});
    if *role == MessageRole::Assistant && !tool_calls.is_empty() {
        if content.is_empty() {
            json["content"] = Value::Null;
        }
        json["tool_calls"] = tool_calls.iter().map(call).collect();
    }
    if *role == MessageRole::Tool {
        json["tool_call_id"] = tool_call_id.as_deref().unwrap_or_default().into();
    }
    json
}

fn call(ToolCall { id, name, arguments }: &ToolCall) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": object(arguments)}})
}

/// Arguments as they are sent back: a tool without parameters may have been called with nothing at all,
/// which no server takes.
pub(super) fn object(arguments: &str) -> &str {
    if arguments.trim().is_empty() { "{}" } else { arguments }
}

fn tool(ToolSpec { name, description, parameters }: &ToolSpec) -> Value {
    let mut function = Map::new();
    function.insert("name".to_owned(), name.as_str().into());
    if !description.is_empty() {
        function.insert("description".to_owned(), description.as_str().into());
    }
    function.insert("parameters".to_owned(), parameters.clone());
    json!({"type": "function", "function": function})
}

fn format(question: &Question<'_>, manners: &Manners) -> Option<Value> {
    let wanted = question.schema?;
    match manners.rung {
        Rung::Schema => {
            let mut schema = json!({"name": wanted.name, "schema": wanted.schema});
            if manners.strict {
                schema["strict"] = true.into();
            }
            Some(json!({"type": "json_schema", "json_schema": schema}))
        }
        Rung::Object => question.says_json().then(|| json!({"type": "json_object"})),
        Rung::Nothing => None,
    }
}

/// Reads a completion that came as a whole. False: it has no choices.
pub(super) fn read(value: &Value, draft: &mut Draft) -> Result<bool, Fault> {
    let choice = &value["choices"][0];
    if !choice.is_object() {
        return Ok(false);
    }
    take_rest(value, draft);
    draft.finish_reason = short(&choice["finish_reason"], 100);
    let message = &choice["message"];
    draft.push_text(&content(&message["content"]))?;
    if draft.text.trim().is_empty() {
        draft.text.clear();
        draft.push_text(&content(&choice["text"]))?;
    }
    draft.push_refusal(&content(&message["refusal"]))?;
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        draft.add_call(&call["id"], &call["function"]["name"], &call["function"]["arguments"])?;
    }
    let old = &message["function_call"];
    if old.is_object() && !draft.has_calls() {
        draft.add_call(&Value::Null, &old["name"], &old["arguments"])?;
    }
    Ok(true)
}

/// What stands beside the choices.
pub(super) fn take_rest(value: &Value, draft: &mut Draft) {
    if let Some(model) = short(&value["model"], 200) {
        draft.model = Some(model);
    }
    for counts in [&value["usage"], &value["x_groq"]["usage"]] {
        draft.usage = usage::read(counts).or(draft.usage);
        draft.cost = usage::cost(counts).or(draft.cost);
    }
}
