//! Several providers as one: a model is named `provider/model`, and where one cannot answer, the next
//! one of the request is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;

use super::{ChatAnswer, ChatRequest, Listener, ModelError, ModelErrorKind, ModelProvider, Route};

/// Finds the provider of a model. The default one is asked for whatever names no other.
pub struct Router {
    default: Arc<dyn ModelProvider>,
    others: Vec<Arc<dyn ModelProvider>>,
}

impl Router {
    /// A name is found in the default provider first, then in the others in their order.
    pub fn new(default: Arc<dyn ModelProvider>, others: Vec<Arc<dyn ModelProvider>>) -> Self {
        Self { default, others }
    }

    /// Who answers for a model, and what the model is called there; `None`: that one's default model.
    ///
    /// A first segment that is a provider's name selects it, whatever slashes follow:
    /// `openrouter/meta-llama/llama-3` is `meta-llama/llama-3` at `openrouter`. Any other name is a model
    /// of the default provider as it stands, since model names may have slashes themselves.
    fn resolve<'a>(&self, model: &'a str) -> (&Arc<dyn ModelProvider>, Option<&'a str>) {
        let named = model.split_once('/').and_then(|(name, rest)| {
            let provider = std::iter::once(&self.default).chain(&self.others).find(|p| p.name() == name)?;
            Some((provider, rest))
        });
        let (provider, model) = named.unwrap_or((&self.default, model));
        (provider, Some(model).filter(|model| !model.is_empty()))
    }

    async fn ask(
        &self,
        model: Option<&str>,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let (provider, model) = model.map_or((&self.default, None), |model| self.resolve(model));
        let models: Vec<String> = model.map(str::to_owned).into_iter().collect();
        if models == request.models {
            return provider.complete(request, listener).await;
        }
        provider.complete(&ChatRequest { models, ..request.clone() }, listener).await
    }
}

#[async_trait]
impl ModelProvider for Router {
    fn name(&self) -> &str {
        self.default.name()
    }

    fn default_model(&self) -> &str {
        self.default.default_model()
    }

    fn is_simulated(&self) -> bool {
        self.default.is_simulated()
    }

    fn route(&self, model: Option<&str>) -> Route {
        let (provider, model) = model.map_or((&self.default, None), |model| self.resolve(model));
        provider.route(model)
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let started = Instant::now();
        let ear = Ear { listener, heard: AtomicBool::new(false) };
        let models: Vec<Option<&str>> = match request.models.as_slice() {
            [] => vec![None],
            models => models.iter().map(|model| Some(model.as_str())).collect(),
        };
        let mut failures: Vec<Failure> = Vec::new();
        let mut requests = 0;
        for (i, model) in models.iter().enumerate() {
            match self.ask(*model, request, &ear).await {
                Ok(mut answer) => {
                    if !failures.is_empty() {
                        answer.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    }
                    answer.requests += requests;
                    return Ok(answer);
                }
                // What is wrong is the request, or the answer was one: no other error matters.
                Err(error) if !another_may_help(&error) => {
                    return Err(ModelError { requests: requests + error.requests, ..error });
                }
                Err(error) => {
                    requests += error.requests;
                    failures.push(Failure { error, route: self.route(*model) });
                }
            }
            if let (Some(failure), Some(next)) = (failures.last(), models.get(i + 1)) {
                let (Failure { error, route }, next) = (failure, self.route(*next));
                log::warn!(
                    "{}/{} gave no answer ({}), {}/{} is asked instead: {error}",
                    route.provider,
                    route.model,
                    error.kind.as_str(),
                    next.provider,
                    next.model
                );
                if ear.heard.swap(false, Ordering::Relaxed) {
                    listener.restart();
                }
            }
        }
        Err(soonest(failures, requests))
    }
}

/// Whether another model may answer where this one did not: it is this model or its provider that is
/// missing, refused, busy or too small. A pacer that let no request go counts as busy.
fn another_may_help(error: &ModelError) -> bool {
    use ModelErrorKind::{
        Auth, BadAnswer, BadRequest, Billing, Connection, ContextTooLong, RateLimited, Refused, Timeout,
        Unavailable, UnknownModel,
    };
    match error.kind {
        UnknownModel | Auth | Billing | RateLimited | Unavailable | Connection | Timeout | ContextTooLong => {
            true
        }
        Refused | BadRequest | BadAnswer => error.requests == 0,
    }
}

struct Failure {
    error: ModelError,
    route: Route,
}

/// The one failure of several that says best what to do: of those that can pass by themselves the one with
/// the shortest wait that was asked for, or the first; then the same of those that need somebody.
fn soonest(failures: Vec<Failure>, requests: u32) -> ModelError {
    let rank = |error: &ModelError| {
        (!error.kind.is_retryable(), error.retry_after.is_none(), error.retry_after.unwrap_or_default())
    };
    // Of equal ones `min_by_key` takes the first. There is one: at least one model was asked.
    let best = (0..failures.len()).min_by_key(|i| rank(&failures[*i].error)).unwrap_or(0);
    let mut error = failures[best].error.clone();
    error.requests = requests;
    let others: Vec<String> = failures
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != best)
        .map(|(_, f)| format!("{}/{}: {}", f.route.provider, f.route.model, f.error.kind.as_str()))
        .collect();
    if !others.is_empty() {
        let Route { provider, model, .. } = &failures[best].route;
        error.message = format!("{provider}/{model}: {} (also {})", error.message, others.join(", "));
    }
    error
}

/// Remembers whether anything was heard since the last beginning.
struct Ear<'a> {
    listener: &'a dyn Listener,
    heard: AtomicBool,
}

impl Listener for Ear<'_> {
    fn delta(&self, text: &str) {
        self.heard.store(true, Ordering::Relaxed);
        self.listener.delta(text);
    }

    fn restart(&self) {
        self.heard.store(false, Ordering::Relaxed);
        self.listener.restart();
    }
}
