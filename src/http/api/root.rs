//! `/`: what this is and where to go on.

use actix_web::web::{Data, Json};
use serde_json::{Value, json};

use crate::{http::HttpState, service::system::VERSION};

/// What this server is
///
/// Name, version and uptime, with the addresses of the documentation and of the parts of the API.
#[utoipa::path(
    get,
    path = "/",
    tag = "system",
    responses((status = 200, description = "About this server", body = Object,
        example = json!({"name": "ProductForge", "version": "3.0.0", "status": "running",
            "architecture": "Modular Enterprise", "uptime_seconds": 12.5,
            "documentation": {"swagger": "/docs"}, "endpoints": {"orchestrate": "/orchestrate"}})))
)]
pub async fn index(state: Data<HttpState>) -> Json<Value> {
    let uptime = state.services.system.uptime().as_secs_f64();
    Json(json!({
        "name": "ProductForge",
        "version": VERSION,
        "status": "running",
        "architecture": "Modular Enterprise",
        "uptime_seconds": (uptime * 100.0).round() / 100.0,
        "documentation": {
            "swagger": "/docs",
            "redoc": "/redoc",
            "openapi": "/openapi.json",
            "help": "/help",
        },
        "endpoints": {
            "system": "/system/health",
            "agents": "/agents/",
            "orchestrate": "/orchestrate",
            "workflows": "/workflows",
            "results": "/results/",
            "workers": "/workers",
            "dashboard": "/dashboard/",
        },
    }))
}
