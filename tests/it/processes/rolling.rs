//! A rolling restart: two servers and two workers on one Redis, one after the other, under load, behind a balancer
//! that asks for health and tries idempotent requests again. `./dev rolling 20` is the long run.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use productforge::model::new_id;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    process::{Process, Server, folder, free_port},
    redis_server::RedisServer,
    wait::until_within,
};

/// Clients that ask at the same time; each waits for what it asked for before it asks again.
const CLIENTS: usize = 6;
/// How long the balancer tries one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends each request to a server that says it is well, and once more to another one if it cannot be had there.
struct Balancer {
    urls: Vec<String>,
    healthy: Vec<AtomicBool>,
    turn: AtomicUsize,
    client: reqwest::Client,
    sent: AtomicU64,
    again: AtomicU64,
    slowest_ms: AtomicU64,
}

impl Balancer {
    fn new(ports: &[u16]) -> Arc<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Arc::new(Self {
            urls: ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect(),
            healthy: ports.iter().map(|_| AtomicBool::new(true)).collect(),
            turn: AtomicUsize::new(0),
            client,
            sent: AtomicU64::new(0),
            again: AtomicU64::new(0),
            slowest_ms: AtomicU64::new(0),
        })
    }

    /// Asks every server for its health, ten times a second.
    async fn watch(self: Arc<Self>) {
        let mut rhythm = tokio::time::interval(Duration::from_millis(100));
        loop {
            rhythm.tick().await;
            for (url, healthy) in self.urls.iter().zip(&self.healthy) {
                let asked = self.client.get(format!("{url}/system/health")).send().await;
                healthy.store(asked.is_ok_and(|answer| answer.status() == 200), Ordering::Relaxed);
            }
        }
    }

    fn next(&self) -> usize {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let order = (0..self.urls.len()).map(|n| (first + n) % self.urls.len());
        let mut healthy = order.clone().filter(|n| self.healthy[*n].load(Ordering::Relaxed));
        healthy.next().unwrap_or(first % self.urls.len())
    }

    /// The status and the answer; a request is tried again where it was refused, cut off or answered with 503.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (begun, key) = (Instant::now(), new_id());
        self.sent.fetch_add(1, Ordering::Relaxed);
        loop {
            let url = format!("{}{path}", self.urls[self.next()]);
            let mut request = self.client.request(method.clone(), &url).header("idempotency-key", &key);
            if let Some(body) = body {
                request = request.json(body);
            }
            let why = match request.send().await {
                Ok(answer) if answer.status() == 503 => "503".to_owned(),
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    match answer.bytes().await {
                        Ok(bytes) => {
                            let took = begun.elapsed().as_millis() as u64;
                            self.slowest_ms.fetch_max(took, Ordering::Relaxed);
                            return (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null));
                        }
                        Err(e) => e.to_string(),
                    }
                }
                Err(e) => e.to_string(),
            };
            self.again.fetch_add(1, Ordering::Relaxed);
            assert!(begun.elapsed() < PATIENCE, "{method} {path} failed: {why}");
            tokio::task::yield_now().await;
        }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await
    }

    /// What is there once it is: polled, as clients do.
    async fn once_there(&self, path: &str, there: impl Fn(u16, &Value) -> bool) -> Value {
        until_within(Duration::from_secs(120), path, || async {
            let (status, answer) = self.get(path).await;
            assert!(status == 200 || status == 404, "{path}: {status} {answer}");
            there(status, &answer).then_some(answer)
        })
        .await
    }
}

/// Asks for work, waits for it, asks again, until told to stop: the jobs of tasks and the workflows.
async fn client(balancer: Arc<Balancer>, number: usize, stop: Arc<AtomicBool>) -> (Vec<String>, Vec<String>) {
    let (mut tasks, mut workflows) = (Vec::new(), Vec::new());
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("client {number}, request {n}");
        if n % 4 == 0 {
            let body = json!({"job": text, "requires_qa": true});
            let (status, receipt) = balancer.send(Method::POST, "/orchestrate", Some(&body)).await;
            assert_eq!(status, 200, "{receipt}");
            let id = receipt["workflow_id"].as_str().unwrap().to_owned();
            let ended = |_, answer: &Value| answer["workflow"]["status"] == "completed";
            balancer.once_there(&format!("/workflows/{id}"), ended).await;
            workflows.push(id);
        } else {
            let (status, receipt) =
                balancer.send(Method::POST, "/results/task", Some(&json!({"job": text}))).await;
            assert_eq!(status, 200, "{receipt}");
            let id = receipt["job_id"].as_str().unwrap().to_owned();
            let result = balancer.once_there(&format!("/results/{id}"), |status, _| status == 200).await;
            assert_eq!(result["status"], "completed", "{result}");
            tasks.push(id);
        }
    }
    (tasks, workflows)
}

/// SIGTERM, the end in good order, and how long that took.
async fn stopped(process: &mut Process) -> Duration {
    let begun = Instant::now();
    process.signal("TERM");
    let status =
        until_within(Duration::from_secs(40), "the process ends", || std::future::ready(process.ended()))
            .await;
    assert!(status.success(), "{status}: {}", process.output());
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_fails_no_request_and_loses_doubles_and_charges_nothing() {
    let rounds = std::env::var("ROLLING_ROUNDS").map_or(1, |text| text.parse().unwrap());
    let (redis, folder) = (RedisServer::start(), folder());
    let url = redis.url();
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("SIMULATED_LATENCY_MS", "100"),
        ("WORKERS", "4"),
        ("DRAIN_DELAY_SECONDS", "0.5"),
        // As if a job were long: none of these can be done by a lease that runs out.
        ("LEASE_SECONDS", "600"),
        ("RESULT_TTL", "86400"),
        ("LOG_LEVEL", "warn,productforge::cli=info"),
    ];
    let start = |at: &Path, arguments: &[&str]| Process::start(at, arguments, &environment);
    let ports = [free_port(), free_port()];
    let serve = |n: usize| {
        let port = ports[n].to_string();
        Server::of(start(folder.path(), &["serve", "--workers", "0", "--port", &port]))
    };
    let mut servers = [serve(0).await, serve(1).await];
    let mut workers = [start(folder.path(), &["worker"]), start(folder.path(), &["worker"])];
    let (balancer, stop) = (Balancer::new(&ports), Arc::new(AtomicBool::new(false)));
    let watching = tokio::spawn(balancer.clone().watch());
    let clients: Vec<_> =
        (0..CLIENTS).map(|n| tokio::spawn(client(balancer.clone(), n, stop.clone()))).collect();

    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for round in 1..=rounds {
        for n in 0..2 {
            longest = longest.max(stopped(&mut servers[n].process).await);
            servers[n] = serve(n).await;
            until_within(PATIENCE, "the balancer finds it well", || {
                std::future::ready(balancer.healthy[n].load(Ordering::Relaxed).then_some(()))
            })
            .await;
            longest = longest.max(stopped(&mut workers[n]).await);
            workers[n] = start(folder.path(), &["worker"]);
        }
        println!("round {round} of {rounds}: {} requests so far", balancer.sent.load(Ordering::Relaxed));
    }
    assert!(longest < Duration::from_secs(25), "a stop took {longest:?}");
    stop.store(true, Ordering::Relaxed);
    let (mut tasks, mut workflows) = (Vec::new(), Vec::new());
    for client in clients {
        let (own_tasks, own_workflows) = client.await.expect("a client was failed");
        tasks.extend(own_tasks);
        workflows.extend(own_workflows);
    }
    watching.abort();
    println!(
        "{rounds} rolling restarts of 2 servers and 2 workers in {:.0} s: {} requests, {} of them tried again, none \
         failed; {} tasks and {} workflows; the slowest request took {} ms, the longest stop {:.1} s",
        begun.elapsed().as_secs_f64(),
        balancer.sent.load(Ordering::Relaxed),
        balancer.again.load(Ordering::Relaxed),
        tasks.len(),
        workflows.len(),
        balancer.slowest_ms.load(Ordering::Relaxed),
        longest.as_secs_f64(),
    );
    every_job_ran_once(&balancer, &tasks, &workflows).await;
}

/// One result for every job, one attempt at each, and nothing beside them.
async fn every_job_ran_once(balancer: &Balancer, tasks: &[String], workflows: &[String]) {
    let mut expected = tasks.to_vec();
    for id in workflows {
        let (_, answer) = balancer.get(&format!("/workflows/{id}")).await;
        for step in answer["workflow"]["steps"].as_array().unwrap() {
            assert_eq!(step["attempts"], 1, "an attempt was charged: {step}");
            expected.push(step["job_id"].as_str().unwrap().to_owned());
        }
    }
    for id in tasks {
        let (_, job) = balancer.get(&format!("/jobs/{id}")).await;
        assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "an attempt was charged: {job}");
    }
    let all = format!("{}/results/export/ndjson", balancer.urls[0]);
    let all = balancer.client.get(all).send().await.unwrap().text().await.unwrap();
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["job_id"].as_str().unwrap().to_owned();
    let mut found: Vec<String> = all.lines().map(id).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "one result for every job, and no other");
}
