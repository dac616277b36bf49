//! Lists of workflows, and what is done to many of them.

use futures_util::{StreamExt, stream};

use crate::{
    model::{Workflow, WorkflowStatus},
    store::{Cursor, IndexName, ListQuery, MAX_BATCH},
};

use super::Workflows;
use crate::service::{
    ServiceError,
    jobs::{Skipped, checked_reason},
    records,
};

/// How many workflows one page looks at, however few of them fit.
const MAX_LOOKED_AT: usize = 1_000;
/// The longest text that is searched for, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;
/// The most workflows of one bulk order.
pub const MAX_BULK: usize = 100;
/// How many are worked on at the same time.
const SIDE_BY_SIDE: usize = 4;

/// Which workflows are wanted; all that is said has to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkflowFilter {
    pub status: Option<WorkflowStatus>,
    /// Words that all stand in the brief, the error, or the name of an agent, whatever their case.
    pub words: Vec<String>,
    /// How many workflows one page looks at, however few of them fit; `None`: 1,000.
    pub look_at: Option<usize>,
}

/// A page of workflows.
#[derive(Debug, Clone)]
pub struct WorkflowList {
    pub items: Vec<Workflow>,
    pub next: Option<Cursor>,
    /// How many there are in all, where that can be told without a look at each.
    pub total: Option<u64>,
}

/// What is to be done with each workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowAction {
    Pause,
    Resume,
    Cancel,
    Retry,
    Delete,
}

/// What one bulk order has done.
#[derive(Debug, Default)]
pub struct WorkflowBulkReport {
    pub done: usize,
    pub skipped: Vec<Skipped>,
}

impl WorkflowFilter {
    /// With the words of a text that somebody searches for.
    pub fn search(mut self, text: &str) -> Self {
        self.words = text.split_whitespace().map(str::to_lowercase).collect();
        self
    }

    fn index(&self) -> IndexName {
        self.status.map_or_else(|| IndexName::all(records::WORKFLOW), records::workflows_by_status)
    }

    /// Whether it is worth while to parse a document. Plain words stand in it as they are, so that most documents are
    /// passed over for a fraction of what parsing costs.
    fn may_fit(&self, body: &[u8]) -> bool {
        let plain = |word: &&String| word.bytes().all(|b| b.is_ascii_alphanumeric());
        let mut plain = self.words.iter().filter(plain).peekable();
        if plain.peek().is_none() {
            return true;
        }
        let text = String::from_utf8_lossy(body).to_ascii_lowercase();
        plain.all(|word| text.contains(word.as_str()))
    }

    fn fits(&self, workflow: &Workflow) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let mut text = workflow.original_task.to_lowercase();
        for more in workflow.error.iter().chain(workflow.steps.iter().map(|s| &s.agent)) {
            text.push('\n');
            text.push_str(&more.to_lowercase());
        }
        self.words.iter().all(|word| text.contains(word))
    }
}

impl Workflows {
    /// Newest first. With words a page may be short although more follow.
    pub async fn find(
        &self,
        filter: &WorkflowFilter,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<WorkflowList, ServiceError> {
        let store = self.base.store.as_ref();
        let index = filter.index();
        let total = if filter.words.is_empty() { Some(store.count(&index).await?) } else { None };
        let (mut items, mut looked_at) = (Vec::new(), 0);
        let mut query = ListQuery::newest(records::WORKFLOW, 1).index(index).after(after);
        loop {
            query.limit = match filter.words.is_empty() {
                true => (limit - items.len()).clamp(1, MAX_BATCH),
                false => MAX_BATCH.min(limit.max(1)),
            };
            let page = store.list(&query).await?;
            looked_at += page.docs.len();
            for doc in page.docs.iter().filter(|doc| filter.may_fit(&doc.body)) {
                match doc.parse::<Workflow>() {
                    Ok(workflow) if filter.fits(&workflow) => items.push(workflow),
                    Ok(_) => {}
                    Err(e) => log::warn!("passed over in a listing: {e}"),
                }
            }
            match page.next {
                Some(next) if items.len() < limit && looked_at < filter.look_at.unwrap_or(MAX_LOOKED_AT) => {
                    query.after = Some(next)
                }
                next => return Ok(WorkflowList { items, next, total }),
            }
        }
    }

    /// Does it to each of these, at most [`MAX_BULK`]. What cannot be done to one is no error of the call; a store that
    /// is away is.
    pub async fn bulk(
        &self,
        action: WorkflowAction,
        ids: &[String],
        reason: Option<&str>,
    ) -> Result<WorkflowBulkReport, ServiceError> {
        if ids.len() > MAX_BULK {
            let message = format!("List should have at most {MAX_BULK} items");
            return Err(ServiceError::field("ids", "too_long", message));
        }
        checked_reason(reason)?;
        let mut report = WorkflowBulkReport::default();
        let mut outcomes = stream::iter(ids)
            .map(|id| async move { (self.one(action, id, reason).await, id) })
            .buffered(SIDE_BY_SIDE);
        while let Some((outcome, id)) = outcomes.next().await {
            match outcome {
                Ok(()) => report.done += 1,
                Err(e @ (ServiceError::NotFound(_) | ServiceError::Conflict(_))) => {
                    report.skipped.push(Skipped { id: id.clone(), why: e.to_string() });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(report)
    }

    async fn one(&self, action: WorkflowAction, id: &str, reason: Option<&str>) -> Result<(), ServiceError> {
        match action {
            WorkflowAction::Pause => self.pause(id, reason).await.map(drop),
            WorkflowAction::Resume => self.resume(id).await.map(drop),
            WorkflowAction::Cancel => self.cancel(id, reason).await.map(drop),
            WorkflowAction::Retry => self.retry(id).await.map(drop),
            WorkflowAction::Delete => self.delete(id).await,
        }
    }
}
