//! The main job against a real model: llama.cpp with SmolLM2-135M on loopback.

use std::{sync::Arc, time::Duration};

use productforge::{
    config::LlmConfig,
    llm::openai::OpenAiProvider,
    model::{MessageRole, StepStatus, TemplateRole, WorkflowStatus},
};

use crate::support::{
    small_model::SmallModel,
    wait::until_within,
    world::{idle, reviewed, world},
};

#[tokio::test]
async fn a_brief_becomes_a_reviewed_result_with_a_real_model() {
    let model = SmallModel::start();
    let provider = Arc::new(OpenAiProvider::new(&model.config()).unwrap());
    let app = world(&[("OPENAI_BASE_URL", &model.base_url()), ("MODEL_MAX_TOKENS", "48")], provider);
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("Name three uses of a brick.")).await.unwrap().workflow_id;
    let workflow = until_within(Duration::from_secs(180), "the workflow ends", || async {
        Some(app.services.workflows.get(&id).await.unwrap()).filter(|w| w.is_over())
    })
    .await;
    assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:#?}");
    assert!(workflow.review.is_some(), "the review ended in some way: the model's wisdom is not the test");
    assert!(!workflow.simulated);

    let detail = app.services.workflows.detail(&id).await.unwrap();
    let ran: Vec<_> = workflow.steps.iter().filter(|s| s.status == StepStatus::Completed).collect();
    let all: usize = ran.iter().map(|step| step.calls as usize).sum();
    assert_eq!(
        detail.calls.len(),
        all,
        "one model call per step, and one more where QA's form had to be repaired"
    );
    // The one that has the answer.
    let call = |job: &str| detail.calls.iter().rfind(|c| c.job_id == job).unwrap();
    let prompt =
        |job: &str| call(job).messages.iter().find(|m| m.role == MessageRole::User).unwrap().content.clone();
    for step in &ran {
        let call = call(&step.job_id);
        assert_eq!((call.attempt, call.requests, call.simulated), (1, 1, false), "{}", step.step);
        assert_eq!(call.model, "smollm2-135m-instruct");
        assert!(call.usage.prompt_tokens > 0 && call.usage.completion_tokens > 0 && !call.usage.estimated);
        assert!(call.duration_ms > 0 && call.ended_at >= call.started_at);
        assert!(prompt(&step.job_id).contains("Name three uses of a brick."));
        let result = app.services.results.get(&step.job_id).await.unwrap();
        assert_eq!(result.output, call.answer);
        assert_eq!(result.usage, step.usage);
    }
    let qa = ran.iter().find(|s| s.role == TemplateRole::Qa).unwrap();
    let work = ran.iter().find(|s| s.role == TemplateRole::Specialist && s.round == qa.round).unwrap();
    let text = call(&work.job_id).answer.trim().to_owned();
    assert!(prompt(&qa.job_id).contains(&text), "QA sees the specialist's text");
    idle(&app).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn an_upload_is_analysed_with_a_real_model_and_every_place_it_names_exists() {
    let model = SmallModel::start();
    // Room for a few findings.
    let config = LlmConfig { max_tokens: Some(400), ..model.config() };
    let provider = Arc::new(OpenAiProvider::new(&config).unwrap());
    let app = world(&[("OPENAI_BASE_URL", &model.base_url())], provider);
    let uploads = &app.services.uploads;
    let mut incoming = uploads.begin().await.unwrap();
    incoming.write(&real_archive("click-8.5.1-py3-none-any.whl")).await.unwrap();
    let upload = uploads.accept(incoming, "click.zip", "click", None).await.unwrap();
    let worker = app.start_worker();
    let job_id = upload.job_id.as_ref().unwrap();
    let result = until_within(Duration::from_secs(240), "it is analysed", || async {
        app.services.results.find(job_id).await.unwrap()
    })
    .await;
    assert_eq!(result.status.as_str(), "completed", "{result:?}");
    assert!(!result.simulated && result.usage.is_some_and(|usage| usage.completion_tokens > 0));
    let analysis = uploads.detail(&upload.upload_id).await.unwrap().analysis.unwrap();
    assert!(analysis.completed_at.is_some() && !analysis.simulated);
    assert!(analysis.stated.languages.iter().any(|language| language.name == "Python"));
    // How much a model of this size finds is its affair; what is shown of it is ours.
    let bytes = real_archive("click-8.5.1-py3-none-any.whl");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    for finding in &analysis.findings {
        let text = std::io::read_to_string(archive.by_name(&finding.file).unwrap()).unwrap();
        assert!((1..=text.lines().count() as u64).contains(&finding.line), "{finding:?}");
    }
    idle(&app).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

/// A real project that `./dev setup` has fetched.
fn real_archive(name: &str) -> Vec<u8> {
    std::fs::read(crate::analysis::archives().join(name)).expect("`./dev setup` fetches it")
}
