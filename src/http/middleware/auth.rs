//! Who sends a request, by the key that it shows. Denies by default.
//!
//! What is not listed here as public needs the key, whatever its method, whether or not anything
//! answers there. The path is looked at as it was sent, so no other spelling of a public path opens
//! anything.

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName},
    },
    middleware::Next,
    web::Data,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::cors::is_allowed;
use crate::{
    config::Secret,
    http::{HttpState, caller::Caller, error::Problem, origin},
    service::keys::Recognised,
};

/// The owner's header.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Public to everyone, exactly as written.
pub(in crate::http) const PUBLIC: &[&str] = &[
    "/",
    "/system/ping",
    "/system/health",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/help",
    "/dashboard",
    "/favicon.ico",
];
/// Public with everything below: pages and assets without data. The dashboard's handlers ask for a
/// session themselves.
pub(in crate::http) const PUBLIC_BELOW: &[&str] = &["/docs/", "/redoc/", "/help/", "/dashboard/", "/static/"];

/// Whether a path, as sent, needs no key.
pub fn is_public(path: &str) -> bool {
    let plain = |rest: &str| {
        !rest.starts_with('/') && !["..", "//", "\\"].iter().any(|forbidden| rest.contains(forbidden))
    };
    // An id in a dashboard address may need encoding; what is below `/dashboard/` stays below it
    // however it is decoded, and asks for a session.
    let below = |p: &str| {
        path.strip_prefix(p).is_some_and(|rest| plain(rest) && (p == "/dashboard/" || !rest.contains('%')))
    };
    PUBLIC.contains(&path) || PUBLIC_BELOW.iter().any(|p| below(p))
}

/// Whether this key is the right one, in a time that does not depend on where they differ.
pub fn is_right(given: &[u8], key: &Secret) -> bool {
    let digest = |bytes: &[u8]| Sha256::digest(bytes);
    digest(given).as_slice().ct_eq(digest(key.expose().as_bytes()).as_slice()).into()
}

/// The keys a request shows: `X-API-Key`, or `Authorization: Bearer`.
pub(super) fn shown(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
    });
    headers.get(X_API_KEY).map(|value| value.as_bytes()).into_iter().chain(bearer)
}

/// Which of the keys that a request shows is the named one that opens; `limits` learns from it.
#[derive(Debug, Clone)]
pub(super) struct RightKey(pub(super) Vec<u8>);

/// The middleware. It answers before the body is read and before a route is looked for. Whether what is asked for is
/// in the scope of the key is looked at by the route (`rights.rs`).
pub async fn auth<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let state = req.app_data::<Data<HttpState>>().cloned();
    if state.as_ref().is_some_and(|s| s.local_only) && !names_this_machine(&req) {
        return Ok(req.error_response(Problem::foreign_host()).map_into_right_body());
    }
    if state.as_ref().is_some_and(|s| s.api_key.is_none() && is_foreign_page(&req, &s.cors_origins)) {
        return Ok(req.error_response(Problem::foreign_origin()).map_into_right_body());
    }
    let caller = match &state {
        Some(state) => caller(state, &req).await,
        // Without a state nobody can say who may enter.
        None => Err(Problem::unauthorized()),
    };
    match caller {
        Ok(caller) => {
            caller.enter(&mut req.extensions_mut());
            Ok(next.call(req).await?.map_into_left_body())
        }
        // `into_response` would lose the problem, which the middleware `errors` is to write out.
        Err(problem) => Ok(req.error_response(problem).map_into_right_body()),
    }
}

/// Whose right a request uses, or why it gets no further.
///
/// The key of `API_KEY` is compared first and works without the store. A named key is looked up only where something
/// is to be opened by it: what is public answers whatever key is sent and however the store is.
async fn caller(state: &HttpState, req: &ServiceRequest) -> Result<Caller, Problem> {
    let Some(key) = &state.api_key else { return Ok(Caller::anybody()) };
    let shown: Vec<&[u8]> = shown(req.headers()).collect();
    if shown.iter().any(|given| is_right(given, key)) {
        return Ok(Caller::owner());
    }
    if is_public(req.uri().path()) && is_free_method(req.method(), req.uri().path()) {
        return Ok(Caller::default());
    }
    let mut refusal = match shown.as_slice() {
        [] => Problem::unauthorized(),
        _ => Problem::no_such_key("Unauthorized"),
    };
    for text in shown.into_iter().filter_map(|given| std::str::from_utf8(given).ok()) {
        match state.services.keys.recognise(text).await? {
            Recognised::Key(key) => {
                req.extensions_mut().insert(RightKey(text.as_bytes().to_vec()));
                return Ok(Caller::of(&key));
            }
            Recognised::Unknown => {}
            Recognised::Over(why) => {
                refusal =
                    Problem::no_such_key(format!("This key opens nothing any more: it is {}", why.as_str()));
            }
        }
    }
    Err(refusal)
}

/// Whether a request is for this machine by one of its own names. Probes may call it what they like.
fn names_this_machine(req: &ServiceRequest) -> bool {
    if matches!(req.uri().path(), "/system/ping" | "/system/health") {
        return true;
    }
    // HTTP/1.0 clients send no name; browsers, whom this is about, always do.
    let named = req.headers().get(header::HOST).map(|value| value.to_str().unwrap_or("?"));
    named.or_else(|| req.uri().authority().map(|a| a.as_str())).is_none_or(is_local)
}

/// Whether a page that may not call the API asks for a change. Some changes take no preflight, such as an upload; where
/// a key is needed, such a page does not have it. The forms of the dashboard ask for themselves.
fn is_foreign_page(req: &ServiceRequest, allowed: &[String]) -> bool {
    let changes = !matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let origin = req.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    changes
        && !req.path().starts_with("/dashboard/")
        && origin::is_foreign(req.headers())
        && !origin.is_some_and(|origin| is_allowed(origin, allowed))
}

/// Whether a `host[:port]` is loopback.
pub(in crate::http) fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Public paths are there to be read; only the dashboard has forms, whose handlers ask for a session.
fn is_free_method(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) || path.starts_with("/dashboard/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in
            ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST.", "a.localhost"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["evil.com", "127.0.0.1.evil.com", "localhost.evil.com:8000", "10.0.0.1", "", "?", "[::2]"]
        {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn only_the_listed_spelling_of_a_path_is_public() {
        for path in ["/", "/system/ping", "/docs", "/docs/swagger-ui.css", "/dashboard", "/static/app.css"] {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "",
            "//",
            "/system/ping/",
            "/system//ping",
            "/system/%70ing",
            "/System/ping",
            "/system/health;x",
            "/docs/../agents",
            "/docs//agents",
            "/docs/%2e%2e/agents",
            "/static/..%2fagents",
            "/docs/\\..\\x",
            "/docsx",
            "/dashboardx",
            "/static",
            "/agents/",
            "/results",
            "/help/../agents",
            "/static//x",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }

    #[test]
    fn a_key_is_right_as_a_whole_or_not_at_all() {
        let key = Secret::new("correct horse");
        assert!(is_right(b"correct horse", &key));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!is_right(wrong.as_bytes(), &key), "{wrong:?}");
        }
    }
}
