//! Limits and faults of a provider, as all workers know them: waits that are kept, circuits that open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use productforge::{
    app::App,
    llm::openai::OpenAiProvider,
    model::{AttemptOutcome, JobState, ResultStatus},
    service::{pacing::StorePacer, tasks::NewTask},
    store::Store,
};

use crate::support::{
    app::memory,
    fake_model::{FakeModel, Reply},
    wait::until,
    world::{idle, job, world_on},
};

/// An application whose provider is paced through its store.
fn paced(store: &Arc<dyn Store>, model: &FakeModel, variables: &[(&str, &str)]) -> App {
    let pacer = Arc::new(StorePacer::new(store.clone()));
    let provider = OpenAiProvider::paced(&model.config(), pacer).unwrap();
    let url = model.base_url();
    world_on(store.clone(), &[variables, &[("OPENAI_BASE_URL", &url)]].concat(), Arc::new(provider))
}

async fn submit(app: &App, text: &str) -> String {
    let task = NewTask { job: text.to_owned(), ..NewTask::default() };
    app.services.tasks.submit(task).await.unwrap().job_id
}

#[tokio::test]
async fn a_billing_error_costs_one_attempt_and_shuts_the_provider_for_all_workers() {
    let paid = Arc::new(AtomicBool::new(false));
    let is_paid = paid.clone();
    let model = FakeModel::by(move |_, _| match is_paid.load(Ordering::Relaxed) {
        true => Reply::answer("paid for"),
        false => Reply::error(
            429,
            "credit_balance_exhausted",
            "insufficient_quota",
            "Your credit balance is exhausted.",
        ),
    });
    let store: Arc<dyn Store> = memory();
    let apps = [paced(&store, &model, &[]), paced(&store, &model, &[])];
    let first = apps[0].start_worker();
    let id = submit(&apps[0], "one").await;
    let result = until("a result", || async { apps[0].services.results.find(&id).await.unwrap() }).await;
    assert_eq!((result.status, result.attempts), (ResultStatus::Failed, 1));
    assert_eq!(model.calls(), 1);
    first.stop(Duration::from_secs(5), std::future::pending()).await;

    // The other worker asks nobody: its jobs wait, and no attempt is charged.
    let second = apps[1].start_worker();
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(submit(&apps[1], &format!("job {n}")).await);
    }
    for id in &ids {
        let waiting = until("it is put off", || async {
            let job = job(&apps[1], id).await;
            (job.state == JobState::Scheduled && job.waits_for.is_some()).then_some(job)
        })
        .await;
        assert_eq!(waiting.waits_for.as_deref(), Some("provider:openai"));
        assert!(waiting.attempts.is_empty(), "{waiting:?}");
    }
    assert_eq!(model.calls(), 1);
    let providers = apps[1].services.providers.list().await.unwrap();
    let shut = providers[0].circuit.as_ref().unwrap();
    assert!(shut.why.contains("credit"), "{shut:?}");

    // Somebody pays and says so: everything goes on.
    second.stop(Duration::from_secs(5), std::future::pending()).await;
    paid.store(true, Ordering::Relaxed);
    apps[1].services.providers.reset("openai").await.unwrap();
    let worker = apps[1].start_worker();
    for id in &ids {
        until("it goes on", || async {
            (job(&apps[1], id).await.state == JobState::Completed).then_some(())
        })
        .await;
    }
    assert_eq!(model.calls(), 1 + ids.len());
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_rate_limit_is_kept_to_by_all_workers_and_to_the_moment() {
    let wait = Duration::from_millis(700);
    let model = FakeModel::scripted([Reply::rate_limited().header("retry-after-ms", "700")]);
    let store: Arc<dyn Store> = memory();
    let apps = [paced(&store, &model, &[]), paced(&store, &model, &[])];
    let first = apps[0].start_worker();
    submit(&apps[0], "first").await;
    model.until("it is refused", |m| m.calls() == 1).await;
    let second = apps[1].start_worker();
    for n in 0..6 {
        submit(&apps[0], &format!("job {n}")).await;
    }
    idle(&apps[0]).await;
    let asks = model.requests();
    assert_eq!(asks.len(), 8);
    let refused_at = asks[0].at;
    let next = asks[1..].iter().map(|ask| ask.at - refused_at).min().unwrap();
    assert!(next >= wait, "{next:?} after the refusal");
    assert!(next < wait + Duration::from_millis(100), "{next:?} after the refusal");
    first.stop(Duration::from_secs(5), std::future::pending()).await;
    second.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_wait_of_more_than_twenty_seconds_frees_the_slot_and_charges_no_attempt() {
    let model = FakeModel::scripted([Reply::rate_limited().header("retry-after", "90")]);
    let store: Arc<dyn Store> = memory();
    let app = paced(&store, &model, &[("WORKERS", "1")]);
    let worker = app.start_worker();
    let id = submit(&app, "patience").await;
    let waiting = until("it is put off", || async {
        let job = job(&app, &id).await;
        (job.state == JobState::Scheduled).then_some(job)
    })
    .await;
    assert_eq!(waiting.waits_for.as_deref(), Some("provider:openai"));
    let outcomes: Vec<_> = waiting.attempts.iter().map(|a| a.outcome.unwrap()).collect();
    assert_eq!(outcomes, [AttemptOutcome::Postponed]);
    assert_eq!(waiting.failures(), 0);
    let in_seconds = (waiting.due_at.unwrap() - chrono::Utc::now()).num_seconds();
    assert!((80..100).contains(&in_seconds), "{in_seconds}");
    assert!(store.leases(10).await.unwrap().is_empty(), "the slot is free");
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
