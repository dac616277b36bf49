//! The load: requests of all kinds, as many as the backlog has room for, and what became of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{Client, RedisResult, aio::MultiplexedConnection, cmd};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    board::Board,
    plan::{Demand, Plan},
};

/// Clients at once.
const CLIENTS: usize = 8;
/// How long a client waits for an answer; then it does not know.
const PATIENCE: Duration = Duration::from_secs(8);

/// Puts load on until the plan's number of requests was accepted.
pub async fn run(plan: &Plan, board: &Arc<Board>, redis: Option<&str>) {
    let plan = Arc::new(plan.clone());
    let next = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|_| {
        let client = Loader {
            plan: plan.clone(),
            board: board.clone(),
            next: next.clone(),
            http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(),
            foreign: redis.map(|url| Client::open(url).unwrap()),
            connection: None,
        };
        tokio::spawn(client.run())
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

struct Loader {
    plan: Arc<Plan>,
    board: Arc<Board>,
    next: Arc<AtomicUsize>,
    http: reqwest::Client,
    /// The foreign program's own way to Redis.
    foreign: Option<Client>,
    connection: Option<MultiplexedConnection>,
}

impl Loader {
    async fn run(mut self) {
        loop {
            let accepted = self.board.accepted().requests();
            if accepted >= self.plan.settings.jobs {
                return;
            }
            let full = self.board.open.load(Ordering::Acquire) >= self.plan.settings.backlog();
            if full || accepted >= self.board.gate() {
                sleep(Duration::from_millis(2)).await;
                continue;
            }
            let (demand, text) = self.plan.demand(self.next.fetch_add(1, Ordering::Relaxed));
            if !self.make(demand, &text).await {
                self.board.accepted().unsure += 1;
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Whether it was certainly accepted.
    async fn make(&mut self, demand: Demand, text: &str) -> bool {
        match demand {
            Demand::Task(priority) => {
                let body = json!({"job": text, "priority": priority});
                let Some(answer) = self.post("/results/task", body).await else { return false };
                let id = answer["job_id"].as_str().expect("an accepted task has an id");
                self.board.accepted().jobs.insert(id.to_owned(), text.to_owned());
            }
            Demand::Workflow { requires_qa } => {
                let body = json!({"job": text, "requires_qa": requires_qa});
                let Some(answer) = self.post("/orchestrate", body).await else { return false };
                let id = answer["workflow_id"].as_str().expect("an accepted brief has an id");
                self.board.accepted().workflows.insert(id.to_owned(), text.to_owned());
            }
            Demand::Foreign(list) => {
                let id = format!("foreign-{}", text.split(' ').nth(1).unwrap());
                let payload = json!({"job_id": id, "job": text, "agent_name": "general_assistant"});
                if self.push(list, &payload.to_string()).await.is_err() {
                    self.connection = None;
                    return false;
                }
                self.board.accepted().jobs.insert(id, text.to_owned());
            }
        }
        true
    }

    /// The answer, if it is one of success; the server may be dead, or say that it cannot now.
    async fn post(&self, path: &str, body: Value) -> Option<Value> {
        let request = self.http.post(format!("{}{path}", self.board.url())).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await.ok()?;
        let status = answer.status().as_u16();
        assert!(status < 300 || status == 503, "{path} answered {status}: {:?}", answer.text().await);
        if status < 300 { answer.json().await.ok() } else { None }
    }

    async fn push(&mut self, list: &str, payload: &str) -> RedisResult<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => {
                let client = self.foreign.as_ref().expect("only Redis has foreign programs");
                empty.insert(client.get_multiplexed_async_connection().await?)
            }
        };
        cmd("LPUSH").arg(list).arg(payload).query_async::<i64>(connection).await.map(|_| ())
    }
}
