//! Cassettes: conversations with a real provider, recorded once and played again without a network.
//!
//! A cassette is a file of JSON lines, one exchange each: what was asked (path and body) and what came back
//! (status, the headers that matter, the pieces of the body). Keys are in neither. A request is found by its path
//! and body; equal ones get their answers in the order of recording, the last one again and again.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::llm::{ModelError, ModelErrorKind};

/// The headers that an answer is read by.
const KEPT: &[&str] = &[
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-request-id",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// One piece of a body.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Piece {
    /// Milliseconds since the request.
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What is no text by itself: a piece may end inside a character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// One line of a cassette.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Exchange {
    path: String,
    body: String,
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Piece>,
}

/// A recorded answer.
pub(super) struct Played {
    pub status: u16,
    pub headers: HeaderMap,
    pub pieces: Vec<Vec<u8>>,
}

/// The answers to one request, and how many of them have been played.
type Answers = (Vec<Exchange>, usize);

/// A conversation on file.
pub struct Cassette {
    path: PathBuf,
    mode: Mode,
}

enum Mode {
    Records(Arc<Mutex<File>>),
    Plays(Mutex<HashMap<[u8; 32], Answers>>),
}

impl Cassette {
    /// Adds to a file what is asked and answered from now on.
    pub fn record(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("the cassette {} cannot be written", path.display()))?;
        Ok(Self { path, mode: Mode::Records(Arc::new(Mutex::new(file))) })
    }

    /// Answers from a file, and asks nobody.
    pub fn replay(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref().to_owned();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the cassette {} cannot be read", path.display()))?;
        let mut answers: HashMap<[u8; 32], Answers> = HashMap::new();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let exchange: Exchange = serde_json::from_str(line).with_context(|| {
                format!("line {} of the cassette {} is no exchange", n + 1, path.display())
            })?;
            let name = name(&exchange.path, exchange.body.as_bytes());
            answers.entry(name).or_default().0.push(exchange);
        }
        Ok(Self { path, mode: Mode::Plays(Mutex::new(answers)) })
    }

    pub(super) fn plays(&self) -> bool {
        matches!(self.mode, Mode::Plays(_))
    }

    /// The recorded answer to a request.
    pub(super) fn play(&self, path: &str, body: &[u8]) -> Result<Played, ModelError> {
        let unknown = || {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            let message =
                format!("the cassette {} has no answer to this request: {text}", self.path.display());
            ModelError::new(ModelErrorKind::BadRequest, message)
        };
        let Mode::Plays(answers) = &self.mode else { return Err(unknown()) };
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (exchanges, played) = answers.get_mut(&name(path, body)).ok_or_else(unknown)?;
        let exchange = exchanges.get((*played).min(exchanges.len() - 1)).ok_or_else(unknown)?;
        *played += 1;
        let header = |(name, value): &(String, String)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        };
        let piece = |piece: &Piece| match (&piece.text, &piece.base64) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(bytes)) => STANDARD.decode(bytes).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        Ok(Played {
            status: exchange.status,
            headers: exchange.headers.iter().filter_map(header).collect(),
            pieces: exchange.pieces.iter().map(piece).collect(),
        })
    }

    /// Begins to record an exchange.
    pub(super) fn begin(&self, path: &str, body: &[u8]) -> Recording {
        let file = match &self.mode {
            Mode::Records(file) => Some(file.clone()),
            Mode::Plays(_) => None,
        };
        Recording {
            file,
            begun: Instant::now(),
            exchange: Exchange {
                path: path.to_owned(),
                body: String::from_utf8_lossy(body).into_owned(),
                status: 0,
                headers: Vec::new(),
                pieces: Vec::new(),
            },
        }
    }
}

/// An exchange that goes on. It is written when its answer has ended, or is dropped.
pub(super) struct Recording {
    file: Option<Arc<Mutex<File>>>,
    begun: Instant,
    exchange: Exchange,
}

impl Recording {
    pub(super) fn answered(mut self, status: u16, headers: &HeaderMap) -> Self {
        self.exchange.status = status;
        let kept = KEPT.iter().filter_map(|name| Some((*name, headers.get(*name)?.to_str().ok()?)));
        self.exchange.headers = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self
    }

    pub(super) fn piece(&mut self, bytes: &[u8]) {
        let at_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        let base64 = text.is_none().then(|| STANDARD.encode(bytes));
        self.exchange.pieces.push(Piece { at_ms, text, base64 });
    }

    pub(super) fn end(&mut self) {
        let Some(file) = self.file.take().filter(|_| self.exchange.status > 0) else { return };
        let Ok(mut line) = serde_json::to_vec(&self.exchange) else { return };
        line.push(b'\n');
        let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        if let Err(e) = written {
            log::warn!("a model call could not be recorded: {e}");
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a request is found by.
fn name(path: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}
