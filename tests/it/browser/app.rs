//! A whole application for a browser: a free port, a store in memory, the simulated model, a worker.

use std::{sync::Arc, time::Duration};

use actix_web::dev::ServerHandle;
use productforge::{
    config::Secret,
    http::{self, HttpState, render},
    llm::simulated::SimulatedProvider,
    service::Services,
    worker::WorkerHandle,
};

use crate::support::world::world;

pub const API_KEY: &str = "the-key-of-the-browser-tests";

/// Ends with its test.
pub struct TestApp {
    pub url: String,
    pub services: Services,
    server: ServerHandle,
    _worker: WorkerHandle,
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
        let app = world(&[], Arc::new(SimulatedProvider::new(latency)));
        let worker = app.start_worker();
        let state = HttpState { services: app.services.clone(), api_key, cors_origins: Vec::new() };
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = http::serve(state, listener).unwrap();
        let url = format!("http://{}", server.addr);
        Self { url, services: app.services, server: server.stopper(), _worker: worker }
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
        drop(self.server.stop(false));
    }
}
