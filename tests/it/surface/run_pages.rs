//! A brief's form, the page of a run and that of a step, as the server makes them.

use productforge::{
    http::render::segment,
    llm::ModelErrorKind,
    model::{MAX_SPECIALISTS, NewAgent, TemplateRole, Workflow},
    service::workflows::NewWorkflow,
};
use reqwest::Method;

use crate::support::{
    app::{Answer, TestApp},
    engines::Engine,
    scripted::{Line, Scripted, chain},
    world::{ended, reviewed},
};

on_both_engines!(
    a_form_sent_twice_starts_one_workflow,
    what_is_wrong_stands_beside_its_input_and_what_was_typed_stays,
    a_link_fills_in_the_form,
    every_option_reaches_the_workflow,
    with_a_key_nobody_sees_a_run_or_starts_one,
    a_run_is_drawn_and_told,
    what_failed_and_what_was_tried_is_told,
    the_largest_run_is_one_page_of_a_bearable_size,
    a_long_run_shows_beginnings_and_its_steps_show_all,
    a_hostile_name_stays_text_in_every_picture,
);

async fn page(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

async fn send(app: &TestApp, fields: &[(&str, &str)]) -> Answer {
    let pairs: Vec<_> = fields.iter().map(|(n, v)| format!("{n}={}", segment(v))).collect();
    app.post_text("/dashboard/brief", "application/x-www-form-urlencoded", pairs.join("&")).await
}

/// The value of the hidden field `key`.
fn key_of(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"key\" value=\"").expect("the form has a key");
    rest.split('"').next().unwrap().to_owned()
}

async fn finished(app: &TestApp, order: NewWorkflow) -> (String, Workflow) {
    let id = app.app.services.workflows.start(order).await.unwrap().workflow_id;
    (format!("/dashboard/workflows/{id}"), ended(&app.app, &id).await)
}

async fn a_form_sent_twice_starts_one_workflow(engine: Engine) {
    let app = engine.app().start().await;
    let key = key_of(&page(&app, "/dashboard/brief").await);
    assert_ne!(key, key_of(&page(&app, "/dashboard/brief").await));
    let once = [("job", "Only once"), ("requires_qa", "true"), ("key", key.as_str())];
    let (first, second) = tokio::join!(send(&app, &once), send(&app, &once));
    assert_eq!((first.status, second.status), (303, 303), "{}{}", first.text, second.text);
    let path = |answer: &Answer| answer.header("location").split('?').next().unwrap().to_owned();
    assert_eq!(path(&first), path(&second));
    let told = send(&app, &once).await;
    assert!(page(&app, told.header("location")).await.contains("This form was sent before"));
    assert_eq!(app.app.services.workflows.list(10, None).await.unwrap().total, 1);
    // What was changed meanwhile is another brief.
    let other = send(&app, &[("job", "Something else"), ("key", key.as_str())]).await;
    assert_ne!(path(&other), path(&first));
    assert_eq!(app.app.services.workflows.list(10, None).await.unwrap().total, 2);
}

async fn what_is_wrong_stands_beside_its_input_and_what_was_typed_stays(engine: Engine) {
    let app = engine.app().start().await;
    for (input, value) in [
        ("max_revisions", "99"),
        ("budget_tokens", "lots"),
        ("budget_usd", "-1"),
        ("delay_minutes", "soon"),
        ("run_at", "tomorrow"),
        ("step_timeout_seconds", "999999999"),
        ("upload_id", "no-such-upload"),
        ("specialists", "nobody"),
        ("job", " "),
    ] {
        let mut fields = vec![("job", "Keep this text"), ("key", "a-key-of-the-test")];
        fields.retain(|(name, _)| *name != input);
        fields.push((input, value));
        let answer = send(&app, &fields).await;
        assert_eq!(answer.status, 422, "{input}");
        assert!(answer.text.contains("The brief was not started"), "{input}");
        assert!(answer.text.contains(&format!("id=\"{input}-error\"")), "{input}: {}", answer.text);
        if input != "job" {
            assert!(answer.text.contains(">Keep this text</textarea>"), "{input}");
        }
        if !matches!(input, "job" | "upload_id" | "specialists") {
            assert!(answer.text.contains(&format!("value=\"{value}\"")), "{input} was not kept");
        }
    }
    let both = [("job", "x"), ("run_at", "2099-01-01T10:00"), ("delay_minutes", "5")];
    assert!(send(&app, &both).await.text.contains("id=\"delay_minutes-error\""));
    assert_eq!(app.app.services.workflows.list(10, None).await.unwrap().total, 0);
}

async fn a_link_fills_in_the_form(engine: Engine) {
    let app = engine.app().start().await;
    let form = page(&app, "/dashboard/brief?template_brief=api-design&specialist=developer_bot").await;
    assert!(form.contains("Design an HTTP API for"), "{form}");
    let agents = app.app.services.agents.list().await.unwrap();
    let known = &agents.first().unwrap().name;
    let form = page(&app, &format!("/dashboard/brief?specialist={}", segment(known))).await;
    assert!(form.contains(&format!("name=\"specialists\" value=\"{known}\" checked")), "{known}");
    let form = page(&app, "/dashboard/brief?template_brief=code-review").await;
    assert!(form.contains("This brief is about uploaded files"));
    // What is not there is no error: the form is as it always is.
    let form = page(&app, "/dashboard/brief?template_brief=../x&upload_id=none").await;
    assert!(form.contains("></textarea>"));
}

async fn every_option_reaches_the_workflow(engine: Engine) {
    let app = engine.app().start().await;
    let answer = send(
        &app,
        &[
            ("job", "With everything"),
            ("requires_qa", "true"),
            ("max_revisions", "4"),
            ("priority", "high"),
            ("budget_tokens", "50000"),
            ("budget_usd", "0.25"),
            ("run_at", "2026-12-01T08:30"),
            ("step_timeout_seconds", "77"),
        ],
    )
    .await;
    // Whether that time lies ahead depends on the day; the rest does not.
    assert_eq!(answer.status, 303, "{}", answer.text);
    let id = answer.header("location").rsplit('/').next().unwrap().to_owned();
    let workflow = app.app.services.workflows.get(&id).await.unwrap();
    let budget = workflow.budget.unwrap();
    assert_eq!((budget.tokens, budget.usd.map(|usd| usd.dollars())), (Some(50_000), Some(0.25)));
    assert_eq!((workflow.max_revisions, workflow.step_timeout_seconds), (4, Some(77)));
    assert!(workflow.qa_enabled);
    let page = page(&app, answer.header("location")).await;
    assert!(page.contains("Budget, tokens") && page.contains("<meter"), "{page}");
}

async fn with_a_key_nobody_sees_a_run_or_starts_one(engine: Engine) {
    let app = engine.app().locked().start().await;
    let started = app.app.services.workflows.start(reviewed("the secret brief")).await.unwrap();
    let run = format!("/dashboard/workflows/{}", started.workflow_id);
    for path in ["/dashboard/brief".to_owned(), run.clone(), format!("{run}/steps/admin_analysis-1")] {
        let answer = Answer::of(app.bare(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(!answer.text.contains("secret"), "{path}");
    }
    for path in ["/dashboard/brief", "/dashboard/workflows"] {
        let post = app.bare(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        let answer = Answer::of(post.body("job=x").send().await.unwrap()).await;
        assert_eq!(answer.status, 303, "{path}: without a session it is sent to the login");
        assert!(answer.header("location").starts_with("/dashboard/login"), "{path}");
    }
    assert_eq!(app.app.services.workflows.list(10, None).await.unwrap().total, 1);
}

async fn a_run_is_drawn_and_told(engine: Engine) {
    let app = engine.app().worker().provider(chain(|round| if round < 2 { "revise" } else { "approve" }));
    let app = app.start().await;
    let (path, workflow) = finished(&app, reviewed("Draw me")).await;
    let run = page(&app, &path).await;
    for (what, id) in
        [("the chart", "gantt"), ("the graph", "graph"), ("the drafts", "drafts"), ("report", "report")]
    {
        assert!(run.contains(&format!("id=\"{id}\"")), "{what} is missing");
        assert!(run.contains(&format!("href=\"#{id}\"")), "{what} has no permalink");
    }
    assert!(run.contains("class=\"bar model\"") && run.contains("class=\"edge revision\""));
    assert_eq!(run.matches("class=\"node ").count(), workflow.steps.len());
    for step in &workflow.steps {
        assert!(run.contains(&format!("/dashboard/jobs/{}", step.job_id)), "{} has no link", step.step);
    }
    for format in ["json", "ndjson", "csv", "txt", "md", "zip"] {
        assert!(run.contains(&format!("{path}/export/{format}")), "{format}");
    }
    assert!(run.contains("Draft 1 → 2") && run.contains("<ins>") && run.contains("<del>"), "{run}");
    assert!(!run.contains("style="), "styles are in style sheets");
    let step = page(&app, &format!("{path}/steps/specialist_execution-2")).await;
    for part in ["Draft 1 → 2", "finding of round 1", "The exact prompt", "Attempts at this step"] {
        assert!(step.contains(part), "{part}: {step}");
    }
    assert_eq!(app.get(&format!("{path}/steps/nothing-1")).await.status, 404);
    assert_eq!(app.get("/dashboard/workflows/none/steps/qa_validation-1").await.status, 404);
}

async fn what_failed_and_what_was_tried_is_told(engine: Engine) {
    let model = Scripted::new(|request, _| match request.scene.role {
        Some(TemplateRole::Specialist) => Line::Fail(ModelErrorKind::Unavailable),
        _ => Line::Say("A plan".to_owned()),
    });
    let app = engine.app().worker().provider(model);
    let app = app.variables(&[("RETRY_BASE_SECONDS", "0"), ("JOB_MAX_ATTEMPTS", "3")]).start().await;
    let (path, _) = finished(&app, reviewed("Fail")).await;
    let run = page(&app, &path).await;
    assert_eq!(run.matches("class=\"mark failed\"").count(), 3, "{run}");
    assert_eq!(run.matches("class=\"mark retry\" x1=\"3\"").count(), 1, "the legend");
    assert_eq!(run.matches("class=\"mark retry\"").count(), 3, "{run}");
    assert!(run.matches("scripted unavailable").count() >= 3, "every attempt says why: {run}");
}

async fn the_largest_run_is_one_page_of_a_bearable_size(engine: Engine) {
    let app = engine.app().worker().provider(Scripted::new(|request, n| {
        Line::Say(match request.scene.role {
            Some(TemplateRole::Qa) => r#"{"verdict":"revise","must_fix":["more"]}"#.to_owned(),
            _ => format!("text {n} {}", "which says something ".repeat(40)),
        })
    }));
    let app = app.start().await;
    let mut names = Vec::new();
    for n in 0..MAX_SPECIALISTS {
        let agent =
            NewAgent { name: format!("specialist_{n}"), role: "writer".to_owned(), ..NewAgent::default() };
        names.push(app.app.services.agents.register(agent).await.unwrap().name);
    }
    let order = NewWorkflow { specialists: Some(names), max_revisions: Some(10), ..reviewed("The largest") };
    let (path, workflow) = finished(&app, order).await;
    assert_eq!(workflow.steps.len(), 2 + 11 * (MAX_SPECIALISTS + 1));
    let run = page(&app, &path).await;
    assert_eq!(run.matches("class=\"node ").count(), workflow.steps.len());
    let packed = packed(&run);
    assert!(packed < 60 * 1024, "{packed} bytes packed");
}

/// How long a page is on its way.
fn packed(page: &str) -> usize {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(page.as_bytes()).unwrap();
    gzip.finish().unwrap().len()
}

async fn a_long_run_shows_beginnings_and_its_steps_show_all(engine: Engine) {
    let app = engine.app().worker().provider(Scripted::new(|request, _| {
        Line::Say(match request.scene.role {
            Some(TemplateRole::Qa) => r#"{"verdict":"approve"}"#.to_owned(),
            _ => format!("{}the very last word", "A line of a long answer, one of many.\n".repeat(2_000)),
        })
    }));
    let app = app.start().await;
    let (path, _) = finished(&app, reviewed("Write at length")).await;
    let run = page(&app, &path).await;
    assert!(run.contains("This is its beginning.") && !run.contains("the very last word"));
    assert!(packed(&run) < 40 * 1024);
    let step = page(&app, &format!("{path}/steps/specialist_execution-1")).await;
    assert!(step.contains("the very last word"));
}

async fn a_hostile_name_stays_text_in_every_picture(engine: Engine) {
    let script = "</title></svg><script>alert(1)</script>";
    let app = engine.app().worker().provider(chain(|round| if round < 2 { "revise" } else { "approve" }));
    let app = app.start().await;
    let name = script.replace('/', "|");
    let agent = NewAgent { name: name.clone(), role: script.to_owned(), ..NewAgent::default() };
    app.app.services.agents.register(agent).await.unwrap();
    let order = NewWorkflow { specialists: Some(vec![name]), ..reviewed(script) };
    let (path, _) = finished(&app, order).await;
    for path in [path.clone(), format!("{path}/steps/specialist_execution-2"), "/dashboard/brief".to_owned()]
    {
        let page = page(&app, &path).await;
        assert!(!page.contains("<script>alert") && !page.contains("</svg><script"), "{path}");
    }
}
