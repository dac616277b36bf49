//! Jobs that talk to their model more than once: tools, repairs, prompts that are too long.

use std::time::Duration;

use productforge::{
    app::App,
    llm::{ModelError, ModelErrorKind},
    model::{CallPurpose, JobResult, MessageRole, NewAgent, ResultStatus, VerdictKind, WorkflowStatus},
    service::{tasks::NewTask, workflows::NewWorkflow},
};
use serde_json::json;

use crate::support::{
    scripted::{Line, Scripted, chain},
    wait::until,
    world::{ended, idle, job, reviewed, world},
};

fn agent(name: &str, tools: &[&str]) -> NewAgent {
    let tools: Vec<_> = tools.iter().map(|tool| json!(tool)).collect();
    serde_json::from_value(json!({"name": name, "role": "Test", "tools": tools})).unwrap()
}

/// Asks one agent and waits for its result.
async fn ask(app: &App, agent: &str, text: &str) -> JobResult {
    let task = NewTask { job: text.to_owned(), agent_name: Some(agent.to_owned()), ..NewTask::default() };
    let id = app.services.tasks.submit(task).await.unwrap().job_id;
    until("a result", || async { app.services.results.find(&id).await.unwrap() }).await
}

#[tokio::test]
async fn an_agent_uses_a_tool_and_answers_with_what_it_gave_back() {
    let provider = Scripted::new(|request, n| match n {
        1 => {
            assert_eq!(request.tools.len(), 1, "only the tools of the agent");
            Line::Tool("calculator", json!({"expression": "12 * 12"}))
        }
        _ => Line::Say(format!("It is {}.", request.messages.last().unwrap().content)),
    });
    let app = world(&[], provider.clone());
    app.services.agents.register(agent("counter", &["calculator"])).await.unwrap();
    let worker = app.start_worker();
    let result = ask(&app, "counter", "What is twelve times twelve?").await;
    assert_eq!((result.status, result.output.as_str()), (ResultStatus::Completed, "It is 144."));
    let usage = result.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (20, 10), "both calls count");

    let calls = app.services.execution.calls_of(&result.job_id).await.unwrap();
    assert_eq!(calls.iter().map(|c| c.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((calls[0].purpose, calls[1].purpose), (CallPurpose::Work, CallPurpose::ToolResults));
    assert_eq!(calls[0].tool_outputs[0].content, "144");
    let roles: Vec<_> = calls[1].messages.iter().map(|m| m.role).collect();
    use MessageRole::{Assistant, System, Tool, User};
    assert_eq!(roles, [System, User, Assistant, Tool]);
    assert_eq!(calls[1].messages[3].tool_call_id.as_deref(), Some("call_1"));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_model_that_asks_for_the_same_thing_again_and_again_is_stopped_with_the_reason() {
    let provider = Scripted::new(|_, _| Line::Tool("calculator", json!({"expression": "1 + 1"})));
    let app = world(&[], provider.clone());
    app.services.agents.register(agent("looper", &["calculator"])).await.unwrap();
    let worker = app.start_worker();
    let result = ask(&app, "looper", "What is one and one?").await;
    assert_eq!(result.status, ResultStatus::Failed);
    let error = result.error.unwrap();
    assert!(error.contains("calculator") && error.contains("same arguments"), "{error}");
    assert!(provider.calls() <= 4, "{} calls", provider.calls());
    let job = job(&app, &result.job_id).await;
    assert_eq!(job.attempts.len(), 1, "another attempt would loop as well");
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_model_that_never_comes_to_an_end_is_asked_for_its_last_word() {
    let provider = Scripted::new(|request, n| match request.tools.is_empty() {
        true => Line::Say("My last word.".to_owned()),
        false => Line::Tool("calculator", json!({"expression": format!("1 + {n}")})),
    });
    let app = world(&[], provider.clone());
    app.services.agents.register(agent("endless", &["calculator"])).await.unwrap();
    let worker = app.start_worker();
    let result = ask(&app, "endless", "Count.").await;
    assert_eq!((result.status, result.output.as_str()), (ResultStatus::Completed, "My last word."));
    assert!(provider.calls() <= 12, "{} calls", provider.calls());
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn tools_that_fail_and_tools_that_do_not_exist_are_told_to_the_model() {
    let provider = Scripted::new(|request, n| match n {
        1 => Line::Tool("calculator", json!({"expression": "1 / nonsense("})),
        2 => Line::Tool("teleport", json!({})),
        _ => {
            let told: Vec<_> = request.messages.iter().filter(|m| m.role == MessageRole::Tool).collect();
            assert_eq!(told.len(), 2);
            Line::Say(told.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join(" | "))
        }
    });
    let app = world(&[], provider);
    app.services.agents.register(agent("clumsy", &["calculator"])).await.unwrap();
    let worker = app.start_worker();
    let result = ask(&app, "clumsy", "Try.").await;
    assert_eq!(result.status, ResultStatus::Completed, "{:?}", result.error);
    assert!(result.output.contains("teleport"), "{}", result.output);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_step_reads_what_earlier_steps_came_to() {
    let provider = Scripted::new(|request, _| {
        let answers: Vec<_> = request.messages.iter().filter(|m| m.role == MessageRole::Tool).collect();
        match (request.tools.is_empty(), answers.len()) {
            (true, _) => Line::Say("The analysis says: begin with the harbour.".to_owned()),
            (false, 0) => Line::Tool("earlier_results", json!({})),
            (false, 1) => Line::Tool("earlier_results", json!({"step": "admin_analysis"})),
            _ => Line::Say(format!("{}\n\n{}", answers[0].content, answers[1].content)),
        }
    });
    let app = world(&[], provider);
    app.services.agents.register(agent("reader", &["earlier_results"])).await.unwrap();
    let worker = app.start_worker();
    let new = NewWorkflow {
        job: "Write about Oslo".to_owned(),
        agent_name: Some("reader".to_owned()),
        ..NewWorkflow::default()
    };
    let id = app.services.workflows.start(new).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    let step = workflow.steps.iter().find(|s| s.agent == "reader").unwrap();
    let result = app.services.results.get(&step.job_id).await.unwrap();
    assert!(result.output.contains("- admin_analysis (round 1)"), "{}", result.output);
    assert!(result.output.contains("begin with the harbour"), "{}", result.output);
    assert_eq!(step.calls, 3);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_verdict_that_cannot_be_read_is_asked_for_once_more() {
    let provider = Scripted::new(|request, _| {
        let repairs = request.messages.iter().any(|m| m.content.contains("could not be read"));
        Line::Say(match (request.schema.is_some(), repairs) {
            (false, _) => "Some fine text.".to_owned(),
            (true, false) => "I rather like it, all in all.".to_owned(),
            (true, true) => r#"{"verdict":"approve","score":0.8,"findings":[],"must_fix":[]}"#.to_owned(),
        })
    });
    let app = world(&[], provider);
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("Write about Oslo")).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    assert_eq!(workflow.status, WorkflowStatus::Completed);
    let qa = workflow.steps.iter().find(|s| s.step == "qa_validation").unwrap();
    assert_eq!(qa.verdict.as_ref().unwrap().verdict, VerdictKind::Approve);
    assert_eq!((qa.calls, qa.usage.unwrap().total_tokens), (2, 30));
    // The closing report sees the verdict, and the calls of the workflow are all there.
    let detail = app.services.workflows.detail(&id).await.unwrap();
    assert_eq!(detail.calls.len(), 5);
    assert_eq!(workflow.usage.total_tokens, 5 * 15);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_verdict_that_can_never_be_read_is_unstructured_after_one_repair() {
    let provider = Scripted::new(|_, _| Line::Say("Well.".to_owned()));
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("Write about Oslo")).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    let qa = workflow.steps.iter().find(|s| s.step == "qa_validation").unwrap();
    assert_eq!(qa.verdict.as_ref().unwrap().verdict, VerdictKind::Unstructured);
    assert_eq!(qa.calls, 2);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_cut_where_one_can_see_it() {
    let limit = 2_000;
    let provider = Scripted::new(move |request, _| {
        let length: usize = request.messages.iter().map(|m| m.content.len()).sum();
        match length > limit * 4 {
            true => Line::Error(ModelError {
                context_limit: Some(limit as u64),
                ..ModelError::new(ModelErrorKind::ContextTooLong, "too long")
            }),
            false => Line::Say("Read.".to_owned()),
        }
    });
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let text = format!("Begin. {} End.", "word ".repeat(9_000));
    let result = ask(&app, "general_assistant", &text).await;
    assert_eq!(result.status, ResultStatus::Completed, "{:?}", result.error);
    let calls = app.services.execution.calls_of(&result.job_id).await.unwrap();
    let prompt = &calls[0].messages[1].content;
    assert!(calls[0].trimmed && prompt.contains("[Cut here: "), "{prompt}");
    assert!(prompt.starts_with("Begin.") && prompt.ends_with("End."), "{prompt}");
    assert_eq!(provider.calls(), 2);
    // What was learned is remembered.
    ask(&app, "general_assistant", &text).await;
    assert_eq!(provider.calls(), 3);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_prompt_that_no_cutting_helps_fails_with_the_reason() {
    let provider = Scripted::new(|_, _| Line::Fail(ModelErrorKind::ContextTooLong));
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let result = ask(&app, "general_assistant", &"word ".repeat(5_000)).await;
    assert_eq!(result.status, ResultStatus::Failed);
    assert_eq!(provider.calls(), 4, "three cuts, then no more");
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn an_answer_that_was_cut_says_so() {
    let provider = Scripted::new(|_, _| Line::End("It ends in the mid".to_owned(), "length"));
    let app = world(&[], provider);
    let worker = app.start_worker();
    let result = ask(&app, "general_assistant", "Say much.").await;
    assert!(result.truncated);
    let new = NewWorkflow { job: "Say much".to_owned(), ..NewWorkflow::default() };
    let id = app.services.workflows.start(new).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    assert!(workflow.steps.iter().all(|s| s.truncated));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn usage_is_rolled_up_by_day_agent_and_model() {
    let app = world(&[], chain(|_| "approve"));
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("Write about Oslo")).await.unwrap().workflow_id;
    ended(&app, &id).await;
    idle(&app).await;
    let today = app.services.usage.today().await.unwrap();
    assert_eq!((today.total.calls, today.total.total_tokens), (4, 60));
    assert_eq!(today.by_model["scripted/scripted-1"].prompt_tokens, 40);
    assert_eq!(today.by_agent["qa_bot"].calls, 1);
    assert_eq!(today.by_agent.values().map(|used| used.calls).sum::<u64>(), 4);
    // Nobody knows what this model costs.
    assert_eq!((today.total.cost_usd, today.total.unpriced_calls), (None, 4));
    let workflow = app.services.workflows.get(&id).await.unwrap();
    assert_eq!((workflow.cost_usd, workflow.unpriced_calls), (None, 4));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
