//! One line a request in the access log, also for one that is refused, abandoned or fails.

use std::{net::IpAddr, sync::Arc, time::Instant};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, Uri},
    middleware::Next,
};

use super::request_id::RequestId;
use crate::{
    http::client_ip,
    telemetry::{access::AccessLine, counters},
};

/// What the logs say of a request whose client went away before the answer (nginx's number).
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The middleware.
pub async fn access_log(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut line = Line {
        method: req.method().clone(),
        uri: req.uri().clone(),
        ip: client_ip::of(&req).ip,
        request_id: RequestId::given(&req).0,
        begun: Instant::now(),
        status: None,
    };
    let result = next.call(req).await;
    line.status = Some(match &result {
        Ok(res) => res.status().as_u16(),
        Err(error) => error.as_response_error().status_code().as_u16(),
    });
    result
}

/// Logs itself when it goes, so that no way out of the request leaves no line.
struct Line {
    method: Method,
    uri: Uri,
    ip: Option<IpAddr>,
    request_id: Arc<str>,
    begun: Instant,
    status: Option<u16>,
}

impl Drop for Line {
    fn drop(&mut self) {
        counters::REQUESTS.add(1);
        let status = match self.status {
            Some(status) => status,
            None if std::thread::panicking() => 500,
            None => CLIENT_CLOSED_REQUEST,
        };
        AccessLine {
            method: self.method.as_str(),
            path: self.uri.path(),
            status,
            duration_ms: self.begun.elapsed().as_secs_f64() * 1_000.0,
            ip: &self.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()),
            request_id: &self.request_id,
        }
        .log();
    }
}
