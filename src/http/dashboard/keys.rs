//! Named API keys: who has one and what came of it; make one, whose secret is shown once, and revoke.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Posted, Visitor},
    list_page::ListPage,
    notice::see_other_saying,
    page::{PageError, Shell, answer, problems_of, service_status},
    workflows::{Listed, PAGE},
};
use crate::{
    http::{HttpState, api::keys::OPEN_SERVER},
    model::{Budget, Scope, Usd, iso},
    service::{
        ServiceError,
        keys::{KeyInfo, MAX_DAYS, MAX_NAME_CHARS, MAX_REQUESTS_PER_MINUTE, NewKey, Spent},
    },
    store::Cursor,
};

const PATH: &str = "/dashboard/keys";

/// A key, ready to print.
#[derive(Serialize)]
struct KeyRow {
    id: String,
    name: String,
    scope: &'static str,
    state: &'static str,
    /// The class of its badge.
    kind: &'static str,
    revoked: bool,
    created_at: String,
    created_by: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used: Option<String>,
    requests_per_minute: Option<u32>,
    budget: Option<String>,
    today: String,
    total: String,
}

impl KeyRow {
    fn new(key: &KeyInfo) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            scope: key.scope.as_str(),
            state: key.state.as_str(),
            kind: match key.state {
                crate::model::KeyState::Active => "completed",
                crate::model::KeyState::Expired => "waiting",
                crate::model::KeyState::Revoked => "failed",
            },
            revoked: key.revoked_at.is_some(),
            created_at: iso::format(&key.created_at),
            created_by: key.created_by.clone(),
            expires_at: key.expires_at.as_ref().map(iso::format),
            revoked_at: key.revoked_at.as_ref().map(iso::format),
            last_used: key.last_used.as_ref().map(iso::format),
            requests_per_minute: key.requests_per_minute,
            budget: key.budget.and_then(|budget| limits(&budget)),
            today: spent(&key.spend.today),
            total: spent(&key.spend.total),
        }
    }
}

fn limits(budget: &Budget) -> Option<String> {
    let parts = [
        budget.usd.map(|usd| usd.to_string()),
        budget.tokens.map(|tokens| format!("{} tokens", crate::http::render::grouped(tokens))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn spent(spent: &Spent) -> String {
    match spent.tokens {
        0 => "–".to_owned(),
        tokens => {
            let cost = spent.cost_usd.map_or("cost unknown".to_owned(), |cost| cost.to_string());
            format!("{} tokens, {cost}", crate::http::render::grouped(tokens))
        }
    }
}

/// The form, with everything as it was typed.
#[derive(Default, Serialize)]
struct KeyForm {
    name: String,
    scope: String,
    expires_in_days: String,
    requests_per_minute: String,
    usd: String,
    tokens: String,
    problems: Vec<String>,
}

impl KeyForm {
    fn read(posted: &Posted) -> Self {
        let text = |name: &str| posted.field(name).trim().to_owned();
        Self {
            name: text("name"),
            scope: text("scope"),
            expires_in_days: text("expires_in_days"),
            requests_per_minute: text("requests_per_minute"),
            usd: text("usd"),
            tokens: text("tokens"),
            problems: Vec::new(),
        }
    }

    /// The key that is meant, or what cannot be read.
    fn order(&self) -> Result<NewKey, Vec<String>> {
        let mut problems = Vec::new();
        let scope = Scope::parse(&self.scope).unwrap_or_else(|| {
            problems.push("scope: choose read, run or admin".to_owned());
            Scope::Read
        });
        let expires_in_days = given(&self.expires_in_days, "days: a whole number, or nothing", &mut problems);
        let requests_per_minute =
            given(&self.requests_per_minute, "requests a minute: a whole number, or nothing", &mut problems);
        let tokens = given(&self.tokens, "tokens a day: a whole number, or nothing", &mut problems);
        let dollars: Option<f64> = given(&self.usd, "US dollars a day: a number, or nothing", &mut problems);
        let usd = dollars.and_then(|dollars| {
            let usd = Usd::from_dollars(dollars);
            if usd.is_none() {
                problems.push("US dollars a day: an amount such as 2.50, or nothing".to_owned());
            }
            usd
        });
        let budget = (tokens.is_some() || usd.is_some()).then_some(Budget { tokens, usd });
        let name = self.name.clone();
        let order = NewKey { name, scope, expires_at: None, expires_in_days, requests_per_minute, budget };
        if problems.is_empty() { Ok(order) } else { Err(problems) }
    }
}

/// A field that may be empty.
fn given<T: std::str::FromStr>(text: &str, complaint: &str, problems: &mut Vec<String>) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let parsed = text.parse().ok();
    if parsed.is_none() {
        problems.push(complaint.to_owned());
    }
    parsed
}

/// What is shown once: the text of a new key.
#[derive(Serialize)]
struct Made {
    name: String,
    scope: &'static str,
    secret: String,
}

#[derive(Serialize)]
struct KeysPage {
    list: ListPage<KeyRow>,
    form: KeyForm,
    made: Option<Made>,
    /// Why there are no keys here.
    open: Option<&'static str>,
    most_name: usize,
    most_days: u32,
    most_requests: u32,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    listed: web::Query<Listed>,
) -> Result<HttpResponse, PageError> {
    page(StatusCode::OK, &state, &visitor, KeyForm::default(), None, listed.into_inner().after).await
}

/// Makes a key. Its secret stands in this answer alone: in no address, no cookie and no other page.
pub async fn create(state: web::Data<HttpState>, posted: Posted) -> Result<HttpResponse, PageError> {
    let mut form = KeyForm::read(&posted);
    let visitor = &posted.visitor;
    let problems = match (visitor.caller.name(), form.order()) {
        (None, _) => vec![OPEN_SERVER.to_owned()],
        (_, Err(problems)) => problems,
        (Some(by), Ok(order)) => match state.services.keys.create(order, by, None).await {
            Ok(made) => {
                let key = made.answer.key;
                let secret = made.answer.secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
                let made = Made { name: key.name, scope: key.scope.as_str(), secret };
                return page(StatusCode::CREATED, &state, visitor, KeyForm::default(), Some(made), None)
                    .await;
            }
            Err(error) if service_status(&error).is_client_error() => problems_of(&error),
            Err(error) => return Err(error.into()),
        },
    };
    form.problems = problems;
    page(StatusCode::UNPROCESSABLE_ENTITY, &state, visitor, form, None, None).await
}

pub async fn revoke(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    let by = posted.visitor.caller.name().unwrap_or("nobody");
    match state.services.keys.revoke(&id, by).await {
        Ok(_) => Ok(see_other_saying(PATH, "key-revoked", None)),
        Err(ServiceError::NotFound(_)) => Err(PageError::NotFound("There is no such key.".to_owned())),
        Err(error) => Err(error.into()),
    }
}

async fn page(
    status: StatusCode,
    state: &HttpState,
    visitor: &Visitor,
    form: KeyForm,
    made: Option<Made>,
    after: Option<String>,
) -> Result<HttpResponse, PageError> {
    let listing = state.services.keys.list(PAGE, after.clone().map(Cursor)).await?;
    let page = KeysPage {
        list: ListPage::new(PATH, after.as_deref(), &listing, KeyRow::new),
        form,
        made,
        open: state.api_key.is_none().then_some(OPEN_SERVER),
        most_name: MAX_NAME_CHARS,
        most_days: MAX_DAYS,
        most_requests: MAX_REQUESTS_PER_MINUTE,
    };
    answer(status, "keys.html", &Shell::new(state, visitor, "Keys", "API keys"), &page)
}
