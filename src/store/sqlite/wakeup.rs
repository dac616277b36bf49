//! Waking those who wait: for work, and for the events of a stream.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

use crate::store::ALL_EVENTS;

/// What steps have brought for those who wait.
#[derive(Debug, Default)]
pub(super) struct News {
    /// A payload can be taken that could not be before.
    pub ready: bool,
    /// The streams that events were appended to.
    pub streams: BTreeSet<String>,
}

impl News {
    pub fn add(&mut self, more: News) {
        self.ready |= more.ready;
        self.streams.extend(more.streams);
    }
}

/// Who waits in this process, and there is no other one on an embedded store.
#[derive(Default)]
pub(super) struct Wakeup {
    work: Notify,
    /// Streams that somebody listens to: a stream that nobody does costs nothing.
    streams: Mutex<HashMap<String, Listeners>>,
}

struct Listeners {
    bell: Arc<Notify>,
    number: usize,
}

impl Wakeup {
    /// Wakes all whom news concern; to be called when they are committed.
    pub fn tell(&self, news: &News) {
        if news.ready {
            self.work.notify_waiters();
        }
        if news.streams.is_empty() {
            return;
        }
        let streams = self.streams();
        if streams.is_empty() {
            return;
        }
        for stream in news.streams.iter().map(String::as_str).chain([ALL_EVENTS]) {
            if let Some(listeners) = streams.get(stream) {
                listeners.bell.notify_waiters();
            }
        }
    }

    /// Ends with the next news of work, if it was enabled before them.
    pub fn work(&self) -> Notified<'_> {
        self.work.notified()
    }

    /// Listens to a stream until it is dropped.
    pub fn listen<'w>(&'w self, stream: &'w str) -> Listener<'w> {
        let mut streams = self.streams();
        let listeners =
            streams.entry(stream.to_owned()).or_insert_with(|| Listeners { bell: Arc::default(), number: 0 });
        listeners.number += 1;
        Listener { wakeup: self, stream, bell: listeners.bell.clone() }
    }

    /// What is behind the lock is whole whatever panicked while it was held.
    fn streams(&self) -> MutexGuard<'_, HashMap<String, Listeners>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Listener<'w> {
    wakeup: &'w Wakeup,
    stream: &'w str,
    bell: Arc<Notify>,
}

impl Listener<'_> {
    /// Ends with the next event, if it was enabled before it.
    pub fn event(&self) -> Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let mut streams = self.wakeup.streams();
        if let Some(listeners) = streams.get_mut(self.stream) {
            listeners.number -= 1;
            if listeners.number == 0 {
                streams.remove(self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_forgotten_when_its_last_listener_has_gone() {
        let wakeup = Wakeup::default();
        let (first, second) = (wakeup.listen("run"), wakeup.listen("run"));
        drop(first);
        assert_eq!(wakeup.streams().len(), 1);
        drop(second);
        assert!(wakeup.streams().is_empty());
    }
}
