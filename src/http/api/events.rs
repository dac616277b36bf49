//! Events as they happen, as server-sent events.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};

use crate::{
    http::{HttpState, error::Problem, extract::known_form, sse},
    service::live::Since,
};

/// Watch a workflow
///
/// A stream of server-sent events from the workflow's beginning, or from behind `Last-Event-ID`, to its end. An event
/// has its id and, as `data`, one JSON object as in the workflow's history (`kind`, `message`, `at`, and of a step
/// `job_id`, `step` and `round`). Beside them stand `event: partial`, what a running step says (`job_id`,
/// `attempt`, `call`, `text`, and `at`, where the text belongs in the answer: 0 begins anew), and at last
/// `event: end` with the workflow's `status` (`deleted` where it is gone). After `end` close the connection: there is
/// nothing more. A stream that is silent sends a comment every 15 seconds and lasts an hour at the most; who
/// comes again with `Last-Event-ID` misses nothing. The workflow does not depend on its viewers.
#[utoipa::path(
    get,
    path = "/workflows/{workflow_id}/events",
    tag = "workflows",
    operation_id = "watch_workflow",
    params(
        ("workflow_id" = String, Path, description = "The workflow's id",
            example = "76660f75-5a72-41a3-b5ca-ff78d91023ea"),
        ("after" = Option<u64>, Query, description = "Only events after this id, as `Last-Event-ID`; 0: all", example = 0),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen"),
    ),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = String,
        example = "retry: 2000\n\nid: 17\ndata: {\"kind\":\"step_started\",\"workflow_id\":\"76660f75\"}\n\nevent: end\ndata: {\"status\":\"completed\"}\n\n"))
)]
pub async fn workflow(
    state: Data<HttpState>,
    req: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    known_form(&id, || "Workflow not found".to_owned())?;
    let since = sse::since(&req, Since::After(0))?;
    sse::answer(&req, state.services.live.workflow(&id, since).await?)
}

/// Watch all workflows
///
/// The events of all workflows as they happen, from now on or from behind `Last-Event-ID`, as server-sent events; see
/// `/workflows/{workflow_id}/events`. The newest 10,000 events can be had again; who was away for longer is told
/// by `event: gap`. There are no partials here, and no end.
#[utoipa::path(
    get,
    path = "/events",
    tag = "workflows",
    operation_id = "watch_all",
    params(
        ("after" = Option<u64>, Query, description = "Events after this id, as `Last-Event-ID`; 0: all that are kept"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen"),
    ),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = String,
        example = "retry: 2000\n\nid: 17\ndata: {\"kind\":\"step_started\",\"workflow_id\":\"76660f75\"}\n\n"))
)]
pub async fn all(state: Data<HttpState>, req: HttpRequest) -> Result<HttpResponse, Problem> {
    let since = sse::since(&req, Since::Now)?;
    sse::answer(&req, state.services.live.all(since).await?)
}
