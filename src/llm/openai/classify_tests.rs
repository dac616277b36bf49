//! Error bodies as real servers write them, each with the class it has to get.

use std::time::Duration;

use super::{classify, retry::Hints, said::Said, wording::Wording};
use crate::llm::{
    ModelError,
    ModelErrorKind::{self, *},
};

/// The error that a body is, at the provider of the `OPENAI_*` variables.
fn classify(status: u16, hints: &Hints, body: &str) -> ModelError {
    classify::classify(status, hints, &Said::read(body), &Wording::new("openai", Vec::new()))
}

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
    // More of the same
    ("openai", 400, r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#, ContextTooLong, Some("context_length_exceeded")),
    ("openai", 400, r#"{"error":{"message":"Invalid 'messages[1].content': string too long. Expected a string with maximum length 10485760, but got a string with length 12000000 instead.","type":"invalid_request_error","param":"messages[1].content","code":"string_above_max_length"}}"#, ContextTooLong, Some("string_above_max_length")),
    ("openai", 403, r#"{"error":{"message":"Project `proj_x` does not have access to model `gpt-4o`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#, UnknownModel, Some("model_not_found")),
    ("openai", 400, r#"{"error":{"message":"max_tokens is too large: 200000. This model supports at most 16384 completion tokens.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#, BadRequest, Some("invalid_value")),
    ("openai in 200", 200, r#"{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"The model failed to generate a response."},"output":[]}"#, Unavailable, Some("server_error")),
    ("azure", 429, r#"{"error":{"code":"RateLimitReached","message":"Your requests to gpt-4o in East US have exceeded the call rate limit for your current pricing tier. Please retry after 26 seconds."}}"#, RateLimited, Some("RateLimitReached")),
    ("azure", 403, r#"{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}"#, Auth, Some("403")),
    ("groq", 429, r#"{"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_x` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 99500, Requested 1000. Please try again in 7m12s.","type":"tokens","code":"rate_limit_exceeded"}}"#, RateLimited, Some("rate_limit_exceeded")),
    ("groq", 400, r#"{"error":{"message":"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=x>"}}"#, BadAnswer, Some("tool_use_failed")),
    ("openrouter", 408, r#"{"error":{"message":"Request timed out","code":408}}"#, Unavailable, Some("408")),
    ("openrouter", 403, r#"{"error":{"message":"Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys","code":403}}"#, Billing, Some("403")),
    ("openrouter", 400, r#"{"error":{"message":"This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens (199000 of text input, 1000 in the output).","code":400}}"#, ContextTooLong, Some("400")),
    ("ollama", 500, r#"{"error":{"message":"model requires more system memory (8.4 GiB) than is available (5.6 GiB)","type":"api_error","param":null,"code":null}}"#, Unavailable, Some("api_error")),
    ("vllm", 404, r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}"#, UnknownModel, Some("NotFoundError")),
    ("vllm", 400, r#"{"error":{"message":"The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","param":null,"code":400}}"#, ContextTooLong, Some("BadRequestError")),
    ("llama.cpp", 400, r#"{"error":{"code":400,"message":"request (9001 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9001,"n_ctx":4096}}"#, ContextTooLong, Some("exceed_context_size_error")),
    ("lm studio", 404, r#"{"error":{"message":"No models loaded. Please load a model in the developer page or use the 'lms load' command.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#, UnknownModel, Some("model_not_found")),
    ("lm studio", 400, r#"{"error":"The model has crashed without additional information. (Exit code: 11)"}"#, Unavailable, None),
    ("scaleway", 401, r#"{"status":401,"error":"UNAUTHORIZED","message":"authentication required"}"#, Auth, Some("401")),
    ("fastapi", 401, r#"{"detail":"Could not validate credentials"}"#, Auth, None),
    ("fastapi", 500, r#"{"detail":"Internal Server Error"}"#, Unavailable, None),
    ("fastapi stream", 400, "event: error\ndata: {\"error\":{\"message\":\"This model's maximum context length is 4096 tokens.\",\"code\":400}}\n\n", ContextTooLong, Some("400")),
    ("mistral", 429, r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}"#, RateLimited, Some("service_tier_capacity_exceeded")),
    ("mistral", 401, r#"{"message":"Unauthorized","request_id":"x"}"#, Auth, None),
    ("mistral", 400, r#"{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"}"#, ContextTooLong, Some("invalid_request_prompt")),
    ("deepseek", 401, r#"{"error":{"message":"Authentication Fails (no such user)","type":"authentication_error","param":null,"code":"invalid_request_error"}}"#, Auth, Some("invalid_request_error")),
    ("deepseek", 503, r#"{"error":{"message":"Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.","type":"service_unavailable_error","param":null,"code":"service_unavailable_error"}}"#, Unavailable, Some("service_unavailable_error")),
    ("gemini", 404, r#"[{"error":{"code":404,"message":"models/gemini-9 is not found for API version v1main, or is not supported for generateContent.","status":"NOT_FOUND"}}]"#, UnknownModel, Some("NOT_FOUND")),
    ("gemini", 503, r#"[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]"#, Unavailable, Some("UNAVAILABLE")),
    ("gemini", 400, r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#, ContextTooLong, Some("INVALID_ARGUMENT")),
    ("anthropic", 429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 50,000 input tokens per minute."}}"#, RateLimited, Some("rate_limit_error")),
    ("anthropic", 413, r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#, ContextTooLong, Some("request_too_large")),
    ("anthropic", 500, r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#, Unavailable, Some("api_error")),
    ("xai", 400, r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."}"#, ContextTooLong, Some("Client specified an invalid argument")),
    ("cerebras", 400, r#"{"message":"Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}"#, ContextTooLong, Some("context_length_exceeded")),
    ("tgi", 422, r#"{"error":"Input validation error: `inputs` must have less than 4096 tokens. Given: 5000","error_type":"validation"}"#, ContextTooLong, None),
    ("tgi", 429, r#"{"error":"Model is overloaded","error_type":"overloaded"}"#, RateLimited, None),
    ("kong", 429, r#"{"message":"API rate limit exceeded"}"#, RateLimited, None),
    ("kong", 401, r#"{"message":"No API key found in request"}"#, Auth, None),
    ("kong", 404, r#"{"message":"no Route matched with those values"}"#, BadRequest, None),
    ("kong", 503, r#"{"message":"failure to get a peer from the ring-balancer"}"#, Unavailable, None),
    ("litellm", 400, r#"{"error":{"message":"litellm.ContextWindowExceededError: ContextWindowExceededError: OpenAIException - This model's maximum context length is 8192 tokens.","type":null,"param":null,"code":"400"}}"#, ContextTooLong, Some("400")),
    ("litellm", 400, r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=gpt-9. Call `/v1/models` to view available models for your key.","type":"invalid_request_error","param":"model","code":"400"}}"#, UnknownModel, Some("invalid_request_error")),
    ("litellm", 400, r#"{"error":{"message":"Budget has been exceeded! Current cost: 10.5, Max budget: 10.0","type":"budget_exceeded","param":null,"code":"400"}}"#, Billing, Some("budget_exceeded")),
    ("litellm", 429, r#"{"error":{"message":"No deployments available for selected model, Try again in 5 seconds. Passed model=gpt-4o.","type":"None","param":"None","code":"429"}}"#, RateLimited, Some("None")),
    ("aws gateway", 504, r#"{"message":"Endpoint request timed out"}"#, Unavailable, None),
    ("fastchat in 200", 200, r#"{"object":"error","message":"CUDA out of memory","code":50002}"#, Unavailable, Some("50002")),
    ("cloudflare page", 429, "<!DOCTYPE html><html><head><title>Access denied | api.example.com used Cloudflare to restrict access</title></head></html>", RateLimited, None),
    ("cloudflare page", 524, "<html><head><title>api.example.com | 524: A timeout occurred</title></head></html>", Unavailable, None),
    ("nginx", 504, "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n</html>", Unavailable, None),
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
    assert!(TABLE.len() >= 120);
}

#[test]
fn headers_tell_a_full_minute_from_an_empty_account() {
    let body = r#"{"error":{"message":"insufficient quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let minute = Hints { minute_limit: true, ..Hints::default() };
    assert_eq!(classify(429, &minute, body).kind, RateLimited);
    assert_eq!(classify(429, &Hints::default(), body).kind, Billing);

    // Scaleway's words for a full minute, with and without the headers that say so.
    let scaleway = r#"{"status":429,"error":"INSUFFICIENT QUOTA","message":"Insufficient quota to perform the request"}"#;
    assert_eq!(classify(429, &minute, scaleway).kind, RateLimited);
    assert_eq!(classify(429, &Hints::default(), scaleway).kind, Billing);
    let said = r#"{"status":429,"error":"INSUFFICIENT QUOTA","message":"You exceeded your current quota of 300 requests per minute"}"#;
    assert_eq!(classify(429, &Hints::default(), said).kind, RateLimited);

    let wait = Some(Duration::from_secs(3));
    let asked = Hints { retry_after: wait, ..Hints::default() };
    let error = classify(402, &asked, "");
    assert_eq!((error.kind, error.retry_after), (RateLimited, wait));
}

#[test]
fn an_error_about_the_length_says_how_long_is_allowed() {
    for (status, body, limit) in [
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens.","code":"context_length_exceeded"}}"#,
            Some(128_000),
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":2048}}"#,
            Some(2_048),
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            Some(200_000),
        ),
        (400, r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#, None),
        // Of something else than the length.
        (
            429,
            r#"{"error":{"message":"Rate limit reached (TPM): Limit 10000, Used 9000","code":"rate_limit_exceeded"}}"#,
            None,
        ),
    ] {
        assert_eq!(classify(status, &Hints::default(), body).context_limit, limit, "{body}");
    }
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
    let groq = Wording::new("groq", Vec::new());
    let of_groq =
        |status, body| classify::classify(status, &Hints::default(), &Said::read(body), &groq).message;
    assert_eq!(
        of_groq(401, "no"),
        "provider 'groq' refuses the key (check the key of provider 'groq'): no (HTTP 401)"
    );
    assert!(of_groq(404, "no").contains("(check the base_url of provider 'groq')"));
    assert!(of_groq(404, "no model").contains("and the model of provider 'groq')"));
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
