//! The answer of a running call as far as it has come, for those who watch.
//!
//! It is a document of its own, replaced again and again while tokens arrive and gone with the end of the
//! call: bounded, late-comers see all of it, and nobody needs to watch. The more calls stream at once, the
//! more seldom each is written, so that many of them do not become a load of their own.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    llm::Listener,
    model::PartialAnswer,
    service::{Foundation, records},
    store::Change,
};

use super::Running;

/// How often one is written when it is the only one.
const RHYTHM: Duration = Duration::from_millis(250);
/// How many writes a second all of a process make at the most.
const WRITES_PER_SECOND: usize = 40;
/// The most characters that are kept, from the end.
const MAX_CHARS: usize = 16_000;

#[derive(Default)]
struct Heard {
    text: String,
    /// Characters so far, also of what is not kept.
    chars: u64,
    changed: bool,
}

/// What has been heard of one call.
pub(super) struct Partial<'a> {
    base: &'a Foundation,
    /// How many calls stream in this process.
    streams: &'a AtomicUsize,
    job_id: &'a str,
    attempt: u32,
    call: u32,
    heard: Mutex<Heard>,
}

/// Hears for a [`Partial`].
pub(super) struct Ear<'a>(&'a Partial<'a>);

impl<'a> Partial<'a> {
    pub(super) fn new(
        base: &'a Foundation,
        streams: &'a AtomicUsize,
        running: &'a Running,
        call: u32,
    ) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        let attempt = running.job.attempts.len() as u32;
        Self { base, streams, job_id: &running.job.job_id, attempt, call, heard: Mutex::default() }
    }

    pub(super) fn ear(&self) -> Ear<'_> {
        Ear(self)
    }

    /// Waits for an answer and publishes meanwhile what has come of it.
    pub(super) async fn hear<T>(&self, answer: impl Future<Output = T>) -> T {
        let publish = async {
            loop {
                tokio::time::sleep(self.rhythm()).await;
                self.publish().await;
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = publish => unreachable!("it goes on for ever"),
        }
    }

    fn rhythm(&self) -> Duration {
        let streams = self.streams.load(Ordering::Relaxed);
        RHYTHM.max(Duration::from_secs(1) * u32::try_from(streams / WRITES_PER_SECOND).unwrap_or(u32::MAX))
    }

    async fn publish(&self) {
        let partial = {
            let mut heard = self.heard();
            if !std::mem::take(&mut heard.changed) {
                return;
            }
            PartialAnswer {
                job_id: self.job_id.to_owned(),
                attempt: self.attempt,
                call: self.call,
                text: heard.text.clone(),
                chars: heard.chars,
                updated_at: self.base.clock.now(),
            }
        };
        let change = Change::new().put(records::put_partial(&partial));
        if let Err(e) = self.base.store.apply(change).await {
            // Nobody depends on it, and the next one carries all of the text.
            log::debug!(job_id = self.job_id; "what the model says so far cannot be published: {e}");
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener for Ear<'_> {
    fn delta(&self, text: &str) {
        let mut heard = self.0.heard();
        heard.text.push_str(text);
        heard.chars += text.chars().count() as u64;
        heard.changed = true;
        // Cut now and then, and not with every token.
        if heard.text.len() > MAX_CHARS * 8 {
            let length = heard.text.chars().count();
            if let Some((at, _)) = heard.text.char_indices().nth(length.saturating_sub(MAX_CHARS)) {
                heard.text.drain(..at);
            }
        }
    }

    fn restart(&self) {
        let mut heard = self.0.heard();
        *heard = Heard { changed: true, ..Heard::default() };
    }
}
