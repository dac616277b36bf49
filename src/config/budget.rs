//! What may be used in a day.

use super::{reader::Reader, values};

/// More tokens than any account has in a day.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// Limits by day, UTC; `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BudgetConfig {
    /// `DAILY_BUDGET_USD`: of all calls, over all processes.
    pub day_usd: Option<f64>,
    /// `DAILY_BUDGET_TOKENS`.
    pub day_tokens: Option<u64>,
    /// `KEY_BUDGET_USD`: of what was asked for with one API key.
    pub key_usd: Option<f64>,
    /// `KEY_BUDGET_TOKENS`.
    pub key_tokens: Option<u64>,
}

pub(super) fn read(r: &mut Reader<'_>) -> BudgetConfig {
    BudgetConfig {
        day_usd: r.optional("DAILY_BUDGET_USD", values::dollars),
        day_tokens: r.optional("DAILY_BUDGET_TOKENS", values::number(1, MAX_TOKENS)),
        key_usd: r.optional("KEY_BUDGET_USD", values::dollars),
        key_tokens: r.optional("KEY_BUDGET_TOKENS", values::number(1, MAX_TOKENS)),
    }
}
