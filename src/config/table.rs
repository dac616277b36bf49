//! What every setting means and may be: the one table that `productforge config --table` and `docs/settings.md` are
//! made of.
//!
//! Names, defaults and which settings are secrets are not said again here: they come from where the settings are
//! read. Tests see to it that each has a row, each row a setting, and that what a row says it may be is true.

use std::fmt;

use Kind::{Dollars, Number, OneOf, Seconds, Text, Truth};

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number, from and to.
    Number(u64, u64),
    /// A number of seconds, from and to; fractions are allowed.
    Seconds(u64, u64),
    /// An amount of US dollars.
    Dollars,
    /// `true` or `false`.
    Truth,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Something else, in words.
    Text(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number(min, max) => write!(f, "a whole number, {min} to {max}"),
            Seconds(min, max) => write!(f, "seconds, {min} to {max}"),
            Dollars => f.write_str("US dollars, above 0"),
            Truth => f.write_str("`true` or `false`"),
            OneOf(words) => {
                f.write_str(&words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "))
            }
            Text(words) => f.write_str(words),
        }
    }
}

/// What one setting is about.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The variable of the environment; in the file it stands in lower case.
    pub name: &'static str,
    pub kind: Kind,
    /// One sentence without a full stop.
    pub meaning: &'static str,
}

const fn row(name: &'static str, kind: Kind, meaning: &'static str) -> Row {
    Row { name, kind, meaning }
}

const URL: Kind = Text("an `http://` or `https://` address");
const FILE: Kind = Text("a path");
const TOKENS: Kind = Number(1, 1_000_000_000_000);
const AN_UPLOAD: Kind = Number(1, 1 << 30);
const YEARS: Kind = Seconds(1, 10 * 365 * 86_400);

/// Every setting. Their order here does not matter.
pub const TABLE: &[Row] = &[
    row(
        "CONFIG_FILE",
        FILE,
        "the configuration file, also `--config`; else `productforge.toml` if there is one",
    ),
    row(
        "RAILWAY_ENVIRONMENT",
        Text("any text"),
        "set by Railway: listen on all addresses, log to `/tmp/logs`",
    ),
    // HTTP
    row("HOST", Text("an IP address"), "the address to listen on; `0.0.0.0` if `RAILWAY_ENVIRONMENT` is set"),
    row("PORT", Number(0, 65_535), "the port to listen on; 0 takes a free one"),
    row(
        "API_KEY",
        Text("at least 8 visible ASCII characters"),
        "the key that clients send as `X-API-Key`; beyond loopback one is made if it is missing",
    ),
    row("OPEN", Truth, "let everybody in beyond loopback"),
    row(
        "CORS_ORIGINS",
        Text("origins, comma-separated; `*.` stands for every sub-domain"),
        "sites whose pages may call the API; where neither this nor `API_KEY` is set, `http://localhost:3000` alone",
    ),
    // Store
    row(
        "REDIS_URL",
        Text(
            "`redis://…`, `redis-cluster://…` or `redis-sentinel://…`, with `rediss` for TLS, or `unix://…`",
        ),
        "the Redis to use instead of the embedded store",
    ),
    row(
        "REDIS_PREFIX",
        Text("at most 64 visible ASCII characters"),
        "put before every key; `{pf}:` keeps all keys in one slot of a Redis Cluster",
    ),
    row("WORKSPACE_DIR", FILE, "the folder of the embedded store, uploads and the log"),
    row("RESULT_TTL", YEARS, "how long results are kept"),
    // Model
    row("OPENAI_API_KEY", Text("visible ASCII"), "the key of the model provider"),
    row("OPENAI_BASE_URL", URL, "any server with OpenAI's API; enough by itself"),
    row(
        "OPENAI_MODEL",
        Text("a model's name"),
        "the default model; `provider/model` for one of another configured provider",
    ),
    row("MODEL_TIMEOUT", Seconds(1, 86_400), "the most one request may take"),
    row("MODEL_MAX_TOKENS", Number(1, 10_000_000), "the most tokens an answer may have"),
    row("MODEL_STREAM", Truth, "whether answers are streamed"),
    row("MODEL_RECORD", FILE, "a file in which conversations with models are recorded, without keys"),
    row("MODEL_REPLAY", FILE, "a file from which they are played again; no provider is asked"),
    row("SIMULATED_LATENCY_MS", Number(0, 3_600_000), "how many milliseconds the simulated model thinks"),
    row("PRICES_FILE", FILE, "prices of models, instead of the built-in table"),
    // Budgets
    row("DAILY_BUDGET_USD", Dollars, "what all calls of a day may cost"),
    row("DAILY_BUDGET_TOKENS", TOKENS, "how many tokens they may have"),
    row("KEY_BUDGET_USD", Dollars, "what the calls of a day may cost that one API key asked for"),
    row("KEY_BUDGET_TOKENS", TOKENS, "how many tokens those may have"),
    // Work
    row("WORKERS", Number(0, 10_000), "jobs run at once"),
    row("LEASE_SECONDS", Seconds(1, 3_600), "how long a job stays with a worker that is not heard of"),
    row("JOB_MAX_ATTEMPTS", Number(1, 100), "attempts before a job is given up"),
    row(
        "RETRY_BASE_SECONDS",
        Seconds(0, 3_600),
        "what waits between attempts are measured in; they double, by kind of failure",
    ),
    row("JOB_TIMEOUT", Seconds(1, 86_400), "the most one attempt may take, where the job does not say"),
    row(
        "MODEL_CONCURRENCY",
        Text("a list such as `gpt-4o=8,*=64`"),
        "how many jobs may run at once by model, over all workers",
    ),
    row(
        "QUEUE_ORDER",
        OneOf(&["strict", "weighted"]),
        "`weighted`: every queue is first now and then (6 : 3 : 1), so that low work gets on",
    ),
    row("DRAIN_SECONDS", Seconds(0, 3_600), "how long a stopping process waits for running jobs"),
    row(
        "METRICS_PORT",
        Number(0, 65_535),
        "where a `worker` answers `/metrics` and probes, with `API_KEY`; nowhere when not set",
    ),
    row(
        "TRUSTED_PROXIES",
        Text("`none`, `railway`, a number, or addresses and networks"),
        "proxies that are believed when they name the client: how many stand in a row, or where; `railway` if `RAILWAY_ENVIRONMENT` is set",
    ),
    row(
        "RATE_LIMIT",
        Number(0, 1_000_000),
        "requests a minute of one address without a right key; 0: no limit",
    ),
    row(
        "KEY_RATE_LIMIT",
        Number(0, 1_000_000),
        "requests a minute of one key that has no limit of its own; 0: no limit",
    ),
    row("MAX_CONNECTIONS", Number(16, 100_000), "connections that a process answers at once"),
    row(
        "DRAIN_DELAY_SECONDS",
        Seconds(0, 60),
        "how long a stopping server answers on while `/system/health` says that it is draining",
    ),
    row("AUDIT_TTL", Seconds(60, 10 * 365 * 86_400), "how long it is kept who has changed what"),
    row(
        "WEBHOOK_SECRET",
        Text("24 to 64 bytes in base64"),
        "what reports to `callback_url` are signed with; without it none is accepted",
    ),
    row(
        "WEBHOOK_ALLOW",
        Text("names and networks, comma-separated"),
        "where reports may go although it is not public",
    ),
    row(
        "REDIS_CA_FILE",
        FILE,
        "the authority that Redis' certificate is checked against, as PEM; the system's when not set",
    ),
    row("REDIS_CERT_FILE", FILE, "our certificate as PEM, for a Redis that wants one"),
    row("REDIS_KEY_FILE", FILE, "its key"),
    row("REDIS_SENTINEL_PASSWORD", Text("any text"), "the password of the sentinels"),
    row(
        "WORKFLOW_TTL",
        Seconds(0, 10 * 365 * 86_400),
        "how long workflows are kept after their end; 0: for ever",
    ),
    row(
        "MAX_WORKFLOWS",
        Number(0, 1_000_000_000),
        "how many workflows that have ended are kept, the newest; 0: any number",
    ),
    row("MAX_RESULTS", Number(0, 1_000_000_000), "how many results are kept, the newest; 0: any number"),
    // Traces
    row(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        URL,
        "a collector of OpenTelemetry (`http://localhost:4318`): requests, jobs and model calls are traced to it",
    ),
    row("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", URL, "the same as a whole address, for traces alone"),
    row("OTEL_EXPORTER_OTLP_HEADERS", Text("`name=value,…`, percent-encoded"), "headers for it"),
    row(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        Text("`name=value,…`, percent-encoded"),
        "the same for traces alone",
    ),
    row("OTEL_EXPORTER_OTLP_PROTOCOL", OneOf(&["http/protobuf", "http/json"]), "how it is spoken to"),
    row(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        OneOf(&["http/protobuf", "http/json"]),
        "the same for traces alone",
    ),
    row("OTEL_EXPORTER_OTLP_TIMEOUT", Number(1, 600_000), "how long it may take, in milliseconds"),
    row(
        "OTEL_SERVICE_NAME",
        Text("any text"),
        "what the process calls itself in traces; `productforge` when not set",
    ),
    row("OTEL_RESOURCE_ATTRIBUTES", Text("`name=value,…`, percent-encoded"), "what else it says of itself"),
    row(
        "OTEL_TRACES_SAMPLER",
        OneOf(&[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]),
        "which traces are recorded",
    ),
    row(
        "OTEL_TRACES_SAMPLER_ARG",
        Text("a number, 0 to 1"),
        "the share of new traces that `traceidratio` records",
    ),
    row("OTEL_TRACES_EXPORTER", OneOf(&["otlp", "none"]), "`none` switches traces off"),
    row("OTEL_SDK_DISABLED", Truth, "`true` does the same"),
    row(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        Truth,
        "whether prompts and answers stand in traces",
    ),
    // Log
    row("LOG_LEVEL", Text("a level, or a filter such as `info,productforge::store=debug`"), "what is logged"),
    row("LOG_FORMAT", OneOf(&["text", "json"]), "`json` writes one object a line"),
    // Uploads
    row("MAX_UPLOAD_SIZE", AN_UPLOAD, "the largest upload, in bytes"),
    row("UPLOAD_TTL", YEARS, "how long uploads are kept"),
    row(
        "BLOB_URL",
        Text("`s3://bucket/prefix?endpoint=https://host&region=auto`"),
        "the bucket of any S3-compatible store that uploads are kept in when several nodes share them; else a folder \
         of the workspace",
    ),
    row("AWS_ACCESS_KEY_ID", Text("any text"), "the key of that bucket"),
    row("AWS_SECRET_ACCESS_KEY", Text("any text"), "its secret"),
    row("AWS_SESSION_TOKEN", Text("any text"), "with keys that are lent"),
];
