//! Workflows: start, list, show, calls.

use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys},
    engines::Engine,
    scripted::chain,
    wait::until,
};

on_both_engines!(
    the_words_of_a_brief_choose_the_specialist,
    each_step_waits_for_the_one_before_and_reads_what_it_said,
    reading_a_workflow_changes_nothing,
    a_reviewed_brief_is_answered_as_the_legacy_system_answered,
    a_brief_without_review_has_two_steps,
    a_workflow_runs_to_its_end_and_is_told_with_the_legacy_fields,
    the_calls_of_a_workflow_show_prompt_answer_and_timing_of_every_step,
    the_list_sorts_workflows_into_what_they_have_come_to,
    a_finished_workflow_is_listed_as_completed_without_being_opened_first,
    an_unknown_workflow_is_told_in_the_legacy_words,
    every_bad_field_of_a_brief_is_named,
    bad_contents_of_several_fields_are_all_named,
    fields_that_nobody_knows_are_passed_over,
    a_budget_is_checked_field_by_field_and_shown_with_the_workflow,
    an_agent_name_that_nobody_registered_leaves_the_choice_to_the_brief,
);

async fn ended(app: &TestApp, id: &str) -> Value {
    until("the workflow ends", || async {
        let workflow = app.get(&format!("/workflows/{id}")).await.ok()["workflow"].clone();
        (workflow["status"] != "running").then_some(workflow)
    })
    .await
}

async fn a_reviewed_brief_is_answered_as_the_legacy_system_answered(engine: Engine) {
    let app = engine.app().start().await;
    let body = json!({"job": "Fix the login bug", "requires_qa": true, "color": "red"});
    let receipt = app.post("/orchestrate", &body).await.ok();
    let legacy = ["status", "workflow_id", "steps", "estimated_completion", "qa_chain_enabled"];
    assert_eq!(keys(&receipt)[..5], legacy);
    assert_eq!(receipt["status"], "orchestrated");
    assert_eq!(receipt["estimated_completion"], "3-8 minutes");
    assert_eq!(receipt["qa_chain_enabled"], true);
    assert_eq!(receipt["simulated"], true);
    let steps = receipt["steps"].as_array().unwrap();
    let told: Vec<_> =
        steps.iter().map(|s| (s["step"].as_str().unwrap(), s["agent"].as_str().unwrap())).collect();
    let expected = [
        ("admin_analysis", "general_assistant"),
        ("specialist_execution", "debugger_bot"),
        ("qa_validation", "qa_bot"),
        ("admin_feedback", "general_assistant"),
    ];
    assert_eq!(told, expected);
    assert_eq!(keys(&steps[0]), ["step", "agent", "job_id", "status"]);
    for pair in steps.windows(2) {
        assert_eq!(keys(&pair[1]), ["step", "agent", "job_id", "status", "depends_on"]);
        assert_eq!(pair[1]["status"], "queued");
        assert_eq!(pair[1]["depends_on"], pair[0]["job_id"]);
    }
}

async fn a_brief_without_review_has_two_steps(engine: Engine) {
    let app = engine.app().start().await;
    let receipt = app.post("/orchestrate", &json!({"job": "Write a poem"})).await.ok();
    assert_eq!(receipt["steps"].as_array().unwrap().len(), 2);
    assert_eq!(receipt["qa_chain_enabled"], false);
}

async fn a_workflow_runs_to_its_end_and_is_told_with_the_legacy_fields(engine: Engine) {
    let app = engine.app().worker().start().await;
    let body = json!({"job": "Fix the login bug", "requires_qa": true, "metadata": {"ticket": 7}});
    let receipt = app.post("/orchestrate", &body).await.ok();
    let workflow = ended(&app, receipt["workflow_id"].as_str().unwrap()).await;
    let legacy =
        ["workflow_id", "original_task", "steps", "status", "qa_enabled", "created_at", "completed_at"];
    assert_eq!(keys(&workflow)[..7], legacy);
    assert_eq!(workflow["original_task"], "Fix the login bug");
    assert_eq!(workflow["status"], "completed");
    assert_eq!(workflow["metadata"], json!({"ticket": 7}));
    let step = &workflow["steps"][0];
    assert_eq!(keys(step)[..6], ["step", "agent", "job_id", "status", "output", "execution_time"]);
    assert_eq!(step["job_id"], receipt["steps"][0]["job_id"]);
    assert!(step["output"].as_str().unwrap().chars().count() <= 300);
}

async fn the_calls_of_a_workflow_show_prompt_answer_and_timing_of_every_step(engine: Engine) {
    let app = engine.app().worker().start().await;
    let receipt =
        app.post("/orchestrate", &json!({"job": "Fix the login bug", "requires_qa": true})).await.ok();
    let id = receipt["workflow_id"].as_str().unwrap();
    let workflow = ended(&app, id).await;
    let told = app.get(&format!("/workflows/{id}/calls")).await.ok();
    assert_eq!(told["workflow_id"], id);
    let calls = told["calls"].as_array().unwrap();
    let run = workflow["steps"].as_array().unwrap().iter().filter(|s| s["status"] == "completed").count();
    assert_eq!(calls.len(), run, "one call a step that ran");
    for (call, step) in calls.iter().zip(workflow["steps"].as_array().unwrap()) {
        assert_eq!(
            (&call["step"], &call["job_id"], &call["round"]),
            (&step["step"], &step["job_id"], &step["round"])
        );
        assert!(call["messages"].as_array().unwrap().iter().any(|m| m["role"] == "user"));
        assert!(!call["answer"].as_str().unwrap().is_empty());
        assert_eq!(call["simulated"], true);
        assert!(call["duration_ms"].is_u64() && call["usage"]["total_tokens"].is_u64());
    }
    assert_eq!(app.get("/workflows/x/calls").await.problem(404), "Workflow not found");
}

async fn the_list_sorts_workflows_into_what_they_have_come_to(engine: Engine) {
    let app = engine.app().start().await;
    let empty = app.get("/workflows").await.ok();
    let expected = ["total_workflows", "active", "completed", "failed", "cancelled", "total", "next_cursor"];
    assert_eq!(keys(&empty), expected);
    for job in ["one", "two", "three"] {
        app.post("/orchestrate", &json!({"job": job})).await.ok();
    }
    let list = app.get("/workflows?limit=2").await.ok();
    assert_eq!((&list["total_workflows"], &list["total"]), (&json!(2), &json!(3)));
    let active: Vec<_> = list["active"].as_array().unwrap().iter().map(|w| &w["original_task"]).collect();
    assert_eq!(active, ["three", "two"]);
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/workflows?limit=2&cursor={cursor}")).await.ok();
    assert_eq!(rest["active"][0]["original_task"], "one");
    assert_eq!(rest["next_cursor"], json!(null));
}

async fn a_finished_workflow_is_listed_as_completed_without_being_opened_first(engine: Engine) {
    let app = engine.app().worker().start().await;
    app.post("/orchestrate", &json!({"job": "one"})).await.ok();
    until("it is listed as completed", || async {
        let list = app.get("/workflows").await.ok();
        (list["completed"].as_array().unwrap().len() == 1 && list["active"] == json!([])).then_some(())
    })
    .await;
}

async fn an_unknown_workflow_is_told_in_the_legacy_words(engine: Engine) {
    let app = engine.app().start().await;
    assert_eq!(app.get("/workflows/x").await.problem(404), "Workflow not found");
}

async fn every_bad_field_of_a_brief_is_named(engine: Engine) {
    let app = engine.app().start().await;
    let body = json!({"agent_name": 1, "priority": "urgent", "requires_qa": "perhaps", "template": {},
        "specialists": "qa_bot", "max_revisions": 11, "metadata": []});
    let expected = [
        ("missing", "body.job"),
        ("string_type", "body.agent_name"),
        ("literal_error", "body.priority"),
        ("bool_type", "body.requires_qa"),
        ("string_type", "body.template"),
        ("list_type", "body.specialists"),
        ("less_than_equal", "body.max_revisions"),
        ("dict_type", "body.metadata"),
    ];
    let fields = app.post("/orchestrate", &body).await.bad_fields();
    assert_eq!(fields, expected.map(|(t, l)| (t.to_owned(), l.to_owned())));
    for number in [json!(-1), json!(1.5), json!("2")] {
        let body = json!({"job": "x", "max_revisions": number});
        assert_eq!(app.post("/orchestrate", &body).await.bad_fields()[0].1, "body.max_revisions", "{number}");
    }
    assert_eq!(app.get("/workflows").await.ok()["total"], 0, "nothing was started");
}

async fn bad_contents_of_several_fields_are_all_named(engine: Engine) {
    let app = engine.app().start().await;
    let nine: Vec<_> = (0..9).map(|_| "qa_bot").collect();
    let body = json!({"job": " ", "specialists": nine, "metadata": {"k": "v".repeat(20_000)}});
    let mut locs: Vec<_> =
        app.post("/orchestrate", &body).await.bad_fields().into_iter().map(|f| f.1).collect();
    locs.dedup();
    assert_eq!(locs, ["body.job", "body.specialists", "body.metadata"]);
    let unknown = json!({"job": "x", "specialists": ["qa_bot", "nobody", "no one"]});
    let fields = app.post("/orchestrate", &unknown).await.bad_fields();
    let one = ("unknown_agent".to_owned(), "body.specialists".to_owned());
    assert_eq!(fields, [one.clone(), one], "both are named");
}

async fn fields_that_nobody_knows_are_passed_over(engine: Engine) {
    let app = engine.app().start().await;
    let without = json!({"job": "x", "budget": null, "unknown": [1]});
    app.post("/orchestrate", &without).await.ok();
}

async fn a_budget_is_checked_field_by_field_and_shown_with_the_workflow(engine: Engine) {
    let app = engine.app().start().await;
    let bad = json!({"job": "x", "budget": {"tokens": 0, "usd": "much"}});
    let fields = app.post("/orchestrate", &bad).await.bad_fields();
    let locs: Vec<_> = fields.iter().map(|(_, loc)| loc.as_str()).collect();
    assert_eq!(locs, ["body.budget.tokens", "body.budget.usd"]);
    let nothing = json!({"job": "x", "budget": {"usd": 0}});
    assert_eq!(app.post("/orchestrate", &nothing).await.bad_fields()[0].1, "body.budget");

    let brief = json!({"job": "x", "budget": {"tokens": 100_000, "usd": 0.5}});
    let id = app.post("/orchestrate", &brief).await.ok()["workflow_id"].as_str().unwrap().to_owned();
    let shown = app.get(&format!("/workflows/{id}")).await.ok();
    assert_eq!(shown["workflow"]["budget"], json!({"tokens": 100_000, "usd": 0.5}));
    let path = format!("/workflows/{id}/budget");
    let raised = app.post(&path, &json!({"tokens": 200_000})).await.ok();
    assert_eq!(raised["workflow"]["budget"], json!({"tokens": 200_000}));
    assert_eq!(app.post(&path, &json!({"tokens": 1.5})).await.bad_fields()[0].1, "body.tokens");
    let nobody = app.post("/workflows/nobody/budget", &json!({"tokens": 5})).await;
    assert_eq!(nobody.status, 404);
}

async fn an_agent_name_that_nobody_registered_leaves_the_choice_to_the_brief(engine: Engine) {
    let app = engine.app().start().await;
    let brief = json!({"job": "Fix the login bug", "agent_name": "default_agent"});
    let receipt = app.post("/orchestrate", &brief).await.ok();
    assert_eq!(receipt["steps"][1]["agent"], "debugger_bot");
    let brief = json!({"job": "Fix the login bug", "agent_name": "analyzer_bot"});
    assert_eq!(app.post("/orchestrate", &brief).await.ok()["steps"][1]["agent"], "analyzer_bot");
}

async fn the_words_of_a_brief_choose_the_specialist(engine: Engine) {
    let app = engine.app().start().await;
    for (words, agent) in [
        ("test qa quality validate verify", "qa_bot"),
        ("debug fix error bug", "debugger_bot"),
        ("analyze review audit inspect", "analyzer_bot"),
        ("prefix latest greet", "general_assistant"),
    ] {
        for word in words.split(' ') {
            for job in [format!("Please {word}, now"), word.to_uppercase()] {
                let receipt = app.post("/orchestrate", &json!({"job": job})).await.ok();
                assert_eq!(receipt["steps"][1]["agent"], agent, "{job}");
            }
        }
    }
    for (brief, agent) in [("review and fix it", "debugger_bot"), ("fix the tests, then test", "qa_bot")] {
        let receipt = app.post("/orchestrate", &json!({"job": brief})).await.ok();
        assert_eq!(receipt["steps"][1]["agent"], agent, "{brief}");
    }
}

async fn each_step_waits_for_the_one_before_and_reads_what_it_said(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let brief = json!({"job": "Fix the login bug", "requires_qa": true});
    let receipt = app.post("/orchestrate", &brief).await.ok();
    let id = receipt["workflow_id"].as_str().unwrap();
    let workflow = ended(&app, id).await;
    let steps: Vec<_> = workflow["steps"].as_array().unwrap().iter().map(|s| &s["step"]).collect();
    assert_eq!(steps, ["admin_analysis", "specialist_execution", "qa_validation", "admin_feedback"]);
    let told = app.get(&format!("/workflows/{id}/calls")).await.ok();
    let calls = told["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 4, "a workflow of four steps is four calls");
    let answers: Vec<_> = calls.iter().map(|call| call["answer"].as_str().unwrap()).collect();
    let prompts: Vec<_> = calls.iter().map(|call| call["messages"].to_string()).collect();
    assert!(prompts.iter().all(|prompt| prompt.contains("Fix the login bug")));
    assert!(prompts[1].contains(answers[0]), "the specialist reads the analysis");
    assert!(prompts[2].contains(answers[1]), "QA reads the work");
    assert!(prompts[3].contains(answers[1]), "the report is about the work");
    assert!(prompts[3].contains("finding of round 1"), "and about what QA said of it");
    let results = app.get(&format!("/results/workflow/{id}")).await.ok();
    let mut times: Vec<_> =
        results.as_array().unwrap().iter().map(|r| (&r["started_at"], &r["completed_at"])).collect();
    times.reverse();
    for pair in times.windows(2) {
        assert!(pair[0].1.as_str() <= pair[1].0.as_str(), "{times:?}");
    }
}

async fn reading_a_workflow_changes_nothing(engine: Engine) {
    let app = engine.app().start().await;
    let receipt = app.post("/orchestrate", &json!({"job": "one", "requires_qa": true})).await.ok();
    let path = format!("/workflows/{}", receipt["workflow_id"].as_str().unwrap());
    let first = app.get(&path).await.ok();
    assert_eq!(first["workflow"]["steps"][0]["status"], "queued");
    assert_eq!(first["workflow"]["status"], "running");
    assert_eq!(app.get(&path).await.ok(), first);
}
