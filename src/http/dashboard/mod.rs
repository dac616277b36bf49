//! The dashboard: pages for people, complete without JavaScript and live with it.
//!
//! One file per group of pages. With an API key set every page but the login asks for a session
//! ([`access`]); help pages are public.

mod access;
mod agents;
mod form;
mod help;
mod help_search;
mod list_page;
mod login;
mod notice;
mod overview;
mod page;
mod results;
mod step_view;
mod workflow_view;
mod workflows;

use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, middleware::from_fn, web};

pub use page::SECURITY_HEADERS;

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
            .service(get(["", "/"], overview::show))
            .service(get(["/ping", "/ping/"], ping))
            .service(get(["/help", "/help/"], help::index))
            .service(get(["/login", "/login/"], login::show).post(login::submit))
            .service(web::resource("/logout").post(login::logout))
            .service(get(["/workflows", "/workflows/"], workflows::list).post(workflows::submit))
            .service(get(["/workflows/{id}", "/workflows/{id}/"], workflows::show))
            .service(get(["/agents", "/agents/"], agents::list))
            .service(get(["/results", "/results/"], results::list))
            .service(get(["/results/{job_id}", "/results/{job_id}/"], results::show))
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
