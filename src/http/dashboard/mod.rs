//! The dashboard: pages for people, complete without JavaScript and live with it.
//!
//! One file per group of pages. With an API key set every page but the login asks for a session
//! ([`access`]); help pages are public.

mod access;
mod agent_form;
mod agents;
mod analytics;
mod brief;
mod call_view;
mod diff;
mod drafts;
mod exports;
mod form;
mod help;
mod list_page;
mod login;
mod notice;
mod overview;
mod page;
mod period;
mod reports;
mod results;
mod run;
mod run_pictures;
mod step_view;
mod upload_view;
mod uploads;
mod workflow_actions;
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
            .service(web::resource("/workflows/bulk").post(workflow_actions::bulk))
            .service(get(["/workflows/{id}/events", "/workflows/{id}/events/"], workflow_actions::events))
            .service(
                get(["/workflows/{id}/fork", "/workflows/{id}/fork/"], workflow_actions::show_fork)
                    .post(workflow_actions::fork),
            )
            .service(web::resource("/workflows/{id}/{action}").post(workflow_actions::act))
            .service(get(["/events", "/events/"], workflow_actions::all_events))
            .service(get(
                ["/workflows/{id}/export/{format}", "/workflows/{id}/export/{format}/"],
                exports::workflow,
            ))
            .service(get(["/workflows", "/workflows/"], workflows::list).post(brief::submit))
            .service(get(["/brief", "/brief/"], brief::show).post(brief::submit))
            .service(get(["/workflows/{id}", "/workflows/{id}/"], run::show))
            .service(get(["/workflows/{id}/steps/{anchor}", "/workflows/{id}/steps/{anchor}/"], run::step))
            .service(get(["/agents", "/agents/"], agents::list))
            .service(get(["/agents/new", "/agents/new/"], agents::new).post(agents::create))
            .service(get(["/agents/{name}", "/agents/{name}/"], agents::show))
            .service(get(["/agents/{name}/edit", "/agents/{name}/edit/"], agents::edit).post(agents::update))
            .service(web::resource("/agents/{name}/delete").post(agents::delete))
            .service(get(["/results", "/results/"], results::list))
            .service(get(["/results/export/{format}", "/results/export/{format}/"], exports::results))
            .service(get(["/results/{job_id}", "/results/{job_id}/"], results::show))
            .service(get(["/results/{job_id}/raw", "/results/{job_id}/raw/"], results::raw))
            .service(web::resource("/results/{job_id}/{verb}").post(results::change))
            .service(get(["/uploads", "/uploads/"], uploads::list).post(uploads::receive))
            .service(get(["/uploads/{id}", "/uploads/{id}/"], uploads::show))
            .service(web::resource("/uploads/{id}/delete").post(uploads::delete))
            .service(get(["/analytics", "/analytics/"], analytics::show))
            .service(get(["/reports", "/reports/"], reports::list).post(reports::generate))
            .service(get(["/reports/{file}", "/reports/{file}/"], reports::show))
            .service(get(["/reports/{file}/markdown", "/reports/{file}/markdown/"], reports::markdown))
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
