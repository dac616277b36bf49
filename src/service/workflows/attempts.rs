//! The jobs of a workflow's steps: every attempt with its worker, its times and its end.

use crate::{
    model::{Job, Workflow},
    service::{ServiceError, records},
    store::MAX_BATCH,
};

use super::Workflows;

impl Workflows {
    /// The jobs of its steps in their order. A step that has no job yet, or whose job is kept no longer, is
    /// left out.
    pub async fn jobs(&self, workflow: &Workflow) -> Result<Vec<Job>, ServiceError> {
        let mut jobs = Vec::new();
        for steps in workflow.steps.chunks(MAX_BATCH) {
            let keys: Vec<_> = steps.iter().map(|step| records::job_key(&step.job_id)).collect();
            for doc in self.base.store.get(&keys).await?.into_iter().flatten() {
                jobs.push(doc.parse::<Job>()?);
            }
        }
        Ok(jobs)
    }
}
