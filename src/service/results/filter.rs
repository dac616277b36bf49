//! Which results are wanted.

use crate::{
    model::{JobResult, ResultStatus, Timestamp},
    service::records,
    store::{IndexName, ListQuery},
};

/// The longest text that is searched for, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;

/// Everything that is said has to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResultFilter {
    pub agent: Option<String>,
    pub status: Option<ResultStatus>,
    pub workflow_id: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// At this time or before it.
    pub until: Option<Timestamp>,
    /// Words that all stand in the task, the output, the error or the agent's name, whatever their case.
    pub words: Vec<String>,
    /// How many results one page looks at, however few of them fit; `None`: 5,000.
    pub look_at: Option<usize>,
}

impl ResultFilter {
    pub fn of_agent(agent: &str) -> Self {
        Self { agent: Some(agent.to_owned()), ..Self::default() }
    }

    pub fn of_workflow(workflow_id: &str) -> Self {
        Self { workflow_id: Some(workflow_id.to_owned()), ..Self::default() }
    }

    /// With the words of a text that somebody searches for.
    pub fn search(mut self, text: &str) -> Self {
        self.words = text.split_whitespace().map(str::to_lowercase).collect();
        self
    }

    /// What finds the fewest documents that have to be looked at.
    pub(super) fn query(&self, limit: usize) -> ListQuery {
        let until = self.until.map(|at| at.timestamp_millis());
        ListQuery::newest(records::RESULT, limit).index(self.index()).until(until)
    }

    pub(super) fn index(&self) -> IndexName {
        match (&self.workflow_id, &self.agent, self.status) {
            (Some(workflow), _, _) => records::results_by_workflow(workflow),
            (None, Some(agent), _) => records::results_by_agent(agent),
            (None, None, Some(status)) => records::results_by_status(status),
            (None, None, None) => IndexName::all(records::RESULT),
        }
    }

    /// Whether the index says it all.
    pub(super) fn is_index_alone(&self) -> bool {
        let named = usize::from(self.workflow_id.is_some())
            + usize::from(self.agent.is_some())
            + usize::from(self.status.is_some());
        named <= 1 && self.since.is_none() && self.until.is_none() && self.words.is_empty()
    }

    /// Whether everything that follows a result in a list is too old.
    pub(super) fn ends_before(&self, result: &JobResult) -> bool {
        self.since.is_some_and(|since| result.timestamp < since)
    }

    pub(super) fn fits(&self, result: &JobResult) -> bool {
        self.agent.as_ref().is_none_or(|agent| *agent == result.agent)
            && self.status.is_none_or(|status| status == result.status)
            && self.workflow_id.as_ref().is_none_or(|id| result.workflow_id.as_ref() == Some(id))
            && self.since.is_none_or(|since| result.timestamp >= since)
            && self.until.is_none_or(|until| result.timestamp <= until)
            && self.has_words(result)
    }

    fn has_words(&self, result: &JobResult) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let texts = [Some(&result.output), result.task.as_ref(), result.error.as_ref(), Some(&result.agent)];
        let texts: Vec<String> = texts.into_iter().flatten().map(|text| text.to_lowercase()).collect();
        self.words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }
}
