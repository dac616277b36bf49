//! A collector of traces on a free loopback port: takes what is posted, and has it read by the official
//! messages of OpenTelemetry.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{self, Bytes, Data},
};
use serde_json::Value;

/// A post as it came.
#[derive(Debug, Clone)]
pub struct Post {
    pub path: String,
    pub content_type: String,
    /// The header `authorization`.
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    posts: Mutex<Vec<Post>>,
    /// What the next posts are answered with; then 200.
    refusals: Mutex<Vec<u16>>,
}

/// Ends with its test.
pub struct Collector {
    addr: SocketAddr,
    state: Arc<State>,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Answers the first posts with these statuses.
    pub fn refusing(statuses: impl IntoIterator<Item = u16>) -> Self {
        let state = Arc::new(State::default());
        let mut refusals: Vec<u16> = statuses.into_iter().collect();
        refusals.reverse();
        *state.refusals.lock().unwrap() = refusals;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (started, wait) = mpsc::channel();
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app =
                    move || App::new().app_data(Data::from(shared.clone())).default_service(web::to(take));
                let server =
                    HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
                started.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { addr, state, server: wait.recv().unwrap(), thread: Some(thread) }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What was taken so far.
    pub fn posts(&self) -> Vec<Post> {
        self.state.posts.lock().unwrap().clone()
    }

    /// All spans that were taken so far.
    pub fn spans(&self) -> Vec<Value> {
        self.posts().iter().flat_map(spans_of).collect()
    }
}

async fn take(req: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    if let Some(status) = state.refusals.lock().unwrap().pop() {
        return HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish();
    }
    let header = |name: &str| req.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    state.posts.lock().unwrap().push(Post {
        path: req.path().to_owned(),
        content_type: header("content-type").unwrap_or_default(),
        authorization: header("authorization"),
        body: body.to_vec(),
    });
    HttpResponse::Ok().finish()
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The spans of a post, as the official messages read them.
fn spans_of(post: &Post) -> Vec<Value> {
    let ending = if post.content_type == "application/json" { ".json" } else { ".bin" };
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
    file.write_all(&post.body).unwrap();
    match observe("otlp", file.path()) {
        Value::Array(spans) => spans,
        other => panic!("a list: {other}"),
    }
}

/// What a file says: `metrics`, `promql`, `rules` or `otlp`.
pub fn observe(what: &str, file: &std::path::Path) -> Value {
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/observe-tools.sh");
    let output = Command::new(tool).arg(what).arg(file).output().unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {what}: {wrong}");
    serde_json::from_slice(&output.stdout).unwrap()
}
