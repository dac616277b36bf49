//! Every path on one screen. `API` is what the OpenAPI document describes; `PAGES` is for people.
//!
//! Every path also answers with the slash at its end added or left off, and to HEAD where it answers
//! to GET. The order counts: the first path that fits takes the request.

use actix_web::{
    Route,
    guard::{self, Guard},
    http::Method,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use super::{
    api::{
        agents, analytics, audit, backups, events, exports, jobs, keys, metrics, providers, queues, reports,
        results, reviews, root, system, tasks, uploads, usage, workers, workflows,
    },
    assets, dashboard, docs,
    error::Problem,
    redoc,
    rights::{self, Rights},
};

/// A path and its methods.
pub struct Entry {
    pub path: &'static str,
    pub methods: &'static [&'static str],
}

macro_rules! table {
    ($table:ident, $configure:ident: $($path:literal => $($method:ident $handler:path),+;)+) => {
        pub const $table: &[Entry] =
            &[$(Entry { path: $path, methods: &[$(stringify!($method)),+] }),+];

        fn $configure(cfg: &mut ServiceConfig) {
            $(cfg.service(
                web::resource(spellings($path))
                    .guard(leaves_the_rest($table, $path, &[$(stringify!($method)),+]))
                    .wrap(from_fn({
                        let rights = Rights::of($path, &[$(stringify!($method)),+]);
                        move |req, next| rights::enforce(rights.clone(), req, next)
                    }))
                    $(.route(on(stringify!($method)).to($handler)))+
                    .default_service(web::to(|| async {
                        Err::<web::Bytes, _>(Problem::method_not_allowed(allow(&[$(stringify!($method)),+])))
                    })),
            );)+
        }
    };
}

table! { API, configure_api:
    "/"                               => get root::index;
    "/system/ping"                    => get system::ping;
    "/system/health"                  => get system::health;
    "/system/status"                  => get system::status;
    "/system/verify"                  => get system::verify;
    "/system/backup"                  => post backups::make;
    "/metrics"                        => get metrics::text;
    "/metrics/json"                   => get metrics::json;
    "/analytics/summary"              => get analytics::summary;
    "/analytics/trends"               => get analytics::trends;
    "/analytics/agents"               => get analytics::agents;
    "/reports"                        => get reports::list;
    "/reports/generate"               => post reports::generate;
    "/reports/{filename}"             => get reports::get;
    "/usage"                          => get usage::get;
    "/audit"                          => get audit::list;
    "/providers"                      => get providers::list;
    "/providers/{name}/reset"         => post providers::reset;
    "/workers"                        => get workers::list;
    "/workers/{worker_id}/drain"      => post workers::drain;
    "/keys"                           => get keys::list, post keys::create;
    "/keys/me"                        => get keys::me;
    "/keys/{key_id}"                  => get keys::get, delete keys::revoke;
    "/queues"                         => get queues::list;
    "/queues/{name}/pause"            => post queues::pause;
    "/queues/{name}/resume"           => post queues::resume;
    "/jobs"                           => get jobs::list;
    "/jobs/bulk"                      => post jobs::bulk::bulk;
    "/jobs/{job_id}"                  => get jobs::get, delete jobs::delete;
    "/jobs/{job_id}/partial"          => get jobs::partial;
    "/jobs/{job_id}/cancel"           => post jobs::cancel;
    "/jobs/{job_id}/retry"            => post jobs::retry;
    "/agents/"                        => get agents::list, post agents::register;
    "/agents/ping"                    => get agents::ping;
    "/agents/{name}"                  => get agents::get, delete agents::delete;
    "/orchestrate"                    => post workflows::start;
    "/workflows"                      => get workflows::list;
    "/workflows/bulk"                 => post workflows::bulk::bulk;
    "/workflows/{workflow_id}"        => get workflows::get, delete workflows::control::delete;
    "/workflows/{workflow_id}/events" => get events::workflow;
    "/workflows/{workflow_id}/pause"  => post workflows::control::pause;
    "/workflows/{workflow_id}/resume" => post workflows::control::resume;
    "/workflows/{workflow_id}/cancel" => post workflows::control::cancel;
    "/workflows/{workflow_id}/retry"  => post workflows::control::retry;
    "/workflows/{workflow_id}/approve" => post workflows::control::approve;
    "/workflows/{workflow_id}/reject" => post workflows::control::reject;
    "/workflows/{workflow_id}/fork"   => post workflows::control::fork;
    "/events"                         => get events::all;
    "/workflows/{workflow_id}/calls"  => get workflows::calls;
    "/workflows/{workflow_id}/budget" => post workflows::set_budget;
    "/workflows/{workflow_id}/export/{format}" => get exports::workflow;
    "/upload/"                        => post uploads::receive;
    "/upload/ping"                    => get uploads::ping;
    "/upload/list"                    => get uploads::list;
    "/upload/{upload_id}"             => get uploads::get, delete uploads::delete;
    "/upload/{upload_id}/report"      => get uploads::report;
    "/admin_review"                   => post reviews::ask;
    "/results/"                       => get results::list;
    "/results/ping"                   => get results::ping;
    "/results/task"                   => post tasks::submit;
    "/results/task/{job_id}"          => get results::get_task;
    "/results/workflow/{workflow_id}" => get results::by_workflow;
    "/results/agent/{name}"           => get results::by_agent;
    "/results/export/{format}"        => get exports::results;
    "/results/performance/export"     => get exports::performance;
    "/results/{job_id}/pin"           => post results::pin;
    "/results/{job_id}/unpin"         => post results::unpin;
    "/results/{job_id}"               => get results::get, delete results::delete;
}

table! { PAGES, configure_pages:
    "/openapi.json"                   => get docs::openapi_json;
    "/docs"                           => get docs::swagger_page;
    "/docs/{file}"                    => get docs::swagger_file;
    "/redoc"                          => get redoc::show;
}

/// All routes, and what the rest is answered with.
pub fn configure(cfg: &mut ServiceConfig) {
    configure_api(cfg);
    configure_pages(cfg);
    assets::configure(cfg);
    dashboard::configure(cfg);
    cfg.default_service(web::to(|| async { Err::<web::Bytes, _>(Problem::no_such_path()) }));
}

table! { PROBES, configure_probes:
    "/system/ping"                    => get system::ping;
    "/system/health"                  => get system::health;
    "/metrics"                        => get metrics::text;
    "/metrics/json"                   => get metrics::json;
}

/// What a worker answers: the rows of the API that say how a process is.
pub fn configure_metrics(cfg: &mut ServiceConfig) {
    configure_probes(cfg);
    cfg.default_service(web::to(|| async { Err::<web::Bytes, _>(Problem::no_such_path()) }));
}

/// A path with and without a slash at its end. First as it stands in the table: by that metrics, traces and the
/// audit log call it, as the document does.
pub(super) fn spellings(path: &'static str) -> Vec<String> {
    match (path, path.strip_suffix('/')) {
        ("/", _) => vec![path.to_owned()],
        (_, Some(bare)) => vec![path.to_owned(), bare.to_owned()],
        (_, None) => vec![path.to_owned(), format!("{path}/")],
    }
}

/// A route for a method; HEAD is answered where GET is.
pub(super) fn on(method: &str) -> Route {
    match method {
        "get" => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        "post" => web::post(),
        "delete" => web::delete(),
        other => web::method(Method::from_bytes(other.to_uppercase().as_bytes()).unwrap_or(Method::PATCH)),
    }
}

/// Leaves to a path that could be a name as well (`/reports/generate`, beside `/reports/{filename}`) the methods that
/// only the name has.
fn leaves_the_rest(
    table: &'static [Entry],
    path: &'static str,
    methods: &'static [&'static str],
) -> impl Guard + use<> {
    let others = table.iter().filter(|other| other.path != path && could_be(path, other.path));
    let rest: Vec<_> =
        others.flat_map(|other| other.methods).filter(|method| !methods.contains(method)).collect();
    guard::fn_guard(move |ctx| {
        let asked = ctx.head().method.as_str();
        let asked = if asked == "HEAD" { "GET" } else { asked };
        !rest.iter().any(|method| method.eq_ignore_ascii_case(asked))
    })
}

/// Whether a path without names fits a pattern.
fn could_be(path: &str, pattern: &str) -> bool {
    let (path, pattern): (Vec<_>, Vec<_>) = (path.split('/').collect(), pattern.split('/').collect());
    let is_name = |own: &str| !own.is_empty() && !own.starts_with('{');
    let fits = |(own, other): (&&str, &&str)| own == other || (other.starts_with('{') && is_name(own));
    path.len() == pattern.len() && path.iter().zip(&pattern).all(fits)
}

/// The header `Allow` of a path with these methods.
fn allow(methods: &[&str]) -> &'static str {
    match (methods.contains(&"get"), methods.contains(&"post"), methods.contains(&"delete")) {
        (true, true, false) => "GET, HEAD, POST",
        (true, false, true) => "GET, HEAD, DELETE",
        (false, true, _) => "POST",
        (false, false, true) => "DELETE",
        _ => "GET, HEAD",
    }
}
