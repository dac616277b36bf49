//! The client of MCP servers.
//!
//! [`server`] is what is used: it connects when a tool of it is wanted first, keeps the [`connection`] and
//! makes a new one when that was lost. A server that fails again and again is left alone for a while that
//! grows. [`child`] is a server that runs as our child, [`tool`] one tool of a server, [`results`] what it
//! gave. Whatever comes from a server goes through [`redact`], for it may repeat what it was told in
//! confidence.
//!
//! A call is never made twice: nobody knows what the first one did.

mod child;
mod connection;
mod redact;
mod results;
mod server;
mod tool;

use std::time::Duration;

pub(super) use server::McpServer;
pub(super) use tool::McpTool;

/// How long servers may take with what is not a call of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a server can be used, and until it has listed its tools.
    pub start: Duration,
    /// Until one that did not answer in time says that it lives.
    pub ping: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { start: Duration::from_secs(10), ping: Duration::from_secs(5) }
    }
}
