//! A model server on a free loopback port that answers as it is told: real HTTP, every fault. It speaks
//! chat completions and responses, and streams where that is asked for.
//!
//! It runs on a thread of its own, so it works in any test, asynchronous or not, and it ends with the
//! value. `FakeModel::review_chain()` plays all roles of the built-in workflow.

mod answer;
mod connection;
mod limit;
mod reply;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use productforge::config::{ApiStyle, LlmConfig, ModelTimeouts, ProviderConfig, Secret};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

pub use answer::Piece;
pub use reply::{Delivery, Reply};

use limit::Limit;

/// The key that `FakeModel::config` carries.
pub const FAKE_KEY: &str = "sk-test-0123456789abcdef";

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as JSON, null when it is none.
    pub json: Value,
    /// When it had arrived.
    pub at: Instant,
}

impl Ask {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The texts of all messages, joined by blank lines.
    pub fn prompt(&self) -> String {
        let instructions = self.json["instructions"].as_str().map(str::to_owned);
        let messages = self.messages();
        let contents = messages.iter().filter_map(|m| m["content"].as_str().map(str::to_owned));
        instructions.into_iter().chain(contents).collect::<Vec<_>>().join("\n\n")
    }

    /// The messages of a chat completion, or the items of a response.
    pub fn messages(&self) -> Vec<Value> {
        let lists = [&self.json["messages"], &self.json["input"]];
        lists.into_iter().filter_map(Value::as_array).flatten().cloned().collect()
    }

    /// Whether QA is asked: the instructions name the key and every verdict to choose from.
    pub fn asks_for_verdict(&self) -> bool {
        let messages = self.messages();
        let system = messages.iter().find(|m| m["role"] == "system").map(|m| &m["content"]);
        let instructions =
            system.or(self.json.get("instructions")).and_then(Value::as_str).unwrap_or_default();
        let instructions = instructions.to_lowercase();
        ["verdict", "approve", "revise", "reject"].iter().all(|word| instructions.contains(word))
    }

    /// The last round that the prompt speaks of: `(round 2)`.
    pub fn round(&self) -> Option<u32> {
        let prompt = self.prompt();
        let (_, rest) = prompt.rsplit_once("(round ")?;
        rest.split_once(')')?.0.parse().ok()
    }
}

/// How often and how the server was used.
#[derive(Debug, Default)]
struct Tally {
    asks: Vec<Ask>,
    in_flight: usize,
    most_in_flight: usize,
    hang_ups: usize,
    connections: usize,
    verdicts: usize,
}

type Rule = Box<dyn Fn(&Ask, usize) -> Reply + Send + Sync>;

struct State {
    queue: Mutex<VecDeque<Reply>>,
    rule: Rule,
    tally: Mutex<Tally>,
    limit: Mutex<Option<Limit>>,
    /// How often `release` was called.
    releases: watch::Sender<u64>,
}

/// Counts a call as running until it is dropped.
struct Running {
    state: Arc<State>,
    /// Taken before the call is counted: a test that sees it running may release it at once.
    releases: watch::Receiver<u64>,
}

impl Running {
    /// Ends with the first release since the call began.
    async fn released(&mut self) {
        let _ = self.releases.changed().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.tally().in_flight -= 1;
    }
}

impl State {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    /// Records a request and finds its answer.
    fn begin(self: &Arc<Self>, ask: &Ask) -> (Reply, Running) {
        let releases = self.releases.subscribe();
        let verdicts = {
            let mut tally = self.tally();
            tally.in_flight += 1;
            tally.most_in_flight = tally.most_in_flight.max(tally.in_flight);
            tally.asks.push(ask.clone());
            let before = tally.verdicts;
            tally.verdicts += usize::from(ask.asks_for_verdict());
            before
        };
        let running = Running { state: self.clone(), releases };
        let refused = self.limit.lock().unwrap().as_mut().and_then(|limit| limit.refuse(ask.at));
        let reply = refused.or_else(|| self.queue.lock().unwrap().pop_front());
        (reply.unwrap_or_else(|| (self.rule)(ask, verdicts)), running)
    }

    fn note_hang_up(&self) {
        self.tally().hang_ups += 1;
    }
}

/// The server; dropping it ends it and every connection.
pub struct FakeModel {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeModel {
    /// Answers everything with the same short completion.
    pub fn start() -> Self {
        Self::by(|_, _| Reply::answer("A fine answer."))
    }

    /// Gives these replies in order, then short completions.
    pub fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let fake = Self::start();
        replies.into_iter().for_each(|r| fake.push(r));
        fake
    }

    /// Answers by the request and by how many verdicts were asked for before it.
    pub fn by(rule: impl Fn(&Ask, usize) -> Reply + Send + Sync + 'static) -> Self {
        let state = Arc::new(State {
            queue: Mutex::default(),
            rule: Box::new(rule),
            tally: Mutex::default(),
            limit: Mutex::default(),
            releases: watch::Sender::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = state.clone();
        let thread = std::thread::Builder::new()
            .name("fake-model".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                    tokio::select! {
                        () = accept(listener, served) => {}
                        _ = stopped => {}
                    }
                });
            })
            .unwrap();
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// Plays a whole review: QA sends the first work back and approves the second, everybody else
    /// answers a text that ends with the prompt's last line.
    pub fn review_chain() -> Self {
        Self::by(|ask, verdicts| {
            if !ask.asks_for_verdict() {
                let prompt = ask.prompt();
                let last = prompt.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
                return Reply::answer(&format!("# A fine piece of work\n\nIt follows from: {last}"));
            }
            // By the round where the prompt names it, so that several workflows may run at once.
            let first = ask.round().map_or(verdicts == 0, |round| round < 2);
            Reply::answer(match first {
                true => {
                    r#"{"verdict": "revise", "score": 0.4, "must_fix": ["Name a number for the goal."],
                        "findings": [{"severity": "major", "text": "The goal has no number."}]}"#
                }
                false => r#"{"verdict": "approve", "score": 0.9, "findings": [], "must_fix": []}"#,
            })
        })
    }

    /// Lets so many requests through in every span of time and refuses the others, whatever else it would
    /// answer.
    pub fn limited(self, most: usize, window: Duration) -> Self {
        *self.state.limit.lock().unwrap() = Some(Limit::new(most, window));
        self
    }

    /// How many requests went over that limit.
    pub fn refused(&self) -> usize {
        self.state.limit.lock().unwrap().as_ref().map_or(0, |limit| limit.refused)
    }

    /// Queues a reply; queued replies come before everything else.
    pub fn push(&self, reply: Reply) {
        self.state.queue.lock().unwrap().push_back(reply);
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A configured provider that leads here, with a key and a short timeout.
    pub fn provider(&self, name: &str) -> ProviderConfig {
        ProviderConfig {
            name: name.to_owned(),
            base_url: self.base_url(),
            key: Some(Secret::new(FAKE_KEY)),
            api: ApiStyle::Chat,
            model: "test-default".to_owned(),
            headers: Vec::new(),
            max_tokens: None,
            stream: true,
            timeouts: ModelTimeouts { total: Duration::from_secs(10), ..ModelTimeouts::default() },
            requests_per_minute: None,
            concurrency: None,
            prices: BTreeMap::new(),
        }
    }

    /// The same as the `OPENAI_*` variables would have it.
    pub fn config(&self) -> LlmConfig {
        LlmConfig {
            api_key: Some(Secret::new(FAKE_KEY)),
            base_url: Some(self.base_url()),
            model: "test-default".to_owned(),
            timeout: Duration::from_secs(10),
            max_tokens: None,
            stream: true,
            record: None,
            replay: None,
            simulated_latency: Duration::ZERO,
            providers: Vec::new(),
            default_provider: String::new(),
        }
    }

    /// Lets every answer go that is held now.
    pub fn release(&self) {
        self.state.releases.send_modify(|n| *n += 1);
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Ask> {
        self.state.tally().asks.clone()
    }

    /// How many requests came so far.
    pub fn calls(&self) -> usize {
        self.state.tally().asks.len()
    }

    /// How many requests are being answered now.
    pub fn in_flight(&self) -> usize {
        self.state.tally().in_flight
    }

    /// The most requests that were being answered at once.
    pub fn most_in_flight(&self) -> usize {
        self.state.tally().most_in_flight
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.tally().connections
    }

    /// How many clients went away before their answer.
    pub fn hang_ups(&self) -> usize {
        self.state.tally().hang_ups
    }

    /// Waits until a condition on the server holds; panics after ten seconds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < Duration::from_secs(10), "the fake model never saw: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        state.tally().connections += 1;
        tokio::spawn(connection::serve(stream, state.clone()));
    }
}
