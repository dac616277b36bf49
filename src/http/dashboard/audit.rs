//! The audit log: who has changed what.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::Visitor,
    page::{PageError, Shell, answer},
    workflows::PAGE,
};
use crate::{
    http::{HttpState, render::segment},
    model::{AuditEntry, AuditOutcome, is_valid_id, iso},
    service::audit::AuditFilter,
    store::Cursor,
};

/// Which entries a page lists.
#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    key: String,
    #[serde(default)]
    operation: String,
    after: Option<String>,
}

#[derive(Serialize)]
struct AuditRow {
    operation: String,
    path: String,
    /// The word of a badge, and how it looks.
    outcome: &'static str,
    kind: &'static str,
    status: u16,
    key: Option<String>,
    ip: Option<String>,
    at: String,
    request_id: String,
}

impl AuditRow {
    fn new(entry: AuditEntry) -> Self {
        Self {
            outcome: entry.outcome.as_str(),
            kind: match entry.outcome {
                AuditOutcome::Done => "completed",
                AuditOutcome::Refused => "cancelled",
                AuditOutcome::Failed => "failed",
            },
            at: iso::format(&entry.at),
            operation: entry.operation,
            path: entry.path,
            status: entry.status,
            key: entry.key,
            ip: entry.ip,
            request_id: entry.request_id,
        }
    }
}

#[derive(Serialize)]
struct AuditPage {
    key: String,
    operation: String,
    rows: Vec<AuditRow>,
    shown: usize,
    newest: Option<String>,
    older: Option<String>,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = query.into_inner();
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| is_valid_id(text));
    let filter = AuditFilter { key: given(&asked.key), operation: given(&asked.operation), since: None };
    let page = state.services.audit.list(&filter, PAGE, asked.after.clone().map(Cursor)).await?;
    let path = |after: Option<&str>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("key", &filter.key), ("operation", &filter.operation)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        match after {
            Some(after) => format!("/dashboard/audit?{query}&after={}", segment(after)),
            None => format!("/dashboard/audit?{query}"),
        }
    };
    let page = AuditPage {
        newest: asked.after.as_ref().map(|_| path(None)),
        older: page.next.as_ref().map(|next| path(Some(&next.0))),
        shown: page.entries.len(),
        rows: page.entries.into_iter().map(AuditRow::new).collect(),
        key: filter.key.unwrap_or_default(),
        operation: filter.operation.unwrap_or_default(),
    };
    let shell = Shell::new(&state, &visitor, "System", "Audit log");
    answer(StatusCode::OK, "audit.html", &shell, &page)
}
