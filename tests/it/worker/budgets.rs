//! Budgets: nothing begins beyond them, raising them lets work go on.

use std::{sync::Arc, time::Duration};

use productforge::{
    app::App,
    llm::openai::OpenAiProvider,
    model::{Budget, JobState, PauseReason, ResultStatus, RunEventKind, StepStatus, Usd, WorkflowStatus},
    service::{ServiceError, tasks::NewTask, workflows::NewWorkflow},
    store::Store,
};
use serde_json::json;

use crate::support::{
    app::memory,
    fake_model::{FakeModel, Reply},
    scripted::chain,
    wait::until,
    world::{ended, idle, job, world, world_on},
};

fn brief(tokens: Option<u64>, usd: Option<f64>) -> NewWorkflow {
    let budget = Budget { tokens, usd: usd.and_then(Usd::from_dollars) };
    NewWorkflow {
        job: "Write about Oslo".to_owned(),
        requires_qa: Some(true),
        budget: Some(budget),
        ..NewWorkflow::default()
    }
}

async fn paused(app: &App, id: &str) -> productforge::model::Workflow {
    until("the workflow is paused", || async {
        let workflow = app.services.workflows.get(id).await.unwrap();
        (workflow.status == WorkflowStatus::Paused).then_some(workflow)
    })
    .await
}

async fn tally(store: &dyn Store, name: &str, field: &str) -> i64 {
    let tally = store.tallies(&[name.to_owned()]).await.unwrap().pop().unwrap();
    tally.get(field).copied().unwrap_or(0)
}

#[tokio::test]
async fn a_workflow_whose_budget_is_used_up_is_paused_and_goes_on_when_it_is_raised() {
    let provider = chain(|_| "approve");
    let app = world(&[("MODEL_MAX_TOKENS", "5")], provider.clone());
    let worker = app.start_worker();
    // Every call uses 15: after two of them the budget is used up.
    let id = app.services.workflows.start(brief(Some(20), None)).await.unwrap().workflow_id;
    let workflow = paused(&app, &id).await;
    let pause = workflow.pause.unwrap();
    assert_eq!(pause.reason, PauseReason::BudgetExceeded);
    assert!(pause.detail.contains("30 of 20 tokens"), "{}", pause.detail);
    assert_eq!(provider.calls(), 2);
    let waiting = workflow.steps.iter().find(|s| s.status == StepStatus::Queued).unwrap();
    assert_eq!(waiting.step, "qa_validation");
    let waiting = job(&app, &waiting.job_id).await;
    assert_eq!(waiting.waits_for.as_deref(), Some("budget:workflow"));
    assert_eq!((waiting.state, waiting.attempts.len()), (JobState::Scheduled, 0));

    // Too little is no help.
    let still = Budget { tokens: Some(25), usd: None };
    let workflow = app.services.workflows.set_budget(&id, still).await.unwrap();
    assert_eq!(workflow.status, WorkflowStatus::Paused);
    let enough = Budget { tokens: Some(1_000), usd: None };
    let workflow = app.services.workflows.set_budget(&id, enough).await.unwrap();
    assert_eq!(workflow.status, WorkflowStatus::Running);
    let workflow = ended(&app, &id).await;
    assert_eq!((workflow.status, workflow.usage.total_tokens), (WorkflowStatus::Completed, 60));
    let events = app.services.workflows.detail(&id).await.unwrap().events;
    let kinds: Vec<_> = events.iter().map(|e| e.kind).collect();
    assert_eq!(kinds.iter().filter(|k| **k == RunEventKind::BudgetExceeded).count(), 1, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|k| **k == RunEventKind::WorkflowResumed).count(), 1, "{kinds:?}");
    let refused = app.services.workflows.set_budget(&id, enough).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Conflict(_)), "{refused}");
    let name = format!("budget:workflow:{id}");
    assert_eq!(tally(app.store.as_ref(), &name, "used_tokens").await, 60);
    assert_eq!(tally(app.store.as_ref(), &name, "held_tokens").await, 0);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_hundred_steps_of_two_workers_pass_a_budget_by_one_call_at_the_most() {
    let model = FakeModel::by(|_, _| Reply::answer("done").after(Duration::from_millis(15)));
    let store: Arc<dyn Store> = memory();
    // A call uses 18 tokens and reserves more than that.
    let variables = [("DAILY_BUDGET_TOKENS", "500"), ("MODEL_MAX_TOKENS", "7"), ("WORKERS", "50")];
    let provider = || Arc::new(OpenAiProvider::new(&model.config()).unwrap());
    let apps = [(); 2].map(|()| world_on(store.clone(), &variables, provider()));
    let workers: Vec<_> = apps.iter().map(App::start_worker).collect();
    for n in 0..100 {
        let task = NewTask { job: format!("task {n}"), ..NewTask::default() };
        apps[0].services.tasks.submit(task).await.unwrap();
    }
    let day = format!("budget:day:{}", chrono::Utc::now().date_naive());
    until("the budget is used up and nothing runs", || async {
        let used = tally(store.as_ref(), &day, "used_tokens").await;
        let held = tally(store.as_ref(), &day, "held_tokens").await;
        (used >= 500 && held == 0).then_some(())
    })
    .await;
    let used = tally(store.as_ref(), &day, "used_tokens").await;
    assert!((500..500 + 18).contains(&used), "{used} tokens of 500");
    assert_eq!(model.calls() as i64, used / 18);
    let waiting = apps[0].services.usage.today().await.unwrap();
    assert_eq!(waiting.total.total_tokens as i64, used);
    for worker in workers {
        worker.stop(Duration::from_secs(5), std::future::pending()).await;
    }
}

#[tokio::test]
async fn a_budget_in_dollars_needs_a_price() {
    let app = world(&[], chain(|_| "approve"));
    let worker = app.start_worker();
    let id = app.services.workflows.start(brief(None, Some(1.0))).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    assert_eq!(workflow.status, WorkflowStatus::Failed);
    let error = workflow.error.unwrap();
    assert!(error.contains("price of scripted/scripted-1 is unknown"), "{error}");
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn what_was_reserved_is_given_back_when_the_call_fails_or_is_cancelled() {
    let model = FakeModel::by(|ask, _| match ask.prompt().contains("cancel me") {
        true => Reply::answer("never").held(),
        false => Reply::error(400, "bad", "invalid_request_error", "No."),
    });
    let provider = Arc::new(OpenAiProvider::new(&model.config()).unwrap());
    let app = world(&[("DAILY_BUDGET_TOKENS", "100000")], provider);
    let worker = app.start_worker();
    let submit = async |text: &str| {
        let task = NewTask { job: text.to_owned(), ..NewTask::default() };
        app.services.tasks.submit(task).await.unwrap().job_id
    };
    let failed = submit("fail").await;
    let result = until("a result", || async { app.services.results.find(&failed).await.unwrap() }).await;
    assert_eq!(result.status, ResultStatus::Failed);
    let cancelled = submit("cancel me").await;
    model.until("it is asked", |m| m.in_flight() == 1).await;
    let day = format!("budget:day:{}", chrono::Utc::now().date_naive());
    assert!(tally(app.store.as_ref(), &day, "held_tokens").await > 0);
    app.services.jobs.cancel(&cancelled, None).await.unwrap();
    idle(&app).await;
    for field in ["held_tokens", "used_tokens", "held_nanos", "used_nanos"] {
        assert_eq!(tally(app.store.as_ref(), &day, field).await, 0, "{field}");
    }
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn an_agent_has_a_budget_of_its_own_for_the_day() {
    let provider = chain(|_| "approve");
    let app = world(&[("MODEL_MAX_TOKENS", "5")], provider.clone());
    let agent = json!({"name": "thrifty", "role": "Test", "budget": {"tokens_per_day": 20}});
    app.services.agents.register(serde_json::from_value(agent).unwrap()).await.unwrap();
    let worker = app.start_worker();
    let mut ids = Vec::new();
    for n in 0..4 {
        let agent_name = Some("thrifty".to_owned());
        let task = NewTask { job: format!("task {n}"), agent_name, ..NewTask::default() };
        ids.push(app.services.tasks.submit(task).await.unwrap().job_id);
    }
    until("two are done and two wait", || async {
        let mut waiting = 0;
        for id in &ids {
            let job = job(&app, id).await;
            waiting += usize::from(job.waits_for.as_deref() == Some("budget:agent"));
        }
        (waiting == 2).then_some(())
    })
    .await;
    assert_eq!(provider.calls(), 2);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
