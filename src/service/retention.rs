//! Retention: workflows and results beyond their age or their number go, the oldest first, a bounded portion at a
//! time.
//!
//! | setting | what goes | what stays |
//! |---|---|---|
//! | `WORKFLOW_TTL` | workflows that ended longer ago | those that have not ended; those whose fork has not |
//! | `MAX_WORKFLOWS` | the oldest that have ended, beyond this number | the same |
//! | `MAX_RESULTS` | the oldest results, beyond this number | pinned ones, which do not count; those of the last minute |
//!
//! With a workflow go its jobs, their model calls and their results, but for pinned ones. Its history is dropped by the
//! store a week after its last event. What was counted of it (usage, analytics) stays. `RESULT_TTL` needs nobody: the
//! store forgets results by itself. Any number of processes may do this at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::future::join_all;

use crate::{
    model::{JobResult, Timestamp, Workflow, WorkflowStatus},
    store::{Change, Cursor, Doc, IndexName, ListQuery, MAX_BATCH},
};

use super::{Foundation, ServiceError, Workflows, records, told::Told};

/// The most workflows of one portion: each takes a few writes.
const PORTION: usize = 20;
/// How many of them go at once: one after the other they would go slower than a busy server begins new ones.
const AT_ONCE: usize = 5;
/// How many documents are looked at for one portion. More stand in the way only if so many have to stay.
const MAX_LOOKED_AT: usize = 1_000;
/// A younger result stays, however many there are: whoever waits for it has to have the time to fetch it.
const FRESH: TimeDelta = TimeDelta::seconds(60);
/// How long results that had to stay are not looked at again.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(10);
/// What ends a workflow.
const ENDS: [WorkflowStatus; 3] =
    [WorkflowStatus::Completed, WorkflowStatus::Failed, WorkflowStatus::Cancelled];

/// What is kept at the most; nothing: without end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionSettings {
    /// How long a workflow is kept after its end.
    pub workflow_ttl: Option<Duration>,
    /// How many workflows that have ended are kept.
    pub max_workflows: Option<u64>,
    /// How many results are kept.
    pub max_results: Option<u64>,
}

#[derive(Clone)]
pub struct Retention {
    base: Arc<Foundation>,
    workflows: Workflows,
    told: Arc<Told>,
    /// Since when, and behind which results that have to stay, others are looked for.
    behind: Arc<Mutex<Option<(Timestamp, Cursor)>>>,
}

impl Retention {
    pub(super) fn new(base: Arc<Foundation>, workflows: Workflows) -> Self {
        Self { base, workflows, told: Arc::default(), behind: Arc::default() }
    }

    /// Whether anything is to go at all.
    pub fn is_on(&self) -> bool {
        self.settings() != RetentionSettings::default()
    }

    /// Removes one portion of each; whether more is left. What cannot be removed stays, is said once, and stands in
    /// nobody's way; neither does one of these that fails stand in the way of the others.
    pub async fn run(&self) -> Result<bool, ServiceError> {
        let settings = self.settings();
        let mut parts = Vec::new();
        if let Some(ttl) = settings.workflow_ttl {
            parts.push(self.too_old(ttl).await);
        }
        if let Some(most) = settings.max_workflows {
            parts.push(self.too_many(most).await);
        }
        if let Some(most) = settings.max_results {
            parts.push(self.too_many_results(most).await);
        }
        parts.into_iter().try_fold(false, |more, part| part.map(|left| more | left))
    }

    fn settings(&self) -> RetentionSettings {
        self.base.retention
    }

    /// Workflows that ended too long ago. They stand in the order in which they were begun: behind the first that
    /// was begun within the time, none can be over.
    async fn too_old(&self, ttl: Duration) -> Result<bool, ServiceError> {
        let now = self.base.clock.now();
        let oldest = chrono::Duration::from_std(ttl).ok().and_then(|ttl| now.checked_sub_signed(ttl));
        let Some(oldest) = oldest else { return Ok(false) };
        let mut removed = 0;
        for status in ENDS {
            let (mut after, mut looked_at) = (None, 0);
            while looked_at < MAX_LOOKED_AT {
                let page =
                    self.base.store.list(&oldest_first(status, 2 * PORTION).after(after.take())).await?;
                looked_at += page.docs.len().max(1);
                let mut workflows: Vec<_> = page.docs.iter().filter_map(|doc| self.readable(doc)).collect();
                let all = workflows.len();
                workflows.retain(|workflow| workflow.created_at <= oldest);
                let is_last = workflows.len() < all;
                workflows.retain(|workflow| ended_at(workflow) <= oldest);
                removed += self.remove_some(&workflows, PORTION - removed, "its time is over").await?;
                if removed >= PORTION {
                    return Ok(true);
                }
                match page.next {
                    Some(next) if !is_last => after = Some(next),
                    _ => break,
                }
            }
        }
        Ok(false)
    }

    /// The oldest workflows that have ended, as many as are too many.
    async fn too_many(&self, most: u64) -> Result<bool, ServiceError> {
        let store = self.base.store.as_ref();
        // The oldest of each kind of end; the oldest of all are among them.
        let mut candidates = Vec::new();
        for status in ENDS {
            let page = store.list(&oldest_first(status, MAX_BATCH)).await?;
            candidates.extend(page.docs.iter().filter_map(|doc| self.readable(doc)));
        }
        // Counted behind the pages: what another process has removed since stands in them, not behind them.
        let mut ended = 0;
        for status in ENDS {
            ended += store.count(&records::workflows_by_status(status)).await?;
        }
        let excess = usize::try_from(ended.saturating_sub(most)).unwrap_or(usize::MAX);
        if excess == 0 {
            return Ok(false);
        }
        candidates.sort_by_key(|workflow| workflow.created_at);
        let most = excess.min(PORTION);
        let removed = self.remove_some(&candidates, most, "there are more than MAX_WORKFLOWS").await?;
        Ok(removed > 0 && removed < excess)
    }

    fn readable(&self, doc: &Doc) -> Option<Workflow> {
        // That one document cannot be read ends no pass.
        doc.parse().map_err(|error| self.told.passed_over(&doc.key.to_string(), error.into())).ok()
    }

    /// Removes so many of these, the first first; how many have gone.
    async fn remove_some(
        &self,
        workflows: &[Workflow],
        most: usize,
        why: &str,
    ) -> Result<usize, ServiceError> {
        let (mut removed, mut left) = (0, workflows);
        while removed < most && !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(AT_ONCE).min(most - removed));
            left = later;
            for has_gone in join_all(now.iter().map(|workflow| self.remove(workflow, why))).await {
                removed += usize::from(has_gone?);
            }
        }
        Ok(removed)
    }

    /// Whether it has gone. One that is needed stays, and so does one that somebody just then revived.
    async fn remove(&self, workflow: &Workflow, why: &str) -> Result<bool, ServiceError> {
        let id = workflow.workflow_id.as_str();
        match self.workflows.delete_but_pinned(id).await {
            Ok(()) => {
                log::info!(workflow_id = id; "a workflow was removed: {why}");
                Ok(true)
            }
            // Another process was faster; or it cannot go now.
            Err(ServiceError::NotFound(_)) => Ok(true),
            Err(ServiceError::Conflict(_)) => Ok(false),
            Err(error) => self.told.passed_over(&format!("workflow {id}"), error).map(|()| false),
        }
    }

    /// The oldest results that are not pinned, as many as are too many.
    async fn too_many_results(&self, most: u64) -> Result<bool, ServiceError> {
        let store = self.base.store.as_ref();
        let youngest = self.base.clock.now() - FRESH;
        let mut after = self.behind_pinned();
        let (mut looked_at, mut removed) = (0, 0);
        let more = 'pages: loop {
            let query = ListQuery::newest(records::RESULT, MAX_BATCH).oldest_first().after(after);
            let page = store.list(&query).await?;
            // Counted behind the page: what another process has removed since stands in the page, not behind it.
            let mut left = self.excess_of_results(most).await?;
            if left == 0 {
                break false;
            }
            for doc in &page.docs {
                let Ok(result) = doc.parse::<JobResult>() else { continue };
                if result.timestamp > youngest {
                    self.remember(None);
                    break 'pages false;
                }
                if result.pinned {
                    continue;
                }
                // One that is pinned at this moment stays; one that is gone was removed by another process.
                let change =
                    Change::new().expect(doc.key.clone(), Some(doc.revision())).delete(doc.key.clone());
                match store.apply(change).await {
                    Ok(outcome) => {
                        removed += usize::from(outcome.is_ok());
                        left -= 1;
                    }
                    Err(error) => self.told.passed_over(&doc.key.to_string(), error.into())?,
                }
                if left == 0 {
                    break 'pages false;
                }
            }
            looked_at += page.docs.len().max(1);
            after = page.next;
            if after.is_none() {
                self.remember(None);
                break false;
            }
            if removed >= MAX_BATCH {
                break true;
            }
            if looked_at >= MAX_LOOKED_AT {
                self.remember(after);
                break true;
            }
        };
        if removed > 0 {
            log::info!("there are more than {most} results: the {removed} oldest were removed");
        }
        Ok(more)
    }

    /// How many results there are beyond so many that are not pinned.
    async fn excess_of_results(&self, most: u64) -> Result<u64, ServiceError> {
        let store = self.base.store.as_ref();
        // In this order: one that is pinned in between counts as pinned.
        let all = store.count(&IndexName::all(records::RESULT)).await?;
        let pinned = store.count(&records::results_pinned()).await?;
        Ok(all.saturating_sub(pinned).saturating_sub(most))
    }

    /// Where to go on behind results that have to stay. From time to time all are looked at again: one may not be
    /// pinned any more.
    fn behind_pinned(&self) -> Option<Cursor> {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.base.clock.now();
        behind.take_if(|(since, _)| now - *since > LOOK_AGAIN);
        behind.as_ref().map(|(_, cursor)| cursor.clone())
    }

    fn remember(&self, cursor: Option<Cursor>) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let since = behind.as_ref().map_or_else(|| self.base.clock.now(), |(since, _)| *since);
        *behind = cursor.map(|cursor| (since, cursor));
    }
}

fn oldest_first(status: WorkflowStatus, limit: usize) -> ListQuery {
    let index = records::workflows_by_status(status);
    ListQuery::newest(records::WORKFLOW, limit).index(index).oldest_first()
}

/// One of the earlier system may not say when it ended.
fn ended_at(workflow: &Workflow) -> Timestamp {
    workflow.completed_at.unwrap_or(workflow.created_at)
}
