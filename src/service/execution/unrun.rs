//! Deliveries that end without a run: nothing to do, not readable, too early, too dangerous.

use base64::Engine as _;

use crate::{
    engine::advance,
    model::{
        AttemptOutcome, DeadJob, DeadReason, Job, JobPayload, JobState, ResultStatus, Timestamp, derived_id,
        new_id,
    },
    store::{
        CRASHES_BEFORE_POISON, Change, Delivery, Enqueue, LeaseEnd, MAX_PAYLOAD_BYTES, Refusal, Revision,
    },
    telemetry::counters,
};

use super::{Admission, Execution, Running, fail::Loss, journal, payload};
use crate::service::{ServiceError, dispatch, records};

/// How long a delivery that came too early waits until it comes again.
const COME_AGAIN_MS: i64 = 2_000;

impl Execution {
    /// Ends the lease: there is nothing to do.
    pub(super) async fn settle(&self, delivery: &Delivery, why: &str) -> Result<Admission, ServiceError> {
        let change = Change::new().under(delivery.token, LeaseEnd::Finish);
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Admission::Settled(why.to_owned()),
            Err(_) => Admission::LeaseLost,
        })
    }

    /// Ends the lease: the job was cancelled, and its document is gone by now.
    pub(super) async fn settle_cancelled(
        &self,
        delivery: &Delivery,
        job_id: &str,
    ) -> Result<Admission, ServiceError> {
        let change =
            Change::new().under(delivery.token, LeaseEnd::Finish).delete(records::tombstone_key(job_id));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Admission::Settled("it was cancelled".to_owned()),
            Err(_) => Admission::LeaseLost,
        })
    }

    /// Queues the payload again with an id in it: a job without a name could not be told from its
    /// own second delivery.
    pub(super) async fn name(&self, delivery: &Delivery) -> Result<Admission, ServiceError> {
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&delivery.payload).unwrap_or_default();
        let id = new_id();
        object.insert("job_id".to_owned(), id.clone().into());
        let payload = serde_json::to_vec(&object).expect("a JSON object is serialisable");
        let change = Change::new().under(delivery.token, LeaseEnd::Finish).enqueue(Enqueue {
            queue: delivery.queue,
            payload,
            due_at: None,
        });
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Admission::Settled(format!("it came without an id and is now {id}")),
            Err(_) => Admission::LeaseLost,
        })
    }

    /// Puts the payload back for a moment. The job's document, if one is given, is written with it.
    pub(super) async fn come_again(
        &self,
        delivery: &Delivery,
        waiting: Option<(&Job, Option<Revision>)>,
        why: &str,
    ) -> Result<Option<Admission>, ServiceError> {
        let due_at = self.base.store.now().await? + COME_AGAIN_MS;
        let mut change = Change::new().under(delivery.token, LeaseEnd::Finish).enqueue(Enqueue {
            queue: delivery.queue,
            payload: delivery.payload.clone(),
            due_at: Some(due_at),
        });
        if let Some((job, before)) = waiting {
            if before.is_none() {
                // The journal of an earlier job of this id is not this one's.
                change = change.delete(records::call_key(&job.job_id, journal::FIRST));
            }
            change = change.expect(records::job_key(&job.job_id), before).put(records::put_job(job));
        }
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Some(Admission::Settled(format!("{why}; it comes again"))),
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. }) => None,
        })
    }

    /// Puts a payload that is no job into the dead set. Where it names a job, somebody may wait for
    /// that one's result: it says why there is none.
    pub(super) async fn bury_named(
        &self,
        delivery: &Delivery,
        job_id: Option<&str>,
        why: String,
    ) -> Result<Admission, ServiceError> {
        let Some(job_id) = job_id else { return self.bury(delivery, DeadReason::Unreadable, why).await };
        let now = self.base.clock.now();
        let mut job = payload::foreign_job(&JobPayload::default(), job_id, delivery.queue, now);
        job.end(JobState::Failed, Some(why.clone()), now);
        let agent = self.agents.persona(&job.agent).await?;
        let (token, job_revision) = (delivery.token, Revision::of(b""));
        let running = Running { token, job, ready_since: now, job_revision, workflow: None, agent };
        let mut result = self.result_of(&running, ResultStatus::Failed, why.clone(), now);
        result.error = Some(why.clone());
        let change = Change::new().expect(records::job_key(job_id), None).put(records::put_job(&running.job));
        let change = self.base.add_result(change, &mut result, now);
        match self.bury_with(change, delivery, Some(job_id), DeadReason::Unreadable, &why).await? {
            Some(admission) => {
                counters::FINISHED.of(ResultStatus::Failed.as_str()).add(1);
                Ok(admission)
            }
            // The id belongs to another job; that one keeps its result.
            None => self.bury(delivery, DeadReason::Unreadable, why).await,
        }
    }

    /// Puts a payload that cannot be run into the dead set, with its raw bytes.
    pub(super) async fn bury(
        &self,
        delivery: &Delivery,
        reason: DeadReason,
        why: String,
    ) -> Result<Admission, ServiceError> {
        let buried = self.bury_with(Change::new(), delivery, None, reason, &why).await?;
        Ok(buried.unwrap_or(Admission::LeaseLost))
    }

    /// The same with what else is to be written; `None` when that is not as expected.
    async fn bury_with(
        &self,
        change: Change,
        delivery: &Delivery,
        job_id: Option<&str>,
        reason: DeadReason,
        why: &str,
    ) -> Result<Option<Admission>, ServiceError> {
        let now = self.base.clock.now();
        // What is larger than any payload of ours is kept in part: the document has a limit, too.
        let kept = &delivery.payload[..delivery.payload.len().min(MAX_PAYLOAD_BYTES)];
        let text = std::str::from_utf8(kept).ok().map(str::to_owned);
        let dead = DeadJob {
            job_id: job_id.map_or_else(
                || derived_id("unreadable", &format!("{}/{now}", delivery.token)),
                str::to_owned,
            ),
            reason,
            error: why.to_owned(),
            queue: delivery.queue.name().to_owned(),
            payload_base64: text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(kept)),
            payload_text: text,
            job: None,
            died_at: now,
        };
        let change = change.under(delivery.token, LeaseEnd::Finish).put(records::put_dead_job(&dead));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => {
                log::error!(job_id = dead.job_id.as_str(), queue = delivery.queue.name(), error = why;
                    "a payload cannot be run and is kept in the dead set");
                Some(Admission::Settled(format!("it cannot be run: {why}")))
            }
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. }) => None,
        })
    }

    /// A job that ends as failed before it was run this time. `None`: something changed meanwhile.
    pub(super) async fn fail_unrun(
        &self,
        running: &Running,
        job_before: Option<Revision>,
        workflow_before: Option<Revision>,
        loss: Loss,
        now: Timestamp,
    ) -> Result<Option<Admission>, ServiceError> {
        let workflow = running.workflow.clone().zip(workflow_before);
        Ok(match self.end_failed(running, job_before, workflow, &loss, now).await? {
            Ok(_) => Some(Admission::Settled(loss.error)),
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. }) => None,
        })
    }

    /// A job whose workflow has ended before it gets the result `cancelled`.
    pub(super) async fn cancel_unrun(
        &self,
        running: Running,
        job_before: Option<Revision>,
        workflow_before: Option<Revision>,
        now: Timestamp,
    ) -> Result<Option<Admission>, ServiceError> {
        let why = "The workflow ended before this step.";
        let mut job = running.job.clone();
        job.end(JobState::Cancelled, Some(why.to_owned()), now);
        let mut result = self.result_of(&running, ResultStatus::Cancelled, why.to_owned(), now);
        result.error = Some(why.to_owned());
        let mut change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(records::job_key(&job.job_id), job_before)
            .put(records::put_job(&job));
        change = self.base.add_result(change, &mut result, now);
        change = self.give_back(change, &job.job_id).await?;
        if let (Some(mut workflow), Some(before)) = (running.workflow, workflow_before) {
            let effects = advance::skipped(&mut workflow, &job.job_id, why, now);
            change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
            change = dispatch::add_effects(change, &workflow, &effects, now);
        }
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => {
                counters::FINISHED.of(ResultStatus::Cancelled.as_str()).add(1);
                Some(Admission::Settled(why.to_owned()))
            }
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. }) => None,
        })
    }

    /// What a payload that brought down its workers too often failed of.
    pub(super) fn poison(crashes: u32) -> Loss {
        Loss {
            error: format!(
                "its lease ran out {crashes} times (limit {CRASHES_BEFORE_POISON}): the workers that ran it died or froze"
            ),
            reason: DeadReason::Poison,
            outcome: AttemptOutcome::Crashed,
            class: None,
        }
    }
}
