//! What came of a key: its last use and its spending, read from the notes and tallies beside its document.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Key, KeyInfo, Keys};
use crate::{
    model::{Timestamp, Usd},
    service::{
        ServiceError,
        execution::budget::{HELD_NANOS, HELD_TOKENS, USED_NANOS, USED_TOKENS, key_tally},
        records, usage,
    },
    store::{Add, MAX_BATCH},
};

/// What model calls have used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Spent {
    pub tokens: u64,
    /// US dollars, as far as prices are known; null when no price of what was asked is known.
    pub cost_usd: Option<Usd>,
}

/// What the work of a key has used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct KeySpend {
    /// On this day, in UTC.
    pub today: Spent,
    /// Since the name was first used; forgotten when it is not used for 400 days.
    pub total: Spent,
}

/// The note of a key's last use.
#[derive(Deserialize)]
struct Use {
    last_used: i64,
}

/// Calls whose price is not known: what they cost is in no sum.
const UNPRICED: &str = "unpriced";

/// What a model call on this day adds to the spending of a key, beside what it adds to the key's budget of the day.
pub(in crate::service) fn adds(name: &str, day: &str, tokens: u64, cost: Option<Usd>) -> Vec<Add> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let total = |field, by| Add::new(total_tally(name), field, by).keep_ms(usage::USAGE_KEPT_MS);
    let nanos = cost.unwrap_or_default().nanos();
    let mut adds = vec![total(USED_TOKENS, whole(tokens)), total(USED_NANOS, whole(nanos))];
    if cost.is_none() {
        let today = Add::new(key_tally(day, name), UNPRICED, 1).keep_ms(usage::BUDGET_DAY_KEPT_MS);
        adds.extend([total(UNPRICED, 1), today]);
    }
    adds
}

fn total_tally(name: &str) -> String {
    usage::short(format!("spend:key:{name}"))
}

impl Keys {
    /// Keys as they are shown.
    pub(super) async fn infos(&self, keys: Vec<Key>) -> Result<Vec<KeyInfo>, ServiceError> {
        let store = self.base.store.as_ref();
        let now = self.base.clock.now();
        let day = usage::day_of(now);
        let mut infos = Vec::with_capacity(keys.len());
        // Two tallies for each.
        for keys in keys.chunks(MAX_BATCH / 2) {
            let uses: Vec<_> = keys.iter().map(|key| records::key_use_key(&key.id)).collect();
            let uses = store.get(&uses).await?;
            let names: Vec<String> =
                keys.iter().flat_map(|key| [key_tally(&day, &key.name), total_tally(&key.name)]).collect();
            let tallies = store.tallies(&names).await?;
            for ((key, used), tallies) in keys.iter().zip(uses).zip(tallies.chunks(2)) {
                let spent = |n: usize| {
                    let get =
                        |field: &str| tallies.get(n).and_then(|tally| tally.get(field)).copied().unwrap_or(0);
                    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
                    let cost = Usd::from_nanos(whole(get(USED_NANOS) - get(HELD_NANOS)));
                    Spent {
                        tokens: whole(get(USED_TOKENS) - get(HELD_TOKENS)),
                        cost_usd: Some(cost).filter(|cost| get(UNPRICED) == 0 || *cost > Usd::ZERO),
                    }
                };
                let last_used = match used {
                    Some(doc) => Timestamp::from_timestamp_millis(doc.parse::<Use>()?.last_used),
                    None => None,
                };
                infos.push(KeyInfo {
                    id: key.id.clone(),
                    name: key.name.clone(),
                    scope: key.scope,
                    state: key.state(now),
                    created_at: key.created_at,
                    created_by: key.created_by.clone(),
                    expires_at: key.expires_at,
                    requests_per_minute: key.requests_per_minute,
                    budget: key.budget,
                    last_used,
                    revoked_at: key.revoked_at,
                    spend: KeySpend { today: spent(0), total: spent(1) },
                });
            }
        }
        Ok(infos)
    }
}
