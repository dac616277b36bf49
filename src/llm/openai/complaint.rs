//! What an error complains about: which part of the request the server does not take. Pure.

use super::{manners::Complaint, said::Said};

/// Words of a server that does not know or does not take something.
const NOT_TAKEN: &[&str] = &[
    "unsupported",
    "not supported",
    "not support",
    "n't support",
    "only support",
    "unrecognized",
    "unknown",
    "not permitted",
    "not allowed",
    "extra ",
    "extra_forbidden",
    "unexpected",
    "unavailable",
    "not available",
    "not implemented",
    "not enabled",
    "disabled",
    "not compatible",
    "cannot be combined",
    "can't be combined",
    "cannot be used",
    "must be one of",
    "must be '",
    "must be \"",
    "invalid value",
    "invalid type",
    "does not accept",
    "not a valid",
    "unmarshal",
];

const LIMIT: &[&str] = &["max_tokens", "max_completion_tokens", "max_output_tokens"];

const FORMAT: &[&str] = &[
    "response_format",
    "response format",
    "json_schema",
    "json schema",
    "json_object",
    "json mode",
    "structured output",
    "guided decoding",
    "guided_json",
    "text.format",
    "output_format",
    "response mime type",
];

/// Words of a server that takes schemas, but not this one.
const BAD_SCHEMA: &[&str] = &["invalid schema", "invalid json schema", "invalid_json_schema"];

const TOOLS: &[&str] = &[
    "support tool",
    "support for tool",
    "support function call",
    "tools is not",
    "tools are not",
    "'tools'",
    "`tools`",
    "\"tools\"",
    "body.tools",
    "tool calling",
    "tool use",
    "tool choice",
    "tool_choice",
    "tools param",
    "function calling",
    "argument supplied: tools",
    "parameter: tools",
];

const STREAM_OPTIONS: &[&str] = &["stream_options", "include_usage", "include_obfuscation"];

const STREAM: &[&str] = &["'stream'", "`stream`", "\"stream\"", "streaming", "body.stream:", "stream=true"];

/// What the words complain about; `None`: nothing that could be left out.
pub(super) fn complaint(status: u16, said: &Said) -> Option<Complaint> {
    if !matches!(status, 200..300 | 400 | 404 | 405 | 415 | 422 | 500 | 501) {
        return None;
    }
    let words = said.message.to_lowercase();
    let param = said.param.as_deref().unwrap_or_default().to_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|n| words.contains(n) || param.contains(n));
    let names =
        |needles: &[&str]| said.names.iter().any(|name| needles.contains(&name.to_lowercase().as_str()));
    let not_taken =
        any(NOT_TAKEN) || names(&["unsupported_parameter", "unknown_parameter", "unsupported_value"]);

    let bad_schema = any(BAD_SCHEMA) || names(&["invalid_json_schema"]);
    if (any(FORMAT) && bad_schema) || any(&["failed to parse grammar"]) {
        return Some(Complaint::Schema);
    }
    if any(LIMIT) && not_taken {
        return Some(Complaint::LimitField);
    }
    if any(STREAM_OPTIONS) && (not_taken || any(&["only", "when stream"])) {
        return Some(Complaint::StreamOptions);
    }
    if any(&["strict"]) && any(FORMAT) && not_taken && !any(&["restrict"]) {
        return Some(Complaint::Strict);
    }
    if any(FORMAT) && (not_taken || any(&["must contain the word 'json'", "only when", "no endpoints found"]))
    {
        return Some(Complaint::Format);
    }
    if any(TOOLS) && (not_taken || any(&["requires --", "no endpoints found"])) {
        return Some(Complaint::Tools);
    }
    if (any(STREAM) || param == "stream") && not_taken {
        return Some(Complaint::Stream);
    }
    if any(&["'store'", "`store`", "\"store\"", "body.store", "parameter: store"]) && not_taken {
        return Some(Complaint::Store);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn the_words_of_every_server_are_understood() {
        use Complaint::*;
        for (server, status, body, about) in [
            // The field for the longest answer
            ("openai", 400, r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#, Some(LimitField)),
            ("old azure", 400, r#"{"error":{"message":"Unrecognized request argument supplied: max_completion_tokens","type":"invalid_request_error","param":null,"code":null}}"#, Some(LimitField)),
            ("fastapi", 422, r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted","input":9}]}"#, Some(LimitField)),
            ("openai", 400, r#"{"error":{"message":"max_tokens is too large: 200000. This model supports at most 16384 completion tokens.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#, None),
            // The form of the answer
            ("lm studio", 400, r#"{"error":"'response_format.type' must be 'json_schema' or 'text'"}"#, Some(Format)),
            ("llama.cpp old", 500, r#"{"error":{"code":500,"message":"response_format type must be one of \"text\" and \"json_object\", but got: json_schema","type":"server_error"}}"#, Some(Format)),
            ("deepseek", 400, r#"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#, Some(Format)),
            ("openai old model", 400, r#"{"error":{"message":"Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.","type":"invalid_request_error","param":null,"code":null}}"#, Some(Format)),
            ("openai no json", 400, r#"{"error":{"message":"'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.","type":"invalid_request_error","param":"messages","code":null}}"#, Some(Format)),
            ("groq", 400, r#"{"error":{"message":"This model does not support response format `json_schema`. See supported models at https://console.groq.com/docs/structured-outputs","type":"invalid_request_error"}}"#, Some(Format)),
            ("groq with tools", 400, r#"{"error":{"message":"json mode cannot be combined with tool/function calling","type":"invalid_request_error"}}"#, Some(Format)),
            ("gemini", 400, r#"[{"error":{"code":400,"message":"Function calling with a response mime type: 'application/json' is unsupported","status":"INVALID_ARGUMENT"}}]"#, Some(Format)),
            ("openrouter", 404, r#"{"error":{"message":"No endpoints found that support the requested parameters: response_format","code":404}}"#, Some(Format)),
            ("vllm", 400, r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'response_format'), 'msg': 'Extra inputs are not permitted'}]","type":"BadRequestError","param":null,"code":400}"#, Some(Format)),
            // This schema
            ("openai", 400, r#"{"error":{"message":"Invalid schema for response_format 'verdict': In context=(), 'additionalProperties' is required to be supplied and to be false.","type":"invalid_request_error","param":"response_format","code":null}}"#, Some(Schema)),
            ("openai responses", 400, r#"{"error":{"message":"Invalid schema for response_format 'x': schema must be a JSON Schema of 'type: \"object\"'.","type":"invalid_request_error","param":"text.format.schema","code":"invalid_json_schema"}}"#, Some(Schema)),
            ("llama.cpp", 400, r#"{"error":{"code":400,"message":"Failed to parse grammar","type":"invalid_request_error"}}"#, Some(Schema)),
            // Strict
            ("fastapi", 422, r#"{"detail":[{"type":"extra_forbidden","loc":["body","response_format","json_schema","strict"],"msg":"Extra inputs are not permitted"}]}"#, Some(Strict)),
            ("mistral-like", 400, r#"{"error":{"message":"Unknown parameter: 'response_format.json_schema.strict'.","type":"invalid_request_error","param":"response_format.json_schema.strict","code":"unknown_parameter"}}"#, Some(Strict)),
            // Streams
            ("old server", 400, r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error","param":null,"code":null}}"#, Some(StreamOptions)),
            ("fastapi", 422, r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#, Some(StreamOptions)),
            ("openai", 400, r#"{"error":{"message":"The 'stream_options' parameter is only allowed when 'stream' is enabled.","type":"invalid_request_error","param":"stream_options","code":null}}"#, Some(StreamOptions)),
            ("groq", 400, r#"{"error":{"message":"property 'stream_options.include_obfuscation' is unsupported","type":"invalid_request_error"}}"#, Some(StreamOptions)),
            ("openai o1", 400, r#"{"error":{"message":"Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}"#, Some(Stream)),
            ("openai", 400, r#"{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}"#, Some(Stream)),
            ("proxy", 501, r#"{"detail":"Streaming is not supported"}"#, Some(Stream)),
            // Tools
            ("ollama", 400, r#"{"error":{"message":"registry.ollama.ai/library/gemma:2b does not support tools","type":"api_error","param":null,"code":null}}"#, Some(Tools)),
            ("vllm", 400, r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#, Some(Tools)),
            ("llama.cpp", 500, r#"{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}"#, Some(Tools)),
            ("openrouter", 404, r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}}"#, Some(Tools)),
            ("openai o1-mini", 400, r#"{"error":{"message":"Unsupported parameter: 'tools' is not supported with this model.","type":"invalid_request_error","param":"tools","code":"unsupported_parameter"}}"#, Some(Tools)),
            ("groq", 400, r#"{"error":{"message":"`tool calling` is not supported with this model","type":"invalid_request_error"}}"#, Some(Tools)),
            ("deepseek", 400, r#"{"error":{"message":"deepseek-reasoner does not support Function Calling","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#, Some(Tools)),
            // Store
            ("ollama-like", 400, r#"{"error":{"message":"Unknown parameter: 'store'.","type":"invalid_request_error","param":"store","code":"unknown_parameter"}}"#, Some(Store)),
            // Nothing of it
            ("openai", 400, r#"{"error":{"message":"Missing required parameter: 'messages[0].content'.","type":"invalid_request_error","param":"messages[0].content","code":"missing_required_parameter"}}"#, None),
            ("openai", 400, r#"{"error":{"message":"An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.","type":"invalid_request_error","param":"messages.[2].role","code":null}}"#, None),
            ("openai", 401, r#"{"error":{"message":"Unsupported max_tokens key","code":"invalid_api_key"}}"#, None),
            ("openai", 429, r#"{"error":{"message":"streaming is not supported now","code":"rate_limit_exceeded"}}"#, None),
            ("bare", 400, "", None),
        ] {
            assert_eq!(complaint(status, &Said::read(body)), about, "{server}: {body}");
        }
    }
}
