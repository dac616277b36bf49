//! A provider that answers by a rule, counts its calls and can be held.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use productforge::{
    llm::{ChatAnswer, ChatRequest, Listener, ModelError, ModelErrorKind, ModelProvider},
    model::{TemplateRole, ToolCall, Usage},
};
use serde_json::Value;
use tokio::sync::Semaphore;

/// What the rule says to the n-th call (the first is 1).
pub enum Line {
    Say(String),
    /// Asks for a tool with these arguments.
    Tool(&'static str, Value),
    /// Answers with this reason to stop.
    End(String, &'static str),
    Error(ModelError),
    Fail(ModelErrorKind),
    Panic,
}

type Rule = Box<dyn Fn(&ChatRequest, usize) -> Line + Send + Sync>;

pub struct Scripted {
    rule: Rule,
    pub requests: Mutex<Vec<ChatRequest>>,
    /// Calls wait for a permit each; there are very many unless the provider is held.
    gate: Semaphore,
}

impl Scripted {
    pub fn new(rule: impl Fn(&ChatRequest, usize) -> Line + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Box::new(rule), requests: Mutex::default(), gate: Semaphore::new(1_000_000) })
    }

    /// Answers nothing until [`Scripted::release`].
    pub fn held(rule: impl Fn(&ChatRequest, usize) -> Line + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Box::new(rule), requests: Mutex::default(), gate: Semaphore::new(0) })
    }

    pub fn release(&self) {
        self.gate.add_permits(1_000_000);
    }

    pub fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The text of the n-th prompt.
    pub fn prompt(&self, n: usize) -> String {
        let requests = self.requests.lock().unwrap();
        requests[n].messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// Plays a chain: QA says what `verdict` says for a round, others name themselves.
pub fn chain(verdict: impl Fn(u32) -> &'static str + Send + Sync + 'static) -> Arc<Scripted> {
    Scripted::new(move |request, n| {
        Line::Say(match request.scene.role {
            Some(TemplateRole::Qa) => format!(
                r#"{{"verdict":"{}","score":0.5,"findings":["finding of round {r}"]}}"#,
                verdict(request.scene.round),
                r = request.scene.round
            ),
            Some(role) => format!("{role:?} text {n} of {}", request.scene.agent),
            None => format!("answer {n}"),
        })
    })
}

#[async_trait]
impl ModelProvider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn default_model(&self) -> &str {
        "scripted-1"
    }

    fn is_simulated(&self) -> bool {
        false
    }

    async fn complete(&self, request: &ChatRequest, _: &dyn Listener) -> Result<ChatAnswer, ModelError> {
        let n = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len()
        };
        self.gate.acquire().await.unwrap().forget();
        let (text, tool_calls, finish_reason) = match (self.rule)(request, n) {
            Line::Say(text) => (text, Vec::new(), "stop"),
            Line::End(text, reason) => (text, Vec::new(), reason),
            Line::Tool(name, arguments) => {
                let (id, name) = (format!("call_{n}"), name.to_owned());
                let call = ToolCall { id, name, arguments: arguments.to_string() };
                (String::new(), vec![call], "tool_calls")
            }
            Line::Error(error) => return Err(error),
            Line::Fail(kind) => return Err(ModelError::new(kind, format!("scripted {}", kind.as_str()))),
            Line::Panic => panic!("scripted panic"),
        };
        Ok(ChatAnswer {
            text,
            tool_calls,
            model: "scripted-1".to_owned(),
            usage: Usage { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, ..Usage::default() },
            finish_reason: Some(finish_reason.to_owned()),
            requests: 1,
            duration_ms: 1,
            provider: "scripted".to_owned(),
            ..ChatAnswer::default()
        })
    }
}
