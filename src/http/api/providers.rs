//! Providers: what they let through now, and a fresh start for one that was mended.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, queues::Nothing};
use crate::{
    http::{HttpState, extract::Body},
    service::providers::ProviderStatus,
};

/// The configured providers.
#[derive(Serialize, ToSchema)]
pub struct ProviderList {
    /// The default one first; none where answers are simulated.
    providers: Vec<ProviderStatus>,
}

/// The model providers
///
/// Which are configured, and what all processes know of them now: whether a provider is not asked because
/// its circuit is open (no money, no right, down), until when it asked to wait, and how many requests a
/// second it bears. Keys are never shown.
#[utoipa::path(
    get,
    path = "/providers",
    tag = "system",
    operation_id = "list_providers",
    responses((status = 200, description = "The providers", body = ProviderList, example = json!({"providers": [{
        "name": "openai", "host": "api.openai.com", "api": "chat", "model": "gpt-4o-mini", "key_set": true,
        "default": true, "concurrency": null, "circuit": {"cause": "billing", "why": "the provider's account has no credit left",
            "since": "2026-11-22T10:18:25.571000+00:00", "until": "2026-11-22T10:18:55.571000+00:00"},
        "blocked_until": null, "requests_per_second": null, "failures": 1}]})))
)]
pub async fn list(state: Data<HttpState>) -> Answer<ProviderList> {
    Ok(Json(ProviderList { providers: state.services.providers.list().await? }))
}

/// Ask a provider again
///
/// After its account was paid, or whatever was wrong is mended: closes its circuit, forgets its waits and its
/// rate, and calls back the jobs that wait for it.
#[utoipa::path(
    post,
    path = "/providers/{name}/reset",
    tag = "system",
    operation_id = "reset_provider",
    params(("name" = String, Path, description = "The provider's name", example = "openai")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It is asked again", body = ProviderStatus, example = json!({
        "name": "openai", "host": "api.openai.com", "api": "chat", "model": "gpt-4o-mini", "key_set": true,
        "default": true, "concurrency": null, "circuit": null, "blocked_until": null, "requests_per_second": null, "failures": 0})))
)]
pub async fn reset(
    state: Data<HttpState>,
    name: Path<String>,
    _body: Body<Nothing>,
) -> Answer<ProviderStatus> {
    Ok(Json(state.services.providers.reset(&name).await?))
}
