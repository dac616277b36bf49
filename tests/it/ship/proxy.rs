//! Caddy with our Caddyfile before a real server.

use std::process::Command;

use super::file;
use crate::support::{
    process::{Process, Server, folder, free_port},
    wait::until,
};

/// Caddy as in `docs/deploy`, on a port of its own, without TLS and before this port.
fn caddy(place: &std::path::Path, port: u16, behind: u16) -> Process {
    let text = std::fs::read_to_string(file("docs/deploy/Caddyfile")).unwrap();
    let (site, upstream) = (format!("http://127.0.0.1:{port}"), format!("127.0.0.1:{behind}"));
    assert!(text.contains("\nproductforge.example.com {") && text.contains("reverse_proxy 127.0.0.1:8000 {"));
    let text = text.replace("productforge.example.com", &site).replace("127.0.0.1:8000", &upstream);
    // A busy machine starts slowly, which is not what is tested.
    let text = text.replace("lb_try_duration 10s", "lb_try_duration 90s");
    assert!(text.contains("lb_try_duration 90s"), "{text}");
    let path = place.join("Caddyfile");
    std::fs::write(&path, format!("{{\n\tadmin off\n}}\n{text}")).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(path);
    // Where it keeps certificates, of which there are none here.
    command.env("XDG_DATA_HOME", place).env("XDG_CONFIG_HOME", place).env("HOME", place);
    Process::of(command, place)
}

fn serve(place: &std::path::Path, port: u16) -> Process {
    let arguments = ["serve", "--workers", "2", "--port", &port.to_string()];
    Process::start(place, &arguments, &[("SIMULATED_LATENCY_MS", "100")])
}

async fn answers(client: &reqwest::Client, url: &str) {
    until(&format!("{url} answers"), || async {
        let answer = client.get(url).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn events_pass_as_they_come_and_a_restart_costs_no_request() {
    let place = folder();
    let (port, behind) = (free_port(), free_port());
    let server = Server::of(serve(place.path(), behind)).await;
    let _caddy = caddy(place.path(), port, behind);
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(120)).build().unwrap();
    let base = format!("http://127.0.0.1:{port}");
    answers(&client, &format!("{base}/system/ping")).await;

    // The stream of all workflows has no end: what is heard of it was not held back for one.
    let mut events = client.get(format!("{base}/events")).send().await.unwrap();
    assert_eq!(events.status(), 200);
    let id = server.orchestrate("Say what a proxy is").await;
    let mut heard = String::new();
    while !heard.contains(&id) {
        let piece = events.chunk().await.unwrap().expect("the stream ends before the workflow is heard of");
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
    drop(events);

    // Nobody listens; the request waits at Caddy for the server that comes.
    let mut process = server.process;
    process.signal("TERM");
    until("the server stops", || std::future::ready(process.ended())).await;
    let url = format!("{base}/system/health");
    let waiting = tokio::spawn(async move { client.get(url).send().await.map(|answer| answer.status()) });
    let _again = serve(place.path(), behind);
    assert_eq!(waiting.await.unwrap().unwrap(), 200);
}
