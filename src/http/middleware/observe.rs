//! What is known of every request elsewhere than in the log: metrics by route, a span, and the context that
//! the work it asks for is done in.
//!
//! A route is always its template (`/jobs/{job_id}`), never a path that somebody sent: those are without
//! number. What matches none, and what is given up before it is routed, is `other`.

use std::{sync::Arc, time::Instant};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header::HeaderMap},
    middleware::Next,
};

use super::request_id::RequestId;
use crate::telemetry::{
    context::Context,
    counters,
    metrics::OTHER,
    trace::{self, Span, SpanKind, TraceParent},
};

/// Requests that say nothing of the work: probes come every few seconds.
const NOT_TRACED: [&str; 4] = ["/system/ping", "/system/health", "/metrics", "/metrics/json"];

/// The middleware.
pub async fn observe(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let path = req.uri().path();
    let parent = parent(req.headers());
    let traced = !NOT_TRACED.contains(&path) && !path.starts_with("/static/");
    let mut seen = Seen {
        method: method(req.method()),
        begun: Instant::now(),
        route: None,
        status: None,
        span: traced.then(|| {
            let mut span = trace::span(SpanKind::Server, parent, || method(req.method()).to_owned());
            if span.is_recorded() {
                span.set("http.request.method", method(req.method()));
                span.set("url.path", path);
                span.set("productforge.request_id", &*RequestId::given(&req).0);
            }
            span
        }),
    };
    let context = Context {
        request_id: Some(RequestId::given(&req).0).filter(|id: &Arc<str>| !id.is_empty()),
        attempt: None,
        trace: seen.span.as_ref().map_or(parent, Span::place),
    };
    let result = context.scope(next.call(req)).await;
    match &result {
        Ok(res) => {
            seen.route = res.request().match_pattern();
            seen.status = Some(res.status());
        }
        Err(error) => seen.status = Some(error.as_response_error().status_code()),
    }
    result
}

/// Where a client's own trace goes on.
fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// A method that is known, else `other`: clients may send any word.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

/// Counts itself when it goes, so that a request that is given up counts, too.
struct Seen {
    method: &'static str,
    begun: Instant,
    route: Option<String>,
    status: Option<StatusCode>,
    span: Option<Span>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        let route = self.route.as_deref().unwrap_or(OTHER);
        let class = match self.status.map(|status| status.as_u16() / 100) {
            Some(1) => "1xx",
            Some(2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(_) => "5xx",
            // The client went away, or the program is broken; the access log tells which.
            None => "none",
        };
        counters::HTTP_REQUESTS.with([self.method, route, class], |count| count.add(1));
        counters::HTTP_SECONDS.with([self.method, route], |times| times.observe(self.begun.elapsed()));
        let Some(span) = &mut self.span else { return };
        if span.is_recorded() {
            if route != OTHER {
                span.rename(|| format!("{} {route}", self.method));
                span.set("http.route", route);
            }
            match self.status {
                Some(status) => {
                    span.set("http.response.status_code", i64::from(status.as_u16()));
                    if status.is_server_error() {
                        span.fail(status.as_str(), status.canonical_reason().unwrap_or("server error"));
                    }
                }
                None => span.fail("cancelled", "the client went away before the answer"),
            }
        }
    }
}
