//! The one writer: a thread that owns its connection and commits in groups.
//!
//! Steps wait in a channel. The writer takes all that wait into one transaction, commits once, and only
//! then answers; while the disk is busy with one group the next one gathers. A step whose caller has
//! gone is made all the same, whole.
//!
//! A step fails by a fault or a full disk, not by a condition that does not hold, so hardly ever. So a
//! group is run without a net first, which saves two statements and a copy of every page for each step.
//! If a step fails the whole group is undone and run again, each step in a savepoint of its own: that is
//! why a step is a function that can be called twice.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    error,
    known::Known,
    step::Step,
    wakeup::{News, Wakeup},
};
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
    /// Starts the thread. `keep` is held until the thread ends; `wakeup` is told what committed steps
    /// have brought.
    pub fn start(
        conn: Connection,
        clock: Arc<dyn Clock>,
        wakeup: Arc<Wakeup>,
        keep: impl Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                let thread = Thread { conn, clock, known: Known::default() };
                thread.run(&wakeup, &receiver);
                drop(thread);
                drop(keep);
            })
            .map_err(|e| StoreError::Unavailable(format!("the writer's thread cannot start: {e}")))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs a step and answers after its commit.
    pub async fn run<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Step) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let call = StepCall { step, answer: None, caller };
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

impl Drop for Writer {
    /// The last handle waits for the thread, so that the file is free when the store is gone.
    fn drop(&mut self) {
        self.stop();
    }
}

/// A step with its type forgotten.
trait Call: Send {
    /// Runs it; an error means that what it wrote is to be undone. Only the last run is answered.
    fn run(&mut self, step: &Step) -> Result<(), StoreError>;

    /// Answers the caller: what the step answered, or why its group was not committed.
    fn answer(self: Box<Self>, lost: Option<&StoreError>);
}

struct StepCall<T, F> {
    step: F,
    answer: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Call for StepCall<T, F>
where
    T: Send,
    F: Fn(&Step) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, step: &Step) -> Result<(), StoreError> {
        let answer = catch_unwind(AssertUnwindSafe(|| (self.step)(step)));
        let answer = answer.unwrap_or_else(|_| Err(error::panicked()));
        let kept = answer.as_ref().map(drop).map_err(StoreError::clone);
        self.answer = Some(answer);
        kept
    }

    fn answer(self: Box<Self>, lost: Option<&StoreError>) {
        let answer = match (lost, self.answer) {
            // A step that had failed already keeps its own reason.
            (_, Some(Err(own))) => Err(own),
            (Some(lost), _) => Err(lost.clone()),
            (None, Some(answer)) => answer,
            (None, None) => Err(error::closed()),
        };
        // A caller that has gone does not want to know.
        let _ = self.caller.send(answer);
    }
}

/// What the thread works with.
struct Thread {
    conn: Connection,
    clock: Arc<dyn Clock>,
    known: Known,
}

impl Thread {
    /// One group after another until nobody can send any more.
    fn run(&self, wakeup: &Wakeup, queue: &mpsc::Receiver<Box<dyn Call>>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            let committed = self.commit_group(queue, &mut group);
            match &committed {
                Ok(news) => wakeup.tell(news),
                Err(lost) => {
                    let steps = group.len();
                    log::warn!(steps; "The embedded store could not commit {steps} step(s): {lost}");
                }
            }
            for call in group {
                call.answer(committed.as_ref().err());
            }
        }
    }

    /// Runs the first step of the group and all that wait behind it in one transaction; what they have
    /// brought. After an error nothing of the group was written.
    fn commit_group(
        &self,
        queue: &mpsc::Receiver<Box<dyn Call>>,
        group: &mut Vec<Box<dyn Call>>,
    ) -> Result<News, StoreError> {
        match self.in_transaction(|| self.run_without_net(queue, group))? {
            Some(news) => Ok(news),
            None => Ok(self.in_transaction(|| self.run_in_savepoints(group).map(Some))?.unwrap_or_default()),
        }
    }

    /// Commits what `run` did, or undoes it if there is an error or no news.
    fn in_transaction(
        &self,
        run: impl FnOnce() -> Result<Option<News>, StoreError>,
    ) -> Result<Option<News>, StoreError> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let ended = run().and_then(|news| {
            if news.is_some() {
                self.known.write_counted(&self.conn)?;
                self.conn.prepare_cached("COMMIT")?.execute([])?;
            }
            Ok(news)
        });
        if !matches!(ended, Ok(Some(_))) {
            self.known.undo_all();
            if !self.conn.is_autocommit() {
                // Should this fail too, the next BEGIN fails and says so to its callers.
                let _ = self.conn.execute_batch("ROLLBACK");
            }
        }
        ended
    }

    /// Runs what waits; `None` as soon as a step fails: then all of the group has to be undone.
    fn run_without_net(
        &self,
        queue: &mpsc::Receiver<Box<dyn Call>>,
        group: &mut Vec<Box<dyn Call>>,
    ) -> Result<Option<News>, StoreError> {
        let mut news = News::default();
        for number in 0..MAX_GROUP {
            if number == group.len() {
                match queue.try_recv() {
                    Ok(call) => group.push(call),
                    Err(_) => break,
                }
            }
            let step = Step::new(&self.conn, &self.known, self.clock.now_ms());
            if group[number].run(&step).is_err() {
                return Ok(None);
            }
            news.add(step.into_news());
        }
        Ok(Some(news))
    }

    fn run_in_savepoints(&self, group: &mut [Box<dyn Call>]) -> Result<News, StoreError> {
        let mut news = News::default();
        for call in group {
            news.add(self.run_in_savepoint(call.as_mut())?);
        }
        Ok(news)
    }

    /// Runs one step; undoes it, and it alone, if it fails. An error here means that the whole
    /// transaction is lost.
    fn run_in_savepoint(&self, call: &mut dyn Call) -> Result<News, StoreError> {
        self.conn.prepare_cached("SAVEPOINT step")?.execute([])?;
        let mark = self.known.mark();
        let step = Step::new(&self.conn, &self.known, self.clock.now_ms());
        let ran = call.run(&step);
        if let Err(failed) = &ran {
            self.known.undo_to(&mark);
            if self.conn.is_autocommit() {
                // SQLite has given up the transaction by itself, as it may on a full or broken disk.
                return Err(failed.clone());
            }
            self.conn.prepare_cached("ROLLBACK TO step")?.execute([])?;
        }
        self.conn.prepare_cached("RELEASE step")?.execute([])?;
        Ok(if ran.is_ok() { step.into_news() } else { News::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;

    fn writer(conn: Connection) -> Writer {
        conn.execute_batch("CREATE TABLE t (x BLOB NOT NULL) STRICT").unwrap();
        Writer::start(conn, Arc::new(SystemClock), Arc::default(), ()).unwrap()
    }

    fn insert(step: &Step, bytes: usize) -> Result<(), StoreError> {
        step.sql("INSERT INTO t (x) VALUES (zeroblob(?1))")?.execute([bytes as i64])?;
        Ok(())
    }

    async fn rows(writer: &Writer) -> i64 {
        let count = |step: &Step| Ok(step.sql("SELECT count(*) FROM t")?.query_row([], |row| row.get(0))?);
        writer.run(count).await.unwrap()
    }

    #[tokio::test]
    async fn a_step_that_panics_is_undone_and_the_writer_goes_on() {
        let writer = writer(Connection::open_in_memory().unwrap());
        let fault = |step: &Step| -> Result<(), StoreError> {
            insert(step, 1)?;
            panic!("planted");
        };
        assert!(matches!(writer.run(fault).await, Err(StoreError::Unavailable(_))));
        writer.run(|step| insert(step, 1)).await.unwrap();
        assert_eq!(rows(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_failing_step_is_undone_and_those_of_its_group_are_made() {
        let writer = writer(Connection::open_in_memory().unwrap());
        // The first step holds the writer up until the others wait behind it.
        let hold_up = writer.run(|_| {
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        });
        let good = writer.run(|step| insert(step, 1));
        let bad = writer.run(|step| {
            insert(step, 1)?;
            Err::<(), _>(StoreError::Invalid("planted".into()))
        });
        let also_good = writer.run(|step| insert(step, 1));
        let (held, good, bad, also_good) = tokio::join!(hold_up, good, bad, also_good);
        assert!(held.is_ok() && good.is_ok() && also_good.is_ok());
        assert!(matches!(bad, Err(StoreError::Invalid(_))));
        assert_eq!(rows(&writer).await, 2);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_to_be_full_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let conn = Connection::open(folder.path().join("small.db")).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        let writer = writer(conn);
        writer.run(|step| Ok(step.conn().pragma_update(None, "max_page_count", 20)?)).await.unwrap();
        writer.run(|step| insert(step, 1000)).await.unwrap();
        let too_much = writer.run(|step| {
            insert(step, 10)?;
            insert(step, 1_000_000)
        });
        assert!(matches!(too_much.await, Err(StoreError::Full(_))));
        writer.run(|step| insert(step, 1000)).await.unwrap();
        assert_eq!(rows(&writer).await, 2);
    }

    #[tokio::test]
    async fn a_stopped_writer_is_not_available() {
        let writer = writer(Connection::open_in_memory().unwrap());
        writer.stop();
        assert!(matches!(writer.run(|step| insert(step, 1)).await, Err(StoreError::Unavailable(_))));
    }
}
