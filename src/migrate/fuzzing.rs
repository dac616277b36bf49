//! What must hold for stored documents of any age.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    model::{Agent, Job, JobResult, Template, Upload, Workflow},
    service::records,
    store::Put,
};

/// A document that is read is written in a form that is read as the same, and has its places in indexes. The first
/// byte says of which kind it is.
pub fn documents(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    match kind % 7 {
        0 => check(body, |agent: &Agent| Some(records::put_agent(agent))),
        1 => check(body, |workflow: &Workflow| Some(records::put_workflow(workflow))),
        2 => check(body, |result: &JobResult| {
            let put = Put::json(records::result_key(&result.job_id), result);
            Some(records::index_result(put, result, result.timestamp.timestamp_millis()))
        }),
        3 => check(body, |upload: &Upload| {
            let name = upload.blob_name();
            assert!(!name.contains(['/', '\\']) || upload.blob.is_some(), "a blob elsewhere: {name:?}");
            None
        }),
        4 => check(body, |job: &Job| Some(records::put_job(job))),
        5 => check(body, |_: &Template| None),
        _ => super::adopt::fuzzing::legacy(body),
    }
}

fn check<T: DeserializeOwned + Serialize>(body: &[u8], put: impl Fn(&T) -> Option<Put>) {
    let Ok(document) = serde_json::from_slice::<T>(body) else { return };
    let written = serde_json::to_string(&document).expect("a document is plain JSON");
    let again: T = serde_json::from_str(&written)
        .unwrap_or_else(|e| panic!("what was written is not read: {e}: {written}"));
    let twice = serde_json::to_string(&again).expect("a document is plain JSON");
    assert_eq!(twice, written, "a document changes when it is read and written");
    if let Some(put) = put(&document) {
        assert!(!put.indexes.is_empty() && put.indexes.len() <= 8, "{:?}", put.indexes);
    }
}
