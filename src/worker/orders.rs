//! Orders: does what people ask of this worker from outside its process, which is to drain.
//!
//! An order is an event that names its worker. Ids of workers are unique per process start, so an order
//! never hits the next process, and one that came while the store was away is read when it is back.

use async_trait::async_trait;

use crate::{
    service::workers::DRAINED,
    store::{Event, StoreError},
};

use super::{Shared, follow::Follower, presence};

pub struct Orders;

#[async_trait]
impl Follower for Orders {
    fn stream(&self) -> &'static str {
        DRAINED
    }

    async fn take(&self, shared: &Shared, event: &Event) -> Result<(), StoreError> {
        let named = serde_json::from_slice::<String>(&event.body).ok();
        if named.as_ref() != Some(&shared.worker_id) {
            return Ok(());
        }
        if !shared.draining.is_cancelled() {
            log::info!("worker {} was asked to drain: it takes nothing new", shared.worker_id);
            shared.draining.cancel();
        }
        // A presence of a moment before may have said otherwise.
        presence::run_once(shared).await
    }
}
