//! The end of an attempt that has its answer: one result, and what follows from it.

use crate::{
    engine::{
        advance::{self, StepOutput},
        verdict::parse_verdict,
    },
    model::{
        AttemptOutcome, JobResult, JobState, ResultStatus, StepStatus, TemplateRole, Timestamp, Verdict,
        Workflow,
    },
    store::{Change, DocKey, LeaseEnd, Refusal},
    telemetry::counters,
};

use super::{Answer, Ending, Execution, Running, TRIES};
use crate::service::{ServiceError, analytics, dispatch, records};

impl Execution {
    /// The job has its answer: writes the one result, moves the workflow on, queues what follows
    /// and ends the lease, all in one step.
    pub async fn complete(&self, running: &Running, answer: &Answer) -> Result<Ending, ServiceError> {
        let is_review = running
            .workflow
            .as_ref()
            .and_then(|w| w.step(&running.job.job_id))
            .is_some_and(|s| s.role == TemplateRole::Qa);
        let verdict = is_review.then(|| parse_verdict(&answer.call.answer));
        let mut there_already: Vec<String> = Vec::new();
        for _ in 0..TRIES {
            let now = self.base.clock.now();
            let mut job = running.job.clone();
            job.close_attempt(AttemptOutcome::Completed, None, now);
            // Why an earlier attempt failed stays with that attempt.
            job.end(JobState::Completed, None, now);
            let mut result = self.result_of(running, ResultStatus::Completed, answer.text().to_owned(), now);
            result.confidence_score = None;
            result.verdict = verdict.clone();
            result.simulated = answer.call.simulated;
            result.provider = Some(answer.call.provider.clone());
            result.model = Some(answer.call.model.clone());
            result.usage = Some(answer.spending.usage);
            result.cost_usd = answer.spending.known_cost();
            result.truncated = answer.is_truncated();
            let mut change = self.ending(running, &mut result, now).put(records::put_job(&job));
            if let Some(analysed) = &answer.analysed {
                change = change.put(records::put_analysis(&analysed.0, analysed.0.kept_for(now)));
            }
            let mut queued_agents = Vec::new();
            if let Some((mut workflow, before)) = self.workflow_of(running).await? {
                if workflow.step(&job.job_id).is_some() {
                    change = change.put(records::put_output(&answer.call));
                }
                let output = StepOutput {
                    text: answer.call.answer.clone(),
                    digest: answer.digest.clone(),
                    verdict: verdict.clone(),
                    model: answer.call.model.clone(),
                    truncated: answer.is_truncated(),
                    spending: answer.spending,
                    simulated: answer.call.simulated,
                    execution_time: result.execution_time,
                    attempts: job.attempts.len() as u32,
                };
                let (planned, review) = (workflow.steps.len(), workflow.review);
                let mut effects = advance::completed(&mut workflow, &job.job_id, output, now);
                effects.enqueue.retain(|follow_up| !there_already.contains(follow_up));
                if workflow.steps.len() > planned {
                    let added = workflow.steps.iter().filter(|s| s.status != StepStatus::Completed);
                    queued_agents = added
                        .filter(|s| matches!(s.role, TemplateRole::Specialist | TemplateRole::Qa))
                        .map(|s| s.agent.clone())
                        .collect();
                }
                if let Some(verdict) = &verdict {
                    change = self.score_work(change, running, &workflow, verdict, now).await?;
                }
                change = analytics::count_review(change, review, &workflow, now);
                change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
                change = dispatch::add_effects(change, &workflow, &effects, now);
            }
            match self.base.store.apply(change).await? {
                Ok(_) => {
                    counters::FINISHED.of(ResultStatus::Completed.as_str()).add(1);
                    self.agents.assigned(&queued_agents).await;
                    return Ok(Ending::Done);
                }
                Err(refusal) => {
                    if let Some(ending) = self.refused(running, &refusal).await? {
                        return Ok(ending);
                    }
                    // A follow-up that a foreign program queued before its time has its job already.
                    if let Refusal::Changed(DocKey { kind: records::JOB, id }) = refusal {
                        there_already.push(id);
                    }
                }
            }
        }
        Err(self.busy(&running.job.job_id))
    }

    /// What a refused end means for the attempt; `None`: decide again from what is stored now.
    pub(super) async fn refused(
        &self,
        running: &Running,
        refusal: &Refusal,
    ) -> Result<Option<Ending>, ServiceError> {
        let job_id = &running.job.job_id;
        Ok(match refusal {
            Refusal::LeaseLost => Some(Ending::LeaseLost),
            // Only whoever runs the job writes its document: that is somebody else now.
            Refusal::Changed(key) if *key == records::job_key(job_id) => Some(Ending::LeaseLost),
            Refusal::Changed(key) if *key == records::result_key(job_id) => {
                Some(self.superseded(running).await?)
            }
            Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. } => None,
        })
    }

    /// Somebody who holds no lease (a legacy worker beside us) has written the result. It stays.
    async fn superseded(&self, running: &Running) -> Result<Ending, ServiceError> {
        log::warn!(job_id = running.job.job_id.as_str(); "somebody else wrote the result already; that one stays");
        let mut job = running.job.clone();
        let now = self.base.clock.now();
        job.close_attempt(AttemptOutcome::Completed, Some("another result was there first".to_owned()), now);
        job.end(JobState::Completed, None, now);
        // Expects the job's document as this attempt left it: one that was cancelled stays cancelled.
        let change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(records::job_key(&job.job_id), Some(running.job_revision.clone()))
            .put(records::put_job(&job));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Ending::Done,
            Err(_) => Ending::LeaseLost,
        })
    }

    /// The last write of a job: under its lease, on its own document, with its only result.
    fn ending(&self, running: &Running, result: &mut JobResult, now: Timestamp) -> Change {
        let change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(records::job_key(&running.job.job_id), Some(running.job_revision.clone()));
        self.base.add_result(change, result, now)
    }

    /// Writes QA's score onto the results of the work it judged, where they are still kept.
    async fn score_work(
        &self,
        mut change: Change,
        running: &Running,
        workflow: &Workflow,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<Change, ServiceError> {
        let round = running.job.round.unwrap_or(1);
        let judged = workflow.steps.iter().filter(|s| s.role == TemplateRole::Specialist && s.round == round);
        // The results of another workflow are that one's.
        for step in judged.filter(|s| s.from_workflow.is_none()) {
            let key = records::result_key(&step.job_id);
            let Some((mut result, before)) =
                records::load::<JobResult>(self.base.store.as_ref(), key.clone()).await?
            else {
                continue;
            };
            let left = match (result.pinned, result.expires_at) {
                (true, _) => Some(self.base.result_ttl),
                (false, end) => end.and_then(|end| (end - now).to_std().ok()),
            };
            let Some(left) = left else { continue };
            result.confidence_score = verdict.score;
            result.reviewed_by = Some(running.agent.name.clone());
            change = change.expect(key, Some(before)).put(records::put_result(&mut result, left, now));
        }
        Ok(change)
    }
}
