//! Exports: every format, whole, valid and harmless.

use std::{
    collections::BTreeSet,
    io::{Cursor, Read},
};

use productforge::model::ResultStatus;
use serde_json::{Value, json};

use super::results::{result, store_all};
use crate::support::{app::TestApp, engines::Engine, wait::until};

on_both_engines!(
    every_format_has_all_results_and_is_valid,
    an_export_keeps_to_its_filters,
    a_workflow_is_exported_under_its_brief,
    a_file_is_named_in_any_script_and_no_name_breaks_the_header,
    a_table_is_harmless_for_spreadsheets,
    the_performance_of_agents_is_told_as_json_and_as_a_table,
    what_is_not_there_is_told,
    a_document_that_cannot_be_read_hides_no_other,
);

const NOON: i64 = 1_763_812_800_000;
const MANY: usize = 1_234;

/// More results than the legacy system exported.
async fn many(engine: &Engine) -> TestApp {
    let text = |n: usize| format!("Answer {n}, \"quoted\",\nwith two lines and ünïcode");
    let results = (0..MANY).map(|n| {
        let status = if n % 10 == 0 { ResultStatus::Failed } else { ResultStatus::Completed };
        result(&format!("job-{n:04}"), &format!("agent-{}", n % 3), status, NOON + n as i64, &text(n))
    });
    store_all(engine.store.as_ref(), results.collect()).await;
    engine.app().start().await
}

fn all_ids() -> BTreeSet<String> {
    (0..MANY).map(|n| format!("job-{n:04}")).collect()
}

fn ids_of_lines(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["job_id"].as_str().unwrap().to_owned())
        .collect()
}

fn ids_of_table(text: &[u8]) -> BTreeSet<String> {
    let mut table = csv::Reader::from_reader(text);
    assert_eq!(table.headers().unwrap().get(0), Some("job_id"));
    table.records().map(|row| row.unwrap().get(0).unwrap().to_owned()).collect()
}

async fn bytes(app: &TestApp, path: &str) -> (String, Vec<u8>) {
    let answer = app.request(reqwest::Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let named = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    (named, answer.bytes().await.unwrap().to_vec())
}

async fn every_format_has_all_results_and_is_valid(engine: Engine) {
    let app = many(&engine).await;
    let (named, json) = bytes(&app, "/results/export/json").await;
    assert_eq!(named, "attachment; filename=\"ProductForge_All_results.json\"");
    let whole: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&whole["task"], &whole["count"]), (&json!("All results"), &json!(MANY)));
    let results = whole["results"].as_array().unwrap();
    assert_eq!(results.len(), MANY);
    assert_eq!(results[0]["job_id"], format!("job-{:04}", MANY - 1), "newest first");
    assert_eq!(results[1], app.get(&format!("/results/job-{:04}", MANY - 2)).await.ok());

    let (_, lines) = bytes(&app, "/results/export/ndjson").await;
    assert_eq!(ids_of_lines(std::str::from_utf8(&lines).unwrap()), all_ids());
    let (_, table) = bytes(&app, "/results/export/csv").await;
    assert_eq!(ids_of_table(&table), all_ids());
    for (format, mark) in [("txt", "## Task: Task of job-"), ("md", "## Task of job-")] {
        let (_, text) = bytes(&app, &format!("/results/export/{format}")).await;
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches(mark).count(), MANY, "{format}");
        assert!(text.contains("Answer 77, \"quoted\",\nwith two lines and ünïcode"), "{format}");
    }
    let (_, archive) = bytes(&app, "/results/export/zip").await;
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["results.csv", "results.md", "results.ndjson"]);
    let mut text = String::new();
    archive.by_name("results.ndjson").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(ids_of_lines(&text), all_ids());
    let mut table = Vec::new();
    archive.by_name("results.csv").unwrap().read_to_end(&mut table).unwrap();
    assert_eq!(ids_of_table(&table), all_ids());
}

async fn an_export_keeps_to_its_filters(engine: Engine) {
    let app = many(&engine).await;
    let (named, lines) = bytes(&app, "/results/export/ndjson?agent=agent-1&status=failed").await;
    assert_eq!(named, "attachment; filename=\"ProductForge_Results_of_agent-1.ndjson\"");
    let expected: BTreeSet<_> =
        (0..MANY).filter(|n| n % 3 == 1 && n % 10 == 0).map(|n| format!("job-{n:04}")).collect();
    assert_eq!(ids_of_lines(std::str::from_utf8(&lines).unwrap()), expected);
    let (_, one) = bytes(&app, "/results/export/ndjson?q=answer%20321,").await;
    assert_eq!(ids_of_lines(std::str::from_utf8(&one).unwrap()), BTreeSet::from(["job-0321".to_owned()]));
    app.get("/results/export/json?status=unheard").await.problem(422);
}

async fn a_workflow_is_exported_under_its_brief(engine: Engine) {
    let app = engine.app().worker().start().await;
    let brief = "Почини вход / fix the \"login\"";
    let started = app.post("/orchestrate", &json!({"job": brief, "requires_qa": true})).await.ok();
    let id = started["workflow_id"].as_str().unwrap();
    let path = format!("/workflows/{id}");
    until("it is done", || async {
        (app.get(&path).await.ok()["workflow"]["status"] == "completed").then_some(())
    })
    .await;
    let (named, json) = bytes(&app, &format!("{path}/export/json")).await;
    assert!(named.contains("filename=\"ProductForge_______________fix_the__login_.json\""), "{named}");
    assert!(named.contains("filename*=UTF-8''ProductForge_%D0%9F%D0%BE"), "{named}");
    let whole: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(whole["task"], brief);
    let steps = whole["results"].as_array().unwrap().len();
    assert!(steps >= 4, "{whole}");
    let (_, archive) = bytes(&app, &format!("{path}/export/zip")).await;
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut document = String::new();
    archive.by_name("workflow.json").unwrap().read_to_string(&mut document).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&document).unwrap()["original_task"], brief);
    assert_eq!(
        archive.file_names().filter(|name| name.as_ref().unwrap().starts_with("steps/")).count(),
        steps
    );
    let (_, text) = bytes(&app, &format!("{path}/export/md")).await;
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("# Почини вход") && text.contains("Simulated"), "{text}");
}

async fn a_file_is_named_in_any_script_and_no_name_breaks_the_header(engine: Engine) {
    let app = engine.app().start().await;
    for agent in ["%0d%0aSet-Cookie:%20x=y", "%22;filename=evil.exe", "%E2%80%AEexe.json", "..%2F..%2Fetc"] {
        let answer = app.get(&format!("/results/export/csv?agent={agent}")).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (200, ""));
        let named = answer.header("content-disposition");
        assert!(named.starts_with("attachment; filename=\"ProductForge_Results_of_"), "{named}");
        assert!(named.is_ascii() && !named.contains('/') && named.matches('"').count() == 2, "{named}");
    }
}

async fn a_table_is_harmless_for_spreadsheets(engine: Engine) {
    let evil = result("e", "=HYPERLINK(\"http://x\")", ResultStatus::Completed, NOON, "@SUM(1)|cmd");
    store_all(engine.store.as_ref(), vec![evil]).await;
    let app = engine.app().start().await;
    let (_, table) = bytes(&app, "/results/export/csv").await;
    let row = csv::Reader::from_reader(table.as_slice()).records().next().unwrap().unwrap();
    assert_eq!((&row[2], &row[8]), ("'=HYPERLINK(\"http://x\")", "'@SUM(1)|cmd"));
    let (_, table) = bytes(&app, "/results/performance/export?format=csv").await;
    let row = csv::Reader::from_reader(table.as_slice()).records().next().unwrap().unwrap();
    assert_eq!(&row[0], "'=HYPERLINK(\"http://x\")");
}

async fn the_performance_of_agents_is_told_as_json_and_as_a_table(engine: Engine) {
    let app = many(&engine).await;
    let (named, json) = bytes(&app, "/results/performance/export").await;
    assert_eq!(named, "attachment; filename=\"ProductForge_performance.json\"");
    let report: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["total_agents"], 3);
    let first = &report["metrics"][0];
    assert_eq!((&first["agent_name"], &first["role"]), (&json!("agent-0"), &json!("Test")));
    let (total, failed) = (first["total_tasks"].as_u64().unwrap(), first["failed_tasks"].as_u64().unwrap());
    assert_eq!((total, failed), (412, 42));
    assert_eq!(first["successful_tasks"], 370);
    assert_eq!(first["success_rate"], 89.81);
    assert_eq!((&first["fastest_job"], &first["average_execution_time"]), (&json!(0.5), &json!(0.5)));
    let (_, table) = bytes(&app, "/results/performance/export?format=csv").await;
    let rows: Vec<_> = csv::Reader::from_reader(table.as_slice()).records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[0][2], rows[0].len()), (3, "412", 11));
    app.get("/results/performance/export?format=xml").await.problem(422);
}

async fn what_is_not_there_is_told(engine: Engine) {
    let app = engine.app().start().await;
    app.get("/results/export/xml").await.problem(404);
    app.get("/workflows/unknown/export/json").await.problem(404);
    let (_, json) = bytes(&app, "/results/export/json").await;
    let whole: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&whole["results"], &whole["count"]), (&json!([]), &json!(0)));
    let (_, archive) = bytes(&app, "/results/export/zip").await;
    assert_eq!(zip::ZipArchive::new(Cursor::new(archive)).unwrap().len(), 3);
}

async fn a_document_that_cannot_be_read_hides_no_other(engine: Engine) {
    use productforge::{
        service::records,
        store::{Change, DocKey, Put},
    };
    let fine = result("fine", "a", ResultStatus::Completed, NOON, "x");
    store_all(engine.store.as_ref(), vec![fine]).await;
    let broken = Put::raw(DocKey::new(records::RESULT, "broken"), "{no json").indexed(NOON + 1);
    engine.store.apply(Change::new().put(broken)).await.unwrap().unwrap();
    let app = engine.app().start().await;
    let (_, lines) = bytes(&app, "/results/export/ndjson").await;
    assert_eq!(ids_of_lines(std::str::from_utf8(&lines).unwrap()), BTreeSet::from(["fine".to_owned()]));
}
