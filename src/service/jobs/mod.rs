//! Jobs: lists, one job's whole story, and what people do to jobs.
//!
//! Whatever is done to a job is one conditional write on its document, so that a worker and a person who
//! act at the same time never both win.

mod bulk;
mod cancel;
mod remove;
mod replay;
mod story;

use std::{sync::Arc, time::Duration};

use crate::{
    model::{DeadJob, Job, JobMode, JobState, PartialAnswer, Timestamp, Workflow},
    store::{Cursor, IndexName, Kind, ListQuery, MAX_BATCH, Revision},
};

use super::{Foundation, ServiceError, records};

pub use bulk::{BulkAction, BulkOrder, BulkReport, MAX_BULK, Skipped, Target};
pub(super) use cancel::checked_reason;
pub use remove::MAX_DEAD_JOBS;
pub(super) use story::queue_named;
pub use story::{DeadEntry, JobRow, JobStory};

/// How often a write is computed again when others change the same documents meanwhile.
const TRIES: usize = 20;
/// How many documents one listing looks at, however few of them match.
const MAX_LOOKED_AT: usize = 2_000;

/// Which jobs are meant, by where they are in their lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    Is(JobState),
    /// In the dead set: failed for good, or not readable.
    Dead,
}

impl StateFilter {
    /// The words for it.
    pub const WORDS: [&str; 7] =
        ["queued", "running", "scheduled", "completed", "failed", "cancelled", "dead"];

    pub fn parse(word: &str) -> Option<Self> {
        let state = JobState::ALL.into_iter().find(|state| state.as_str() == word).map(Self::Is);
        state.or((word == "dead").then_some(Self::Dead))
    }
}

/// Which jobs are meant; what is not given does not matter.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub state: Option<StateFilter>,
    pub agent: Option<String>,
    pub workflow_id: Option<String>,
    /// Made, or ended if they have, longer ago than this.
    pub older_than: Option<Duration>,
}

/// A page of jobs.
#[derive(Debug, Clone)]
pub struct JobPage {
    pub rows: Vec<JobRow>,
    pub next: Option<Cursor>,
    /// How many there are in all, where that can be told without a look at each.
    pub total: Option<u64>,
}

/// A part of an index.
struct Portion {
    rows: Vec<JobRow>,
    /// How many documents it had, those included that do not fit.
    looked_at: usize,
    next: Option<Cursor>,
}

/// A job as found: its document, or what the dead set kept of it, or both.
struct Found {
    job: Job,
    /// `None`: the document is gone, the dead set has remembered the job.
    before: Option<Revision>,
    dead: Option<DeadJob>,
}

#[derive(Clone)]
pub struct Jobs {
    base: Arc<Foundation>,
}

impl Jobs {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// What the model of a running job has said so far.
    pub async fn partial(&self, id: &str) -> Result<PartialAnswer, ServiceError> {
        let found = records::load(self.base.store.as_ref(), records::partial_key(id)).await?;
        found.map(|(partial, _)| partial).ok_or_else(|| {
            ServiceError::NotFound(format!("No call of job '{id}' runs now, or nothing has come of it yet"))
        })
    }

    /// Newest first. With several filters a page may be short although more follow.
    pub async fn list(
        &self,
        filter: &JobFilter,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<JobPage, ServiceError> {
        let (kind, index, is_exact) = index_of(filter);
        let total = if is_exact { Some(self.base.store.count(&index).await?) } else { None };
        let (mut rows, mut looked_at, mut after) = (Vec::new(), 0, after);
        loop {
            let wanted = (limit - rows.len()).clamp(1, MAX_BATCH);
            let query = ListQuery::newest(kind, wanted).index(index.clone()).after(after.take());
            let page = self.page(query, filter).await?;
            looked_at += page.looked_at;
            rows.extend(page.rows);
            match page.next {
                Some(next) if rows.len() < limit && looked_at < MAX_LOOKED_AT => after = Some(next),
                next => return Ok(JobPage { rows, next, total }),
            }
        }
    }

    /// How many jobs there are in each state, the dead set last, by the words of [`StateFilter`].
    pub async fn counts(&self) -> Result<Vec<(&'static str, u64)>, ServiceError> {
        let mut counts = Vec::with_capacity(StateFilter::WORDS.len());
        for word in StateFilter::WORDS {
            let filter = JobFilter { state: StateFilter::parse(word), ..JobFilter::default() };
            let (_, index, _) = index_of(&filter);
            counts.push((word, self.base.store.count(&index).await?));
        }
        Ok(counts)
    }

    /// The jobs of one page of an index that fit.
    async fn page(&self, query: ListQuery, filter: &JobFilter) -> Result<Portion, ServiceError> {
        let page = self.base.store.list(&query).await?;
        let now = self.base.clock.now();
        let mut rows = Vec::new();
        for doc in &page.docs {
            let row = match query.kind {
                records::DEAD_JOB => doc.parse().map(JobRow::of_dead),
                _ => doc.parse().map(|job: Job| JobRow::of(&job)),
            };
            match row {
                Ok(row) if row.fits(filter, now) => rows.push(row),
                Ok(_) => {}
                Err(e) => log::warn!("passed over in a listing: {e}"),
            }
        }
        Ok(Portion { rows, looked_at: page.docs.len(), next: page.next })
    }

    /// A job, from its document or from the dead set.
    async fn find(&self, id: &str) -> Result<Found, ServiceError> {
        let keys = [records::job_key(id), records::dead_job_key(id)];
        let mut docs = self.base.store.get(&keys).await?;
        let dead = docs.pop().flatten().map(|doc| doc.parse::<DeadJob>()).transpose()?;
        let job = match docs.pop().flatten() {
            Some(doc) => Some((doc.parse::<Job>()?, doc.revision())),
            None => None,
        };
        match (job, dead) {
            (Some((job, before)), dead) => Ok(Found { job, before: Some(before), dead }),
            (None, Some(dead)) => Ok(Found { job: story::remembered(&dead), before: None, dead: Some(dead) }),
            (None, None) => Err(not_found(id)),
        }
    }

    /// The workflow that a job is a step of, if it is kept and has that step.
    async fn workflow_of(&self, job: &Job) -> Result<Option<(Workflow, Revision)>, ServiceError> {
        let (JobMode::Step, Some(id)) = (job.mode, &job.workflow_id) else { return Ok(None) };
        let found = records::load::<Workflow>(self.base.store.as_ref(), records::workflow_key(id)).await?;
        Ok(found.filter(|(workflow, _)| workflow.step(&job.job_id).is_some()))
    }

    /// The documents of jobs, as far as there are any.
    pub(in crate::service) async fn documents<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<(Job, Revision)>, ServiceError> {
        let keys: Vec<_> = ids.into_iter().map(records::job_key).collect();
        let mut jobs = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_BATCH) {
            for doc in self.base.store.get(chunk).await?.into_iter().flatten() {
                jobs.push((doc.parse::<Job>()?, doc.revision()));
            }
        }
        Ok(jobs)
    }
}

fn not_found(id: &str) -> ServiceError {
    ServiceError::NotFound(format!("Job '{id}' not found"))
}

fn busy(id: &str) -> ServiceError {
    ServiceError::Conflict(format!("job {id} keeps being changed by others; try again"))
}

/// The narrowest index for a filter that does not depend on how much is in it (a cursor must lead on in
/// the same one), and whether it says all that the filter does.
fn index_of(filter: &JobFilter) -> (Kind, IndexName, bool) {
    let JobFilter { state, agent, workflow_id, older_than } = filter;
    let only = |others: &[bool]| !others.iter().any(|given| *given) && older_than.is_none();
    let kind = records::JOB;
    match (state, agent, workflow_id) {
        (Some(StateFilter::Dead), agent, workflow) => {
            let exact = only(&[agent.is_some(), workflow.is_some()]);
            (records::DEAD_JOB, IndexName::all(records::DEAD_JOB), exact)
        }
        (state, agent, Some(workflow)) => {
            (kind, records::jobs_by_workflow(workflow), only(&[state.is_some(), agent.is_some()]))
        }
        // Most jobs are completed ones: there an agent says more.
        (None | Some(StateFilter::Is(JobState::Completed)), Some(agent), None) => {
            (kind, records::jobs_by_agent(agent), only(&[state.is_some()]))
        }
        (Some(StateFilter::Is(state)), agent, None) => {
            (kind, records::jobs_by_state(*state), only(&[agent.is_some()]))
        }
        (None, None, None) => (kind, IndexName::all(kind), only(&[])),
    }
}

/// Whether `at` lies longer ago than `age`.
fn is_older(at: Timestamp, age: Option<Duration>, now: Timestamp) -> bool {
    let Some(age) = age else { return true };
    (now - at).to_std().is_ok_and(|passed| passed > age)
}
