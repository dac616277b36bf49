//! What must hold for the JSON in a queue, whoever put it there.

use chrono::DateTime;

use super::payload;
use crate::{
    model::{Job, is_valid_id, iso},
    store::Queue,
};

/// What is read becomes a job whose document and whose own payload say the same; what is not read leaves an id that
/// can be used, or none.
pub fn job_payload(data: &[u8]) {
    let read = match payload::read(data) {
        Ok(read) => read,
        Err(unreadable) => {
            assert!(!unreadable.why.is_empty());
            assert!(unreadable.job_id.is_none_or(|id| is_valid_id(&id)), "an id that is none");
            return;
        }
    };
    let id = read.job_id.clone().unwrap_or_else(|| "an-id-of-ours".to_owned());
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let job = payload::foreign_job(&read, &id, Queue::Normal, now);
    assert!(!job.task.trim().is_empty() && !job.agent.is_empty() && job.foreign);

    let document = serde_json::to_vec(&job).expect("a job is plain JSON");
    let stored: Job = serde_json::from_slice(&document).expect("the document of a job is read");
    assert_eq!(
        serde_json::to_vec(&stored).ok(),
        Some(document),
        "a document changes when it is read and written"
    );

    let own = payload::of_job(&job);
    let again = payload::read(&own).expect("what we write is read");
    let again = payload::foreign_job(&again, &id, Queue::Normal, now);
    assert_eq!((&again.job_id, &again.task, &again.agent), (&job.job_id, &job.task, &job.agent));
    assert_eq!((&again.workflow_id, &again.step, again.mode), (&job.workflow_id, &job.step, job.mode));
    assert_eq!((&again.parent_job_id, &again.upload_id), (&job.parent_job_id, &job.upload_id));
    assert_eq!(iso::format(&again.created_at), iso::format(&job.created_at));
}
