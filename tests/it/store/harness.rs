//! What a suite needs of an engine beside the contract: time that passes and a restart.

use std::sync::Arc;

use async_trait::async_trait;
use productforge::store::Store;

/// One fresh, empty store of some engine.
///
/// An engine's clock may also run by itself (Redis), and an engine may make time pass by moving its
/// stored deadlines instead of its clock. So a test holds no [`Store::now`] over a call of
/// [`Harness::age`], and no answer may hang on a few real seconds.
#[async_trait]
pub trait Harness: Send + Sync {
    fn store(&self) -> Arc<dyn Store>;

    /// Lets this much time pass for everything that is stored: lives, leases and due times.
    async fn age(&self, ms: u64);

    /// Closes the store and opens it again on what it kept. `false`: this engine keeps nothing over
    /// a close, and nothing was done.
    async fn reopen(&mut self) -> bool;
}
