//! Reads an answer as it comes: as a stream or as a whole, whatever was asked for and whatever its
//! content type says.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;

use super::{
    complaint::complaint,
    exchange::{Awaited, Exchange},
    manners::Complaint,
    retry::Hints,
    said::Said,
    text,
    wire::{
        Completion, Draft, Fault, MAX_ANSWER, Question, read_whole, sse::Parser, stream::Stream, too_large,
    },
    wording::Wording,
};
use crate::{
    config::ApiStyle,
    llm::{Listener, ModelError, ModelErrorKind, openai::classify::classify},
};

/// The most bytes of a stream that are read. Every piece of its text comes in a shell of its own.
const MAX_STREAM: usize = 16 * MAX_ANSWER;

/// An answer that was heard to its end.
pub(super) struct Heard {
    pub completion: Completion,
    /// From the request to the first token, if it came as a stream.
    pub first_token: Option<Duration>,
}

/// A request that did not end in a completion.
pub(super) struct Failure {
    pub error: ModelError,
    /// What the provider said about trying again.
    pub should_retry: Option<bool>,
    /// Which part of the request it does not take.
    pub complaint: Option<Complaint>,
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self { error, should_retry: None, complaint: None }
    }
}

/// Passes on to a listener and remembers whether there was anything.
pub(super) struct Ear<'a> {
    listener: &'a dyn Listener,
    heard: AtomicBool,
}

impl<'a> Ear<'a> {
    pub(super) fn new(listener: &'a dyn Listener) -> Self {
        Self { listener, heard: AtomicBool::new(false) }
    }

    fn delta(&self, text: &str) {
        if !text.is_empty() {
            self.heard.store(true, Ordering::Relaxed);
            self.listener.delta(text);
        }
    }

    /// Everything so far is void, if there was anything.
    pub(super) fn restart(&self) {
        if self.heard.swap(false, Ordering::Relaxed) {
            self.listener.restart();
        }
    }
}

/// Reads the answer to a question.
pub(super) async fn hear(
    mut exchange: Exchange,
    api: ApiStyle,
    question: &Question<'_>,
    wording: &Wording,
    ear: &Ear<'_>,
) -> Result<Heard, Failure> {
    let (status, hints) = (exchange.status, exchange.hints.clone());
    let read = if (200..300).contains(&status) {
        read(&mut exchange, api, question, wording, ear).await
    } else {
        let body = exchange.error_body().await;
        Err(Said::read(&wording.hide(&String::from_utf8_lossy(&body))).into())
    };
    exchange.end().await;
    read.map_err(|fault| failure(fault, status, &hints, question, wording))
}

/// What a fault means to the one who asked.
pub(super) fn failure(
    fault: Fault,
    status: u16,
    hints: &Hints,
    question: &Question<'_>,
    wording: &Wording,
) -> Failure {
    match fault {
        Fault::Said(said) => {
            let mut error = classify(status, hints, &said, wording);
            let complaint = complaint(status, &said);
            if complaint == Some(Complaint::Tools) && !question.tools.is_empty() {
                let (model, quote) = (question.model, wording.quote(&said.message, text::MAX_QUOTE));
                error.kind = ModelErrorKind::BadRequest;
                error.message = format!("the model {model} cannot use tools: {quote} (HTTP {status})");
            }
            Failure { error, should_retry: hints.should_retry, complaint }
        }
        Fault::Error(mut error) => {
            // What broke on the way did so whatever the status.
            if matches!(error.kind, ModelErrorKind::BadAnswer | ModelErrorKind::Refused) {
                error.status = Some(status);
            }
            // It may quote an event of a stream, of which no secret has gone yet.
            error.message = wording.hide(&error.message);
            Failure { error: *error, should_retry: hints.should_retry, complaint: None }
        }
    }
}

async fn read(
    exchange: &mut Exchange,
    api: ApiStyle,
    question: &Question<'_>,
    wording: &Wording,
    ear: &Ear<'_>,
) -> Result<Heard, Fault> {
    let mut body = Vec::new();
    let is_stream = loop {
        if let Some(is_stream) = looks_like_stream(&body, exchange.says_stream) {
            break is_stream;
        }
        match exchange.next(Awaited::First).await? {
            Some(chunk) => append(&mut body, &chunk)?,
            None => break exchange.says_stream,
        }
    };
    let (draft, first_token) = match is_stream {
        true => read_stream(exchange, api, body, wording, ear).await?,
        false => {
            while let Some(chunk) = exchange.next(Awaited::Next).await? {
                append(&mut body, &chunk)?;
            }
            (read_whole(api, &body, wording)?, None)
        }
    };
    let completion = draft.finish(question, wording)?;
    if !is_stream {
        ear.delta(&completion.text);
    }
    Ok(Heard { completion, first_token })
}

fn append(body: &mut Vec<u8>, chunk: &[u8]) -> Result<(), Fault> {
    if body.len() + chunk.len() > MAX_ANSWER {
        return Err(too_large());
    }
    body.extend_from_slice(chunk);
    Ok(())
}

/// Whether a body is a stream of events, as its first bytes tell; `None`: they do not tell yet.
fn looks_like_stream(body: &[u8], says_stream: bool) -> Option<bool> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let fields: [&[u8]; 5] = [b":", b"data:", b"event:", b"id:", b"retry:"];
    if fields.iter().any(|field| body.starts_with(field)) {
        return Some(true);
    }
    if fields.iter().any(|field| field.starts_with(body)) {
        return None;
    }
    Some(says_stream && !matches!(body.first(), Some(b'{' | b'[' | b'<')))
}

async fn read_stream(
    exchange: &mut Exchange,
    api: ApiStyle,
    begun: Vec<u8>,
    wording: &Wording,
    ear: &Ear<'_>,
) -> Result<(Draft, Option<Duration>), Fault> {
    let mut stream = Stream::new(api);
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    let (mut read, mut first_token) = (0, None);
    let mut chunk = Some(Bytes::from(begun));
    loop {
        match &chunk {
            Some(bytes) => {
                read += bytes.len();
                if read > MAX_STREAM || parser.push(bytes, &mut frames).is_err() {
                    return Err(too_large());
                }
            }
            None => frames.extend(parser.finish()),
        }
        for frame in frames.drain(..) {
            let text = stream.take(&frame)?;
            if stream.progress.begun && first_token.is_none() {
                first_token = Some(exchange.elapsed());
            }
            ear.delta(&text);
            if stream.progress.over {
                return Ok((stream.into_draft(), first_token));
            }
        }
        if chunk.is_none() {
            break;
        }
        let awaited = match stream.progress {
            progress if progress.whole => Awaited::Rest,
            progress if progress.begun => Awaited::Next,
            _ => Awaited::First,
        };
        chunk = match exchange.next(awaited).await {
            Ok(chunk) => chunk,
            // All that is missing is how many tokens it took, or not even that.
            Err(_) if stream.progress.whole => None,
            Err(error) => return Err(error.into()),
        };
    }
    match stream.progress.whole {
        true => Ok((stream.into_draft(), first_token)),
        false => {
            let message = format!("the answer of {} breaks off in the middle of its stream", wording.who);
            Err(Fault::new(ModelErrorKind::Connection, message))
        }
    }
}
