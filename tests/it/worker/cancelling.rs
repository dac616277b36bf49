//! Cancel: jobs that wait, jobs that run, steps with their workflows.

use std::time::Duration;

use productforge::{
    app::App,
    model::{
        AttemptOutcome, Job, JobState, ResultStatus, RunEventKind, StepStatus, TemplateRole, WorkflowStatus,
    },
    service::{
        ServiceError,
        execution::{Admission, Ending, Running},
        records,
        tasks::NewTask,
        workflows::NewWorkflow,
    },
    store::{Change, Queue, REVOKED, Reserve},
};

use crate::support::{
    scripted::{Line, Scripted, chain},
    wait::until,
    world::{idle, job, paid, push, reviewed, world},
};

fn task(text: &str) -> NewTask {
    NewTask { job: text.to_owned(), ..NewTask::default() }
}

async fn cancel(app: &App, id: &str) -> Job {
    app.services.jobs.cancel(id, Some("not wanted any more")).await.unwrap();
    // As stored: times are written with microseconds.
    job(app, id).await
}

/// Begins an attempt by hand.
async fn admitted(app: &App) -> Box<Running> {
    let request = Reserve { worker: "by hand".into(), limit: 1, lease_ms: 60_000, order: Queue::ALL };
    let delivery = app.store.reserve(&request).await.unwrap().pop().unwrap();
    match app.services.execution.admit(&delivery, "by hand").await.unwrap() {
        Admission::Run(running) => running,
        other => panic!("not admitted: {other:?}"),
    }
}

#[tokio::test]
async fn a_waiting_job_that_is_cancelled_is_never_begun() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    let cancelled = cancel(&app, &id).await;
    assert_eq!(
        (cancelled.state, cancelled.error.as_deref()),
        (JobState::Cancelled, Some("not wanted any more"))
    );
    let result = app.services.results.get(&id).await.unwrap();
    assert_eq!((result.status, result.output.as_str()), (ResultStatus::Cancelled, "not wanted any more"));
    assert_eq!(cancel(&app, &id).await, cancelled, "twice is as good as once");
    let worker = app.start_worker();
    idle(&app).await;
    assert_eq!(provider.calls(), 0);
    assert_eq!(job(&app, &id).await, cancelled);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_scheduled_job_can_be_cancelled() {
    let app = world(&[], chain(|_| "approve"));
    let new = NewTask { delay_seconds: Some(0.2), ..task("x") };
    let id = app.services.tasks.submit(new).await.unwrap().job_id;
    assert_eq!(job(&app, &id).await.state, JobState::Scheduled);
    assert_eq!(cancel(&app, &id).await.due_at, None);
    let worker = app.start_worker();
    idle(&app).await;
    assert_eq!(job(&app, &id).await.attempts, []);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_cancelled_job_is_not_run_when_its_document_is_gone_before_its_payload_comes() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    cancel(&app, &id).await;
    app.services.jobs.delete(&id, true).await.unwrap();
    let worker = app.start_worker();
    idle(&app).await;
    assert_eq!(provider.calls(), 0);
    assert!(app.services.results.find(&id).await.unwrap().is_none());
    // The id is as good as new for a foreign program.
    push(&app, Queue::Normal, &format!(r#"{{"job_id": "{id}", "job": "y"}}"#)).await;
    until("it runs", || async { app.services.results.find(&id).await.unwrap() }).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_running_job_that_is_cancelled_loses_its_lease_and_a_late_answer_changes_nothing() {
    let app = world(&[], chain(|_| "approve"));
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    let running = admitted(&app).await;
    let execution = &app.services.execution;
    let answer = paid(&app, &running).await;
    let cancelled = cancel(&app, &id).await;
    assert_eq!(cancelled.attempts[0].outcome, Some(AttemptOutcome::Cancelled));
    assert_eq!(app.store.leases(10).await.unwrap(), [], "its lease has ended");
    assert_eq!(app.store.depth().await.unwrap().open(), 0, "and its payload with it");
    let hint = app.store.events(REVOKED, 0, 10).await.unwrap().pop().unwrap();
    assert_eq!(String::from_utf8(hint.body).unwrap(), running.token.to_string());
    assert_eq!(execution.complete(&running, &answer).await.unwrap(), Ending::LeaseLost);
    assert_eq!(execution.release(&running).await.unwrap(), Ending::LeaseLost);
    assert_eq!(job(&app, &id).await, cancelled);
    assert_eq!(app.services.results.get(&id).await.unwrap().status, ResultStatus::Cancelled);
    assert!(execution.was_cancelled(&id).await);
}

#[tokio::test]
async fn a_worker_stops_a_call_whose_job_was_cancelled() {
    let provider = Scripted::held(|_, _| Line::Say("too late".into()));
    // The next renewal is twenty minutes away: only the hint can tell it in time.
    let app = world(&[("LEASE_SECONDS", "3600")], provider.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    until("the call", || async { (provider.calls() == 1).then_some(()) }).await;
    cancel(&app, &id).await;
    // Its slot is free when the worker can be stopped without a wait for a job.
    let stopped = worker.stop(Duration::from_secs(3600), std::future::pending());
    tokio::time::timeout(Duration::from_secs(20), stopped).await.expect("the call is dropped");
    assert_eq!(job(&app, &id).await.state, JobState::Cancelled);
    assert_eq!(app.services.results.get(&id).await.unwrap().status, ResultStatus::Cancelled);
    assert_eq!(app.store.depth().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_job_that_has_ended_cannot_be_cancelled() {
    let app = world(&[], chain(|_| "approve"));
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task("x")).await.unwrap().job_id;
    until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    let refused = app.services.jobs.cancel(&id, None).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(why)) if why.contains("has completed already")));
    let unknown = app.services.jobs.cancel("nothing", None).await;
    assert!(matches!(unknown, Err(ServiceError::NotFound(_))));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn to_cancel_a_step_cancels_its_workflow_and_everything_that_runs_in_it() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let new = NewWorkflow {
        specialists: Some(vec!["analyzer_bot".into(), "debugger_bot".into(), "qa_bot".into()]),
        ..reviewed("Fix the login bug")
    };
    let workflow = app.services.workflows.start(new).await.unwrap();
    let running = admitted(&app).await;
    let execution = &app.services.execution;
    let answer = paid(&app, &running).await;
    execution.complete(&running, &answer).await.unwrap();
    // Two specialists run, the third one waits.
    let (first, second) = (admitted(&app).await, admitted(&app).await);
    let cancelled = cancel(&app, &first.job.job_id).await;
    assert_eq!(cancelled.state, JobState::Cancelled);
    let workflow = app.services.workflows.get(&workflow.workflow_id).await.unwrap();
    assert_eq!(workflow.status, WorkflowStatus::Cancelled);
    let specialists = workflow.steps.iter().filter(|s| s.role == TemplateRole::Specialist);
    let mut statuses: Vec<_> = specialists.map(|s| s.status.as_str()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["cancelled", "cancelled", "skipped"]);
    assert!(workflow.steps.iter().all(|s| s.status.is_terminal()), "{workflow:#?}");
    assert_eq!(app.store.leases(10).await.unwrap(), []);
    for step in workflow.steps.iter().filter(|s| s.role == TemplateRole::Specialist) {
        assert_eq!(job(&app, &step.job_id).await.state, JobState::Cancelled);
        assert_eq!(app.services.results.get(&step.job_id).await.unwrap().status, ResultStatus::Cancelled);
    }
    let events = app.services.workflows.detail(&workflow.workflow_id).await.unwrap().events;
    assert_eq!(events.last().unwrap().kind, RunEventKind::WorkflowCancelled);
    // What waits still is passed over, and what ran comes too late.
    assert_eq!(execution.complete(&second, &answer).await.unwrap(), Ending::LeaseLost);
    let worker = app.start_worker();
    idle(&app).await;
    assert_eq!(provider.calls(), 1);
    let after = app.services.workflows.get(&workflow.workflow_id).await.unwrap();
    assert_eq!(after, workflow);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn all_that_failed_in_a_workflow_is_retried_and_what_was_cancelled_with_it_runs_after_all() {
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rule = mended.clone();
    let provider = Scripted::new(move |request, n| {
        let broken =
            request.scene.role == Some(TemplateRole::Specialist) && request.scene.agent == "analyzer_bot";
        match broken && !rule.load(std::sync::atomic::Ordering::SeqCst) {
            true => Line::Fail(productforge::llm::ModelErrorKind::Billing),
            false => Line::Say(format!("answer {n}")),
        }
    });
    // One slot: the second specialist is queued when the first one fails.
    let app = world(&[("WORKERS", "1")], provider);
    let worker = app.start_worker();
    let new = NewWorkflow {
        job: "x".into(),
        specialists: Some(vec!["analyzer_bot".into(), "debugger_bot".into()]),
        ..NewWorkflow::default()
    };
    let id = app.services.workflows.start(new).await.unwrap().workflow_id;
    let failed = crate::support::world::ended(&app, &id).await;
    assert_eq!(failed.status, WorkflowStatus::Failed);
    let step =
        |place: usize| failed.steps.iter().filter(|s| s.role == TemplateRole::Specialist).nth(place).unwrap();
    until("the other one's job is settled", || async {
        (job(&app, &step(1).job_id).await.state == JobState::Cancelled).then_some(())
    })
    .await;
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    app.services.jobs.retry(&step(0).job_id, None).await.unwrap();
    let done = crate::support::world::ended(&app, &id).await;
    assert_eq!(done.status, WorkflowStatus::Completed, "{done:#?}");
    assert!(done.steps.iter().all(|s| s.status == StepStatus::Completed));
    for step in &done.steps {
        assert_eq!(app.services.results.get(&step.job_id).await.unwrap().status, ResultStatus::Completed);
    }
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_dead_step_whose_document_has_expired_is_retried_from_what_the_dead_set_kept() {
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rule = mended.clone();
    let provider = Scripted::new(move |_, n| match rule.load(std::sync::atomic::Ordering::SeqCst) {
        true => Line::Say(format!("answer {n}")),
        false => Line::Fail(productforge::llm::ModelErrorKind::Billing),
    });
    let app = world(&[], provider);
    let worker = app.start_worker();
    let workflow = app.services.workflows.start(reviewed("x")).await.unwrap();
    let task = app.services.tasks.submit(task("y")).await.unwrap().job_id;
    let failed = crate::support::world::ended(&app, &workflow.workflow_id).await;
    let step = failed.steps[0].job_id.clone();
    until("a result", || async { app.services.results.find(&task).await.unwrap() }).await;
    for id in [&task, &step] {
        app.store.apply(Change::new().delete(records::job_key(id))).await.unwrap().unwrap();
    }
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    for id in [&task, &step] {
        let job = app.services.jobs.retry(id, None).await.unwrap();
        assert_eq!((job.attempts.len(), job.failures()), (1, 0));
    }
    let done = crate::support::world::ended(&app, &workflow.workflow_id).await;
    assert_eq!(done.status, WorkflowStatus::Completed);
    until("the task is done", || async {
        (job(&app, &task).await.state == JobState::Completed).then_some(())
    })
    .await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
