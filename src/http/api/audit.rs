//! The audit log: who has changed what.

use actix_web::{
    HttpRequest,
    web::{Data, Json},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        HttpState,
        error::{FieldError, Problem},
        extract::{Paging, query_value, seal_cursor},
    },
    model::{AuditEntry, iso},
    service::audit::AuditFilter,
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditLog {
    /// Newest first.
    entries: Vec<AuditEntry>,
    /// How many are in this answer.
    count: usize,
    /// The `cursor` of the next page; null when this is the last one.
    next_cursor: Option<String>,
}

/// The audit log
///
/// Who has changed what, newest first: every request that changed something, by the API or the dashboard, and
/// every one that was refused for lack of right (ten a minute of those are kept, for seven days). A page can be short
/// although more follow: `next_cursor` says so. Entries are kept for `AUDIT_TTL`.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    operation_id = "list_audit",
    params(
        ("key" = Option<String>, Query, description = "Only what was done with the key of this name", example = "default"),
        ("operation" = Option<String>, Query, description = "Only operations with this in their name, whatever its case",
            example = "cancel"),
        ("since" = Option<String>, Query, description = "At this time or later, ISO 8601", example = "2026-11-22T00:00:00Z"),
        ("limit" = Option<usize>, Query, description = "How many, 1 to 500", minimum = 1, maximum = 500, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "The entries", body = AuditLog, example = json!({
        "entries": [{"audit_id": "0b6f6f0e-2f0e-4a55-9b53-3f0a3c1f6c11", "at": "2026-11-22T10:18:26.072904+00:00",
            "operation": "POST /workflows/{workflow_id}/cancel",
            "path": "/workflows/cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11/cancel", "outcome": "done", "status": 200,
            "key": "default", "ip": "203.0.113.7", "request_id": "7b0c9f0e-8a55-4f43-9a3b-7d0a64a1a9d3"}],
        "count": 1, "next_cursor": null})))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Answer<AuditLog> {
    let paging = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let given = |name| query_value(&req, name).filter(|value| !value.is_empty());
    let since =
        given("since").map(|text| iso::parse(&text).ok_or_else(|| Box::new(bad_time(&text)))).transpose();
    let filter = AuditFilter {
        key: given("key"),
        operation: given("operation"),
        since: since.map_err(|error| Problem::field(*error))?,
    };
    let failed = Paging::failed(&paging.cursor);
    let page = state.services.audit.list(&filter, paging.limit, paging.cursor).await.map_err(failed)?;
    Ok(Json(AuditLog {
        count: page.entries.len(),
        next_cursor: page.next.as_ref().map(seal_cursor),
        entries: page.entries,
    }))
}

fn bad_time(text: &str) -> FieldError {
    let msg = "Input should be a time such as 2026-11-22T10:00:00Z";
    FieldError::new("datetime_parsing", vec![json!("query"), json!("since")], msg).input(Value::from(text))
}
