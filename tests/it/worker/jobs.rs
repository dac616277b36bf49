//! Tasks, retries, journal and poison.

use std::time::Duration;

use productforge::{
    llm::ModelErrorKind,
    model::{AttemptOutcome, JobState, ResultStatus},
    service::{records, reviews::NewReview, tasks::NewTask},
    store::{Change, IndexName, LeaseEnd, Reserve},
};

use crate::support::{
    app::memory,
    scripted::{Line, Scripted, chain},
    sleepy_store::SleepyStore,
    wait::until,
    world::{idle, job, paid, world, world_on},
};

fn task(text: &str) -> NewTask {
    NewTask { job: text.to_owned(), ..NewTask::default() }
}

#[tokio::test]
async fn a_task_ends_with_one_result() {
    let app = world(&[], chain(|_| "approve"));
    let worker = app.start_worker();
    let receipt = app.services.tasks.submit(task("Say hello")).await.unwrap();
    let result =
        until("a result", || async { app.services.results.find(&receipt.job_id).await.unwrap() }).await;
    assert_eq!((result.status, result.output.as_str()), (ResultStatus::Completed, "answer 1"));
    assert_eq!(result.task.as_deref(), Some("Say hello"));
    assert_eq!(job(&app, &receipt.job_id).await.state, JobState::Completed);
    // Counted after the job was accepted: the receipt came after it.
    let agent = app.services.agents.get("general_assistant").await.unwrap();
    assert_eq!((agent.task_count, agent.last_assigned.is_some()), (1, true));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_review_sees_the_work_it_reviews() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let first = app.services.tasks.submit(task("Name a colour")).await.unwrap();
    until("a result", || async { app.services.results.find(&first.job_id).await.unwrap() }).await;
    let review = NewReview { job_id: first.job_id, review_prompt: "Is it a colour?".into() };
    let receipt = app.services.reviews.ask(review).await.unwrap();
    until("a review", || async { app.services.results.find(&receipt.review_job_id).await.unwrap() }).await;
    let prompt = provider.prompt(1);
    for part in ["Is it a colour?", "Name a colour", "answer 1", "qa_bot"] {
        assert!(prompt.contains(part), "{part} is missing in {prompt}");
    }
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again() {
    let provider = Scripted::new(|_, n| {
        if n < 3 { Line::Fail(ModelErrorKind::Unavailable) } else { Line::Say("at last".into()) }
    });
    let app = world(&[("RETRY_BASE_SECONDS", "0.1")], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!((result.status, result.attempts), (ResultStatus::Completed, 3));
    let outcomes: Vec<_> = job(&app, &id).await.attempts.iter().map(|a| a.outcome.unwrap()).collect();
    assert_eq!(outcomes, [AttemptOutcome::Failed, AttemptOutcome::Failed, AttemptOutcome::Completed]);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn the_last_failure_is_the_result_and_stands_in_the_dead_set() {
    let provider = Scripted::new(|_, _| Line::Fail(ModelErrorKind::Timeout));
    let app = world(&[("RETRY_BASE_SECONDS", "0.1"), ("JOB_MAX_ATTEMPTS", "2")], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!((result.status, result.attempts), (ResultStatus::Failed, 2));
    assert_eq!(result.error.as_deref(), Some("scripted timeout"));
    assert_eq!(provider.calls(), 2);
    assert_eq!(app.store.count(&IndexName::all(records::DEAD_JOB)).await.unwrap(), 1);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_billing_failure_is_not_tried_again() {
    let provider = Scripted::new(|_, _| Line::Fail(ModelErrorKind::Billing));
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!(provider.calls(), 1);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn an_answer_that_was_paid_for_is_used_after_a_crash() {
    let provider = chain(|_| "approve");
    let app = world(&[("LEASE_SECONDS", "1")], provider.clone());
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    // A worker that gets as far as the journal and dies.
    let request =
        Reserve { worker: "dead".into(), limit: 1, lease_ms: 1, order: productforge::store::Queue::ALL };
    let delivery = app.store.reserve(&request).await.unwrap().pop().unwrap();
    let execution = &app.services.execution;
    let productforge::service::execution::Admission::Run(running) =
        execution.admit(&delivery, "dead").await.unwrap()
    else {
        panic!("not admitted")
    };
    paid(&app, &running).await;
    let worker = app.start_worker();
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!((result.output.as_str(), result.attempts), ("answer 1", 2));
    assert_eq!(provider.calls(), 1, "the model was asked once");
    assert_eq!(app.services.usage.today().await.unwrap().total.calls, 1, "and is counted once");
    assert_eq!(job(&app, &id).await.attempts[0].outcome, Some(AttemptOutcome::Crashed));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_late_worker_changes_nothing() {
    let app = world(&[], chain(|_| "approve"));
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    let request =
        Reserve { worker: "slow".into(), limit: 1, lease_ms: 1, order: productforge::store::Queue::ALL };
    let delivery = app.store.reserve(&request).await.unwrap().pop().unwrap();
    let execution = &app.services.execution;
    let productforge::service::execution::Admission::Run(running) =
        execution.admit(&delivery, "slow").await.unwrap()
    else {
        panic!("not admitted")
    };
    let answer = paid(&app, &running).await;
    until("the lease is swept", || async { app.store.sweep(10).await.unwrap().pop() }).await;
    let late = execution.complete(&running, &answer).await.unwrap();
    assert_eq!(late, productforge::service::execution::Ending::LeaseLost);
    assert!(app.services.results.find(&id).await.unwrap().is_none());
    assert_eq!(app.store.depth().await.unwrap().ready(), 1, "the job is there for another worker");
}

#[tokio::test]
async fn a_job_that_brings_down_its_workers_ends_as_poison() {
    let provider = Scripted::new(|_, _| Line::Panic);
    let app = world(&[("LEASE_SECONDS", "1")], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!(result.status, ResultStatus::Failed);
    assert!(result.error.unwrap().contains("ran out 3 times"));
    assert_eq!(provider.calls(), 3);
    idle(&app).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_job_with_a_result_is_not_run_again() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    let payload = format!(r#"{{"job_id":"{id}","job":"x","agent_name":"qa_bot"}}"#);
    crate::support::world::push(&app, productforge::store::Queue::Normal, &payload).await;
    idle(&app).await;
    assert_eq!(provider.calls(), 1);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_stale_token_cannot_end_a_lease() {
    let app = world(&[], chain(|_| "approve"));
    app.services.tasks.submit(task("x")).await.unwrap();
    let request =
        Reserve { worker: "w".into(), limit: 1, lease_ms: 1, order: productforge::store::Queue::ALL };
    let token = app.store.reserve(&request).await.unwrap()[0].token;
    until("the lease is swept", || async { app.store.sweep(10).await.unwrap().pop() }).await;
    let outcome = app.store.apply(Change::new().under(token, LeaseEnd::Finish)).await.unwrap();
    assert!(outcome.is_err());
}

#[tokio::test]
async fn an_answer_outlives_a_store_that_is_away_when_it_comes() {
    let provider = Scripted::held(|_, _| Line::Say("paid for".into()));
    let store = SleepyStore::over(memory());
    let app = world_on(store.clone(), &[], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    until("the call", || async { (provider.calls() == 1).then_some(()) }).await;
    store.go_away();
    let refused = store.refused();
    provider.release();
    until("the answer was offered in vain", || async { (store.refused() > refused + 3).then_some(()) }).await;
    store.come_back();
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!((result.output.as_str(), result.attempts, provider.calls()), ("paid for", 1, 1));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
