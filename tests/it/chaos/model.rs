//! The model server of a run: quick, small, and it remembers who asked what when, and who got an answer.
//!
//! Every process asks under an address of its own, so it is known which one asked. No answer is given
//! twice: each has a number in it.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use productforge::model::{ChatMessage, MessageRole};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

use super::{
    board::now_us,
    plan::{Dice, LEASE},
};

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Of the whole prompt.
    pub prompt: u64,
    /// Which start of which process asked: the number in its address.
    pub process: usize,
    pub at_us: i64,
    /// When the whole answer had been given to a client that was still there.
    pub answered_us: Option<i64>,
}

/// What names a prompt.
pub fn fingerprint(messages: &[ChatMessage]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for message in messages {
        let role = match message.role {
            MessageRole::System => 0u8,
            MessageRole::User => 1,
            MessageRole::Assistant => 2,
            MessageRole::Tool => 3,
        };
        (role, message.content.as_str()).hash(&mut hasher);
    }
    hasher.finish()
}

struct State {
    asked: Mutex<Vec<Asked>>,
    answers: AtomicUsize,
    dice: AtomicU64,
    /// Whether answers are kept back.
    holding: watch::Sender<bool>,
}

/// The server; dropping it ends it.
pub struct Model {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Model {
    pub fn start(seed: u64) -> Self {
        let state = Arc::new(State {
            asked: Mutex::default(),
            answers: AtomicUsize::new(0),
            dice: AtomicU64::new(seed),
            holding: watch::Sender::new(false),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = state.clone();
        let thread = std::thread::Builder::new().name("chaos-model".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread.unwrap()) }
    }

    /// Where one start of a process asks.
    pub fn url(&self, process: usize) -> String {
        format!("http://{}/{process}/v1", self.address)
    }

    /// Keeps all answers back from now on, or gives them.
    pub fn hold(&self, holding: bool) {
        self.state.holding.send_replace(holding);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Whole answers so far.
    pub fn answers(&self) -> usize {
        self.state.answers.load(Ordering::Acquire)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, state.clone()));
    }
}

/// Until the answer is to be given.
async fn ready(state: &State) {
    tokio::time::sleep(think(state)).await;
    // The sender is in the state, so this cannot fail.
    state.holding.subscribe().wait_for(|holding| !holding).await.ok();
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut unread = Vec::new();
    while let Some((process, body)) = read_request(&mut stream, &mut unread).await {
        let messages: Vec<ChatMessage> = serde_json::from_value(body["messages"].clone()).unwrap_or_default();
        let index = {
            let mut asked = state.asked.lock().unwrap();
            let prompt = fingerprint(&messages);
            asked.push(Asked { prompt, process, at_us: now_us(), answered_us: None });
            asked.len() - 1
        };
        let mut byte = [0u8; 1];
        tokio::select! {
            () = ready(&state) => {}
            // A client that waits for its answer sends nothing: readable means that it hung up.
            _ = stream.peek(&mut byte) => return,
        }
        let answer = answer(&messages, index);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).await.is_err() {
            return;
        }
        state.asked.lock().unwrap()[index].answered_us = Some(now_us());
        state.answers.fetch_add(1, Ordering::AcqRel);
    }
}

/// Mostly a moment, sometimes longer than a lease.
fn think(state: &State) -> Duration {
    let mut dice = Dice::new(state.dice.fetch_add(1, Ordering::Relaxed));
    match dice.between(0, 39) {
        0 => LEASE.mul_f64(1.5),
        _ => dice.millis(2, 30),
    }
}

fn answer(messages: &[ChatMessage], number: usize) -> String {
    let text = |role| messages.iter().find(|m| m.role == role).map_or("", |m| m.content.as_str());
    let instructions = text(MessageRole::System).to_lowercase();
    let judges = ["verdict", "approve", "revise", "reject"].iter().all(|word| instructions.contains(word));
    let content = match judges {
        false => format!("# Answer {number}\n\nA piece of work."),
        // Every third first draft goes back.
        true => {
            let again = number.is_multiple_of(3) && !text(MessageRole::User).contains("(round 2)");
            let verdict = if again { "revise" } else { "approve" };
            let finding = json!({"severity": "minor", "text": format!("Answer {number}.")});
            let fixes: Vec<&str> = if again { vec!["Say more."] } else { Vec::new() };
            json!({"verdict": verdict, "score": 0.7, "findings": [finding], "must_fix": fixes}).to_string()
        }
    };
    let message = json!({"role": "assistant", "content": content, "refusal": null});
    json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1_790_000_000,
        "model": "chaos-1",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    })
    .to_string()
}

/// The number in the address and the body.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(usize, Value)> {
    let head_end = loop {
        if let Some(at) = unread.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&unread[..head_end]).to_lowercase();
    let process = head.split('/').nth(1)?.parse().ok()?;
    let (_, rest) = head.split_once("content-length:")?;
    let length: usize = rest.split("\r\n").next()?.trim().parse().ok()?;
    while unread.len() < head_end + length {
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&unread[head_end..head_end + length]).unwrap_or_default();
    unread.drain(..head_end + length);
    Some((process, body))
}
