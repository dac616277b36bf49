//! Events: one line each of a workflow's ordered history.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunEventKind {
    WorkflowCreated,
    StepQueued,
    StepStarted,
    StepRetrying,
    /// It waits for its provider, or for a budget; it does not count against it.
    StepPostponed,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepCancelled,
    RevisionRequested,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowCancelled,
    /// A failed workflow goes on: somebody retried what had failed.
    WorkflowReopened,
    /// A budget is used up: the workflow waits for somebody to raise it.
    BudgetExceeded,
    /// Somebody paused it: nothing new begins.
    WorkflowPaused,
    /// Somebody set its budget, or lifted it.
    BudgetSet,
    /// A paused workflow goes on.
    WorkflowResumed,
    /// The work is there; the workflow waits for a person's word.
    ApprovalRequested,
    /// A person approved the work.
    WorkApproved,
    /// A person rejected the work, or sent it back.
    WorkRejected,
    /// Another workflow was made that goes on from one of its steps.
    WorkflowForked,
    /// It was deleted, with all that belonged to it.
    WorkflowDeleted,
}

/// One event of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunEvent {
    pub kind: RunEventKind,
    pub workflow_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// One sentence for a person.
    pub message: String,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
