//! An answer that comes piece by piece, of either interface, put together again.

use serde_json::{Map, Value, json};

use super::{Completion, MOST_TOOL_CALLS, Origin, events::Events, read};
use crate::{
    config::ApiStyle,
    llm::{ModelError, ModelErrorKind},
};

/// The largest answer that is put together.
const MAX_TEXT: usize = 16 << 20;

/// A tool that is asked for, as far as it has come.
#[derive(Debug, Default)]
struct PartialCall {
    id: String,
    name: String,
    arguments: String,
}

/// What has come of an answer.
#[derive(Debug, Default)]
pub(in crate::llm::openai) struct Stream {
    events: Events,
    text: String,
    refusal: String,
    calls: Vec<PartialCall>,
    model: Option<String>,
    usage: Value,
    finish_reason: Option<String>,
    /// The whole answer, as the newer interface sends it at the end.
    whole: Option<Value>,
    /// Whether the server said that it is done.
    done: bool,
}

impl Stream {
    /// Takes a piece of the body; what it adds to the text.
    pub fn push(&mut self, origin: &Origin<'_>, piece: &[u8]) -> Result<String, ModelError> {
        let mut added = String::new();
        for data in self.events.push(piece) {
            self.frame(origin, &data, &mut added)?;
        }
        if self.text.len() + self.refusal.len() + self.events.held() > MAX_TEXT {
            let message = format!("the provider's answer is larger than {} MiB", MAX_TEXT >> 20);
            return Err(ModelError::new(ModelErrorKind::BadAnswer, message));
        }
        Ok(added)
    }

    /// Whether nothing more is to come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The answer, once the body has ended.
    pub fn finish(mut self, origin: &Origin<'_>) -> Result<Completion, ModelError> {
        if let Some(data) = std::mem::take(&mut self.events).finish() {
            self.frame(origin, &data, &mut String::new())?;
        }
        if let Some(whole) = &self.whole {
            return read(origin, whole);
        }
        // `[DONE]` is forgotten by some, the reason to stop by others; without either it broke off.
        if !self.done && self.finish_reason.is_none() {
            let message = match self.text.is_empty() && self.calls.is_empty() {
                true => "the provider's stream ended before it began",
                false => "the provider's stream broke off in the middle of the answer",
            };
            return Err(ModelError {
                status: Some(origin.status),
                ..ModelError::new(ModelErrorKind::Connection, message)
            });
        }
        let call = |call: &PartialCall| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
        let calls: Vec<Value> = self.calls.iter().filter(|call| !call.name.is_empty()).map(call).collect();
        let chat = json!({
            "model": self.model,
            "choices": [{
                "finish_reason": self.finish_reason,
                "message": {"content": self.text, "refusal": self.refusal, "tool_calls": calls},
            }],
            "usage": self.usage,
        });
        // It is in the form of the older interface now, whichever it came through.
        read(&Origin { api: ApiStyle::Chat, ..*origin }, &chat)
    }

    fn frame(&mut self, origin: &Origin<'_>, data: &str, added: &mut String) -> Result<(), ModelError> {
        let data = data.trim();
        if data.starts_with("[DONE]") {
            self.done = true;
            return Ok(());
        }
        // What is no JSON says nothing that could be used.
        let Ok(Value::Object(frame)) = serde_json::from_str::<Value>(data) else { return Ok(()) };
        match frame.get("type").and_then(Value::as_str) {
            Some(kind) if kind.starts_with("response.") => self.typed(origin, kind, frame.clone(), added),
            _ => self.chunk(origin, frame, added),
        }
    }

    /// A chunk of a chat completion. An error may stand in any of them, also beside empty choices.
    fn chunk(
        &mut self,
        origin: &Origin<'_>,
        frame: Map<String, Value>,
        added: &mut String,
    ) -> Result<(), ModelError> {
        let frame = Value::Object(frame);
        if let Some(error) = super::classify_success(origin.status, origin.hints, &frame) {
            return Err(error);
        }
        if let Some(model) = frame["model"].as_str().filter(|model| !model.is_empty()) {
            self.model.get_or_insert_with(|| model.to_owned());
        }
        if frame["usage"].is_object() {
            self.usage = frame["usage"].clone();
        }
        let choice = &frame["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.finish_reason = Some(reason.to_owned());
        }
        // Some answer a stream with one whole message.
        let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        let text = super::content(&delta["content"]);
        self.text.push_str(&text);
        added.push_str(&text);
        self.refusal.push_str(delta["refusal"].as_str().unwrap_or_default());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call_delta(call);
        }
        Ok(())
    }

    fn call_delta(&mut self, delta: &Value) {
        let index = delta["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let id = delta["id"].as_str().unwrap_or_default();
        // Without an index, a new id begins a new call.
        let index = index.unwrap_or_else(|| match self.calls.last() {
            Some(last) if id.is_empty() || last.id == id => self.calls.len() - 1,
            _ => self.calls.len(),
        });
        if index >= MOST_TOOL_CALLS {
            return;
        }
        while self.calls.len() <= index {
            self.calls.push(PartialCall::default());
        }
        let call = &mut self.calls[index];
        if call.id.is_empty() {
            call.id = id.to_owned();
        }
        let function = &delta["function"];
        let name = function["name"].as_str().unwrap_or_default();
        if call.name != name {
            call.name.push_str(name);
        }
        match &function["arguments"] {
            Value::String(text) => call.arguments.push_str(text),
            Value::Object(object) => call.arguments = Value::Object(object.clone()).to_string(),
            _ => {}
        }
    }

    /// An event of the newer interface.
    fn typed(
        &mut self,
        origin: &Origin<'_>,
        kind: &str,
        mut frame: Map<String, Value>,
        added: &mut String,
    ) -> Result<(), ModelError> {
        match kind {
            "response.output_text.delta" => {
                let text = frame.get("delta").and_then(Value::as_str).unwrap_or_default();
                self.text.push_str(text);
                added.push_str(text);
            }
            "response.completed" | "response.incomplete" => {
                self.whole = frame.remove("response");
                self.done = true;
            }
            "response.failed" | "response.error" => {
                let failed = frame.remove("response").unwrap_or(Value::Object(frame));
                let error = super::classify_success(origin.status, origin.hints, &failed);
                return Err(error.unwrap_or_else(|| {
                    ModelError::new(
                        ModelErrorKind::Unavailable,
                        "the provider's answer failed without a reason",
                    )
                }));
            }
            _ => {}
        }
        Ok(())
    }
}
