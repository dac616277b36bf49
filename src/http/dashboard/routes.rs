//! Every path below `/dashboard` on one screen. The order counts: the first path that fits takes the request.

use actix_web::{
    http::StatusCode,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use super::{
    agents, analytics, audit, brief, exports, help, job, jobs, keys, login, overview, page::PageError, ping,
    queues, reports, results, run, system, uploads, workflow_actions, workflows,
};
use crate::http::{
    rights::{self, Rights},
    routes::{Entry, on, spellings},
};

macro_rules! table {
    ($($path:literal => $($method:ident $handler:path),+;)+) => {
        /// Paths below `/dashboard`, with their methods.
        pub const PAGES: &[Entry] = &[$(Entry { path: $path, methods: &[$(stringify!($method)),+] }),+];

        /// The routes of the scope `/dashboard`.
        pub fn configure(cfg: &mut ServiceConfig) {
            cfg$(.service(
                web::resource(spellings($path))
                    .wrap(from_fn({
                        let rights = Rights::of(concat!("/dashboard", $path), &[$(stringify!($method)),+]);
                        move |req, next| rights::announce(rights.clone(), req, next)
                    }))
                    $(.route(on(stringify!($method)).to($handler)))+
                    .default_service(web::to(method_not_allowed)),
            ))+;
        }
    };
}

#[rustfmt::skip]
table! {
    ""                                  => get overview::show;
    "/ping"                             => get ping;
    "/help"                             => get help::index;
    "/login"                            => get login::show, post login::submit;
    "/logout"                           => post login::logout;
    "/events"                           => get workflow_actions::all_events;
    "/brief"                            => get brief::show, post brief::submit;
    "/workflows"                        => get workflows::list, post brief::submit;
    "/workflows/bulk"                   => post workflow_actions::bulk;
    "/workflows/{id}"                   => get run::show;
    "/workflows/{id}/events"            => get workflow_actions::events;
    "/workflows/{id}/fork"              => get workflow_actions::show_fork, post workflow_actions::fork;
    "/workflows/{id}/steps/{anchor}"    => get run::step;
    "/workflows/{id}/export/{format}"   => get exports::workflow;
    "/workflows/{id}/{action}"          => post workflow_actions::act;
    "/agents"                           => get agents::list;
    "/agents/new"                       => get agents::new, post agents::create;
    "/agents/{name}"                    => get agents::show;
    "/agents/{name}/edit"               => get agents::edit, post agents::update;
    "/agents/{name}/delete"             => post agents::delete;
    "/results"                          => get results::list;
    "/results/export/{format}"          => get exports::results;
    "/results/{job_id}"                 => get results::show;
    "/results/{job_id}/raw"             => get results::raw;
    "/results/{job_id}/{verb}"          => post results::change;
    "/uploads"                          => get uploads::list, post uploads::receive;
    "/uploads/{id}"                     => get uploads::show;
    "/uploads/{id}/delete"              => post uploads::delete;
    "/analytics"                        => get analytics::show;
    "/reports"                          => get reports::list, post reports::generate;
    "/reports/{file}"                   => get reports::show;
    "/reports/{file}/markdown"          => get reports::markdown;
    "/jobs"                             => get jobs::list, post jobs::bulk;
    "/jobs/{id}"                        => get job::show;
    "/jobs/{id}/cancel"                 => post job::cancel;
    "/jobs/{id}/retry"                  => post job::retry;
    "/jobs/{id}/delete"                 => post job::delete;
    "/queues"                           => get queues::show;
    "/queues/{name}/pause"              => post queues::pause;
    "/queues/{name}/resume"             => post queues::resume;
    "/workers/{id}/drain"               => post queues::drain;
    "/system"                           => get system::show;
    "/keys"                             => get keys::show, post keys::create;
    "/keys/{id}/revoke"                 => post keys::revoke;
    "/audit"                            => get audit::show;
    "/providers/{name}/reset"           => post system::reset_provider;
}

async fn method_not_allowed() -> Result<web::Bytes, PageError> {
    let why = "This page does not take requests of that kind.".to_owned();
    Err(PageError::BadRequest(StatusCode::METHOD_NOT_ALLOWED, why))
}
