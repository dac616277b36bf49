//! Agents: register, show, list, delete.

pub(crate) mod check;

use std::sync::Arc;

use crate::{
    llm::ModelProvider,
    model::{Agent, DEFAULT_MODEL, NewAgent, default_agents},
    store::{Change, IndexName, StoreError},
};

use super::{Foundation, ServiceError, listing, records};

/// How many agents a listing shows, as in the legacy system.
const MAX_LISTED: usize = 200;
/// How often a write is repeated when others write the same document meanwhile.
const TRIES: usize = 5;

#[derive(Clone)]
pub struct Agents {
    base: Arc<Foundation>,
}

impl Agents {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// All agents, newest first, at most 200. Where there is none, the four default agents are
    /// made first.
    pub async fn list(&self) -> Result<Vec<Agent>, ServiceError> {
        self.ensure_defaults().await?;
        let index = IndexName::all(records::AGENT);
        let listing =
            listing::page(self.base.store.as_ref(), records::AGENT, index, MAX_LISTED, None).await?;
        Ok(listing.items)
    }

    /// Makes the four default agents when there is no agent at all.
    pub async fn ensure_defaults(&self) -> Result<(), ServiceError> {
        if self.base.store.count(&IndexName::all(records::AGENT)).await? > 0 {
            return Ok(());
        }
        for agent in default_agents(self.base.clock.now()) {
            // One that exists already (not indexed by a foreign program, say) stays as it is.
            let change =
                Change::new().expect(records::agent_key(&agent.name), None).put(records::put_agent(&agent));
            let _ = self.base.store.apply(change).await?;
        }
        Ok(())
    }

    /// One agent.
    pub async fn get(&self, name: &str) -> Result<Agent, ServiceError> {
        self.find(name).await?.ok_or_else(|| ServiceError::NotFound(format!("Agent '{name}' not found")))
    }

    /// One agent, if it is registered. The default agents are made first if there is none at all.
    pub async fn find(&self, name: &str) -> Result<Option<Agent>, ServiceError> {
        self.ensure_defaults().await?;
        match records::load::<Agent>(self.base.store.as_ref(), records::agent_key(name)).await {
            Ok(found) => Ok(found.map(|(agent, _)| agent)),
            // Of another form, as a legacy version stored them: registering it anew replaces it.
            Err(e @ StoreError::Corrupt { .. }) => {
                log::warn!("agent '{name}' counts as not registered: {e}");
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The agent as a job needs it: a name that nobody registered (any more) still has a persona.
    pub async fn persona(&self, name: &str) -> Result<Agent, ServiceError> {
        match records::load(self.base.store.as_ref(), records::agent_key(name)).await {
            Ok(Some((agent, _))) => return Ok(agent),
            Ok(None) => {}
            // A document of another form (a legacy version stored agents as hashes) stops no job.
            Err(e @ StoreError::Corrupt { .. }) => log::warn!("the built-in persona stands in: {e}"),
            Err(e) => return Err(e.into()),
        }
        let now = self.base.clock.now();
        let built_in = default_agents(now).into_iter().find(|a| a.name == name);
        Ok(built_in.unwrap_or_else(|| {
            Agent::register(
                NewAgent { name: name.to_owned(), role: "Assistant".to_owned(), ..NewAgent::default() },
                now,
            )
        }))
    }

    /// Registers an agent; an existing one of that name is replaced.
    pub async fn register(&self, new: NewAgent) -> Result<Agent, ServiceError> {
        check::check(&new)?;
        let agent = Agent::register(new, self.base.clock.now());
        let change = Change::new().put(records::put_agent(&agent));
        let written = self.base.store.apply(change.clone()).await;
        if let Err(StoreError::Corrupt { .. }) = written {
            // A key of another type stands in its place.
            let _ = self.base.store.apply(Change::new().delete(records::agent_key(&agent.name))).await?;
            let _ = self.base.store.apply(change).await?;
        } else {
            let _ = written?;
        }
        Ok(agent)
    }

    /// Deletes an agent.
    pub async fn delete(&self, name: &str) -> Result<(), ServiceError> {
        let key = records::agent_key(name);
        for _ in 0..TRIES {
            let found = match self.base.store.get(std::slice::from_ref(&key)).await {
                Err(StoreError::Corrupt { .. }) => {
                    let _ = self.base.store.apply(Change::new().delete(key)).await?;
                    return Ok(());
                }
                found => found?.pop().flatten(),
            };
            let Some(doc) = found else {
                return Err(ServiceError::NotFound(format!("Agent '{name}' not found")));
            };
            let change = Change::new().expect(key.clone(), Some(doc.revision())).delete(key.clone());
            if self.base.store.apply(change).await?.is_ok() {
                return Ok(());
            }
        }
        Err(ServiceError::Conflict(format!("agent '{name}' keeps changing; try again")))
    }

    /// Counts jobs given to agents. A count is worth no failed request: trouble is only logged.
    pub(super) async fn assigned(&self, names: &[String]) {
        if let Err(e) = self.ensure_defaults().await {
            log::debug!("the default agents were not made: {e}");
        }
        let mut distinct: Vec<&String> = names.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        for name in distinct {
            let jobs = names.iter().filter(|n| *n == name).count() as u64;
            if let Err(e) = self.count_jobs(name, jobs).await {
                log::debug!("the task count of agent '{name}' was not updated: {e}");
            }
        }
    }

    async fn count_jobs(&self, name: &str, jobs: u64) -> Result<(), ServiceError> {
        for _ in 0..TRIES {
            let key = records::agent_key(name);
            let Some((mut agent, revision)) =
                records::load::<Agent>(self.base.store.as_ref(), key.clone()).await?
            else {
                return Ok(());
            };
            agent.task_count += jobs;
            agent.last_assigned = Some(self.base.clock.now());
            let change = Change::new().expect(key, Some(revision)).put(records::put_agent(&agent));
            if self.base.store.apply(change).await?.is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The models to ask for an agent, best first, as [`crate::llm::ChatRequest::models`] has them; none
/// stands for the default model alone.
pub fn models(agent: &Agent, provider: &dyn ModelProvider) -> Vec<String> {
    let own = Some(agent.model.as_str()).filter(|m| !m.is_empty() && *m != DEFAULT_MODEL);
    if agent.fallback_models.is_empty() {
        return own.map(str::to_owned).into_iter().collect();
    }
    let first = own.map(str::to_owned).unwrap_or_else(|| {
        let route = provider.route(None);
        format!("{}/{}", route.provider, route.model)
    });
    std::iter::once(first).chain(agent.fallback_models.iter().cloned()).collect()
}
