//! An MCP server as it is used: connected to when it is needed, and again when it was lost.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rmcp::{model::Tool as Listed, service::ServiceError};
use serde_json::Value;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Patience,
    connection::{Connection, causes},
    redact::Redactor,
    results,
};
use crate::{config::McpConfig, tools::ToolError};

/// How long a server that fails again is left alone: twice as long every time, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A configured server.
pub(in crate::tools) struct McpServer {
    config: McpConfig,
    patience: Patience,
    redactor: Arc<Redactor>,
    state: Mutex<State>,
    /// What it listed last; kept beyond the connection.
    listed: RwLock<Option<Arc<Vec<Listed>>>>,
    stopped: CancellationToken,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// How often in a row it could not be reached or was lost before it did anything.
    failures: u32,
    /// Before this it is not tried again.
    not_before: Option<Instant>,
    /// Why it was lost or not reached.
    reason: String,
}

impl State {
    fn failed(&mut self, reason: String) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = pause(self.failures).map(|pause| Instant::now() + pause);
        self.reason = reason;
    }
}

/// How long to wait after so many failures in a row. After the first one, not at all: servers are restarted.
fn pause(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(2)?;
    Some(FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE))
}

impl McpServer {
    pub(in crate::tools) fn new(config: McpConfig, patience: Patience) -> Self {
        Self {
            redactor: Arc::new(Redactor::new(&config)),
            config,
            patience,
            state: Mutex::default(),
            listed: RwLock::default(),
            stopped: CancellationToken::new(),
        }
    }

    pub(in crate::tools) fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether agents may be given this tool of it.
    pub(in crate::tools) fn allows(&self, tool: &str) -> bool {
        self.config.tools.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == tool))
    }

    /// How long a call may take, with all that may have to come before it.
    pub(super) fn time_limit(&self) -> Duration {
        self.config.timeout + self.patience.start
    }

    /// The tools that agents may be given. Of a server that is away, those that it had.
    pub(in crate::tools) async fn tools(&self) -> Result<Vec<Listed>, ToolError> {
        let listed = match self.connection().await {
            Ok(connection) if connection.take_change() => match self.list(&connection).await {
                Ok(listed) => Ok(listed),
                Err(reason) => self.remembered().ok_or(ToolError::Unavailable(reason)),
            },
            Ok(_) => {
                self.remembered().ok_or_else(|| ToolError::Unavailable("it has listed no tools".to_owned()))
            }
            Err(error) => self.remembered().ok_or(error),
        }?;
        Ok(listed.iter().filter(|tool| self.allows(&tool.name)).cloned().collect())
    }

    fn remembered(&self) -> Option<Arc<Vec<Listed>>> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn list(&self, connection: &Connection) -> Result<Arc<Vec<Listed>>, String> {
        let listed = timeout(self.patience.start, connection.list())
            .await
            .map_err(|_| "it did not list its tools in time".to_owned())?
            .map_err(|error| self.explained(&error))?;
        let listed = Arc::new(listed);
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&listed));
        Ok(listed)
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: &Value) -> Result<String, ToolError> {
        let connection = self.connection().await?;
        let limit = self.config.timeout;
        match timeout(limit, connection.call(tool, arguments)).await {
            Ok(Ok(result)) => {
                // Whoever holds it is connecting anew, and counts for itself.
                if let Ok(mut state) = self.state.try_lock() {
                    state.failures = 0;
                }
                results::text(result)
                    .map(|text| self.redactor.clean(text))
                    .map_err(|text| ToolError::Failed(self.redactor.clean(text)))
            }
            Ok(Err(error @ (ServiceError::TransportSend(_) | ServiceError::TransportClosed))) => {
                let why = self.explained(&error);
                Err(ToolError::Unavailable(format!(
                    "the MCP server {} was lost during the call ({why}); whether it did anything is not known",
                    self.name()
                )))
            }
            Ok(Err(error)) => Err(ToolError::Failed(self.explained(&error))),
            Err(_) => {
                connection.suspect();
                Err(ToolError::TimedOut(limit))
            }
        }
    }

    /// The connection, made anew if there is none that works.
    async fn connection(&self) -> Result<Arc<Connection>, ToolError> {
        let mut state = self.state.lock().await;
        if self.stopped.is_cancelled() {
            return Err(ToolError::Unavailable(format!("the MCP server {} is being stopped", self.name())));
        }
        if let Some(connection) = &state.connection {
            let Some(fault) = connection.fault(self.patience.ping).await else {
                return Ok(Arc::clone(connection));
            };
            log::warn!(server = self.name(); "MCP server lost: {fault}");
            connection.drop_now().await;
            state.connection = None;
            state.failed(fault);
        }
        if let Some(wait) = state.not_before.and_then(|then| then.checked_duration_since(Instant::now())) {
            return Err(self.unreachable(&state.reason, Some(wait)));
        }
        let opened = tokio::select! {
            opened = timeout(self.patience.start, self.open()) => {
                opened.unwrap_or_else(|_| Err(format!("it did not come up within {} s", self.patience.start.as_secs_f32())))
            }
            () = self.stopped.cancelled() => Err("it is being stopped".to_owned()),
        };
        match opened {
            Ok(connection) => {
                let connection = Arc::new(connection);
                state.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(reason) => {
                log::warn!(server = self.name(); "MCP server cannot be reached: {reason}");
                let error = self.unreachable(&reason, None);
                state.failed(reason);
                Err(error)
            }
        }
    }

    /// Connects and asks for the tools, which may be others than last time.
    async fn open(&self) -> Result<Connection, String> {
        let connection = Connection::open(&self.config, &self.redactor).await?;
        let listed = self.list(&connection).await?;
        log::info!(server = self.name(), tools = listed.len(), pid = connection.pid(); "MCP server connected");
        Ok(connection)
    }

    fn unreachable(&self, reason: &str, wait: Option<Duration>) -> ToolError {
        let again = wait
            .map_or_else(String::new, |wait| format!("; it is tried again in {} s", wait.as_secs().max(1)));
        ToolError::Unavailable(format!("the MCP server {} cannot be reached: {reason}{again}", self.name()))
    }

    /// What went wrong with a request, for people and models.
    fn explained(&self, error: &ServiceError) -> String {
        let text = match error {
            ServiceError::McpError(error) => error.message.to_string(),
            ServiceError::TransportSend(error) => causes(error.error.as_ref()),
            ServiceError::TransportClosed => "the connection was closed".to_owned(),
            ServiceError::UnexpectedResponse => "it answered with what is no result".to_owned(),
            other => other.to_string(),
        };
        self.redactor.line(&text, 2_000)
    }

    /// Ends the connection, and the server if it is a child. There is no new one after that.
    pub(in crate::tools) async fn stop(&self) {
        self.stopped.cancel();
        let connection = self.state.lock().await.connection.take();
        if let Some(connection) = connection {
            connection.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        assert_eq!(pause(0), None);
        assert_eq!(pause(1), None);
        assert_eq!(pause(2), Some(FIRST_PAUSE));
        assert_eq!(pause(4), Some(FIRST_PAUSE * 4));
        assert_eq!(pause(20), Some(LONGEST_PAUSE));
        assert_eq!(pause(u32::MAX), Some(LONGEST_PAUSE));
    }
}
