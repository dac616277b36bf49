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

pub(super) use server::McpServer;
pub(super) use tool::McpTool;
