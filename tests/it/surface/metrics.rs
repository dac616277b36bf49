//! Metrics: what a parser of others reads in them, and that dashboards and alert rules name nothing else.

use std::{collections::BTreeSet, io::Write, path::Path, sync::Arc};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, memory},
    collector::observe,
    engines::Engine,
    fake_model::{FakeModel, Reply},
    sleepy_store::SleepyStore,
    wait::until,
};
use productforge::llm::openai::OpenAiProvider;

on_both_engines!(
    a_strict_parser_reads_every_family,
    what_happened_is_what_is_counted,
    labels_are_bounded_whatever_is_asked_for,
);

/// The metrics of an application, by name, as the parser of Prometheus reads them.
async fn read(app: &TestApp) -> Value {
    let text = app.get("/metrics").await.text;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    observe("metrics", file.path())
}

/// The sum of all samples of a name with these labels.
fn sum(metrics: &Value, family: &str, sample: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = metrics[format!("productforge_{family}")]["samples"].as_array();
    let samples = samples.unwrap_or_else(|| panic!("no {family} in {metrics}"));
    let fits = |s: &&Value| {
        s[0] == format!("productforge_{sample}") && labels.iter().all(|(name, value)| s[1][name] == *value)
    };
    samples.iter().filter(fits).map(|s| s[2].as_f64().unwrap()).sum()
}

fn one(metrics: &Value, family: &str, labels: &[(&str, &str)]) -> f64 {
    sum(metrics, family, family, labels)
}

async fn task(app: &TestApp, job: &str) -> Value {
    let id =
        app.post("/results/task", &json!({"job": job})).await.ok()["job_id"].as_str().unwrap().to_owned();
    until("the job ends", || async {
        let job = app.get(&format!("/jobs/{id}")).await.ok();
        ["completed", "failed", "cancelled"].contains(&job["state"].as_str().unwrap()).then_some(job)
    })
    .await
}

fn faked(engine: &Engine, fake: &FakeModel) -> crate::support::app::Builder {
    engine.app().worker().provider(Arc::new(OpenAiProvider::new(&fake.config()).unwrap()))
}

async fn a_strict_parser_reads_every_family(engine: Engine) {
    let fake = FakeModel::start();
    let app = faked(&engine, &fake).start().await;
    task(&app, "Fill the histograms").await;
    let metrics = read(&app).await;
    for (name, kind) in [
        ("productforge_uptime_seconds", "gauge"),
        ("productforge_total_requests", "counter"),
        ("productforge_jobs_finished_total", "counter"),
        ("productforge_http_request_seconds", "histogram"),
        ("productforge_store_operation_seconds", "histogram"),
        ("productforge_model_call_seconds", "histogram"),
        ("productforge_build_info", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ] {
        assert_eq!(metrics[name]["type"], kind, "{name}");
    }
    assert_eq!(one(&metrics, "store_up", &[]), 1.0);
}

async fn what_happened_is_what_is_counted(engine: Engine) {
    let fake = FakeModel::start();
    let app = faked(&engine, &fake).start().await;
    let before = read(&app).await;
    task(&app, "Count me").await;
    fake.push(Reply::error(400, "bad", "invalid_request_error", "no"));
    assert_eq!(task(&app, "Refuse me").await["state"], "failed");
    app.get("/jobs/no-such-job").await;
    let after = until("the attempts are counted", || async {
        let metrics = read(&app).await;
        (sum(&metrics, "job_attempts_ended_total", "job_attempts_ended_total", &[])
            >= sum(&before, "job_attempts_ended_total", "job_attempts_ended_total", &[]) + 2.0)
            .then_some(metrics)
    })
    .await;
    let more = |family: &str, sample: &str, labels: &[(&str, &str)]| {
        let had = if before[format!("productforge_{family}")].is_null() {
            0.0
        } else {
            sum(&before, family, sample, labels)
        };
        sum(&after, family, sample, labels) - had
    };
    let grown = |family: &str, labels: &[(&str, &str)]| more(family, family, labels);
    assert_eq!(grown("jobs_enqueued_total", &[("queue", "queue")]), 2.0);
    assert_eq!(grown("job_attempts_started_total", &[("mode", "task")]), 2.0);
    assert_eq!(grown("jobs_finished_total", &[("status", "completed")]), 1.0);
    assert_eq!(grown("jobs_finished_total", &[("status", "failed")]), 1.0);
    assert_eq!(grown("job_attempts_ended_total", &[("outcome", "completed")]), 1.0);
    assert_eq!(grown("job_attempts_ended_total", &[("outcome", "failed")]), 1.0);
    assert_eq!(grown("job_attempt_failures_total", &[("class", "other")]), 1.0);
    let wait = ("job_queue_wait_seconds", "job_queue_wait_seconds_count");
    assert_eq!(more(wait.0, wait.1, &[("queue", "queue")]), 2.0);
    let took = ("job_attempt_seconds", "job_attempt_seconds_count");
    assert_eq!(more(took.0, took.1, &[("mode", "task")]), 2.0);
    let finished = [("operation", "finish")];
    assert!(more("store_operation_seconds", "store_operation_seconds_count", &finished) >= 2.0);
    let model = [("provider", "openai"), ("model", "fake-model-1")];
    assert_eq!(grown("model_calls_total", &[model[0], model[1], ("outcome", "ok")]), 1.0);
    assert_eq!(grown("model_calls_total", &[("outcome", "bad_request")]), 1.0);
    assert_eq!(grown("model_tokens_total", &[model[1], ("kind", "input")]), 11.0);
    assert_eq!(grown("model_tokens_total", &[model[1], ("kind", "output")]), 7.0);
    assert_eq!(grown("model_unpriced_calls_total", &model), 1.0, "an unknown price is no price of 0");
    assert!(after["productforge_model_cost_usd_total"].is_null(), "{after}");
    let missing = [("method", "GET"), ("route", "/jobs/{job_id}"), ("status", "4xx")];
    assert_eq!(grown("http_requests_total", &missing), 1.0);
    assert!(one(&after, "worker_slots", &[]) >= 4.0);
    assert_eq!(one(&after, "queue_oldest_age_seconds", &[("queue", "queue")]), 0.0);
}

async fn labels_are_bounded_whatever_is_asked_for(engine: Engine) {
    let app = engine.app().start().await;
    for n in 0..300 {
        app.get(&format!("/nowhere/{n}")).await;
        app.get(&format!("/jobs/job-{n}")).await;
    }
    app.request(Method::from_bytes(b"BREW").unwrap(), "/system/ping").send().await.unwrap();
    let metrics = read(&app).await;
    let samples = metrics["productforge_http_requests_total"]["samples"].as_array().unwrap();
    let values =
        |label: &str| -> BTreeSet<&str> { samples.iter().map(|s| s[1][label].as_str().unwrap()).collect() };
    assert!(values("route").contains("other") && values("method").contains("other"), "{samples:?}");
    assert!(values("route").iter().all(|route| !route.contains("nowhere") && !route.contains("job-")));
    assert_eq!(
        one(&metrics, "http_requests_total", &[("route", "/jobs/{job_id}"), ("status", "4xx")]),
        300.0
    );
    assert!(one(&metrics, "http_requests_total", &[("route", "other"), ("status", "4xx")]) >= 300.0);
}

#[tokio::test]
async fn a_store_that_is_away_is_a_figure_and_no_gap() {
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).start().await;
    store.go_away();
    app.get("/workflows").await.problem(503);
    let metrics = read(&app).await;
    assert_eq!(one(&metrics, "store_up", &[]), 0.0);
    assert!(metrics["productforge_queue_ready"].is_null(), "it cannot be known");
    assert!(one(&metrics, "store_errors_total", &[("kind", "unavailable")]) > 0.0);
    assert!(one(&metrics, "http_requests_total", &[("route", "/workflows"), ("status", "5xx")]) >= 1.0);
    store.come_back();
    assert_eq!(one(&read(&app).await, "store_up", &[]), 1.0);
}

/// All names of metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|w| w.starts_with("productforge_") || w.starts_with("process_")).map(str::to_owned).collect()
}

fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_str));
            map.values().for_each(|inner| texts(inner, key, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| texts(inner, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_and_the_alert_rules_name_metrics_that_exist() {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let app = TestApp::start().await;
    let told = app.get("/metrics").await.text;
    // A family without series yet is not told, but it is in the list of all there can be.
    let all: BTreeSet<String> = productforge::telemetry::counters::all()
        .iter()
        .map(|metric| productforge::telemetry::metrics::full_name(metric.name))
        .chain(names_in(&told))
        // Of a provider or a budget, where one is configured.
        .chain(
            ["provider_circuit_open", "provider_blocked", "budget_used_ratio"]
                .map(|n| format!("productforge_{n}")),
        )
        .collect();
    let exists = |name: &str| {
        let parts = ["", "_bucket", "_count", "_sum"];
        parts.iter().any(|part| name.strip_suffix(part).is_some_and(|family| all.contains(family)))
    };

    let board: Value =
        serde_json::from_slice(&std::fs::read(file("grafana/productforge.json")).unwrap()).unwrap();
    let mut asked = Vec::new();
    texts(&board, "expr", &mut asked);
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert!(ids.len() == panels.len() && panels.len() >= 20, "every panel has an id of its own");
    assert!(asked.len() >= panels.len() / 2, "{}", asked.len());

    let rules = observe("rules", &file("alerts.yml"));
    let groups = rules["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() >= 10);
    let mut names = BTreeSet::new();
    for rule in rules {
        assert!(names.insert(rule["alert"].as_str().unwrap()), "{rule}");
        for text in [
            &rule["labels"]["severity"],
            &rule["annotations"]["summary"],
            &rule["annotations"]["description"],
        ] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        }
        asked.push(rule["expr"].as_str().unwrap());
    }
    let mut list = tempfile::NamedTempFile::new().unwrap();
    list.write_all(json!(asked).to_string().as_bytes()).unwrap();
    assert_eq!(observe("promql", list.path()), asked.len(), "a parser of PromQL reads them all");
    for expr in asked {
        let named = names_in(expr);
        assert!(!named.is_empty(), "it asks for nothing of ours: {expr}");
        for name in named {
            assert!(exists(&name), "{name} is no metric: {expr}");
        }
    }
}
