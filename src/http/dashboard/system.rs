//! The system: a checklist of its parts with what to do, its providers, and facts about it.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Posted, Visitor},
    notice::see_other_saying,
    page::{IDLE, PageError, Shell, answer},
    provider_line::ProviderLine,
};
use crate::{
    http::HttpState,
    service::system::{Kept, VERSION},
};

/// One line of the checklist.
#[derive(Debug, PartialEq, Serialize)]
struct Check {
    name: String,
    ok: bool,
    /// What was found and, where it is not ok, what to do.
    detail: String,
    /// A page of the help that says more.
    help: Option<&'static str>,
}

impl Check {
    fn new(name: &str, ok: bool, detail: impl Into<String>, help: &'static str) -> Self {
        Self { name: name.to_owned(), ok, detail: detail.into(), help: (!ok).then_some(help) }
    }
}

#[derive(Serialize)]
struct Setting {
    name: String,
    set: bool,
}

#[derive(Serialize)]
struct SystemPage {
    /// `healthy`, `degraded` or `unhealthy`, and the class of its badge.
    status: String,
    kind: &'static str,
    failing: usize,
    checks: Vec<Check>,
    providers: Vec<ProviderLine>,
    settings: Vec<Setting>,
    engine: String,
    engine_version: Option<String>,
    latency_ms: Option<f64>,
    /// How much is kept; nothing while the store is away.
    kept: Option<Kept>,
    /// What the store takes, in words.
    size: Option<String>,
    uptime: f64,
    version: &'static str,
    log_file: String,
    log_there: bool,
}

pub async fn show(visitor: Visitor, state: web::Data<HttpState>) -> Result<HttpResponse, PageError> {
    let system = &state.services.system;
    let told = system.verify().await;
    let workers = system.workers().await.unwrap_or_default();
    let draining = workers.iter().filter(|worker| worker.draining).count();
    let stuck: Vec<_> = workers.iter().filter(|w| w.is_idle_alive()).map(|w| w.worker_id.as_str()).collect();
    let checks = checklist(&told, state.api_key.is_some(), state.local_only, workers.len(), draining, &stuck);
    // The rest is of use while the store is away, too.
    let providers = state.services.providers.list().await.unwrap_or_default();
    let status = told["status"].as_str().unwrap_or("unhealthy").to_owned();
    let store = &told["checks"]["store"];
    let log_file = system.log_folder().join("app.log");
    let kept = system.kept().await.ok();
    let settings = told["checks"]["environment"].as_object().into_iter().flatten();
    let page = SystemPage {
        kind: match status.as_str() {
            "healthy" => "completed",
            "degraded" => "retrying",
            _ => "failed",
        },
        status,
        failing: checks.iter().filter(|check| !check.ok).count(),
        checks,
        providers: providers.iter().map(ProviderLine::new).collect(),
        settings: settings.map(|(name, value)| Setting { name: name.clone(), set: value == "set" }).collect(),
        engine: store["engine"].as_str().unwrap_or("away").to_owned(),
        engine_version: store["version"].as_str().map(str::to_owned),
        latency_ms: store["latency_ms"].as_f64(),
        size: kept.as_ref().and_then(size),
        kept,
        uptime: system.uptime().as_secs_f64(),
        version: VERSION,
        log_there: log_file.exists(),
        log_file: log_file.display().to_string(),
    };
    let shell = Shell::new(&state, &visitor, "System", "System").live(IDLE);
    answer(StatusCode::OK, "system.html", &shell, &page)
}

/// `40.0 MiB, 1.0 MiB of it free`
fn size(kept: &Kept) -> Option<String> {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let whole = mib(kept.bytes?);
    Some(match kept.free_bytes {
        Some(free) => format!("{whole}, {} of it free for what comes next", mib(free)),
        None => whole,
    })
}

/// The answer of `verify` as a list to go through.
fn checklist(
    told: &Value,
    has_key: bool,
    local_only: bool,
    workers: usize,
    draining: usize,
    stuck: &[&str],
) -> Vec<Check> {
    let operations = "/help/operations";
    let configuration = "/help/configuration";
    let store = &told["checks"]["store"];
    let mut checks = Vec::new();
    match store["error"].as_str() {
        Some(error) => checks.push(Check::new("Store", false, error, operations)),
        None => {
            let latency = store["latency_ms"].as_f64().unwrap_or_default();
            let found = format!("{} answers in {latency:.1} ms", store["engine"].as_str().unwrap_or("It"));
            checks.push(Check::new("Store", true, found, operations));
        }
    }
    for check in store["checks"].as_array().into_iter().flatten() {
        let name = format!("Store: {}", check["name"].as_str().unwrap_or_default());
        let detail = check["detail"].as_str().unwrap_or_default();
        checks.push(Check::new(&name, check["ok"] == true, detail, operations));
    }
    let model = &told["checks"]["openai"];
    checks.push(match model["configured"] == true {
        true => {
            let text = |field: &str| model[field].as_str().unwrap_or_default().to_owned();
            Check::new("Model", true, format!("{} of {}", text("model"), text("provider")), configuration)
        }
        false => {
            let what = "None is configured, so answers are simulated. Set OPENAI_API_KEY or OPENAI_BASE_URL, or name \
                        a provider in productforge.toml.";
            Check::new("Model", false, what, configuration)
        }
    });
    checks.push(match (workers, draining) {
        (0, _) => {
            let what = "None is alive: jobs wait. Start `productforge worker`, or `serve --workers 4`.";
            Check::new("Workers", false, what, operations)
        }
        (n, d) if n == d => {
            let what = "All of them drain: jobs wait. Start one of their processes anew.";
            Check::new("Workers", false, what, operations)
        }
        (n, 0) => Check::new("Workers", true, format!("{n} alive"), operations),
        (n, d) => Check::new("Workers", true, format!("{n} alive, {d} of them draining"), operations),
    });
    for id in stuck {
        let what = format!("{id} lives but takes no work. Restart its process.");
        checks.push(Check::new("Workers: taking jobs", false, what, operations));
    }
    checks.push(match (has_key, local_only) {
        (true, _) => Check::new("Access", true, "A key is asked for", configuration),
        (false, true) => {
            Check::new("Access", true, "No key is set, and none is needed on this machine", configuration)
        }
        (false, false) => {
            let what = "Everybody who reaches this server can use it. Set API_KEY.";
            Check::new("Access", false, what, configuration)
        }
    });
    let has_log = told["checks"]["filesystem"]["log_file"] == true;
    let log =
        if has_log { "The log file is there" } else { "There is no log file: is the workspace writable?" };
    checks.push(Check::new("Log", has_log, log, operations));
    checks
}

pub async fn reset_provider(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    state.services.providers.reset(&name).await?;
    let to = if posted.field("from") == "overview" {
        "/dashboard/#providers"
    } else {
        "/dashboard/system#providers"
    };
    Ok(see_other_saying(to, "provider-reset", None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failing(told: &Value, workers: usize, draining: usize) -> Vec<String> {
        let checks = checklist(told, true, false, workers, draining, &[]);
        checks.into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn all_is_well_when_all_is_well() {
        let told = json!({"checks": {
            "store": {"engine": "sqlite", "latency_ms": 0.2, "checks": [{"name": "version", "ok": true, "detail": "x"}]},
            "openai": {"configured": true, "provider": "openai", "model": "gpt-4o-mini"},
            "filesystem": {"log_file": true}}});
        assert_eq!(failing(&told, 1, 0), Vec::<String>::new());
        assert_eq!(failing(&told, 0, 0), ["Workers"]);
        assert_eq!(failing(&told, 2, 2), ["Workers"]);
        assert_eq!(failing(&told, 2, 1), Vec::<String>::new());
        let open = checklist(&told, false, false, 1, 0, &["w"]);
        let open: Vec<_> = open.iter().filter(|c| !c.ok).map(|c| c.name.as_str()).collect();
        assert_eq!(open, ["Workers: taking jobs", "Access"]);
    }

    #[test]
    fn a_store_that_is_away_and_one_that_is_set_up_badly_are_named() {
        let away = json!({"checks": {"store": {"status": "error", "error": "the store is away"}}});
        assert_eq!(failing(&away, 1, 0), ["Store", "Model", "Log"]);
        let bad = json!({"checks": {
            "store": {"engine": "redis", "checks": [{"name": "eviction", "ok": false, "detail": "set noeviction"}]},
            "openai": {"configured": true}, "filesystem": {"log_file": true}}});
        assert_eq!(failing(&bad, 1, 0), ["Store: eviction"]);
    }
}
