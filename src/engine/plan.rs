//! From a template and a brief to a workflow whose first steps are queued.

use serde_json::{Map, Value};

use crate::model::{
    Budget, Priority, RunEventKind, Step, StepStatus, Template, TemplateRole, Timestamp, Usage, Workflow,
    WorkflowStatus, derived_id, iso,
};

use super::{Effects, approval};

/// What a workflow is made of.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    pub workflow_id: String,
    pub template: &'a Template,
    pub brief: String,
    /// Who does the work, side by side; at least one.
    pub specialists: Vec<String>,
    pub with_qa: bool,
    pub max_revisions: u32,
    pub priority: Priority,
    pub metadata: Option<Map<String, Value>>,
    /// Not before this time; `None`: at once.
    pub run_at: Option<Timestamp>,
    pub step_timeout_seconds: Option<u32>,
    pub budget: Option<Budget>,
    /// Whether a person has to approve the work.
    pub approval: bool,
    pub api_key: Option<String>,
    /// The upload whose files all agents may read.
    pub upload_id: Option<String>,
}

/// The job id of a step: fixed by the workflow and the step's place in it, so that a step which is
/// added twice is added once.
pub(super) fn job_id(workflow_id: &str, step: &str, round: u32, place: usize) -> String {
    derived_id(workflow_id, &format!("{step}/{round}/{place}"))
}

/// Makes the workflow.
pub fn create(plan: Plan<'_>, now: Timestamp) -> (Workflow, Effects) {
    let mut steps: Vec<Step> = Vec::new();
    for template in plan.template.steps.iter().filter(|s| plan.with_qa || !s.only_with_qa) {
        let depends_on: Vec<String> = steps
            .iter()
            .filter(|s| template.depends_on.contains(&s.step))
            .map(|s| s.job_id.clone())
            .collect();
        let agents = match template.role {
            TemplateRole::Specialist if template.agent.is_none() => plan.specialists.clone(),
            _ => vec![template.agent.clone().unwrap_or_else(|| plan.specialists[0].clone())],
        };
        for (place, agent) in agents.into_iter().enumerate() {
            steps.push(new_step(
                &plan.workflow_id,
                &template.step,
                template.role,
                &agent,
                1,
                place,
                depends_on.clone(),
            ));
        }
    }
    if plan.approval {
        approval::add_gate(&mut steps, &plan.workflow_id);
    }
    let mut workflow = Workflow {
        workflow_id: plan.workflow_id,
        original_task: plan.brief,
        steps,
        status: WorkflowStatus::Running,
        qa_enabled: plan.with_qa,
        created_at: now,
        completed_at: None,
        template: plan.template.name.clone(),
        priority: plan.priority,
        max_revisions: plan.max_revisions,
        review: None,
        error: None,
        simulated: false,
        usage: Usage::default(),
        cost_usd: None,
        unpriced_calls: 0,
        budget: plan.budget,
        pause: None,
        approval: plan.approval,
        forked_from: None,
        forks: Vec::new(),
        deleting: None,
        api_key: plan.api_key,
        upload_id: plan.upload_id,
        report_job_id: None,
        run_at: plan.run_at,
        step_timeout_seconds: plan.step_timeout_seconds,
        callback: None,
        request_digest: None,
        request_id: None,
        traceparent: None,
        metadata: plan.metadata,
    };
    let mut effects = Effects::default();
    effects.tell(
        RunEventKind::WorkflowCreated,
        &workflow.workflow_id,
        format!("The brief was accepted; {} steps are planned.", workflow.steps.len()),
        now,
    );
    super::advance::queue_ready(&mut workflow, &mut effects, now);
    if let Some(run_at) = workflow.run_at {
        for step in workflow.steps.iter_mut().filter(|s| s.status == StepStatus::Queued) {
            step.reason = Some(format!("Begins at {}, as asked for.", iso::format(&run_at)));
        }
    }
    effects.with(workflow)
}

/// A step that waits for its inputs.
pub(super) fn new_step(
    workflow_id: &str,
    name: &str,
    role: TemplateRole,
    agent: &str,
    round: u32,
    place: usize,
    depends_on: Vec<String>,
) -> Step {
    Step {
        step: name.to_owned(),
        agent: agent.to_owned(),
        job_id: job_id(workflow_id, name, round, place),
        status: StepStatus::Waiting,
        depends_on,
        output: None,
        execution_time: None,
        confidence_score: None,
        round,
        role,
        reason: None,
        verdict: None,
        model: None,
        usage: None,
        cost_usd: None,
        unpriced_calls: 0,
        calls: 1,
        truncated: false,
        attempts: 0,
        from_workflow: None,
        edited: false,
        decision: None,
        output_digest: None,
        queued_at: None,
        started_at: None,
        completed_at: None,
    }
}
