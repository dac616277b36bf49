//! The dashboard: pages for people, complete without JavaScript and live with it.
//!
//! One file per group of pages. With an API key set every page but the login asks for a session
//! ([`access`]); help pages are public.

mod access;
mod agent_form;
mod agents;
mod analytics;
mod attempts;
mod audit;
mod brief;
mod call_view;
mod diff;
mod drafts;
mod exports;
mod form;
mod form_fields;
#[doc(hidden)]
pub mod fuzzing;
mod help;
mod help_search;
mod job;
mod job_line;
mod jobs;
mod keys;
mod list_page;
mod login;
mod notice;
mod overview;
mod page;
mod period;
mod provider_line;
mod queues;
mod refused;
mod reports;
mod results;
pub mod routes;
mod run;
mod run_pictures;
mod step_view;
mod system;
mod throughput;
mod upload_view;
mod uploads;
mod workflow_actions;
mod workflow_view;
mod workflows;

use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, middleware::from_fn, web};

pub use page::SECURITY_HEADERS;
pub use refused::{has_pages, refusal};

/// The longest form that is read. A brief may be long.
const MAX_FORM_BYTES: usize = 1 << 20;

/// All routes below `/dashboard` and `/help`.
pub fn configure(cfg: &mut web::ServiceConfig) {
    let form = web::FormConfig::default().limit(MAX_FORM_BYTES).error_handler(page::form_error);
    cfg.service(
        web::scope("/help")
            .wrap(from_fn(page::errors_are_pages))
            .service(get(["", "/"], help::index))
            .service(get(["/{page}", "/{page}/"], help::show))
            .default_service(web::to(help::missing)),
    );
    cfg.service(
        web::scope("/dashboard")
            .wrap(from_fn(page::errors_are_pages))
            .app_data(form)
            .configure(routes::configure)
            .default_service(web::to(page::not_found)),
    );
}

/// A path in both spellings, for GET and HEAD.
fn get<F, Args>(paths: [&'static str; 2], handler: F) -> Resource
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    web::resource(paths).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

/// As the legacy dashboard answers it.
async fn ping() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok", "module": "dashboard"}))
}
