//! HTTP: the API, its documentation and the dashboard.
//!
//! [`routes`] is the table of all paths, [`middleware`] what every request passes through, [`error`]
//! the one place where errors become answers.

pub mod api;
pub mod assets;
mod briefs;
pub mod caller;
pub mod client_ip;
mod connections;
pub mod dashboard;
mod disposition;
mod docs;
mod draw;
pub mod error;
pub mod extract;
pub mod fields;
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
mod guess_throttle;
mod markdown;
pub mod middleware;
pub mod openapi;
mod origin;
mod rate_limit;
pub mod redoc;
pub mod render;
pub mod rights;
pub mod routes;
pub mod session;
pub mod sse;
mod swagger;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    body::MessageBody,
    dev::{ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{Data, ServiceConfig},
};

use crate::{
    config::{HttpConfig, Secret},
    service::{Live, Services, System},
};

pub use gate::{Gate, Patience};
pub use guess_throttle::GuessThrottle;

/// Threads that answer requests.
const WORKERS: usize = 2;
/// How long an idle connection stays open: longer than the proxies in front of us keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long requests under way may take when the server stops.
const STOP_SECONDS: u64 = 20;

/// What handlers and middleware stand on. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    pub services: Services,
    /// When set, everything but the public paths needs it.
    pub api_key: Option<Secret>,
    /// Sites whose pages may call the API; `https://*.example.com` for all sub-domains.
    pub cors_origins: Vec<String>,
    /// Without a key and on loopback only: then only this machine's own names are answered to, so
    /// that a foreign page cannot reach in under a name of its own (DNS rebinding).
    pub local_only: bool,
    /// Who is believed, counted and slowed down.
    pub gate: Arc<Gate>,
}

impl HttpState {
    pub fn new(services: Services, config: &HttpConfig) -> Self {
        Self {
            services,
            api_key: config.api_key.clone(),
            cors_origins: config.allowed_origins(),
            local_only: config.api_key.is_none() && !config.open && config.host.to_canonical().is_loopback(),
            gate: Arc::new(Gate::new(config)),
        }
    }
}

/// A server that accepts requests.
pub struct HttpServerHandle {
    /// Where it listens.
    pub addr: SocketAddr,
    stopper: Stopper,
    ended: tokio::task::JoinHandle<io::Result<()>>,
}

impl HttpServerHandle {
    /// Takes no new connection, lets requests under way end (20 s at the most), then returns.
    pub async fn stop(self) -> io::Result<()> {
        self.stopper.stop(true).await;
        self.ended().await
    }

    /// Ends when the server does.
    pub async fn ended(self) -> io::Result<()> {
        self.ended.await.map_err(io::Error::other)?
    }

    /// Can stop the server from elsewhere: `stop(true)` as [`Self::stop`], `stop(false)` at once.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    live: Live,
    system: System,
}

impl Stopper {
    /// Says to whoever asks for health that requests are to go elsewhere, and ends each connection with its next
    /// answer. Requests are answered as before.
    pub fn drain(&self) {
        self.system.drain();
    }

    /// Stops at once what would never end by itself, the streams of events; then requests under way end
    /// (20 s at the most), or nothing is waited for.
    pub fn stop(&self, graceful: bool) -> impl Future<Output = ()> + use<> {
        self.drain();
        self.live.close();
        self.handle.stop(graceful)
    }
}

/// Listens where the configuration says; port 0 takes a free one.
pub fn bind(config: &HttpConfig) -> io::Result<TcpListener> {
    TcpListener::bind((config.host, config.port))
}

/// Starts to answer requests. Must be called within a Tokio runtime; signals are the caller's matter.
pub fn serve(state: HttpState, listener: TcpListener) -> io::Result<HttpServerHandle> {
    start(state, listener, routes::configure)
}

/// The same for a process that serves nothing but what it says of itself: probes and metrics.
pub fn serve_metrics(state: HttpState, listener: TcpListener) -> io::Result<HttpServerHandle> {
    start(state, listener, routes::configure_metrics)
}

fn start(state: HttpState, listener: TcpListener, routes: Routes) -> io::Result<HttpServerHandle> {
    let addr = listener.local_addr()?;
    let (live, audit, system) =
        (state.services.live.clone(), state.services.audit.clone(), state.services.system.clone());
    let gate = state.gate.clone();
    let (patience, accepted) = (gate.patience, gate.accepted(WORKERS));
    let server = HttpServer::new(move || app(state.clone(), routes))
        .workers(WORKERS)
        .client_request_timeout(patience.head)
        .max_connections(accepted)
        .on_connect(move |connection, data| gate.connected(connection, data))
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run();
    tokio::spawn(audit.run());
    let stopper = Stopper { handle: server.handle(), live, system };
    Ok(HttpServerHandle { addr, stopper, ended: tokio::spawn(server) })
}

/// Puts a table of routes into an application.
type Routes = fn(&mut ServiceConfig);

/// The application: the middleware in the documented order around the routes.
fn app(
    state: HttpState,
    routes: Routes,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    // The last one wrapped is the first one a request meets.
    App::new()
        .app_data(Data::new(state.clone()))
        .configure(routes)
        .wrap(from_fn(middleware::limits::by_key))
        .wrap(from_fn(middleware::auth::auth))
        .wrap(from_fn(middleware::limits::by_address))
        .wrap(from_fn(middleware::audit::audit))
        .wrap(from_fn(middleware::access_log::access_log))
        .wrap(from_fn(middleware::errors::errors))
        .wrap(middleware::cors::cors(state.cors_origins))
        .wrap(from_fn(middleware::cors::refuse_preflight))
        .wrap(from_fn(middleware::observe::observe))
        .wrap(from_fn(middleware::request_id::request_id))
        .wrap(from_fn(middleware::draining::draining))
}
