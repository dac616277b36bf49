//! Sessions of the dashboard that somebody ended before their time.
//!
//! A session is a signed cookie and nothing is stored of it; what is stored is that it has ended, until it would have
//! ended by itself.

use std::{sync::Arc, time::Duration};

use super::{Foundation, ServiceError, records};
use crate::store::Change;

/// The sessions of all nodes. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    base: Arc<Foundation>,
}

impl Sessions {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// Ends a session on every node, at once. `id` names it and is no secret; it would have lasted for `left`.
    pub async fn end(&self, id: &str, left: Duration) -> Result<(), ServiceError> {
        let _ = self.base.store.apply(Change::new().put(records::put_ended_session(id, left))).await?;
        Ok(())
    }

    /// Whether somebody ended it.
    pub async fn has_ended(&self, id: &str) -> Result<bool, ServiceError> {
        Ok(self.base.store.get(&[records::ended_session_key(id)]).await?.pop().flatten().is_some())
    }
}
