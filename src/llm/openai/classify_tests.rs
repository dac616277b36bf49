//! Error bodies as real servers write them, each with the class it has to get.

use std::time::Duration;

use super::{classify::classify, retry::Hints};
use crate::llm::ModelErrorKind::{self, *};

/// (server, status, body, class, code)
type Row = (&'static str, u16, &'static str, ModelErrorKind, Option<&'static str>);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // OpenAI
    ("openai", 401, r#"{"error":{"message":"Incorrect API key provided: sk-abcde***wxyz. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#, Auth, Some("invalid_api_key")),
    ("openai", 401, r#"{"error":{"message":"You didn't provide an API key.","type":"invalid_request_error","param":null,"code":null}}"#, Auth, Some("invalid_request_error")),
    ("openai", 403, r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#, Auth, Some("unsupported_country_region_territory")),
    ("openai", 429, r#"{"error":{"message":"Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#, RateLimited, Some("rate_limit_exceeded")),
    ("openai", 429, r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#, Billing, Some("insufficient_quota")),
    ("openai", 429, r#"{"error":{"message":"Your credit balance is exhausted.","type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}}"#, Billing, Some("credit_balance_exhausted")),
    ("openai", 429, r#"{"error":{"message":"This project has reached its spend limit.","type":"insufficient_quota","param":null,"code":"project_spend_limit_exceeded"}}"#, Billing, Some("project_spend_limit_exceeded")),
    ("openai", 429, r#"{"error":{"message":"Usage limit.","type":"insufficient_quota","param":null,"code":"organization_usage_limit_exceeded"}}"#, Billing, Some("organization_usage_limit_exceeded")),
    ("openai", 429, r#"{"error":{"message":"Slow down.","type":"rate_limit_error","param":null,"code":"slow_down"}}"#, RateLimited, Some("slow_down")),
    ("openai", 429, r#"{"error":{"message":"Request too large for gpt-4 in organization org-x on tokens per min (TPM): Limit 10000, Requested 20111. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#, ContextTooLong, Some("rate_limit_exceeded")),
    ("openai", 400, r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#, ContextTooLong, Some("context_length_exceeded")),
    ("openai", 400, r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#, BadRequest, Some("unsupported_parameter")),
    ("openai", 404, r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#, UnknownModel, Some("model_not_found")),
    ("openai", 404, r#"{"error":{"message":"Invalid URL (POST /v2/chat/completions)","type":"invalid_request_error","param":null,"code":null}}"#, BadRequest, Some("invalid_request_error")),
    ("openai", 400, r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}}"#, Refused, Some("invalid_prompt")),
    ("openai", 500, r#"{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}"#, Unavailable, Some("server_error")),
    ("openai", 503, r#"{"error":{"message":"The server is currently overloaded with other requests.","type":"server_error","param":null,"code":"server_is_overloaded"}}"#, Unavailable, Some("server_is_overloaded")),
    // Azure
    ("azure", 400, r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{}}}}"#, Refused, Some("content_filter")),
    ("azure", 404, r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, UnknownModel, Some("DeploymentNotFound")),
    ("azure", 429, r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit. Please retry after 6 seconds."}}"#, RateLimited, Some("429")),
    ("azure", 401, r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#, Auth, Some("401")),
    ("azure gateway", 401, r#"{"statusCode":401,"message":"Unauthorized. Access token is missing, invalid, or expired."}"#, Auth, None),
    // Groq
    ("groq", 413, r#"{"error":{"message":"Request too large for model `llama-3.3-70b` on tokens per minute (TPM): Limit 6000, Requested 9000","type":"tokens","code":"rate_limit_exceeded"}}"#, ContextTooLong, Some("rate_limit_exceeded")),
    ("groq", 400, r#"{"error":{"message":"The model `mixtral` has been decommissioned and is no longer supported.","type":"invalid_request_error","code":"model_decommissioned"}}"#, UnknownModel, Some("model_decommissioned")),
    ("groq", 404, r#"{"error":{"message":"Unknown request URL: POST /v1/chat/completions. Please check the URL for typos","type":"invalid_request_error","code":"unknown_url"}}"#, BadRequest, Some("unknown_url")),
    ("groq", 498, r#"{"error":{"message":"Flex tier capacity exceeded","type":"capacity_exceeded"}}"#, Unavailable, Some("capacity_exceeded")),
    // OpenRouter
    ("openrouter", 402, r#"{"error":{"message":"This request requires more credits, or fewer max_tokens.","code":402,"metadata":{"provider_name":null}}}"#, Billing, Some("402")),
    ("openrouter", 402, r#"{"error":{"message":"Insufficient credits. This account never purchased credits.","code":402}}"#, Billing, Some("402")),
    ("openrouter", 400, r#"{"error":{"message":"foo/bar is not a valid model ID","code":400},"user_id":"user_x"}"#, UnknownModel, Some("400")),
    ("openrouter", 404, r#"{"error":{"message":"No endpoints found for foo/bar.","code":404}}"#, UnknownModel, Some("404")),
    ("openrouter", 403, r#"{"error":{"message":"foo requires moderation. Your input was flagged for \"violence\"","code":403,"metadata":{"reasons":["violence"]}}}"#, Refused, Some("403")),
    ("openrouter", 429, r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"foo/bar:free is temporarily rate-limited upstream.","provider_name":"Chutes"}}}"#, RateLimited, Some("429")),
    ("openrouter", 502, r#"{"error":{"message":"Provider returned error","code":502}}"#, Unavailable, Some("502")),
    ("openrouter in 200", 200, r#"{"error":{"message":"Provider returned error","code":503},"user_id":"u"}"#, Unavailable, Some("503")),
    ("openrouter in 200", 200, r#"{"error":{"message":"Rate limit exceeded: free-models-per-min.","code":429}}"#, RateLimited, Some("429")),
    // llama.cpp
    ("llama.cpp", 400, r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":2048}}"#, ContextTooLong, Some("exceed_context_size_error")),
    ("llama.cpp", 401, r#"{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}"#, Auth, Some("authentication_error")),
    ("llama.cpp", 404, r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#, BadRequest, Some("not_found_error")),
    ("llama.cpp", 501, r#"{"error":{"code":501,"message":"This server does not support chat","type":"not_supported_error"}}"#, BadRequest, Some("not_supported_error")),
    ("llama.cpp", 503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, Unavailable, Some("unavailable_error")),
    ("llama.cpp old", 500, r#"{"error":{"code":500,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"server_error"}}"#, ContextTooLong, Some("server_error")),
    // Ollama
    ("ollama", 404, r#"{"error":{"message":"model \"llama9\" not found, try pulling it first","type":"api_error","param":null,"code":null}}"#, UnknownModel, Some("api_error")),
    ("ollama", 404, "404 page not found", BadRequest, None),
    ("ollama old", 404, r#"{"error":"model 'llama9' not found"}"#, UnknownModel, None),
    ("ollama", 503, r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#, Unavailable, None),
    // vLLM, LM Studio
    ("vllm", 404, r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}"#, UnknownModel, Some("NotFoundError")),
    ("vllm", 400, r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.","type":"BadRequestError","param":null,"code":400}"#, ContextTooLong, Some("BadRequestError")),
    ("vllm", 404, r#"{"detail":"Not Found"}"#, BadRequest, None),
    ("vllm", 401, r#"{"error":"Unauthorized"}"#, Auth, None),
    ("lm studio in 200", 200, r#"{"error":"Unexpected endpoint or method. (POST /chat/completions)"}"#, BadRequest, None),
    ("lm studio", 400, r#"{"error":"Trying to keep the first 5000 tokens when context overflows. However, the model is loaded with context length of only 4096 tokens. Try to load the model with a larger context length"}"#, ContextTooLong, None),
    // Others
    ("anthropic", 400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#, Billing, Some("invalid_request_error")),
    ("anthropic", 400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#, ContextTooLong, Some("invalid_request_error")),
    ("anthropic", 404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#, UnknownModel, Some("not_found_error")),
    ("anthropic", 529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Unavailable, Some("overloaded_error")),
    ("gemini", 400, r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#, Auth, Some("INVALID_ARGUMENT")),
    ("gemini", 429, r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 32.4s.","status":"RESOURCE_EXHAUSTED"}}]"#, RateLimited, Some("RESOURCE_EXHAUSTED")),
    ("mistral", 422, r#"{"detail":[{"type":"missing","loc":["body","model"],"msg":"Field required"}]}"#, BadRequest, None),
    ("mistral", 400, r#"{"object":"error","message":"Invalid model: mistral-x","type":"invalid_model","param":null,"code":"1500"}"#, UnknownModel, Some("invalid_model")),
    ("deepseek", 402, r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#, Billing, Some("invalid_request_error")),
    ("deepseek", 400, r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#, UnknownModel, Some("invalid_request_error")),
    ("xai", 400, r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz."}"#, Auth, Some("Client specified an invalid argument")),
    ("scaleway", 403, r#"{"status":403,"error":"Forbidden","message":"insufficient permissions"}"#, Auth, Some("403")),
    ("cloudflare", 400, r#"{"success":false,"errors":[{"code":7003,"message":"Could not route to /accounts"}]}"#, BadRequest, Some("7003")),
    ("cloudflare page", 520, "<!DOCTYPE html><html><head><title>api.example.com | 520: Web server is returning an unknown error</title></head><body>x</body></html>", Unavailable, None),
    ("nginx", 502, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body></html>", Unavailable, None),
    ("nginx", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>", ContextTooLong, None),
    ("proxy", 403, "<html><body>blocked</body></html>", Auth, None),
    ("proxy", 301, "<html><head><title>301 Moved Permanently</title></head></html>", BadRequest, None),
    // Bare
    ("bare", 408, "", Unavailable, None),
    ("bare", 409, "{}", Unavailable, None),
    ("bare", 429, "Too Many Requests", RateLimited, None),
    ("bare", 500, "null", Unavailable, None),
    ("bare", 504, "upstream request timeout", Unavailable, None),
    ("bare", 400, r#"{"error":"no"}"#, BadRequest, None),
    ("bare", 400, r#"{"error":{"message":{"detail":[{"loc":["body",0],"msg":"bad"}]}}}"#, BadRequest, None),
    ("cut", 429, r#"{"error":{"message":"Rate limit reached, code: rate_lim"#, RateLimited, None),
    ("bare", 402, "", Billing, None),
    ("error in 200", 200, r#"{"error":{"message":"something"}}"#, BadAnswer, None),
];

#[test]
fn real_error_bodies_get_their_class() {
    for (server, status, body, kind, code) in TABLE {
        let error = classify(*status, &Hints::default(), body);
        assert_eq!(error.kind, *kind, "{server} {status} {body}\n{}", error.message);
        assert_eq!(error.code.as_deref(), *code, "{server} {status} {body}");
        assert_eq!(error.status, Some(*status), "{server} {body}");
    }
    assert!(TABLE.len() >= 40);
}

#[test]
fn headers_tell_a_full_minute_from_an_empty_account() {
    let body = r#"{"error":{"message":"insufficient quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let minute = Hints { minute_limit: true, ..Hints::default() };
    assert_eq!(classify(429, &minute, body).kind, RateLimited);
    assert_eq!(classify(429, &Hints::default(), body).kind, Billing);

    let wait = Some(Duration::from_secs(3));
    let asked = Hints { retry_after: wait, ..Hints::default() };
    let error = classify(402, &asked, "");
    assert_eq!((error.kind, error.retry_after), (RateLimited, wait));
}

#[test]
fn a_wait_in_words_is_taken_when_no_header_gives_one() {
    let body = r#"{"error":{"message":"Rate limit reached. Please try again in 1m30.5s. Visit us.","code":"rate_limit_exceeded"}}"#;
    assert_eq!(classify(429, &Hints::default(), body).retry_after, Some(Duration::from_millis(90_500)));
    let hints = Hints { retry_after: Some(Duration::from_secs(1)), ..Hints::default() };
    assert_eq!(classify(429, &hints, body).retry_after, hints.retry_after);
    assert_eq!(classify(503, &Hints::default(), "please try again in 5s").retry_after, None);
}

#[test]
fn messages_are_for_people() {
    let hints = Hints { request_id: Some("req_1".to_owned()), ..Hints::default() };
    let error = classify(401, &hints, r#"{"error":{"message":"Bad\nkey","code":"invalid_api_key"}}"#);
    assert_eq!(
        error.message,
        "the provider refuses the key (check OPENAI_API_KEY): Bad key \
         (HTTP 401, code invalid_api_key, request req_1)"
    );
    let long = format!(r#"{{"error":{{"message":"{}","code":"{}"}}}}"#, "ä".repeat(9_000), "c".repeat(9_000));
    let error = classify(400, &Hints::default(), &long);
    assert!(error.message.chars().count() < 800, "{}", error.message);
    let page = classify(502, &Hints::default(), "<html><title>\n Bad\u{7} Gateway </title>");
    assert_eq!(page.message, "the provider cannot answer now: an HTML page: Bad Gateway (HTTP 502)");
    let empty = classify(500, &Hints::default(), "");
    assert_eq!(empty.message, "the provider cannot answer now: it says nothing more (HTTP 500)");
}

proptest::proptest! {
    #[test]
    fn any_body_is_classified(status in 100u16..1000, body in ".{0,200}") {
        let error = classify(status, &Hints::default(), &body);
        proptest::prop_assert!(!error.message.chars().any(char::is_control));
    }
}
