//! Model providers: whether each is there, takes the key and knows the model.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};

use super::{Finding, clock};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, ProviderConfig},
    llm::openai::{Listed, list_models},
};

/// How long one provider may take.
const LIMIT: Duration = Duration::from_secs(6);
/// How many are asked at once.
const AT_ONCE: usize = 8;

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    if config.llm.is_simulated() {
        return vec![Finding::warning(
            "model",
            "no model is configured: answers are simulated",
            "set OPENAI_API_KEY, or OPENAI_BASE_URL, or describe a provider in productforge.toml",
        )];
    }
    if config.llm.replay.is_some() {
        return vec![Finding::ok("model", "answers are played from MODEL_REPLAY; no provider is asked")];
    }
    let asked = config.llm.providers.iter().map(provider);
    let found: Vec<Vec<Finding>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    found.into_iter().flatten().collect()
}

async fn provider(config: &ProviderConfig) -> Vec<Finding> {
    let check = format!("model_{}", config.name);
    let host = config.host();
    let listed = match list_models(config, LIMIT).await {
        Ok(listed) => listed,
        Err(e) => {
            let remedy = "look at its address, and at the network and the proxy between here and there";
            return vec![Finding::problem(&check, format!("{host} does not answer: {e:#}"), remedy)];
        }
    };
    let mut findings = vec![judged(&check, config, &listed)];
    if let Some(date) = listed.date {
        let ahead = DateTime::<Utc>::from(date) - SystemClock.now();
        findings.push(clock(&format!("clock_{}", config.name), &host, ahead));
    }
    findings
}

fn judged(check: &str, config: &ProviderConfig, listed: &Listed) -> Finding {
    let (host, model) = (config.host(), &config.model);
    match (listed.status, &listed.models) {
        (401 | 403, _) if config.key.is_none() && config.headers.is_empty() => Finding::problem(
            check,
            format!("{host} wants a key, and none is set"),
            "set the provider's key: OPENAI_API_KEY, or key_env of its section",
        ),
        (status @ (401 | 403), _) => Finding::problem(
            check,
            format!("{host} refuses the key (status {status})"),
            "make a new key at the provider, and look whether it was copied as a whole",
        ),
        (200..300, Some(models)) if model.is_empty() => {
            Finding::ok(check, format!("{host} takes the key and has {} models", models.len()))
        }
        (200..300, Some(models)) if models.contains(model) => {
            Finding::ok(check, format!("{host} takes the key and knows {model}"))
        }
        (200..300, Some(models)) => Finding::warning(
            check,
            format!("{host} does not list {model}; it has {}", some_of(models)),
            "set OPENAI_MODEL, or model of the provider's section, to one that it has",
        ),
        (status, _) => Finding::warning(
            check,
            format!("{host} gives no list of models (status {status}), so key and model were not looked at"),
            "try a job: productforge run \"Say hello\" --no-qa",
        ),
    }
}

/// The first few names of many.
fn some_of(models: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut names = models.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if models.len() > SHOWN {
        names.push_str(&format!(" and {} more", models.len() - SHOWN));
    }
    if names.is_empty() { "none".to_owned() } else { names }
}
