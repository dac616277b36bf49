//! The chunks of chat completions.

use serde_json::Value;

use super::{
    super::{Draft, Fault, chat::take_rest, content, short},
    Progress,
};

/// Takes one chunk.
pub(super) fn take(
    value: &Value,
    draft: &mut Draft,
    progress: &mut Progress,
    text: &mut String,
) -> Result<(), Fault> {
    take_rest(value, draft);
    let choices = value["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The last chunk, if it was asked for: usage and nothing else.
    if choices.is_empty() && value["usage"].is_object() {
        progress.whole = true;
    }
    // One answer was asked for.
    for choice in choices.iter().filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
        take_choice(choice, draft, progress, text)?;
        if let Some(reason) = short(&choice["finish_reason"], 100) {
            draft.finish_reason = Some(reason);
            progress.whole = true;
        }
    }
    Ok(())
}

fn take_choice(
    choice: &Value,
    draft: &mut Draft,
    progress: &mut Progress,
    text: &mut String,
) -> Result<(), Fault> {
    let delta = &choice["delta"];
    let mut piece = content(&delta["content"]);
    if piece.is_empty() && draft.text.is_empty() {
        // Some servers send the whole message, or the text of the oldest interface.
        piece = [&choice["message"]["content"], &choice["text"]].map(content).concat();
    }
    draft.push_text(&piece)?;
    text.push_str(&piece);
    let refusal = content(&delta["refusal"]);
    draft.push_refusal(&refusal)?;
    let calls = delta["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    for call in calls {
        draft.merge_call(call)?;
    }
    let old = &delta["function_call"];
    if old.is_object() {
        draft.merge_call(&serde_json::json!({"index": 0, "function": old}))?;
    }
    // Thoughts are no part of the answer, but they are signs of life.
    let thinks = ["reasoning_content", "reasoning"].iter().any(|field| !content(&delta[*field]).is_empty());
    progress.begun |=
        thinks || old.is_object() || !(piece.is_empty() && refusal.is_empty() && calls.is_empty());
    Ok(())
}
