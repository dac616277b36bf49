//! What people do to a workflow that has not ended: pause, resume, cancel, approve or reject. And to one that has
//! failed: retry.

use crate::{
    engine::{Effects, approval, intervene},
    model::{
        DecisionOutcome, Job, PauseReason, ResultStatus, StepStatus, TemplateRole, Workflow, WorkflowStatus,
    },
    store::{Change, Refusal},
    telemetry::counters,
};

use super::{Workflows, refuse_deleting};
use crate::service::{ServiceError, dispatch, execution::budget, jobs, records};

/// How often it is tried again when others change the workflow at the same time.
const TRIES: usize = 50;
/// The longest comment of a person, in characters.
pub const MAX_COMMENT_CHARS: usize = 10_000;

/// What is wanted of a workflow.
enum Order<'a> {
    Pause(Option<&'a str>),
    Resume,
    Cancel(&'a str),
    Decide(DecisionOutcome, Option<&'a str>),
}

impl Workflows {
    /// Pauses a workflow: what runs goes on to the end of its step, nothing new begins. Pausing twice is as good
    /// as once.
    pub async fn pause(&self, id: &str, reason: Option<&str>) -> Result<Workflow, ServiceError> {
        let reason = match reason {
            Some(_) => Some(jobs::checked_reason(reason)?).filter(|_| !is_blank(reason)),
            None => None,
        };
        self.order(id, &Order::Pause(reason)).await
    }

    /// Lets a paused workflow go on.
    pub async fn resume(&self, id: &str) -> Result<Workflow, ServiceError> {
        self.order(id, &Order::Resume).await
    }

    /// Cancels a workflow with all its open steps in one write; see [`Jobs::cancel`](crate::service::Jobs::cancel).
    /// Cancelling twice is as good as once.
    pub async fn cancel(&self, id: &str, reason: Option<&str>) -> Result<Workflow, ServiceError> {
        self.order(id, &Order::Cancel(jobs::checked_reason(reason)?)).await
    }

    /// Takes a person's word about work that waits for it.
    pub async fn decide(
        &self,
        id: &str,
        outcome: DecisionOutcome,
        comment: Option<&str>,
    ) -> Result<Workflow, ServiceError> {
        if comment.is_some_and(|comment| comment.chars().count() > MAX_COMMENT_CHARS) {
            let message = format!("String should have at most {MAX_COMMENT_CHARS} characters");
            return Err(ServiceError::field("comment", "string_too_long", message));
        }
        let comment = comment.map(str::trim).filter(|comment| !comment.is_empty());
        if outcome == DecisionOutcome::SentBack && comment.is_none() {
            let message = "Say what is to be done differently, so that the next round can do it";
            return Err(ServiceError::field("comment", "missing", message));
        }
        self.order(id, &Order::Decide(outcome, comment)).await
    }

    /// Lets a failed workflow go on: all steps that failed are tried again.
    pub async fn retry(&self, id: &str) -> Result<Workflow, ServiceError> {
        let workflow = self.get(id).await?;
        refuse_deleting(&workflow)?;
        if workflow.status != WorkflowStatus::Failed {
            return Err(wrong_state(&workflow, "only failed workflows are retried"));
        }
        let failed = |s: &&crate::model::Step| s.status == StepStatus::Failed;
        match workflow.steps.iter().filter(failed).find(|s| s.role != TemplateRole::Approval) {
            Some(step) => {
                self.jobs.retry(&step.job_id, None).await?;
                self.get(id).await
            }
            None => self.ask_again(id).await,
        }
    }

    /// Reopens a workflow that a person has rejected: the person is asked again.
    async fn ask_again(&self, id: &str) -> Result<Workflow, ServiceError> {
        for _ in 0..TRIES {
            let (mut workflow, before) = self.found(id).await?;
            refuse_deleting(&workflow)?;
            if workflow.status != WorkflowStatus::Failed {
                return Err(wrong_state(&workflow, "only failed workflows are retried"));
            }
            let now = self.base.clock.now();
            let effects = intervene::reopened(&mut workflow, |_| false, now);
            let change = Change::new().expect(records::workflow_key(id), Some(before));
            let change = dispatch::add_effects(change, &workflow, &effects, now);
            if self.base.store.apply(change).await?.is_ok() {
                return Ok(workflow);
            }
        }
        Err(busy(id))
    }

    async fn order(&self, id: &str, order: &Order<'_>) -> Result<Workflow, ServiceError> {
        for _ in 0..TRIES {
            if let Some(workflow) = self.try_order(id, order).await? {
                return Ok(workflow);
            }
        }
        Err(busy(id))
    }

    /// One try; `None` when a document changed meanwhile.
    async fn try_order(&self, id: &str, order: &Order<'_>) -> Result<Option<Workflow>, ServiceError> {
        let (mut workflow, before) = self.found(id).await?;
        let now = self.base.clock.now();
        let effects = match order {
            Order::Pause(why) => {
                if intervene::is_held(&workflow) {
                    return Ok(Some(workflow));
                }
                if workflow.status != WorkflowStatus::Running {
                    return Err(wrong_state(&workflow, "only running workflows are paused"));
                }
                intervene::held(&mut workflow, *why, now)
            }
            Order::Resume => self.resumed(&mut workflow).await?,
            Order::Cancel(reason) => match workflow.status {
                WorkflowStatus::Cancelled => return Ok(Some(workflow)),
                _ if workflow.is_over() => {
                    return Err(wrong_state(&workflow, "there is nothing to cancel"));
                }
                _ => intervene::cancelled_whole(&mut workflow, reason, now),
            },
            Order::Decide(outcome, comment) => {
                let decided = approval::decided(&mut workflow, *outcome, *comment, now);
                decided.map_err(|refused| match refused {
                    approval::Refused::NothingWaits => {
                        wrong_state(&workflow, "nothing in it waits for approval now")
                    }
                    approval::Refused::TooManyRounds => ServiceError::Conflict(format!(
                        "workflow {id} has had {} rounds, which is the most; approve or reject it",
                        approval::MOST_ROUNDS
                    )),
                })?
            }
        };
        let mut change = Change::new().expect(records::workflow_key(id), Some(before));
        change = dispatch::add_effects(change, &workflow, &effects, now);
        if matches!(order, Order::Resume) {
            change = self.call_back(change, &workflow).await?;
        }
        if let Order::Cancel(reason) = order {
            change = self.end_jobs(change, &workflow, reason).await?;
        }
        let number = records::results_in(&change);
        match self.base.store.apply(change).await? {
            Ok(_) => {
                counters::FINISHED.of(ResultStatus::Cancelled.as_str()).add(number);
                let status = workflow.status.as_str();
                log::info!(workflow_id = id, status = status; "{}", order.told());
                Ok(Some(workflow))
            }
            // A job got its result at this moment: decide again.
            Err(
                Refusal::Changed(_) | Refusal::LeaseLost | Refusal::Limited(_) | Refusal::Exceeded { .. },
            ) => Ok(None),
        }
    }

    async fn resumed(&self, workflow: &mut Workflow) -> Result<Effects, ServiceError> {
        let now = self.base.clock.now();
        let Some(pause) = &workflow.pause else {
            return Err(wrong_state(workflow, "only paused workflows are resumed"));
        };
        if pause.reason == PauseReason::Approval {
            return Err(wrong_state(
                workflow,
                "it waits for a person's word: approve, send back or reject it",
            ));
        }
        if pause.reason == PauseReason::BudgetExceeded && !self.has_room(workflow).await? {
            return Err(wrong_state(workflow, "its budget is used up: raise it, and it goes on"));
        }
        Ok(intervene::resumed(workflow, "Somebody resumed it.", now))
    }

    /// Adds the ends of all jobs of a workflow that have not ended.
    async fn end_jobs(
        &self,
        mut change: Change,
        workflow: &Workflow,
        reason: &str,
    ) -> Result<Change, ServiceError> {
        let now = self.base.clock.now();
        let why = format!("The workflow was cancelled: {reason}");
        let own = workflow.steps.iter().filter(|s| s.from_workflow.is_none());
        for (job, before) in self.jobs.documents(own.map(|s| s.job_id.as_str())).await? {
            if job.state.is_terminal() {
                continue;
            }
            let ended: Job;
            (change, ended) = self.jobs.ended(change, job, before, &why, now);
            change = budget::give_back(self.base.store.as_ref(), change, &ended.job_id).await?;
        }
        Ok(change)
    }
}

impl Order<'_> {
    fn told(&self) -> &'static str {
        match self {
            Self::Pause(_) => "a workflow was paused",
            Self::Resume => "a workflow was resumed",
            Self::Cancel(_) => "a workflow was cancelled",
            Self::Decide(DecisionOutcome::Approved, _) => "a person approved the work",
            Self::Decide(DecisionOutcome::SentBack, _) => "a person sent the work back",
            Self::Decide(DecisionOutcome::Rejected, _) => "a person rejected the work",
        }
    }
}

fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

pub(super) fn wrong_state(workflow: &Workflow, why: &str) -> ServiceError {
    let (id, status) = (&workflow.workflow_id, workflow.status.as_str());
    ServiceError::Conflict(format!("workflow {id} is {status}; {why}"))
}

pub(super) fn busy(id: &str) -> ServiceError {
    ServiceError::Conflict(format!("workflow {id} kept being changed by others; try again"))
}
