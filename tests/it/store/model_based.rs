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

pub async fn random_operations_agree_with_the_model<O>(open: O)
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
    let mut shortest = Failing::of(open, generate(seed, steps)).await?;
    eprintln!("seed {seed}: {}; looking for the shortest way there", shortest.difference);
    // What was made simpler may stand without what it needed before.
    loop {
        shortest.take_out_parts(open).await;
        if !shortest.simplify(open).await {
            break;
        }
    }
    let Failing { operations, difference } = shortest;
    Some(Finding { seed, steps, operations, difference })
}

/// Operations after the last of which store and model differ.
struct Failing {
    operations: Vec<Operation>,
    difference: String,
}

impl Failing {
    async fn of<O>(open: &O, mut operations: Vec<Operation>) -> Option<Self>
    where
        O: AsyncFn() -> Option<Box<dyn Harness>>,
    {
        let (number, difference) = play_on_a_fresh_one(open, &operations).await?;
        operations.truncate(number + 1);
        Some(Self { operations, difference })
    }

    /// Takes out parts, halves first and then smaller ones, as long as what remains still fails; single
    /// ones until none can be spared.
    async fn take_out_parts<O>(&mut self, open: &O)
    where
        O: AsyncFn() -> Option<Box<dyn Harness>>,
    {
        let mut part = self.operations.len().div_ceil(2);
        while part > 0 {
            let before = self.operations.len();
            let mut from = 0;
            while from < self.operations.len() {
                let mut fewer = self.operations.clone();
                fewer.drain(from..(from + part).min(fewer.len()));
                match Self::of(open, fewer).await {
                    Some(shorter) => *self = shorter,
                    None => from += part,
                }
            }
            if part > 1 || self.operations.len() == before {
                part /= 2;
            }
        }
    }

    /// Makes single operations simpler as long as it still fails; whether any could be.
    async fn simplify<O>(&mut self, open: &O) -> bool
    where
        O: AsyncFn() -> Option<Box<dyn Harness>>,
    {
        let mut any = false;
        let mut number = 0;
        while number < self.operations.len() {
            let mut found = false;
            for simpler in self.operations[number].simpler() {
                let mut operations = self.operations.clone();
                operations[number] = simpler;
                if let Some(failing) = Self::of(open, operations).await {
                    (*self, found) = (failing, true);
                    break;
                }
            }
            any |= found;
            number += usize::from(!found);
        }
        any
    }
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
