//! `/`: what this is and where to go on.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{http::HttpState, service::system::VERSION};

/// About this server.
#[derive(Serialize, ToSchema)]
pub struct About {
    #[schema(example = "ProductForge")]
    name: &'static str,
    #[schema(example = "3.0.0")]
    version: &'static str,
    #[schema(example = "running")]
    status: &'static str,
    #[schema(example = "Modular Enterprise")]
    architecture: &'static str,
    uptime_seconds: f64,
    documentation: Documentation,
    endpoints: Endpoints,
}

/// Where the documentation is.
#[derive(Serialize, ToSchema)]
pub struct Documentation {
    swagger: &'static str,
    redoc: &'static str,
    openapi: &'static str,
    help: &'static str,
}

/// Where the parts of the API begin.
#[derive(Serialize, ToSchema)]
pub struct Endpoints {
    system: &'static str,
    agents: &'static str,
    orchestrate: &'static str,
    workflows: &'static str,
    results: &'static str,
    jobs: &'static str,
    queues: &'static str,
    workers: &'static str,
    dashboard: &'static str,
}

/// What this server is
///
/// Name, version and uptime, with the addresses of the documentation and of the parts of the API.
/// Needs no key.
#[utoipa::path(
    get,
    path = "/",
    tag = "system",
    operation_id = "about",
    responses((status = 200, description = "About this server", body = About, example = json!({
        "name": "ProductForge", "version": "3.0.0", "status": "running",
        "architecture": "Modular Enterprise", "uptime_seconds": 12.5,
        "documentation": {"swagger": "/docs", "redoc": "/redoc", "openapi": "/openapi.json", "help": "/help"},
        "endpoints": {"system": "/system/health", "agents": "/agents/", "orchestrate": "/orchestrate",
            "workflows": "/workflows", "results": "/results/", "jobs": "/jobs", "queues": "/queues", "workers": "/workers",
            "dashboard": "/dashboard/"}})))
)]
pub async fn index(state: Data<HttpState>) -> Json<About> {
    let uptime = state.services.system.uptime().as_secs_f64();
    Json(About {
        name: "ProductForge",
        version: VERSION,
        status: "running",
        architecture: "Modular Enterprise",
        uptime_seconds: (uptime * 100.0).round() / 100.0,
        documentation: Documentation {
            swagger: "/docs",
            redoc: "/redoc",
            openapi: "/openapi.json",
            help: "/help",
        },
        endpoints: Endpoints {
            system: "/system/health",
            agents: "/agents/",
            orchestrate: "/orchestrate",
            workflows: "/workflows",
            results: "/results/",
            jobs: "/jobs",
            queues: "/queues",
            workers: "/workers",
            dashboard: "/dashboard/",
        },
    })
}
