//! The one writer: a thread that owns its connection and commits in groups.
//!
//! Steps wait in a channel. The writer takes all that wait into one transaction, each in a savepoint
//! of its own, commits once, and only then answers; while the disk is busy with one group the next
//! one gathers. A step whose caller has gone is made all the same, whole.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::{error, step::Step};
use crate::{clock::Clock, store::StoreError};

/// The most steps of one commit: bounds how long the first of them waits for its answer.
const MAX_GROUP: usize = 256;

/// The way to the writer's thread.
pub(super) struct Writer {
    /// `None` once it is closed.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Call>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. `keep` is held until the thread ends; `work` is notified when a committed
    /// step has made a payload ready.
    pub fn start(
        conn: Connection,
        clock: Arc<dyn Clock>,
        work: Arc<Notify>,
        keep: impl Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                run(&conn, &*clock, &work, &receiver);
                drop(conn);
                drop(keep);
            })
            .map_err(|e| StoreError::Unavailable(format!("the writer's thread cannot start: {e}")))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs a step and answers after its commit.
    pub async fn run<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Step) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let call = StepCall { step: Some(step), answer: None, caller };
        lock(&self.queue)
            .as_ref()
            .and_then(|queue| queue.send(Box::new(call)).ok())
            .ok_or_else(error::closed)?;
        answer.await.unwrap_or_else(|_| Err(error::closed()))
    }

    /// Takes no more steps; returns when those under way are made and the thread has ended.
    pub fn stop(&self) {
        drop(lock(&self.queue).take());
        if let Some(thread) = lock(&self.thread).take() {
            // It catches every panic of a step, so there is nothing to learn from its end.
            let _ = thread.join();
        }
    }
}

/// The data behind these locks is whole whatever panicked while one was held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A step with its type forgotten.
trait Call: Send {
    /// Runs it; whether what it wrote is to be kept.
    fn run(&mut self, step: &Step) -> bool;

    /// Answers the caller: what the step answered, or that its group was not committed.
    fn answer(self: Box<Self>, lost: Option<&rusqlite::Error>);
}

struct StepCall<T, F> {
    step: Option<F>,
    answer: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Call for StepCall<T, F>
where
    T: Send,
    F: FnOnce(&Step) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, step: &Step) -> bool {
        let Some(work) = self.step.take() else { return false };
        let answer = catch_unwind(AssertUnwindSafe(|| work(step))).unwrap_or_else(|_| Err(error::panicked()));
        let keep = answer.is_ok();
        self.answer = Some(answer);
        keep
    }

    fn answer(self: Box<Self>, lost: Option<&rusqlite::Error>) {
        let answer = match (lost, self.answer) {
            // A step that had failed already keeps its own reason.
            (_, Some(Err(own))) => Err(own),
            (Some(error), _) => Err(error::describe(error)),
            (None, Some(answer)) => answer,
            (None, None) => Err(error::closed()),
        };
        // A caller that has gone does not want to know.
        let _ = self.caller.send(answer);
    }
}

/// The thread: one group after another until nobody can send any more.
fn run(conn: &Connection, clock: &dyn Clock, work: &Notify, queue: &mpsc::Receiver<Box<dyn Call>>) {
    while let Ok(first) = queue.recv() {
        let mut group = Vec::with_capacity(16);
        let committed = commit_group(conn, clock, first, queue, &mut group);
        if matches!(committed, Ok(true)) {
            work.notify_waiters();
        }
        for call in group {
            call.answer(committed.as_ref().err());
        }
    }
}

/// Runs all steps that wait in one transaction; whether any of them made a payload ready. After an
/// error nothing of the group was written.
fn commit_group(
    conn: &Connection,
    clock: &dyn Clock,
    first: Box<dyn Call>,
    queue: &mpsc::Receiver<Box<dyn Call>>,
    group: &mut Vec<Box<dyn Call>>,
) -> rusqlite::Result<bool> {
    let mut made_ready = false;
    let mut next = Some(first);
    let mut run_all = || {
        while let Some(call) = next.take() {
            group.push(call);
            if let Some(call) = group.last_mut() {
                made_ready |= run_in_savepoint(conn, clock, call.as_mut())?;
            }
            if group.len() < MAX_GROUP {
                next = queue.try_recv().ok();
            }
        }
        conn.execute_batch("COMMIT")
    };
    let committed = conn.execute_batch("BEGIN IMMEDIATE").and_then(|()| run_all());
    if let Some(call) = next {
        // The transaction could not even begin.
        group.push(call);
    }
    if committed.is_err() && !conn.is_autocommit() {
        // Should this fail too, the next BEGIN fails and says so to its callers.
        let _ = conn.execute_batch("ROLLBACK");
    }
    committed.map(|()| made_ready)
}

/// Runs one step; undoes it, and it alone, if it fails. An error here means that SQLite has given up
/// the whole transaction (as it does on a full disk).
fn run_in_savepoint(conn: &Connection, clock: &dyn Clock, call: &mut dyn Call) -> rusqlite::Result<bool> {
    conn.prepare_cached("SAVEPOINT step")?.execute([])?;
    let step = Step::new(conn, clock.now_ms());
    let keep = call.run(&step);
    if !keep {
        conn.prepare_cached("ROLLBACK TO step")?.execute([])?;
    }
    conn.prepare_cached("RELEASE step")?.execute([])?;
    Ok(keep && step.made_ready())
}
