//! The typed events of the responses interface.

use serde_json::Value;

use super::{
    super::{
        Draft, Fault, content,
        responses::{add_call, end, read},
    },
    Progress,
};
use crate::llm::openai::said::Said;

/// Takes one event.
pub(super) fn take(
    value: &Value,
    event: &str,
    draft: &mut Draft,
    progress: &mut Progress,
    text: &mut String,
) -> Result<(), Fault> {
    match value["type"].as_str().unwrap_or(event) {
        "response.output_text.delta" => {
            let piece = content(&value["delta"]);
            draft.push_text(&piece)?;
            text.push_str(&piece);
            progress.begun = true;
        }
        "response.refusal.delta" => {
            draft.push_refusal(&content(&value["delta"]))?;
            progress.begun = true;
        }
        "response.output_item.done" if value["item"]["type"] == "function_call" => {
            add_call(&value["item"], draft)?;
            progress.begun = true;
        }
        "response.failed" => return Err(Said::from_value(&value["response"]).into()),
        "response.completed" | "response.incomplete" => {
            finish(&value["response"], draft, text)?;
            *progress = Progress { begun: true, whole: true, over: true };
        }
        // Pieces of thoughts and of the arguments of tools, which come again as a whole.
        name if name.ends_with(".delta") => progress.begun = true,
        _ => {}
    }
    Ok(())
}

/// The last event holds the whole answer again, which counts more than its pieces; not at every server.
fn finish(response: &Value, draft: &mut Draft, text: &mut String) -> Result<(), Fault> {
    let mut whole = Draft::default();
    read(response, &mut whole)?;
    let says_something = !whole.text.is_empty() || !whole.refusal.is_empty() || whole.has_calls();
    if !says_something {
        end(response, draft);
        return Ok(());
    }
    // What was not heard yet: a server that sends no pieces, or not all of them.
    if let Some(rest) = whole.text.strip_prefix(draft.text.as_str()) {
        text.push_str(rest);
    }
    whole.model = whole.model.or(draft.model.take());
    *draft = whole;
    Ok(())
}
