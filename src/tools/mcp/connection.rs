//! One live connection to an MCP server.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Client,
    header::{HeaderName, HeaderValue},
    redirect,
};
use rmcp::{
    ClientHandler, Peer, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResult, ClientConfig, ClientRequest, Implementation,
        PaginatedRequestParams, PingRequest, Tool as Listed,
    },
    service::{ClientInitializeError, NotificationContext, RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport,
        async_rw::AsyncRwTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};
use serde_json::Value;
use tokio::time::timeout;

use super::{child::Server, redact::Redactor};
use crate::config::{McpConfig, McpTransport, Secret};

/// The largest message that is taken from a server.
const MAX_MESSAGE: usize = 8 << 20;

/// A server with more tools, or one that turns pages for ever, is cut off here.
const MAX_PAGES: usize = 50;
const MAX_TOOLS: usize = 500;

/// How long the farewell may take, before a child is stopped.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What a server hears of us, and tells us of itself.
struct Host {
    tools_changed: Arc<AtomicBool>,
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.client_info = Implementation::new("productforge", env!("CARGO_PKG_VERSION"));
        info
    }

    fn on_tool_list_changed(
        &self,
        _: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + Send + '_ {
        self.tools_changed.store(true, Ordering::Release);
        std::future::ready(())
    }
}

/// A connection, with the child at its other end if there is one.
pub(super) struct Connection {
    peer: Peer<RoleClient>,
    service: tokio::sync::Mutex<RunningService<RoleClient, Host>>,
    child: Mutex<Option<Server>>,
    tools_changed: Arc<AtomicBool>,
    /// It has failed in a way that it does not come back from.
    broken: AtomicBool,
    /// It has not answered in time.
    suspect: AtomicBool,
    calls: AtomicUsize,
}

impl Connection {
    /// Connects; the error is for people, and has no secret in it.
    pub(super) async fn open(config: &McpConfig, redactor: &Arc<Redactor>) -> Result<Self, String> {
        let tools_changed = Arc::new(AtomicBool::new(false));
        let host = Host { tools_changed: Arc::clone(&tools_changed) };
        let (service, child) = match &config.transport {
            McpTransport::Stdio { command, args, env } => {
                let (mut child, stdout, stdin) = Server::start(&config.name, command, args, env, redactor)
                    .map_err(|error| redactor.line(&format!("{command} cannot be started: {error}"), 500))?;
                let transport = AsyncRwTransport::new(stdout, stdin).with_max_line_length(MAX_MESSAGE);
                match host.serve(transport).await {
                    Ok(service) => (service, Some(child)),
                    Err(error) => {
                        let said = child.obituary().await;
                        let why = if said.is_empty() { explained(&error) } else { said };
                        return Err(redactor.line(&format!("{command} did not come up: {why}"), 500));
                    }
                }
            }
            McpTransport::Http { url, headers } => {
                let service = host.serve(http(url, headers)?).await;
                (service.map_err(|error| redactor.line(&explained(&error), 500))?, None)
            }
        };
        Ok(Self {
            peer: service.peer().clone(),
            service: tokio::sync::Mutex::new(service),
            child: Mutex::new(child),
            tools_changed,
            broken: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
        })
    }

    /// The process id of the child, if there is one.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child().as_ref().and_then(Server::pid)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it cannot be used any more, if so; one that was too slow has so long to say that it lives.
    pub(super) async fn fault(&self, ping_limit: Duration) -> Option<String> {
        // Asked of the system and not of the pipe: a child that was killed a moment ago has not been missed yet.
        if let Some(status) = self.child().as_mut().and_then(Server::ended) {
            return Some(format!("it ended with {status}"));
        }
        if self.broken.load(Ordering::Acquire) || self.peer.is_transport_closed() {
            // The pipes of a child that dies are closed a moment before it can be asked how it ended.
            let child = self.child().take();
            let ended = match child {
                Some(mut child) => {
                    let ended = child.end_at_once().await;
                    *self.child() = Some(child);
                    ended
                }
                None => None,
            };
            return Some(match ended {
                Some(status) => format!("it ended with {status}"),
                None => "the connection was lost".to_owned(),
            });
        }
        // One that is busy with calls of others has an excuse.
        if self.suspect.load(Ordering::Acquire) && self.calls.load(Ordering::Acquire) == 0 {
            let ping = self.peer.send_request(ClientRequest::PingRequest(PingRequest::default()));
            match timeout(ping_limit, ping).await {
                // An error is an answer too.
                Ok(Ok(_) | Err(ServiceError::McpError(_))) => self.suspect.store(false, Ordering::Release),
                _ => return Some("it answers no more".to_owned()),
            }
        }
        None
    }

    /// Whether the server has said, since it was asked last, that its tools are others.
    pub(super) fn take_change(&self) -> bool {
        self.tools_changed.swap(false, Ordering::AcqRel)
    }

    /// All tools of the server, page by page.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, ServiceError> {
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor.take());
            let page = self.watched(self.peer.list_tools(Some(params))).await?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || tools.len() >= MAX_TOOLS {
                break;
            }
        }
        tools.truncate(MAX_TOOLS);
        Ok(tools)
    }

    pub(super) async fn call(&self, tool: &str, arguments: &Value) -> Result<CallToolResult, ServiceError> {
        let _busy = Busy::new(&self.calls);
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = Some(arguments.as_object().cloned().unwrap_or_default());
        self.watched(self.peer.call_tool(params)).await
    }

    /// Marks the connection when a request shows that it is gone.
    async fn watched<T>(
        &self,
        request: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let outcome = request.await;
        if let Err(ServiceError::TransportSend(_) | ServiceError::TransportClosed) = &outcome {
            self.broken.store(true, Ordering::Release);
        }
        outcome
    }

    /// It did not answer in time: whether it lives is asked before it is used again.
    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    /// Says farewell and ends the child.
    pub(super) async fn close(&self) {
        // This closes the input of a child, which is what tells it to end.
        let _ = self.service.lock().await.close_with_timeout(CLOSE_LIMIT).await;
        let child = self.child().take();
        if let Some(mut child) = child {
            child.stop().await;
        }
    }

    /// The same of one that is of no use any more: without patience.
    pub(super) async fn drop_now(&self) {
        let child = self.child().take();
        if let Some(mut child) = child {
            child.kill().await;
        }
        let _ = self.service.lock().await.close_with_timeout(CLOSE_LIMIT).await;
    }
}

/// Counts a call while it is under way.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::AcqRel);
        Self(calls)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn http(url: &str, headers: &[(String, Secret)]) -> Result<StreamableHttpClientTransport<Client>, String> {
    let mut custom = HashMap::new();
    for (name, value) in headers {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name} is no name of a header"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the value of {name} does not fit a header"))?;
        value.set_sensitive(true);
        custom.insert(header, value);
    }
    // The cryptography that the whole program uses; whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(5))
        // Our headers are for this server alone.
        .redirect(redirect::Policy::none())
        // A connection whose last answer was not read to its end must not be used again.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| format!("no HTTP client can be made: {error}"))?;
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(custom)
        .max_json_response_size(MAX_MESSAGE)
        .max_sse_event_size(MAX_MESSAGE);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

/// Why a server cannot be used, as short as it can be said.
fn explained(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_) => "the connection was closed at once".to_owned(),
        ClientInitializeError::TransportError { error, .. } => causes(error.error.as_ref()),
        ClientInitializeError::JsonRpcError(error) => format!("it refused: {}", error.message),
        other => other.to_string(),
    }
}

/// An error with what is behind it, of which the innermost says most: "Connection refused".
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        // This one does not lead on to what it holds.
        if let Some(StreamableHttpError::Client(inner)) =
            error.downcast_ref::<StreamableHttpError<reqwest::Error>>()
        {
            next = Some(inner);
            continue;
        }
        next = error.source();
        let said = error.to_string();
        // The client says which address it asked, which is known, and leaves the reason to the next.
        let is_address = error.is::<reqwest::Error>() && next.is_some();
        if !is_address && !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
    }
    text
}
