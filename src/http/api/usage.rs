//! Usage: tokens and cost by day, model and agent.

use actix_web::{
    HttpRequest,
    web::{Data, Json},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        HttpState,
        error::{FieldError, Problem},
        extract::query_value,
    },
    service::usage::{DayUsage, MAX_DAYS},
};

/// What model calls have used.
#[derive(Serialize, ToSchema)]
pub struct UsageReport {
    /// The newest day first; days of UTC.
    days: Vec<DayUsage>,
}

/// Tokens and cost by day
///
/// What answered model calls have used on each of the last days, in all, by model and by agent. Every call
/// is counted once, in the write that keeps its answer. A cost is the sum of what is known: calls of
/// unknown price are counted in `unpriced_calls` and are not taken for free.
#[utoipa::path(
    get,
    path = "/usage",
    tag = "system",
    operation_id = "get_usage",
    params(("days" = Option<u32>, Query, description = "How many days up to today, 1 to 92", minimum = 1,
        maximum = 92, example = 7)),
    responses((status = 200, description = "The days", body = UsageReport, example = json!({"days": [{
        "day": "2026-11-22",
        "total": {"calls": 2, "requests": 2, "prompt_tokens": 900, "cached_tokens": 0, "completion_tokens": 300,
            "reasoning_tokens": 0, "total_tokens": 1200, "cost_usd": 0.000315, "unpriced_calls": 0,
            "estimated_calls": 0, "seconds": 4.2},
        "by_model": {"openai/gpt-4o-mini-2024-07-18": {"calls": 2, "requests": 2, "prompt_tokens": 900,
            "cached_tokens": 0, "completion_tokens": 300, "reasoning_tokens": 0, "total_tokens": 1200,
            "cost_usd": 0.000315, "unpriced_calls": 0, "estimated_calls": 0, "seconds": 4.2}},
        "by_agent": {"general_assistant": {"calls": 2, "requests": 2, "prompt_tokens": 900, "cached_tokens": 0,
            "completion_tokens": 300, "reasoning_tokens": 0, "total_tokens": 1200, "cost_usd": 0.000315,
            "unpriced_calls": 0, "estimated_calls": 0, "seconds": 4.2}}}]})))
)]
pub async fn get(state: Data<HttpState>, req: HttpRequest) -> Answer<UsageReport> {
    let days = match query_value(&req, "days").as_deref() {
        None | Some("") => 7,
        Some(text) => text.parse().ok().filter(|n| (1..=MAX_DAYS).contains(n)).ok_or_else(|| {
            let loc = vec![json!("query"), json!("days")];
            let message = format!("Input should be a whole number from 1 to {MAX_DAYS}");
            Problem::field(FieldError::new("int_parsing", loc, &message).input(json!(text)))
        })?,
    };
    Ok(Json(UsageReport { days: state.services.usage.days(days).await? }))
}
