//! What the fake model answers, faults included.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Ask,
    answer::{Answer, Piece},
};

/// How the bytes of an answer leave the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// All of them.
    Whole,
    /// So many bytes of the body, then the connection is closed although more was announced.
    CutAfter(usize),
    /// So many bytes of the body, then the connection is reset.
    ResetAfter(usize),
    /// So many pieces of a stream, then the connection is closed.
    CutAfterPieces(usize),
    /// So many pieces of a stream, then the connection is reset.
    ResetAfterPieces(usize),
    /// So many pieces of a stream, then the body ends as if that were all.
    EndAfterPieces(usize),
    /// Nothing: the connection is reset instead of an answer.
    Reset,
    /// Nothing: the connection is closed instead of an answer.
    Close,
}

/// Whether an answer is a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// If the request asks for it.
    AsAsked,
    Stream,
    Whole,
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body as it is; nothing when there is an answer to be written as the request wants it.
    pub body: Vec<u8>,
    pub answer: Option<Answer>,
    pub delivery: Delivery,
    /// How long the server thinks before it answers.
    pub delay: Duration,
    /// How long it thinks between two pieces of a stream.
    pub pause: Duration,
    /// The most bytes that are sent at once.
    pub bits: Option<usize>,
    /// Whether the answer waits until `FakeModel::release` is called.
    pub held: bool,
    /// After how many pieces of a stream it waits for that.
    pub held_after: Option<usize>,
    shape: Shape,
}

/// A reply as it goes over the wire.
pub(super) struct Wire {
    pub head: String,
    /// Whether the pieces go out as chunks of HTTP; else the length is announced.
    pub chunked: bool,
    pub pieces: Vec<Vec<u8>>,
}

impl Reply {
    /// A completion, as a stream if the request asks for one.
    pub fn answer(text: &str) -> Self {
        Self::stream([Piece::text(text)])
    }

    /// The same in pieces.
    pub fn stream(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces: Vec<Piece> = pieces.into_iter().collect();
        let calls = pieces.iter().any(|piece| matches!(piece, Piece::Call { .. }));
        Self::of(Answer::new(pieces, if calls { "tool_calls" } else { "stop" }))
    }

    /// A completion with any message and any reason to stop.
    pub fn completion(message: Value, finish_reason: &str) -> Self {
        Self::of(Answer::from_message(&message, finish_reason))
    }

    fn of(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::raw(200, "application/json", "") }
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
            answer: None,
            delivery: Delivery::Whole,
            delay: Duration::ZERO,
            pause: Duration::ZERO,
            bits: None,
            held: false,
            held_after: None,
            shape: Shape::AsAsked,
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

    pub fn content_type(mut self, value: &str) -> Self {
        self.headers[0].1 = value.to_owned();
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits before every piece of a stream but the first.
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sends at most so many bytes at once.
    pub fn in_bits(mut self, bits: usize) -> Self {
        self.bits = Some(bits);
        self
    }

    /// Keeps the answer back until `FakeModel::release`.
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// Keeps back what follows so many pieces of a stream until `FakeModel::release`.
    pub fn held_after(mut self, pieces: usize) -> Self {
        self.held_after = Some(pieces);
        self
    }

    /// A stream although none was asked for.
    pub fn streamed(mut self) -> Self {
        self.shape = Shape::Stream;
        self
    }

    /// No stream although one was asked for.
    pub fn whole(mut self) -> Self {
        self.shape = Shape::Whole;
        self
    }

    /// A stream that does not end with its mark.
    pub fn without_done(self) -> Self {
        self.altered(|answer| answer.done = false)
    }

    /// An answer that does not say why it ends.
    pub fn without_finish(self) -> Self {
        self.altered(|answer| answer.finish = None)
    }

    pub fn finish(self, reason: &str) -> Self {
        self.altered(|answer| answer.finish = Some(reason.to_owned()))
    }

    pub fn usage(self, usage: Option<(u64, u64)>) -> Self {
        self.altered(|answer| answer.usage = usage)
    }

    fn altered(mut self, alter: impl FnOnce(&mut Answer)) -> Self {
        if let Some(answer) = &mut self.answer {
            alter(answer);
        }
        self
    }

    /// Writes the reply as the request wants it.
    pub(super) fn write(&self, ask: &Ask) -> Wire {
        let streams = match self.shape {
            Shape::AsAsked => ask.json["stream"] == true,
            Shape::Stream => true,
            Shape::Whole => false,
        };
        let responses = ask.path.split('?').next().is_some_and(|path| path.ends_with("/responses"));
        let with_usage = ask.json["stream_options"]["include_usage"] == true;
        let (chunked, pieces) = match &self.answer {
            None => (false, vec![self.body.clone()]),
            Some(answer) if !streams => {
                let body = if responses { answer.response() } else { answer.chat() };
                (false, vec![body.to_string().into_bytes()])
            }
            Some(answer) => {
                let units = if responses { answer.response_stream() } else { answer.chat_stream(with_usage) };
                (true, units.into_iter().map(String::into_bytes).collect())
            }
        };
        let length = match chunked {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {}", pieces.iter().map(Vec::len).sum::<usize>()),
        };
        let mut head = format!("HTTP/1.1 {} Fake\r\n{length}\r\n", self.status);
        for (name, value) in &self.headers {
            // Unless a test wants another one.
            let value = if chunked && value == "application/json" { "text/event-stream" } else { value };
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Wire { head: head + "\r\n", chunked, pieces }
    }
}
