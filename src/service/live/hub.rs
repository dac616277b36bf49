//! The pump of one stream: reads it once for all viewers of this process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::broadcast;

use super::{Shared, is_told};
use crate::{
    model::{PartialAnswer, StepStatus, Workflow},
    service::{ServiceError, records},
    store::{ALL_EVENTS, Event, MAX_BATCH},
};

/// What the channel holds for viewers that are slow; who is slower still reads from the store.
const CHANNEL: usize = 256;
/// How often the answer of a running step is looked at.
const PARTIALS_EVERY: Duration = Duration::from_millis(250);
/// How long a pump without anything to look at waits for an event before it asks whether anybody is there still.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The pause after a store that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// What a pump tells its viewers.
#[derive(Debug, Clone)]
pub(super) enum News {
    Events(Arc<Vec<Event>>),
    Partial(Arc<PartialAnswer>),
}

/// How the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The workflow has ended, with this status.
    Over(&'static str),
    /// The pump ended without viewers, or the server stops.
    Stopped,
}

/// One stream and those who watch it.
pub(super) struct Hub {
    /// Gone when the pump has ended.
    sender: Mutex<Option<broadcast::Sender<News>>>,
    end: OnceLock<End>,
    /// The answers of running steps as they are now, for who comes late.
    partials: Mutex<BTreeMap<String, Arc<PartialAnswer>>>,
}

impl Hub {
    /// Starts the pump behind an event, or behind the newest one where there is no such event yet: a viewer that
    /// names an id from nowhere must not keep from others what happens before it.
    pub fn start(shared: Arc<Shared>, stream: &str, after: u64) -> Arc<Self> {
        let (sender, first) = broadcast::channel(CHANNEL);
        let hub = Arc::new(Self {
            sender: Mutex::new(Some(sender.clone())),
            end: OnceLock::new(),
            partials: Mutex::default(),
        });
        let (pump, stream) = (hub.clone(), stream.to_owned());
        tokio::spawn(async move {
            // Kept until the first viewer is there: a pump that sees none ends.
            let mut first = Some(first);
            let work = pump.run(&shared, &stream, after, &sender, &mut first);
            let end = tokio::select! {
                end = work => end,
                () = shared.closing.cancelled() => End::Stopped,
            };
            let _ = pump.end.set(end);
            drop(sender);
            pump.sender().take();
            shared.forget(&stream, &pump);
        });
        hub
    }

    /// From now on all news; `None` when the pump has ended.
    pub fn subscribe(&self) -> Option<broadcast::Receiver<News>> {
        self.sender().as_ref().map(broadcast::Sender::subscribe)
    }

    pub fn has_ended(&self) -> bool {
        self.end.get().is_some() || self.sender().is_none()
    }

    /// How the stream ended, once the channel is closed.
    pub fn end(&self) -> End {
        self.end.get().copied().unwrap_or(End::Stopped)
    }

    /// What running steps have said so far.
    pub fn partials(&self) -> Vec<Arc<PartialAnswer>> {
        self.known_partials().values().cloned().collect()
    }

    fn sender(&self) -> MutexGuard<'_, Option<broadcast::Sender<News>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_partials(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PartialAnswer>>> {
        self.partials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(
        &self,
        shared: &Shared,
        stream: &str,
        mut after: u64,
        sender: &broadcast::Sender<News>,
        first: &mut Option<broadcast::Receiver<News>>,
    ) -> End {
        let store = shared.base.store.as_ref();
        let mut running = Vec::new();
        let mut look = true;
        loop {
            match store.newest_event(stream).await {
                Ok(newest) => break after = after.min(newest),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        loop {
            match store.events(stream, after, MAX_BATCH).await {
                Ok(events) if !events.is_empty() => {
                    after = events.last().map_or(after, |event| event.id);
                    let told: Vec<Event> = events.into_iter().filter(is_told).collect();
                    let _ = sender.send(News::Events(Arc::new(told)));
                    look = true;
                    continue;
                }
                Ok(_) => {}
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            if stream != ALL_EVENTS && look {
                match self.look(shared, stream).await {
                    // Whatever made it end was written with its end: it is there to be read now.
                    Ok(Seen::Over(status)) => {
                        let rest = store.events(stream, after, MAX_BATCH).await;
                        if rest.is_ok_and(|rest| rest.is_empty()) {
                            return End::Over(status);
                        }
                        continue;
                    }
                    Ok(Seen::Running(jobs)) => (running, look) = (jobs, false),
                    Err(_) => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            self.tell_partials(shared, &running, sender).await;
            let wait = if running.is_empty() { LONGEST_WAIT } else { PARTIALS_EVERY };
            store.wait_for_events(stream, after, wait).await;
            // The first viewer has had its time to come.
            first.take();
            if sender.receiver_count() == 0 {
                return End::Stopped;
            }
        }
    }

    async fn look(&self, shared: &Shared, workflow: &str) -> Result<Seen, ServiceError> {
        let store = shared.base.store.as_ref();
        let found = records::load::<Workflow>(store, records::workflow_key(workflow)).await?;
        let Some((workflow, _)) = found else { return Ok(Seen::Over("deleted")) };
        if workflow.is_over() {
            return Ok(Seen::Over(workflow.status.as_str()));
        }
        let running = workflow.steps.into_iter().filter(|s| s.status == StepStatus::Processing);
        Ok(Seen::Running(running.map(|s| s.job_id).take(MAX_BATCH).collect()))
    }

    /// Tells what has been said since the last look. A store that is away says nothing.
    async fn tell_partials(&self, shared: &Shared, running: &[String], sender: &broadcast::Sender<News>) {
        self.known_partials().retain(|job, _| running.contains(job));
        if running.is_empty() {
            return;
        }
        let keys: Vec<_> = running.iter().map(|job| records::partial_key(job)).collect();
        let Ok(docs) = shared.base.store.get(&keys).await else { return };
        for doc in docs.into_iter().flatten() {
            let Ok(partial) = doc.parse::<PartialAnswer>() else { continue };
            let same = self.known_partials().get(&partial.job_id).is_some_and(|known| **known == partial);
            if !same {
                let partial = Arc::new(partial);
                self.known_partials().insert(partial.job_id.clone(), partial.clone());
                let _ = sender.send(News::Partial(partial));
            }
        }
    }
}

/// What a look at a workflow has shown.
enum Seen {
    Over(&'static str),
    /// The jobs of the steps that run.
    Running(Vec<String>),
}
