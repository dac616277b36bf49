//! An answer that comes in pieces, put together again.

mod chat;
mod responses;

use serde_json::Value;

use super::{Draft, Fault, sse::Frame};
use crate::{
    config::ApiStyle,
    llm::{
        ModelErrorKind,
        openai::{said::Said, text},
    },
};

/// How far a stream has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::llm::openai) struct Progress {
    /// The model has begun to write or to think.
    pub begun: bool,
    /// All of the answer is there; what may still come is how many tokens it took.
    pub whole: bool,
    /// Nothing more will come.
    pub over: bool,
}

/// An answer while it streams in.
#[derive(Debug)]
pub(in crate::llm::openai) struct Stream {
    api: ApiStyle,
    draft: Draft,
    pub progress: Progress,
}

impl Stream {
    pub(in crate::llm::openai) fn new(api: ApiStyle) -> Self {
        Self { api, draft: Draft::default(), progress: Progress::default() }
    }

    /// Takes one event and gives the text that it adds.
    pub(in crate::llm::openai) fn take(&mut self, frame: &Frame) -> Result<String, Fault> {
        let mut text = String::new();
        match serde_json::from_slice(&frame.data) {
            Ok(value) => self.take_value(&value, &frame.event, &mut text)?,
            // Not JSON as a whole: the end, or events that nobody has put an empty line between.
            Err(_) => {
                for line in frame.data.split(|b| *b == b'\n') {
                    self.take_line(line, &frame.event, &mut text)?;
                }
            }
        }
        Ok(text)
    }

    fn take_line(&mut self, line: &[u8], event: &str, more: &mut String) -> Result<(), Fault> {
        if line.trim_ascii().starts_with(b"[DONE]") {
            self.progress = Progress { begun: true, whole: true, over: true };
            return Ok(());
        }
        match serde_json::from_slice(line) {
            Ok(value) => self.take_value(&value, event, more),
            Err(_) if event == "error" => Err(Said::read(&String::from_utf8_lossy(line)).into()),
            Err(_) if line.trim_ascii().is_empty() => Ok(()),
            Err(e) => {
                let line = text::one_line(&String::from_utf8_lossy(&line[..line.len().min(2_000)]), 200);
                let message = format!("an event of the stream is no JSON ({e}): {line}");
                Err(Fault::new(ModelErrorKind::BadAnswer, message))
            }
        }
    }

    fn take_value(&mut self, value: &Value, event: &str, text: &mut String) -> Result<(), Fault> {
        // Before everything else: an error may come with choices that look fine.
        if let Some(said) = Said::in_success(value) {
            return Err(said.into());
        }
        if event == "error" {
            return Err(Said::from_value(value).into());
        }
        match self.api {
            ApiStyle::Chat => chat::take(value, &mut self.draft, &mut self.progress, text),
            ApiStyle::Responses => responses::take(value, event, &mut self.draft, &mut self.progress, text),
        }
    }

    /// What has come.
    pub(in crate::llm::openai) fn into_draft(self) -> Draft {
        self.draft
    }
}
