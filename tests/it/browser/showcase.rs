//! A lived-in installation: runs that are done, running, waiting for a person and failed, a dead job, an upload, a
//! report. For the tests that look at every page, and for the pictures of the README.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use productforge::{
    llm::{
        ChatAnswer, ChatRequest, Listener, ModelError, ModelErrorKind, ModelProvider,
        simulated::SimulatedProvider,
    },
    model::{TemplateRole, WorkflowStatus},
    service::workflows::NewWorkflow,
};
use serde_json::Value;

use super::app::{TestApp, install_tls};
use crate::{
    support::wait::until,
    surface::uploads::{BOUNDARY, form, shop},
};

/// Plays every role; fails where a brief says so, and takes its time where one does.
struct Actor {
    quick: SimulatedProvider,
    slow: SimulatedProvider,
}

const FAILS: &str = "legacy importer";
const SLOW: &str = "onboarding guide";

#[async_trait]
impl ModelProvider for Actor {
    fn name(&self) -> &str {
        self.quick.name()
    }

    fn default_model(&self) -> &str {
        self.quick.default_model()
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let works = request.scene.role == Some(TemplateRole::Specialist);
        if works && request.scene.brief.contains(FAILS) {
            return Err(ModelError::new(
                ModelErrorKind::Unavailable,
                "the model server answered 503 four times",
            ));
        }
        match works && request.scene.brief.contains(SLOW) {
            true => self.slow.complete(request, listener).await,
            false => self.quick.complete(request, listener).await,
        }
    }
}

/// The installation, and where its things are.
pub struct Showcase {
    pub app: TestApp,
    pub completed: String,
    pub running: String,
    pub waiting: String,
    pub failed: String,
    pub dead_job: String,
    pub result: String,
    pub upload: String,
    pub report: String,
}

async fn start(app: &TestApp, order: NewWorkflow) -> String {
    app.services.workflows.start(order).await.unwrap().workflow_id
}

async fn reaches(app: &TestApp, id: &str, status: WorkflowStatus) {
    until(&format!("a workflow is {}", status.as_str()), || async {
        (app.services.workflows.get(id).await.unwrap().status == status).then_some(())
    })
    .await;
}

impl Showcase {
    pub async fn open() -> Self {
        let actor = Actor {
            quick: SimulatedProvider::new(Duration::from_millis(60)),
            slow: SimulatedProvider::new(Duration::from_secs(600)),
        };
        let app = TestApp::with(Arc::new(actor)).await;
        let brief = |job: &str| NewWorkflow {
            job: job.to_owned(),
            requires_qa: Some(true),
            ..NewWorkflow::default()
        };
        let upload = upload(&app).await;
        let long_word = "Donaudampfschifffahrtsgesellschaft".repeat(4);
        for job in ["Write the release notes of version 3.0", "Plan the test of the new checkout", &long_word]
        {
            let id = start(&app, brief(job)).await;
            reaches(&app, &id, WorkflowStatus::Completed).await;
        }
        let with_upload = NewWorkflow {
            upload_id: Some(upload.clone()),
            ..brief("Review the shop for defects and missing tests")
        };
        let reviewed = start(&app, with_upload).await;
        reaches(&app, &reviewed, WorkflowStatus::Completed).await;
        let specialists = Some(vec!["debugger_bot".to_owned(), "analyzer_bot".to_owned()]);
        let completed = start(
            &app,
            NewWorkflow {
                specialists,
                ..brief("Design a REST API for a public library: books, members and loans")
            },
        )
        .await;
        reaches(&app, &completed, WorkflowStatus::Completed).await;
        let failed = start(&app, brief("Migrate the legacy importer to the new schema")).await;
        reaches(&app, &failed, WorkflowStatus::Failed).await;
        let gated = NewWorkflow {
            approval: Some(true),
            ..brief("Draft the incident report of the outage on Monday")
        };
        let waiting = start(&app, gated).await;
        reaches(&app, &waiting, WorkflowStatus::Paused).await;
        let running = start(&app, brief("Write an onboarding guide for new members of the team")).await;
        until("the work is under way", || async {
            let workflow = app.services.workflows.get(&running).await.unwrap();
            (workflow.steps[1].started_at.is_some()).then_some(())
        })
        .await;
        let report = app.services.reports.generate().await.unwrap().filename;
        let step = |workflow: &productforge::model::Workflow, n: usize| workflow.steps[n].job_id.clone();
        let dead_job = step(&app.services.workflows.get(&failed).await.unwrap(), 1);
        let result = step(&app.services.workflows.get(&completed).await.unwrap(), 1);
        Self { completed, running, waiting, failed, dead_job, result, upload, report, app }
    }

    /// All pages that show data, with a name for each.
    pub fn pages(&self) -> Vec<(&'static str, String)> {
        let workflow = |id: &str| format!("/dashboard/workflows/{id}");
        vec![
            ("workflow-completed", workflow(&self.completed)),
            ("workflow-running", workflow(&self.running)),
            ("workflow-waiting", workflow(&self.waiting)),
            ("workflow-failed", workflow(&self.failed)),
            ("step", format!("{}/steps/specialist_execution-2", workflow(&self.completed))),
            ("fork", format!("{}/fork?from=specialist_execution", workflow(&self.completed))),
            ("job", format!("/dashboard/jobs/{}", self.dead_job)),
            ("result", format!("/dashboard/results/{}", self.result)),
            ("upload", format!("/dashboard/uploads/{}", self.upload)),
            ("agent", "/dashboard/agents/qa_bot".to_owned()),
            ("agent-edit", "/dashboard/agents/qa_bot/edit".to_owned()),
            ("report", format!("/dashboard/reports/{}", self.report)),
            ("audit", "/dashboard/audit".to_owned()),
            ("workflows-failed", "/dashboard/workflows?status=failed".to_owned()),
            ("results-found", "/dashboard/results?agent=qa_bot".to_owned()),
            ("brief-with-upload", format!("/dashboard/brief?upload_id={}", self.upload)),
            ("keys", "/dashboard/keys".to_owned()),
            ("help-search", "/help?q=budget".to_owned()),
        ]
    }
}

async fn upload(app: &TestApp) -> String {
    install_tls();
    let body = form(&[("project", None, b"shop"), ("file", Some("shop.zip"), &shop())]);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = reqwest::Client::new().post(app.at("/upload/")).header("content-type", kind).body(body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let id = answer["upload_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    app.page_says(&format!("/upload/{id}"), "\"analysed\"").await;
    id
}
