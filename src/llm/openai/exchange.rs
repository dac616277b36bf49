//! One exchange with a provider: its answer, piece by piece. Every wait has its limit and says which.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{
    Response,
    header::{self, HeaderMap},
};

use super::{
    cassette::{Played, Recording},
    retry::Hints,
    text,
};
use crate::{
    config::ModelTimeouts,
    llm::{ModelError, ModelErrorKind},
};

/// As much of an error body as can matter.
const MAX_ERROR_BODY: usize = 64 << 10;

/// How long the rest of an answer is waited for of which all that matters is there.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// What a piece of an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first token.
    First,
    /// The next piece of an answer that has begun.
    Next,
    /// What may come behind all that matters.
    Rest,
}

/// An answer that has begun, whatever its status.
pub(super) struct Exchange {
    pub status: u16,
    pub hints: Hints,
    /// Whether it says that it is a stream.
    pub says_stream: bool,
    body: Body,
    clock: Clock,
    recording: Option<Recording>,
}

pub(super) enum Body {
    Live(Response),
    Played(Played),
}

impl Exchange {
    pub(super) fn new(
        status: u16,
        headers: &HeaderMap,
        hints: Hints,
        body: Body,
        clock: Clock,
        recording: Option<Recording>,
    ) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let says_stream = kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
        Self { status, hints, says_stream, body, clock, recording }
    }

    /// More of the body; `None`: that was all of it.
    pub(super) async fn next(&mut self, awaited: Awaited) -> Result<Option<Bytes>, ModelError> {
        let piece = match &mut self.body {
            Body::Live(response) => match self.clock.limit(awaited, response.chunk()).await {
                Ok(Ok(piece)) => Ok(piece),
                Ok(Err(e)) => Err(self.clock.broken(e)),
                Err(late) => Err(late),
            },
            Body::Played(played) => played.next().map_err(|cause| self.clock.broke(&cause)),
        };
        if let Some(recording) = &mut self.recording {
            match &piece {
                Ok(Some(bytes)) => recording.piece(bytes, self.clock.started.elapsed()),
                Ok(None) => {}
                Err(_) => recording.broken = true,
            }
        }
        piece
    }

    /// How long ago the request began.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.started.elapsed()
    }

    /// The beginning of an error body; one that breaks off is taken as far as it came.
    pub(super) async fn error_body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.next(Awaited::Rest).await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_ERROR_BODY {
                body.truncate(MAX_ERROR_BODY);
                break;
            }
        }
        body
    }

    /// Ends the exchange: lets a connection be used again whose last bytes are on their way, and writes
    /// down what is recorded.
    pub(super) async fn end(mut self) {
        if let Body::Live(response) = &mut self.body {
            let drain = async { while let Ok(Some(_)) = response.chunk().await {} };
            let _ = tokio::time::timeout(Duration::from_millis(20), drain).await;
        }
        if let Some(recording) = self.recording.take() {
            recording.write();
        }
    }
}

/// The limits of one exchange, and what it says when one is reached.
pub(super) struct Clock {
    started: Instant,
    timeouts: ModelTimeouts,
    /// The address as it may be shown.
    place: String,
}

impl Clock {
    /// Begins now.
    pub(super) fn start(timeouts: ModelTimeouts, place: String) -> Self {
        Self { started: Instant::now(), timeouts, place }
    }

    pub(super) async fn limit<T>(
        &self,
        awaited: Awaited,
        what: impl Future<Output = T>,
    ) -> Result<T, ModelError> {
        let (elapsed, place) = (self.started.elapsed(), &self.place);
        let total = self.timeouts.total.saturating_sub(elapsed);
        let (own, message) = match awaited {
            Awaited::First => {
                let limit = self.timeouts.first_byte;
                let message =
                    format!("the provider at {place} gave no first token within {} s", limit.as_secs_f64());
                (limit.saturating_sub(elapsed), message)
            }
            Awaited::Next | Awaited::Rest => {
                let limit = self.timeouts.idle;
                let message = format!(
                    "the provider at {place} fell silent in the middle of its answer for {} s",
                    limit.as_secs_f64()
                );
                (if awaited == Awaited::Rest { limit.min(LONGEST_REST) } else { limit }, message)
            }
        };
        let message = match total < own {
            true => {
                let limit = self.timeouts.total.as_secs_f64();
                format!("the provider at {place} gave no whole answer within {limit} s")
            }
            false => message,
        };
        let late = |_| ModelError::new(ModelErrorKind::Timeout, message);
        tokio::time::timeout(total.min(own), what).await.map_err(late)
    }

    /// What a failure below HTTP is.
    pub(super) fn broken(&self, error: reqwest::Error) -> ModelError {
        let place = &self.place;
        let error = error.without_url();
        let cause = text::one_line(&root_cause(&error), 200);
        if error.is_timeout() {
            let limit = self.timeouts.connect.as_secs_f64();
            let message = format!("no connection to the provider at {place} within {limit} s");
            ModelError::new(ModelErrorKind::Timeout, message)
        } else if error.is_connect() {
            let message = format!("cannot connect to the provider at {place}: {cause}");
            ModelError::new(ModelErrorKind::Connection, message)
        } else if error.is_builder() {
            let message = format!("the request to {place} cannot be made: {cause}");
            ModelError::new(ModelErrorKind::BadRequest, message)
        } else {
            self.broke(&cause)
        }
    }

    fn broke(&self, cause: &str) -> ModelError {
        let message = format!("the connection to the provider at {} broke: {cause}", self.place);
        ModelError::new(ModelErrorKind::Connection, message)
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
