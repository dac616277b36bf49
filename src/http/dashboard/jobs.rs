//! Jobs: the lists by state, and what is done to several at once.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::{Posted, Visitor},
    job_line::JobLine,
    notice::see_other_saying,
    page::{IDLE, LIVE, PageError, Shell, answer},
    workflows::PAGE,
};
use crate::{
    http::{HttpState, render::segment},
    model::{Scope, is_valid_id},
    service::{
        ServiceError,
        jobs::{BulkAction, BulkOrder, JobFilter, StateFilter, Target},
        queues::QueuesOverview,
    },
    store::Cursor,
};

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    workflow: String,
    after: Option<String>,
}

#[derive(Serialize)]
struct Tab {
    label: &'static str,
    href: String,
    count: Option<u64>,
    current: bool,
}

#[derive(Serialize)]
struct JobsPage {
    tabs: Vec<Tab>,
    state: String,
    agent: String,
    workflow: String,
    rows: Vec<JobLine>,
    shown: usize,
    total: Option<u64>,
    newest: Option<String>,
    older: Option<String>,
    /// This very page, to come back to.
    here: String,
    can_retry: bool,
    can_cancel: bool,
    can_delete: bool,
}

/// Which queues are paused, most urgent first.
pub fn paused(queues: &QueuesOverview) -> [bool; 3] {
    let is_paused = |n: usize| queues.queues.get(n).is_some_and(|queue| queue.paused);
    [is_paused(0), is_paused(1), is_paused(2)]
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = query.into_inner();
    let wanted = match asked.state.as_str() {
        "" => None,
        word => {
            let found = StateFilter::parse(word);
            Some(found.ok_or_else(|| PageError::NotFound(format!("Jobs have no state '{word}'.")))?)
        }
    };
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = JobFilter {
        state: wanted,
        agent: given(&asked.agent).filter(|name| is_valid_id(name)),
        workflow_id: given(&asked.workflow).filter(|id| is_valid_id(id)),
        older_than: None,
    };
    let services = &state.services;
    let found = services.jobs.list(&filter, PAGE, asked.after.clone().map(Cursor)).await?;
    let counts = services.jobs.counts().await?;
    let paused = paused(&services.queues.list().await?);
    let open: u64 = counts.iter().take(3).map(|(_, count)| count).sum();
    let fixed = [("agent", &filter.agent), ("workflow", &filter.workflow_id)];
    let path = |word: &str, after: Option<&str>| {
        let state = Some(word.to_owned()).filter(|word| !word.is_empty());
        let after = after.map(str::to_owned);
        let parts = [("state", &state), fixed[0], fixed[1], ("after", &after)];
        address(&parts)
    };
    let tab =
        |label, word: &str, count| Tab { label, href: path(word, None), count, current: asked.state == word };
    let mut tabs = vec![tab("All", "", None)];
    tabs.extend(counts.iter().map(|(word, count)| tab(label(word), word, Some(*count))));
    let ended = |word: &str| matches!(word, "completed" | "failed" | "cancelled" | "dead");
    let page = JobsPage {
        can_retry: matches!(asked.state.as_str(), "" | "failed" | "dead"),
        can_cancel: !ended(&asked.state),
        can_delete: asked.state.is_empty() || ended(&asked.state),
        rows: found.rows.iter().map(|row| JobLine::new(row, paused)).collect(),
        shown: found.rows.len(),
        total: found.total,
        newest: asked.after.as_ref().map(|_| path(&asked.state, None)),
        older: found.next.as_ref().map(|cursor| path(&asked.state, Some(&cursor.0))),
        here: path(&asked.state, asked.after.as_deref()),
        agent: filter.agent.clone().unwrap_or_default(),
        workflow: filter.workflow_id.clone().unwrap_or_default(),
        state: asked.state.clone(),
        tabs,
    };
    let shell = Shell::new(&state, &visitor, "Jobs", "Jobs").live(if open > 0 { LIVE } else { IDLE });
    answer(StatusCode::OK, "jobs.html", &shell, &page)
}

fn label(word: &str) -> &'static str {
    match word {
        "queued" => "Queued",
        "running" => "Running",
        "scheduled" => "Scheduled",
        "completed" => "Completed",
        "failed" => "Failed",
        "cancelled" => "Cancelled",
        _ => "Dead set",
    }
}

/// The address of a list with what is asked for.
fn address(parts: &[(&str, &Option<String>)]) -> String {
    let given = parts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query: Vec<_> = given.map(|(name, value)| format!("{name}={}", segment(value))).collect();
    match query.is_empty() {
        true => "/dashboard/jobs".to_owned(),
        false => format!("/dashboard/jobs?{}", query.join("&")),
    }
}

/// A button below the list: does something to all that are ticked, or to all that were listed.
pub async fn bulk(state: web::Data<HttpState>, posted: Posted) -> Result<HttpResponse, PageError> {
    let (action, code) = match posted.field("action") {
        "retry" => (BulkAction::Retry, "job-retried"),
        "cancel" => (BulkAction::Cancel, "job-cancelled"),
        "delete" => (BulkAction::Delete, "job-deleted"),
        _ => {
            let why = "Say what is to be done: retry, cancel or delete.".to_owned();
            return Err(PageError::BadRequest(StatusCode::UNPROCESSABLE_ENTITY, why));
        }
    };
    if action == BulkAction::Delete {
        posted.visitor.require(Scope::Admin)?;
    }
    let here = way_back(posted.field("here"));
    let mut ids = posted.all(if posted.field("all") == "true" { "listed" } else { "id" });
    ids.retain(|id| is_valid_id(id));
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(see_other_saying(here, "nothing-chosen", None));
    }
    let order = BulkOrder { action, target: Target::Ids(ids), reason: None };
    let report = state.services.jobs.bulk(&order).await?;
    let code = if report.done == 0 { "nothing-done" } else { code };
    Ok(see_other_saying(here, code, Some(report.done as u64)))
}

/// The list that a form came from, and no other place.
fn way_back(given: &str) -> &str {
    let is_list = given == "/dashboard/jobs" || given.starts_with("/dashboard/jobs?");
    let is_plain = given.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    if is_list && is_plain && given.len() <= 2_000 { given } else { "/dashboard/jobs" }
}

/// Forms answer with 422 what a person can correct.
pub fn is_correctable(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Invalid(_) | ServiceError::Conflict(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_a_list_and_nowhere_else() {
        for good in ["/dashboard/jobs", "/dashboard/jobs?state=dead&after=1%3A2"] {
            assert_eq!(way_back(good), good);
        }
        for bad in
            ["", "//evil.example", "/dashboard/jobs?a\r\nb: c", "/dashboard/jobs/../../x", "https://x/"]
        {
            assert_eq!(way_back(bad), "/dashboard/jobs", "{bad:?}");
        }
    }

    #[test]
    fn an_address_has_only_what_was_asked_for() {
        let state = Some("dead".to_owned());
        let agent = Some("a&b".to_owned());
        assert_eq!(address(&[("state", &None), ("agent", &None)]), "/dashboard/jobs");
        assert_eq!(
            address(&[("state", &state), ("agent", &agent)]),
            "/dashboard/jobs?state=dead&agent=a%26b"
        );
    }
}
