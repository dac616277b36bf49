//! Limits on what runs at once: what an attempt claims before it begins, and what it does when there is
//! no place for it.

use crate::{
    model::{Agent, DEFAULT_MODEL, Job, JobState, derived_id},
    store::{Change, Claim, Delivery, LeaseEnd, MAX_CLAIM_LIMIT, Refusal, Revision},
};

use super::{Admission, Execution, journal};
use crate::service::{ServiceError, records};

/// The longest name of a claim.
const MAX_NAME_BYTES: usize = 256;

impl Execution {
    /// What an attempt has to claim: a place of its agent, of its model and of the provider it asks first,
    /// where those are limited.
    pub(super) fn claims(&self, agent: &Agent) -> Vec<Claim> {
        let mut claims = Vec::new();
        let mut claim = |what: &str, name: &str, limit: Option<u32>| {
            // A document of a foreign hand may say more than there is.
            let limit = limit.filter(|limit| *limit > 0).map(|limit| limit.min(MAX_CLAIM_LIMIT));
            claims.extend(limit.map(|limit| Claim { name: claim_name(what, name), limit }));
        };
        claim("agent", &agent.name, agent.max_concurrency);
        let own = Some(agent.model.as_str()).filter(|model| !model.is_empty() && *model != DEFAULT_MODEL);
        let route = self.base.provider.route(own);
        let full = format!("{}/{}", route.provider, route.model);
        // A limit is meant for one model, however an agent names it.
        let (model, limit) = self.base.model_concurrency.of_first(&[&full, &route.model]);
        claim("model", model, limit);
        let provider = self.base.providers.iter().find(|provider| provider.name == route.provider);
        claim("provider", &route.provider, provider.and_then(|provider| provider.concurrency));
        claims
    }

    /// Lets a job wait until its claim can be had; its document says so. `None` when that changed
    /// meanwhile.
    pub(super) async fn park(
        &self,
        delivery: &Delivery,
        mut job: Job,
        job_before: Option<Revision>,
        claim: Claim,
    ) -> Result<Option<Admission>, ServiceError> {
        let why = format!("waits for {}, of which {} run already", claim.name, claim.limit);
        job.state = JobState::Queued;
        job.due_at = None;
        job.waits_for = Some(claim.name.clone());
        let mut change = Change::new().under(delivery.token, LeaseEnd::Park(claim));
        if job_before.is_none() {
            change = change.delete(records::call_key(&job.job_id, journal::FIRST));
        }
        change = change.expect(records::job_key(&job.job_id), job_before).put(records::put_job(&job));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Some(Admission::Settled(why)),
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. }) => None,
        })
    }
}

/// `agent:qa_bot`; a name that is too long stands in a short form.
fn claim_name(what: &str, name: &str) -> String {
    let full = format!("{what}:{name}");
    if full.len() <= MAX_NAME_BYTES { full } else { format!("{what}:{}", derived_id(what, name)) }
}
