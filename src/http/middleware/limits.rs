//! Who comes too often, too big or with too many wrong keys is told so before anything is done for him.
//!
//! ```text
//! audit → [by_address] → auth → [by_key] → routes
//! ```
//!
//! [`by_address`] looks before the key is checked: the size of the head, room for the connection, a wait after
//! wrong keys, the requests a minute of this address. A request whose key turns out right gives its share back, and
//! from then on this key is not counted at this address; it has a limit of its own, which [`by_key`] keeps. Probes and
//! files that need no work are never counted. A stream of events is one request.

use std::net::IpAddr;

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use super::auth::{self, RightKey};
use crate::{
    http::{
        HttpState,
        caller::Caller,
        client_ip, dashboard,
        error::Problem,
        gate::{Connection, Gate},
        rate_limit::Quota,
    },
    service::keys,
    telemetry::access::MAX_METHOD_CHARS,
};

/// The longest path with its query, in bytes.
const MAX_URL_BYTES: usize = 16 << 10;
/// The most that all headers may have together, in bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// The most headers.
const MAX_HEADERS: usize = 64;

/// Probes must be answered whoever asks how often.
const PROBES: [&str; 2] = ["/system/ping", "/system/health"];
/// Files that are in memory.
const FILES: [&str; 4] = ["/static/", "/docs", "/redoc", "/favicon.ico"];

type Answer<B> = Result<ServiceResponse<EitherBody<B, BoxBody>>, Error>;

/// The middleware outside of `auth`.
pub async fn by_address<B: MessageBody + 'static>(req: ServiceRequest, next: Next<B>) -> Answer<B> {
    let Some(state) = req.app_data::<Data<HttpState>>().cloned() else {
        return Ok(next.call(req).await?.map_into_left_body());
    };
    let path = req.uri().path();
    let is_probe = PROBES.contains(&path);
    if let Some(problem) = too_big(&req).or_else(|| no_room(&req).filter(|_| !is_probe)) {
        return refuse(req, problem);
    }
    let ip = client_ip::of(&req).ip;
    let (Some(ip), false) = (ip, is_probe || FILES.iter().any(|file| path.starts_with(file))) else {
        return Ok(next.call(req).await?.map_into_left_body());
    };
    let gate = &state.gate;
    let seconds = state.services.system.now().timestamp();
    // On a public path a key opens nothing, so none is tried there.
    let keys: Vec<Vec<u8>> = match auth::is_public(path) {
        true => Vec::new(),
        false => auth::shown(req.headers()).filter(|key| !key.is_empty()).map(<[u8]>::to_vec).collect(),
    };
    let is_known = !keys.is_empty() && keys.iter().all(|key| gate.guesses.is_known(ip, key, seconds));
    if !is_known && keys.iter().any(|key| can_be_guessed(key)) {
        let wait = gate.guesses.wait_seconds(ip, seconds);
        if wait > 0 {
            return refuse(req, too_many_guesses(wait));
        }
    }
    let quota = gate
        .rate_limit
        .filter(|_| !is_known)
        .map(|limit| gate.by_address.take(client_ip::network(ip), limit, gate.now()));
    if let Some(quota) = quota.filter(|quota| quota.wait.is_some()) {
        return refuse(req, too_many_requests(&quota));
    }
    let res = next.call(req).await?.map_into_left_body();
    let is_right = !keys.is_empty() && has_key(&res);
    learn(gate, ip, &keys, &res, seconds);
    match quota {
        Some(quota) if is_right => gate.by_address.give_back(&client_ip::network(ip), quota.per_minute),
        // The outermost middleware says it: errors are written out between here and there.
        Some(quota) => {
            res.request().extensions_mut().insert(quota);
        }
        None => {}
    }
    Ok(res)
}

/// The middleware within `auth`.
pub async fn by_key<B: MessageBody + 'static>(req: ServiceRequest, next: Next<B>) -> Answer<B> {
    let Some(quota) = take_by_key(&req) else { return Ok(next.call(req).await?.map_into_left_body()) };
    if quota.wait.is_some() {
        return refuse(req, too_many_requests(&quota));
    }
    req.extensions_mut().insert(quota);
    Ok(next.call(req).await?.map_into_left_body())
}

fn take_by_key(req: &ServiceRequest) -> Option<Quota> {
    // What a public path answers must not tell a right key from a wrong one.
    if auth::is_public(req.uri().path()) {
        return None;
    }
    let caller = req.extensions().get::<Caller>().cloned()?;
    let gate = &req.app_data::<Data<HttpState>>()?.gate;
    let limit = caller.requests_per_minute.or(gate.key_rate_limit)?;
    Some(gate.by_key.take(caller.key?, limit, gate.now()))
}

/// What an answer says of the keys that were shown.
fn learn<B>(gate: &Gate, ip: IpAddr, keys: &[Vec<u8>], res: &ServiceResponse<B>, now: i64) {
    let extensions = res.request().extensions();
    let right = extensions.get::<RightKey>();
    match keys {
        [key] if has_key(res) => gate.guesses.remember(ip, key, now),
        // What stands beside a right key may be a guess at one that may do more, whatever the answer is.
        keys if right.is_some() || res.status() == StatusCode::UNAUTHORIZED => {
            for key in keys.iter().filter(|key| right.is_none_or(|right| right.0 != **key)) {
                gate.guesses.forget(ip, key);
                if can_be_guessed(key) {
                    gate.guesses.failed(ip, key, now);
                }
            }
        }
        _ => {}
    }
}

/// Keys as the server makes them cannot: they are not slowed down, so that nobody shuts out who has one.
fn can_be_guessed(key: &[u8]) -> bool {
    !std::str::from_utf8(key).is_ok_and(keys::has_form)
}

fn has_key<B>(res: &ServiceResponse<B>) -> bool {
    res.request().extensions().get::<Caller>().is_some_and(|caller| caller.key.is_some())
}

fn too_big(req: &ServiceRequest) -> Option<Problem> {
    if req.method().as_str().len() > MAX_METHOD_CHARS {
        let detail = format!("No method has more than {MAX_METHOD_CHARS} characters");
        return Some(Problem::new(StatusCode::NOT_IMPLEMENTED, "method-too-long", detail));
    }
    let url = req.uri().path_and_query().map_or(0, |url| url.as_str().len());
    if url > MAX_URL_BYTES {
        let detail = format!("The address is too long: at most {MAX_URL_BYTES} bytes are accepted");
        return Some(Problem::new(StatusCode::URI_TOO_LONG, "url-too-long", detail));
    }
    let headers = req.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (bytes > MAX_HEADER_BYTES || headers.len() > MAX_HEADERS).then(|| {
        let detail = format!(
            "The headers are too large: at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together are accepted"
        );
        Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", detail)
    })
}

/// Whether this connection is one too many.
fn no_room(req: &ServiceRequest) -> Option<Problem> {
    let has_room = req.conn_data::<Connection>().is_none_or(Connection::has_room);
    (!has_room).then(|| {
        let detail = "Too many connections are open; try again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-connections", detail)
            .because("MAX_CONNECTIONS is reached, or half of it by one address")
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            .header(header::CONNECTION, HeaderValue::from_static("close"))
    })
}

fn too_many_guesses(seconds: i64) -> Problem {
    let detail = format!("Too many wrong keys came from this address; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-wrong-keys", detail)
        .header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

fn too_many_requests(quota: &Quota) -> Problem {
    let seconds = quota.retry_after();
    let (of, limit) = (quota.of, quota.per_minute);
    let detail =
        format!("This {of} may send {limit} requests a minute; the next one is accepted in {seconds} s");
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
        .header(header::RETRY_AFTER, HeaderValue::from(seconds));
    quota.headers().into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))
}

/// People get a page, programs the problem, which the middleware `errors` writes out.
fn refuse<B>(req: ServiceRequest, problem: Problem) -> Answer<B> {
    if dashboard::has_pages(req.uri().path()) {
        let page = dashboard::refusal(&problem);
        return Ok(req.into_response(page).map_into_right_body());
    }
    Ok(req.error_response(problem).map_into_right_body())
}
