//! The log file on a disk that is full, in a folder that is taken away: work goes on, and stderr has it all.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::support::{
    process::{Process, Server, folder},
    redis_server::RedisServer,
    wait::until,
};

#[tokio::test]
async fn a_full_disk_costs_lines_of_the_file_and_nothing_else() {
    let redis = RedisServer::start();
    let folder = folder();
    let url = redis.url();
    // Nothing but the log is on the small disk.
    let process = Process::start_with_small_disk(
        folder.path(),
        "workspace/logs",
        1,
        &["serve", "--port", "0"],
        &[("REDIS_URL", &url)],
    );
    let server = Server::of(process).await;
    // The disk as the process sees it.
    let logs = PathBuf::from(format!("/proc/{}/cwd/workspace/logs", server.process.pid()));
    let written = |text: &str| fs::read_to_string(logs.join("app.log")).unwrap().contains(text);
    assert!(written("listening on"));

    let filler = logs.join("filler");
    fs::write(&filler, vec![0; 2 << 20]).expect_err("there is no room for so much");
    let (status, answer) = server.post("/results/task", json!({"job": "On a full disk"})).await;
    assert_eq!(status, 200, "{answer}");
    let job = format!("/jobs/{}", answer["job_id"].as_str().unwrap());
    until("the job is done", || async { (server.get(&job).await.1["state"] == "completed").then_some(()) })
        .await;
    // More than the rest of a block that the file may have had.
    let long = "x".repeat(1_500);
    for n in 0..20 {
        server.get(&format!("/nothing/{n}/{long}")).await;
    }
    let said = server.process.output();
    assert_eq!(said.matches("cannot be written (No space left").count(), 1, "{said}");
    assert!(said.contains("path=/nothing/19/"), "stderr goes on");
    let (_, metrics) = server.get("/metrics/json").await;
    assert!(metrics["productforge_log_lines_lost_total"].as_f64() > Some(0.0), "{metrics}");

    fs::remove_file(&filler).unwrap();
    server.get("/found-again").await;
    until("the file takes lines again", || std::future::ready(written("path=/found-again").then_some(())))
        .await;
    let said = server.process.output();
    let line = said.lines().find(|line| line.contains("can be written again")).expect("it says so");
    let lost: u64 = line.split("again; ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(lost >= 10, "{line}");
    assert!(written(&format!("again; {lost} lines")), "in the file as well");
}

#[tokio::test]
async fn a_folder_that_is_deleted_or_in_the_way_comes_back() {
    let folder = folder();
    let server = Server::start(folder.path(), &[], &[("LOG_FORMAT", "json")]).await;
    let logs = folder.path().join("workspace/logs");
    fs::remove_dir_all(&logs).unwrap();
    let found = |text: &'static str| {
        let file = logs.join("app.log");
        move || std::future::ready(fs::read_to_string(&file).unwrap_or_default().contains(text).then_some(()))
    };
    let again = |path: &'static str| {
        let (server, found) = (&server, found(path));
        until("the file is made anew", move || {
            let found = found();
            async move {
                // It is looked for with the first line of a second.
                server.get(path).await;
                found.await
            }
        })
    };
    again("/after-deleting").await;

    fs::remove_dir_all(&logs).unwrap();
    fs::write(&logs, "in the way").unwrap();
    until("it complains", || async {
        server.get("/in-the-way").await;
        server.process.output().contains("cannot be written").then_some(())
    })
    .await;
    fs::remove_file(&logs).unwrap();
    again("/out-of-the-way").await;
    // What is said of the file itself is a line as any other.
    let said = server.process.output();
    let told: Vec<serde_json::Value> = said
        .lines()
        .filter(|line| line.contains("the log file"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert!(told.iter().any(|line| line["level"] == "ERROR"), "{told:?}");
    assert!(told.iter().any(|line| line["level"] == "WARN"), "{told:?}");
}
