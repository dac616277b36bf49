//! Random operations, on every engine and on the model: they never differ.
//!
//! `PF_SEED=7 PF_STEPS=5000 cargo nextest run --test it store::model_based` plays one long run. A
//! failure prints its seed and the fewest operations that still show it.

use super::{
    harness::Harness,
    operations::{Operation, generate},
    playing::play,
};

on_every_store!(opening: random_operations_agree_with_the_model);

/// What the gate plays.
pub const STEPS: usize = 250;
pub const SEEDS: std::ops::Range<u64> = 1..6;

async fn random_operations_agree_with_the_model<O>(open: O)
where
    O: AsyncFn() -> Option<Box<dyn Harness>>,
{
    let steps = number_from("PF_STEPS").unwrap_or(STEPS as u64) as usize;
    let seeds = number_from("PF_SEED").map_or(SEEDS, |seed| seed..seed + 1);
    for seed in seeds {
        if let Some(finding) = search(&open, seed, steps).await {
            panic!("{finding}");
        }
    }
}

/// A difference between a store and the model.
pub struct Finding {
    pub seed: u64,
    pub steps: usize,
    pub operations: Vec<Operation>,
    pub difference: String,
}

/// Plays the operations of one seed; the shortest list found that still shows a difference.
pub async fn search<O>(open: &O, seed: u64, steps: usize) -> Option<Finding>
where
    O: AsyncFn() -> Option<Box<dyn Harness>>,
{
    let mut operations = generate(seed, steps);
    let (number, mut difference) = play_on_a_fresh_one(open, &operations).await?;
    operations.truncate(number + 1);
    eprintln!("seed {seed}, step {number}: {difference}; looking for the shortest way there");

    // Take out parts, halves first and then smaller ones, as long as what remains still fails; single
    // ones until none can be spared.
    let mut part = operations.len().div_ceil(2);
    while part > 0 {
        let before = operations.len();
        let mut from = 0;
        while from < operations.len() {
            let mut fewer = operations.clone();
            fewer.drain(from..(from + part).min(fewer.len()));
            match play_on_a_fresh_one(open, &fewer).await {
                Some((number, found)) => {
                    fewer.truncate(number + 1);
                    (operations, difference) = (fewer, found);
                }
                None => from += part,
            }
        }
        if part > 1 || operations.len() == before {
            part /= 2;
        }
    }
    Some(Finding { seed, steps, operations, difference })
}

async fn play_on_a_fresh_one<O>(open: &O, operations: &[Operation]) -> Option<(usize, String)>
where
    O: AsyncFn() -> Option<Box<dyn Harness>>,
{
    let mut harness = open().await?;
    let played = play(harness.as_mut(), operations).await;
    harness.store().close().await;
    played.err()
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "store and model differ (PF_SEED={} PF_STEPS={})", self.seed, self.steps)?;
        writeln!(f, "{}", self.difference)?;
        writeln!(f, "after these operations:")?;
        self.operations.iter().try_for_each(|operation| writeln!(f, "  {operation:?}"))
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
