//! A budget that two processes spend.

use std::{sync::Arc, time::Duration};

use productforge::{
    model::JobState,
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

const LIMIT: i64 = 600;
/// What a call uses; it reserves more, as nobody knows beforehand.
const CALL: i64 = 18;

#[tokio::test]
async fn a_hundred_jobs_of_two_processes_pass_a_budget_by_one_call_at_the_most() {
    let redis = RedisServer::start();
    let model = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(30)));
    let store: Arc<dyn Store> =
        Arc::new(RedisStore::open(RedisOptions { url: redis.url(), prefix: String::new() }).unwrap());
    let app = world_on(store.clone(), &[], chain(|_| "approve"));
    let mut ids = Vec::new();
    for n in 0..100 {
        let task = NewTask { job: format!("question {n}"), ..NewTask::default() };
        ids.push(app.services.tasks.submit(task).await.unwrap().job_id);
    }
    let folder = folder();
    let (redis_url, model_url, limit) = (redis.url(), model.base_url(), LIMIT.to_string());
    let environment = [
        ("REDIS_URL", redis_url.as_str()),
        ("OPENAI_BASE_URL", model_url.as_str()),
        ("DAILY_BUDGET_TOKENS", limit.as_str()),
        ("MODEL_MAX_TOKENS", "7"),
        ("WORKERS", "50"),
    ];
    let workers = [(); 2].map(|()| Process::start(folder.path(), &["worker"], &environment));
    let tally = async || {
        let name = format!("budget:day:{}", chrono::Utc::now().date_naive());
        let tally = store.tallies(&[name]).await.unwrap().pop().unwrap();
        let get = |field: &str| tally.get(field).copied().unwrap_or(0);
        (get("used_tokens"), get("held_tokens"))
    };
    let used = until_within(Duration::from_secs(60), "the budget is used up and nothing is held", || async {
        let (used, held) = tally().await;
        (used >= LIMIT && held == 0).then_some(used)
    })
    .await;
    assert!(used < LIMIT + CALL, "{used} tokens of {LIMIT}");
    assert_eq!(model.calls() as i64 * CALL, used);
    until_within(Duration::from_secs(30), "the others say what they wait for", || async {
        for id in &ids {
            let job = job(&app, id).await;
            let waits = job.state == JobState::Scheduled && job.waits_for.as_deref() == Some("budget:day");
            if !waits && job.state != JobState::Completed {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert_eq!(tally().await, (used, 0));
    drop(workers);
}
