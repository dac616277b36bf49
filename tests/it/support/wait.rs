//! Waiting for something to become true: short looks until a deadline, never a fixed sleep.

use std::time::{Duration, Instant};

/// Looks until `look` gives a value; panics with `what` after half a minute.
pub async fn until<T, F, Fut>(what: &str, look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    until_within(Duration::from_secs(30), what, look).await
}

/// The same with a deadline of its own.
pub async fn until_within<T, F, Fut>(longest: Duration, what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + longest;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {longest:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
