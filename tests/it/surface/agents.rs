//! Agents: list, register, show, delete.

use serde_json::json;

use crate::support::{app::keys, engines::Engine, scripted::chain};

on_both_engines!(
    the_worker_asks_the_model_of_the_agent_in_its_role,
    the_list_has_at_most_200_agents_the_newest_first,
    the_list_begins_with_the_four_default_agents,
    a_registered_agent_comes_back_as_the_legacy_system_told_it,
    registering_a_name_again_replaces_the_agent,
    unknown_fields_and_counters_of_the_client_are_ignored,
    a_name_in_any_script_can_be_fetched_and_deleted,
    a_deleted_agent_is_gone,
    every_bad_field_of_an_agent_is_named,
    fallbacks_tools_and_a_budget_come_back_and_stand_behind_the_legacy_fields,
    every_bad_fallback_tool_and_budget_is_named,
    names_that_could_not_be_fetched_are_refused_with_the_name_shown,
    the_module_answers_its_ping,
);

const LEGACY: [&str; 8] =
    ["name", "role", "description", "skills", "model", "task_count", "created_at", "last_assigned"];

async fn the_list_begins_with_the_four_default_agents(engine: Engine) {
    let app = engine.app().start().await;
    let agents = app.get("/agents/").await.ok();
    let mut names: Vec<_> = agents.as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["analyzer_bot", "debugger_bot", "general_assistant", "qa_bot"]);
    for agent in agents.as_array().unwrap() {
        assert_eq!(keys(agent)[..8], LEGACY);
        assert_eq!(agent["skills"].as_array().unwrap().len(), 3);
        assert!(agent["description"].is_string());
    }
}

async fn a_registered_agent_comes_back_as_the_legacy_system_told_it(engine: Engine) {
    let app = engine.app().start().await;
    let agent = app.post("/agents/", &json!({"name": "a1", "role": "Research"})).await.ok();
    assert_eq!(keys(&agent), LEGACY);
    assert_eq!(agent["description"], json!(null));
    assert_eq!(agent["skills"], json!([]));
    assert_eq!(agent["model"], "gpt-4o-mini");
    assert_eq!(agent["task_count"], 0);
    assert_eq!(agent["last_assigned"], json!(null));
    assert_eq!(app.get("/agents/a1").await.ok(), agent);
    assert_eq!(app.get("/agents").await.ok()[0]["name"], "a1", "the newest comes first");
}

async fn registering_a_name_again_replaces_the_agent(engine: Engine) {
    let app = engine.app().start().await;
    app.post("/agents/", &json!({"name": "a1", "role": "Research", "description": "old"})).await.ok();
    app.post("/agents/", &json!({"name": "a1", "role": "Design"})).await.ok();
    let agent = app.get("/agents/a1").await.ok();
    assert_eq!((agent["role"].as_str(), &agent["description"]), (Some("Design"), &json!(null)));
}

async fn unknown_fields_and_counters_of_the_client_are_ignored(engine: Engine) {
    let app = engine.app().start().await;
    let body = json!({"name": "a1", "role": "", "task_count": 99, "created_at": 5, "wings": [2]});
    let agent = app.post("/agents/", &body).await.ok();
    assert_eq!(agent["task_count"], 0);
    assert_eq!(keys(&agent), LEGACY);
}

async fn a_name_in_any_script_can_be_fetched_and_deleted(engine: Engine) {
    let app = engine.app().start().await;
    let name = "Größe 漢字 & co";
    let agent = app.post("/agents/", &json!({"name": name, "role": "x"})).await.ok();
    let path = "/agents/Gr%C3%B6%C3%9Fe%20%E6%BC%A2%E5%AD%97%20%26%20co";
    assert_eq!(app.get(path).await.ok(), agent);
    assert_eq!(app.delete(path).await.ok(), json!({"status": "deleted", "agent": name}));
    assert_eq!(app.get(path).await.problem(404), json!(format!("Agent '{name}' not found")));
}

async fn a_deleted_agent_is_gone(engine: Engine) {
    let app = engine.app().start().await;
    app.post("/agents/", &json!({"name": "a1", "role": "x"})).await.ok();
    assert_eq!(app.delete("/agents/a1").await.ok(), json!({"status": "deleted", "agent": "a1"}));
    assert_eq!(app.delete("/agents/a1").await.problem(404), "Agent 'a1' not found");
    assert_eq!(app.get("/agents/a1").await.problem(404), "Agent 'a1' not found");
    assert!(!app.get("/agents/").await.text.contains("\"a1\""));
}

async fn every_bad_field_of_an_agent_is_named(engine: Engine) {
    let app = engine.app().start().await;
    let bad = app.post("/agents/", &json!({"role": 1, "skills": ["a", 2], "model": null})).await;
    let expected = [
        ("missing", "body.name"),
        ("string_type", "body.role"),
        ("string_type", "body.skills.1"),
        ("string_type", "body.model"),
    ];
    assert_eq!(bad.bad_fields(), expected.map(|(t, l)| (t.to_owned(), l.to_owned())));
    let detail = bad.problem(422);
    assert_eq!(detail[0]["input"], json!({"role": 1, "skills": ["a", 2], "model": null}));
    assert_eq!(detail[0]["msg"], "Field required");
    assert_eq!((&detail[1]["input"], &detail[2]["input"]), (&json!(1), &json!(2)));
}

async fn fallbacks_tools_and_a_budget_come_back_and_stand_behind_the_legacy_fields(engine: Engine) {
    let app = engine.app().start().await;
    let sent = json!({"name": "a1", "role": "Research", "fallback_models": ["groq/llama-3.3-70b", "gpt-4o"],
        "tools": ["calculator", "mcp:files/read"], "budget": {"usd_per_day": 1.5, "tokens_per_day": 90000}});
    let agent = app.post("/agents/", &sent).await.ok();
    for field in ["fallback_models", "tools", "budget"] {
        assert_eq!(agent[field], sent[field]);
    }
    assert_eq!(keys(&agent)[..8], LEGACY);
    assert_eq!(app.get("/agents/a1").await.ok(), agent);
    let without = json!({"name": "a2", "role": "x", "fallback_models": [], "tools": [], "budget": null});
    assert_eq!(keys(&app.post("/agents/", &without).await.ok()), LEGACY);
}

async fn every_bad_fallback_tool_and_budget_is_named(engine: Engine) {
    let app = engine.app().start().await;
    let places = |answer: crate::support::app::Answer| {
        answer.bad_fields().into_iter().map(|f| f.1).collect::<Vec<_>>()
    };
    let types = json!({"name": "a", "role": "x", "fallback_models": "gpt-4o", "tools": [1], "budget": 5});
    let bad = app.post("/agents/", &types).await;
    assert_eq!(places(bad), ["body.fallback_models", "body.tools.0", "body.budget"]);
    let values =
        json!({"name": "a", "role": "x", "fallback_models": [""], "tools": ["rm -rf"], "budget": {}});
    let bad = app.post("/agents/", &values).await;
    assert_eq!(places(bad), ["body.fallback_models", "body.tools", "body.budget"]);
    let amount = json!({"name": "a", "role": "x", "budget": {"usd_per_day": -1}});
    assert_eq!(places(app.post("/agents/", &amount).await), ["body.budget.usd_per_day"]);
}

async fn names_that_could_not_be_fetched_are_refused_with_the_name_shown(engine: Engine) {
    let app = engine.app().start().await;
    for name in ["", "a/b", "a\nb", " a", "..", "ping"] {
        let answer = app.post("/agents/", &json!({"name": name, "role": "x"})).await;
        assert_eq!(answer.bad_fields()[0].1, "body.name", "{name:?}");
        assert_eq!(answer.problem(422)[0]["input"], name);
    }
    let long = "n".repeat(101);
    let answer = app.post("/agents/", &json!({"name": long, "role": "x"})).await;
    assert_eq!(answer.bad_fields(), [("string_too_long".to_owned(), "body.name".to_owned())]);
}

async fn the_module_answers_its_ping(engine: Engine) {
    let app = engine.app().start().await;
    assert_eq!(app.get("/agents/ping").await.ok(), json!({"status": "ok", "module": "agents"}));
}

async fn the_worker_asks_the_model_of_the_agent_in_its_role(engine: Engine) {
    let provider = chain(|_| "approve");
    let app = engine.app().provider(provider.clone()).worker().start().await;
    let agent = json!({"name": "poet", "role": "Sonnets", "model": "gpt-verse", "skills": ["rhyming slang"]});
    app.post("/agents/", &agent).await.ok();
    let receipt = app.post("/results/task", &json!({"job": "hello", "agent_name": "poet"})).await.ok();
    let id = receipt["job_id"].as_str().unwrap();
    let result = app.get_once_there(&format!("/results/{id}")).await.ok();
    assert_eq!((&result["agent"], &result["role"]), (&json!("poet"), &json!("Sonnets")));
    assert_eq!(provider.requests.lock().unwrap()[0].models, ["gpt-verse"]);
    let prompt = provider.prompt(0);
    for told in ["poet", "Sonnets", "rhyming slang", "hello"] {
        assert!(prompt.contains(told), "{told}: {prompt}");
    }
    assert_eq!(provider.calls(), 1, "one task is one call");
    let agent = app.get("/agents/poet").await.ok();
    assert_eq!(agent["task_count"], 1);
    assert!(agent["last_assigned"].is_string(), "{agent}");
}

async fn the_list_has_at_most_200_agents_the_newest_first(engine: Engine) {
    let app = engine.app().start().await;
    for n in 0..201 {
        app.post("/agents/", &json!({"name": format!("a{n}"), "role": "x"})).await.ok();
    }
    let agents = app.get("/agents/").await.ok();
    let agents = agents.as_array().unwrap();
    assert_eq!((agents.len(), &agents[0]["name"], &agents[199]["name"]), (200, &json!("a200"), &json!("a1")));
}
