//! Hostile texts on every page: whatever people, models and archives have written, it is only text.

use std::sync::Arc;

use async_trait::async_trait;
use productforge::{
    llm::{
        ChatAnswer, ChatRequest, Listener, ModelError, ModelErrorKind, ModelProvider,
        simulated::SimulatedProvider,
    },
    model::NewAgent,
    service::{tasks::NewTask, workflows::NewWorkflow},
};
use serde_json::json;

use super::{app::TestApp, chrome::Chrome, looks};
use crate::{
    support::wait::until,
    surface::uploads::{BOUNDARY, archive, form},
};

/// Ways out of a text, an attribute, a text area, a title, a template, Markdown and a link. What any of them
/// makes carries `evil`, and what any of them runs sets `window.hacked`.
const TEXTS: [&str; 9] = [
    "<script>window.hacked = 1</script><img src=x id=evil onerror=\"window.hacked = 1\">",
    "\"'><svg id=evil onload=window.hacked=1><b class=evil>",
    "</textarea></title></style></details></table><p id=evil><script>window.hacked = 1</script>",
    "{{ 7919 * 7919 }}{% raw %}{{ shell.csrf }}${7919*7919}<%= 7919*7919 %>",
    "[click](javascript:window.hacked=1) <javascript:window.hacked=1> [d](data:text/html,<script>window.hacked=1</script>)",
    "![picture](https://evil.example/p.png) ![data](data:image/svg+xml,<svg onload=alert(1)>)",
    "[site](https://evil.example/) <a href=https://evil.example/ id=evil ping=https://evil.example/>x</a>",
    "<iframe id=evil src=https://evil.example></iframe><base id=evil href=https://evil.example/><form id=evil><input>",
    "\u{202e}txt.exe\u{2066}\u{200b}\u{feff}\u{2028}<link id=evil rel=stylesheet href=https://evil.example/x.css>",
];

fn hostile() -> String {
    TEXTS.join("\n\n")
}

/// Answers and errors that are all hostile. Work that mentions `fail` fails.
struct Evil(SimulatedProvider);

#[async_trait]
impl ModelProvider for Evil {
    fn name(&self) -> &str {
        "evil"
    }

    fn default_model(&self) -> &str {
        "<b class=evil>model</b>"
    }

    fn is_simulated(&self) -> bool {
        false
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let asked = format!("{:?}", request.messages);
        if asked.contains("please fail") {
            return Err(ModelError::new(ModelErrorKind::BadRequest, hostile()));
        }
        let mut answer = self.0.complete(request, listener).await?;
        let finding = json!({"severity": TEXTS[1], "text": hostile()});
        let verdict =
            json!({"verdict": "revise", "score": 0.5, "findings": [finding], "must_fix": [hostile()]});
        answer.text = if answer.text.contains("\"verdict\"") { verdict.to_string() } else { hostile() };
        answer.model = TEXTS[0].to_owned();
        Ok(answer)
    }
}

/// Paths with hostile things on them. Pages that are not there yet are passed over.
async fn fill(app: &TestApp) -> Vec<String> {
    let agent = NewAgent {
        name: "x<b class=evil>\"'{{1}}\u{202e}".to_owned(),
        role: TEXTS[0].to_owned(),
        description: Some(hostile()),
        skills: TEXTS[..4].iter().map(|text| (*text).to_owned()).collect(),
        prompt: Some(hostile()),
        ..NewAgent::default()
    };
    let agent = app.services.agents.register(agent).await.unwrap();
    let order = |job: String| NewWorkflow {
        job,
        requires_qa: Some(true),
        specialists: Some(vec![agent.name.clone()]),
        max_revisions: Some(1),
        metadata: serde_json::from_value(json!({(TEXTS[1]): hostile()})).unwrap(),
        ..NewWorkflow::default()
    };
    let done = app.services.workflows.start(order(hostile())).await.unwrap().workflow_id;
    let failed =
        app.services.workflows.start(order(format!("please fail {}", hostile()))).await.unwrap().workflow_id;
    let task = NewTask { job: hostile(), ..NewTask::default() };
    let task = app.services.tasks.submit(task).await.unwrap().job_id;
    let name = "x<b class=evil>'{{1}}\u{202e}.zip";
    let file = archive(&[
        ("a<b class=evil>.py", "# <script>window.hacked = 1</script>\n"),
        ("b/<p id=evil>.md", "x"),
    ]);
    super::app::install_tls();
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let body = form(&[("project", None, TEXTS[0].as_bytes()), ("file", Some(name), &file)]);
    let posted =
        reqwest::Client::new().post(app.at("/upload/")).header("content-type", kind).body(body).send();
    let receipt: serde_json::Value = posted.await.unwrap().json().await.unwrap();
    let upload = receipt["upload_id"].as_str().unwrap_or_else(|| panic!("{receipt}")).to_owned();
    for id in [&done, &failed] {
        let ended = || async {
            let found = app.services.workflows.get(id).await.unwrap();
            (found.status != productforge::model::WorkflowStatus::Running).then_some(())
        };
        until("the workflow has ended", ended).await;
    }
    until("the task is done", || async {
        app.get(&format!("/results/{task}")).send().await.unwrap().status().is_success().then_some(())
    })
    .await;
    let name = productforge::http::render::segment(&agent.name);
    let mut paths: Vec<String> = looks::PAGES.iter().map(|(_, path)| (*path).to_owned()).collect();
    for id in [&done, &failed] {
        paths.push(format!("/dashboard/workflows/{id}"));
        let workflow = app.services.workflows.get(id).await.unwrap();
        paths.extend(workflow.steps.iter().map(|step| format!("/dashboard/jobs/{}", step.job_id)));
    }
    let fork = app.services.workflows.fork(&done, "admin_feedback", Some(&hostile()), None).await.unwrap();
    for page in [
        format!("{}/steps/specialist_execution-2", done),
        format!("{done}/fork?from=specialist_execution"),
        format!("{done}/fork?from=qa_validation:1"),
        fork.workflow_id,
    ] {
        paths.push(format!("/dashboard/workflows/{page}"));
    }
    paths.push(format!("/dashboard/brief?upload_id={upload}&specialist={name}"));
    for page in ["results", "jobs"] {
        paths.push(format!("/dashboard/{page}/{task}"));
    }
    for page in ["uploads", "jobs", "queues", "analytics", "system", "keys", "reports", "audit"] {
        paths.push(format!("/dashboard/{page}"));
    }
    paths.push(format!("/dashboard/uploads/{upload}"));
    for end in ["", "/edit"] {
        paths.push(format!("/dashboard/agents/{name}{end}"));
    }
    let query: String =
        TEXTS.iter().map(|text| productforge::http::render::segment(text)).collect::<Vec<_>>().join("%20");
    for page in [
        "/help?q=",
        "/dashboard/results?q=",
        "/dashboard/workflows?q=",
        "/dashboard/jobs?agent=",
        "/dashboard/x?notice=",
    ] {
        paths.push(format!("{page}{query}"));
    }
    paths
}

const LOOK: &str = "document.querySelectorAll('details').forEach(d => d.open = true);
    const bad = [];
    if (window.hacked !== undefined) bad.push('a script ran');
    const made = '#evil, .evil, iframe, object, embed, base, [onload], [onerror], [onclick], [ping], [style]';
    for (const e of document.querySelectorAll(made)) bad.push('made: ' + e.outerHTML.slice(0, 200));
    for (const e of document.querySelectorAll('[href], [src], [action], [formaction]'))
      for (const a of ['href', 'src', 'action', 'formaction']) {
        const to = e.getAttribute(a);
        if (to === null) continue;
        if (/^\\s*(javascript|vbscript):/i.test(to) || (/^\\s*data:/i.test(to) && a !== 'src')) bad.push(to.slice(0, 100));
        if (a !== 'href' && /evil\\.example/.test(to)) bad.push(to);
      }
    for (const s of document.scripts) if (!s.src) bad.push('inline: ' + s.textContent.slice(0, 100));
    if (document.documentElement.outerHTML.includes('62710561')) bad.push('a template was evaluated');
    return bad;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_are_only_texts_on_every_page() {
    let app = TestApp::with(Arc::new(Evil(SimulatedProvider::new(std::time::Duration::ZERO)))).await;
    let paths = fill(&app).await;
    let chrome = Chrome::start().await;
    let (mut shown, mut problems) = (0, Vec::new());
    for path in paths {
        chrome.driver.goto(app.at(&path)).await.unwrap();
        let found = chrome.driver.execute(LOOK, vec![]).await.unwrap();
        problems.extend(found.json().as_array().unwrap().iter().map(|what| format!("{path}: {what}")));
        shown += usize::from(chrome.text().await.contains("window.hacked"));
        problems.extend(chrome.complaints().await.iter().map(|what| format!("{path}: {what}")));
        for url in chrome.requests().await {
            let local = [app.url.as_str(), "data:", "blob:", "chrome", "about:"];
            if !local.iter().any(|start| url.starts_with(start)) {
                problems.push(format!("{path} asked {url}"));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(shown >= 8, "hostile texts were on {shown} pages only");
}
