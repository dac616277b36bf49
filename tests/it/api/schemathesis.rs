//! Thousands of requests that a program of others makes up from the OpenAPI document: no answer is 5xx,
//! none is undocumented, none breaks its schema, and what the schema forbids is refused.
//!
//! A short form runs here. `./dev schemathesis` is the long one: more cases, and chains of requests.

use std::{path::Path, process::Stdio};

use super::openapi_examples::Things;
use crate::support::{app::KEY, engines::Engine};

/// Phases and cases per operation.
fn scope() -> (&'static str, String) {
    match std::env::var("SCHEMATHESIS_CASES") {
        Ok(cases) => ("examples,coverage,fuzzing,stateful", cases),
        Err(_) => ("examples,coverage", "10".to_owned()),
    }
}

async fn nothing_that_can_be_sent_is_answered_against_the_document(engine: Engine) {
    let app = engine.app().locked().worker().start().await;
    let things = Things::make(&app).await;
    let (phases, cases) = scope();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/schemathesis.sh");
    let folder = tempfile::tempdir().unwrap();
    let url = app.url("");
    let output = tokio::process::Command::new(script)
        .args(["run", url.trim_end_matches('/'), "--header", &format!("X-API-Key: {KEY}")])
        .args(["--phases", phases, "--max-examples", &cases])
        .envs([
            ("AGENT", "qa_bot"),
            ("JOB_ID", things.id("{job_id}")),
            ("WORKFLOW_ID", things.id("{workflow_id}")),
            ("UPLOAD_ID", things.id("{upload_id}")),
            ("FILENAME", things.id("{filename}")),
        ])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(count(&said).is_some_and(|cases| cases > 1_000), "{said}");
}

/// The number in `1985 generated, 1985 passed`.
fn count(said: &str) -> Option<u32> {
    let line = said.lines().find(|line| line.contains(" generated, "))?;
    line.trim().split(' ').next()?.replace(',', "").parse().ok()
}

on_both_engines!(nothing_that_can_be_sent_is_answered_against_the_document);
