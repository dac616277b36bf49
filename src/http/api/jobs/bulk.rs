//! Many jobs at once: `POST /jobs/bulk`.

use std::time::Duration;

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    http::{
        HttpState,
        api::Answer,
        caller::Caller,
        error::{FieldError, Problem},
        extract::{Body, Paging, RequestBody, open_cursor, seal_cursor},
        fields::{self, Field, Shape},
    },
    model::Scope,
    service::jobs::{BulkAction, BulkOrder, JobFilter, MAX_BULK, Skipped, StateFilter, Target},
};

const DEFAULT_LIMIT: usize = 100;
/// The longest age that can be asked for: longer than anything is kept.
const MAX_AGE_SECONDS: u64 = 100 * 365 * 86_400;
const STATES: Shape = Shape::OneOf(&StateFilter::WORDS);

/// Which jobs a bulk order means.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct BulkFilter {
    /// `queued`, `running`, `scheduled`, `completed`, `failed`, `cancelled` or `dead`.
    #[serde(default)]
    #[schema(example = "dead")]
    state: Option<String>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    workflow_id: Option<String>,
    /// Ended, or made if they have not ended, longer ago than this.
    #[serde(default)]
    older_than_seconds: Option<u64>,
}

pub const FILTER_FIELDS: &[Field] = &[
    Field::optional("state", STATES),
    Field::optional("agent", Shape::Text),
    Field::optional("workflow_id", Shape::Text),
    Field::optional("older_than_seconds", Shape::Whole(MAX_AGE_SECONDS)),
];

/// What is to be done with which jobs.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"action": "retry", "filter": {"state": "dead", "agent": "qa_bot"}, "limit": 100}))]
pub struct BulkRequest {
    action: BulkAction,
    /// These jobs, at most 1,000. Either this or `filter`.
    #[serde(default)]
    #[schema(max_items = 1000)]
    ids: Option<Vec<String>>,
    /// All jobs that fit; at least one field. `retry` means dead jobs unless `state` says otherwise.
    #[serde(default)]
    #[schema(value_type = Option<BulkFilter>)]
    filter: Option<Value>,
    /// How many jobs one call looks at, 1 to 1,000; 100 when not given.
    #[serde(default)]
    limit: Option<usize>,
    /// `next_cursor` of the call before.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
    /// The reason of a cancellation.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

impl RequestBody for BulkRequest {
    const FIELDS: &'static [Field] = &[
        Field::required("action", Shape::OneOf(&["retry", "cancel", "delete"])),
        Field::optional("ids", Shape::Texts),
        Field::optional("filter", Shape::Object),
        Field::optional("limit", Shape::Range(1, MAX_BULK as u64)),
        Field::optional("cursor", Shape::Text),
        Field::optional("reason", Shape::Text),
    ];
}

impl BulkRequest {
    fn order(self) -> Result<BulkOrder, Problem> {
        let complain = |field: &str, kind, msg: &str| {
            Problem::field(FieldError::new(kind, vec![json!("body"), json!(field)], msg))
        };
        let target = match (self.ids, self.filter) {
            (Some(_), Some(_)) => return Err(complain("filter", "not_both", "Give ids or filter, not both")),
            (None, None) => return Err(complain("ids", "missing", "Say which jobs: give ids or filter")),
            (Some(ids), None) if ids.len() > MAX_BULK => {
                let msg = format!("List should have at most {MAX_BULK} items");
                return Err(complain("ids", "too_long", &msg));
            }
            (Some(ids), None) => Target::Ids(ids),
            (None, Some(filter)) => Target::Filter {
                filter: read_filter(&filter)?,
                after: match &self.cursor {
                    Some(text) => Some(open_cursor(text, "body").map_err(|error| Problem::field(*error))?),
                    None => None,
                },
                limit: self.limit.unwrap_or(DEFAULT_LIMIT),
            },
        };
        Ok(BulkOrder { action: self.action, target, reason: self.reason })
    }
}

fn read_filter(filter: &Value) -> Result<JobFilter, Problem> {
    let inner = |mut error: FieldError| {
        error.loc.insert(1, json!("filter"));
        error
    };
    fields::check(filter, FILTER_FIELDS)
        .map_err(|errors| Problem::fields(errors.into_iter().map(inner).collect()))?;
    let found: BulkFilter = serde_json::from_value(filter.clone()).unwrap_or_default();
    let filter = JobFilter {
        state: found.state.as_deref().and_then(StateFilter::parse),
        agent: found.agent,
        workflow_id: found.workflow_id,
        older_than: found.older_than_seconds.map(Duration::from_secs),
    };
    if filter.state.is_none()
        && filter.agent.is_none()
        && filter.workflow_id.is_none()
        && filter.older_than.is_none()
    {
        let msg = "A filter needs at least one of state, agent, workflow_id and older_than_seconds";
        return Err(Problem::field(FieldError::new("missing", vec![json!("body"), json!("filter")], msg)));
    }
    Ok(filter)
}

/// What a bulk call has done.
#[derive(Serialize, ToSchema)]
pub struct BulkAnswer {
    /// How many jobs were looked at.
    looked_at: usize,
    /// To how many it was done.
    done: usize,
    /// To which it could not be done, and why; at most 100 of them.
    skipped: Vec<Skipped>,
    /// To how many it could not be done.
    skipped_in_all: usize,
    /// Send it as `cursor` to go on; null when there is nothing left to look at.
    next_cursor: Option<String>,
}

/// Retry, cancel or delete many jobs
///
/// One call looks at a bounded number of jobs and says in `next_cursor` where the next call goes on. What
/// cannot be done to one job does not hinder the others. To delete takes a key of scope `admin`.
#[utoipa::path(
    post,
    path = "/jobs/bulk",
    tag = "jobs",
    operation_id = "bulk_jobs",
    request_body(content = BulkRequest, description = "What is to be done with which jobs",
        content_type = "application/json"),
    responses((status = 200, description = "What was done", body = BulkAnswer, example = json!({
        "looked_at": 100, "done": 99, "skipped": [{"id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11",
            "why": "job cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11 is queued; only failed jobs are retried"}],
        "skipped_in_all": 1, "next_cursor": "MTc2Mzg…"})))
)]
pub async fn bulk(state: Data<HttpState>, caller: Caller, body: Body<BulkRequest>) -> Answer<BulkAnswer> {
    if body.0.action == BulkAction::Delete {
        caller.require(Scope::Admin)?;
    }
    let order = body.0.order()?;
    let cursor = match &order.target {
        Target::Filter { after, .. } => after.clone(),
        Target::Ids(_) => None,
    };
    let report = state.services.jobs.bulk(&order).await.map_err(Paging::failed(&cursor))?;
    Ok(Json(BulkAnswer {
        looked_at: report.looked_at,
        done: report.done,
        skipped: report.skipped,
        skipped_in_all: report.skipped_in_all,
        next_cursor: report.next.as_ref().map(seal_cursor),
    }))
}
