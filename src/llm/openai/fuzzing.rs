//! What must hold for whatever a provider answers.

use std::time::SystemTime;

use reqwest::header::HeaderMap;

use super::{
    cassette::{self, Played},
    hear::failure,
    retry::Hints,
    said::Said,
    text,
    wire::{
        Completion, Draft, Fault, Question, read_whole,
        sse::{Frame, Parser},
        stream::Stream,
    },
    wording::Wording,
};
use crate::config::{ApiStyle, Secret};

const KEY: &str = "gsk_0123456789";
/// Beyond what is quoted, a message holds words of ours and names that have bounds of their own.
const MAX_MESSAGE_CHARS: usize = text::MAX_QUOTE + 1_000;
const QUESTION: Question<'_> =
    Question { model: "a-model", messages: &[], tools: &[], schema: None, max_tokens: None };

/// However a stream is cut into pieces, the same is heard; what is told as it comes is what the answer holds in the
/// end.
///
/// The first byte says which interface it is, the second how it is cut.
pub fn model_stream(data: &[u8]) {
    let [api, cut, body @ ..] = data else { return };
    let api = style(*api);
    let whole = heard(api, [body].into_iter());
    let pieces = heard(api, body.chunks(1 + usize::from(*cut % 61)));
    assert_eq!(whole, pieces, "the pieces make a difference");
}

/// What came of a stream, in words that can be compared.
fn heard<'a>(api: ApiStyle, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, String, String) {
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    for piece in pieces {
        parser.push(piece, &mut frames).expect("it is short");
    }
    frames.extend(parser.finish());
    let (mut stream, mut told) = (Stream::new(api), String::new());
    for frame in &frames {
        match stream.take(frame) {
            Ok(text) => told.push_str(&text),
            Err(fault) => return (frames, told, fault_in_words(200, fault)),
        }
        if stream.progress.over {
            break;
        }
    }
    let draft = stream.into_draft();
    if api == ApiStyle::Chat {
        assert_eq!(told, draft.text, "what was told is not what was said");
    }
    let end = finished(draft);
    (frames, told, end)
}

/// An answer as a whole, an error, a recorded answer: which one says the first byte. What is made of it is short, on
/// one line, without keys.
pub fn model_answer(data: &[u8]) {
    let [what, more, body @ ..] = data else { return };
    match what % 3 {
        0 => {
            let end = match read_whole(style(*more), body, &wording()) {
                Ok(draft) => finished(draft),
                Err(fault) => fault_in_words(200, fault),
            };
            assert!(!end.is_empty());
        }
        1 => {
            let said = Said::read(&wording().hide(&String::from_utf8_lossy(body)));
            fault_in_words(400 + u16::from(*more % 160), said.into());
        }
        _ => recorded(body),
    }
}

fn style(byte: u8) -> ApiStyle {
    if byte.is_multiple_of(2) { ApiStyle::Chat } else { ApiStyle::Responses }
}

fn wording() -> Wording {
    Wording::new("groq", vec![Secret::new(KEY)])
}

/// What an answer comes to.
fn finished(draft: Draft) -> String {
    match draft.finish(&QUESTION, &wording()) {
        Ok(completion) => {
            sound(&completion);
            format!("{completion:?}")
        }
        Err(fault) => fault_in_words(200, fault),
    }
}

fn sound(completion: &Completion) {
    let Completion { text, tool_calls, model, finish_reason, .. } = completion;
    assert!(!text.trim().is_empty() || !tool_calls.is_empty(), "an answer that says nothing");
    assert!(one_line(model) && !model.is_empty() && model.chars().count() <= 300, "{model:?}");
    assert!(finish_reason.as_deref().is_none_or(|reason| one_line(reason) && reason.chars().count() <= 200));
    for (at, call) in tool_calls.iter().enumerate() {
        assert!(!call.id.is_empty() && !call.name.trim().is_empty());
        assert!(
            tool_calls[..at].iter().all(|other| other.id != call.id),
            "two calls have the id {:?}",
            call.id
        );
    }
}

fn fault_in_words(status: u16, fault: Fault) -> String {
    let error = failure(fault, status, &Hints::default(), &QUESTION, &wording()).error;
    let message = &error.message;
    assert!(!message.is_empty() && one_line(message), "{message:?}");
    assert!(message.chars().count() <= MAX_MESSAGE_CHARS, "{} characters", message.chars().count());
    assert!(!message.contains(KEY), "a key shows: {message:?}");
    format!("{:?} {message}", error.kind)
}

fn one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Recorded answers: what is read is played to its end, and is written as it was read.
fn recorded(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let Ok(lines) = cassette::lines(&text) else { return };
    for line in lines {
        let written = serde_json::to_string(&line).expect("a line is plain JSON");
        let again = cassette::lines(&written).expect("what is written is read");
        assert_eq!(again.len(), 1);
        assert_eq!(serde_json::to_string(&again[0]).ok(), Some(written));
        let headers: HeaderMap = line.response.headers();
        let _ = Hints::read(&headers, SystemTime::UNIX_EPOCH);
        let pieces = line.response.pieces();
        let mut played = Played::of(line.response);
        let mut turns = 0;
        while let Ok(Some(_)) = played.next() {
            turns += 1;
        }
        assert!(turns <= pieces);
    }
}
