//! What must hold for bytes that come from outside, whatever they are.
//!
//! A [`Target`] is a function that takes any bytes, hands them to one of the parsers and panics where a promise is
//! broken: not only "no panic", but what may be accepted, what is in it, and that it comes back as it went. Parsers
//! that are private have their properties in a module `fuzzing` of their layer.
//!
//! The same functions are called from two places: `fuzz/` runs them under libFuzzer for as long as one likes
//! (`./dev fuzz`), and `tests/it/fuzz/` with the kept inputs of `fuzz/seeds/` and a fixed number of changes to them.
//! Nothing else calls them, so none of this is in the executable.

mod files;
mod texts;

use crate::{http, llm, migrate, service, store};

/// One parser, or several of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `fuzz/seeds/`.
    pub name: &'static str,
    /// Whose bytes these are.
    pub reads: &'static str,
    /// Panics where the bytes break a promise.
    pub holds: fn(&[u8]),
    /// Words that random changes do not find.
    pub words: &'static [&'static str],
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target {
        name: "job_payload",
        reads: "what foreign programs put into a queue",
        holds: service::execution::fuzzing::job_payload,
        words: &[
            "\"job_id\":", "\"workflow_id\":", "\"step\":", "\"agent_name\":", "\"agent\":", "\"job\":",
            "\"task\":", "\"mode\":", "admin_review", "analyze", "\"file_path\":", "\"upload_id\":",
            "\"created_at\":", "\"original_job_id\":", "null", "\\u0000", "1e400",
        ],
    },
    Target {
        name: "documents",
        reads: "what earlier versions and the legacy system stored",
        holds: migrate::fuzzing::documents,
        words: &[
            "\"workflow_id\":", "\"status\":", "\"steps\":[", "\"created_at\":", "\"timestamp\":",
            "\"agent\":", "\"usage\":{", "\"cost_usd\":", "null", "2026-11-22T10:17:00", "+02:00", "None",
            "\"verdict\":{", "\"attempts\":[", "\"depends_on\":[", "1e308", "-1",
        ],
    },
    Target {
        name: "archive",
        reads: "uploaded zip files",
        holds: files::archive,
        words: &[
            "PK\u{1}\u{2}", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "PK\u{6}\u{6}", "PK\u{6}\u{7}", "PK\u{7}\u{8}",
            "../", "/", "\\",
        ],
    },
    Target {
        name: "analysis",
        reads: "the files in an uploaded archive",
        holds: files::analysis,
        words: &[
            "Cargo.toml", "package.json", "pom.xml", "go.mod", "requirements.txt", "pyproject.toml",
            ".gitignore", "[dependencies]", "\"dependencies\":{", "<dependency>", "<!DOCTYPE", "TODO",
            "fn main()", "/*", "*/", "\"\"\"", "AKIA", "-----BEGIN RSA PRIVATE KEY-----", "src/lib.rs:1",
        ],
    },
    Target {
        name: "model_stream",
        reads: "a model's answer as a stream of events",
        holds: llm::openai::fuzzing::model_stream,
        words: &[
            "data: ", "data:", "event: ", "\n\n", "\r\n", "[DONE]", "{\"choices\":[{\"delta\":{\"content\":\"",
            "\"tool_calls\":[{\"index\":0,", "\"function\":{\"name\":", "\"arguments\":",
            "\"finish_reason\":\"stop\"", "\"usage\":{", "\"error\":", "response.output_text.delta",
            "response.completed", "\"type\":", "\"delta\":", "gsk_0123456789",
        ],
    },
    Target {
        name: "model_answer",
        reads: "a model's answer as a whole, its errors, and recorded answers",
        holds: llm::openai::fuzzing::model_answer,
        words: &[
            "{\"choices\":[{\"message\":{\"content\":", "\"output\":[{\"type\":\"message\"",
            "\"error\":{\"message\":", "\"code\":", "\"param\":", "maximum context length is 4096 tokens",
            "<title>", "gsk_0123456789", "sk-", "\"tool_calls\":", "\"refusal\":", "insufficient_quota",
            "{\"request\":{", "\"response\":{\"status\":200", "\"pieces\":[{\"at_ms\":1,\"base64\":",
        ],
    },
    Target {
        name: "verdict",
        reads: "QA's words",
        holds: texts::verdict,
        words: &[
            "{\"verdict\":", "\"approve\"", "\"revise\"", "\"score\":", "\"findings\":[", "\"must_fix\":[",
            "```json\n", "Verdict: ", "not ", "**", "90%", "9/10", "needs_revision", "\"severity\":",
        ],
    },
    Target {
        name: "calculator",
        reads: "what models want to have calculated",
        holds: texts::calculator,
        words: &[
            "sqrt(", "round(", "log(", "max(", "atan2(", "pi", "e", "%", "^", "1e308", "1e-300", "mod(", "−",
            "×", "(",
        ],
    },
    Target {
        name: "config",
        reads: "configuration files",
        holds: texts::config,
        words: &[
            "[providers.", "base_url = ", "api_key = ", "key = ", "[mcp.", "command = ", "headers = {",
            "port = ", "daily_budget_usd = ", "'''", "\"\"\"", "redis_url = 'redis://", "model_concurrency = ",
            "cors_origins = ", "openai_base_url = ", "[[", "inf", "1979-05-27T07:32:00Z", "env = ",
        ],
    },
    Target {
        name: "request_body",
        reads: "JSON that clients send",
        holds: http::fuzzing::request_body,
        words: &[
            "{\"job\":", "\"requires_qa\":", "\"budget\":{\"usd\":", "\"tokens\":", "\"max_revisions\":",
            "\"run_at\":", "\"name\":", "\"role\":", "\"tools\":[", "\"calculator\"", "\"mcp:", "\"ids\":[",
            "\"action\":", "\"state\":", "18446744073709551616", "-0", "1e400", "\\ud800", "null",
        ],
    },
    Target {
        name: "multipart",
        reads: "forms with a file",
        holds: http::fuzzing::multipart,
        words: &[
            "--X", "--X--", "\r\n", "Content-Disposition: form-data; name=\"file\"; filename=\"a.zip\"",
            "Content-Disposition: form-data; name=\"project\"", "name=\"csrf\"", "filename*=UTF-8''",
            "Content-Type: ", "Content-Length: ", "Content-Transfer-Encoding: ",
        ],
    },
    Target {
        name: "form",
        reads: "the dashboard's forms",
        holds: http::dashboard::fuzzing::form,
        words: &[
            "job=", "&priority=high", "&budget_usd=", "&budget_tokens=", "&run_at=", "&delay_minutes=",
            "&name=", "&role=", "&skills=", "%0D%0A", "&max_concurrency=", "&specialists=", "&max_revisions=",
            "%E2%80%AF", "NaN", "inf", "&step_timeout_seconds=", "&key=0123456789", "&demo=true",
            "&usd_per_day=", "$",
        ],
    },
    Target {
        name: "markdown",
        reads: "texts of models and people that pages show",
        holds: http::fuzzing::markdown,
        words: &[
            "<script>", "<img src=x onerror=", "javascript:", "](", "![", "<a href=\"", "data:text/html,",
            "```", "|---|", "&#x6a;", "<!--", "<svg/onload=", "[x]: ", "# ", "&colon;", "vbscript:", "<style>",
            "<![CDATA[",
        ],
    },
    Target {
        name: "access",
        reads: "paths, hosts, cookies, cursors and keys of requests",
        holds: http::fuzzing::access,
        words: &[
            "/docs/", "/dashboard/", "/static/", "/help/", "%2e%2e", "%2f", "..", "\\", "//", "v1.",
            "localhost", "[::1]", "127.0.0.1", ".localhost", "https://", "?next=", "/dashboard/login", "%00",
            "%5c", "://",
        ],
    },
    Target {
        name: "redis_reply",
        reads: "what Redis answers",
        holds: store::redis::fuzzing::replies,
        words: &[
            "*3\r\n", "$2\r\n", ":1\r\n", "$-1\r\n", "_\r\n", "1-0", "$1\r\nb\r\n", "$1\r\nt\r\n",
            "$1\r\ns\r\n", "inf", "9223372036854775807", "-1", "2.3e+18", "0 0 1 ",
        ],
    },
];

/// The target of a name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
