//! `GET {base}/models`: whether a provider is there, takes the key and knows a model. It costs nothing.

use std::time::{Duration, SystemTime};

use reqwest::header;
use serde_json::Value;

use super::transport::{below, client, headers};
use crate::config::ProviderConfig;

/// The most of a list that is read: 8 MiB.
const MOST_BYTES: usize = 8 << 20;

/// What a provider answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub status: u16,
    /// Its clock, to the second.
    pub date: Option<SystemTime>,
    /// The names of its models; `None` when the answer is no such list.
    pub models: Option<Vec<String>>,
}

/// Asks a provider for the list of its models. An error says why there is no answer.
pub async fn list_models(config: &ProviderConfig, limit: Duration) -> anyhow::Result<Listed> {
    let url = below(&config.base_url, "the address", &["models"])?;
    let asked = async {
        let request = client(&url, config.timeouts.connect)?.get(url.clone()).headers(headers(config)?);
        // An address can hold a password.
        let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = answer.status().as_u16();
        let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + piece.len() > MOST_BYTES {
                break;
            }
            body.extend_from_slice(&piece);
        }
        anyhow::Ok(Listed { status, date, models: names(&body) })
    };
    match tokio::time::timeout(limit, asked).await {
        Ok(listed) => listed,
        Err(_) => anyhow::bail!("no answer in {} s", limit.as_secs()),
    }
}

/// `{"data": [{"id": "…"}]}`, or the same without the wrapping as some servers have it.
fn names(body: &[u8]) -> Option<Vec<String>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let list = answer.get("data").unwrap_or(&answer).as_array()?;
    Some(list.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
}
