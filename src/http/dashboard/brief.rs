//! A new brief: its page with ready-made ones, and the start of a workflow.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::{Posted, Visitor, now},
    form::{AgentChoice, BriefForm, input_of},
    notice::see_other_saying,
    page::{PageError, Shell, answer, problems_of, see_other, service_status},
};
use crate::{
    http::{
        HttpState,
        briefs::{self, TemplateBrief},
        render::segment,
    },
    model::{Agent, Upload, iso},
    service::ServiceError,
};

/// Uploads to choose from: the newest.
const UPLOADS: usize = 25;

/// What a link to the form fills in.
#[derive(Debug, Default, Deserialize)]
pub struct Prefilled {
    upload_id: Option<String>,
    specialist: Option<String>,
    template_brief: Option<String>,
}

#[derive(Serialize)]
struct UploadChoice {
    upload_id: String,
    filename: String,
    uploaded_at: String,
    chosen: bool,
}

/// What is known of the price of what is about to be started.
#[derive(Serialize)]
struct Prices {
    /// The model of agents that name none.
    model: String,
    /// Dollars for a million tokens, ready to print.
    input: Option<String>,
    output: Option<String>,
    free: bool,
    /// Agents with a model of their own whose price nobody knows.
    unknown: Vec<UnknownPrice>,
}

#[derive(Serialize)]
struct UnknownPrice {
    agent: String,
    model: String,
}

#[derive(Serialize)]
struct TemplateLink {
    #[serde(flatten)]
    brief: &'static TemplateBrief,
    href: String,
    chosen: bool,
}

#[derive(Serialize)]
struct BriefPage {
    form: BriefForm,
    agents: Vec<AgentChoice>,
    uploads: Vec<UploadChoice>,
    templates: Vec<TemplateLink>,
    /// The chosen brief is about an upload, and none is chosen.
    needs_upload: bool,
    prices: Prices,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Prefilled>,
) -> Result<HttpResponse, PageError> {
    let template = query.template_brief.as_deref().and_then(briefs::find);
    let form = BriefForm {
        job: template.map_or_else(String::new, |brief| brief.text.clone()),
        upload_id: query.upload_id.clone().unwrap_or_default(),
        specialists: query.specialist.iter().cloned().collect(),
        ..BriefForm::default()
    };
    page(&state, &visitor, form, template, StatusCode::OK).await
}

pub async fn submit(state: web::Data<HttpState>, posted: Posted) -> Result<HttpResponse, PageError> {
    let Posted { visitor, fields } = posted;
    let mut form = BriefForm::read(&fields);
    let problems = match form.order() {
        Ok(order) => {
            let key = form.idempotency_key(&order);
            match state.services.workflows.start_once(order, key.as_ref(), visitor.caller.name()).await {
                Ok(started) => {
                    let path = format!("/dashboard/workflows/{}", segment(&started.answer.workflow_id));
                    return Ok(match started.replayed {
                        true => see_other_saying(&path, "brief-known", None),
                        false => see_other(&path),
                    });
                }
                Err(ServiceError::Invalid(problems)) => problems
                    .into_iter()
                    .map(|p| (input_of(p.loc.last().map_or("", String::as_str)), p.message))
                    .collect(),
                Err(error) if service_status(&error).is_client_error() => {
                    problems_of(&error).into_iter().map(|problem| ("", problem)).collect()
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(problems) => problems,
    };
    form.tell(problems);
    page(&state, &visitor, form, None, StatusCode::UNPROCESSABLE_ENTITY).await
}

async fn page(
    state: &HttpState,
    visitor: &Visitor,
    form: BriefForm,
    template: Option<&'static TemplateBrief>,
    status: StatusCode,
) -> Result<HttpResponse, PageError> {
    let agents = state.services.agents.list().await?;
    let uploads = uploads(state, &form.upload_id).await?;
    let page = BriefPage {
        agents: form.choices(&agents),
        needs_upload: template.is_some_and(|brief| brief.upload) && form.upload_id.is_empty(),
        templates: templates(template, &form),
        prices: prices(state, &agents),
        uploads,
        form,
    };
    let shell = Shell::new(state, visitor, "Workflows", "New brief");
    answer(status, "brief.html", &shell, &page)
}

/// The ready-made briefs as links that keep what the address has already chosen.
fn templates(chosen: Option<&'static TemplateBrief>, form: &BriefForm) -> Vec<TemplateLink> {
    let mut kept = String::new();
    if !form.upload_id.is_empty() {
        kept.push_str(&format!("&upload_id={}", segment(&form.upload_id)));
    }
    if let [one] = form.specialists.as_slice() {
        kept.push_str(&format!("&specialist={}", segment(one)));
    }
    let link = |brief: &'static TemplateBrief| TemplateLink {
        brief,
        href: format!("/dashboard/brief?template_brief={}{kept}", segment(&brief.name)),
        chosen: chosen.is_some_and(|chosen| chosen.name == brief.name),
    };
    briefs::all().iter().map(link).collect()
}

/// The newest uploads that are still kept, and the chosen one, however old it is.
async fn uploads(state: &HttpState, chosen: &str) -> Result<Vec<UploadChoice>, PageError> {
    let now = now(state);
    let mut uploads = state.services.uploads.list(UPLOADS, None).await?.items;
    if !chosen.is_empty() && !uploads.iter().any(|upload| upload.upload_id == chosen) {
        match state.services.uploads.get(chosen).await {
            Ok(upload) => uploads.push(upload),
            Err(ServiceError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    uploads.retain(|upload| !upload.is_over(now));
    let choice = |upload: Upload| UploadChoice {
        chosen: upload.upload_id == chosen,
        uploaded_at: iso::format(&upload.uploaded_at).chars().take(16).collect::<String>().replace('T', " "),
        filename: upload.filename,
        upload_id: upload.upload_id,
    };
    Ok(uploads.into_iter().map(choice).collect())
}

fn prices(state: &HttpState, agents: &[Agent]) -> Prices {
    let system = &state.services.system;
    let (model, price) = system.price_of(None);
    let unknown = agents.iter().filter_map(|agent| {
        let (own, price) = system.price_of(Some(agent));
        (price.is_none() && own != model).then(|| UnknownPrice { agent: agent.name.clone(), model: own })
    });
    Prices {
        unknown: unknown.collect(),
        free: price.is_some_and(|price| price.input == 0.0 && price.output == 0.0),
        input: price.map(|price| format!("${}", price.input)),
        output: price.map(|price| format!("${}", price.output)),
        model,
    }
}
