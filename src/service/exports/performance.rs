//! How each agent did, over the results that are kept.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{JobResult, ResultStatus, Timestamp, iso, iso_option};

use super::csv::harmless;

/// The figures of all agents.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PerformanceReport {
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub export_timestamp: Timestamp,
    pub total_agents: usize,
    /// By name.
    pub metrics: Vec<AgentPerformance>,
    #[serde(skip)]
    agents: BTreeMap<String, AgentPerformance>,
}

/// The figures of one agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct AgentPerformance {
    pub agent_name: String,
    /// Of its newest result.
    pub role: String,
    pub total_tasks: u64,
    pub successful_tasks: u64,
    /// Failed ones; cancelled ones are neither.
    pub failed_tasks: u64,
    /// Percent of all tasks, 0 to 100.
    pub success_rate: f64,
    /// Seconds.
    pub total_execution_time: f64,
    /// Seconds.
    pub average_execution_time: f64,
    /// Seconds of the quickest completed job; null when none completed.
    pub fastest_job: Option<f64>,
    /// Seconds of the slowest completed job; null when none completed.
    pub slowest_job: Option<f64>,
    /// When its newest result was written.
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_activity: Option<Timestamp>,
}

impl PerformanceReport {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { export_timestamp: now, total_agents: 0, metrics: Vec::new(), agents: BTreeMap::new() }
    }

    /// Results come newest first.
    pub(super) fn add(&mut self, result: &JobResult) {
        let agent = self.agents.entry(result.agent.clone()).or_insert_with(|| AgentPerformance {
            agent_name: result.agent.clone(),
            role: result.role.clone().unwrap_or_default(),
            ..AgentPerformance::default()
        });
        agent.total_tasks += 1;
        agent.total_execution_time += result.execution_time;
        agent.last_activity = agent.last_activity.max(Some(result.timestamp));
        match result.status {
            ResultStatus::Completed => {
                agent.successful_tasks += 1;
                let seconds = result.execution_time;
                agent.fastest_job = Some(agent.fastest_job.map_or(seconds, |fastest| fastest.min(seconds)));
                agent.slowest_job = Some(agent.slowest_job.map_or(seconds, |slowest| slowest.max(seconds)));
            }
            ResultStatus::Failed => agent.failed_tasks += 1,
            ResultStatus::Cancelled => {}
        }
    }

    pub(super) fn finished(mut self) -> Self {
        self.metrics = std::mem::take(&mut self.agents).into_values().collect();
        for agent in &mut self.metrics {
            let all = agent.total_tasks.max(1) as f64;
            agent.success_rate = (agent.successful_tasks as f64 / all * 10_000.0).round() / 100.0;
            agent.average_execution_time = rounded(agent.total_execution_time / all);
            agent.total_execution_time = rounded(agent.total_execution_time);
        }
        self.total_agents = self.metrics.len();
        self
    }

    /// The same columns as a table.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record([
            "agent_name",
            "role",
            "total_tasks",
            "successful_tasks",
            "failed_tasks",
            "success_rate",
            "total_execution_time",
            "average_execution_time",
            "fastest_job",
            "slowest_job",
            "last_activity",
        ])?;
        let seconds = |seconds: Option<f64>| seconds.map(|s| s.to_string()).unwrap_or_default();
        for agent in &self.metrics {
            table.write_record([
                harmless(&agent.agent_name).as_ref(),
                harmless(&agent.role).as_ref(),
                &agent.total_tasks.to_string(),
                &agent.successful_tasks.to_string(),
                &agent.failed_tasks.to_string(),
                &agent.success_rate.to_string(),
                &agent.total_execution_time.to_string(),
                &agent.average_execution_time.to_string(),
                &seconds(agent.fastest_job),
                &seconds(agent.slowest_job),
                &agent.last_activity.map(|at| iso::format(&at)).unwrap_or_default(),
            ])?;
        }
        table.into_inner().map_err(|e| csv::Error::from(e.into_error()))
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}
