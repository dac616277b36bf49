//! The budget of a workflow: set, raised or lifted while it runs or is paused.

use crate::{
    engine::intervene,
    model::{Budget, Job, JobState, PauseReason, StepStatus, Usd, Workflow},
    store::{Change, MAX_BATCH},
};

use super::Workflows;
use crate::service::{
    FieldProblem, ServiceError, dispatch,
    execution::{HOLD, budget as ledger},
    records,
};

/// More tokens than all providers together write in a day.
pub const MAX_TOKENS: u64 = 1_000_000_000_000;
/// In dollars.
pub const MAX_USD: u64 = 1_000_000;

/// How often it is tried again when others change the workflow at the same time.
const TRIES: usize = 50;

/// What is wrong with a budget.
pub(super) fn problem(budget: Option<&Budget>) -> Option<FieldProblem> {
    let budget = budget?;
    let nothing = budget.tokens == Some(0) || budget.usd == Some(Usd::ZERO);
    nothing.then(|| {
        let message = "A budget of 0 lets nothing begin; leave it out for no limit";
        FieldProblem::body("budget", "greater_than", message)
    })
}

impl Workflows {
    /// Sets the budget of a workflow that has not ended; nothing in it lifts it. A workflow that is paused
    /// for its budget goes on at once if there is room now.
    pub async fn set_budget(&self, id: &str, budget: Budget) -> Result<Workflow, ServiceError> {
        if let Some(problem) = problem(Some(&budget)) {
            return Err(ServiceError::Invalid(vec![problem]));
        }
        for _ in 0..TRIES {
            if let Some(workflow) = self.try_set_budget(id, budget).await? {
                log::info!(workflow_id = id; "its budget was set");
                return Ok(workflow);
            }
        }
        Err(ServiceError::Conflict(format!("workflow {id} kept being changed by others; try again")))
    }

    /// One try; `None` when a document changed meanwhile.
    async fn try_set_budget(&self, id: &str, budget: Budget) -> Result<Option<Workflow>, ServiceError> {
        let store = self.base.store.as_ref();
        let found = records::load::<Workflow>(store, records::workflow_key(id)).await?;
        let Some((mut workflow, before)) = found else {
            return Err(ServiceError::NotFound("Workflow not found".to_owned()));
        };
        if workflow.is_over() {
            let status = workflow.status.as_str();
            return Err(ServiceError::Conflict(format!(
                "workflow {id} is {status}; its budget is of no use any more"
            )));
        }
        workflow.budget = Some(budget).filter(|budget| *budget != Budget::default());
        let mut change = Change::new().expect(records::workflow_key(id), Some(before));
        let now = self.base.clock.now();
        let mut effects = intervene::budget_set(&workflow, now);
        let waits_for_it = workflow.waits_for(PauseReason::BudgetExceeded);
        if waits_for_it && self.has_room(&workflow).await? {
            let resumed = intervene::resumed(&mut workflow, "Its budget was raised.", now);
            effects.events.extend(resumed.events);
            effects.enqueue.extend(resumed.enqueue);
            change = self.call_back(change, &workflow).await?;
        }
        change = dispatch::add_effects(change, &workflow, &effects, now);
        Ok(store.apply(change).await?.is_ok().then_some(workflow))
    }

    /// Whether calls may begin under its budget.
    pub(super) async fn has_room(&self, workflow: &Workflow) -> Result<bool, ServiceError> {
        let Some(budget) = workflow.budget else { return Ok(true) };
        let tally = ledger::workflow_tally(&workflow.workflow_id);
        let tally = self.base.store.tallies(&[tally]).await?.pop().unwrap_or_default();
        let used = |field: &str| u64::try_from(tally.get(field).copied().unwrap_or(0)).unwrap_or(0);
        let tokens = budget.tokens.is_none_or(|limit| used(ledger::USED_TOKENS) < limit);
        let usd = budget.usd.is_none_or(|limit| used(ledger::USED_NANOS) < limit.nanos());
        Ok(tokens && usd)
    }

    /// Adds to a change that the jobs of a workflow which wait for a budget, or because it is paused, come at once.
    /// Their entries in the due set come later and find them run.
    pub(super) async fn call_back(
        &self,
        mut change: Change,
        workflow: &Workflow,
    ) -> Result<Change, ServiceError> {
        let waiting = workflow.steps.iter().filter(|step| step.status == StepStatus::Queued);
        let keys: Vec<_> = waiting.map(|step| records::job_key(&step.job_id)).take(MAX_BATCH).collect();
        for doc in self.base.store.get(&keys).await?.into_iter().flatten() {
            let before = doc.revision();
            let job: Job = doc.parse()?;
            let waits =
                job.waits_for.as_deref().is_some_and(|what| what.starts_with("budget:") || what == HOLD);
            if job.state != JobState::Scheduled || !waits {
                continue;
            }
            change = dispatch::call_back(change, job, before);
        }
        Ok(change)
    }
}
