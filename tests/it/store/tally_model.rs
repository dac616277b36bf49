//! What the contract promises of tallies, in plain maps: a part of the model.

use std::collections::BTreeMap;

use productforge::store::{Add, MAX_TALLY, Refusal};

#[derive(Default)]
pub struct Tallies(BTreeMap<String, Tally>);

#[derive(Default)]
struct Tally {
    fields: BTreeMap<String, i64>,
    /// `None`: never.
    dies_at: Option<u64>,
}

impl Tallies {
    /// The fields of a tally; none if it has ended or never began.
    pub fn fields(&self, name: &str, now: u64) -> BTreeMap<String, i64> {
        let living = self.0.get(name).filter(|tally| tally.dies_at.is_none_or(|end| end > now));
        living.map(|tally| tally.fields.clone()).unwrap_or_default()
    }

    /// The first of these adds that must not be made.
    pub fn first_refused(&self, adds: &[Add], now: u64) -> Option<Refusal> {
        let refused = adds.iter().find(|add| {
            let value = self.fields(&add.tally, now).get(&add.field).copied().unwrap_or(0);
            add.below.is_some_and(|below| value >= below)
        })?;
        Some(Refusal::Exceeded { tally: refused.tally.clone(), field: refused.field.clone() })
    }

    /// Makes adds that may all be made.
    pub fn add(&mut self, adds: &[Add], now: u64) {
        self.0.retain(|_, tally| tally.dies_at.is_none_or(|end| end > now));
        for add in adds {
            let tally = self.0.entry(add.tally.clone()).or_default();
            let value = tally.fields.entry(add.field.clone()).or_default();
            *value = (*value + add.by).clamp(-MAX_TALLY, MAX_TALLY);
        }
        for add in adds {
            if let (Some(tally), Some(keep_ms)) = (self.0.get_mut(&add.tally), add.keep_ms) {
                tally.dies_at = Some(now + keep_ms);
            }
        }
    }
}
