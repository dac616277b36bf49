//! Webhooks: a workflow reports its end, and that it waits for a person, to the address that its brief named.
//!
//! ```text
//! the write that ends the workflow ──▶ delivery, due at once ──▶ claim (due in a minute) ──▶ POST
//!                                             ▲                                              │
//!                                             └── due after a pause ◀── not accepted ────────┤
//!                                   given up after a day, or at 410 ◀────────────────────────┤
//!                                                                     delivered ◀── 2xx ─────┘
//! ```
//!
//! The delivery is written *in the step* that ends the workflow ([`announce`], called by the one place that stores
//! workflows), so there is none without the other. Whoever claims a delivery does so under its revision and for a
//! minute: a process that dies in between leaves it to the next one. A receiver may therefore see a message more than
//! once, always under the same id. Nothing is promised about the order of two messages. Outcomes are written into
//! the delivery and, in the same step, into the workflow (`callback`), if that still reports the same event.

mod message;
mod round;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Client, StatusCode, header};

use super::{FieldProblem, Foundation, ServiceError, records};
use crate::{
    config::WebhookConfig,
    model::{
        Callback, Delivery, DeliveryState, PauseReason, Timestamp, Workflow, WorkflowStatus, derived_id,
    },
    outgoing::{Allowed, Guard},
    store::{Change, Doc, StoreError},
};

pub use round::Round;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a delivery belongs to who has claimed it.
const CLAIMED: Duration = Duration::from_secs(60);
/// The longest address.
const MAX_URL_BYTES: usize = 2_000;
/// The longest reason that is kept.
const MAX_ERROR_CHARS: usize = 300;
/// The pauses between tries, in seconds; the last one is made a day after the first.
const PAUSES: [u64; 11] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 18_000, 18_000, 22_645];

/// What webhooks stand on.
#[derive(Debug)]
pub struct Sender {
    guard: Guard,
    secret: Option<Vec<u8>>,
    client: OnceLock<Client>,
}

impl Sender {
    pub fn new(config: &WebhookConfig) -> Self {
        let allowed = Allowed { hosts: config.hosts.clone(), networks: config.networks.clone() };
        Self { guard: Guard::new(allowed), secret: config.secret_bytes(), client: OnceLock::new() }
    }

    fn client(&self) -> Result<&Client, reqwest::Error> {
        match self.client.get() {
            Some(client) => Ok(client),
            None => {
                let client = self.guard.client(PATIENCE)?;
                Ok(self.client.get_or_init(|| client))
            }
        }
    }
}

/// The deliveries of all workflows. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    base: Arc<Foundation>,
}

/// What came of one try.
struct Outcome {
    status: Option<StatusCode>,
    error: Option<String>,
}

impl Webhooks {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// What this process delivers from now on.
    pub fn round(&self) -> Round {
        Round::new(self.clone())
    }

    /// Takes a delivery for a minute; `None` where somebody else has it.
    async fn claim(&self, mut delivery: Delivery, doc: &Doc) -> Result<Option<Delivery>, StoreError> {
        delivery.attempts += 1;
        delivery.due_at = Some(self.base.clock.now() + CLAIMED);
        let claimed = records::put_delivery(&delivery);
        let change = Change::new().expect(doc.key.clone(), Some(doc.revision())).put(claimed);
        Ok(self.base.store.apply(change).await?.is_ok().then_some(delivery))
    }

    /// Tries a delivery that was claimed and writes down what came of it.
    async fn deliver(&self, claimed: Delivery) -> Result<(), StoreError> {
        let outcome = self.post(&claimed).await;
        let mut delivery = claimed.clone();
        settle(&mut delivery, &outcome, self.base.clock.now());
        self.write_down(&claimed, &delivery).await
    }

    async fn post(&self, delivery: &Delivery) -> Outcome {
        let failed = |why: String| Outcome { status: None, error: Some(why) };
        let sender = &self.base.webhooks;
        let Some(secret) = &sender.secret else { return failed("WEBHOOK_SECRET is not set".to_owned()) };
        // What is allowed may have changed since the brief came.
        let url = match sender.guard.address(&delivery.url) {
            Ok(url) => url,
            Err(why) => return failed(why),
        };
        let client = match sender.client() {
            Ok(client) => client,
            Err(error) => return failed(format!("HTTPS cannot be set up: {error}")),
        };
        let body = message::body(delivery);
        let mut request = client.post(url).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in message::headers(delivery, secret, &body, self.base.clock.now()) {
            request = request.header(name, value);
        }
        match request.body(body).send().await {
            Ok(answer) if answer.status().is_success() => {
                Outcome { status: Some(answer.status()), error: None }
            }
            Ok(answer) => {
                let status = answer.status();
                Outcome { status: Some(status), error: Some(format!("the receiver answered {status}")) }
            }
            Err(error) => failed(innermost(&error)),
        }
    }

    /// Writes the outcome into the delivery and, if it still reports the same, into its workflow.
    async fn write_down(&self, before: &Delivery, delivery: &Delivery) -> Result<(), StoreError> {
        let claimed = records::put_delivery(before);
        let revision = crate::store::Revision::of(&claimed.body);
        let ended = Change::new().expect(claimed.key, Some(revision)).put(records::put_delivery(delivery));
        for _ in 0..10 {
            let mut change = ended.clone();
            let key = records::workflow_key(&delivery.workflow_id);
            let found = records::load::<Workflow>(self.base.store.as_ref(), key.clone()).await?;
            if let Some((mut workflow, revision)) = found
                && let Some(callback) = &mut workflow.callback
                && callback.reports == delivery.number
            {
                callback.state = delivery.state;
                callback.attempts = delivery.attempts;
                callback.last_status = delivery.last_status;
                callback.last_error = delivery.last_error.clone();
                change = change.expect(key, Some(revision)).put(records::put_workflow(&workflow));
            }
            if self.base.store.apply(change).await?.is_ok() {
                told(delivery);
                return Ok(());
            }
        }
        // The workflow keeps being changed, or somebody has taken the delivery over: the claim runs out.
        Ok(())
    }
}

/// The problem with an address that a brief names.
pub(super) fn check(sender: &Sender, url: &str) -> Result<(), ServiceError> {
    let problem = if sender.secret.is_none() {
        let why = "This server reports to nobody: WEBHOOK_SECRET is not set. Leave it out";
        FieldProblem::body("callback_url", "not_supported", why)
    } else if url.len() > MAX_URL_BYTES {
        let why = format!("String should have at most {MAX_URL_BYTES} characters");
        FieldProblem::body("callback_url", "string_too_long", why)
    } else {
        match sender.guard.address(url) {
            Ok(_) => return Ok(()),
            Err(why) => FieldProblem::body("callback_url", "url_not_allowed", format!("The address {why}")),
        }
    };
    Err(ServiceError::Invalid(vec![problem]))
}

/// The workflow as it is to be stored, and the delivery that belongs into the same write.
pub(super) fn announce(workflow: &Workflow, now: Timestamp) -> Option<(Workflow, Option<Delivery>)> {
    let callback = workflow.callback.as_ref()?;
    let event = event(workflow);
    let mut workflow = workflow.clone();
    let stored = workflow.callback.as_mut()?;
    let Some(event) = event else {
        stored.holds = false;
        return Some((workflow, None));
    };
    if callback.holds && callback.event == Some(event) {
        return Some((workflow, None));
    }
    *stored = Callback {
        state: DeliveryState::Waiting,
        event: Some(event),
        reports: callback.reports + 1,
        holds: true,
        ..Callback::new(callback.url.clone())
    };
    let number = stored.reports;
    let delivery = Delivery {
        delivery_id: derived_id(&workflow.workflow_id, &format!("delivery/{number}")),
        workflow_id: workflow.workflow_id.clone(),
        url: callback.url.clone(),
        event,
        state: DeliveryState::Waiting,
        number,
        at: now,
        due_at: Some(now),
        attempts: 0,
        last_status: None,
        last_error: None,
    };
    Some((workflow, Some(delivery)))
}

/// Who is asked under an address, for people and for limits: the rest of it may hold a secret. Empty for what is no address.
pub fn host_of(url: &str) -> String {
    reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// What is reported of a workflow as it is.
fn event(workflow: &Workflow) -> Option<WorkflowStatus> {
    let waits = workflow.status == WorkflowStatus::Paused && workflow.waits_for(PauseReason::Approval);
    (workflow.is_over() || waits).then_some(workflow.status)
}

/// What follows from a try.
fn settle(delivery: &mut Delivery, outcome: &Outcome, now: Timestamp) {
    delivery.last_status = outcome.status.map(|status| status.as_u16());
    delivery.last_error = outcome.error.as_ref().map(|why| why.chars().take(MAX_ERROR_CHARS).collect());
    let pause = PAUSES.get(delivery.attempts.saturating_sub(1) as usize);
    (delivery.state, delivery.due_at) = match (&outcome.error, pause) {
        (None, _) => (DeliveryState::Delivered, None),
        (Some(_), _) if outcome.status == Some(StatusCode::GONE) => (DeliveryState::GivenUp, None),
        (Some(_), Some(seconds)) => (DeliveryState::Waiting, Some(now + Duration::from_secs(*seconds))),
        (Some(_), None) => (DeliveryState::GivenUp, None),
    };
}

fn told(delivery: &Delivery) {
    let (id, workflow, attempts) = (&*delivery.delivery_id, &*delivery.workflow_id, delivery.attempts);
    let why = delivery.last_error.as_deref().unwrap_or_default();
    match delivery.state {
        DeliveryState::Delivered => {
            log::info!(delivery_id = id, workflow_id = workflow, attempts = attempts; "a report was delivered");
        }
        DeliveryState::GivenUp => {
            log::warn!(delivery_id = id, workflow_id = workflow, attempts = attempts; "a report was given up: {why}");
        }
        DeliveryState::Waiting | DeliveryState::Idle => {
            log::info!(delivery_id = id, workflow_id = workflow, attempts = attempts;
                "a report was not accepted and is tried again: {why}");
        }
    }
}

/// The cause at the bottom, which says most; without the address, which may hold a secret.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("the receiver did not answer within {} s", PATIENCE.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_for_a_day() {
        assert_eq!(PAUSES.iter().sum::<u64>(), 86_400);
        let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let mut delivery = Delivery {
            delivery_id: "d".to_owned(),
            workflow_id: "w".to_owned(),
            url: "https://example.com".to_owned(),
            event: WorkflowStatus::Completed,
            state: DeliveryState::Waiting,
            number: 1,
            at: now,
            due_at: Some(now),
            attempts: 0,
            last_status: None,
            last_error: None,
        };
        let refused = |status| Outcome { status: Some(status), error: Some("no".to_owned()) };
        for pause in PAUSES {
            delivery.attempts += 1;
            settle(&mut delivery, &refused(StatusCode::BAD_GATEWAY), now);
            assert_eq!(delivery.state, DeliveryState::Waiting);
            assert_eq!(delivery.due_at, Some(now + Duration::from_secs(pause)));
        }
        delivery.attempts += 1;
        settle(&mut delivery, &refused(StatusCode::BAD_GATEWAY), now);
        assert_eq!((delivery.state, delivery.due_at), (DeliveryState::GivenUp, None));
        delivery.attempts = 1;
        settle(&mut delivery, &refused(StatusCode::GONE), now);
        assert_eq!(delivery.state, DeliveryState::GivenUp);
        settle(&mut delivery, &Outcome { status: Some(StatusCode::ACCEPTED), error: None }, now);
        assert_eq!((delivery.state, delivery.last_status), (DeliveryState::Delivered, Some(202)));
    }
}
