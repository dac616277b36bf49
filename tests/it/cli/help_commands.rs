//! Every command of the help pages is run as it stands, by a shell, against the built executable.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    support::{command::Workspace, process::Server, wait::until},
    surface::uploads::shop,
};

/// What does not end by itself only shows that it knows its arguments; `redis-cli` has tests of its own
/// (`worker/foreign.rs`). The simulated model has no provider to reset, and what a finished thing's
/// state does not allow is an answer, too. No worker is drained: the server has only one. The server has no `API_KEY`,
/// and so makes no named keys (`cli/keys.rs` does).
const PRELUDE: &str = r#"set -euo pipefail
curl() {
  local said
  # A stream of all workflows has no end.
  case "$*" in */events) command curl --max-time 1 "$@" >said.txt || [ $? = 28 ]; return ;; esac
  if said=$(command curl --show-error --fail-with-body "$@"); then echo "$said"; return; fi
  case $said in *'"status":409'* | *"No provider 'NAME' is configured"* | *"Worker 'WORKER_ID' not found"*) ;; *) echo "curl $*: $said" >&2; return 1 ;; esac
}
productforge() {
  case $1 in
    serve | worker) "$BIN" "$@" --help >said.txt ;;
    run) WORKSPACE_DIR=apart "$BIN" "$@" ;;
    *) if "$BIN" "$@" >said.txt 2>why.txt; then cat said.txt; else
      grep -q 'only [a-z]* \(jobs\|workflows\) are\|has completed already\|nothing in it waits\|nothing to cancel\|Without API_KEY everybody is let in\|Key .* not found' why.txt ||
      { echo "productforge $*: $(cat why.txt)" >&2; return 1; }
    fi ;;
  esac
}
redis-cli() { :; }
KEY='X-API-Key: none'
"#;

/// The blocks of shell commands in a text.
fn blocks(markdown: &str) -> Vec<&str> {
    markdown.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Things that commands can be about; fresh ones, since commands delete them.
struct Things {
    workflow: String,
    job: String,
    upload: String,
}

impl Things {
    async fn make(server: &Server, folder: &Path) -> Self {
        let workflow = server.orchestrate("Design a REST API for a library").await;
        let (_, task) = server.post("/results/task", json!({"job": "Name five risks"})).await;
        let job = task["job_id"].as_str().unwrap().to_owned();
        let form = format!("file=@{}", folder.join("shop.zip").display());
        let output =
            Command::new("curl").args(["-s", "-F", &form, &format!("{}/upload/", server.url)]).output();
        let output = output.expect("curl is not installed: run ./dev setup");
        let upload: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let path = format!("/results/{job}");
        until("the task is done", || async { (server.get(&path).await.0 == 200).then_some(()) }).await;
        until("the workflow has ended", || server.ended(&workflow)).await;
        Self { workflow, job, upload: upload["upload_id"].as_str().unwrap().to_owned() }
    }

    fn put_into(&self, block: &str, server: &Server) -> String {
        block
            .replace("http://127.0.0.1:8000", &server.url)
            .replace("WORKFLOW_ID", &self.workflow)
            .replace("UPLOAD_ID", &self.upload)
            .replace("JOB_ID", &self.job)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_help_works() {
    let workspace = Workspace::new();
    let folder = workspace.path();
    std::fs::write(folder.join("shop.zip"), shop()).unwrap();
    std::fs::write(folder.join("brief.md"), "Compare three queues").unwrap();
    let server = Server::start(folder, &["--workers", "4"], &[("SIMULATED_LATENCY_MS", "0")]).await;
    let mut seen = 0;
    for page in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/help")).unwrap() {
        let page = page.unwrap().path();
        let text = std::fs::read_to_string(&page).unwrap();
        for block in blocks(&text) {
            let things = Things::make(&server, folder).await;
            let script = format!("{PRELUDE}BASE={}\n{}\n", server.url, things.put_into(block, &server));
            let mut bash = Command::new("bash");
            bash.args(["-c", &script]).current_dir(folder).stdin(Stdio::null()).env_clear();
            bash.env("PATH", std::env::var_os("PATH").unwrap());
            bash.env("BIN", env!("CARGO_BIN_EXE_productforge")).env("PRODUCTFORGE_URL", &server.url);
            let output = bash.env("SIMULATED_LATENCY_MS", "0").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:\n{block}\n{said}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}
