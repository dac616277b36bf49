//! A model server on a free loopback port that answers as it is told: real HTTP, every fault.
//!
//! It runs on a thread of its own, so it works in any test, asynchronous or not, and it ends with the
//! value. `FakeModel::review_chain()` plays all roles of the built-in workflow.

mod connection;
mod reply;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use productforge::config::{LlmConfig, Secret};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

pub use reply::{Delivery, Reply};

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
    /// Which request to this server it is; the first is 1.
    pub nth: usize,
    /// When it had arrived.
    pub at: Instant,
}

impl Ask {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The texts of all messages, joined by blank lines.
    pub fn prompt(&self) -> String {
        let messages = self.json["messages"].as_array().cloned().unwrap_or_default();
        messages.iter().filter_map(|m| m["content"].as_str()).collect::<Vec<_>>().join("\n\n")
    }

    /// Whether QA is asked: the instructions name the key and every verdict to choose from.
    pub fn asks_for_verdict(&self) -> bool {
        let system =
            self.json["messages"].as_array().and_then(|all| all.iter().find(|m| m["role"] == "system"));
        let instructions = system.and_then(|m| m["content"].as_str()).unwrap_or_default().to_lowercase();
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
    rule: RwLock<Rule>,
    tally: Mutex<Tally>,
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
    fn begin(self: &Arc<Self>, mut ask: Ask) -> (Reply, Running) {
        let releases = self.releases.subscribe();
        let verdicts = {
            let mut tally = self.tally();
            tally.in_flight += 1;
            tally.most_in_flight = tally.most_in_flight.max(tally.in_flight);
            ask.nth = tally.asks.len() + 1;
            tally.asks.push(ask.clone());
            let before = tally.verdicts;
            tally.verdicts += usize::from(ask.asks_for_verdict());
            before
        };
        let scripted = self.queue.lock().unwrap().pop_front();
        let running = Running { state: self.clone(), releases };
        let reply = scripted.unwrap_or_else(|| (self.rule.read().unwrap())(&ask, verdicts));
        (reply.formed_for(&ask), running)
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
            rule: RwLock::new(Box::new(rule)),
            tally: Mutex::default(),
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

    /// Answers by another rule from now on.
    pub fn by_from_now_on(&self, rule: impl Fn(&Ask, usize) -> Reply + Send + Sync + 'static) {
        *self.state.rule.write().unwrap() = Box::new(rule);
    }

    /// Answers at most so many requests in any second, and refuses the others with the time that they have
    /// to wait; counts those in `refused`.
    pub fn limited(per_second: usize, takes: Duration, refused: Arc<AtomicUsize>) -> Self {
        let window: Mutex<VecDeque<Instant>> = Mutex::default();
        Self::by(move |ask, _| {
            let mut window = window.lock().unwrap();
            let second = Duration::from_secs(1);
            while window.front().is_some_and(|first| ask.at - *first >= second) {
                window.pop_front();
            }
            if window.len() < per_second {
                window.push_back(ask.at);
                return Reply::answer("done").after(takes);
            }
            refused.fetch_add(1, Ordering::Relaxed);
            let wait = second - (ask.at - window[0]);
            Reply::rate_limited().header("retry-after-ms", &(wait.as_millis() + 1).to_string())
        })
    }

    /// Queues a reply; queued replies come before everything else.
    pub fn push(&self, reply: Reply) {
        self.state.queue.lock().unwrap().push_back(reply);
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A configuration that leads here, with a key and a short timeout.
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
