//! What every request passes through, outermost first:
//! request id → metrics and traces → CORS → errors → access log → API key → routes.

pub mod access_log;
pub mod auth;
pub mod cors;
pub mod errors;
pub mod observe;
pub mod request_id;
