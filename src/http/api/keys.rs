//! Named API keys: make, list, look at, revoke; and who one is.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, IDEMPOTENCY_REPLAYED};
use crate::{
    http::{
        HttpState,
        caller::Caller,
        error::Problem,
        extract::{Body, Idempotency, Paging, RequestBody, known_form, seal_cursor},
        fields::{Field, Shape},
    },
    model::{Scope, Timestamp, iso_option},
    service::{
        idempotency::Answered,
        keys::{KeyInfo, MAX_DAYS, MAX_REQUESTS_PER_MINUTE, NewKey},
        workflows::{MAX_TOKENS, MAX_USD},
    },
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

const BUDGET: &[Field] =
    &[Field::optional("tokens", Shape::Whole(MAX_TOKENS)), Field::optional("usd", Shape::Dollars(MAX_USD))];

impl RequestBody for NewKey {
    const FIELDS: &'static [Field] = &[
        Field::required("name", Shape::Text),
        Field::required("scope", Shape::OneOf(&["read", "run", "admin"])),
        Field::optional("expires_at", Shape::Text),
        Field::optional("expires_in_days", Shape::Range(1, MAX_DAYS as u64)),
        Field::optional("requests_per_minute", Shape::Range(1, MAX_REQUESTS_PER_MINUTE as u64)),
        Field::optional("budget", Shape::Parts(BUDGET)),
    ];
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    key: KeyInfo,
    /// What a client sends as `X-API-Key`. It is shown here and never again; null in the answer to a request that was
    /// sent before with the same `Idempotency-Key`.
    #[schema(example = "pf_k3Xw9aQz_8mBtq2cWk0yXnZ4vJ7rLd1sGh5pFaE6uTiRoNbQe")]
    secret: Option<String>,
}

/// A page of keys.
#[derive(Serialize, ToSchema)]
pub struct KeysPage {
    /// Newest first, revoked ones among them.
    keys: Vec<KeyInfo>,
    /// How many are in this answer.
    count: usize,
    /// How many there are in all.
    total: u64,
    /// The `cursor` of the next page; null when this is the last one.
    next_cursor: Option<String>,
}

/// Who asks.
#[derive(Serialize, ToSchema)]
pub struct Myself {
    /// The name of the key: `default` is that of `API_KEY`; null where the server has none and lets everybody in.
    #[schema(example = "ci")]
    key: Option<String>,
    /// The id of a named key.
    key_id: Option<String>,
    scope: Scope,
    /// From when on the key opens nothing; null: no end.
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    requests_per_minute: Option<u32>,
}

/// Make a key
///
/// Beside the key of `API_KEY`, with a scope, and on demand an end, a limit of requests and a budget of a day. Its secret
/// is in this answer and is not stored: whoever loses it makes another key. A server without `API_KEY` lets everybody in
/// and so makes no keys: that is answered with 409.
#[utoipa::path(
    post,
    path = "/keys",
    tag = "keys",
    operation_id = "create_key",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "1 to 255 visible ASCII characters of your choice. A request that is sent again with the \
            same key makes no second one; its answer has no secret, since nobody knows it any more")),
    request_body(content = NewKey, description = "The key", content_type = "application/json"),
    responses(
        (status = 201, description = "It is made", body = CreatedKey,
            example = json!({
            "id": "pf_k3Xw9aQz", "name": "ci", "scope": "run", "state": "active",
            "created_at": "2026-11-22T10:17:24.520252+00:00", "created_by": "default",
            "expires_at": "2027-02-20T10:17:24.520252+00:00", "requests_per_minute": null, "budget": {"usd": 5.0},
            "last_used": null, "revoked_at": null,
            "spend": {"today": {"tokens": 0, "cost_usd": 0.0}, "total": {"tokens": 0, "cost_usd": 0.0}},
            "secret": "pf_k3Xw9aQz_8mBtq2cWk0yXnZ4vJ7rLd1sGh5pFaE6uTiRoNbQe"})),
        (status = 200, description = "An earlier request with this `Idempotency-Key` made it", body = CreatedKey,
            headers(("Idempotency-Replayed" = bool, description = "true")),
            example = json!({
            "id": "pf_k3Xw9aQz", "name": "ci", "scope": "run", "state": "active",
            "created_at": "2026-11-22T10:17:24.520252+00:00", "created_by": "default",
            "expires_at": "2027-02-20T10:17:24.520252+00:00", "requests_per_minute": null, "budget": {"usd": 5.0},
            "last_used": null, "revoked_at": null,
            "spend": {"today": {"tokens": 0, "cost_usd": 0.0}, "total": {"tokens": 0, "cost_usd": 0.0}},
            "secret": null})))
)]
pub async fn create(
    state: Data<HttpState>,
    caller: Caller,
    once: Idempotency,
    body: Body<NewKey>,
) -> Result<HttpResponse, Problem> {
    let Some(by) = caller.name() else { return Err(Problem::keys_open_nothing()) };
    let Answered { answer, replayed } = state.services.keys.create(body.0, by, once.0.as_ref()).await?;
    let mut response = if replayed { HttpResponse::Ok() } else { HttpResponse::Created() };
    if replayed {
        response.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    }
    let secret = answer.secret.map(|secret| secret.expose().to_owned());
    Ok(response.insert_header(("cache-control", "no-store")).json(CreatedKey { key: answer.key, secret }))
}

/// The keys
///
/// Newest first, with their last use and what their work has used. Secrets are not stored and cannot be shown.
#[utoipa::path(
    get,
    path = "/keys",
    tag = "keys",
    operation_id = "list_keys",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 1 to 500", minimum = 1, maximum = 500, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "The keys", body = KeysPage, example = json!({
        "keys": [{"id": "pf_k3Xw9aQz", "name": "ci", "scope": "run", "state": "active",
            "created_at": "2026-11-22T10:17:24.520252+00:00", "created_by": "default", "expires_at": null,
            "requests_per_minute": 60, "budget": {"tokens": 200_000, "usd": 5.0},
            "last_used": "2026-11-22T11:02:10.108000+00:00", "revoked_at": null,
            "spend": {"today": {"tokens": 18_204, "cost_usd": 0.0112}, "total": {"tokens": 911_870, "cost_usd": 0.4981}}}],
        "count": 1, "total": 1, "next_cursor": null})))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Answer<KeysPage> {
    let paging = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&paging.cursor);
    let page = state.services.keys.list(paging.limit, paging.cursor).await.map_err(failed)?;
    Ok(Json(KeysPage {
        count: page.items.len(),
        keys: page.items,
        total: page.total,
        next_cursor: page.next.as_ref().map(seal_cursor),
    }))
}

/// Who am I?
///
/// Which key this request shows, and what it may do. Every key may ask.
#[utoipa::path(
    get,
    path = "/keys/me",
    tag = "keys",
    operation_id = "who_am_i",
    responses((status = 200, description = "The key of this request", body = Myself, example = json!({
        "key": "ci", "key_id": "pf_k3Xw9aQz", "scope": "run", "expires_at": null, "requests_per_minute": 60})))
)]
pub async fn me(caller: Caller) -> Answer<Myself> {
    let Caller { key, key_id, scope, expires_at, requests_per_minute } = caller;
    let scope = scope.ok_or_else(Problem::unauthorized)?;
    Ok(Json(Myself { key, key_id, scope, expires_at, requests_per_minute }))
}

fn unknown(id: &str) -> String {
    format!("Key '{id}' not found")
}

/// One key
///
/// By its id or by its name; of a name that was used again, the newest.
#[utoipa::path(
    get,
    path = "/keys/{key_id}",
    tag = "keys",
    operation_id = "get_key",
    params(("key_id" = String, Path, description = "The key's id or its name", example = "pf_k3Xw9aQz")),
    responses((status = 200, description = "The key", body = KeyInfo, example = json!({
        "id": "pf_k3Xw9aQz", "name": "ci", "scope": "run", "state": "active",
        "created_at": "2026-11-22T10:17:24.520252+00:00", "created_by": "default", "expires_at": null,
        "requests_per_minute": 60, "budget": {"tokens": 200_000, "usd": 5.0},
        "last_used": "2026-11-22T11:02:10.108000+00:00", "revoked_at": null,
        "spend": {"today": {"tokens": 18_204, "cost_usd": 0.0112}, "total": {"tokens": 911_870, "cost_usd": 0.4981}}})))
)]
pub async fn get(state: Data<HttpState>, id: Path<String>) -> Answer<KeyInfo> {
    known_form(&id, || unknown(&id))?;
    Ok(Json(state.services.keys.get(&id).await?))
}

/// Revoke a key
///
/// It opens nothing any more: on this server from now on, on all others within three seconds; sessions of the dashboard
/// that began with it end, too. Work that came with it goes on. It stays in the list for 180 days, and its name is free
/// at once. A key that is revoked already stays as it is.
#[utoipa::path(
    delete,
    path = "/keys/{key_id}",
    tag = "keys",
    operation_id = "revoke_key",
    params(("key_id" = String, Path, description = "The key's id or its name", example = "pf_k3Xw9aQz")),
    responses((status = 200, description = "It is revoked", body = KeyInfo, example = json!({
        "id": "pf_k3Xw9aQz", "name": "ci", "scope": "run", "state": "revoked",
        "created_at": "2026-11-22T10:17:24.520252+00:00", "created_by": "default", "expires_at": null,
        "requests_per_minute": 60, "budget": null, "last_used": "2026-11-22T11:02:10.108000+00:00",
        "revoked_at": "2026-11-22T11:05:00.000000+00:00",
        "spend": {"today": {"tokens": 18_204, "cost_usd": 0.0112}, "total": {"tokens": 911_870, "cost_usd": 0.4981}}})))
)]
pub async fn revoke(state: Data<HttpState>, caller: Caller, id: Path<String>) -> Answer<KeyInfo> {
    known_form(&id, || unknown(&id))?;
    Ok(Json(state.services.keys.revoke(&id, caller.name().unwrap_or("nobody")).await?))
}

impl Problem {
    /// There is no door that a key could open.
    pub fn keys_open_nothing() -> Self {
        Self::new(actix_web::http::StatusCode::CONFLICT, "conflict", OPEN_SERVER)
    }
}

/// Why a server without `API_KEY` makes no keys.
pub const OPEN_SERVER: &str = "Without API_KEY everybody is let in, so that a named key would protect nothing: start the \
    server with API_KEY, then make keys";
