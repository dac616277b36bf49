//! Templates: the shape of a workflow as data.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StepName;

/// The part a step plays in a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TemplateRole {
    /// Understands the brief and plans the work.
    Admin,
    /// Does the work; one or several, in parallel.
    Specialist,
    /// Reviews the work and answers a verdict.
    Qa,
    /// Writes the closing report.
    Feedback,
    /// A gate: a person approves the work, or does not.
    Approval,
}

/// One step of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepTemplate {
    pub step: StepName,
    pub role: TemplateRole,
    /// The agent that runs it; null: chosen for the brief.
    #[serde(default)]
    pub agent: Option<String>,
    /// The steps whose outputs it needs.
    #[serde(default)]
    pub depends_on: Vec<StepName>,
    /// Whether the step exists only in workflows that ask for QA.
    #[serde(default)]
    pub only_with_qa: bool,
    /// How many seconds one attempt may take, 1 to 86,400; null: `JOB_TIMEOUT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// What the agent is told to do with its inputs.
    pub instructions: String,
}

/// A workflow shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    pub name: String,
    pub description: String,
    pub steps: Vec<StepTemplate>,
}

impl Template {
    /// The step of a name, if the template has it.
    pub fn step(&self, name: &StepName) -> Option<&StepTemplate> {
        self.steps.iter().find(|s| &s.step == name)
    }
}
