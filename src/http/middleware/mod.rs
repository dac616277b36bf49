//! What every request passes through, outermost first:
//! draining → request id → CORS → errors → access log → API key → routes.

pub mod access_log;
pub mod auth;
pub mod cors;
pub mod draining;
pub mod errors;
pub mod request_id;
