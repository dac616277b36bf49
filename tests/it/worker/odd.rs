//! Odd things around a job: answers lost, deliveries doubled, documents of another time.

use std::time::Duration;

use productforge::{
    engine::retry::Failure,
    llm::ModelErrorKind,
    model::{AttemptOutcome, FailureClass, JobState, ResultStatus, StepStatus, TemplateRole, WorkflowStatus},
    service::{ResultFilter, execution::Fault, records, tasks::NewTask, workflows::NewWorkflow},
    store::{Change, DocKey, IndexName, Put, Queue, Reserve},
};
use serde_json::json;

use crate::support::{
    app::memory,
    scripted::{Line, Scripted, chain},
    sleepy_store::SleepyStore,
    wait::until,
    world::{ended, idle, job, paid, push, reviewed, world, world_on},
};

fn task() -> NewTask {
    NewTask { job: "x".to_owned(), ..NewTask::default() }
}

fn put(id: &str, kind: productforge::store::Kind, document: serde_json::Value) -> Change {
    Change::new().put(Put::json(DocKey::new(kind, id), &document).indexed(1))
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_happens_once() {
    let store = SleepyStore::over(memory());
    let app = world_on(store.clone(), &[], chain(|_| "approve"));
    app.services.agents.list().await.unwrap();
    store.lose_answers(1);
    app.services.workflows.start(reviewed("once")).await.unwrap();
    assert_eq!(app.services.workflows.list(10, None).await.unwrap().total, 1);
    assert_eq!(app.store.depth().await.unwrap().open(), 1);
}

#[tokio::test]
async fn jobs_leased_by_a_lost_answer_are_given_back_with_no_crash() {
    let store = SleepyStore::over(memory());
    let app = world_on(store.clone(), &[("LEASE_SECONDS", "600")], chain(|_| "approve"));
    let id = app.services.tasks.submit(task()).await.unwrap().job_id;
    store.lose_answers(1);
    let worker = app.start_worker();
    // Ten minutes of lease: only giving the job back makes it run in time.
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!(result.attempts, 1);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn writes_whose_answers_are_lost_leave_one_result() {
    let provider = Scripted::held(|_, _| Line::Say("answer".into()));
    let store = SleepyStore::over(memory());
    let app = world_on(store.clone(), &[], provider.clone());
    let id = app.services.tasks.submit(task()).await.unwrap().job_id;
    let worker = app.start_worker();
    until("the call", || async { (provider.calls() == 1).then_some(()) }).await;
    store.lose_answers(2);
    provider.release();
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    idle(&app).await;
    assert_eq!((result.attempts, provider.calls()), (1, 1));
    assert_eq!(job(&app, &id).await.attempts.len(), 1);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_second_delivery_of_a_running_job_waits_and_settles() {
    let provider = Scripted::held(|_, _| Line::Say("answer".into()));
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    push(&app, Queue::Normal, r#"{"job_id":"twice","job":"x"}"#).await;
    until("the call", || async { (provider.calls() == 1).then_some(()) }).await;
    push(&app, Queue::Normal, r#"{"job_id":"twice","job":"x"}"#).await;
    until("the second one waits", || async { (app.store.depth().await.unwrap().due == 1).then_some(()) })
        .await;
    provider.release();
    idle(&app).await;
    assert_eq!(provider.calls(), 1);
    let stored = job(&app, "twice").await;
    assert_eq!((stored.state, stored.attempts.len()), (JobState::Completed, 1));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_reused_foreign_id_does_not_get_the_old_answer() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    push(&app, Queue::Normal, r#"{"job_id":"report","job":"A"}"#).await;
    until("a result", || async { app.services.results.find("report").await.unwrap() }).await;
    // Days later: the job's and the result's documents have lapsed, the journal has not.
    let lapsed = Change::new().delete(records::job_key("report")).delete(records::result_key("report"));
    app.store.apply(lapsed).await.unwrap().unwrap();
    push(&app, Queue::Normal, r#"{"job_id":"report","job":"B"}"#).await;
    let result = until("a result", || async { app.services.results.find("report").await.unwrap() }).await;
    assert_eq!((result.task.as_deref(), result.output.as_str()), (Some("B"), "answer 2"));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn an_agent_document_that_cannot_be_read_stops_no_job() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    app.store.apply(put("qa_bot", records::AGENT, json!({"name": "qa_bot"}))).await.unwrap().unwrap();
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("x")).await.unwrap().workflow_id;
    assert_eq!(ended(&app, &id).await.status, WorkflowStatus::Completed);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_job_of_an_unreadable_workflow_still_gets_its_result() {
    let app = world(&[], chain(|_| "approve"));
    let workflow = app.services.workflows.start(reviewed("x")).await.unwrap();
    let (id, first) = (workflow.workflow_id.clone(), workflow.steps[0].job_id.clone());
    app.store.apply(put(&id, records::WORKFLOW, json!({"half": "written"}))).await.unwrap().unwrap();
    let worker = app.start_worker();
    let result = until("a result", || async { app.services.results.find(&first).await.unwrap() }).await;
    assert_eq!(result.status, ResultStatus::Failed);
    assert!(result.error.unwrap().contains("cannot be read"));
    idle(&app).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_large_payload_without_an_id_runs_once() {
    let app = world(&[], chain(|_| "approve"));
    let near = format!(r#"{{"job":"x","ballast":"{}"}}"#, "b".repeat(900_000));
    push(&app, Queue::Normal, &near).await;
    let worker = app.start_worker();
    idle(&app).await;
    let dead = app.store.count(&IndexName::all(records::DEAD_JOB)).await.unwrap();
    let results = app.services.results.list(&ResultFilter::default(), 10, None).await.unwrap().total;
    assert_eq!((dead, results), (0, Some(1)));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

/// A workflow as the legacy system stored it, all steps queued at once.
async fn legacy_workflow(app: &productforge::app::App) {
    let step = |name: &str, agent: &str, job: &str, depends: Option<&str>| json!({"step": name, "agent": agent, "job_id": job, "status": "queued", "depends_on": depends});
    let workflow = json!({"workflow_id": "old", "original_task": "Fix the login bug", "status": "running",
        "qa_enabled": false, "created_at": "2026-11-22T10:17:24.738861",
        "steps": [step("admin_analysis", "general_assistant", "job-1", None),
                  step("specialist_execution", "debugger_bot", "job-2", Some("job-1"))]});
    app.store.apply(put("old", records::WORKFLOW, workflow)).await.unwrap().unwrap();
}

fn legacy_payload(job: &str, step: &str) -> String {
    json!({"job_id": job, "workflow_id": "old", "job": "Fix the login bug", "agent_name": "debugger_bot",
        "step": step, "mode": step, "created_at": "2026-11-22T10:17:24.742943"})
    .to_string()
}

#[tokio::test]
async fn a_legacy_workflow_in_flight_is_finished_in_order() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    legacy_workflow(&app).await;
    // The later step comes first.
    push(&app, Queue::High, &legacy_payload("job-2", "specialist_execution")).await;
    push(&app, Queue::Low, &legacy_payload("job-1", "admin_analysis")).await;
    let worker = app.start_worker();
    let workflow = ended(&app, "old").await;
    assert_eq!(workflow.status, WorkflowStatus::Completed);
    assert!(workflow.steps.iter().all(|s| s.status == StepStatus::Completed));
    let roles: Vec<_> = workflow.steps.iter().map(|s| s.role).collect();
    assert_eq!(roles, [TemplateRole::Admin, TemplateRole::Specialist], "told by the steps' names");
    assert_eq!(provider.calls(), 2);
    idle(&app).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_step_takes_the_result_that_a_legacy_worker_wrote() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    legacy_workflow(&app).await;
    let result = json!({"job_id": "job-1", "agent": "default_agent", "role": "Analyze", "status": "completed",
        "output": "The legacy analysis.", "started_at": "2026-11-22T10:18:25.575498", "execution_time": 0.5,
        "completed_at": "2026-11-22T10:18:26.072904", "confidence_score": 0.95,
        "timestamp": "2026-11-22T10:18:26.072977", "task": null});
    app.store.apply(put("job-1", records::RESULT, result)).await.unwrap().unwrap();
    push(&app, Queue::Normal, &legacy_payload("job-2", "specialist_execution")).await;
    let worker = app.start_worker();
    let workflow = ended(&app, "old").await;
    assert_eq!(workflow.status, WorkflowStatus::Completed);
    assert_eq!(provider.calls(), 1);
    assert!(provider.prompt(0).contains("The legacy analysis."), "{}", provider.prompt(0));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_step_that_outlived_its_workflow_is_skipped_and_not_left_queued() {
    // One specialist fails for good while the other is in the middle of its call.
    let provider = Scripted::new(|request, _| match request.scene.agent.as_str() {
        "qa_bot" => Line::Fail(ModelErrorKind::Auth),
        _ => Line::Say("ok".into()),
    });
    let app = world(&[("WORKERS", "1")], provider);
    let brief =
        NewWorkflow { specialists: Some(vec!["debugger_bot".into(), "qa_bot".into()]), ..reviewed("x") };
    let id = app.services.workflows.start(brief).await.unwrap().workflow_id;
    let request = |limit| Reserve {
        worker: "by hand".into(),
        limit,
        lease_ms: 60_000,
        order: productforge::store::Queue::ALL,
    };
    let execution = &app.services.execution;
    let run = |delivery: productforge::store::Delivery| async move {
        let productforge::service::execution::Admission::Run(running) =
            execution.admit(&delivery, "by hand").await.unwrap()
        else {
            panic!("not admitted")
        };
        running
    };
    // The analysis.
    let running = run(app.store.reserve(&request(1)).await.unwrap().remove(0)).await;
    let answer = paid(&app, &running).await;
    execution.complete(&running, &answer).await.unwrap();
    // Both specialists begin; one fails, the other one's worker is stopped.
    let mut both = app.store.reserve(&request(2)).await.unwrap();
    let (second, first) = (both.pop().unwrap(), both.pop().unwrap());
    let (slow, failing) = (run(first).await, run(second).await);
    let failure = Failure { class: FailureClass::Other, retryable: false, retry_after: None };
    let hopeless = Fault { error: "the key is wrong".into(), failure, outcome: AttemptOutcome::Failed };
    execution.fail(&failing, &hopeless).await.unwrap();
    execution.release(&slow).await.unwrap();
    let worker = app.start_worker();
    idle(&app).await;
    let workflow = app.services.workflows.get(&id).await.unwrap();
    assert_eq!(workflow.status, WorkflowStatus::Failed);
    assert!(workflow.steps.iter().all(|s| s.status.is_terminal()), "{workflow:#?}");
    let slow = workflow.steps.iter().find(|s| s.job_id == slow.job.job_id).unwrap();
    assert_eq!((slow.role, slow.status), (TemplateRole::Specialist, StepStatus::Skipped));
    let result = app.services.results.get(&slow.job_id).await.unwrap();
    assert_eq!(result.status, ResultStatus::Cancelled);
    assert_eq!(job(&app, &slow.job_id).await.attempts[0].outcome, Some(AttemptOutcome::Released));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
