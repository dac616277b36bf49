//! What a decision asks to be done beside storing the workflow.

use crate::model::{RunEvent, RunEventKind, Step, Timestamp, Workflow};

/// Jobs to put into their queues and events to append, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Ids of jobs whose steps have just become `queued`.
    pub enqueue: Vec<String>,
    pub events: Vec<RunEvent>,
}

impl Effects {
    /// An event of the whole workflow.
    pub(super) fn tell(
        &mut self,
        kind: RunEventKind,
        workflow_id: &str,
        message: impl Into<String>,
        at: Timestamp,
    ) {
        self.events.push(RunEvent {
            kind,
            workflow_id: workflow_id.to_owned(),
            job_id: None,
            step: None,
            round: None,
            message: message.into(),
            at,
        });
    }

    /// An event of one step.
    pub(super) fn tell_step(
        &mut self,
        kind: RunEventKind,
        workflow_id: &str,
        step: &Step,
        message: impl Into<String>,
        at: Timestamp,
    ) {
        self.events.push(RunEvent {
            kind,
            workflow_id: workflow_id.to_owned(),
            job_id: Some(step.job_id.clone()),
            step: Some(step.step.clone()),
            round: Some(step.round),
            message: message.into(),
            at,
        });
    }

    /// The workflow as it now is, with what has to follow.
    pub fn with(self, workflow: Workflow) -> (Workflow, Effects) {
        (workflow, self)
    }
}
