//! Budgets: the most tokens or money that may be used.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Usage, Usd};

/// The most that a workflow may use; what is not named is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"tokens": 200_000, "usd": 0.5}))]
pub struct Budget {
    /// Tokens of all its model calls, prompts and answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars. Only models with a known price can be asked under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Usd>,
}

/// What model calls have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spending {
    pub calls: u32,
    pub usage: Usage,
    /// As far as prices are known.
    pub cost: Usd,
    /// Calls of unknown price.
    pub unpriced_calls: u32,
}

impl Spending {
    /// Of one call.
    pub fn of(usage: Usage, cost: Option<Usd>) -> Self {
        let unpriced_calls = u32::from(cost.is_none());
        Self { calls: 1, usage, cost: cost.unwrap_or_default(), unpriced_calls }
    }

    /// The cost as far as it is known; `None` when nothing of it is.
    pub fn known_cost(&self) -> Option<Usd> {
        (self.unpriced_calls < self.calls || self.cost > Usd::ZERO).then_some(self.cost)
    }
}

impl std::ops::AddAssign for Spending {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.usage += other.usage;
        self.cost += other.cost;
        self.unpriced_calls += other.unpriced_calls;
    }
}
