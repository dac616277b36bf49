//! The whole application on a free port: an embedded store in memory, the simulated model, a worker.

use std::{sync::Arc, time::Duration};

use productforge::{
    http::{self, HttpState, Stopper, render},
    llm::{ModelProvider, simulated::SimulatedProvider},
    service::Services,
    worker::WorkerHandle,
};

use crate::support::{wait::until, world::world};

pub const API_KEY: &str = "the-key-of-the-browser-tests";

/// Ends with its test.
pub struct TestApp {
    pub url: String,
    pub services: Services,
    server: Stopper,
    _worker: WorkerHandle,
}

impl TestApp {
    /// Without a key; every simulated answer takes this long.
    pub async fn open(latency: Duration) -> Self {
        Self::start(latency, &[("PORT", "0")])
    }

    /// With [`API_KEY`].
    pub async fn locked() -> Self {
        Self::start(Duration::ZERO, &[("PORT", "0"), ("API_KEY", API_KEY)])
    }

    /// Without a key, with a model that does as a test says.
    pub async fn with(provider: Arc<dyn ModelProvider>) -> Self {
        Self::around(provider, &[("PORT", "0"), ("RETRY_BASE_SECONDS", "0"), ("JOB_MAX_ATTEMPTS", "2")])
    }

    fn start(latency: Duration, variables: &[(&str, &str)]) -> Self {
        Self::around(Arc::new(SimulatedProvider::new(latency)), variables)
    }

    fn around(provider: Arc<dyn ModelProvider>, variables: &[(&str, &str)]) -> Self {
        let app = world(variables, provider);
        let listener = http::bind(&app.config.http).unwrap();
        let server = http::serve(HttpState::new(app.services.clone(), &app.config.http), listener).unwrap();
        Self {
            url: format!("http://{}", server.addr),
            services: app.services.clone(),
            server: server.stopper(),
            _worker: app.start_worker(),
        }
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

    /// What a page says, waiting until it says this.
    pub async fn page_says(&self, path: &str, text: &str) -> String {
        until(&format!("{path} says {text:?}"), || async {
            let page = self.get(path).send().await.unwrap().text().await.unwrap();
            page.contains(text).then_some(page)
        })
        .await
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.server.stop(false));
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
