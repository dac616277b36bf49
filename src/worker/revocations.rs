//! Revocations: tells jobs of this worker at once that somebody has taken their leases away.
//!
//! A cancelled job's lease ends in the same step that says so; an event is the hint that makes a running
//! worker look. Who misses it (a lost connection, a frozen process) learns of it with the next renewal.

use async_trait::async_trait;

use crate::store::{Event, REVOKED, StoreError, Token};

use super::{Shared, follow::Follower};

pub struct Revocations;

#[async_trait]
impl Follower for Revocations {
    fn stream(&self) -> &'static str {
        REVOKED
    }

    async fn take(&self, shared: &Shared, event: &Event) -> Result<(), StoreError> {
        if let Some(token) = std::str::from_utf8(&event.body).ok().and_then(|text| text.parse().ok()) {
            shared.held.lose(Token(token));
        }
        Ok(())
    }
}
