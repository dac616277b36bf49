//! Who may do what: the one table, by method and path.
//!
//! A route that is not in it is closed to all but `admin`, and a test says that it is missing. The paths are those of the
//! route tables (`routes.rs`, `dashboard/routes.rs`), and what a request needs is looked up by the entry of that table
//! which took the request, not by its path: there is no second reading of a path that could differ from the first.
//!
//! What a route does only sometimes is looked at by its handler (`Caller::require`): deleting many at once, and on the
//! dashboard deletions and budgets, needs `admin`.

use actix_web::{
    Error, HttpMessage,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};

use super::{caller::Caller, error::Problem};
use crate::model::Scope;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// Nothing: it shows no data.
    Nothing,
    /// A key, or a session, of this scope or a larger one.
    Scope(Scope),
}

const NOTHING: &[&str] = &[
    "get /",
    "get /system/ping",
    "get /system/health",
    "get /openapi.json",
    "get /docs",
    "get /docs/{file}",
    "get /redoc",
    "get /dashboard/ping",
    "get /dashboard/help",
    "get /dashboard/login",
    "post /dashboard/login",
];

/// To look at everything but keys.
const READ: &[&str] = &[
    "get /system/status",
    "get /system/verify",
    "get /metrics",
    "get /metrics/json",
    "get /analytics/summary",
    "get /analytics/trends",
    "get /analytics/agents",
    "get /reports",
    "get /reports/{filename}",
    "get /usage",
    "get /providers",
    "get /workers",
    "get /queues",
    "get /jobs",
    "get /jobs/{job_id}",
    "get /jobs/{job_id}/partial",
    "get /agents/",
    "get /agents/ping",
    "get /agents/{name}",
    "get /workflows",
    "get /workflows/{workflow_id}",
    "get /workflows/{workflow_id}/events",
    "get /events",
    "get /workflows/{workflow_id}/calls",
    "get /workflows/{workflow_id}/export/{format}",
    "get /upload/ping",
    "get /upload/list",
    "get /upload/{upload_id}",
    "get /upload/{upload_id}/report",
    "get /results/",
    "get /results/ping",
    "get /results/task/{job_id}",
    "get /results/workflow/{workflow_id}",
    "get /results/agent/{name}",
    "get /results/export/{format}",
    "get /results/performance/export",
    "get /results/{job_id}",
    "get /keys/me",
    "get /dashboard",
    "post /dashboard/logout",
    "get /dashboard/events",
    "get /dashboard/workflows",
    "get /dashboard/workflows/{id}",
    "get /dashboard/workflows/{id}/events",
    "get /dashboard/workflows/{id}/steps/{anchor}",
    "get /dashboard/workflows/{id}/export/{format}",
    "get /dashboard/agents",
    "get /dashboard/agents/{name}",
    "get /dashboard/results",
    "get /dashboard/results/export/{format}",
    "get /dashboard/results/{job_id}",
    "get /dashboard/results/{job_id}/raw",
    "get /dashboard/uploads",
    "get /dashboard/uploads/{id}",
    "get /dashboard/analytics",
    "get /dashboard/reports",
    "get /dashboard/reports/{file}",
    "get /dashboard/reports/{file}/markdown",
    "get /dashboard/jobs",
    "get /dashboard/jobs/{id}",
    "get /dashboard/queues",
    "get /dashboard/system",
];

/// To give work and to steer it.
const RUN: &[&str] = &[
    "post /reports/generate",
    "post /jobs/bulk",
    "post /jobs/{job_id}/cancel",
    "post /jobs/{job_id}/retry",
    "post /orchestrate",
    "post /workflows/bulk",
    "post /workflows/{workflow_id}/pause",
    "post /workflows/{workflow_id}/resume",
    "post /workflows/{workflow_id}/cancel",
    "post /workflows/{workflow_id}/retry",
    "post /workflows/{workflow_id}/approve",
    "post /workflows/{workflow_id}/reject",
    "post /workflows/{workflow_id}/fork",
    "post /upload/",
    "post /admin_review",
    "post /results/task",
    "post /results/{job_id}/pin",
    "post /results/{job_id}/unpin",
    "get /dashboard/brief",
    "post /dashboard/brief",
    "post /dashboard/workflows",
    "post /dashboard/workflows/bulk",
    "get /dashboard/workflows/{id}/fork",
    "post /dashboard/workflows/{id}/fork",
    "post /dashboard/workflows/{id}/{action}",
    "post /dashboard/results/{job_id}/{verb}",
    "post /dashboard/uploads",
    "post /dashboard/reports",
    "post /dashboard/jobs",
    "post /dashboard/jobs/{id}/cancel",
    "post /dashboard/jobs/{id}/retry",
];

/// To delete, and to change what all work depends on.
const ADMIN: &[&str] = &[
    "post /providers/{name}/reset",
    "post /workers/{worker_id}/drain",
    "post /queues/{name}/pause",
    "post /queues/{name}/resume",
    "delete /jobs/{job_id}",
    "post /agents/",
    "delete /agents/{name}",
    "delete /workflows/{workflow_id}",
    "post /workflows/{workflow_id}/budget",
    "delete /upload/{upload_id}",
    "delete /results/{job_id}",
    "get /keys",
    "post /keys",
    "get /keys/{key_id}",
    "delete /keys/{key_id}",
    "get /audit",
    "post /system/backup",
    "get /dashboard/agents/new",
    "post /dashboard/agents/new",
    "get /dashboard/agents/{name}/edit",
    "post /dashboard/agents/{name}/edit",
    "post /dashboard/agents/{name}/delete",
    "post /dashboard/uploads/{id}/delete",
    "post /dashboard/jobs/{id}/delete",
    "post /dashboard/queues/{name}/pause",
    "post /dashboard/queues/{name}/resume",
    "post /dashboard/workers/{id}/drain",
    "post /dashboard/providers/{name}/reset",
    "get /dashboard/keys",
    "get /dashboard/audit",
    "post /dashboard/keys",
    "post /dashboard/keys/{id}/revoke",
];

const TABLE: [(Needed, &[&str]); 4] = [
    (Needed::Nothing, NOTHING),
    (Needed::Scope(Scope::Read), READ),
    (Needed::Scope(Scope::Run), RUN),
    (Needed::Scope(Scope::Admin), ADMIN),
];

/// What the table says of a route; `None` when it is not in it.
pub fn listed(method: &str, path: &str) -> Option<Needed> {
    let is =
        |row: &&str| row.split_once(' ').is_some_and(|(m, p)| m.eq_ignore_ascii_case(method) && p == path);
    TABLE.iter().find(|(_, rows)| rows.iter().any(is)).map(|(needed, _)| *needed)
}

/// All rows, for tests and for the document.
pub fn rows() -> impl Iterator<Item = (Needed, &'static str)> {
    TABLE.iter().flat_map(|(needed, rows)| rows.iter().map(|row| (*needed, *row)))
}

/// What the methods of one route need.
#[derive(Debug, Clone)]
pub struct Rights(Vec<(Method, Needed)>);

impl Rights {
    /// Of a route and its methods. What is not listed needs the most.
    pub fn of(path: &str, methods: &[&str]) -> Self {
        let needed = |method: &&str| {
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or(Method::TRACE);
            (verb, listed(method, path).unwrap_or(Needed::Scope(Scope::Admin)))
        };
        Self(methods.iter().map(needed).collect())
    }

    /// What a request needs; `None` for a method that the route does not know, which is answered so.
    pub fn needed(&self, method: &Method) -> Option<Needed> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|(known, _)| known == method).map(|(_, needed)| *needed)
    }
}

/// The lock of a route of the API: who may not, gets no further than here.
pub async fn enforce(
    rights: Rights,
    req: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(Needed::Scope(needed)) = rights.needed(req.method()) {
        let caller = req.extensions().get::<Caller>().cloned().unwrap_or_default();
        if let Err(problem) = caller.require(needed) {
            return Ok(req.error_response(problem));
        }
    }
    next.call(req).await
}

/// Says what a route of the dashboard needs; its handlers' `Visitor` and `Posted` are the lock.
pub async fn announce(
    rights: Rights,
    req: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(needed) = rights.needed(req.method()) {
        req.extensions_mut().insert(needed);
    }
    next.call(req).await
}

/// What the route that took a request needs: the most, where nobody says.
pub fn announced(request: &actix_web::HttpRequest) -> Needed {
    request.extensions().get::<Needed>().copied().unwrap_or(Needed::Scope(Scope::Admin))
}

impl Problem {
    /// A key of a smaller scope than is needed.
    pub fn insufficient_scope(needed: Scope, has: Option<Scope>) -> Self {
        let needed = needed.as_str();
        let has = has.map_or("none", Scope::as_str);
        let challenge =
            format!("Bearer realm=\"ProductForge\", error=\"insufficient_scope\", scope=\"{needed}\"");
        let detail = format!("This needs a key of scope '{needed}'; the scope of this one is '{has}'");
        Self::forbidden_scope(detail, challenge)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_route_stands_in_the_table_once() {
        let all: Vec<&str> = rows().map(|(_, row)| row).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn what_is_not_listed_needs_the_most() {
        let rights = Rights::of("/nothing", &["get", "post"]);
        for method in [Method::GET, Method::HEAD, Method::POST] {
            assert_eq!(rights.needed(&method), Some(Needed::Scope(Scope::Admin)), "{method}");
        }
        assert_eq!(rights.needed(&Method::PUT), None);
        let jobs = Rights::of("/jobs/{job_id}", &["get", "delete"]);
        assert_eq!(jobs.needed(&Method::HEAD), Some(Needed::Scope(Scope::Read)));
        assert_eq!(jobs.needed(&Method::DELETE), Some(Needed::Scope(Scope::Admin)));
    }
}
