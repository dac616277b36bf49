//! Limits on what runs at once: per agent and per model.

use std::{sync::Arc, time::Duration};

use productforge::{
    app::App,
    llm::openai::OpenAiProvider,
    model::{JobState, NewAgent},
    service::tasks::NewTask,
};

use crate::support::{
    fake_model::{FakeModel, Reply},
    wait::until,
    world::{idle, job, world},
};

fn agent(name: &str, model: &str, max_concurrency: Option<u32>) -> NewAgent {
    NewAgent {
        name: name.to_owned(),
        role: "Test".to_owned(),
        model: model.to_owned(),
        max_concurrency,
        ..NewAgent::default()
    }
}

fn over(model: &FakeModel, variables: &[(&str, &str)]) -> App {
    world(variables, Arc::new(OpenAiProvider::new(&model.config()).unwrap()))
}

async fn submit(app: &App, agent: &str, number: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..number {
        let new = NewTask { job: format!("task {n}"), agent_name: Some(agent.into()), ..NewTask::default() };
        ids.push(app.services.tasks.submit(new).await.unwrap().job_id);
    }
    ids
}

async fn all_completed(app: &App, ids: &[String]) {
    idle(app).await;
    for id in ids {
        let job = job(app, id).await;
        assert_eq!((job.state, job.attempts.len(), job.waits_for), (JobState::Completed, 1, None));
    }
}

#[tokio::test]
async fn no_more_jobs_of_an_agent_run_than_it_allows_and_all_get_their_turn() {
    let model = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(20)));
    let app = over(&model, &[("WORKERS", "8")]);
    app.services.agents.register(agent("narrow", "m", Some(2))).await.unwrap();
    let ids = submit(&app, "narrow", 10).await;
    let workers = [app.start_worker(), app.start_worker()];
    all_completed(&app, &ids).await;
    assert_eq!((model.calls(), model.most_in_flight()), (10, 2));
    for worker in workers {
        worker.stop(Duration::from_secs(5), std::future::pending()).await;
    }
}

#[tokio::test]
async fn a_job_without_a_place_says_what_it_waits_for_and_holds_no_slot() {
    let model = FakeModel::by(|_, _| Reply::answer("done").held());
    let app = over(&model, &[("WORKERS", "2")]);
    app.services.agents.register(agent("narrow", "m", Some(1))).await.unwrap();
    let worker = app.start_worker();
    let narrow = submit(&app, "narrow", 3).await;
    until("two are parked", || async { (app.store.depth().await.unwrap().parked == 2).then_some(()) }).await;
    // There is a slot for somebody else.
    let other = submit(&app, "qa_bot", 1).await;
    model.until("both calls", |model| model.in_flight() == 2).await;
    let mut waiting = 0;
    for id in &narrow {
        let story = app.services.jobs.get(id).await.unwrap();
        if story.job.state == JobState::Queued {
            waiting += 1;
            assert_eq!(story.job.waits_for.as_deref(), Some("agent:narrow"));
            assert!(story.waits_because.unwrap().starts_with("Waits for agent:narrow"));
            assert_eq!(story.job.attempts, [], "none was charged");
        }
    }
    assert_eq!(waiting, 2);
    // Each held call is let go as it comes.
    until("all are done", || async {
        model.release();
        (app.store.depth().await.unwrap().open() == 0).then_some(())
    })
    .await;
    all_completed(&app, &[narrow, other].concat()).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_parked_job_can_be_cancelled() {
    let model = FakeModel::by(|_, _| Reply::answer("done").held());
    let app = over(&model, &[("WORKERS", "2")]);
    app.services.agents.register(agent("narrow", "m", Some(1))).await.unwrap();
    let worker = app.start_worker();
    let ids = submit(&app, "narrow", 2).await;
    until("one is parked", || async { (app.store.depth().await.unwrap().parked == 1).then_some(()) }).await;
    let mut parked = None;
    for id in &ids {
        if job(&app, id).await.waits_for.is_some() {
            parked = Some(id);
        }
    }
    let parked = parked.unwrap();
    app.services.jobs.cancel(parked, None).await.unwrap();
    let cancelled = job(&app, parked).await;
    assert_eq!((cancelled.state, &cancelled.waits_for), (JobState::Cancelled, &None));
    model.until("the other one is asked", |model| model.in_flight() == 1).await;
    model.release();
    idle(&app).await;
    assert_eq!(job(&app, parked).await, cancelled);
    assert_eq!(model.calls(), 1);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_model_has_a_limit_over_all_agents_that_use_it() {
    let model = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(20)));
    // The default model of the fake one is test-default.
    let app = over(&model, &[("WORKERS", "12"), ("MODEL_CONCURRENCY", "test-default=3,*=1")]);
    app.services.agents.register(agent("first", "gpt-4o-mini", None)).await.unwrap();
    app.services.agents.register(agent("second", "gpt-4o-mini", None)).await.unwrap();
    let ids = [submit(&app, "first", 6).await, submit(&app, "second", 6).await].concat();
    let worker = app.start_worker();
    all_completed(&app, &ids).await;
    assert_eq!((model.calls(), model.most_in_flight()), (12, 3));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
