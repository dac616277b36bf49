//! Analytics, reports and metrics: right figures, also after the results have gone.

use std::sync::Arc;

use productforge::llm::ModelErrorKind;
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys},
    engines::Engine,
    scripted::{Line, Scripted},
    world::idle,
};

on_both_engines!(
    a_summary_counts_what_ended_and_what_is_kept,
    figures_outlive_the_results,
    a_trend_has_24_hours_up_to_now,
    agents_are_judged_by_what_qa_said_of_their_finished_work,
    a_weekly_report_is_made_listed_and_read_as_markdown_and_as_a_page,
    an_agents_name_is_harmless_in_a_report,
    metrics_speak_prometheus_and_json,
);

async fn run(app: &TestApp, agent: &str, number: usize) {
    for _ in 0..number {
        app.post("/results/task", &json!({"job": "say something", "agent_name": agent})).await.ok();
    }
    idle(&app.app).await;
}

async fn a_summary_counts_what_ended_and_what_is_kept(engine: Engine) {
    let app = engine.app().provider(failing()).variables(&[("JOB_MAX_ATTEMPTS", "1")]).worker().start().await;
    run(&app, "general_assistant", 3).await;
    let later = app.post("/results/task", &json!({"job": "later", "delay_seconds": 60})).await.ok();
    let cancel = format!("/jobs/{}/cancel", later["job_id"].as_str().unwrap());
    app.post(&cancel, &json!({})).await.ok();
    let summary = app.get("/analytics/summary").await.ok();
    let expected = json!({"tasks": 4, "completed": 2, "failed": 1, "cancelled": 1});
    for window in ["h1", "h24", "d7"] {
        assert_eq!(summary["window"][window], expected, "{window}");
    }
    assert_eq!(summary["totals"], json!({"results": 4, "workflows": 0, "uploads": 0}));
    let kpis = &summary["kpis"];
    assert_eq!(kpis["total_tasks_processed"], 4);
    assert_eq!(kpis["active_agents_count"], app.get("/agents/").await.ok().as_array().unwrap().len());
    for figure in ["avg_processing_time_ms", "avg_redis_latency_ms", "cache_hit_ratio"] {
        assert!(kpis[figure].as_f64().is_some_and(|n| n >= 0.0), "{figure}: {kpis}");
    }
    let at = summary["timestamp"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(at).is_ok(), "{at}");
}

/// The second of three jobs fails.
fn failing() -> Arc<Scripted> {
    Scripted::new(|_, n| match n {
        2 => Line::Fail(ModelErrorKind::Refused),
        _ => Line::Say("done".to_owned()),
    })
}

async fn figures_outlive_the_results(engine: Engine) {
    let app = engine.app().worker().start().await;
    run(&app, "qa_bot", 2).await;
    for result in app.get("/results/").await.ok().as_array().unwrap() {
        app.delete(&format!("/results/{}", result["job_id"].as_str().unwrap())).await.ok();
    }
    let summary = app.get("/analytics/summary").await.ok();
    assert_eq!(summary["totals"]["results"], 0);
    assert_eq!(summary["window"]["h1"]["tasks"], 2);
}

async fn a_trend_has_24_hours_up_to_now(engine: Engine) {
    let app = engine.app().worker().start().await;
    run(&app, "qa_bot", 3).await;
    let trends = app.get("/analytics/trends").await.ok();
    let series = trends["series"].as_array().unwrap();
    assert_eq!(series.len(), 24);
    let count = |point: &Value| point["count"].as_u64().unwrap();
    assert_eq!(series.iter().map(count).sum::<u64>(), 3);
    // The slot may have changed in between: the jobs are in the last hour or the one before it.
    assert_eq!(series[22..].iter().map(count).sum::<u64>(), 3);
    let time = series[0]["t"].as_str().unwrap();
    assert!(time.len() == 5 && time.as_bytes()[2] == b':', "{time}");
}

async fn a_weekly_report_is_made_listed_and_read_as_markdown_and_as_a_page(engine: Engine) {
    let app = engine.app().worker().start().await;
    assert_eq!(app.get("/reports").await.ok(), json!({"reports": [], "next_cursor": null}));
    run(&app, "qa_bot", 2).await;
    let made = app.post("/reports/generate", &json!({})).await.ok();
    assert_eq!(keys(&made), ["report_path", "filename", "timestamp"]);
    let name = made["filename"].as_str().unwrap();
    let time = made["timestamp"].as_str().unwrap();
    assert_eq!(name, format!("weekly_report_{time}.md"));
    let list = app.get("/reports").await.ok();
    let row = &list["reports"][0];
    assert_eq!(keys(row)[..4], ["filename", "path", "size", "modified"]);
    assert_eq!((&row["filename"], &row["path"]), (&made["filename"], &made["report_path"]));
    let text = app.get(made["report_path"].as_str().unwrap()).await;
    assert_eq!(text.header("content-type"), "text/markdown; charset=utf-8");
    assert_eq!(row["size"], text.text.len());
    assert!(text.text.contains("| Jobs ended | 2 | 0 |"), "{}", text.text);
    assert!(text.text.contains("| qa\\_bot | 2 | 0 | 100.0 % |"), "{}", text.text);
    assert!(text.text.contains("simulated"), "{}", text.text);
    let page = app.get(&format!("/reports/{}", name.replace(".md", ".html"))).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    assert!(page.text.contains("<td>qa_bot</td>"), "{}", page.text);
    for unknown in ["weekly_report_1.md", "..%2Fsecret.md", "x.html", "%00"] {
        app.get(&format!("/reports/{unknown}")).await.problem(404);
    }
}

async fn an_agents_name_is_harmless_in_a_report(engine: Engine) {
    let app = engine.app().worker().start().await;
    let name = "<script>alert(1)|x`*_[a](b)";
    app.post("/agents/", &json!({"name": name, "role": "Test"})).await.ok();
    run(&app, name, 1).await;
    let made = app.post("/reports/generate", &json!({})).await.ok();
    let path = made["report_path"].as_str().unwrap().replace(".md", ".html");
    let page = app.get(&path).await.text;
    assert!(page.contains("<td>&lt;script&gt;alert(1)|x`*_[a](b)</td>"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
}

async fn metrics_speak_prometheus_and_json(engine: Engine) {
    let app = engine.app().worker().start().await;
    run(&app, "qa_bot", 2).await;
    let text = app.get("/metrics").await;
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let json = app.get("/metrics/json").await.ok();
    for name in [
        "uptime_seconds",
        "active_workflows",
        "redis_latency_ms",
        "upload_avg_duration_ms",
        "total_requests",
        "redis_operations",
        "system_health_cache_hits",
        "system_health_requests_total",
        "reports_generated_total",
        "analytics_snapshots_total",
        "dashboard_refresh_total",
        "htmx_events_total",
        "cache_hits_total",
        "cache_misses_total",
        "upload_requests_total",
        "upload_failures_total",
    ] {
        let name = format!("productforge_{name}");
        assert!(text.text.contains(&format!("\n{name} ")), "{name}: {}", text.text);
        assert!(text.text.contains(&format!("# TYPE {name} ")), "{name}");
        assert!(json[&name].is_f64(), "{name}: {json}");
    }
    // Counters are the process's: other tests of it may have counted, too.
    let before = json["productforge_dashboard_refresh_total"].as_f64().unwrap();
    app.get("/dashboard/").await;
    let after = app.get("/metrics/json").await.ok();
    assert!(after["productforge_dashboard_refresh_total"].as_f64().unwrap() > before);
    assert!(after["productforge_total_requests"].as_f64() > json["productforge_total_requests"].as_f64());
    assert!(text.text.contains("productforge_results 2\n"), "{}", text.text);
    assert!(text.text.contains("productforge_queue_ready{queue=\"queue\"} 0\n"), "{}", text.text);
    assert_eq!(json["productforge_queue_ready.queue_high"], 0.0);
    // A line is a comment or a name, maybe labels, and a number.
    for line in text.text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let ours = name.starts_with("productforge_") || name.starts_with("process_");
        assert!(ours && value.parse::<f64>().is_ok(), "{line}");
    }
}

async fn agents_are_judged_by_what_qa_said_of_their_finished_work(engine: Engine) {
    let app = engine.app().worker().start().await;
    // The simulated QA asks for one revision and approves it.
    app.post(
        "/orchestrate",
        &json!({"job": "write a note", "requires_qa": true, "specialists": ["general_assistant"]}),
    )
    .await
    .ok();
    idle(&app.app).await;
    let board = app.get("/analytics/agents").await.ok();
    assert_eq!(board["days"], 30);
    let of = |name: &str| {
        let agents = board["agents"].as_array().unwrap();
        agents
            .iter()
            .find(|agent| agent["agent"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name}: {board}"))
    };
    let worker = of("general_assistant");
    assert_eq!((&worker["reviewed"], &worker["accepted"]), (&json!(1), &json!(1)), "{worker}");
    assert_eq!(worker["accepted_first_rate"], 0.0, "{worker}");
    assert_eq!(worker["average_rounds"], 2.0, "{worker}");
    assert!(worker["average_score"].as_f64().is_some_and(|score| score > 0.0), "{worker}");
    assert!(worker["jobs"].as_u64().unwrap() >= 2 && worker["failure_rate"] == 0.0, "{worker}");
    assert!(worker["p50_seconds"].as_f64() <= worker["p95_seconds"].as_f64());
    assert!(worker["total_tokens"].as_u64().unwrap() > 0);
    assert_eq!(of("qa_bot")["reviewed"], 0, "who reviews is not reviewed");
    // They outlive the results.
    for result in app.get("/results/").await.ok().as_array().unwrap() {
        app.delete(&format!("/results/{}", result["job_id"].as_str().unwrap())).await.ok();
    }
    assert_eq!(app.get("/analytics/agents?days=1").await.ok()["agents"], board["agents"]);
    for bad in ["0", "93", "x", ""] {
        let bad = app.get(&format!("/analytics/agents?days={bad}")).await.bad_fields();
        assert_eq!(bad, [("int_parsing".to_owned(), "query.days".to_owned())]);
    }
}
