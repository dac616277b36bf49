//! Notes every change, and every attempt that was refused for lack of right, in the audit log.
//!
//! It stands outside of `auth`, because it is to see what that refuses, and looks at the answer: only then it is known
//! what was done. Requests that change nothing (a bad field, a thing that is not there, a repetition under the same
//! `Idempotency-Key`) are no entries; the access log has them.

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web::Data,
};

use super::{access_log::CLIENT_CLOSED_REQUEST, request_id::RequestId};
use crate::{
    http::{HttpState, api::IDEMPOTENCY_REPLAYED, caller::KeySeen, client_ip},
    model::{AuditEntry, AuditOutcome, new_id},
    telemetry::access::{MAX_METHOD_CHARS, cut},
};

/// How much of a path is kept.
const MAX_PATH_CHARS: usize = 500;
/// How many refused attempts a minute of one key, and of all that show none, are kept; the access log has all of them.
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
    let mut note = Note {
        state,
        method: req.method().clone(),
        path: req.uri().path().to_owned(),
        route: req.match_pattern(),
        id: RequestId::given(&req).0,
        ip: client_ip::of(&req).ip,
        key: KeySeen::default(),
        is_told: false,
    };
    req.extensions_mut().insert(note.key.clone());
    match next.call(req).await {
        Ok(res) => {
            note.is_told = true;
            if let Some(outcome) = outcome(&note.path, &res) {
                note.route = res.request().match_pattern();
                note.write(outcome, res.status().as_u16());
            }
            Ok(res)
        }
        Err(error) => {
            note.is_told = true;
            let status = error.as_response_error().status_code();
            if status.is_server_error() {
                note.write(AuditOutcome::Failed, status.as_u16());
            }
            Err(error)
        }
    }
}

/// A request that may change something. One that ends without an answer is an entry as well: its client went away, or its
/// handler panicked, and what it asked for may be done.
struct Note {
    state: Data<HttpState>,
    method: Method,
    path: String,
    route: Option<String>,
    id: Arc<str>,
    ip: Option<IpAddr>,
    key: KeySeen,
    is_told: bool,
}

impl Note {
    fn write(&self, outcome: AuditOutcome, status: u16) {
        let (key, gate) = (self.key.name(), &self.state.gate);
        let is_refused = outcome == AuditOutcome::Refused;
        if is_refused && gate.refused.take(key.clone(), REFUSED_PER_MINUTE, gate.now()).wait.is_some() {
            return;
        }
        // Nobody may fill the store with one request.
        let path = cut(&self.path, MAX_PATH_CHARS);
        let route = self.route.as_deref().unwrap_or(path);
        self.state.services.audit.note(AuditEntry {
            audit_id: new_id(),
            at: self.state.services.system.now(),
            operation: format!("{} {route}", cut(self.method.as_str(), MAX_METHOD_CHARS)),
            path: path.to_owned(),
            outcome,
            status,
            key,
            ip: self.ip.map(|ip| ip.to_string()),
            request_id: self.id.to_string(),
        });
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !self.is_told {
            let status = if std::thread::panicking() { 500 } else { CLIENT_CLOSED_REQUEST };
            self.write(AuditOutcome::Failed, status);
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
