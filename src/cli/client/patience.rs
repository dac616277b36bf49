//! How often, and when, something is asked again.

use std::time::Duration;

use crate::cli::note;

/// The pauses between tries, where the server names none.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// A server that wants to be left alone for longer is told about instead of being waited for.
const LONGEST: Duration = Duration::from_secs(30);

/// What is left of it.
pub(super) struct Patience {
    pauses: std::slice::Iter<'static, Duration>,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { pauses: PAUSES.iter() }
    }

    /// Waits before the next try; false where there is to be none.
    pub(super) async fn wait(&mut self, asked: Option<Duration>) -> bool {
        let Some(own) = self.pauses.next() else { return false };
        let pause = asked.unwrap_or(*own).max(*own);
        if pause > LONGEST {
            return false;
        }
        note(&format!("the server is busy; trying again in {} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
        true
    }
}
