//! What every request passes through, outermost first:
//! draining → request id and client → metrics and traces → CORS → errors → access log → audit → limits by address → API key →
//! limits by key → routes.

pub mod access_log;
pub mod audit;
pub mod auth;
pub mod cors;
pub mod draining;
pub mod errors;
pub mod limits;
pub mod observe;
pub mod request_id;
