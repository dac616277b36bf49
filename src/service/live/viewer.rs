//! One viewer: what it has seen, and what it gets next.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Place,
    hub::{End, Hub, News},
    is_told,
};
use crate::{
    model::PartialAnswer,
    store::{ALL_EVENTS, Event, MAX_BATCH},
};

/// The pause after a store that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// One thing to tell a viewer.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// What happened: the event's id and its JSON.
    Event { id: u64, body: Arc<[u8]> },
    /// What a running step says.
    Partial(PartialFrame),
    /// Events were dropped before this viewer had seen them: it is to look at the whole again.
    Gap { before: u64 },
    /// The workflow has ended with this status, or was `deleted`; nothing follows.
    End { status: &'static str },
}

/// More of what a running step says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartialFrame {
    pub job_id: String,
    pub attempt: u32,
    pub call: u32,
    /// Where the text belongs, in characters from the beginning of the answer; 0: it begins anew.
    pub at: u64,
    pub text: String,
}

/// Somebody who watches. Ends when it is dropped.
pub struct Viewer {
    place: Place,
    stream: String,
    after: u64,
    hub: Option<(Arc<Hub>, Receiver<News>)>,
    /// Reads from the store what the channel has not, or has dropped.
    behind: bool,
    /// Whether it is known that nothing was dropped since `after`.
    checked: bool,
    ready: VecDeque<Frame>,
    /// What of each running call this viewer has.
    heard: HashMap<String, Heard>,
    ended: bool,
}

struct Heard {
    attempt: u32,
    call: u32,
    chars: u64,
}

impl Viewer {
    pub(super) fn new(place: Place, stream: &str, after: u64) -> Self {
        Self {
            place,
            stream: stream.to_owned(),
            after,
            hub: None,
            behind: true,
            checked: false,
            ready: VecDeque::new(),
            heard: HashMap::new(),
            ended: false,
        }
    }

    /// What comes next; waits for it. `None` after the end, or when the server stops. Nothing is lost when the
    /// wait is given up.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.ended || self.place.shared.closing.is_cancelled() {
                return None;
            }
            if self.behind {
                self.catch_up().await;
                continue;
            }
            let Some((hub, receiver)) = &mut self.hub else {
                self.behind = true;
                continue;
            };
            match receiver.recv().await {
                Ok(News::Events(events)) => self.take(&events),
                Ok(News::Partial(partial)) => self.hear(&partial),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => {
                    let end = hub.end();
                    self.hub = None;
                    match end {
                        End::Over(status) => {
                            self.ready.push_back(Frame::End { status });
                            self.ended = true;
                        }
                        End::Stopped => self.behind = true,
                    }
                }
            }
        }
    }

    /// What is there to be told without waiting.
    pub fn ready(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Reads on in the store, having made sure that nothing can come in between unseen.
    async fn catch_up(&mut self) {
        let shared = self.place.shared.clone();
        if self.hub.is_none() {
            let hub = shared.hub(&self.stream, self.after);
            // One that has ended meanwhile is not found the next time.
            let Some(receiver) = hub.subscribe() else { return tokio::task::yield_now().await };
            self.hub = Some((hub, receiver));
        }
        let store = shared.base.store.as_ref();
        // Where the last one that was seen is kept still, nothing after it was dropped. Streams of workflows
        // are short, and dropped as a whole.
        if self.stream == ALL_EVENTS && self.after > 0 && !self.checked {
            match store.events(&self.stream, self.after - 1, 1).await {
                Ok(found) => {
                    self.checked = true;
                    if let Some(first) = found.first().filter(|first| first.id > self.after) {
                        self.ready.push_back(Frame::Gap { before: first.id });
                    }
                }
                Err(_) => return self.pause().await,
            }
        }
        match store.events(&self.stream, self.after, MAX_BATCH).await {
            Ok(events) => {
                let whole = events.len() < MAX_BATCH;
                self.take(&events);
                if whole {
                    (self.behind, self.checked) = (false, false);
                    let known = self.hub.as_ref().map(|(hub, _)| hub.partials()).unwrap_or_default();
                    known.iter().for_each(|partial| self.hear(partial));
                }
            }
            Err(_) => self.pause().await,
        }
    }

    /// The store is away.
    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = self.place.shared.closing.cancelled() => {}
        }
    }

    fn take(&mut self, events: &[Event]) {
        for event in events {
            if event.id <= self.after {
                continue;
            }
            self.after = event.id;
            if is_told(event) {
                self.ready.push_back(Frame::Event { id: event.id, body: event.body.as_slice().into() });
            }
        }
    }

    fn hear(&mut self, partial: &PartialAnswer) {
        let length = partial.text.chars().count() as u64;
        let begins_at = partial.chars.saturating_sub(length);
        let known = self.heard.get(&partial.job_id);
        let seen = known
            .filter(|known| known.attempt == partial.attempt && known.call == partial.call)
            .map_or(0, |known| known.chars);
        if seen >= partial.chars && seen > 0 {
            return;
        }
        let at = seen.max(begins_at);
        let text: String = partial.text.chars().skip((at - begins_at) as usize).collect();
        let (attempt, call) = (partial.attempt, partial.call);
        self.heard.insert(partial.job_id.clone(), Heard { attempt, call, chars: partial.chars });
        let job_id = partial.job_id.clone();
        self.ready.push_back(Frame::Partial(PartialFrame { job_id, attempt, call, at, text }));
    }
}
