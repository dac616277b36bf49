//! Agents: named personas with a role, skills, a model and an optional prompt of their own.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, Usd, iso, iso_option};

/// The model that an agent gets when none is named. It stands for "the configured default model".
pub const DEFAULT_MODEL: &str = "gpt-4o-mini";

/// What a client sends to register an agent.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(example = json!({"name": "api_designer", "role": "Design", "description": "Designs HTTP interfaces",
    "skills": ["openapi", "versioning"], "model": "gpt-4o-mini"}))]
pub struct NewAgent {
    /// Unique; registering an existing name replaces that agent. 1 to 100 characters, no `/` and no control characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^(?!(\.|\.\.|ping)$)(?!\s)[^/\x00-\x1f\x7f-\x9f]+(?<!\s)$"
    )]
    pub name: String,
    /// What it does in a word: `Assistant`, `Analyze`, `QA`, `Debug`, `Research`, …
    #[schema(max_length = 100)]
    pub role: String,
    #[serde(default)]
    #[schema(max_length = 20_000)]
    pub description: Option<String>,
    #[serde(default)]
    #[schema(max_items = 100)]
    pub skills: Vec<String>,
    /// The model to ask; `gpt-4o-mini` stands for the configured default model.
    #[serde(default = "default_model")]
    #[schema(max_length = 200)]
    pub model: String,
    /// A system prompt of its own, put before the one that is made from role, description and skills.
    #[serde(default)]
    #[schema(max_length = 20_000)]
    pub prompt: Option<String>,
    /// How many of its jobs may run at once, over all workers, 1 to 1,000; as many as there are slots
    /// when not given.
    #[serde(default)]
    pub max_concurrency: Option<u32>,
    /// Models to ask, in this order, where the first one cannot answer; at most 5, as `provider/model` or
    /// `model`.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub fallback_models: Vec<String>,
    /// The tools that it may use, at most 16: `calculator`, `current_time`, `earlier_results`, all of a
    /// configured MCP server (`mcp:server`) or one of its tools (`mcp:server/tool`).
    #[serde(default)]
    #[schema(max_items = 16)]
    pub tools: Vec<String>,
    /// What its jobs may use in a day, UTC; without a limit when not given.
    #[serde(default)]
    pub budget: Option<AgentBudget>,
}

/// The most that `max_concurrency` may be.
pub const MAX_CONCURRENCY: u32 = 1_000;

/// What the jobs of an agent may use in a day. At least one of the two is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentBudget {
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_day: Option<Usd>,
    /// Tokens of prompts and answers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_u64)]
    pub tokens_per_day: Option<u64>,
}

impl Default for NewAgent {
    fn default() -> Self {
        Self {
            name: String::new(),
            role: String::new(),
            description: None,
            skills: Vec::new(),
            model: default_model(),
            prompt: None,
            max_concurrency: None,
            fallback_models: Vec::new(),
            tools: Vec::new(),
            budget: None,
        }
    }
}

fn default_model() -> String {
    DEFAULT_MODEL.to_owned()
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    pub name: String,
    pub role: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub skills: Vec<String>,
    #[serde(default = "default_model")]
    pub model: String,
    /// How many jobs it was given so far.
    #[serde(default)]
    pub task_count: u64,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_assigned: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// How many of its jobs may run at once; null: as many as there are slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// The models to ask, in this order, where the first one cannot answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_models: Vec<String>,
    /// The tools that it may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// What its jobs may use in a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<AgentBudget>,
}

impl Agent {
    /// A newly registered agent.
    pub fn register(new: NewAgent, now: Timestamp) -> Self {
        Self {
            name: new.name,
            role: new.role,
            description: new.description,
            skills: new.skills,
            model: new.model,
            task_count: 0,
            created_at: now,
            last_assigned: None,
            prompt: new.prompt,
            max_concurrency: new.max_concurrency,
            fallback_models: new.fallback_models,
            tools: new.tools,
            budget: new.budget,
        }
    }
}

/// The four agents that exist when nobody has registered one.
pub fn default_agents(now: Timestamp) -> Vec<Agent> {
    let agent = |name: &str, role: &str, description: &str, skills: [&str; 3]| {
        Agent::register(
            NewAgent {
                name: name.to_owned(),
                role: role.to_owned(),
                description: Some(description.to_owned()),
                skills: skills.iter().map(|s| (*s).to_owned()).collect(),
                ..NewAgent::default()
            },
            now,
        )
    };
    vec![
        agent(
            "general_assistant",
            "Assistant",
            "Plans work, answers general questions and writes the closing report",
            ["planning", "writing", "coordination"],
        ),
        agent(
            "analyzer_bot",
            "Analyze",
            "Examines code, data and requirements and says what matters",
            ["analysis", "code review", "auditing"],
        ),
        agent(
            "qa_bot",
            "QA",
            "Checks work against its brief and says what must be fixed",
            ["testing", "validation", "quality assurance"],
        ),
        agent(
            "debugger_bot",
            "Debug",
            "Finds the cause of faults and repairs them",
            ["debugging", "root cause analysis", "fixing"],
        ),
    ]
}
