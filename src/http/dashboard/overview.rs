//! The first page: a brief, what goes on, and what needs a person.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Visitor, now},
    form::{AgentChoice, BriefForm},
    page::{IDLE, LIVE, PageError, Shell, answer},
    workflow_view::WorkflowRow,
};
use crate::{
    http::HttpState,
    model::{WorkerInfo, iso},
};

/// Rows of "Newest workflows".
const RECENT: usize = 8;

#[derive(Serialize)]
struct Alert {
    kind: &'static str,
    text: String,
}

#[derive(Serialize)]
struct WorkerRow {
    worker_id: String,
    host: String,
    pid: u32,
    slots: usize,
    busy: usize,
    draining: bool,
    seen_at: String,
}

impl WorkerRow {
    fn new(worker: &WorkerInfo) -> Self {
        Self {
            worker_id: worker.worker_id.clone(),
            host: worker.host.clone(),
            pid: worker.pid,
            slots: worker.slots,
            busy: worker.running.len(),
            draining: worker.draining,
            seen_at: iso::format(&worker.seen_at),
        }
    }
}

#[derive(Serialize)]
struct OverviewPage {
    form: BriefForm,
    agents: Vec<AgentChoice>,
    alerts: Vec<Alert>,
    running: u64,
    completed: u64,
    failed: u64,
    waiting: u64,
    due: u64,
    busy: u64,
    slots: usize,
    results: u64,
    model: String,
    provider: String,
    store: &'static str,
    uptime: f64,
    recent: Vec<WorkflowRow>,
    workers: Vec<WorkerRow>,
}

pub async fn show(visitor: Visitor, state: web::Data<HttpState>) -> Result<HttpResponse, PageError> {
    let services = &state.services;
    let overview = services.system.overview().await?;
    let recent = services.workflows.list(RECENT, None).await?;
    let agents = services.agents.list().await?;
    let now = now(&state);
    let form = BriefForm::default();
    let taking: usize = overview.workers.iter().filter(|w| !w.draining).map(|w| w.slots).sum();
    let mut alerts = Vec::new();
    let open = overview.queued + overview.due;
    if taking == 0 && open > 0 {
        let text = format!("{open} jobs wait and no worker takes them. Start `productforge worker`.");
        alerts.push(Alert { kind: "bad", text });
    }
    if overview.dead > 0 {
        let text = format!("{} jobs are dead: they failed for good or could not be read.", overview.dead);
        alerts.push(Alert { kind: "warn", text });
    }
    let page = OverviewPage {
        agents: form.choices(&agents),
        form,
        alerts,
        running: overview.running,
        completed: overview.completed,
        failed: overview.failed,
        waiting: overview.queued,
        due: overview.due,
        busy: overview.leased,
        slots: overview.workers.iter().map(|w| w.slots).sum(),
        results: overview.results,
        model: overview.model,
        provider: overview.provider,
        store: overview.store,
        uptime: overview.uptime_seconds,
        recent: recent.items.iter().map(|w| WorkflowRow::new(w, now)).collect(),
        workers: overview.workers.iter().map(WorkerRow::new).collect(),
    };
    let live = page.running > 0 || page.busy > 0 || page.waiting + page.due > 0;
    let shell = Shell::new(&state, &visitor, "Overview", "Overview").live(if live { LIVE } else { IDLE });
    answer(StatusCode::OK, "overview.html", &shell, &page)
}
