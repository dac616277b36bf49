//! Cross-origin requests: which pages of other sites may call the API from a browser.

use actix_cors::Cors;
use actix_web::{
    Error,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderName},
    },
    middleware::Next,
};

use super::request_id::{RequestId, X_REQUEST_ID};
use crate::http::{
    api::{IDEMPOTENCY_REPLAYED, X_NEXT_CURSOR, X_TOTAL_COUNT},
    error::Problem,
    rate_limit,
};

const METHODS: [Method; 7] =
    [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT];
/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: usize = 600;

/// Whether an origin is one of the configured ones; `https://*.example.com` stands for every
/// sub-domain of `example.com`, however deep, and not for `example.com` itself.
pub fn is_allowed(origin: &str, allowed: &[String]) -> bool {
    let origin = origin.to_ascii_lowercase();
    allowed.iter().any(|pattern| match pattern.split_once("*.") {
        None => *pattern == origin,
        Some((scheme, domain)) => origin
            .strip_prefix(scheme)
            .and_then(|host| host.strip_suffix(domain))
            .and_then(|labels| labels.strip_suffix('.'))
            .is_some_and(|labels| {
                labels.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
            }),
    })
}

/// The middleware, made for the configured origins.
pub fn cors(origins: Vec<String>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|o| is_allowed(o, &origins)))
        .allowed_methods(METHODS)
        .allow_any_header()
        .expose_headers([
            X_REQUEST_ID,
            X_NEXT_CURSOR,
            X_TOTAL_COUNT,
            IDEMPOTENCY_REPLAYED,
            header::LINK,
            header::RETRY_AFTER,
            rate_limit::HEADERS[0].clone(),
            rate_limit::HEADERS[1].clone(),
        ])
        .supports_credentials()
        .max_age(MAX_AGE)
        // A request that is no preflight is answered; without the headers no foreign page can read it.
        .block_on_origin_mismatch(false)
}

/// Words the refusal of a preflight as legacy clients know it. Wraps [`cors`].
pub async fn refuse_preflight<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let preflight =
        req.method() == Method::OPTIONS && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let id = RequestId::given(&req);
    let res = next.call(req).await?;
    if !preflight || res.status() != StatusCode::BAD_REQUEST {
        return Ok(res.map_into_left_body());
    }
    let wants = |name: HeaderName| res.request().headers().get(name).and_then(|v| v.to_str().ok());
    let known_method = wants(header::ACCESS_CONTROL_REQUEST_METHOD)
        .is_some_and(|method| METHODS.iter().any(|known| known.as_str() == method));
    let detail = if known_method { "Disallowed CORS origin" } else { "Disallowed CORS method" };
    let problem = Problem::new(StatusCode::BAD_REQUEST, "cors", detail);
    let answer = problem.answer(res.request().uri().path(), &id.0, None);
    Ok(res.into_response(answer).map_into_right_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_sub_domains_and_nothing_else() {
        let allowed = ["http://localhost:3000".to_owned(), "https://*.netlify.app".to_owned()];
        for origin in ["http://localhost:3000", "https://a.netlify.app", "https://A.b.netlify.app"] {
            assert!(is_allowed(origin, &allowed), "{origin}");
        }
        for origin in [
            "http://localhost:3001",
            "http://localhost",
            "https://netlify.app",
            "https://.netlify.app",
            "http://a.netlify.app",
            "https://evil-netlify.app",
            "https://a.netlify.app.evil.com",
            "https://evil.com/.netlify.app",
            "https://a.netlify.app:444",
            "https://evil.com#.netlify.app",
            "null",
            "NULL",
            "https://evil.com?.netlify.app",
            "https://evil.com@.netlify.app",
            "https://a.netlify.app.",
            "https://a.netlify.app/",
            "https://a..netlify.app",
            "https://a.b.netlify.app.evil",
            "https://xn--a.netlify.app:443",
            "https://a.netlify.app\u{0}",
            " https://a.netlify.app",
            "file://a.netlify.app",
            "",
        ] {
            assert!(!is_allowed(origin, &allowed), "{origin}");
        }
    }
}
