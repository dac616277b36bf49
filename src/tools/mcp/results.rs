//! What a tool of an MCP server gave, as text.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// The text of a result; the error is the text of one that says of itself that it failed.
///
/// Models are shown text alone. What else is there is named, so that they know of it.
pub(super) fn text(result: CallToolResult) -> Result<String, String> {
    let failed = result.is_error == Some(true);
    let mut parts: Vec<String> = result.content.into_iter().map(part).collect();
    if parts.is_empty()
        && let Some(structured) = result.structured_content
    {
        parts.push(structured.to_string());
    }
    let text = match parts.join("\n") {
        text if !text.is_empty() => text,
        _ if failed => "the tool says that it failed, and not why".to_owned(),
        _ => "(no output)".to_owned(),
    };
    if failed { Err(text) } else { Ok(text) }
}

fn part(block: ContentBlock) -> String {
    let not_shown = |what: &str, kind: &str, encoded: usize| {
        // Base64: four characters for three bytes.
        format!("[{what}, {}, {} bytes: not shown]", word(kind), encoded / 4 * 3)
    };
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => not_shown("image", &image.mime_type, image.data.len()),
        ContentBlock::Audio(audio) => not_shown("audio", &audio.mime_type, audio.data.len()),
        ContentBlock::Resource(embedded) => match embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("[{}]\n{text}", word(&uri)),
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => not_shown(
                &format!("resource {}", word(&uri)),
                mime_type.as_deref().unwrap_or("of unknown type"),
                blob.len(),
            ),
            _ => "[a resource of unknown kind: not shown]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => {
            format!("[link to {} {}: not shown]", word(&link.name), word(&link.uri))
        }
        _ => "[something of unknown kind: not shown]".to_owned(),
    }
}

/// A name that a server chose, of a length that leaves room for the rest.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(result: Value) -> Result<String, String> {
        text(serde_json::from_value(result).unwrap())
    }

    #[test]
    fn text_is_joined_and_the_rest_is_named() {
        let content = json!([
            {"type": "text", "text": "one"},
            {"type": "image", "mimeType": "image/png", "data": "AAAAAAAA"},
            {"type": "audio", "mimeType": "audio/wav", "data": ""},
            {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///b.bin", "blob": "AAAA"}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"},
            {"type": "text", "text": "two"},
        ]);
        assert_eq!(
            of(json!({"content": content})).unwrap(),
            "one\n[image, image/png, 6 bytes: not shown]\n[audio, audio/wav, 0 bytes: not shown]\n\
             [file:///a.txt]\ninside\n[resource file:///b.bin, of unknown type, 3 bytes: not shown]\n\
             [link to c file:///c: not shown]\ntwo"
        );
    }

    #[test]
    fn failures_and_empty_results_say_so() {
        let broken = json!({"content": [{"type": "text", "text": "no"}], "isError": true});
        assert_eq!(of(broken), Err("no".to_owned()));
        assert!(of(json!({"content": [], "isError": true})).unwrap_err().contains("not why"));
        assert_eq!(of(json!({"content": []})).unwrap(), "(no output)");
        assert_eq!(of(json!({"content": [], "structuredContent": {"a": 1}})).unwrap(), r#"{"a":1}"#);
    }
}
