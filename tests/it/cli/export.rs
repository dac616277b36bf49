//! `export`: a file of all results, also after an interruption.

use std::{fs, io::Read};

use serde_json::{Value, json};

use crate::support::{
    app::client,
    command::Workspace,
    process::{Server, free_port},
    wait::until,
};

/// A server with so many results.
async fn with_results(number: usize) -> (Server, Workspace) {
    let workspace = Workspace::new();
    let server = Server::start(workspace.path(), &["--workers", "8"], &[("SIMULATED_LATENCY_MS", "0")]).await;
    for n in 0..number {
        let agent = if n % 2 == 0 { "qa_bot" } else { "general_assistant" };
        let (status, _) =
            server.post("/results/task", json!({"job": format!("task {n}"), "agent_name": agent})).await;
        assert_eq!(status, 200);
    }
    until("all have run", || async {
        let (_, metrics) = server.get("/metrics/json").await;
        (metrics["productforge_results"] == number as f64).then_some(())
    })
    .await;
    (server, workspace)
}

fn tasks(lines: &str) -> Vec<String> {
    let task = |line: &str| serde_json::from_str::<Value>(line).unwrap()["task"].as_str().unwrap().to_owned();
    let mut tasks: Vec<_> = lines.lines().map(task).collect();
    tasks.sort();
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_every_format_is_written_and_filters_hold() {
    let (server, workspace) = with_results(5).await;
    let url = [("PRODUCTFORGE_URL", server.url.as_str())];
    for format in ["json", "ndjson", "csv", "txt", "md", "zip"] {
        let ended = workspace.run(&["export", "--format", format], &url).expect_code(0);
        let name = format!("ProductForge_All_results.{format}");
        assert_eq!(ended.stderr, format!("5 results in {name}\n"));
        let mut bytes = Vec::new();
        fs::File::open(workspace.path().join(&name)).unwrap().read_to_end(&mut bytes).unwrap();
        match format {
            "json" => assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap()["count"], 5),
            "zip" => assert!(bytes.starts_with(b"PK")),
            _ => assert!(String::from_utf8(bytes).unwrap().contains("task 4"), "{format}"),
        }
    }
    let command = ["export", "--format", "ndjson", "--agent", "qa_bot", "--out", "qa.ndjson"];
    workspace.run(&command, &url).expect_code(0);
    let text = fs::read_to_string(workspace.path().join("qa.ndjson")).unwrap();
    assert_eq!(tasks(&text), ["task 0", "task 2", "task 4"]);
    let left: Vec<_> = fs::read_dir(workspace.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".part") || name.ends_with(".state") || name.ends_with(".new"))
        .collect();
    assert_eq!(left, [""; 0]);
    let wrong = workspace.run(&["export", "--status", "done"], &url).expect_code(2);
    assert!(wrong.stderr.contains("status"), "{}", wrong.stderr);
    workspace.run(&["export", "--format", "xml"], &url).expect_code(2);

    // A workflow that is not there is told from one without results, and leaves nothing behind.
    let unknown = workspace.run(&["export", "--workflow", "nope", "--format", "zip"], &url).expect_code(1);
    assert!(unknown.stderr.contains("Workflow 'nope' not found"), "{unknown:?}");
    let (_, begun) = server.post("/orchestrate", json!({"job": "Later", "delay_seconds": 3600})).await;
    let id = begun["workflow_id"].as_str().unwrap();
    let empty = ["export", "--workflow", id, "--format", "ndjson", "--out", "none.ndjson"];
    assert_eq!(workspace.run(&empty, &url).expect_code(0).stderr, "0 results in none.ndjson\n");
    let named = fs::read_dir(workspace.path()).unwrap().flatten();
    let left = named.filter(|entry| entry.file_name().to_string_lossy().contains("nope"));
    assert_eq!(left.count(), 0, "something is left of the export of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_goes_on_where_it_stopped() {
    let (server, workspace) = with_results(5).await;
    let url = [("PRODUCTFORGE_URL", server.url.as_str())];
    let path = |name: &str| workspace.path().join(name);
    // As an interruption leaves it: two results are there and the beginning of a third, and the place is noted.
    let (_, all) = server.get("/results/?limit=5").await;
    let first = client().get(format!("{}/results/?limit=2", server.url)).send().await.unwrap();
    let cursor = first.headers()["x-next-cursor"].to_str().unwrap().to_owned();
    let whole: String = all.as_array().unwrap()[..2].iter().map(|r| format!("{r}\n")).collect();
    fs::write(path("out.ndjson.part"), format!("{whole}{{\"job_id\": \"half")).unwrap();
    let state = json!({"filters": [], "cursor": cursor, "results": 2, "bytes": whole.len(), "ended": false});
    fs::write(path("out.ndjson.state"), state.to_string()).unwrap();
    let command = ["export", "--format", "ndjson", "--out", "out.ndjson"];
    // A server that is away changes nothing.
    let away = format!("http://127.0.0.1:{}", free_port());
    workspace.run(&command, &[("PRODUCTFORGE_URL", away.as_str())]).expect_code(3);
    let ended = workspace.run(&command, &url).expect_code(0);
    assert!(ended.stderr.starts_with("going on after 2 results\n"), "{}", ended.stderr);
    let text = fs::read_to_string(path("out.ndjson")).unwrap();
    assert_eq!(tasks(&text), ["task 0", "task 1", "task 2", "task 3", "task 4"]);
    // Other filters, or a part that is shorter than it should be: it begins anew.
    fs::write(path("out.ndjson.part"), "").unwrap();
    fs::write(path("out.ndjson.state"), state.to_string()).unwrap();
    let ended = workspace.run(&command, &url).expect_code(0);
    assert_eq!(ended.stderr, "5 results in out.ndjson\n");
}
