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
        }
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
