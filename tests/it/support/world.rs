//! A whole application without HTTP: a store, a provider, the services and workers.

use std::{collections::HashMap, sync::Arc};

use productforge::{
    app::App,
    blobs::Blobs,
    clock::SystemClock,
    config::{Config, Flags},
    llm::ModelProvider,
    model::Workflow,
    service::{
        execution::{Answer, Running},
        records,
        workflows::NewWorkflow,
    },
    store::{
        Change, Enqueue, Queue, Store,
        sqlite::{Location, SqliteStore},
    },
};

use super::{blobs::TempBlobs, wait::until};

/// A configuration from a few variables, as the environment would give them.
pub fn config(variables: &[(&str, &str)]) -> Config {
    let variables: HashMap<String, String> =
        variables.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Config::from_parts(&Flags::new(), |name| variables.get(name).cloned()).unwrap()
}

/// An application around a store in memory.
pub fn world(variables: &[(&str, &str)], provider: Arc<dyn ModelProvider>) -> App {
    let clock = Arc::new(SystemClock);
    let store = SqliteStore::open(Location::Memory, clock).unwrap();
    world_on(Arc::new(store), variables, provider)
}

/// An application around a given store.
pub fn world_on(store: Arc<dyn Store>, variables: &[(&str, &str)], provider: Arc<dyn ModelProvider>) -> App {
    world_with(store, TempBlobs::new(), variables, provider)
}

/// The same with a given folder for uploads.
pub fn world_with(
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    variables: &[(&str, &str)],
    provider: Arc<dyn ModelProvider>,
) -> App {
    App::assemble(config(variables), store, blobs, provider, Arc::new(SystemClock))
}

/// A brief with review.
pub fn reviewed(brief: &str) -> NewWorkflow {
    NewWorkflow { job: brief.to_owned(), requires_qa: Some(true), ..NewWorkflow::default() }
}

/// Waits for the end of a workflow.
pub async fn ended(app: &App, id: &str) -> Workflow {
    until("the workflow ends", || async {
        Some(app.services.workflows.get(id).await.unwrap()).filter(Workflow::is_over)
    })
    .await
}

/// Waits until nothing is queued, due or leased.
pub async fn idle(app: &App) {
    until("nothing is in flight", || async { (app.store.depth().await.unwrap().open() == 0).then_some(()) })
        .await;
}

/// Puts a payload into a queue as a foreign program would.
pub async fn push(app: &App, queue: Queue, payload: &str) {
    let enqueue = Enqueue { queue, payload: payload.as_bytes().to_vec(), due_at: None };
    app.store.apply(Change::new().enqueue(enqueue)).await.unwrap().unwrap();
}

/// The document of a job.
pub async fn job(app: &App, id: &str) -> productforge::model::Job {
    records::load(app.store.as_ref(), records::job_key(id)).await.unwrap().unwrap().0
}

/// Asks the model as a worker does and writes the answer down.
pub async fn paid(app: &App, running: &Running) -> Answer {
    let execution = &app.services.execution;
    let mut conversation = execution.open(running, None, true).await.unwrap();
    let next = execution.next(running, &conversation);
    let question = execution.question(running, &conversation, &next).await.unwrap();
    let Ok(call) = execution.ask(running, question).await else { panic!("no answer") };
    conversation.add(execution.journal(running, &call).await.unwrap());
    execution.answer(running, &conversation).await.unwrap()
}
