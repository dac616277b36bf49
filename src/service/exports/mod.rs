//! Exports: all results that fit a filter as one file, made while it is sent.
//!
//! ```text
//! store ──pieces──▶ Walk (async) ──▶ channel of 2 ──▶ writer (a thread) ──▶ channel of 4 ──▶ client
//! ```
//!
//! Each channel is bounded, so a slow client slows the walk down and nothing piles up; a client that goes
//! away ends both. A store that fails on the way breaks the file off: who reads it sees that it has no end.

mod chunks;
mod csv;
mod format;
mod json;
mod markdown;
mod performance;
mod write;
mod zip;

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use crate::model::{JobResult, Timestamp, Workflow};

use super::{Foundation, ResultFilter, Results, ServiceError, results::Walk};
pub(in crate::service) use chunks::ChunkWriter;

pub use format::{Format, file_name};
pub use performance::{AgentPerformance, PerformanceReport};
pub use write::{Heading, Source, write};

/// How many exports are made at once in one process; others wait for their turn.
const MOST_AT_ONCE: usize = 8;
/// Pieces of a walk that wait to be written.
const PIECES_AHEAD: usize = 2;
/// Chunks of a file that wait to be sent.
const CHUNKS_AHEAD: usize = 4;

/// A file on its way.
pub struct Export {
    pub file_name: String,
    pub format: Format,
    /// Its bytes; an error breaks it off.
    pub chunks: mpsc::Receiver<io::Result<Bytes>>,
}

#[derive(Clone)]
pub struct Exports {
    base: Arc<Foundation>,
    results: Results,
    turns: Arc<Semaphore>,
}

impl Exports {
    pub(super) fn new(base: Arc<Foundation>, results: Results) -> Self {
        Self { base, results, turns: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// The results that fit, under a title of their own.
    pub async fn results(&self, filter: ResultFilter, format: Format) -> Result<Export, ServiceError> {
        let title = match (&filter.workflow_id, &filter.agent) {
            (Some(id), _) => match self.workflow(id).await? {
                Some(workflow) => workflow.original_task,
                None => format!("Workflow {id}"),
            },
            (None, Some(agent)) => format!("Results of {agent}"),
            (None, None) => "All results".to_owned(),
        };
        self.begin(filter, format, title, None).await
    }

    /// A workflow and all its results.
    pub async fn workflow_results(&self, workflow_id: &str, format: Format) -> Result<Export, ServiceError> {
        let workflow = self
            .workflow(workflow_id)
            .await?
            .ok_or_else(|| ServiceError::NotFound("Workflow not found".to_owned()))?;
        let title = workflow.original_task.clone();
        self.begin(ResultFilter::of_workflow(workflow_id), format, title, Some(workflow)).await
    }

    /// How each agent did, over all results that are kept.
    pub async fn performance(&self) -> Result<PerformanceReport, ServiceError> {
        let _turn = self.turn().await?;
        let mut report = PerformanceReport::new(self.now());
        let mut walk = self.results.walk(ResultFilter::default());
        while let Some(piece) = walk.next().await? {
            piece.iter().for_each(|result| report.add(result));
        }
        Ok(report.finished())
    }

    async fn begin(
        &self,
        filter: ResultFilter,
        format: Format,
        title: String,
        workflow: Option<Workflow>,
    ) -> Result<Export, ServiceError> {
        let turn = self.turn().await?;
        let file_name = file_name(&title, format);
        let heading = Heading { title, exported_at: self.now(), workflow };
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let pass = Passes { results: self.results.clone(), filter, runtime: Handle::current() };
        tokio::task::spawn_blocking(move || run(turn, format, &heading, pass, sender));
        Ok(Export { file_name, format, chunks })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turn = self.turns.clone().acquire_owned().await;
        turn.map_err(|_| ServiceError::Conflict("the server is stopping".to_owned()))
    }

    async fn workflow(&self, id: &str) -> Result<Option<Workflow>, ServiceError> {
        let store = self.base.store.as_ref();
        let found = super::records::load(store, super::records::workflow_key(id)).await?;
        Ok(found.map(|(workflow, _)| workflow))
    }

    fn now(&self) -> Timestamp {
        self.base.clock.now()
    }
}

/// Writes the file, on a thread that may wait.
fn run(
    _turn: OwnedSemaphorePermit,
    format: Format,
    heading: &Heading,
    mut passes: Passes,
    sender: mpsc::Sender<io::Result<Bytes>>,
) {
    let mut out = ChunkWriter::new(sender);
    match write(format, heading, &mut passes, &mut out).and_then(|()| out.end()) {
        Ok(()) => {}
        // Nobody listens any more.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        Err(e) => {
            log::error!("an export was broken off: {e}");
            out.fail(e);
        }
    }
}

/// Walks through the results as often as a format needs it.
struct Passes {
    results: Results,
    filter: ResultFilter,
    runtime: Handle,
}

impl Source for Passes {
    fn pass(&mut self) -> Box<dyn Iterator<Item = io::Result<JobResult>> + '_> {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        self.runtime.spawn(feed(self.results.walk(self.filter.clone()), sender));
        Box::new(Pieces { pieces, current: Vec::new().into_iter() })
    }
}

/// Reads ahead until nobody takes any more.
async fn feed(mut walk: Walk, sender: mpsc::Sender<Result<Vec<JobResult>, ServiceError>>) {
    while let Some(piece) = walk.next().await.transpose() {
        let failed = piece.is_err();
        if sender.send(piece).await.is_err() || failed {
            return;
        }
    }
}

struct Pieces {
    pieces: mpsc::Receiver<Result<Vec<JobResult>, ServiceError>>,
    current: std::vec::IntoIter<JobResult>,
}

impl Iterator for Pieces {
    type Item = io::Result<JobResult>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(result) = self.current.next() {
                return Some(Ok(result));
            }
            match self.pieces.blocking_recv()? {
                Ok(piece) => self.current = piece.into_iter(),
                Err(e) => return Some(Err(io::Error::other(e.to_string()))),
            }
        }
    }
}
