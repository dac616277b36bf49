//! Clients that are too slow, too big or too many: each is told or cut off, and nothing hangs. One running server,
//! raw sockets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use productforge::http::Patience;
use reqwest::Method;

use crate::support::{app::TestApp, engines::Engine, logs, wait::until};

on_both_engines!(each_is_told_or_cut_off_and_the_server_goes_on, one_connection_too_many_is_told_so,);

fn impatient() -> Patience {
    let second = Duration::from_secs(1);
    Patience { head: second, body: second, unread: second }
}

struct Client(TcpStream);

impl Client {
    fn of(app: &TestApp) -> Self {
        let stream = TcpStream::connect(app.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    fn say(mut self, text: &str) -> Self {
        // The server may close before it has taken all of it.
        let _ = self.0.write_all(text.as_bytes());
        self
    }

    /// All that comes until the server closes, which it has to.
    fn hear(mut self) -> String {
        let mut bytes = Vec::new();
        // Who still sends when the server closes gets a reset behind the answer.
        let ended = self.0.read_to_end(&mut bytes);
        let closed = ended.as_ref().is_ok_and(|_| true)
            || ended.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(closed, "the server did not close: {ended:?}");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

fn post(path: &str, kind: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n")
}

async fn each_is_told_or_cut_off_and_the_server_goes_on(engine: Engine) {
    logs::keep();
    let app = engine.app().patience(impatient()).start().await;
    let hears = |text: String| Client::of(&app).say(&text).hear();
    let told = |answer: &str, status: u16, kind: &str| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{kind}: {answer}");
        assert!(answer.contains(&format!("urn:productforge:problem:{kind}")), "{answer}");
    };
    // Too big. What does not fit into the buffer of a head is answered without a problem.
    told(&hears(get(&format!("/agents/?x={}", "y".repeat(20_000)), "")), 414, "url-too-long");
    let long = format!("X-Long: {}\r\n", "y".repeat(70_000));
    let id = format!("X-Request-ID: long-{}\r\n", engine.name());
    told(&hears(get("/agents/", &format!("{id}{long}"))), 431, "headers-too-large");
    let line = logs::of_request(&format!("long-{}", engine.name()));
    assert!(line.iter().any(|record| record.target == "access" && record.text.contains("status=431")));
    let many: String = (0..80).map(|n| format!("X-{n}: y\r\n")).collect();
    told(&hears(get("/agents/", &many)), 431, "headers-too-large");
    let too_many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    assert!(hears(get("/agents/", &too_many)).starts_with("HTTP/1.1 431 "));
    let huge = format!("X-Long: {}\r\n", "y".repeat(200_000));
    let answer = hears(get("/agents/", &huge));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(hears("no http at all\r\n\r\n".to_owned()).starts_with("HTTP/1.1 400 "));

    // Too slow.
    assert!(hears("GET /agents/ HTTP/1.1\r\nHost: loc".to_owned()).starts_with("HTTP/1.1 408 "));
    let _ = hears(String::new());
    told(&hears(post("/orchestrate", "application/json")), 408, "slow-body");
    let form = hears(post("/dashboard/brief", "application/x-www-form-urlencoded"));
    assert!(form.starts_with("HTTP/1.1 408 ") && form.contains("did not arrive in time"), "{form}");

    // A reader who reads nothing.
    reads_nothing(&app).await;
    app.get("/agents/").await.ok();
}

/// Asks for more than buffers hold and reads none of it: the connection must not stay.
async fn reads_nothing(app: &TestApp) {
    let asked = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(40);
    let Client(stream) = Client::of(app).say(&asked);
    stream.set_nonblocking(true).unwrap();
    until("the server has cut the connection", || async {
        // A connection that is cut refuses what is written, at the latest with the second try.
        match (&stream).write(b"\r\n") {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Some(()),
            _ => None,
        }
    })
    .await;
}

async fn one_connection_too_many_is_told_so(engine: Engine) {
    let app = engine.app().variables(&[("MAX_CONNECTIONS", "16")]).start().await;
    let held: Vec<_> = (0..16)
        .map(|_| {
            let mut client = Client::of(&app).say("GET /system/ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let mut first = [0; 12];
            client.0.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            client
        })
        .collect();
    let refused = Client::of(&app).say(&get("/agents/", "")).hear();
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("too-many-connections"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after: 1"), "{refused}");
    let probe = Client::of(&app).say(&get("/system/ping", "")).hear();
    assert!(probe.starts_with("HTTP/1.1 200 "), "probes are answered: {probe}");
    drop(held);
    until("there is room again", || async {
        let answer = app.bare(Method::GET, "/agents/").header("connection", "close").send().await.unwrap();
        (answer.status() == 200).then_some(())
    })
    .await;
}
