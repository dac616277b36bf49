//! A dashboard on a free port with an embedded store in memory, the simulated model and a worker.

use std::{path::PathBuf, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use productforge::{
    clock::SystemClock,
    config::Secret,
    engine::retry::{Failure, RetryPolicy},
    http::{HttpState, assets, dashboard, redoc, render},
    llm::simulated::SimulatedProvider,
    service::{Foundation, Services, execution::Admission},
    store::{
        Reserve, Store,
        sqlite::{Location, SqliteStore},
    },
};

pub const API_KEY: &str = "the-key-of-the-browser-tests";

/// Ends with its test.
pub struct TestApp {
    pub url: String,
    pub services: Services,
    server: ServerHandle,
    worker: tokio::task::JoinHandle<()>,
}

impl TestApp {
    /// Without a key; every simulated answer takes this long.
    pub async fn open(latency: Duration) -> Self {
        Self::start(latency, None).await
    }

    /// With [`API_KEY`].
    pub async fn locked() -> Self {
        Self::start(Duration::ZERO, Some(Secret::new(API_KEY))).await
    }

    async fn start(latency: Duration, api_key: Option<Secret>) -> Self {
        let clock = Arc::new(SystemClock);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(Location::Memory, clock.clone()).unwrap());
        let services = Services::new(Foundation {
            store: store.clone(),
            provider: Arc::new(SimulatedProvider::new(latency)),
            clock,
            result_ttl: Duration::from_secs(3600),
            retry: RetryPolicy {
                max_attempts: 3,
                base: Duration::from_millis(10),
                cap: Duration::from_secs(1),
            },
            max_tokens: None,
            log_folder: PathBuf::from("/nonexistent"),
            key_configured: false,
        });
        let state = web::Data::new(HttpState { services: services.clone(), api_key });
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .configure(assets::configure)
                .configure(dashboard::configure)
                .route("/redoc", web::get().to(redoc::show))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let worker = tokio::spawn(work(services.clone(), store));
        Self { url, services, server: handle, worker }
    }

    /// A GET as a program makes it, without following redirects.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        client().get(self.at(path))
    }

    /// A form as a program posts it.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let pairs: Vec<_> = fields.iter().map(|(n, v)| format!("{n}={}", render::segment(v))).collect();
        let form = "application/x-www-form-urlencoded";
        client().post(self.at(path)).header("content-type", form).body(pairs.join("&"))
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// reqwest asks for one even where no TLS is spoken.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.worker.abort();
        drop(self.server.stop(false));
    }
}

async fn work(services: Services, store: Arc<dyn Store>) {
    loop {
        let request = Reserve { worker: "browser-test".to_owned(), limit: 4, lease_ms: 30_000 };
        for delivery in store.reserve(&request).await.unwrap() {
            let services = services.clone();
            tokio::spawn(async move {
                let execution = &services.execution;
                let Admission::Run(running) = execution.admit(&delivery, "browser-test").await.unwrap()
                else {
                    return;
                };
                match execution.answer(&running).await {
                    Ok(answer) => drop(execution.complete(&running, &answer).await.unwrap()),
                    Err(error) => {
                        let failure = Failure { retryable: false, retry_after: None };
                        execution.fail(&running, &error.to_string(), failure).await.unwrap();
                    }
                }
            });
        }
        store.promote(100).await.unwrap();
        store.wait_for_work(Duration::from_millis(50)).await;
    }
}
