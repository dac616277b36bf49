//! Results: one, newest first, by workflow, by agent.

use std::sync::Arc;

use crate::{
    model::JobResult,
    store::{Cursor, IndexName},
};

use super::{Foundation, Listing, ServiceError, listing, records};

/// The most results of one workflow that are shown at once.
const MAX_OF_WORKFLOW: usize = 500;

#[derive(Clone)]
pub struct Results {
    base: Arc<Foundation>,
}

impl Results {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// The result of a job, if it has one that is still kept.
    pub async fn find(&self, job_id: &str) -> Result<Option<JobResult>, ServiceError> {
        let found = records::load::<JobResult>(self.base.store.as_ref(), records::result_key(job_id)).await?;
        Ok(found.map(|(result, _)| result))
    }

    /// The result of a job.
    pub async fn get(&self, job_id: &str) -> Result<JobResult, ServiceError> {
        self.find(job_id)
            .await?
            .ok_or_else(|| ServiceError::NotFound(format!("Result for job '{job_id}' not found")))
    }

    /// Newest first.
    pub async fn list(
        &self,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<Listing<JobResult>, ServiceError> {
        self.page(IndexName::all(records::RESULT), limit, after).await
    }

    /// Of one agent, newest first; there may be none.
    pub async fn by_agent(
        &self,
        agent: &str,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<Listing<JobResult>, ServiceError> {
        self.page(records::results_by_agent(agent), limit, after).await
    }

    /// All of one workflow, newest first; none is [`ServiceError::NotFound`].
    pub async fn by_workflow(&self, workflow_id: &str) -> Result<Vec<JobResult>, ServiceError> {
        let listing = self.page(records::results_by_workflow(workflow_id), MAX_OF_WORKFLOW, None).await?;
        if listing.items.is_empty() {
            return Err(ServiceError::NotFound(format!("No results found for workflow '{workflow_id}'")));
        }
        Ok(listing.items)
    }

    async fn page(
        &self,
        index: IndexName,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<Listing<JobResult>, ServiceError> {
        listing::page(self.base.store.as_ref(), records::RESULT, index, limit, after).await
    }
}
