//! What single items failed of, said once for each: whoever goes over many goes on with the next one.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use super::ServiceError;

/// The most items that are remembered; then all of them are said once more.
const MOST: usize = 1_000;

/// The items of which it was said that they failed.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeSet<String>>);

impl Told {
    /// Says what an item failed of and lets its pass go on, unless the next item would fail of the same.
    pub fn passed_over(&self, item: &str, error: ServiceError) -> Result<(), ServiceError> {
        if error.is_general() {
            return Err(error);
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.clear();
        }
        let level = if told.insert(item.to_owned()) { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "{item} is passed over: {error}; it is tried again");
        Ok(())
    }
}
