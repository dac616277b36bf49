//! Pacing over the store: what one process learns of a provider's limits and faults, all processes know.
//!
//! What is known of a lane is one document, changed under its revision. A process keeps a copy for a moment,
//! so that a provider that takes whatever comes costs a few store calls a second, however many requests are
//! made; where a rate is known, a process takes the next few times at which requests may begin in one write.
//! Decisions are the engine's (`engine::lane`). While the store is away the copy has to do.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    engine::lane::{Cause, Gate, LaneState},
    llm::{
        ModelError, ModelErrorKind,
        pacing::{Lane, Outcome, Pacer},
    },
    store::{Change, Revision, Store, StoreError},
    telemetry::counters,
};

use super::records;

/// How long a copy is good for.
const FRESH: Duration = Duration::from_millis(250);
/// How often a write that others get in the way of is tried again.
const TRIES: usize = 20;

/// A lane as stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredLane {
    pub id: String,
    pub provider: String,
    pub state: LaneState,
}

/// Paces through a store.
pub struct StorePacer {
    store: Arc<dyn Store>,
    lanes: Mutex<HashMap<String, Arc<Local>>>,
}

/// What this process knows of a lane.
#[derive(Default)]
struct Local {
    /// How many requests wait to be let through.
    waiting: AtomicUsize,
    known: tokio::sync::Mutex<Known>,
}

struct Known {
    lane: StoredLane,
    before: Option<Revision>,
    read_at: Option<Instant>,
    /// The store's time less ours, in milliseconds since `origin`.
    ahead_ms: i64,
    origin: Instant,
    /// Times that were taken and not used yet.
    slots: VecDeque<i64>,
    /// Requests that began without being written down yet.
    unwritten: u32,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            lane: StoredLane::default(),
            before: None,
            read_at: None,
            ahead_ms: 0,
            origin: Instant::now(),
            slots: VecDeque::new(),
            unwritten: 0,
        }
    }
}

impl Known {
    fn our_ms(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX / 4)
    }

    /// The store's time, without asking it.
    fn now(&self) -> i64 {
        self.our_ms() + self.ahead_ms
    }
}

/// What a request is told.
enum Turn {
    Go,
    Wait(Duration),
    Refused { wait: Duration, cause: Cause, why: String },
}

impl StorePacer {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, lanes: Mutex::default() }
    }

    fn local(&self, lane: &Lane) -> Arc<Local> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(lane.id()).or_default().clone()
    }

    async fn read(&self, lane: &Lane, known: &mut Known) -> Result<(), StoreError> {
        let id = lane.id();
        let found = records::load::<StoredLane>(self.store.as_ref(), records::lane_key(&id)).await;
        let found = match found {
            // Nobody can mend it by reading it again; it is written anew.
            Err(StoreError::Corrupt { .. }) => None,
            found => found?,
        };
        let now = self.store.now().await?;
        known.ahead_ms = now - known.our_ms();
        known.read_at = Some(Instant::now());
        (known.lane, known.before) = match found {
            Some((lane, before)) => (lane, Some(before)),
            None => {
                let (provider, state) = (lane.provider.clone(), LaneState::default());
                (StoredLane { id, provider, state }, None)
            }
        };
        known.lane.state.allow(lane.requests_per_minute);
        Ok(())
    }

    /// Changes what is known of a lane, here and in the store. `decide` may be called several times and
    /// says whether there is anything to write.
    async fn change<T>(
        &self,
        lane: &Lane,
        known: &mut Known,
        decide: impl Fn(&mut LaneState, i64) -> (bool, T),
    ) -> T {
        for _ in 0..TRIES {
            let now = known.now();
            let mut next = known.lane.clone();
            if known.unwritten > 0 {
                next.state.begun(now, known.unwritten);
            }
            let (write, outcome) = decide(&mut next.state, now);
            if !write && known.unwritten == 0 {
                return outcome;
            }
            let put = records::put_lane(&next, now);
            let after = Revision::of(&put.body);
            let change = Change::new().expect(put.key.clone(), known.before.clone()).put(put);
            match self.store.apply(change).await {
                Ok(Ok(_)) => {
                    known.lane = next;
                    known.before = Some(after);
                    known.unwritten = 0;
                    known.read_at = Some(Instant::now());
                    return outcome;
                }
                Ok(Err(_)) => {
                    if let Err(e) = self.read(lane, known).await {
                        log::debug!("what is known of provider {} cannot be read: {e}", lane.provider);
                    }
                }
                Err(e) => {
                    log::debug!("what is known of provider {} cannot be written: {e}", lane.provider);
                    known.lane = next;
                    known.unwritten = 0;
                    return outcome;
                }
            }
        }
        // Many change it at once: this process goes by its own copy until it reads it again.
        let now = known.now();
        let (_, outcome) = decide(&mut known.lane.state, now);
        known.read_at = None;
        outcome
    }

    /// Whether a request may begin now, and if not, when to ask again.
    async fn turn(&self, lane: &Lane, local: &Local, slot: &mut Option<i64>) -> Turn {
        let mut known = local.known.lock().await;
        let known = &mut *known;
        // Who is about to be held back looks first whether somebody has mended what was wrong.
        let shut = matches!(known.lane.state.gate(known.now()), Gate::Until { .. });
        if shut || known.read_at.is_none_or(|at| at.elapsed() > FRESH) {
            if known.unwritten > 0 {
                self.change(lane, known, |_, _| (true, ())).await;
            } else if let Err(e) = self.read(lane, known).await {
                log::debug!("what is known of provider {} cannot be read: {e}", lane.provider);
            }
        }
        let now = known.now();
        match known.lane.state.gate(now) {
            Gate::Until { at, cause, why } => {
                *slot = None;
                known.slots.clear();
                Turn::Refused { wait: span(now, at), cause, why }
            }
            Gate::Trial => {
                let won = self
                    .change(lane, known, |state, now| match state.gate(now) {
                        Gate::Trial => {
                            state.begin_trial(now);
                            (true, true)
                        }
                        _ => (false, false),
                    })
                    .await;
                if won { Turn::Go } else { Turn::Wait(Duration::from_millis(50)) }
            }
            Gate::Open if known.lane.state.rate.is_none() => {
                known.unwritten += 1;
                Turn::Go
            }
            Gate::Open => {
                let at = match slot.take().or_else(|| known.slots.pop_front()) {
                    Some(at) => at,
                    None => {
                        let wanted = local.waiting.load(Ordering::Relaxed).max(1);
                        let slots =
                            self.change(lane, known, |state, now| (true, state.slots(now, wanted))).await;
                        known.slots.extend(slots);
                        known.slots.pop_front().unwrap_or(now)
                    }
                };
                let now = known.now();
                if at <= now {
                    return Turn::Go;
                }
                *slot = Some(at);
                Turn::Wait(span(now, at))
            }
        }
    }
}

/// Counts a request as waiting until it is let through or given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Pacer for StorePacer {
    async fn admit(&self, lane: &Lane, longest: Duration) -> Result<(), ModelError> {
        let local = self.local(lane);
        let _waiting = Waiting::new(&local.waiting);
        let begun = Instant::now();
        let mut slot = None;
        loop {
            let left = longest.saturating_sub(begun.elapsed());
            let wait = match self.turn(lane, &local, &mut slot).await {
                Turn::Go => {
                    counters::PACING_SECONDS.with([&lane.provider], |times| times.observe(begun.elapsed()));
                    return Ok(());
                }
                Turn::Wait(wait) if wait > left => {
                    return Err(refusal(lane, Cause::Limit, wait, "its rate is used up"));
                }
                Turn::Refused { wait, cause, why } if wait > left => {
                    return Err(refusal(lane, cause, wait, &why));
                }
                Turn::Wait(wait) | Turn::Refused { wait, .. } => wait,
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn tell(&self, lane: &Lane, outcome: Outcome) {
        let local = self.local(lane);
        let mut known = local.known.lock().await;
        let known = &mut *known;
        match outcome {
            Outcome::Answered { remaining } => {
                let remaining = remaining.map(|(number, reset)| (number, millis(reset)));
                let now = known.now();
                if known.lane.state.is_news(now, remaining) {
                    let was_shut = known.lane.state.circuit.is_some();
                    self.change(lane, known, |state, now| {
                        state.answered(now, remaining);
                        (true, ())
                    })
                    .await;
                    if was_shut {
                        log::info!("provider {} answers again", lane.provider);
                    }
                }
            }
            Outcome::Failed { kind, retry_after, why } => {
                let Some(cause) = cause_of(kind) else {
                    // It answers, if not to this request.
                    let now = known.now();
                    if known.lane.state.is_news(now, None) {
                        self.change(lane, known, |state, now| {
                            state.answered(now, None);
                            (true, ())
                        })
                        .await;
                    }
                    return;
                };
                let shut_before = known.lane.state.circuit.clone();
                self.change(lane, known, |state, now| {
                    match cause {
                        Cause::Limit => state.limited(now, retry_after),
                        cause => state.failed(now, cause, retry_after, &why),
                    }
                    (true, ())
                })
                .await;
                known.slots.clear();
                if let Some(circuit) = &known.lane.state.circuit
                    && shut_before.is_none()
                {
                    let seconds = (circuit.until - known.now()).max(0) / 1_000;
                    log::error!(
                        "provider {} is not asked any more for {seconds} s at least: {}",
                        lane.provider,
                        circuit.why
                    );
                }
            }
        }
    }
}

/// What a kind of failure says of the whole lane; `None`: nothing, it was this request's fault.
fn cause_of(kind: ModelErrorKind) -> Option<Cause> {
    match kind {
        ModelErrorKind::RateLimited => Some(Cause::Limit),
        ModelErrorKind::Auth => Some(Cause::Auth),
        ModelErrorKind::Billing => Some(Cause::Billing),
        ModelErrorKind::Connection | ModelErrorKind::Timeout | ModelErrorKind::Unavailable => {
            Some(Cause::Down)
        }
        ModelErrorKind::UnknownModel
        | ModelErrorKind::ContextTooLong
        | ModelErrorKind::BadRequest
        | ModelErrorKind::BadAnswer
        | ModelErrorKind::Refused => None,
    }
}

fn refusal(lane: &Lane, cause: Cause, wait: Duration, why: &str) -> ModelError {
    let kind = match cause {
        Cause::Limit => ModelErrorKind::RateLimited,
        Cause::Auth => ModelErrorKind::Auth,
        Cause::Billing => ModelErrorKind::Billing,
        Cause::Down => ModelErrorKind::Unavailable,
    };
    counters::PACING_REFUSALS.with([&lane.provider, kind.as_str()], |count| count.add(1));
    let message = match cause {
        Cause::Limit => {
            format!("provider {} lets nothing through for {:.1} s: {why}", lane.provider, wait.as_secs_f64())
        }
        _ => format!("provider {} is not asked now: {why}", lane.provider),
    };
    ModelError { requests: 0, retry_after: Some(wait), ..ModelError::new(kind, message) }
}

fn span(from: i64, to: i64) -> Duration {
    Duration::from_millis(u64::try_from(to - from).unwrap_or(0).max(1))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}
