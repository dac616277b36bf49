//! The OpenAPI document in the hands of others: validators, and a client made from it that runs a
//! workflow.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::openapi::document;
use crate::support::app::{KEY, TestApp};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program to its end; panics with its words when it fails.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{wrong}", output.status);
    said.into_owned()
}

async fn written_to(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&document().await).unwrap()).unwrap();
    path
}

#[tokio::test]
async fn validators_of_others_find_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = written_to(&folder).await;
    run(Command::new(file("tests/support/openapi-tools.sh")).arg("check").arg(path));
}

#[tokio::test]
async fn validators_find_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openapi.json");
    let mut broken = document().await;
    broken["paths"]["/agents/"]["get"]["responses"]["200"].as_object_mut().unwrap().remove("description");
    std::fs::write(&path, broken.to_string()).unwrap();
    let mut check = Command::new(file("tests/support/openapi-tools.sh"));
    let output = check.arg("check").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("description"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_client_compiles_and_runs_a_workflow() {
    let app = TestApp::builder().locked().worker().start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = written_to(&folder).await;
    run(Command::new(file("tests/support/openapi-tools.sh"))
        .arg("client")
        .arg(path)
        .arg(file("tests/it/api/openapi_client.ts"))
        .arg(folder.path()));
    let said = run(Command::new("node")
        .arg(folder.path().join("build/openapi_client.js"))
        .args([app.url(""), KEY.to_owned()]));
    assert!(said.contains("completed, 6 results, verdict approve"), "{said}");
}
