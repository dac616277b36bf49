//! Agents: how they do, each of them, and the form that makes and changes them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Posted, Visitor},
    agent_form::AgentForm,
    notice::see_other_saying,
    page::{IDLE, PageError, Shell, answer},
    period::{Period, period_of},
};
use crate::{
    http::{
        HttpState,
        draw::{Bar, Chart, Unit, bars},
        render::segment,
    },
    model::{Agent, iso},
    service::{
        ServiceError,
        analytics::{AgentFigures, Leaderboard, name_of},
    },
};

/// Bars of a chart.
const BARS: usize = 12;

#[derive(Serialize)]
struct AgentRow {
    name: String,
    href: String,
    role: String,
    description: Option<String>,
    skills: Vec<String>,
    model: String,
    task_count: u64,
    last_assigned: Option<String>,
}

impl AgentRow {
    fn new(agent: &Agent) -> Self {
        Self {
            href: path_of(&agent.name),
            last_assigned: agent.last_assigned.map(|t| iso::format(&t)),
            name: agent.name.clone(),
            role: agent.role.clone(),
            description: agent.description.clone(),
            skills: agent.skills.clone(),
            model: agent.model.clone(),
            task_count: agent.task_count,
        }
    }
}

/// Where an agent's page is. One that is called `new` is behind the form of that path.
fn path_of(name: &str) -> String {
    let edit = if name == "new" { "/edit" } else { "" };
    format!("/dashboard/agents/{}{edit}", segment(name))
}

/// A row of the leaderboard.
#[derive(Serialize)]
struct Standing {
    #[serde(flatten)]
    figures: AgentFigures,
    /// The page of the agent, if it is registered.
    href: Option<String>,
    cost: Option<String>,
    cost_per_accepted: Option<String>,
}

impl Standing {
    fn new(figures: AgentFigures, agents: &[Agent]) -> Self {
        let agent = agents.iter().find(|agent| name_of(&agent.name) == figures.agent);
        Self {
            href: agent.map(|agent| path_of(&agent.name)),
            cost: figures.cost_usd.map(|usd| usd.to_string()),
            cost_per_accepted: figures.cost_per_accepted_usd.map(|usd| usd.to_string()),
            figures,
        }
    }
}

#[derive(Serialize)]
struct AgentsPage {
    agents: Vec<AgentRow>,
    periods: Vec<Period>,
    days: u32,
    board: Vec<Standing>,
    charts: Vec<Chart>,
}

pub async fn list(
    visitor: Visitor,
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, PageError> {
    let days = period_of(&request);
    let agents = state.services.agents.list().await?;
    let board = state.services.analytics.leaderboard(days).await?;
    let page = AgentsPage {
        periods: Period::all("/dashboard/agents", days, "#leaderboard"),
        days,
        charts: if board.agents.is_empty() { Vec::new() } else { charts(&board) },
        board: board.agents.into_iter().map(|figures| Standing::new(figures, &agents)).collect(),
        agents: agents.iter().map(AgentRow::new).collect(),
    };
    let shell = Shell::new(&state, &visitor, "Agents", "Agents").live(IDLE);
    answer(StatusCode::OK, "agents.html", &shell, &page)
}

fn charts(board: &Leaderboard) -> Vec<Chart> {
    let busy = board.agents.iter().take(BARS);
    let jobs = busy.map(|agent| Bar {
        name: agent.agent.clone(),
        parts: [agent.completed, agent.failed, agent.cancelled].map(|n| n as f64).into(),
        more: Vec::new(),
    });
    let judged = board.agents.iter().filter(|agent| agent.reviewed > 0).take(BARS);
    let accepted = judged.map(|agent| Bar::new(&agent.agent, agent.accepted_first_rate.unwrap_or(0.0)));
    let parts = ["completed", "failed", "cancelled"];
    vec![
        bars("jobs", "Jobs by agent", "Agent", Unit::Count("jobs"), &parts, &jobs.collect::<Vec<_>>())
            .classes(&["good", "bad", "still"]),
        bars(
            "accepted",
            "Accepted at first review",
            "Agent",
            Unit::Share,
            &["accepted at first review"],
            &accepted.collect::<Vec<_>>(),
        ),
    ]
}

#[derive(Serialize)]
struct AgentPage {
    agent: AgentRow,
    prompt: Option<String>,
    fallback_models: Vec<String>,
    tools: Vec<String>,
    max_concurrency: Option<u32>,
    usd_per_day: Option<String>,
    tokens_per_day: Option<u64>,
    created_at: String,
    days: u32,
    standing: Option<Standing>,
}

pub async fn show(
    visitor: Visitor,
    request: HttpRequest,
    state: web::Data<HttpState>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let days = period_of(&request);
    let agent = state.services.agents.get(&name).await?;
    let board = state.services.analytics.leaderboard(days).await?;
    let own = name_of(&agent.name);
    let figures = board.agents.into_iter().find(|figures| figures.agent == own);
    let budget = agent.budget.unwrap_or_default();
    let page = AgentPage {
        standing: figures.map(|figures| Standing::new(figures, std::slice::from_ref(&agent))),
        days,
        usd_per_day: budget.usd_per_day.map(|usd| usd.to_string()),
        tokens_per_day: budget.tokens_per_day,
        created_at: iso::format(&agent.created_at),
        agent: AgentRow::new(&agent),
        prompt: agent.prompt,
        fallback_models: agent.fallback_models,
        tools: agent.tools,
        max_concurrency: agent.max_concurrency,
    };
    let shell = Shell::new(&state, &visitor, "Agents", page.agent.name.clone()).live(IDLE);
    answer(StatusCode::OK, "agent.html", &shell, &page)
}

#[derive(Serialize)]
struct FormPage {
    form: AgentForm,
    /// The agent that is changed; `None` for a new one.
    edited: Option<String>,
    action: String,
    /// Where "Cancel" leads.
    back: String,
}

fn form_page(
    status: StatusCode,
    state: &HttpState,
    visitor: &Visitor,
    form: AgentForm,
    edited: Option<String>,
) -> Result<HttpResponse, PageError> {
    let title = edited.as_ref().map_or_else(|| "New agent".to_owned(), |name| format!("Edit {name}"));
    let page = FormPage {
        form,
        action: edited.as_ref().map_or_else(
            || "/dashboard/agents/new".to_owned(),
            |name| format!("/dashboard/agents/{}/edit", segment(name)),
        ),
        back: match edited.as_deref() {
            None | Some("new") => "/dashboard/agents".to_owned(),
            Some(name) => path_of(name),
        },
        edited,
    };
    let shell = Shell::new(state, visitor, "Agents", title);
    answer(status, "agent_form.html", &shell, &page)
}

pub async fn new(visitor: Visitor, state: web::Data<HttpState>) -> Result<HttpResponse, PageError> {
    form_page(StatusCode::OK, &state, &visitor, AgentForm::empty(), None)
}

pub async fn edit(
    visitor: Visitor,
    state: web::Data<HttpState>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let agent = state.services.agents.get(&name).await?;
    form_page(StatusCode::OK, &state, &visitor, AgentForm::of(&agent), Some(agent.name))
}

pub async fn create(state: web::Data<HttpState>, posted: Posted) -> Result<HttpResponse, PageError> {
    let mut form = AgentForm::read(&posted.fields);
    // Registering replaces: whoever makes a new one must not lose another one by it.
    let taken = match form.name.trim() {
        "" => false,
        name => state.services.agents.find(name).await?.is_some(),
    };
    if taken {
        let text = "There is an agent of this name. Edit that one, or choose another name";
        form.problems.insert("name".to_owned(), text.to_owned());
        return form_page(StatusCode::UNPROCESSABLE_ENTITY, &state, &posted.visitor, form, None);
    }
    save(&state, &posted.visitor, form, None).await
}

pub async fn update(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    let agent = state.services.agents.get(&name).await?;
    let mut form = AgentForm::read(&posted.fields);
    form.name.clone_from(&agent.name);
    save(&state, &posted.visitor, form, Some(agent.name)).await
}

/// Registers what the form says, as the API does.
async fn save(
    state: &HttpState,
    visitor: &Visitor,
    mut form: AgentForm,
    edited: Option<String>,
) -> Result<HttpResponse, PageError> {
    if let Some(new) = form.order() {
        match state.services.agents.register(new).await {
            Ok(agent) => return Ok(see_other_saying(&path_of(&agent.name), "agent-saved", None)),
            Err(error) => form.complain(error)?,
        }
    }
    form_page(StatusCode::UNPROCESSABLE_ENTITY, state, visitor, form, edited)
}

pub async fn delete(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    _posted: Posted,
) -> Result<HttpResponse, PageError> {
    match state.services.agents.delete(&name).await {
        // Twice is once.
        Ok(()) | Err(ServiceError::NotFound(_)) => {
            Ok(see_other_saying("/dashboard/agents", "agent-deleted", None))
        }
        Err(error) => Err(error.into()),
    }
}
