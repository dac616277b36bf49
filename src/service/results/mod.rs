//! Results: one, lists by filter, pins, and walks through all of them.

mod filter;
mod walk;

use std::sync::Arc;

use crate::{
    model::{JobResult, Timestamp},
    store::{Change, Cursor, MAX_BATCH, Revision},
};

use super::{Foundation, ServiceError, records};

pub use filter::{MAX_SEARCH_CHARS, ResultFilter};
pub use walk::Walk;

/// The most documents that are looked at for one page. A page that ends for this reason says where to go on.
const MAX_LOOKED_AT: usize = 5_000;
/// How often a change is tried again because somebody else changed the same result.
const TRIES: usize = 5;

/// A page of results.
#[derive(Debug, Clone)]
pub struct ResultPage {
    pub items: Vec<JobResult>,
    /// Where the next page begins, when there may be one. A page may be short, or empty, and not be the
    /// last one.
    pub next: Option<Cursor>,
    /// How many there are in all, where that is known without looking at each.
    pub total: Option<u64>,
}

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
        Ok(self.load(job_id).await?.0)
    }

    /// Those that fit, newest first.
    pub async fn list(
        &self,
        filter: &ResultFilter,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<ResultPage, ServiceError> {
        let store = self.base.store.as_ref();
        let total = match filter.is_index_alone() {
            true => Some(store.count(&filter.index()).await?),
            false => None,
        };
        let mut page = ResultPage { items: Vec::new(), next: None, total };
        let mut query = filter.query(1).after(after);
        let mut looked_at = 0;
        loop {
            let wanted = limit - page.items.len();
            // What does not fit is passed over in large steps.
            query.limit = if filter.is_index_alone() { wanted.clamp(1, MAX_BATCH) } else { MAX_BATCH };
            let mut found = store.list(&query).await?;
            let (mut fitting, mut ended) = walk::fitting(&found.docs, filter);
            if fitting.len() > wanted {
                // A page ends at a document, not in the middle of a step: one that ends there is read again.
                let last = &fitting[wanted - 1].job_id;
                let place = found.docs.iter().position(|doc| doc.key.id == *last).unwrap_or(0);
                query.limit = place + 1;
                found = store.list(&query).await?;
                (fitting, ended) = walk::fitting(&found.docs, filter);
                fitting.truncate(wanted);
            }
            page.items.append(&mut fitting);
            looked_at += query.limit;
            match found.next.filter(|_| !ended) {
                Some(next)
                    if page.items.len() < limit && looked_at < filter.look_at.unwrap_or(MAX_LOOKED_AT) =>
                {
                    query.after = Some(next);
                }
                next => {
                    page.next = next;
                    return Ok(page);
                }
            }
        }
    }

    /// The newest ones of a workflow, 404 when it has none.
    pub async fn by_workflow(
        &self,
        workflow_id: &str,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<ResultPage, ServiceError> {
        let page = self.list(&ResultFilter::of_workflow(workflow_id), limit, after).await?;
        if page.items.is_empty() && page.next.is_none() && page.total == Some(0) {
            return Err(ServiceError::NotFound(format!("No results found for workflow '{workflow_id}'")));
        }
        Ok(page)
    }

    /// All that fit, piece by piece.
    pub fn walk(&self, filter: ResultFilter) -> Walk {
        Walk::new(self.base.clone(), filter)
    }

    /// Keeps a result for ever, or lets it go after the usual time from now.
    pub async fn pin(&self, job_id: &str, pinned: bool) -> Result<JobResult, ServiceError> {
        for _ in 0..TRIES {
            let (mut result, before) = self.load(job_id).await?;
            if result.pinned == pinned {
                return Ok(result);
            }
            result.pinned = pinned;
            let put = records::put_result(&mut result, self.base.result_ttl, self.now());
            let change = Change::new().expect(records::result_key(job_id), Some(before)).put(put);
            if self.base.store.apply(change).await?.is_ok() {
                return Ok(result);
            }
        }
        Err(ServiceError::Conflict(format!("the result of job '{job_id}' is being changed; try again")))
    }

    /// Removes a result. The job stays, and never gets another one.
    pub async fn delete(&self, job_id: &str) -> Result<(), ServiceError> {
        for _ in 0..TRIES {
            let (_, before) = self.load(job_id).await?;
            let key = records::result_key(job_id);
            let change = Change::new().expect(key.clone(), Some(before)).delete(key);
            if self.base.store.apply(change).await?.is_ok() {
                return Ok(());
            }
        }
        Err(ServiceError::Conflict(format!("the result of job '{job_id}' is being changed; try again")))
    }

    async fn load(&self, job_id: &str) -> Result<(JobResult, Revision), ServiceError> {
        records::load(self.base.store.as_ref(), records::result_key(job_id))
            .await?
            .ok_or_else(|| ServiceError::NotFound(format!("Result for job '{job_id}' not found")))
    }

    fn now(&self) -> Timestamp {
        self.base.clock.now()
    }
}
