//! What people do to workflows through the API: pause, resume, cancel, retry, approve, reject, fork, delete, many at once.

use std::sync::Arc;

use productforge::llm::{ModelErrorKind, ModelProvider};
use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    engines::Engine,
    scripted::{Line, Scripted, chain},
    wait::until,
};

on_both_engines!(
    a_paused_workflow_begins_nothing_and_goes_on_when_resumed,
    work_waits_for_a_persons_word_and_the_report_knows_it,
    work_can_be_sent_back_and_then_rejected,
    a_cancelled_workflow_ends_with_all_its_steps,
    a_failed_workflow_is_retried_as_a_whole,
    an_edited_output_is_what_the_next_step_sees,
    a_fork_is_needed_until_it_has_ended,
    a_deleted_workflow_leaves_nothing_behind,
    the_payload_of_a_deleted_workflow_is_not_run,
    what_cannot_be_done_says_why,
    many_are_done_at_once,
    lists_are_filtered_by_state_and_words,
    the_leaderboard_counts_a_specialists_own_work_once,
);

async fn start(app: &TestApp, body: Value) -> String {
    app.post("/orchestrate", &body).await.ok()["workflow_id"].as_str().unwrap().to_owned()
}

async fn workflow(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/workflows/{id}")).await.ok()["workflow"].clone()
}

async fn reaches(app: &TestApp, id: &str, status: &str) -> Value {
    until(&format!("the workflow is {status}"), || async {
        Some(workflow(app, id).await).filter(|w| w["status"] == status)
    })
    .await
}

async fn order(app: &TestApp, id: &str, verb: &str, body: Value) -> Value {
    app.post(&format!("/workflows/{id}/{verb}"), &body).await.ok()["workflow"].clone()
}

fn step<'a>(workflow: &'a Value, name: &str) -> &'a Value {
    workflow["steps"].as_array().unwrap().iter().rev().find(|s| s["step"] == name).unwrap()
}

async fn prompt_of(app: &TestApp, id: &str, name: &str) -> String {
    let calls = app.get(&format!("/workflows/{id}/calls")).await.ok();
    let calls = calls["calls"].as_array().unwrap();
    let call = calls.iter().rev().find(|call| call["step"] == name).unwrap();
    call["messages"].to_string()
}

async fn a_paused_workflow_begins_nothing_and_goes_on_when_resumed(engine: Engine) {
    let provider = chain(|_| "approve");
    let app = engine.app().provider(provider.clone()).start().await;
    let id = start(&app, json!({"job": "Plan a migration", "requires_qa": true})).await;
    let paused = order(&app, &id, "pause", json!({"reason": "lunch"})).await;
    assert_eq!(paused["pause"]["reason"], "requested");
    assert_eq!(paused["pause"]["detail"], "Somebody paused it: lunch");
    assert_eq!(
        order(&app, &id, "pause", json!({})).await["pause"],
        paused["pause"],
        "twice is as good as once"
    );
    let worker = app.app.start_worker();
    let job = paused["steps"][0]["job_id"].as_str().unwrap().to_owned();
    let held = until("the job waits", || async {
        Some(app.get(&format!("/jobs/{job}")).await.ok()).filter(|job| job["state"] == "scheduled")
    })
    .await;
    assert_eq!(held["waits_because"], "Its workflow is paused: it waits for somebody to resume it.");
    assert_eq!(held["attempts"], json!([]), "no attempt is charged");
    assert_eq!(provider.calls(), 0);
    assert_eq!(order(&app, &id, "resume", json!({})).await["status"], "running");
    let done = reaches(&app, &id, "completed").await;
    assert_eq!(done["review"], "approved");
    let again = app.post(&format!("/workflows/{id}/resume"), &json!({})).await.problem(409);
    assert_eq!(again, format!("workflow {id} is completed; only paused workflows are resumed"));
    drop(worker);
}

async fn work_waits_for_a_persons_word_and_the_report_knows_it(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Write a note", "requires_qa": true, "approval": true})).await;
    let waits = reaches(&app, &id, "paused").await;
    assert_eq!(waits["pause"]["reason"], "approval");
    assert_eq!(step(&waits, "approval")["status"], "waiting");
    assert_eq!(step(&waits, "admin_feedback")["status"], "waiting");
    order(&app, &id, "approve", json!({"comment": "Mention the price"})).await;
    let done = reaches(&app, &id, "completed").await;
    assert_eq!(step(&done, "approval")["decision"]["outcome"], "approved");
    assert_eq!(step(&done, "approval")["decision"]["comment"], "Mention the price");
    assert!(prompt_of(&app, &id, "admin_feedback").await.contains("Mention the price"));
    let twice = app.post(&format!("/workflows/{id}/approve"), &json!({})).await;
    assert!(twice.problem(409).as_str().unwrap().contains("nothing in it waits for approval"));
}

async fn work_can_be_sent_back_and_then_rejected(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Write a note", "approval": true})).await;
    reaches(&app, &id, "paused").await;
    let bare = app.post(&format!("/workflows/{id}/reject"), &json!({"send_back": true})).await;
    assert_eq!(bare.bad_fields()[0].0, "missing", "{}", bare.text);
    order(&app, &id, "reject", json!({"send_back": true, "comment": "Too long"})).await;
    let waits = until("it waits again", || async {
        Some(workflow(&app, &id).await)
            .filter(|w| w["status"] == "paused" && step(w, "approval")["round"] == 2)
    })
    .await;
    assert_eq!(step(&waits, "specialist_execution")["round"], 2);
    let prompt = prompt_of(&app, &id, "specialist_execution").await;
    assert!(prompt.contains("Too long") && prompt.contains("Your earlier draft (round 1)"), "{prompt}");
    let rejected = order(&app, &id, "reject", json!({"comment": "No"})).await;
    assert_eq!(
        (&rejected["status"], &rejected["error"]),
        (&json!("failed"), &json!("A person rejected the work: No"))
    );
    let again = order(&app, &id, "retry", json!({})).await;
    assert_eq!((&again["status"], &again["pause"]["reason"]), (&json!("paused"), &json!("approval")));
    order(&app, &id, "approve", json!({})).await;
    reaches(&app, &id, "completed").await;
}

async fn a_cancelled_workflow_ends_with_all_its_steps(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan", "requires_qa": true, "approval": true})).await;
    let cancelled = order(&app, &id, "cancel", json!({"reason": "wrong brief"})).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["error"], "The workflow was cancelled: wrong brief");
    let job = cancelled["steps"][0]["job_id"].as_str().unwrap();
    assert_eq!(app.get(&format!("/jobs/{job}")).await.ok()["state"], "cancelled");
    assert_eq!(app.get(&format!("/results/{job}")).await.ok()["status"], "cancelled");
    assert_eq!(order(&app, &id, "cancel", json!({})).await["error"], cancelled["error"]);
    let calls = app.get("/queues").await.ok();
    let worker = app.app.start_worker();
    until("its payload is passed over", || async {
        (app.get("/queues").await.ok()["ready"] == 0).then_some(())
    })
    .await;
    assert_eq!(workflow(&app, &id).await["status"], "cancelled", "{calls}");
    drop(worker);
}

async fn a_failed_workflow_is_retried_as_a_whole(engine: Engine) {
    let provider = Scripted::new(|request, n| match request.scene.role {
        Some(productforge::model::TemplateRole::Specialist) if n < 3 => Line::Fail(ModelErrorKind::Auth),
        _ => Line::Say(format!("answer {n}")),
    });
    let app = engine.app().provider(provider as Arc<dyn ModelProvider>).worker().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    let failed = reaches(&app, &id, "failed").await;
    assert!(failed["error"].as_str().unwrap().starts_with("specialist_execution failed"), "{failed}");
    // The circuit of its provider is open after a refusal of that kind.
    app.post("/providers/scripted/reset", &json!({})).await;
    order(&app, &id, "retry", json!({})).await;
    until("it comes to an end", || async {
        let now = workflow(&app, &id).await;
        match now["status"].as_str().unwrap() {
            "completed" => Some(()),
            "failed" => {
                app.post("/providers/scripted/reset", &json!({})).await;
                app.post(&format!("/workflows/{id}/retry"), &json!({})).await;
                None
            }
            _ => None,
        }
    })
    .await;
}

async fn an_edited_output_is_what_the_next_step_sees(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Write a note", "requires_qa": true})).await;
    let original = reaches(&app, &id, "completed").await;
    let body = json!({"from": "specialist_execution", "output": "THE EDITED DRAFT"});
    let fork = order(&app, &id, "fork", body).await;
    let fork_id = fork["workflow_id"].as_str().unwrap().to_owned();
    assert_eq!(fork["forked_from"]["workflow_id"], id);
    assert_eq!(fork["forked_from"]["edited"], true);
    assert_eq!(fork["steps"][0]["from_workflow"], id);
    assert_eq!(fork["steps"][0]["job_id"], original["steps"][0]["job_id"]);
    let done = reaches(&app, &fork_id, "completed").await;
    assert!(prompt_of(&app, &fork_id, "qa_validation").await.contains("THE EDITED DRAFT"));
    let edited = step(&done, "specialist_execution");
    assert_eq!((&edited["edited"], &edited["output"]), (&json!(true), &json!("THE EDITED DRAFT")));
    let job = edited["job_id"].as_str().unwrap();
    assert_eq!(app.get(&format!("/results/{job}")).await.ok()["output"], "THE EDITED DRAFT");
    assert_eq!(app.get(&format!("/jobs/{job}")).await.ok()["state"], "completed");
    // The original is as it was, but knows of its fork.
    let mut after = workflow(&app, &id).await;
    assert_eq!(after["forks"], json!([fork_id]));
    after.as_object_mut().unwrap().remove("forks");
    assert_eq!(after, original);
    // Without an output the step runs again.
    let again = order(&app, &id, "fork", json!({"from": "qa_validation:1"})).await;
    assert_eq!(again["forked_from"]["edited"], false);
    reaches(&app, again["workflow_id"].as_str().unwrap(), "completed").await;
}

async fn a_fork_is_needed_until_it_has_ended(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Write a note", "approval": true})).await;
    reaches(&app, &id, "paused").await;
    order(&app, &id, "approve", json!({})).await;
    reaches(&app, &id, "completed").await;
    let fork = order(&app, &id, "fork", json!({"from": "approval"})).await;
    let fork_id = fork["workflow_id"].as_str().unwrap();
    assert_eq!(fork["pause"]["reason"], "approval", "the person is asked again");
    let needed = app.delete(&format!("/workflows/{id}")).await.problem(409);
    assert!(needed.as_str().unwrap().contains(fork_id), "{needed}");
    let job = fork["steps"][0]["job_id"].as_str().unwrap();
    assert!(app.delete(&format!("/jobs/{job}")).await.problem(409).as_str().unwrap().contains(fork_id));
    order(&app, fork_id, "cancel", json!({})).await;
    app.delete(&format!("/workflows/{id}")).await.ok();
    app.get(&format!("/workflows/{fork_id}")).await.ok();
}

async fn a_deleted_workflow_leaves_nothing_behind(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Write a note", "requires_qa": true})).await;
    let running = app.delete(&format!("/workflows/{id}")).await;
    assert!(running.status == 409 || running.status == 200, "{}", running.text);
    if running.status == 409 {
        let done = reaches(&app, &id, "completed").await;
        app.delete(&format!("/workflows/{id}")).await.ok();
        app.get(&format!("/workflows/{id}")).await.problem(404);
        for step in done["steps"].as_array().unwrap() {
            let job = step["job_id"].as_str().unwrap();
            app.get(&format!("/jobs/{job}")).await.problem(404);
            app.get(&format!("/results/{job}")).await.problem(404);
        }
    }
    app.delete(&format!("/workflows/{id}")).await.problem(404);
}

async fn the_payload_of_a_deleted_workflow_is_not_run(engine: Engine) {
    let provider = chain(|_| "approve");
    let app = engine.app().provider(provider.clone()).start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    order(&app, &id, "cancel", json!({})).await;
    app.delete(&format!("/workflows/{id}")).await.ok();
    let worker = app.app.start_worker();
    until("nothing waits", || async { (app.get("/queues").await.ok()["ready"] == 0).then_some(()) }).await;
    assert_eq!(provider.calls(), 0);
    assert!(app.get("/jobs").await.ok()["jobs"].as_array().unwrap().is_empty());
    drop(worker);
}

async fn what_cannot_be_done_says_why(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    for verb in ["pause", "resume", "cancel", "retry", "approve", "reject"] {
        app.post(&format!("/workflows/nothing/{verb}"), &json!({})).await.problem(404);
    }
    let refused = [
        ("resume", json!({}), "only paused workflows are resumed"),
        ("retry", json!({}), "only failed workflows are retried"),
        ("approve", json!({}), "nothing in it waits for approval"),
        ("reject", json!({}), "nothing in it waits for approval"),
    ];
    for (verb, body, why) in refused {
        let problem = app.post(&format!("/workflows/{id}/{verb}"), &body).await.problem(409);
        assert!(problem.as_str().unwrap().contains(why), "{verb}: {problem}");
    }
    let fork = |body| {
        let app = &app;
        let path = format!("/workflows/{id}/fork");
        async move { app.post(&path, &body).await.bad_fields() }
    };
    let field = |name: &str, kind: &str| vec![(kind.to_owned(), name.to_owned())];
    assert_eq!(fork(json!({})).await, field("body.from", "missing"));
    assert_eq!(fork(json!({"from": "nothing"})).await, field("body.from", "unknown_step"));
    assert_eq!(fork(json!({"from": "specialist_execution"})).await, field("body.from", "has_not_run"));
    let empty = json!({"from": "admin_analysis", "output": " "});
    assert_eq!(fork(empty).await, field("body.output", "string_too_short"));
    let long = json!({"reason": "x".repeat(1_001)});
    let bad = app.post(&format!("/workflows/{id}/cancel"), &long).await.bad_fields();
    assert_eq!(bad, field("body.reason", "string_too_long"));
    let wrong = app.post(&format!("/workflows/{id}/reject"), &json!({"send_back": "yes"})).await;
    assert_eq!(wrong.bad_fields().len(), 1, "{}", wrong.text);
}

async fn many_are_done_at_once(engine: Engine) {
    let app = engine.app().start().await;
    let (a, b) = (start(&app, json!({"job": "A"})).await, start(&app, json!({"job": "B"})).await);
    let body = json!({"action": "cancel", "ids": [a, "nothing", b], "reason": "all of it"});
    let done = app.post("/workflows/bulk", &body).await.ok();
    assert_eq!(done["done"], 2);
    assert_eq!(done["skipped"], json!([{"id": "nothing", "why": "Workflow not found"}]));
    assert_eq!(workflow(&app, &b).await["error"], "The workflow was cancelled: all of it");
    let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    let refused = app.post("/workflows/bulk", &json!({"action": "cancel", "ids": many})).await;
    assert_eq!(refused.bad_fields()[0].0, "too_long");
    let refused = app.post("/workflows/bulk", &json!({"action": "explode", "ids": []})).await;
    assert_eq!(refused.bad_fields()[0].1, "body.action");
}

async fn lists_are_filtered_by_state_and_words(engine: Engine) {
    let app = engine.app().start().await;
    let a = start(&app, json!({"job": "Plan the harbour"})).await;
    let b = start(&app, json!({"job": "Paint the lighthouse"})).await;
    order(&app, &b, "cancel", json!({"reason": "no paint"})).await;
    let ids = |page: &Value| -> Vec<String> {
        let lists = ["active", "completed", "failed", "cancelled"];
        let all = lists.iter().flat_map(|list| page[*list].as_array().unwrap());
        all.map(|w| w["workflow_id"].as_str().unwrap().to_owned()).collect()
    };
    let running = app.get("/workflows?status=running").await.ok();
    assert_eq!((ids(&running), &running["total"]), (vec![a.clone()], &json!(1)));
    assert_eq!(ids(&app.get("/workflows?status=cancelled").await.ok()), std::slice::from_ref(&b));
    let found = app.get("/workflows?q=HARBOUR%20plan").await.ok();
    assert_eq!((ids(&found), &found["total"]), (vec![a], &Value::Null));
    assert_eq!(ids(&app.get("/workflows?q=no%20paint").await.ok()), [b], "errors are searched, too");
    assert_eq!(ids(&app.get("/workflows?q=paint&status=running").await.ok()), Vec::<String>::new());
    assert_eq!(app.get("/workflows?status=lost").await.bad_fields()[0].1, "query.status");
    assert_eq!(app.get(&format!("/workflows?q={}", "x".repeat(201))).await.bad_fields()[0].1, "query.q");
}

async fn the_leaderboard_counts_a_specialists_own_work_once(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let body =
        json!({"job": "Write a note", "requires_qa": true, "approval": true, "agent_name": "debugger_bot"});
    let id = start(&app, body).await;
    reaches(&app, &id, "paused").await;
    let reviewed = async || {
        let board = app.get("/analytics/agents?days=1").await.ok();
        let agents = board["agents"].as_array().unwrap();
        let own = agents.iter().find(|agent| agent["agent"] == "debugger_bot").unwrap();
        (own["reviewed"].clone(), own["accepted_first_rate"].clone())
    };
    assert_eq!(reviewed().await, (json!(1), json!(1.0)));
    order(&app, &id, "reject", json!({"send_back": true, "comment": "Shorter"})).await;
    until("QA has judged it again", || async {
        let now = workflow(&app, &id).await;
        (now["status"] == "paused" && step(&now, "qa_validation")["round"] == 2).then_some(())
    })
    .await;
    assert_eq!(reviewed().await, (json!(1), json!(1.0)), "it is the same work");
    order(&app, &id, "approve", json!({})).await;
    reaches(&app, &id, "completed").await;
    // A person's text that QA approves is no merit of the agent's.
    let fork = json!({"from": "specialist_execution:1", "output": "A person's words"});
    let fork = order(&app, &id, "fork", fork).await["workflow_id"].as_str().unwrap().to_owned();
    reaches(&app, &fork, "paused").await;
    assert_eq!(reviewed().await, (json!(1), json!(1.0)));
}
