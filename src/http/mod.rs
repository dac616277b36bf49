//! The HTTP server: the API, the documents and the dashboard.

pub mod assets;
pub mod dashboard;
mod login_throttle;
mod markdown;
pub mod redoc;
pub mod render;
pub mod session;

use crate::{config::Secret, service::Services};

/// What handlers stand on.
#[derive(Clone)]
pub struct HttpState {
    pub services: Services,
    /// When set, everything but the public paths needs it.
    pub api_key: Option<Secret>,
}
