//! Budgets: reserved before a call, settled after it, over all processes.
//!
//! A budget is a tally with two figures for tokens and two for money: `used`, which counts what is reserved,
//! too, and `held`, which is the reserved part of it. A call may begin while `used` is below the limit, and
//! reserves the most it can use; so the limit is passed by one call at the most, whoever asks at once. What
//! is reserved stands in a document beside the job and is given back in the write that ends the job's
//! attempt otherwise than by an answer.

use serde::{Deserialize, Serialize};

use crate::{
    engine::{budget, intervene},
    model::{Agent, Budget, Call, PauseReason, Price, Timestamp, Usd, Workflow},
    store::{Add, Change, LeaseEnd, Refusal, Revision, Store},
};

use super::{Execution, Question, Running};
use crate::service::{ServiceError, dispatch, keys, records, usage};

/// The most tokens of an answer under a budget where nobody says how long it may be: without a limit
/// nothing could be reserved.
const BUDGETED_ANSWER: u32 = 4_096;

/// What was reserved for a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    pub job_id: String,
    /// The number of the call.
    pub call: u32,
    pub tokens: u64,
    pub usd: Usd,
    /// The tallies that hold it.
    pub tallies: Vec<String>,
    pub at_ms: i64,
}

/// Whether a call may begin.
#[derive(Debug, Clone, PartialEq)]
pub enum Reserved {
    /// It may, and its answer may have so many tokens where that is limited now.
    Yes(Option<u32>),
    /// A budget is used up: somebody has to raise it, or a new day to begin.
    Exceeded(UsedUp),
    /// Others hold what is left; when they have settled, there may be some.
    Busy(UsedUp),
    /// A budget in dollars, and this model has no known price.
    NoPrice(String),
    /// The lease is lost.
    LeaseLost,
}

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq)]
pub struct UsedUp {
    /// `workflow`, `agent`, `api_key` or `day`.
    pub scope: &'static str,
    /// For a person.
    pub detail: String,
    /// When it begins anew by itself.
    pub renews_at: Option<Timestamp>,
}

/// One budget that a job counts against.
struct Scope {
    name: &'static str,
    /// What it is a budget of, for a person.
    of: String,
    tally: String,
    limit: Budget,
    daily: bool,
}

impl Execution {
    /// The budgets that a job counts against, limited or not.
    fn scopes(&self, running: &Running, now: Timestamp) -> Vec<Scope> {
        let day = usage::day_of(now);
        let mut scopes = Vec::new();
        if let Some(workflow) = &running.workflow {
            scopes.push(Scope {
                name: "workflow",
                of: "the workflow".to_owned(),
                tally: workflow_tally(&workflow.workflow_id),
                limit: workflow.budget.unwrap_or_default(),
                daily: false,
            });
        }
        let agent = &running.agent;
        scopes.push(Scope {
            name: "agent",
            of: format!("agent {} for today", agent.name),
            tally: usage::short(format!("budget:agent:{day}:{}", agent.name)),
            limit: agent_budget(agent),
            daily: true,
        });
        if let Some(key) = &running.job.api_key {
            scopes.push(Scope {
                name: "api_key",
                of: format!("API key '{key}' for today"),
                tally: key_tally(&day, key),
                limit: self.base.budgets.key,
                daily: true,
            });
        }
        scopes.push(Scope {
            name: "day",
            of: "all work of today".to_owned(),
            tally: format!("budget:day:{day}"),
            limit: self.base.budgets.day,
            daily: true,
        });
        scopes
    }

    /// Reserves what a call can use at the most, in every budget that it counts against. Asked again for a
    /// call that was reserved for already, it changes nothing.
    pub async fn reserve(&self, running: &Running, question: &Question) -> Result<Reserved, ServiceError> {
        let key = records::reservation_key(&running.job.job_id);
        let store = self.base.store.as_ref();
        for _ in 0..super::TRIES {
            let now = self.base.clock.now();
            let mut scopes = self.scopes(running, now);
            // Somebody may have raised the workflow's budget since this attempt began.
            let workflow = self.workflow_of(running).await?;
            if let (Some((workflow, _)), Some(scope)) =
                (&workflow, scopes.iter_mut().find(|scope| scope.name == "workflow"))
            {
                scope.limit = workflow.budget.unwrap_or_default();
            }
            if let (Some(key), Some(scope)) =
                (&running.job.api_key, scopes.iter_mut().find(|scope| scope.name == "api_key"))
            {
                scope.limit = self.keys.daily_budget(key).await?;
            }
            scopes.retain(|scope| scope.limit != Budget::default());
            if scopes.is_empty() {
                return Ok(Reserved::Yes(None));
            }
            let request = &question.request;
            let answer = request.max_tokens.unwrap_or(BUDGETED_ANSWER);
            let prices = match self.prices_of(&request.models) {
                Ok(prices) => prices,
                Err(unknown) if scopes.iter().any(|scope| scope.limit.usd.is_some()) => {
                    return Ok(Reserved::NoPrice(unknown));
                }
                Err(_) => Vec::new(),
            };
            let most = budget::most(&request.messages, &request.tools, answer, &prices);
            let found = records::load::<Reservation>(store, key.clone()).await?;
            if found.as_ref().is_some_and(|(held, _)| held.call == question.number) {
                return Ok(Reserved::Yes(Some(answer)));
            }
            let reservation = Reservation {
                job_id: running.job.job_id.clone(),
                call: question.number,
                tokens: most.tokens,
                usd: most.usd,
                tallies: scopes.iter().map(|scope| scope.tally.clone()).collect(),
                at_ms: now.timestamp_millis(),
            };
            let mut change = Change::new()
                .under(running.token, LeaseEnd::Keep)
                .expect(key.clone(), found.as_ref().map(|(_, revision)| revision.clone()))
                .put(records::put_reservation(&reservation));
            if let Some((stale, _)) = &found {
                change.add.extend(given_back(stale));
            }
            change.add.extend(scopes.iter().flat_map(|scope| taken(scope, &reservation)));
            if let Some((workflow, before)) = &workflow {
                change = goes_on(change, workflow, before, now);
            }
            match store.apply(change).await? {
                Ok(_) => return Ok(Reserved::Yes(Some(answer))),
                Err(Refusal::LeaseLost) => return Ok(Reserved::LeaseLost),
                Err(Refusal::Exceeded { tally, .. }) => {
                    if let Some(scope) = scopes.iter().find(|scope| scope.tally == tally) {
                        return self.refused_by(scope, now).await;
                    }
                }
                // The workflow or the reservation changed meanwhile.
                Err(Refusal::Changed(_) | Refusal::Limited(_)) => {}
            }
        }
        Err(self.busy(&running.job.job_id))
    }

    /// Why a scope has nothing to reserve.
    async fn refused_by(&self, scope: &Scope, now: Timestamp) -> Result<Reserved, ServiceError> {
        let tally =
            self.base.store.tallies(std::slice::from_ref(&scope.tally)).await?.pop().unwrap_or_default();
        let get = |field: &str| tally.get(field).copied().unwrap_or(0);
        let (tokens, nanos) = (get(USED_TOKENS) - get(HELD_TOKENS), get(USED_NANOS) - get(HELD_NANOS));
        let tokens_gone = scope.limit.tokens.is_some_and(|limit| tokens >= as_i64(limit));
        let usd_gone = scope.limit.usd.is_some_and(|limit| nanos >= as_i64(limit.nanos()));
        let figures = match (scope.limit.tokens, scope.limit.usd) {
            (Some(limit), _) if tokens_gone => format!("{tokens} of {limit} tokens are used"),
            (_, Some(limit)) => {
                let spent = Usd::from_nanos(u64::try_from(nanos).unwrap_or(0));
                format!("{spent} of {limit} are spent")
            }
            (limit, None) => format!("{tokens} of {} tokens are used", limit.unwrap_or(0)),
        };
        let used_up = used_up(scope, &figures, now);
        Ok(if tokens_gone || usd_gone { Reserved::Exceeded(used_up) } else { Reserved::Busy(used_up) })
    }

    /// The prices of all models that a request may come to, or the first that has none.
    fn prices_of(&self, models: &[String]) -> Result<Vec<Price>, String> {
        let default = [String::new()];
        let models = if models.is_empty() { &default[..] } else { models };
        let price = |model: &String| {
            let route = self.base.provider.route(Some(model.as_str()).filter(|model| !model.is_empty()));
            let price = self.base.prices.of(&route.provider, &route.model);
            price.ok_or_else(|| format!("{}/{}", route.provider, route.model))
        };
        models.iter().map(price).collect()
    }

    /// Adds to the journaling of a call what it used of the job's budgets, and takes back what was reserved.
    pub(super) async fn settle_budgets(
        &self,
        mut change: Change,
        running: &Running,
        call: &Call,
    ) -> Result<Change, ServiceError> {
        let now = self.base.clock.now();
        let cost = call.cost_usd.unwrap_or_default();
        for scope in self.scopes(running, now) {
            change.add.extend(used(&scope, call.usage.total_tokens, cost));
        }
        if let Some(key) = &running.job.api_key {
            let day = usage::day_of(now);
            change.add.extend(keys::spend_adds(key, &day, call.usage.total_tokens, call.cost_usd));
        }
        self.give_back(change, &call.job_id).await
    }

    /// Adds to a change that what is reserved for a job's next call is given back.
    pub(super) async fn give_back(&self, change: Change, job_id: &str) -> Result<Change, ServiceError> {
        give_back(self.base.store.as_ref(), change, job_id).await
    }
}

/// Adds to a change that what is reserved for a job's next call is given back.
pub(in crate::service) async fn give_back(
    store: &dyn Store,
    mut change: Change,
    job_id: &str,
) -> Result<Change, ServiceError> {
    let key = records::reservation_key(job_id);
    if let Some((held, before)) = records::load::<Reservation>(store, key.clone()).await? {
        change.add.extend(given_back(&held));
        change = change.expect(key.clone(), Some(before)).delete(key);
    }
    Ok(change)
}

/// Lets a paused workflow go on, if it is one.
fn goes_on(change: Change, workflow: &Workflow, before: &Revision, now: Timestamp) -> Change {
    let waits_for_it = workflow.waits_for(PauseReason::BudgetExceeded);
    if !waits_for_it {
        return change;
    }
    let mut workflow = workflow.clone();
    let effects = intervene::resumed(&mut workflow, "There is room in the budget again.", now);
    if effects.events.is_empty() {
        return change;
    }
    let change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before.clone()));
    dispatch::add_effects(change, &workflow, &effects, now)
}

/// The tally of a workflow's budget.
pub(in crate::service) fn workflow_tally(workflow_id: &str) -> String {
    usage::short(format!("budget:workflow:{workflow_id}"))
}

/// The tally of a day's budget of an API key.
pub(in crate::service) fn key_tally(day: &str, key: &str) -> String {
    usage::short(format!("budget:key:{day}:{key}"))
}

fn agent_budget(agent: &Agent) -> Budget {
    agent
        .budget
        .map_or_else(Budget::default, |daily| Budget { tokens: daily.tokens_per_day, usd: daily.usd_per_day })
}

pub(in crate::service) const USED_TOKENS: &str = "used_tokens";
pub(in crate::service) const HELD_TOKENS: &str = "held_tokens";
pub(in crate::service) const USED_NANOS: &str = "used_nanos";
pub(in crate::service) const HELD_NANOS: &str = "held_nanos";

/// What a reservation does to a budget.
fn taken(scope: &Scope, reservation: &Reservation) -> [Add; 4] {
    let tokens = as_i64(reservation.tokens);
    let nanos = as_i64(reservation.usd.nanos());
    [
        Add { below: scope.limit.tokens.map(as_i64), ..add(&scope.tally, USED_TOKENS, tokens, scope.daily) },
        Add {
            below: scope.limit.usd.map(|usd| as_i64(usd.nanos())),
            ..add(&scope.tally, USED_NANOS, nanos, scope.daily)
        },
        add(&scope.tally, HELD_TOKENS, tokens, scope.daily),
        add(&scope.tally, HELD_NANOS, nanos, scope.daily),
    ]
}

pub(super) fn given_back(held: &Reservation) -> Vec<Add> {
    let (tokens, nanos) = (-as_i64(held.tokens), -as_i64(held.usd.nanos()));
    let of = |tally: &String| {
        let daily = tally.starts_with("budget:agent:")
            || tally.starts_with("budget:key:")
            || tally.starts_with("budget:day:");
        [
            add(tally, USED_TOKENS, tokens, daily),
            add(tally, USED_NANOS, nanos, daily),
            add(tally, HELD_TOKENS, tokens, daily),
            add(tally, HELD_NANOS, nanos, daily),
        ]
    };
    held.tallies.iter().flat_map(of).collect()
}

fn used(scope: &Scope, tokens: u64, cost: Usd) -> [Add; 2] {
    [
        add(&scope.tally, USED_TOKENS, as_i64(tokens), scope.daily),
        add(&scope.tally, USED_NANOS, as_i64(cost.nanos()), scope.daily),
    ]
}

fn add(tally: &str, field: &str, by: i64, daily: bool) -> Add {
    let keep_ms = daily.then_some(usage::BUDGET_DAY_KEPT_MS);
    Add { tally: tally.to_owned(), field: field.to_owned(), by, below: None, keep_ms }
}

fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn used_up(scope: &Scope, figures: &str, now: Timestamp) -> UsedUp {
    let renews_at = scope.daily.then(|| usage::next_day(now));
    let then = match (scope.name, renews_at) {
        ("workflow", _) => "raise it with POST /workflows/{id}/budget",
        ("agent", _) => "raise the agent's budget, or wait for tomorrow (UTC)",
        ("api_key", _) => {
            "wait for tomorrow (UTC), raise KEY_BUDGET_*, or replace the key by one with a larger budget"
        }
        _ => "raise it in the configuration, or wait for tomorrow (UTC)",
    };
    UsedUp {
        scope: scope.name,
        detail: format!("budget_exceeded: the budget of {} is used up ({figures}); {then}", scope.of),
        renews_at,
    }
}
