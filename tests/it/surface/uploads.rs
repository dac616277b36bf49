//! Uploads: what is accepted and what comes of it, what is refused, and that nothing is left behind.

use std::{io::Write, net::TcpStream, time::Duration};

use productforge::{
    model::Upload,
    service::records,
    store::{Change, Queue},
};
use reqwest::Method;
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    archive::hostile::hostile,
    support::{
        app::{Answer, TestApp},
        blobs::TempBlobs,
        engines::Engine,
        scripted::{Line, Scripted},
        wait::until,
        world::{idle, push},
    },
};

on_both_engines!(
    an_archive_is_accepted_listed_analysed_and_removed,
    findings_are_held_against_the_files,
    agents_of_a_workflow_read_the_files_of_an_upload,
    hostile_archives_are_refused_with_their_reason_and_leave_nothing,
    what_is_too_large_is_refused_while_it_comes,
    what_is_no_upload_is_told_so,
    a_client_that_goes_away_leaves_nothing,
    an_upload_that_is_over_goes_with_its_file,
    a_payload_of_the_legacy_system_is_analysed,
    a_worker_that_cannot_see_the_file_says_so,
);

/// A zip with these files.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn shop() -> Vec<u8> {
    archive(&[
        (
            "shop/Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"1.0.0\"\n[dependencies]\nserde = \"1\"\n",
        ),
        ("shop/src/main.rs", "//! A shop.\n\nfn main() {\n    println!(\"{}\", 1 / 0);\n}\n"),
        ("shop/src/cart.py", "# Cart\ndef total(items):\n    return sum(items)\n"),
        ("shop/.env", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYzq3PnsKEYab1\n"),
    ])
}

pub const BOUNDARY: &str = "the-boundary-of-the-test";

pub fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, content) in parts {
        let filename = filename.map(|f| format!("; filename=\"{f}\"")).unwrap_or_default();
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn send(app: &TestApp, body: Vec<u8>) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    app.post_text("/upload/", &kind, body).await
}

pub async fn upload(app: &TestApp, name: &str, bytes: &[u8]) -> Answer {
    send(app, form(&[("file", Some(name), bytes), ("project", None, b"demo")])).await
}

async fn analysed(app: &TestApp, id: &str) -> Value {
    until("it is analysed", || async {
        Some(app.get(&format!("/upload/{id}")).await.ok()).filter(|shown| shown["status"] == "analysed")
    })
    .await
}

async fn an_archive_is_accepted_listed_analysed_and_removed(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).worker().start().await;
    assert_eq!(app.get("/upload/list").await.ok(), json!({"uploads": [], "count": 0, "next_cursor": null}));
    let bytes = shop();
    let receipt = upload(&app, "my shop.zip", &bytes).await.ok();
    let id = receipt["upload_id"].as_str().unwrap();
    assert_eq!(
        receipt,
        json!({"status": "uploaded", "upload_id": id, "path": format!("workspace/uploads/{id}_my_shop.zip"),
            "job_id": receipt["job_id"], "filename": "my_shop.zip", "size": bytes.len()})
    );
    let list = app.get("/upload/list").await.ok();
    let row = &list["uploads"][0];
    assert_eq!(list["count"], 1);
    for (field, value) in [
        ("upload_id", json!(id)),
        ("filename", json!("my_shop.zip")),
        ("original_filename", json!("my shop.zip")),
        ("size", json!(bytes.len())),
        ("file_path", receipt["path"].clone()),
        ("job_id", receipt["job_id"].clone()),
        ("project", json!("demo")),
        ("files", json!(4)),
    ] {
        assert_eq!(row[field], value, "{field}");
    }

    let shown = analysed(&app, id).await;
    let found = &shown["analysis"]["static"];
    assert_eq!(found["totals"]["files"], 4, "{found}");
    let languages: Vec<_> = found["languages"].as_array().unwrap().iter().map(|l| &l["name"]).collect();
    assert!(languages.contains(&&json!("Rust")) && languages.contains(&&json!("Python")), "{languages:?}");
    assert_eq!(found["manifests"][0]["dependencies"][0]["name"], "serde", "{found}");
    let secret = &found["secrets"][0];
    assert_eq!((&secret["path"], &secret["line"]), (&json!("shop/.env"), &json!(1)), "{found}");
    assert!(!shown.to_string().contains("MDENGbPxRfi"), "the secret is masked");
    assert_eq!((&shown["analysis"]["simulated"], &shown["analysis"]["findings"]), (&json!(true), &json!([])));
    let report = app.get(&format!("/upload/{id}/report")).await;
    assert_eq!(report.header("content-type"), "text/markdown; charset=utf-8");
    assert!(report.text.contains("Simulated") && report.text.contains("Rust"), "{}", report.text);
    let result = app.get(&format!("/results/{}", receipt["job_id"].as_str().unwrap())).await.ok();
    assert_eq!((&result["agent"], &result["simulated"]), (&json!("analyzer_bot"), &json!(true)));
    assert_eq!(result["output"], report.text);

    let gone = app.delete(&format!("/upload/{id}")).await.ok();
    assert_eq!(gone, json!({"status": "deleted", "upload_id": id}));
    assert_eq!(app.get(&format!("/upload/{id}")).await.problem(404), format!("Upload '{id}' not found"));
    app.get(&format!("/upload/{id}/report")).await.problem(404);
    assert_eq!(blobs.files(), [""; 0]);
    assert_eq!(app.get("/upload/list").await.ok()["count"], 0);
}

async fn findings_are_held_against_the_files(engine: Engine) {
    let answer = json!({"findings": [
        {"severity": "high", "file": "shop/src/main.rs", "line": 4, "title": "It divides by zero",
            "reason": "`1 / 0` panics", "suggestion": "Do not"},
        {"severity": "low", "file": "src/cart.py", "line": 2, "title": "No types", "reason": "none", "suggestion": null},
        {"severity": "high", "file": "shop/src/main.rs", "line": 99, "title": "Beyond", "reason": "-", "suggestion": null},
        {"severity": "high", "file": "shop/src/nowhere.rs", "line": 1, "title": "Nowhere", "reason": "-", "suggestion": null},
    ]});
    let answer = format!("Here it is:\n```json\n{answer}\n```");
    let provider = Scripted::new(move |request, n| {
        let told = request.messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n");
        assert!(told.contains("Uploaded archive shop.zip"), "{told}");
        match n {
            1 => Line::Tool("search_files", json!({"pattern": "1 / 0"})),
            2 => {
                assert!(told.contains("shop/src/main.rs:4:"), "{told}");
                Line::Tool("read_file", json!({"path": "src/cart.py"}))
            }
            3 => {
                assert!(told.contains("def total(items):"), "{told}");
                Line::Tool("list_files", json!({}))
            }
            _ => Line::Say(answer.clone()),
        }
    });
    let app = engine.app().provider(provider).worker().start().await;
    let receipt = upload(&app, "shop.zip", &shop()).await.ok();
    let shown = analysed(&app, receipt["upload_id"].as_str().unwrap()).await;
    let analysis = &shown["analysis"];
    let places: Vec<_> = analysis["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| format!("{} {}:{}", f["severity"].as_str().unwrap(), f["file"].as_str().unwrap(), f["line"]))
        .collect();
    assert_eq!(places, ["high shop/src/main.rs:4", "low shop/src/cart.py:2"]);
    assert_eq!(analysis["rejected"].as_array().unwrap().len(), 2, "{analysis}");
    assert_eq!(analysis["simulated"], false);
    let report = app.get(&format!("/upload/{}/report", receipt["upload_id"].as_str().unwrap())).await.text;
    assert!(report.contains("It divides by zero") && report.contains("Not counted"), "{report}");
}

async fn agents_of_a_workflow_read_the_files_of_an_upload(engine: Engine) {
    let provider = Scripted::new(|request, _| {
        let last = request.messages.last().unwrap();
        if request.scene.role.is_none() {
            return Line::Say("{\"findings\": []}".to_owned());
        }
        assert!(request.tools.iter().any(|tool| tool.name == "read_file"), "every agent has the tools");
        match last.content.contains("A shop.") {
            true => Line::Say("I have read it: A shop.".to_owned()),
            false => {
                Line::Tool("read_file", json!({"path": "shop/src/main.rs", "first_line": 1, "last_line": 2}))
            }
        }
    });
    let app = engine.app().provider(provider).worker().start().await;
    let receipt = upload(&app, "shop.zip", &shop()).await.ok();
    let brief = json!({"job": "Explain this project", "upload_id": receipt["upload_id"]});
    let started = app.post("/orchestrate", &brief).await.ok();
    idle(&app.app).await;
    let shown = app.get(&format!("/workflows/{}", started["workflow_id"].as_str().unwrap())).await.ok();
    assert_eq!(shown["workflow"]["status"], "completed", "{shown}");
    assert_eq!(shown["workflow"]["upload_id"], receipt["upload_id"]);
    for step in shown["workflow"]["steps"].as_array().unwrap() {
        assert_eq!(step["output"], "I have read it: A shop.");
    }
    let unknown = app.post("/orchestrate", &json!({"job": "Explain", "upload_id": "nothing"})).await;
    assert_eq!(unknown.bad_fields(), [("unknown_upload".to_owned(), "body.upload_id".to_owned())]);
}

async fn hostile_archives_are_refused_with_their_reason_and_leave_nothing(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).start().await;
    let mut reasons = std::collections::BTreeSet::new();
    // Every third goes through the front door; all of them are held to their reasons by the tests of archives.
    for (name, bytes, reason) in hostile().iter().step_by(3).filter(|(_, bytes, _)| bytes.len() < 4 << 20) {
        let refused = upload(&app, "evil.zip", bytes).await;
        let expected = [((*reason).to_owned(), "body.file".to_owned())];
        assert_eq!(refused.bad_fields(), expected, "{name}");
        reasons.insert(*reason);
    }
    assert!(reasons.len() >= 15, "{reasons:?}");
    assert_eq!(blobs.files(), [""; 0]);
    assert_eq!(app.get("/upload/list").await.ok()["count"], 0);
    assert_eq!(app.get("/jobs").await.ok()["jobs"], json!([]));
}

async fn what_is_too_large_is_refused_while_it_comes(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).variables(&[("MAX_UPLOAD_SIZE", "1048576")]).start().await;
    // A little more than allowed, a lot more, and more than it says.
    for size in [(1 << 20) + 1, 3 << 20] {
        let refused = upload(&app, "large.zip", &vec![7; size]).await;
        assert_eq!(refused.problem(413), "File too large (max 1MB)", "{size}");
    }
    let chunks = (0..200).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 64 << 10]));
    let head = form(&[("file", Some("large.zip"), b"")]);
    let head = head[..head.len() - BOUNDARY.len() - 8].to_vec();
    let body = futures_util::stream::iter(std::iter::once(Ok(head)).chain(chunks));
    let request = app
        .request(Method::POST, "/upload/")
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(reqwest::Body::wrap_stream(body));
    // Without a length; it is refused before it has ended, and so the connection may be closed on the client.
    if let Ok(answer) = request.send().await {
        assert_eq!(Answer::of(answer).await.problem(413), "File too large (max 1MB)");
    }
    until("nothing is left", || async { blobs.files().is_empty().then_some(()) }).await;
    // Exactly as much as allowed is inspected, and is no archive.
    assert_eq!(upload(&app, "x.zip", &vec![7; 1 << 20]).await.bad_fields()[0].0, "not_a_zip");
}

async fn what_is_no_upload_is_told_so(engine: Engine) {
    let app = engine.app().start().await;
    let fine = shop();
    assert_eq!(upload(&app, "shop.tar", &fine).await.problem(400), "Only ZIP files are allowed");
    assert_eq!(upload(&app, "", &fine).await.problem(400), "Only ZIP files are allowed");
    upload(&app, "SHOP.ZIP", &fine).await.ok();
    let missing = send(&app, form(&[("project", None, b"demo")])).await;
    assert_eq!(missing.bad_fields(), [("missing".to_owned(), "body.file".to_owned())]);
    let twice = send(&app, form(&[("file", Some("a.zip"), &fine), ("file", Some("b.zip"), &fine)])).await;
    assert_eq!(twice.bad_fields()[0].1, "body.file");
    let long = send(&app, form(&[("project", None, &[b'x'; 201]), ("file", Some("a.zip"), &fine)])).await;
    assert_eq!(long.bad_fields()[0].1, "body.project");
    app.post("/upload/", &json!({"file": "x"})).await.problem(400);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    for broken in ["", "no form at all", "--the-boundary-of-the-test\r\n\r\n"] {
        let answer = app.post_text("/upload/", &kind, broken).await;
        assert!([400, 422].contains(&answer.status), "{broken}: {}", answer.text);
    }
    for unknown in ["x", "%00"] {
        app.get(&format!("/upload/{unknown}")).await.problem(404);
        app.delete(&format!("/upload/{unknown}")).await.problem(404);
    }
    assert_eq!(app.get("/upload/ping").await.ok(), json!({"status": "ok", "module": "upload"}));
}

async fn a_client_that_goes_away_leaves_nothing(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).start().await;
    let body = form(&[("file", Some("shop.zip"), &vec![7; 4 << 20])]);
    let mut connection = TcpStream::connect(app.addr).unwrap();
    write!(
        connection,
        "POST /upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    connection.write_all(&body[..2 << 20]).unwrap();
    until("it is being received", || async { (!blobs.files().is_empty()).then_some(()) }).await;
    drop(connection);
    until("nothing is left", || async { blobs.files().is_empty().then_some(()) }).await;
    assert_eq!(app.get("/upload/list").await.ok()["count"], 0);
}

async fn an_upload_that_is_over_goes_with_its_file(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).variables(&[("UPLOAD_TTL", "1")]).start().await;
    let receipt = upload(&app, "shop.zip", &shop()).await.ok();
    assert_eq!(blobs.files().len(), 1);
    let path = format!("/upload/{}", receipt["upload_id"].as_str().unwrap());
    let end = app.get(&path).await.ok()["expires_at"].as_str().unwrap().to_owned();
    assert!(chrono::DateTime::parse_from_rfc3339(&end).is_ok(), "{end}");
    until("it is over", || async { (app.get(&path).await.status == 404).then_some(()) }).await;
    assert_eq!(app.get("/upload/list").await.ok()["uploads"], json!([]));
    app.app.services.uploads.expire().await.unwrap();
    assert_eq!(blobs.files(), [""; 0]);
    assert_eq!(app.get("/analytics/summary").await.ok()["totals"]["uploads"], 0);
}

async fn a_payload_of_the_legacy_system_is_analysed(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).worker().start().await;
    // As the legacy system left them: a file that nobody looked into, a document, a payload without an agent.
    let id = "e8491485-6a43-4a3e-b9c6-3a3c4d0a8f10";
    std::fs::write(blobs.root().join(format!("{id}_shop.zip")), shop()).unwrap();
    let document: Upload = serde_json::from_value(json!({
        "upload_id": id, "filename": "shop.zip", "original_filename": "shop.zip", "size": 129,
        "file_path": format!("workspace/uploads/{id}_shop.zip"), "job_id": "75ab46ce", "project": "demo",
        "uploaded_at": "2026-11-22T10:18:03.863641"}))
    .unwrap();
    let put = records::put_upload(&document, Duration::from_secs(3_600));
    engine.store.apply(Change::new().put(put)).await.unwrap().unwrap();
    let payload = json!({"job_id": "75ab46ce", "job": "Analyze uploaded archive: shop.zip",
        "task": "Analyze uploaded archive: shop.zip", "file_path": format!("workspace/uploads/{id}_shop.zip"),
        "mode": "analyze", "project": "unknown", "created_at": "2026-11-22T10:18:04.381703"});
    push(&app.app, Queue::Normal, &payload.to_string()).await;
    let shown = analysed(&app, id).await;
    assert_eq!(shown["analysis"]["static"]["totals"]["files"], 4);
    let result = app.get("/results/75ab46ce").await.ok();
    assert_eq!((&result["agent"], &result["status"]), (&json!("analyzer_bot"), &json!("completed")));
}

async fn a_worker_that_cannot_see_the_file_says_so(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).start().await;
    let receipt = upload(&app, "shop.zip", &shop()).await.ok();
    // Another node, with a folder of its own.
    let elsewhere =
        crate::support::world::world_on(engine.store.clone(), &[], Scripted::new(|_, _| Line::Panic));
    let worker = elsewhere.start_worker();
    let path = format!("/results/{}", receipt["job_id"].as_str().unwrap());
    let result = app.get_once_there(&path).await.ok();
    assert_eq!(result["status"], "failed");
    let error = result["error"].as_str().unwrap();
    assert!(error.contains("this node has no upload") && error.contains("BLOB_URL"), "{error}");
    assert_eq!(
        app.get(&format!("/upload/{}", receipt["upload_id"].as_str().unwrap())).await.ok()["status"],
        "failed"
    );
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
