//! `POST {base}/responses`: OpenAI's newer interface, of which some other servers speak a part.

use serde_json::{Value, json};

use super::{Draft, Fault, Question, chat::object, content, short, usage};
use crate::{
    llm::openai::manners::{Manners, Rung},
    model::{ChatMessage, MessageRole, ToolCall, ToolSpec},
};

/// The interface takes no smaller limit.
const LEAST_OUTPUT: u32 = 16;

/// The body of a request. Nothing is stored at the provider.
pub(super) fn body(question: &Question<'_>, manners: &Manners) -> Value {
    let system = |message: &&ChatMessage| message.role == MessageRole::System;
    let instructions: Vec<&str> =
        question.messages.iter().filter(system).map(|message| message.content.as_str()).collect();
    let mut input: Vec<Value> =
        question.messages.iter().filter(|message| !system(message)).flat_map(items).collect();
    let mut body = json!({"model": question.model});
    if input.is_empty() {
        // Instructions alone are no question.
        input.extend(instructions.iter().map(|text| message("system", text)));
    } else if !instructions.is_empty() {
        body["instructions"] = instructions.join("\n\n").into();
    }
    body["input"] = input.into();
    if manners.store {
        body["store"] = false.into();
    }
    if let Some(max) = question.max_tokens {
        body["max_output_tokens"] = max.max(LEAST_OUTPUT).into();
    }
    if !question.tools.is_empty() {
        body["tools"] = question.tools.iter().map(tool).collect();
    }
    if let Some(format) = format(question, manners) {
        body["text"] = json!({"format": format});
    }
    if manners.stream {
        body["stream"] = true.into();
        if manners.obfuscation {
            body["stream_options"] = json!({"include_obfuscation": false});
        }
    }
    body
}

fn message(role: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": text})
}

fn items(from: &ChatMessage) -> Vec<Value> {
    match from.role {
        MessageRole::System => vec![message("system", &from.content)],
        MessageRole::User => vec![message("user", &from.content)],
        MessageRole::Assistant => {
            let text = (!from.content.is_empty()).then(|| message("assistant", &from.content));
            let calls = from.tool_calls.iter().map(|ToolCall { id, name, arguments }| {
                let arguments = object(arguments);
                json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
            });
            text.into_iter().chain(calls).collect()
        }
        MessageRole::Tool => {
            let id = from.tool_call_id.as_deref().unwrap_or_default();
            vec![json!({"type": "function_call_output", "call_id": id, "output": from.content})]
        }
    }
}

fn tool(ToolSpec { name, description, parameters }: &ToolSpec) -> Value {
    // Strict is the default here, and tools of others have schemas that are not.
    let mut tool = json!({"type": "function", "name": name, "parameters": parameters, "strict": false});
    if !description.is_empty() {
        tool["description"] = description.as_str().into();
    }
    tool
}

fn format(question: &Question<'_>, manners: &Manners) -> Option<Value> {
    let wanted = question.schema?;
    match manners.rung {
        Rung::Schema => {
            let mut format = json!({"type": "json_schema", "name": wanted.name, "schema": wanted.schema});
            if manners.strict {
                format["strict"] = true.into();
            }
            Some(format)
        }
        Rung::Object => question.says_json().then(|| json!({"type": "json_object"})),
        Rung::Nothing => None,
    }
}

/// Reads a response that came as a whole. False: it has no output.
pub(super) fn read(value: &Value, draft: &mut Draft) -> Result<bool, Fault> {
    let Some(output) = value["output"].as_array() else { return Ok(false) };
    for item in output {
        match item["type"].as_str() {
            Some("message") | None => {
                for part in item["content"].as_array().into_iter().flatten() {
                    draft.push_refusal(&content(&part["refusal"]))?;
                    draft.push_text(&content(&part["text"]))?;
                }
                if item["content"].is_string() {
                    draft.push_text(&content(&item["content"]))?;
                }
            }
            Some("function_call") => add_call(item, draft)?,
            // Thoughts, and tools that run at the provider.
            Some(_) => {}
        }
    }
    end(value, draft);
    Ok(true)
}

/// A tool call as an item of the output.
pub(super) fn add_call(item: &Value, draft: &mut Draft) -> Result<(), Fault> {
    let id = if item["call_id"].is_string() { &item["call_id"] } else { &item["id"] };
    draft.add_call(id, &item["name"], &item["arguments"])
}

/// What a response says beside its output: who answered, what it took, how it ended.
pub(super) fn end(value: &Value, draft: &mut Draft) {
    if let Some(model) = short(&value["model"], 200) {
        draft.model = Some(model);
    }
    draft.usage = usage::read(&value["usage"]).or(draft.usage);
    draft.cost = usage::cost(&value["usage"]).or(draft.cost);
    let reason = short(&value["incomplete_details"]["reason"], 100);
    draft.finish_reason = reason.or_else(|| match value["status"].as_str() {
        // In the words of chat completions.
        Some("completed") | None if draft.has_calls() => Some("tool_calls".to_owned()),
        Some("completed") | None => Some("stop".to_owned()),
        Some(_) => short(&value["status"], 100),
    });
}
