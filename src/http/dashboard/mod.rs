//! The dashboard: pages for people, complete without JavaScript and live with it.
//!
//! One file per group of pages. With an API key set every page but the login asks for a session
//! ([`access`]); help pages are public.

mod access;
mod agents;
mod form;
mod help;
mod login;
mod overview;
mod page;
mod results;
mod step_view;
mod workflow_view;
mod workflows;

use actix_web::{HttpResponse, web};

pub use page::SECURITY_HEADERS;

/// The longest form that is read. A brief may be long.
const MAX_FORM_BYTES: usize = 1 << 20;

/// All routes below `/dashboard` and `/help`.
pub fn configure(cfg: &mut web::ServiceConfig) {
    let form = web::FormConfig::default().limit(MAX_FORM_BYTES).error_handler(page::form_error);
    cfg.route("/help", web::get().to(help::index))
        .route("/help/", web::get().to(help::index))
        .route("/help/{page}", web::get().to(help::show))
        .route("/dashboard", web::get().to(overview::show))
        .service(
            web::scope("/dashboard")
                .app_data(form)
                .route("/", web::get().to(overview::show))
                .route("/ping", web::get().to(ping))
                .route("/help", web::get().to(help::index))
                .route("/login", web::get().to(login::show))
                .route("/login", web::post().to(login::submit))
                .route("/logout", web::post().to(login::logout))
                .route("/workflows", web::get().to(workflows::list))
                .route("/workflows", web::post().to(workflows::submit))
                .route("/workflows/{id}", web::get().to(workflows::show))
                .route("/agents", web::get().to(agents::list))
                .route("/results", web::get().to(results::list))
                .route("/results/{job_id}", web::get().to(results::show))
                .default_service(web::route().to(page::not_found)),
        );
}

/// As the legacy dashboard answers it.
async fn ping() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok", "module": "dashboard"}))
}
