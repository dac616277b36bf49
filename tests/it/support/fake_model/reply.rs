//! What the fake model answers, faults included.

use std::time::Duration;

use serde_json::{Value, json};

/// How the bytes of an answer leave the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// All of them.
    Whole,
    /// So many bytes of the body, then the connection is closed although more was announced.
    CutAfter(usize),
    /// So many bytes of the body, then the connection is reset.
    ResetAfter(usize),
    /// Nothing: the connection is reset instead of an answer.
    Reset,
    /// Nothing: the connection is closed instead of an answer.
    Close,
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub delivery: Delivery,
    /// How long the server thinks before it answers.
    pub delay: Duration,
    /// Whether the answer waits until `FakeModel::release` is called.
    pub held: bool,
    /// What is sent instead of the body, each piece after its wait; then the connection is closed.
    pub pieces: Vec<(Duration, Vec<u8>)>,
}

impl Reply {
    /// A completion as OpenAI writes it.
    pub fn answer(text: &str) -> Self {
        Self::completion(json!({"role": "assistant", "content": text, "refusal": null}), "stop")
    }

    /// A completion with any message and any reason to stop.
    pub fn completion(message: Value, finish_reason: &str) -> Self {
        Self::json(
            200,
            json!({
                "id": "chatcmpl-fake",
                "object": "chat.completion",
                "created": 1_790_000_000,
                "model": "fake-model-1",
                "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            }),
        )
    }

    /// Any JSON with any status.
    pub fn json(status: u16, body: Value) -> Self {
        Self::raw(status, "application/json", body.to_string())
    }

    /// An error as OpenAI writes it.
    pub fn error(status: u16, code: &str, kind: &str, message: &str) -> Self {
        Self::json(status, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
    }

    /// The usual rate limit error.
    pub fn rate_limited() -> Self {
        Self::error(429, "rate_limit_exceeded", "requests", "Rate limit reached for requests.")
    }

    /// Any body with any status and content type.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
            delivery: Delivery::Whole,
            delay: Duration::ZERO,
            held: false,
            pieces: Vec::new(),
        }
    }

    /// Asks for tools: names and arguments.
    pub fn tools(calls: &[(&str, Value)]) -> Self {
        let call = |(n, (name, arguments)): (usize, &(&str, Value))| {
            json!({"id": format!("call_{n}"), "type": "function",
                "function": {"name": name, "arguments": arguments.to_string()}})
        };
        let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
        Self::completion(
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls}),
            "tool_calls",
        )
    }

    /// A stream of these frames, each after its wait. Nothing is added to them.
    pub fn stream(frames: impl IntoIterator<Item = (Duration, String)>) -> Self {
        let pieces = frames.into_iter().map(|(wait, frame)| (wait, frame.into_bytes()));
        Self { pieces: pieces.collect(), ..Self::raw(200, "text/event-stream", "") }
    }

    /// One frame of a stream with a piece of the text.
    pub fn delta(text: &str) -> String {
        Self::chunk(json!({"content": text}), None, None)
    }

    /// One frame of a stream of chat completions.
    pub fn chunk(delta: Value, finish_reason: Option<&str>, usage: Option<&Value>) -> String {
        let choices = match usage {
            None => json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]),
            Some(_) => json!([]),
        };
        let frame = json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_790_000_000,
            "model": "fake-model-1", "choices": choices, "usage": usage});
        format!("data: {frame}\n\n")
    }

    /// The same answer as a stream, where one was asked for and it is a completion.
    pub(super) fn formed_for(mut self, ask: &super::Ask) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(&self.body) else { return self };
        let message = &body["choices"][0]["message"];
        // Only what this file makes: odd bodies are sent as they are.
        let is_ours = body["object"] == "chat.completion"
            && self.headers.iter().any(|(_, value)| value == "application/json");
        let is_completion =
            self.status == 200 && is_ours && message.is_object() && body.get("error").is_none();
        if ask.json["stream"] != true || !is_completion || !self.pieces.is_empty() {
            return self;
        }
        let mut frames = vec![Self::chunk(json!({"role": "assistant", "content": ""}), None, None)];
        if let Some(text) = message["content"].as_str() {
            let characters: Vec<char> = text.chars().collect();
            frames.extend(characters.chunks(7).map(|part| Self::delta(&part.iter().collect::<String>())));
        }
        if let Some(refusal) = message["refusal"].as_str() {
            frames.push(Self::chunk(json!({"refusal": refusal}), None, None));
        }
        for (n, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let mut call = call.clone();
            call["index"] = n.into();
            frames.push(Self::chunk(json!({"tool_calls": [call]}), None, None));
        }
        frames.push(Self::chunk(json!({}), body["choices"][0]["finish_reason"].as_str(), None));
        if ask.json["stream_options"]["include_usage"] == true && body["usage"].is_object() {
            frames.push(Self::chunk(json!({}), None, Some(&body["usage"])));
        }
        frames.push("data: [DONE]\n\n".to_owned());
        self.body = frames.concat().into_bytes();
        for (name, value) in &mut self.headers {
            if name == "content-type" {
                *value = "text/event-stream".to_owned();
            }
        }
        self
    }

    /// No answer: the connection is reset.
    pub fn reset() -> Self {
        Self::answer("never sent").delivered(Delivery::Reset)
    }

    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Keeps the answer back until `FakeModel::release`.
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// The status line and the headers; the length that they announce is always that of the whole body.
    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Fake\r\ncontent-length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }
}
