//! The model-based suite finds faults: each of these is planted in a store that has none, and must be
//! reported.

use std::sync::Arc;

use async_trait::async_trait;
use productforge::store::Store;

use super::{
    fault::Fault,
    faulty_store::FaultyStore,
    harness::Harness,
    model_based::{SEEDS, STEPS, search},
    sqlite_harness,
};

/// In four parts, so that none is long on a slow machine.
const PARTS: usize = 4;

macro_rules! every_planted_fault_is_found_and_shrunk {
    ($($name:ident $part:literal),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                are_found_and_shrunk($part).await;
            }
        )+
    };
}

every_planted_fault_is_found_and_shrunk!(
    every_planted_fault_is_found_and_shrunk_1 0,
    every_planted_fault_is_found_and_shrunk_2 1,
    every_planted_fault_is_found_and_shrunk_3 2,
    every_planted_fault_is_found_and_shrunk_4 3
);

async fn are_found_and_shrunk(part: usize) {
    for fault in Fault::ALL.into_iter().skip(part).step_by(PARTS) {
        let open = async || Some(plant(fault, sqlite_harness::memory().await?));
        let mut finding = None;
        for seed in SEEDS {
            finding = search(&open, seed, STEPS).await;
            if finding.is_some() {
                break;
            }
        }
        let finding = finding.unwrap_or_else(|| panic!("{fault:?} was not found"));
        assert!(finding.operations.len() <= 12, "{fault:?} was not shrunk: {finding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_a_fault_is_reported_for_nothing() {
    let open = async || Some(plant(Fault::None, sqlite_harness::memory().await?));
    assert!(search(&open, SEEDS.start, STEPS).await.is_none());
}

fn plant(fault: Fault, sound: Box<dyn Harness>) -> Box<dyn Harness> {
    let store = Arc::new(FaultyStore::new(sound.store(), fault));
    Box::new(FaultyHarness { sound, store })
}

struct FaultyHarness {
    sound: Box<dyn Harness>,
    store: Arc<dyn Store>,
}

#[async_trait]
impl Harness for FaultyHarness {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn age(&self, ms: u64) {
        self.sound.age(ms).await;
    }

    async fn reopen(&mut self) -> bool {
        false
    }
}
