//! Plain types of the product: serde and chrono only, no I/O.
//!
//! A type that a legacy client or program reads keeps its legacy fields first and in order.

mod agent;
mod audit;
mod budget;
mod call;
mod dead_job;
mod delivery;
mod event;
mod failure;
mod id;
mod job;
mod key;
mod one_or_many;
mod partial;
mod price;
mod result;
mod step;
mod template;
mod time;
mod tool;
mod upload;
mod usd;
mod verdict;
mod worker;
mod workflow;

pub use agent::{Agent, AgentBudget, DEFAULT_MODEL, MAX_CONCURRENCY, NewAgent, default_agents};
pub use audit::{AuditEntry, AuditOutcome};
pub use budget::{Budget, Spending};
pub use call::{Call, CallPurpose, ChatMessage, MessageRole, ToolCall, ToolOutput, Usage};
pub use dead_job::{DeadJob, DeadReason};
pub use delivery::{Callback, Delivery, DeliveryState};
pub use event::{RunEvent, RunEventKind};
pub use failure::FailureClass;
pub use id::{MAX_ID_CHARS, derived_id, is_valid_id, new_id};
pub use job::{Attempt, AttemptOutcome, Job, JobMode, JobPayload, JobState, Priority, Replay};
pub use key::{Key, KeyState, Scope};
pub use partial::PartialAnswer;
pub use price::Price;
pub use result::{JobResult, ResultStatus};
pub use step::{Decision, DecisionOutcome, Step, StepName, StepStatus};
pub use template::{StepTemplate, Template, TemplateRole};
pub use time::{Timestamp, iso, iso_option};
pub use tool::{ToolSpec, canonical_json, parse_arguments};
pub use upload::{Upload, safe_filename};
pub use usd::Usd;
pub use verdict::{Finding, Verdict, VerdictKind};
pub use worker::WorkerInfo;
pub use workflow::{
    DEFAULT_MAX_REVISIONS, Deletion, Fork, MAX_REVISIONS, MAX_SPECIALISTS, Pause, PauseReason, ReviewOutcome,
    Workflow, WorkflowStatus,
};
