//! Exchanges with a provider, written to a file and played back from it: what a model once answered can
//! be had again without network, key and cost.
//!
//! A file has one JSON object a line, an exchange each. Keys and the headers of requests are not written.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::wording::Wording;
use crate::llm::{ModelError, ModelErrorKind};

/// The headers of answers that matter, and whatever else begins with `x-ratelimit-`.
const HEADERS: &[&str] = &["content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-request-id"];

/// Records exchanges, or plays them back.
#[derive(Debug)]
pub struct Cassette {
    path: PathBuf,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Record(Mutex<File>),
    Replay(Mutex<HashMap<String, Tape>>),
}

/// The answers to one request, in their order.
#[derive(Debug)]
struct Tape {
    answers: Vec<Arc<Told>>,
    next: usize,
}

/// An exchange as it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    request: Asked,
    pub response: Told,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    method: String,
    path: String,
    body: Value,
}

/// An answer as it was given.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Piece>,
    /// Whether it broke off behind the last piece.
    #[serde(default)]
    broken: bool,
}

/// Some bytes of a body.
#[derive(Debug, Serialize, Deserialize)]
struct Piece {
    /// When they came, from the beginning of the request.
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Instead of the text where they are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Cassette {
    /// Adds every exchange to a file, which is made if there is none; only its owner may read it.
    pub fn record(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref().to_owned();
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).with_context(|| format!("cannot record to {}", path.display()))?;
        Ok(Self { path, mode: Mode::Record(Mutex::new(file)) })
    }

    /// Answers from a file and from nothing else.
    pub fn replay(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref().to_owned();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the recorded answers in {}", path.display()))?;
        let mut tapes: HashMap<String, Tape> = HashMap::new();
        for line in lines(&text).with_context(|| path.display().to_string())? {
            let key = key(&line.request.path, &line.request.body);
            let tape = tapes.entry(key).or_insert_with(|| Tape { answers: Vec::new(), next: 0 });
            tape.answers.push(Arc::new(line.response));
        }
        Ok(Self { path, mode: Mode::Replay(Mutex::new(tapes)) })
    }

    /// The recorded answer to a request; the last one is given again and again. `None`: this records.
    pub(super) fn play(&self, path: &str, body: &Value) -> Option<Result<(Arc<Told>, Played), ModelError>> {
        let Mode::Replay(tapes) = &self.mode else { return None };
        let mut tapes = tapes.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = tapes.get_mut(&key(path, body)).and_then(|tape| {
            let at = tape.next.min(tape.answers.len().saturating_sub(1));
            tape.next = at + 1;
            tape.answers.get(at).cloned()
        });
        let unknown = || {
            let model = body["model"].as_str().unwrap_or_default();
            let message = format!(
                "no answer to this request is recorded in {}: POST {path}, model {model:?} \
                 (with MODEL_REPLAY only what was asked while recording can be asked)",
                self.path.display()
            );
            ModelError { requests: 0, ..ModelError::new(ModelErrorKind::BadRequest, message) }
        };
        Some(answer.map(|told| (told.clone(), Played::of(told))).ok_or_else(unknown))
    }

    /// Begins to record an exchange of which the answer has begun.
    pub(super) fn begin(
        self: &Arc<Self>,
        path: &str,
        body: &Value,
        status: u16,
        headers: &HeaderMap,
        wording: Arc<Wording>,
    ) -> Recording {
        let matters = |name: &str| HEADERS.contains(&name) || name.starts_with("x-ratelimit-");
        let headers =
            headers.iter().filter(|(name, _)| matters(name.as_str())).filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), wording.hide_own(value.to_str().ok()?)))
            });
        Recording {
            cassette: self.clone(),
            asked: Asked { method: "POST".to_owned(), path: path.to_owned(), body: body.clone() },
            told: Told { status, headers: headers.collect(), pieces: Vec::new(), broken: false },
            wording,
            broken: false,
        }
    }
}

/// The exchanges of a file.
pub(super) fn lines(text: &str) -> anyhow::Result<Vec<Line>> {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered
        .map(|(n, line)| {
            serde_json::from_str(line).with_context(|| format!("line {} is no recorded exchange", n + 1))
        })
        .collect()
}

impl Told {
    /// Of how many pieces its body came.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?))
        });
        headers.collect()
    }
}

/// A recorded answer while it is played.
pub(super) struct Played {
    told: Arc<Told>,
    next: usize,
}

impl Played {
    /// An answer, from its beginning.
    pub(super) fn of(told: impl Into<Arc<Told>>) -> Self {
        Self { told: told.into(), next: 0 }
    }

    /// More of the body, at once; an error says how it broke off.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, String> {
        let Some(piece) = self.told.pieces.get(self.next) else {
            return if self.told.broken { Err("as it was recorded".to_owned()) } else { Ok(None) };
        };
        self.next += 1;
        match (&piece.text, &piece.base64) {
            (Some(text), _) => Ok(Some(Bytes::from(text.clone()))),
            (None, Some(base64)) => {
                let bytes = BASE64_STANDARD.decode(base64).map_err(|e| format!("recorded bytes: {e}"))?;
                Ok(Some(bytes.into()))
            }
            (None, None) => Ok(Some(Bytes::new())),
        }
    }
}

/// An exchange while it is recorded; one that is dropped is not written.
pub(super) struct Recording {
    cassette: Arc<Cassette>,
    asked: Asked,
    told: Told,
    wording: Arc<Wording>,
    pub broken: bool,
}

impl Recording {
    pub(super) fn piece(&mut self, bytes: &[u8], at: Duration) {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let (text, base64) = match std::str::from_utf8(bytes) {
            Ok(text) => (Some(self.wording.hide_own(text)), None),
            // A character that is cut in two.
            Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        self.told.pieces.push(Piece { at_ms, text, base64 });
    }

    /// Writes the exchange down. One that cannot be written is a warning: the answer is there.
    pub(super) fn write(mut self) {
        let Mode::Record(file) = &self.cassette.mode else { return };
        self.told.broken = self.broken;
        let line = Line { request: self.asked, response: self.told };
        let written = serde_json::to_string(&line).map_err(std::io::Error::from).and_then(|line| {
            file.lock().unwrap_or_else(PoisonError::into_inner).write_all((line + "\n").as_bytes())
        });
        if let Err(e) = written {
            log::warn!("a model call is not recorded in {}: {e}", self.cassette.path.display());
        }
    }
}

/// What requests are told apart by, whatever the order of the fields.
fn key(path: &str, body: &Value) -> String {
    format!("{path} {}", sorted(body))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            Value::Object(names.into_iter().map(|n| (n.clone(), sorted(&fields[n]))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
