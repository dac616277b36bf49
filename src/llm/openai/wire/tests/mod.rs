//! Requests and answers of both interfaces, as real servers write them, and what is none.

mod answers;
mod requests;
mod responses;
mod streams;

use serde_json::Value;

use super::{Completion, Fault, Question, read_whole, sse::Parser, stream::Stream};
use crate::{
    config::ApiStyle,
    llm::{
        ModelError,
        openai::{
            classify::classify,
            manners::{LimitField, Manners, Rung},
            retry::Hints,
            wording::Wording,
        },
    },
    model::ChatMessage,
};

const USUAL: Manners = Manners {
    limit: LimitField::MaxTokens,
    rung: Rung::Schema,
    strict: true,
    stream: false,
    stream_options: true,
    obfuscation: false,
    store: true,
};

fn question(messages: &[ChatMessage]) -> Question<'_> {
    Question { model: "asked", messages, tools: &[], schema: None, max_tokens: None }
}

fn wording() -> Wording {
    Wording::new("openai", Vec::new())
}

fn error(fault: Fault) -> ModelError {
    match fault {
        Fault::Error(error) => *error,
        Fault::Said(said) => classify(200, &Hints::default(), &said, &wording()),
    }
}

/// Reads a whole answer.
fn whole(api: ApiStyle, body: &str) -> Result<Completion, ModelError> {
    let asked = [ChatMessage::user("12345678")];
    let read = read_whole(api, body.as_bytes(), &wording());
    read.and_then(|draft| draft.finish(&question(&asked), &wording())).map_err(error)
}

/// Reads an answer in pieces, and every text that a listener would hear.
fn pieces(api: ApiStyle, text: &str) -> Result<(Completion, Vec<String>, bool), ModelError> {
    let asked = [ChatMessage::user("12345678")];
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    parser.push(text.as_bytes(), &mut frames).unwrap();
    frames.extend(parser.finish());
    let mut stream = Stream::new(api);
    let mut heard = Vec::new();
    for frame in &frames {
        heard.push(stream.take(frame).map_err(error)?);
    }
    heard.retain(|text| !text.is_empty());
    let whole = stream.progress.whole;
    let done = stream.into_draft().finish(&question(&asked), &wording()).map_err(error)?;
    Ok((done, heard, whole))
}

/// Events of a stream, as most servers write them.
fn events(values: &[Value]) -> String {
    values.iter().map(|value| format!("data: {value}\n\n")).collect()
}
