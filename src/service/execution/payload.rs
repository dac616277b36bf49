//! The owner's job JSON: reading what anybody may have put into a queue, and writing our own.

use crate::{
    engine::specialist::GENERALIST,
    model::{Job, JobMode, JobPayload, Timestamp, is_valid_id, iso},
    store::{MAX_PAYLOAD_BYTES, Queue},
};

use crate::service::{dispatch, tasks::MAX_TASK_CHARS, uploads::ANALYST};

/// Why a payload is no job, and the id it carries all the same.
#[derive(Debug)]
pub(in crate::service) struct Unreadable {
    pub why: String,
    pub job_id: Option<String>,
}

/// Reads the owner's job JSON. A number as id is taken as its digits.
pub(in crate::service) fn read(bytes: &[u8]) -> Result<JobPayload, Unreadable> {
    parse(bytes).map_err(|why| Unreadable { why, job_id: id_in(bytes) })
}

/// The id in a payload that is JSON at least.
fn id_in(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct OnlyId {
        job_id: String,
    }
    let found: OnlyId = serde_json::from_slice(bytes).ok()?;
    is_valid_id(&found.job_id).then_some(found.job_id)
}

fn parse(bytes: &[u8]) -> Result<JobPayload, String> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(format!("it has {} bytes, the most is {MAX_PAYLOAD_BYTES}", bytes.len()));
    }
    let mut value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON: {e}"))?;
    let Some(object) = value.as_object_mut() else { return Err("it is not a JSON object".to_owned()) };
    if let Some(id) = object.get("job_id").filter(|id| id.is_number()).map(ToString::to_string) {
        object.insert("job_id".to_owned(), id.into());
    }
    // `agent` is what legacy workers read, `agent_name` what the legacy API wrote; the API's wins.
    if object.contains_key("agent_name") {
        object.remove("agent");
    }
    let payload: JobPayload =
        serde_json::from_value(value).map_err(|e| format!("a field has the wrong type: {e}"))?;
    if payload.job_id.as_deref().is_some_and(|id| !is_valid_id(id)) {
        return Err("its job_id is empty, too long or has control characters".to_owned());
    }
    let text = payload.job.as_deref().or(payload.task.as_deref()).unwrap_or("");
    if text.trim().is_empty() {
        return Err("it says nothing to do: 'job' and 'task' are empty".to_owned());
    }
    if text.chars().count() > MAX_TASK_CHARS {
        return Err(format!("its text is longer than {MAX_TASK_CHARS} characters"));
    }
    Ok(payload)
}

/// The job that a foreign program put into a queue.
pub(in crate::service) fn foreign_job(
    payload: &JobPayload,
    job_id: &str,
    queue: Queue,
    now: Timestamp,
) -> Job {
    let mode = match (&payload.workflow_id, &payload.step, payload.mode.as_deref()) {
        (Some(_), Some(_), _) => JobMode::Step,
        (_, _, Some("admin_review")) => JobMode::Review,
        (_, _, Some("analyze")) if upload_of(payload).is_some() => JobMode::Analyze,
        _ => JobMode::Task,
    };
    let text = payload.job.as_deref().or(payload.task.as_deref()).unwrap_or("");
    let agent = payload.agent_name.as_deref().filter(|a| !a.is_empty() && *a != "default_agent");
    let mut job = dispatch::new_job(
        job_id,
        mode,
        agent.unwrap_or(if mode == JobMode::Analyze { ANALYST } else { GENERALIST }),
        text,
        dispatch::priority_of(queue),
        payload.created_at.as_deref().and_then(iso::parse).unwrap_or(now),
    );
    job.workflow_id = payload.workflow_id.clone();
    job.step = payload.step.clone();
    job.parent_job_id = payload.original_job_id.clone().or_else(|| payload.parent_job_id.clone());
    job.upload_id = upload_of(payload).filter(|_| mode == JobMode::Analyze).map(str::to_owned);
    job.foreign = true;
    // No request of ours asked for it, whoever looks at it now.
    (job.request_id, job.traceparent) = (None, None);
    job
}

/// The upload that a payload is about: the legacy system named only its file, which begins with the id.
fn upload_of(payload: &JobPayload) -> Option<&str> {
    let in_path = || {
        let file = payload.file_path.as_deref()?.rsplit(['/', '\\']).next()?;
        file.split_once('_').map(|(id, _)| id).filter(|id| uuid::Uuid::parse_str(id).is_ok())
    };
    payload.upload_id.as_deref().filter(|id| is_valid_id(id)).or_else(in_path)
}

/// The payload of a job, made from its document: the same fields the API queued.
pub(in crate::service) fn of_job(job: &Job) -> Vec<u8> {
    dispatch::payload_bytes(&JobPayload {
        job_id: Some(job.job_id.clone()),
        workflow_id: job.workflow_id.clone(),
        job: Some(job.task.clone()),
        agent_name: Some(job.agent.clone()),
        step: job.step.clone(),
        parent_job_id: job.parent_job_id.clone(),
        created_at: Some(iso::format(&job.created_at)),
        mode: Some(match (&job.mode, &job.step) {
            (JobMode::Step, Some(step)) => step.clone(),
            (JobMode::Review, _) => "admin_review".to_owned(),
            (JobMode::Analyze, _) => "analyze".to_owned(),
            _ => "agent_dispatch".to_owned(),
        }),
        upload_id: job.upload_id.clone(),
        original_job_id: job.parent_job_id.clone().filter(|_| job.mode == JobMode::Review),
        ..JobPayload::default()
    })
}
