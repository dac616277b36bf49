//! Notes every change, and every attempt that was refused for lack of right, in the audit log.
//!
//! It stands outside of `auth`, because it is to see what that refuses, and looks at the answer: only then it is known
//! what was done. Requests that change nothing (a bad field, a thing that is not there, a repetition under the same
//! `Idempotency-Key`) are no entries; the access log has them.

use std::net::IpAddr;

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web::Data,
};

use super::request_id::RequestId;
use crate::{
    http::{HttpState, api::IDEMPOTENCY_REPLAYED, caller::Caller, client_ip},
    model::{AuditEntry, AuditOutcome, new_id},
};

/// How much of a path is kept.
const MAX_PATH_CHARS: usize = 500;
/// How many refused attempts a minute are kept; the access log has all of them.
const REFUSED_PER_MINUTE: u32 = 10;

/// The middleware.
pub async fn audit<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.call(req).await;
    }
    let Some(state) = req.app_data::<Data<HttpState>>().cloned() else { return next.call(req).await };
    let (method, path) = (req.method().clone(), req.uri().path().to_owned());
    let (id, ip) = (RequestId::given(&req).0, client_ip::of(&req).ip);
    let entry = |outcome, status: StatusCode, route: Option<String>, key| AuditEntry {
        audit_id: new_id(),
        at: state.services.system.now(),
        operation: format!("{method} {}", route.unwrap_or_else(|| cut(&path))),
        path: cut(&path),
        outcome,
        status: status.as_u16(),
        key,
        ip: ip.map(|ip: IpAddr| ip.to_string()),
        request_id: id.to_string(),
    };
    match next.call(req).await {
        Ok(res) => {
            if let Some(outcome) = outcome(&path, &res) {
                let key = res.request().extensions().get::<Caller>().and_then(|caller| caller.key.clone());
                let route = res.request().match_pattern();
                let entry = entry(outcome, res.status(), route, key);
                let gate = &state.gate;
                let is_kept = outcome != AuditOutcome::Refused
                    || gate.refused.take((), REFUSED_PER_MINUTE, gate.now()).wait.is_none();
                if is_kept {
                    state.services.audit.note(entry);
                }
            }
            Ok(res)
        }
        Err(error) => {
            let status = error.as_response_error().status_code();
            if status.is_server_error() {
                state.services.audit.note(entry(AuditOutcome::Failed, status, None, None));
            }
            Err(error)
        }
    }
}

/// What was done, if that belongs into the log.
fn outcome<B>(path: &str, res: &ServiceResponse<B>) -> Option<AuditOutcome> {
    let status = res.status();
    let header = |name| res.headers().get(name).and_then(|value| value.to_str().ok());
    if status.is_success() || status.is_redirection() {
        if header(IDEMPOTENCY_REPLAYED).is_some() {
            return None;
        }
        // A form without a session is sent to the login.
        let to_login = header(header::LOCATION).is_some_and(|to| to.starts_with("/dashboard/login"));
        let is_refused = to_login && !path.starts_with("/dashboard/logout");
        return Some(if is_refused { AuditOutcome::Refused } else { AuditOutcome::Done });
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(AuditOutcome::Refused),
        status if status.is_server_error() => Some(AuditOutcome::Failed),
        _ => None,
    }
}

/// The beginning of a path: nobody may fill the store with one request.
fn cut(path: &str) -> String {
    path.chars().take(MAX_PATH_CHARS).collect()
}
