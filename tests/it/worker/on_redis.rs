//! The life of jobs on a real Redis: what the embedded store is tested with, once more where the store's
//! part of it is another one.

use std::{sync::Arc, time::Duration};

use productforge::{
    app::App,
    llm::{ModelProvider, openai::OpenAiProvider},
    model::{JobState, NewAgent, ResultStatus},
    service::{
        IdempotencyKey,
        jobs::{JobFilter, StateFilter},
        tasks::NewTask,
    },
    store::{
        Queue,
        redis::{RedisOptions, RedisStore},
    },
};

use crate::support::{
    fake_model::{FakeModel, Reply},
    redis_server::RedisServer,
    scripted::{Line, Scripted, chain},
    wait::until,
    world::{idle, job, push, world_on},
};

fn over(server: &RedisServer, variables: &[(&str, &str)], provider: Arc<dyn ModelProvider>) -> App {
    let options = RedisOptions { url: server.url(), prefix: "{life}:".to_owned() };
    world_on(Arc::new(RedisStore::open(options).unwrap()), variables, provider)
}

fn task(text: &str) -> NewTask {
    NewTask { job: text.to_owned(), ..NewTask::default() }
}

#[tokio::test]
async fn two_processes_keep_to_the_limit_of_an_agent() {
    let server = RedisServer::start();
    let model = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(20)));
    let provider = || Arc::new(OpenAiProvider::new(&model.config()).unwrap());
    let apps =
        [over(&server, &[("WORKERS", "8")], provider()), over(&server, &[("WORKERS", "8")], provider())];
    let narrow = NewAgent {
        name: "narrow".to_owned(),
        role: "Test".to_owned(),
        model: "m".to_owned(),
        max_concurrency: Some(2),
        ..NewAgent::default()
    };
    apps[0].services.agents.register(narrow).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..10 {
        let new = NewTask { agent_name: Some("narrow".into()), ..task(&format!("task {n}")) };
        ids.push(apps[0].services.tasks.submit(new).await.unwrap().job_id);
    }
    let workers = apps.each_ref().map(App::start_worker);
    idle(&apps[0]).await;
    assert_eq!((model.calls(), model.most_in_flight()), (10, 2));
    for id in &ids {
        assert_eq!(job(&apps[0], id).await.state, JobState::Completed);
    }
    for worker in workers {
        worker.stop(Duration::from_secs(5), std::future::pending()).await;
    }
}

#[tokio::test]
async fn a_call_is_dropped_when_another_process_cancels_its_job() {
    let server = RedisServer::start();
    let provider = Scripted::held(|_, _| Line::Say("too late".into()));
    let app = over(&server, &[("LEASE_SECONDS", "1")], provider.clone());
    let other = over(&server, &[], chain(|_| "approve"));
    let worker = app.start_worker();
    let id = other.services.tasks.submit(task("x")).await.unwrap().job_id;
    until("the call", || async { (provider.calls() == 1).then_some(()) }).await;
    other.services.jobs.cancel(&id, Some("enough")).await.unwrap();
    assert_eq!(other.store.depth().await.unwrap().open(), 0, "lease and payload are gone at once");
    worker.stop(Duration::from_secs(20), std::future::pending()).await;
    let after = job(&app, &id).await;
    assert_eq!((after.state, after.error.as_deref()), (JobState::Cancelled, Some("enough")));
    assert_eq!(app.services.results.get(&id).await.unwrap().status, ResultStatus::Cancelled);
}

#[tokio::test]
async fn twenty_requests_at_once_with_one_key_make_one_job() {
    let server = RedisServer::start();
    let apps = [over(&server, &[], chain(|_| "approve")), over(&server, &[], chain(|_| "approve"))];
    let key = IdempotencyKey::parse("race").unwrap();
    let submit = |n: usize| apps[n % 2].services.tasks.submit_once(task("x"), Some(&key), None);
    let answers = futures_util::future::join_all((0..20).map(submit)).await;
    let ids: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.as_ref().unwrap().answer.job_id.clone()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.as_ref().unwrap().replayed).count(), 1);
    assert_eq!(apps[0].store.depth().await.unwrap().open(), 1);
}

#[tokio::test]
async fn the_oldest_dead_jobs_go_first_and_a_paused_queue_waits() {
    let server = RedisServer::start();
    let app = over(&server, &[], chain(|_| "approve"));
    let worker = app.start_worker();
    let jobs = &app.services.jobs;
    let filter = JobFilter { state: Some(StateFilter::Dead), ..JobFilter::default() };
    for n in 1..=5 {
        push(&app, Queue::High, &format!(r#"{{"job_id": "dead-{n}"}}"#)).await;
        until("it is dead", || async {
            (jobs.list(&filter, 10, None).await.unwrap().total == Some(n)).then_some(())
        })
        .await;
    }
    assert!(!jobs.trim_dead(2).await.unwrap());
    let left = jobs.list(&filter, 10, None).await.unwrap();
    let ids: Vec<_> = left.rows.iter().map(|row| row.job_id.as_str()).collect();
    assert_eq!(ids, ["dead-5", "dead-4"]);
    app.services.queues.pause("high", true).await.unwrap();
    push(&app, Queue::High, r#"{"job_id": "waits", "job": "x"}"#).await;
    let passes = app.services.tasks.submit(task("y")).await.unwrap().job_id;
    until("a result", || async { app.services.results.find(&passes).await.unwrap() }).await;
    let high = app.services.queues.list().await.unwrap().queues.remove(0);
    assert_eq!((high.depth, high.paused, high.oldest_job_id.as_deref()), (1, true, Some("waits")));
    app.services.queues.pause("high", false).await.unwrap();
    until("a result", || async { app.services.results.find("waits").await.unwrap() }).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
