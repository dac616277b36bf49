//! Pages of agents, results, uploads, reports and analytics: what they show, what their forms do, and that
//! nobody sees or changes anything without a login and the token of its session.

use std::io::Read;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    app::{Answer, KEY, TestApp},
    blobs::TempBlobs,
    engines::Engine,
    wait::until,
    world::idle,
};

use super::uploads::{BOUNDARY, archive, form, shop, upload};

on_both_engines!(
    an_agent_is_made_changed_and_deleted_with_forms,
    what_is_wrong_with_an_agent_stands_beside_its_field,
    results_are_filtered_paged_and_exported_with_their_filters,
    a_result_is_pinned_unpinned_and_deleted_with_forms,
    an_archive_is_uploaded_with_a_form_shown_and_deleted,
    a_refused_archive_says_its_reason_on_the_page,
    figures_and_reports_are_shown,
    hostile_names_are_only_names_on_every_page,
    without_a_login_there_is_no_data_and_no_form_works,
    with_a_login_a_form_needs_the_token_of_its_session,
);

async fn page(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    assert!(answer.header("content-type").starts_with("text/html"), "{path}");
    assert!(!answer.text.contains(" style="), "{path} has an inline style");
    answer.text
}

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

async fn post(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    app.post_text(path, "application/x-www-form-urlencoded", encoded(fields)).await
}

/// Where a form led to, which must be a page that says it was done.
async fn done(app: &TestApp, answer: Answer, says: &str) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let to = answer.header("location").to_owned();
    let shown = page(app, &to).await;
    assert!(shown.contains(says), "{to} does not say {says:?}");
    to
}

async fn an_agent_is_made_changed_and_deleted_with_forms(engine: Engine) {
    let app = engine.app().start().await;
    assert!(page(&app, "/dashboard/agents/new").await.contains("name=\"fallback_models\""));
    let fields = [
        ("name", "api designer"),
        ("role", "Design"),
        ("description", "Designs <interfaces>"),
        ("skills", "openapi\r\nversioning"),
        ("model", "gpt-4o-mini"),
        ("prompt", "Be brief.\r\nBe exact."),
        ("max_concurrency", "3"),
        ("fallback_models", "groq/llama"),
        ("tools", "calculator, current_time"),
        ("usd_per_day", "2.5"),
        ("tokens_per_day", "100000"),
    ];
    let to = done(&app, post(&app, "/dashboard/agents/new", &fields).await, "The agent is saved.").await;
    assert!(to.starts_with("/dashboard/agents/api%20designer"), "{to}");
    let made = app.get("/agents/api%20designer").await.ok();
    assert_eq!((&made["skills"], &made["max_concurrency"]), (&json!(["openapi", "versioning"]), &json!(3)));
    assert_eq!(made["prompt"], "Be brief.\nBe exact.");
    assert_eq!(made["budget"], json!({"usd_per_day": 2.5, "tokens_per_day": 100_000}));
    assert_eq!(
        (&made["fallback_models"], &made["tools"]),
        (&json!(["groq/llama"]), &json!(["calculator", "current_time"]))
    );
    // The form of an agent holds it whole: saving it unchanged changes nothing.
    let edit = page(&app, "/dashboard/agents/api%20designer/edit").await;
    for part in [
        "value=\"Design\"",
        "Designs &lt;interfaces&gt;",
        "openapi\nversioning",
        "Be brief.\nBe exact.",
        "value=\"2.5\"",
    ] {
        assert!(edit.contains(part), "{part}");
    }
    let changed: Vec<_> = fields.iter().map(|(n, v)| (*n, if *n == "role" { "Test" } else { v })).collect();
    done(&app, post(&app, "/dashboard/agents/api%20designer/edit", &changed).await, "The agent is saved.")
        .await;
    assert_eq!(app.get("/agents/api%20designer").await.ok()["role"], "Test");
    // The name is not the form's to change.
    let other = [("name", "qa_bot"), ("role", "Test")];
    done(&app, post(&app, "/dashboard/agents/api%20designer/edit", &other).await, "The agent is saved.")
        .await;
    assert_ne!(app.get("/agents/qa_bot").await.ok()["role"], "Test");
    assert!(page(&app, "/dashboard/agents/api%20designer").await.contains("Delete this agent"));
    done(&app, post(&app, "/dashboard/agents/api%20designer/delete", &[]).await, "The agent is deleted.")
        .await;
    app.get("/agents/api%20designer").await.problem(404);
    assert_eq!(app.get("/dashboard/agents/api%20designer").await.status, 404);
}

async fn what_is_wrong_with_an_agent_stands_beside_its_field(engine: Engine) {
    let app = engine.app().start().await;
    page(&app, "/dashboard/agents").await;
    let fields = [
        ("name", "a/b"),
        ("role", "Design"),
        ("description", "Keep <me>"),
        ("tools", "two words"),
        ("tokens_per_day", "0"),
        ("max_concurrency", "5000"),
    ];
    let answer = post(&app, "/dashboard/agents/new", &fields).await;
    assert_eq!(answer.status, 422);
    for (field, says) in [
        ("name", "A name must have no"),
        ("tools", "names no tool"),
        ("tokens_per_day", "whole number from 1"),
        ("max_concurrency", "from 1 to 1000"),
    ] {
        let (_, after) =
            answer.text.split_once(&format!("id=\"e-{field}\">")).unwrap_or_else(|| panic!("{field}"));
        let said = after.split('<').next().unwrap();
        assert!(said.contains(says), "{field}: {said}");
    }
    assert!(
        answer.text.contains("value=\"5000\"") && answer.text.contains("Keep &lt;me&gt;"),
        "{}",
        answer.text
    );
    let not_a_number = [("name", "x"), ("role", "y"), ("max_concurrency", "many"), ("usd_per_day", "-1")];
    let answer = post(&app, "/dashboard/agents/new", &not_a_number).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("e-max_concurrency") && answer.text.contains("e-usd_per_day"));
    // A new agent replaces none.
    let taken = post(&app, "/dashboard/agents/new", &[("name", "qa_bot"), ("role", "Mine")]).await;
    assert_eq!(taken.status, 422);
    assert!(taken.text.contains("There is an agent of this name"));
    assert_ne!(app.get("/agents/qa_bot").await.ok()["role"], "Mine");
    assert_eq!(post(&app, "/dashboard/agents/nobody/edit", &[("role", "x")]).await.status, 404);
}

async fn tasks(app: &TestApp, agent: &str, texts: &[&str]) {
    for text in texts {
        app.post("/results/task", &json!({"job": text, "agent_name": agent})).await.ok();
    }
    idle(&app.app).await;
}

async fn results_are_filtered_paged_and_exported_with_their_filters(engine: Engine) {
    let app = engine.app().worker().start().await;
    let many: Vec<String> = (0..27).map(|n| format!("paint fence {n:02}")).collect();
    tasks(&app, "qa_bot", &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    tasks(&app, "debugger_bot", &["mend the roof"]).await;
    let all = page(&app, "/dashboard/results").await;
    assert!(all.contains("25 of 28 results"), "{all}");
    let first = page(&app, "/dashboard/results?agent=qa_bot&q=fence&status=&since=&until=").await;
    assert!(!first.contains("mend the roof") && first.contains("paint fence 26"));
    // The next page is one of the same filters, and so is every export.
    let (_, link) = first.split_once("rel=\"next\"").map_or(("", ""), |(before, _)| {
        let href = before.rsplit_once("href=\"").unwrap().1;
        ("", href.split('"').next().unwrap())
    });
    let next = link.replace("&amp;", "&");
    assert!(next.contains("agent=qa_bot") && next.contains("q=fence") && next.contains("after="), "{next}");
    let second = page(&app, &next).await;
    assert!(
        second.contains("paint fence 00")
            && !second.contains("paint fence 26")
            && second.contains("« Newest")
    );
    for format in ["json", "ndjson", "csv", "txt", "md", "zip"] {
        let href = format!("/dashboard/results/export/{format}?agent=debugger_bot");
        let filtered = page(&app, "/dashboard/results?agent=debugger_bot").await;
        assert!(filtered.contains(&format!("href=\"{href}\"")), "{href}: {filtered}");
        let response = app.request(Method::GET, &href).send().await.unwrap();
        assert_eq!(response.status(), 200, "{href}");
        let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert!(disposition.starts_with("attachment") && disposition.contains(format), "{disposition}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let bytes = response.bytes().await.unwrap();
        let text = match format {
            "zip" => unzipped(&bytes),
            _ => String::from_utf8(bytes.to_vec()).unwrap(),
        };
        assert!(text.contains("mend the roof") && !text.contains("fence"), "{format}: {text}");
    }
    assert_eq!(app.get("/dashboard/results/export/exe").await.status, 404);
    let wrong = app.get("/dashboard/results?since=yesterday&status=fine").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("should be a time such as") && wrong.text.contains("Input should be &"));
    assert!(!wrong.text.contains("paint fence"), "wrong filters are not passed over");
    assert!(
        page(&app, "/dashboard/results?q=nothing-like-that").await.contains("Nothing fits these filters.")
    );
}

fn unzipped(bytes: &[u8]) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    for n in 0..zip.len() {
        zip.by_index(n).unwrap().read_to_string(&mut text).unwrap();
    }
    text
}

async fn a_result_is_pinned_unpinned_and_deleted_with_forms(engine: Engine) {
    let app = engine.app().worker().start().await;
    tasks(&app, "qa_bot", &["keep this"]).await;
    let id = app.get("/results/").await.ok()[0]["job_id"].as_str().unwrap().to_owned();
    let own = format!("/dashboard/results/{id}");
    let shown = page(&app, &own).await;
    for part in ["keep this", "Attempts", "As Markdown", "Delete for good", "QA's score"] {
        assert!(shown.contains(part) || shown.contains(&part.replace('\'', "&#x27;")), "{part}");
    }
    let to = done(&app, post(&app, &format!("{own}/pin"), &[]).await, "The result is pinned").await;
    assert!(to.starts_with(&own));
    assert_eq!(app.get(&format!("/results/{id}")).await.ok()["pinned"], true);
    // A form of a list leads back to that list, and never elsewhere.
    let back = [("back", "/dashboard/results?agent=qa_bot")];
    let to = done(&app, post(&app, &format!("{own}/unpin"), &back).await, "The result is unpinned").await;
    assert!(to.starts_with("/dashboard/results?agent=qa_bot&"), "{to}");
    assert!(app.get(&format!("/results/{id}")).await.ok().get("pinned").is_none());
    let raw = app.get(&format!("{own}/raw")).await;
    assert_eq!(
        (raw.header("content-type"), raw.json()["task"].as_str()),
        ("application/json", Some("keep this"))
    );
    assert_eq!(post(&app, &format!("{own}/explode"), &[]).await.status, 404);
    let evil = [("back", "https://evil.example/dashboard/results")];
    let to = done(&app, post(&app, &format!("{own}/delete"), &evil).await, "The result is deleted.").await;
    assert!(to.starts_with("/dashboard/results?notice="), "{to}");
    assert_eq!(app.get(&own).await.status, 404);
}

fn multipart(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    (format!("multipart/form-data; boundary={BOUNDARY}"), form(parts))
}

async fn send(app: &TestApp, name: &str, bytes: &[u8]) -> Answer {
    let (kind, body) =
        multipart(&[("csrf", None, b""), ("file", Some(name), bytes), ("project", None, b"demo")]);
    app.post_text("/dashboard/uploads", &kind, body).await
}

async fn an_archive_is_uploaded_with_a_form_shown_and_deleted(engine: Engine) {
    let app = engine.app().blobs(TempBlobs::new()).worker().start().await;
    assert!(page(&app, "/dashboard/uploads").await.contains("Nothing has been uploaded yet."));
    let to = done(&app, send(&app, "my shop.zip", &shop()).await, "found harmless").await;
    let own = to.split('?').next().unwrap();
    let shown = until("it is analysed", || async {
        Some(page(&app, own).await).filter(|text| text.contains(">analysed<"))
    })
    .await;
    for part in [
        "my shop.zip",
        "Lines by language",
        "role=\"img\"",
        "shop&#x2F;src&#x2F;main.rs",
        "aws secret",
        "serde 1",
        "Start a brief with it",
        "Delete this upload",
        "As a table",
    ] {
        let plain = part.replace("&#x2F;", "/");
        assert!(
            shown.contains(part) || shown.to_lowercase().contains(&plain.to_lowercase()),
            "{part}: {shown}"
        );
    }
    assert!(!shown.contains("wJalrXUtnFEMIK7MDENG"), "a secret is shown");
    let id = own.rsplit('/').next().unwrap();
    assert!(shown.contains(&format!("/dashboard/brief?upload_id={id}")));
    assert!(page(&app, "/dashboard/uploads").await.contains("demo"));
    let job = app.get(&format!("/upload/{id}")).await.ok()["job_id"].as_str().unwrap().to_owned();
    let result = page(&app, &format!("/dashboard/results/{job}")).await;
    assert!(result.contains("id=\"findings\"") && result.contains(&format!("/dashboard/uploads/{id}")));
    done(&app, post(&app, &format!("{own}/delete"), &[]).await, "The upload is deleted").await;
    assert_eq!(app.get(own).await.status, 404);
    app.get(&format!("/upload/{id}")).await.problem(404);
}

async fn a_refused_archive_says_its_reason_on_the_page(engine: Engine) {
    let blobs = TempBlobs::new();
    let app = engine.app().blobs(blobs.clone()).start().await;
    let traversal = archive(&[("../../etc/passwd", "x")]);
    for (name, bytes, status, says) in [
        ("evil.zip", traversal.as_slice(), 422, "Reason: <code>"),
        ("text.zip", b"no zip at all".as_slice(), 422, "Reason: <code>"),
        ("code.tar", b"x".as_slice(), 400, "Only ZIP files are allowed"),
    ] {
        let answer = send(&app, name, bytes).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        assert!(
            answer.text.contains(says) && answer.text.contains("enctype=\"multipart/form-data\""),
            "{name}"
        );
    }
    let api = upload(&app, "evil.zip", &traversal).await.bad_fields();
    let on_page = send(&app, "evil.zip", &traversal).await.text;
    assert!(on_page.contains(&format!("<code>{}</code>", api[0].0)), "the reason of the API: {api:?}");
    let (kind, body) = multipart(&[("project", None, b"demo")]);
    assert_eq!(app.post_text("/dashboard/uploads", &kind, body).await.status, 422, "without a file");
    assert_eq!(app.get("/upload/list").await.ok()["count"], 0);
}

async fn figures_and_reports_are_shown(engine: Engine) {
    let app = engine.app().worker().start().await;
    for path in ["/dashboard/analytics", "/dashboard/agents", "/dashboard/reports"] {
        page(&app, path).await;
    }
    let brief = json!({"job": "write a note", "requires_qa": true, "specialists": ["general_assistant"]});
    let workflow = app.post("/orchestrate", &brief).await.ok()["workflow_id"].as_str().unwrap().to_owned();
    idle(&app.app).await;
    for days in ["1", "7", "30", "90", "999999999999", "-1", "x"] {
        let shown = page(&app, &format!("/dashboard/analytics?days={days}")).await;
        for id in
            ["hours", "ended", "failures", "times", "times-by-agent", "times-by-model", "tokens", "cost"]
        {
            assert!(shown.contains(&format!("<figure class=\"chart\" id=\"{id}\"")), "{id}");
            assert!(shown.contains(&format!("href=\"#{id}\"")), "{id} has no permalink");
        }
        assert!(
            shown.contains("simulated/") || shown.contains("simulated&#x2F;"),
            "the model is named: {shown}"
        );
    }
    let agents = page(&app, "/dashboard/agents?days=7").await;
    for part in ["Leaderboard", "Accepted at first review", "0 % <span class=\"muted\">of 1</span>", "2.0"] {
        assert!(agents.contains(part), "{part}: {agents}");
    }
    let one = page(&app, "/dashboard/agents/general_assistant").await;
    assert!(one.contains("0 % <small>of 1</small>"), "{one}");
    let made = post(&app, "/dashboard/reports", &[]).await;
    let to = done(&app, made, "The report is made.").await;
    let own = to.split('?').next().unwrap();
    assert!(page(&app, own).await.contains("<td>general_assistant</td>"));
    assert!(page(&app, "/dashboard/reports").await.contains(own));
    let file = app.get(&format!("{own}/markdown")).await;
    assert_eq!(file.header("content-type"), "text/markdown; charset=utf-8");
    assert!(file.header("content-disposition").starts_with("attachment") && file.text.starts_with("# "));
    for unknown in ["weekly_report_1.md", "..%2Fsecret.md", "%00"] {
        assert_eq!(app.get(&format!("/dashboard/reports/{unknown}")).await.status, 404, "{unknown}");
    }
    let export = app.get(&format!("/dashboard/workflows/{workflow}/export/md")).await;
    assert!(export.status == 200 && export.text.contains("write a note"), "{}", export.text);
    assert_eq!(app.get("/dashboard/workflows/unknown/export/md").await.status, 404);
}

async fn hostile_names_are_only_names_on_every_page(engine: Engine) {
    let app = engine.app().blobs(TempBlobs::new()).worker().start().await;
    let script = "<script>alert(1)<\"'&";
    app.post(
        "/agents/",
        &json!({"name": script, "role": script, "description": script, "prompt": script,
        "skills": [script], "model": script}),
    )
    .await
    .ok();
    tasks(&app, script, &[script]).await;
    let file = "<script>alert(1)";
    let bytes = archive(&[
        (&format!("{file}.rs"), "fn main() {}\n"),
        ("Cargo.toml", "[package]\nname = \"<script>alert(1)\"\n"),
    ]);
    let to = send(&app, "<script>alert(1)shop.zip", &bytes).await.header("location").to_owned();
    idle(&app.app).await;
    let name = "%3Cscript%3Ealert(1)%3C%22'%26";
    let job = app.get("/results/?limit=10").await.ok();
    let of_task = |row: &&Value| row["agent"] == script;
    let job = job.as_array().unwrap().iter().find(of_task).unwrap()["job_id"].as_str().unwrap().to_owned();
    for path in [
        "/dashboard/agents",
        &format!("/dashboard/agents/{name}"),
        &format!("/dashboard/agents/{name}/edit"),
        "/dashboard/results",
        &format!("/dashboard/results?agent={name}&q={name}&workflow_id={name}"),
        &format!("/dashboard/results/{job}"),
        "/dashboard/uploads",
        &to,
        "/dashboard/analytics",
    ] {
        let shown = page(&app, path).await;
        assert!(!shown.contains("<script>alert"), "{path}");
        assert!(
            path.contains("q=") || shown.contains("&lt;script&gt;alert(1)"),
            "{path} does not show it at all"
        );
    }
}

async fn without_a_login_there_is_no_data_and_no_form_works(engine: Engine) {
    let app = engine.app().locked().blobs(TempBlobs::new()).worker().start().await;
    tasks(&app, "qa_bot", &["the secret task"]).await;
    let id = app.get("/results/").await.ok()[0]["job_id"].as_str().unwrap().to_owned();
    app.post("/reports/generate", &json!({})).await.ok();
    for path in [
        "/dashboard/agents",
        "/dashboard/agents/new",
        "/dashboard/agents/qa_bot",
        "/dashboard/agents/qa_bot/edit",
        "/dashboard/results",
        "/dashboard/results/export/json",
        "/dashboard/results/export/zip",
        &format!("/dashboard/results/{id}"),
        &format!("/dashboard/results/{id}/raw"),
        "/dashboard/workflows/x/export/json",
        "/dashboard/uploads",
        "/dashboard/uploads/x",
        "/dashboard/analytics",
        "/dashboard/reports",
        "/dashboard/reports/weekly_report_1.md",
        "/dashboard/reports/weekly_report_1.md/markdown",
    ] {
        let answer = Answer::of(app.bare(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(answer.header("location").starts_with("/dashboard/login"), "{path}");
        assert!(!answer.text.contains("secret task"), "{path}");
        let head = app.bare(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), 303, "HEAD {path}");
    }
    for path in [
        "/dashboard/agents/new",
        "/dashboard/agents/qa_bot/edit",
        "/dashboard/agents/qa_bot/delete",
        &format!("/dashboard/results/{id}/pin"),
        &format!("/dashboard/results/{id}/delete"),
        "/dashboard/uploads",
        "/dashboard/uploads/x/delete",
        "/dashboard/reports",
    ] {
        let request =
            app.bare(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(
            request.body(encoded(&[("name", "x"), ("role", "y")])).send().await.unwrap().status(),
            303,
            "{path}"
        );
    }
    assert_eq!(app.get("/agents/qa_bot").await.status, 200);
    assert_eq!(app.get(&format!("/results/{id}")).await.ok().get("pinned"), None);
}

/// A session and its token.
async fn log_in(app: &TestApp) -> (String, String) {
    let key = KEY;
    let login = app
        .bare(Method::POST, "/dashboard/login")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = Answer::of(login.body(encoded(&[("key", key)])).send().await.unwrap()).await;
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let shown = app.bare(Method::GET, "/dashboard/uploads").header("cookie", &cookie).send().await.unwrap();
    let shown = shown.text().await.unwrap();
    let token = shown.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    (cookie, token)
}

async fn with_a_login_a_form_needs_the_token_of_its_session(engine: Engine) {
    let app = engine.app().locked().blobs(TempBlobs::new()).worker().start().await;
    tasks(&app, "qa_bot", &["the secret task"]).await;
    let id = app.get("/results/").await.ok()[0]["job_id"].as_str().unwrap().to_owned();
    let (cookie, token) = log_in(&app).await;
    let with = |method: Method, path: &str| app.bare(method, path).header("cookie", &cookie);
    async fn status(request: RequestBuilder) -> u16 {
        request.send().await.unwrap().status().as_u16()
    }
    let export = with(Method::GET, "/dashboard/results/export/json").send().await.unwrap();
    assert!(export.text().await.unwrap().contains("the secret task"), "exports work with the session");
    for (path, more) in [
        ("/dashboard/agents/new", "&name=x&role=y"),
        ("/dashboard/agents/qa_bot/edit", "&role=y"),
        ("/dashboard/agents/qa_bot/delete", ""),
        (&format!("/dashboard/results/{id}/pin"), ""),
        (&format!("/dashboard/results/{id}/delete"), ""),
        ("/dashboard/uploads/x/delete", ""),
        ("/dashboard/reports", ""),
    ] {
        for token in ["", "wrong"] {
            let request =
                with(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
            assert_eq!(status(request.body(format!("csrf={token}{more}"))).await, 403, "{path}");
        }
        let foreign = with(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        let foreign = foreign.header("sec-fetch-site", "cross-site").body(format!("csrf={token}{more}"));
        assert_eq!(status(foreign).await, 403, "{path} from another site");
    }
    let bytes = shop();
    let file = ("file", Some("shop.zip"), bytes.as_slice());
    for parts in [
        vec![file],
        vec![("csrf", None, b"wrong".as_slice()), file],
        // Too late: the file would be there already.
        vec![file, ("csrf", None, token.as_bytes())],
    ] {
        let (kind, body) = multipart(&parts);
        let request = with(Method::POST, "/dashboard/uploads").header("content-type", kind).body(body);
        assert_eq!(status(request).await, 403, "{} parts", parts.len());
    }
    let right = vec![("csrf", None, token.as_bytes()), file];
    let (kind, body) = multipart(&right);
    let foreign = with(Method::POST, "/dashboard/uploads").header("content-type", &kind).body(body.clone());
    assert_eq!(status(foreign.header("sec-fetch-site", "cross-site")).await, 403);
    assert_eq!(app.get("/upload/list").await.ok()["count"], 0, "nothing was kept");
    let by_field = with(Method::POST, "/dashboard/uploads").header("content-type", kind).body(body);
    assert_eq!(status(by_field).await, 303);
    let (kind, body) = multipart(&[file]);
    let by_header =
        with(Method::POST, "/dashboard/uploads").header("content-type", kind).header("x-csrf-token", &token);
    assert_eq!(status(by_header.body(body)).await, 303);
    assert_eq!(app.get("/upload/list").await.ok()["count"], 2);
    let pin = with(Method::POST, &format!("/dashboard/results/{id}/pin"));
    let pin = pin.header("content-type", "application/x-www-form-urlencoded").body(format!("csrf={token}"));
    assert_eq!(status(pin).await, 303);
    assert_eq!(app.get(&format!("/results/{id}")).await.ok()["pinned"], true);
}
