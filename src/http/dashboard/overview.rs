//! The first page: a brief, what goes on, and what needs a person.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::{Visitor, now},
    form::{AgentChoice, BriefForm},
    job_line::JobLine,
    jobs::paused,
    page::{IDLE, LIVE, PageError, Shell, answer},
    provider_line::{DayLine, ProviderLine},
    queues::{QueueLine, WorkerLine},
    throughput::{Period, Throughput},
    workflow_view::WorkflowRow,
};
use crate::{
    http::{HttpState, render::grouped},
    model::{JobState, iso},
    service::jobs::{JobFilter, StateFilter},
};

/// Rows of "Newest workflows".
const RECENT: usize = 8;
/// Jobs of each state that are shown as being at work.
const OF_EACH: usize = 5;
/// Days of the chart.
const DAYS: u32 = 14;

#[derive(Serialize)]
struct Alert {
    kind: &'static str,
    text: String,
    /// Where to look, and what that link says.
    href: Option<&'static str>,
    link: &'static str,
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
    workers: Vec<WorkerLine>,
    queues: Vec<QueueLine>,
    parked: u64,
    /// What runs and what waits, with the reason.
    at_work: Vec<JobLine>,
    providers: Vec<ProviderLine>,
    today: DayLine,
    chart: Throughput,
    /// Whether the chart tells days.
    by_day: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    chart: String,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let services = &state.services;
    let queues = services.queues.list().await?;
    let workers = services.workers.list().await?;
    let providers = services.providers.list().await?;
    let by_day = query.chart == "days";
    let overview = services.system.overview().await?;
    let recent = services.workflows.list(RECENT, None).await?;
    let agents = services.agents.list().await?;
    let now = now(&state);
    let form = BriefForm::default();
    let taking: usize = overview.workers.iter().filter(|w| !w.draining).map(|w| w.slots).sum();
    let mut alerts = Vec::new();
    let open = overview.queued + overview.due + queues.parked;
    if taking == 0 && open > 0 {
        let text = format!("{} and no worker takes any. Start `productforge worker`.", wait(open));
        alerts.push(Alert { kind: "bad", text, href: Some("/dashboard/system"), link: "Checklist" });
    }
    let stopped = queues.queues.iter().filter(|queue| queue.paused && queue.depth > 0);
    for queue in stopped {
        let text = format!("The {} queue is paused: {} in it.", queue.name, wait(queue.depth));
        alerts.push(Alert { kind: "warn", text, href: Some("/dashboard/queues"), link: "Queues" });
    }
    for provider in providers.iter().filter(|provider| provider.circuit.is_some()) {
        let text = format!("The provider {} is not asked now.", provider.info.name);
        alerts.push(Alert { kind: "bad", text, href: Some("#providers"), link: "Why" });
    }
    if overview.dead > 0 {
        let are = if overview.dead == 1 { "job is" } else { "jobs are" };
        let text = format!("{} {are} dead: failed for good, or not readable.", grouped(overview.dead));
        alerts.push(Alert { kind: "warn", text, href: Some("/dashboard/jobs?state=dead"), link: "Look" });
    }
    let page = OverviewPage {
        agents: form.choices(&agents),
        form,
        alerts,
        running: overview.running,
        completed: overview.completed,
        failed: overview.failed,
        waiting: overview.queued + queues.parked,
        due: overview.due,
        busy: overview.leased,
        slots: overview.workers.iter().map(|w| w.slots).sum(),
        results: overview.results,
        model: overview.model,
        provider: overview.provider,
        store: overview.store,
        uptime: overview.uptime_seconds,
        recent: recent.items.iter().map(|w| WorkflowRow::new(w, now)).collect(),
        workers: workers.iter().map(|worker| WorkerLine::new(worker, now)).collect(),
        at_work: at_work(&state, paused(&queues)).await?,
        queues: queues.queues.iter().map(|queue| QueueLine::new(queue, queues.ready)).collect(),
        parked: queues.parked,
        providers: providers.iter().map(ProviderLine::new).collect(),
        today: DayLine::new(&services.usage.today().await?),
        chart: if by_day { days(&state).await? } else { hours(&state).await? },
        by_day,
    };
    let live = page.running > 0 || page.busy > 0 || page.waiting + page.due > 0;
    let shell = Shell::new(&state, &visitor, "Overview", "Overview").live(if live { LIVE } else { IDLE });
    answer(StatusCode::OK, "overview.html", &shell, &page)
}

fn wait(jobs: u64) -> String {
    if jobs == 1 { "1 job waits".to_owned() } else { format!("{} jobs wait", grouped(jobs)) }
}

/// The newest jobs that have not ended: what runs first, then what waits.
async fn at_work(state: &HttpState, paused: [bool; 3]) -> Result<Vec<JobLine>, PageError> {
    let mut lines = Vec::new();
    for job_state in [JobState::Running, JobState::Queued, JobState::Scheduled] {
        let filter = JobFilter { state: Some(StateFilter::Is(job_state)), ..JobFilter::default() };
        let page = state.services.jobs.list(&filter, OF_EACH, None).await?;
        lines.extend(page.rows.iter().map(|row| JobLine::new(row, paused)));
    }
    Ok(lines)
}

async fn hours(state: &HttpState) -> Result<Throughput, PageError> {
    let trends = state.services.analytics.trends().await?;
    let periods: Vec<_> = trends
        .series
        .iter()
        .map(|point| Period {
            from: iso::format(&point.from),
            label: point.from.format("%H:%M").to_string(),
            ended: point.count,
            failed: point.failed,
        })
        .collect();
    Ok(Throughput::new(&periods, "the last 24 hours", 6))
}

async fn days(state: &HttpState) -> Result<Throughput, PageError> {
    let days = state.services.analytics.days(DAYS).await?;
    let periods: Vec<_> = days
        .iter()
        .map(|(day, figures)| Period {
            from: format!("{day}T00:00:00+00:00"),
            label: day.get(5..).unwrap_or(day).to_owned(),
            ended: figures.all.total(),
            failed: figures.all.failed,
        })
        .collect();
    Ok(Throughput::new(&periods, "the last 14 days", 3))
}
