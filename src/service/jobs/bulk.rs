//! Many jobs at once, in bounded portions: a call does its part and says where the next one goes on.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::JobState,
    store::{Cursor, ListQuery, MAX_BATCH},
};

use super::{JobFilter, JobRow, Jobs, StateFilter, checked_reason, index_of};
use crate::service::ServiceError;

/// The most jobs that one call looks at.
pub const MAX_BULK: usize = 1_000;
/// How many jobs are worked on at the same time.
const SIDE_BY_SIDE: usize = 8;
/// After this time a call ends at the next portion.
const LONGEST: Duration = Duration::from_secs(10);
/// The most reasons that one answer carries.
const MAX_SKIPPED: usize = 100;

/// What is to be done with each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkAction {
    Retry,
    Cancel,
    Delete,
}

impl BulkAction {
    /// Whether it can be done to a job in this state at all.
    fn fits(self, row: &JobRow) -> bool {
        match self {
            Self::Retry => row.state == JobState::Failed,
            Self::Cancel => !row.state.is_terminal(),
            Self::Delete => row.state.is_terminal(),
        }
    }
}

/// What is to be done with which jobs.
#[derive(Debug, Clone)]
pub struct BulkOrder {
    pub action: BulkAction,
    pub target: Target,
    /// The reason of a cancellation.
    pub reason: Option<String>,
}

/// Which jobs are meant.
#[derive(Debug, Clone)]
pub enum Target {
    Ids(Vec<String>),
    /// Those that fit, from a place on, at most so many looked at.
    Filter {
        filter: JobFilter,
        after: Option<Cursor>,
        limit: usize,
    },
}

/// A job that was left as it was.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Skipped {
    pub id: String,
    pub why: String,
}

/// What one call has done.
#[derive(Debug, Default)]
pub struct BulkReport {
    /// How many jobs were looked at.
    pub looked_at: usize,
    pub done: usize,
    /// What could not be done, at most 100 of them.
    pub skipped: Vec<Skipped>,
    pub skipped_in_all: usize,
    pub next: Option<Cursor>,
}

impl Jobs {
    /// Does it to at most [`MAX_BULK`] jobs. What cannot be done to one job is no error of the call; a
    /// store that is away is.
    pub async fn bulk(&self, order: &BulkOrder) -> Result<BulkReport, ServiceError> {
        checked_reason(order.reason.as_deref())?;
        let begun = Instant::now();
        let mut report = BulkReport::default();
        match &order.target {
            Target::Ids(ids) => {
                for chunk in ids.chunks(MAX_BATCH) {
                    report.looked_at += chunk.len();
                    self.portion(order, chunk.iter().cloned(), &mut report).await?;
                }
            }
            Target::Filter { filter, after, limit } => {
                let mut filter = filter.clone();
                if order.action == BulkAction::Retry && filter.state.is_none() {
                    filter.state = Some(StateFilter::Dead);
                }
                let (kind, index, _) = index_of(&filter);
                let mut after = after.clone();
                loop {
                    let wanted = (limit - report.looked_at).clamp(1, MAX_BATCH);
                    let query = ListQuery::newest(kind, wanted).index(index.clone()).after(after.take());
                    let page = self.page(query, &filter).await?;
                    report.looked_at += page.looked_at;
                    let fitting = page.rows.into_iter().filter(|row| order.action.fits(row));
                    let ids: Vec<_> = fitting.map(|row| row.job_id).collect();
                    self.portion(order, ids, &mut report).await?;
                    match page.next {
                        Some(next) if report.looked_at < *limit && begun.elapsed() < LONGEST => {
                            after = Some(next);
                        }
                        next => {
                            report.next = next;
                            break;
                        }
                    }
                }
            }
        }
        Ok(report)
    }

    async fn portion(
        &self,
        order: &BulkOrder,
        ids: impl IntoIterator<Item = String>,
        report: &mut BulkReport,
    ) -> Result<(), ServiceError> {
        let mut outcomes = stream::iter(ids)
            .map(|id| async move { (self.one(order, &id).await, id) })
            .buffered(SIDE_BY_SIDE);
        while let Some((outcome, id)) = outcomes.next().await {
            let why = match outcome {
                Ok(()) => {
                    report.done += 1;
                    continue;
                }
                Err(ServiceError::Invalid(problems)) => {
                    problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; ")
                }
                Err(e @ (ServiceError::NotFound(_) | ServiceError::Conflict(_))) => e.to_string(),
                Err(e) => return Err(e),
            };
            report.skipped_in_all += 1;
            if report.skipped.len() < MAX_SKIPPED {
                report.skipped.push(Skipped { id, why });
            }
        }
        Ok(())
    }

    async fn one(&self, order: &BulkOrder, id: &str) -> Result<(), ServiceError> {
        match order.action {
            BulkAction::Retry => self.retry(id, None).await.map(|_| ()),
            BulkAction::Cancel => self.cancel(id, order.reason.as_deref()).await.map(|_| ()),
            BulkAction::Delete => self.delete(id, false).await,
        }
    }
}
