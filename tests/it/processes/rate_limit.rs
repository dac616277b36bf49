//! Two processes and one provider that lets only so much through.

use std::{sync::Arc, time::Duration};

use productforge::{
    app::App,
    model::{JobState, ResultStatus},
    service::tasks::NewTask,
    store::{
        Store,
        redis::{RedisOptions, RedisStore},
    },
};

use crate::support::{
    fake_model::{FakeModel, Reply},
    process::{Process, folder},
    redis_server::RedisServer,
    scripted::chain,
    wait::until_within,
    world::{job, world_on},
};

const JOBS: usize = 1_000;
/// What the provider lets through in any second. Its answers say nothing of it before they refuse.
const PER_SECOND: usize = 50;

#[tokio::test]
async fn a_thousand_jobs_of_two_processes_get_through_a_provider_of_fifty_a_second() {
    let redis = RedisServer::start();
    let model = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(40)))
        .limited(PER_SECOND, Duration::from_secs(1));
    let store: Arc<dyn Store> =
        Arc::new(RedisStore::open(RedisOptions { url: redis.url(), prefix: String::new() }).unwrap());
    let app: App = world_on(store.clone(), &[], chain(|_| "approve"));
    let mut ids = Vec::new();
    for n in 0..JOBS {
        let task = NewTask { job: format!("question {n}"), ..NewTask::default() };
        ids.push(app.services.tasks.submit(task).await.unwrap().job_id);
    }
    let folder = folder();
    let (redis_url, model_url) = (redis.url(), model.base_url());
    let environment =
        [("REDIS_URL", redis_url.as_str()), ("OPENAI_BASE_URL", model_url.as_str()), ("WORKERS", "12")];
    let workers = [(); 2].map(|()| Process::start(folder.path(), &["worker"], &environment));
    until_within(Duration::from_secs(120), "all are done", || async {
        (store.depth().await.unwrap().open() == 0).then_some(())
    })
    .await;

    let mut attempts = 0;
    for id in &ids {
        let job = job(&app, id).await;
        let result = app.services.results.get(id).await.unwrap();
        assert_eq!((job.state, result.status), (JobState::Completed, ResultStatus::Completed), "{job:?}");
        assert_eq!(job.failures(), 0, "{job:?}");
        attempts += job.attempts.len();
    }
    let wasted = model.refused();
    assert_eq!(model.calls(), JOBS + wasted);
    assert!(wasted * 100 < JOBS * 5, "{wasted} calls of {} were refused", model.calls());
    let asks = model.requests();
    let took = asks[asks.len() - 1].at - asks[0].at;
    println!(
        "{JOBS} jobs, {attempts} attempts, {wasted} refused, {:.1} s ({:.1} at the limit)",
        took.as_secs_f64(),
        JOBS as f64 / PER_SECOND as f64
    );
    drop(workers);
}
