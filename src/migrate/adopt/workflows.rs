//! Workflows that are said to run: the earlier system moved one on only when somebody looked at it.
//! `service::adoption` decides what becomes of one.

use std::collections::HashSet;

use super::{Adoption, Made};
use crate::{
    migrate::{MigrateError, report::Change as Word},
    model::{Timestamp, Workflow},
    service::{adoption, records},
    store::{Store, StoreError},
};

/// How often a workflow that others change at the same time is looked at again.
const TRIES: usize = 3;

impl Adoption<'_> {
    /// Settles the workflows that were found running; `waiting` are the jobs that wait in lists.
    pub(super) async fn settle_workflows(&mut self, waiting: &HashSet<String>) -> Result<(), MigrateError> {
        for id in std::mem::take(&mut self.running) {
            self.may_go_on()?;
            self.settle_workflow(&id, waiting).await?;
        }
        Ok(())
    }

    async fn settle_workflow(&mut self, id: &str, waiting: &HashSet<String>) -> Result<(), MigrateError> {
        let key = records::workflow_key(id);
        for _ in 0..TRIES {
            let Some(doc) = self.store.get(std::slice::from_ref(&key)).await?.pop().flatten() else {
                return Ok(());
            };
            let Ok(mut workflow) = doc.parse::<Workflow>() else { return Ok(()) };
            // What is written anew is written with a zone.
            workflow.created_at = self.instant(&doc.body, &["created_at"], workflow.created_at);
            let now = chrono::DateTime::from_timestamp_millis(self.store.now().await?).unwrap_or_default();
            let settled = adoption::settle(
                self.store,
                &workflow,
                doc.revision(),
                |job_id| waiting.contains(job_id),
                |body, result| {
                    let said = result.completed_at.unwrap_or(result.timestamp);
                    self.instant(body, &["completed_at", "timestamp"], said).min(now)
                },
                now,
            );
            let settled = match settled.await {
                Ok(Some(settled)) => settled,
                Ok(None) => return Ok(()),
                Err(error @ StoreError::Corrupt { .. }) => {
                    self.work.leave(&key.to_string(), error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            match self.make(settled.change).await? {
                Made::Yes => {
                    self.work.change(Word::WorkflowSettled, || format!("{key}: {}", settled.told));
                    return Ok(());
                }
                Made::Changed => {}
                Made::Misfit(why) => {
                    self.work.leave(&key.to_string(), why);
                    return Ok(());
                }
            }
        }
        self.work.leave(&key.to_string(), "it kept being changed by others, so it is not stuck");
        Ok(())
    }

    /// A time that was read from the first of these fields that a document has.
    fn instant(&self, body: &[u8], fields: &[&str], read: Timestamp) -> Timestamp {
        let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = fields.iter().find_map(|field| value.get(field)?.as_str());
        self.zone.instant(text, read)
    }
}
