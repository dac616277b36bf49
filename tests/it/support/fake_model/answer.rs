//! An answer of the fake model, written as the interface and the request want it: chat completions or
//! responses, whole or as a stream.

use serde_json::{Value, json};

const MODEL: &str = "fake-model-1";
const CREATED: u64 = 1_790_000_000;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    Refusal(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
    /// Bytes of a stream as they are; nothing in a whole answer.
    Raw(String),
}

impl Piece {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn call(id: &str, name: &str, arguments: &str) -> Self {
        Self::Call { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
    }

    /// An event with any JSON.
    pub fn event(value: &Value) -> Self {
        Self::Raw(format!("data: {value}\n\n"))
    }

    pub fn raw(text: &str) -> Self {
        Self::Raw(text.to_owned())
    }
}

/// What the model answers.
#[derive(Debug, Clone)]
pub struct Answer {
    pub pieces: Vec<Piece>,
    /// In the words of chat completions; `None`: the answer does not say why it ends.
    pub finish: Option<String>,
    /// Tokens of the prompt and of the answer.
    pub usage: Option<(u64, u64)>,
    /// Whether a stream ends with its mark: `[DONE]`, or the last event of a response.
    pub done: bool,
}

impl Answer {
    pub fn new(pieces: Vec<Piece>, finish: &str) -> Self {
        Self { pieces, finish: Some(finish.to_owned()), usage: Some((11, 7)), done: true }
    }

    /// From a message of chat completions.
    pub fn from_message(message: &Value, finish: &str) -> Self {
        let text = |name: &str| message[name].as_str().map(str::to_owned);
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let calls = calls.iter().map(|call| {
            let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Piece::Call {
                id: part(&call["id"]),
                name: part(&call["function"]["name"]),
                arguments: part(&call["function"]["arguments"]),
            }
        });
        let content = text("content").map(Piece::Text).into_iter();
        let refusal = text("refusal").map(Piece::Refusal).into_iter();
        Self::new(content.chain(refusal).chain(calls).collect(), finish)
    }

    fn text(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        (!texts.is_empty()).then(|| texts.concat())
    }

    fn refusal(&self) -> Option<String> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Refusal(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A chat completion.
    pub fn chat(&self) -> Value {
        let calls: Vec<Value> = self
            .pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Call { id, name, arguments } => Some(json!({"id": id, "type": "function",
                    "function": {"name": name, "arguments": arguments}})),
                _ => None,
            })
            .collect();
        let mut message = json!({"role": "assistant", "content": self.text(), "refusal": self.refusal()});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let mut answer = json!({
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": CREATED,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish}],
        });
        if let Some(usage) = self.chat_usage() {
            answer["usage"] = usage;
        }
        answer
    }

    fn chat_usage(&self) -> Option<Value> {
        let (prompt, completion) = self.usage?;
        Some(json!({"prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion}))
    }

    /// The chunks of a chat completion: one text of events for every piece, then what ends the stream.
    pub fn chat_stream(&self, with_usage: bool) -> Vec<String> {
        let chunk = |choices: Value| {
            json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED,
                "model": MODEL, "choices": choices})
        };
        let delta = |delta: Value| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
            event(&chunk(json!([choice])))
        };
        let mut calls = 0;
        let mut units: Vec<String> = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => delta(json!({"content": text})),
                Piece::Refusal(text) => delta(json!({"refusal": text})),
                Piece::Call { id, name, arguments } => {
                    let index = calls;
                    calls += 1;
                    let (one, two) = halves(arguments);
                    let head = json!({"index": index, "id": id, "type": "function",
                        "function": {"name": name, "arguments": ""}});
                    let more = |part: &str| json!({"index": index, "function": {"arguments": part}});
                    [head, more(one), more(two)].map(|call| delta(json!({"tool_calls": [call]}))).concat()
                }
                Piece::Raw(text) => text.clone(),
            })
            .collect();
        let role = delta(json!({"role": "assistant", "content": "", "refusal": null}));
        match units.first_mut() {
            Some(first) => first.insert_str(0, &role),
            None => units.push(role),
        }
        if let Some(reason) = &self.finish {
            let choice = json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason});
            units.push(event(&chunk(json!([choice]))));
        }
        if let Some(usage) = self.chat_usage().filter(|_| with_usage) {
            let mut last = chunk(json!([]));
            last["usage"] = usage;
            units.push(event(&last));
        }
        if self.done {
            units.push("data: [DONE]\n\n".to_owned());
        }
        units
    }

    /// A response.
    pub fn response(&self) -> Value {
        let mut output = Vec::new();
        if self.text().is_some() || self.refusal().is_some() {
            let text = self
                .text()
                .map(|text| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}));
            let refusal = self.refusal().map(|text| json!({"type": "refusal", "refusal": text}));
            let parts: Vec<Value> = text.into_iter().chain(refusal).collect();
            output.push(json!({"type": "message", "id": "msg_fake", "role": "assistant",
                "status": "completed", "content": parts}));
        }
        output.extend(self.pieces.iter().enumerate().filter_map(|(n, piece)| item(n, piece)));
        let reason = match self.finish.as_deref() {
            Some("length") => Some("max_output_tokens"),
            Some("content_filter") => Some("content_filter"),
            _ => None,
        };
        let mut response = bare_response(if reason.is_some() { "incomplete" } else { "completed" });
        response["output"] = output.into();
        response["incomplete_details"] = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
        if let Some((prompt, completion)) = self.usage {
            response["usage"] = json!({
                "input_tokens": prompt,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": completion,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": prompt + completion,
            });
        }
        response
    }

    /// The events of a response.
    pub fn response_stream(&self) -> Vec<String> {
        let mut number = 0;
        let mut typed = |name: &str, mut value: Value| {
            value["type"] = name.into();
            value["sequence_number"] = number.into();
            number += 1;
            format!("event: {name}\n{}", event(&value))
        };
        let beginning = typed("response.created", json!({"response": bare_response("in_progress")}));
        let mut units: Vec<String> = self
            .pieces
            .iter()
            .enumerate()
            .map(|(n, piece)| match piece {
                Piece::Text(text) => typed(
                    "response.output_text.delta",
                    json!({"item_id": "msg_fake", "output_index": 0, "content_index": 0, "delta": text,
                        "logprobs": []}),
                ),
                Piece::Refusal(text) => typed(
                    "response.refusal.delta",
                    json!({"item_id": "msg_fake", "output_index": 0, "content_index": 0, "delta": text}),
                ),
                Piece::Call { arguments, .. } => {
                    let done = item(n, piece).unwrap_or_default();
                    let mut begun = done.clone();
                    begun["arguments"] = "".into();
                    begun["status"] = "in_progress".into();
                    let delta = json!({"item_id": done["id"], "output_index": n, "delta": arguments});
                    [
                        typed("response.output_item.added", json!({"output_index": n, "item": begun})),
                        typed("response.function_call_arguments.delta", delta),
                        typed("response.output_item.done", json!({"output_index": n, "item": done})),
                    ]
                    .concat()
                }
                Piece::Raw(text) => text.clone(),
            })
            .collect();
        match units.first_mut() {
            Some(first) => first.insert_str(0, &beginning),
            None => units.push(beginning),
        }
        if self.done {
            let response = self.response();
            let name = match response["status"].as_str() {
                Some("incomplete") => "response.incomplete",
                _ => "response.completed",
            };
            units.push(typed(name, json!({"response": response})));
        }
        units
    }
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn item(n: usize, piece: &Piece) -> Option<Value> {
    let Piece::Call { id, name, arguments } = piece else { return None };
    Some(json!({"type": "function_call", "id": format!("fc_{n}"), "call_id": id, "name": name,
        "arguments": arguments, "status": "completed"}))
}

fn bare_response(status: &str) -> Value {
    json!({
        "id": "resp_fake",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "model": MODEL,
        "output": [],
        "parallel_tool_calls": true,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    })
}

fn halves(text: &str) -> (&str, &str) {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.split_at(middle)
}
