//! Several providers as a configuration file describes them, from the file to the journal.

use std::time::Duration;

use productforge::{
    app::App,
    config::{Config, Flags},
    model::{Call, NewAgent, Price},
    service::{records, tasks::NewTask},
};
use tempfile::TempDir;

use crate::support::{
    fake_model::{FakeModel, Reply},
    world::idle,
};

async fn open(folder: &TempDir, text: &str) -> App {
    let workspace = folder.path().display().to_string();
    let env = |name: &str| (name == "WORKSPACE_DIR").then(|| workspace.clone());
    App::open(Config::from_file_text(&Flags::new(), env, "test.toml", text).unwrap()).await.unwrap()
}

async fn call_of(app: &App, agent: NewAgent) -> Call {
    let name = agent.name.clone();
    app.services.agents.register(agent).await.unwrap();
    let new = NewTask { job: "say something".into(), agent_name: Some(name), ..NewTask::default() };
    let id = app.services.tasks.submit(new).await.unwrap().job_id;
    idle(app).await;
    records::load(app.store.as_ref(), records::call_key(&id, 1)).await.unwrap().unwrap().0
}

fn agent(name: &str, model: &str, fallbacks: &[&str]) -> NewAgent {
    NewAgent {
        name: name.to_owned(),
        role: "Test".to_owned(),
        model: model.to_owned(),
        fallback_models: fallbacks.iter().map(|m| m.to_string()).collect(),
        ..NewAgent::default()
    }
}

#[tokio::test]
async fn a_job_goes_to_the_provider_its_model_names_and_on_to_the_next() {
    let good = FakeModel::by(|_, _| Reply::answer("done"));
    let bad = FakeModel::by(|_, _| Reply::error(401, "invalid_api_key", "auth", "no"));
    let text = format!(
        "default_model = 'bad/small'\nmodel_stream = false\n\
         [providers.good]\nbase_url = '{}'\nkey = 'key-of-good'\nprices = {{ '*' = {{ input = 1, output = 2 }} }}\n\
         [providers.bad]\nbase_url = '{}'\n",
        good.base_url(),
        bad.base_url()
    );
    let folder = tempfile::tempdir().unwrap();
    let app = open(&folder, &text).await;
    let _worker = app.start_worker();

    let named = call_of(&app, agent("named", "good/meta/big", &[])).await;
    assert_eq!((named.provider.as_str(), named.requests), ("good", 1));
    let fallen = call_of(&app, agent("fallen", "gpt-4o-mini", &["bad/other", "good/big"])).await;
    // One refused key shuts that provider: its other model is not asked in vain.
    assert_eq!((fallen.provider.as_str(), fallen.requests, fallen.answer.as_str()), ("good", 2, "done"));
    let simulated = call_of(&app, agent("simulated", "simulated/any", &[])).await;
    assert!(simulated.simulated);

    let models: Vec<_> = good.requests().iter().map(|ask| ask.json["model"].clone()).collect();
    assert_eq!(models, ["meta/big", "big"]);
    let models: Vec<_> = bad.requests().iter().map(|ask| ask.json["model"].clone()).collect();
    assert_eq!(models, ["small"]);

    let status = app.services.system.status().await.unwrap();
    let shown: Vec<_> = status.providers.iter().map(|p| (p.name.as_str(), p.key_set, p.default)).collect();
    assert_eq!(shown, [("bad", false, true), ("good", true, false)]);
    assert_eq!(
        (status.provider.as_str(), status.model.as_str(), status.openai_key_active),
        ("bad", "small", true)
    );
    let verify = app.services.system.verify().await;
    assert_eq!(verify["checks"]["providers"][1]["host"], good.base_url().split('/').nth(2).unwrap());
    assert!(!verify.to_string().contains("key-of-good"), "{verify}");

    let prices = &app.services.execution.foundation().prices;
    let expected = Price { input: 1.0, cached_input: None, output: 2.0 };
    assert_eq!((prices.of("good", "big"), prices.of("bad", "big")), (Some(expected), None));
}

#[tokio::test]
async fn a_provider_is_asked_by_no_more_jobs_at_once_than_it_allows() {
    let narrow = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(20)));
    let text = format!(
        "workers = 12\nmodel_stream = false\n[providers.narrow]\nbase_url = '{}'\nmodel = 'm'\nconcurrency = 2\n",
        narrow.base_url()
    );
    let folder = tempfile::tempdir().unwrap();
    let app = open(&folder, &text).await;
    // Two models of one provider, and the default one: all share its places.
    for (name, model) in [("first", "narrow/a"), ("second", "narrow/b"), ("third", "gpt-4o-mini")] {
        app.services.agents.register(agent(name, model, &[])).await.unwrap();
    }
    for n in 0..12 {
        let name = ["first", "second", "third"][n % 3];
        let new = NewTask { job: format!("task {n}"), agent_name: Some(name.into()), ..NewTask::default() };
        app.services.tasks.submit(new).await.unwrap();
    }
    let _worker = app.start_worker();
    idle(&app).await;
    assert_eq!((narrow.calls(), narrow.most_in_flight()), (12, 2));
    let status = app.services.system.status().await.unwrap();
    assert_eq!(status.providers[0].concurrency, Some(2));
}
