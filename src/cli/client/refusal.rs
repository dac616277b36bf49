//! What it means when a server does not do what it was asked for, and what can be done about it.

use std::{fmt::Write as _, time::Duration};

use reqwest::{
    StatusCode,
    header::{self, HeaderMap},
};
use serde_json::Value;

use super::Client;
use crate::cli::{Failure, table::printable};

/// As much as is shown of what a server says.
const MAX_WORDS: usize = 2_000;

/// How long the server asks to be left alone; a number of seconds, as ProductForge says it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The server says no: in its own words, and what to do.
pub(super) fn refusal(client: &Client, status: StatusCode, headers: &HeaderMap, body: &str) -> Failure {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let detail = json.as_ref().and_then(|json| json.get("detail"));
    let words = match detail {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(fields)) => fields.iter().map(complaint).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    };
    let words: String = lines(&words).chars().take(MAX_WORDS).collect();
    if status.is_redirection() {
        let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("another address");
        return Failure::Usage(format!(
            "{} sends on to {}: give the right address with --server",
            client.address(),
            printable(to)
        ));
    }
    match status {
        StatusCode::UNAUTHORIZED => Failure::Usage(match client.key {
            None => {
                "the server wants a key: set API_KEY to the one that it was started with, or name a file \
                     that holds it with --key-file"
                    .to_owned()
            }
            Some(_) => {
                "the server does not take this key: look at API_KEY, --key-file or --key; a revoked key \
                        stays refused"
                    .to_owned()
            }
        }),
        StatusCode::FORBIDDEN => Failure::Failed(anyhow::anyhow!(
            "{}\nThis key may not do that: ask for one with the right scope (read, run or admin).",
            or(words, "the server forbids it")
        )),
        StatusCode::UNPROCESSABLE_ENTITY if !words.is_empty() => Failure::Usage(words),
        StatusCode::TOO_MANY_REQUESTS => {
            let wait = retry_after(headers)
                .map_or_else(|| "a while".to_owned(), |wait| format!("{} s", wait.as_secs()));
            Failure::Failed(anyhow::anyhow!(
                "{}\nWait {wait}, then try again.",
                or(words, "the server is asked too often")
            ))
        }
        // Every answer of ours that is no success says why.
        _ if words.is_empty() && !is_gateway(status) => no_productforge(client),
        status if status.is_server_error() => {
            let mut text = or(words, &format!("the server answers {status}"));
            let id = json.as_ref().and_then(|json| json["request_id"].as_str());
            if let Some(id) = id {
                let _ = write!(text, "\nIts log has more under the request id {}.", printable(id));
            }
            Failure::Failed(anyhow::anyhow!(text))
        }
        _ => Failure::Failed(anyhow::anyhow!(words)),
    }
}

fn or(words: String, instead: &str) -> String {
    if words.is_empty() { instead.to_owned() } else { words }
}

/// What proxies answer themselves when the server behind them is away.
fn is_gateway(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// Somebody answers, but not ProductForge.
pub(super) fn no_productforge(client: &Client) -> Failure {
    Failure::Failed(anyhow::anyhow!(
        "{} answers, but not as ProductForge does: is the address right? Its /system/ping should say \"pong\".",
        client.address()
    ))
}

/// No answer came.
pub(super) fn unreachable(client: &Client, error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    let mut chain = error.to_string();
    while let Some(source) = cause.source() {
        cause = source;
        let _ = write!(chain, ": {cause}");
    }
    let (base, why) = (client.address(), cause);
    let lower = chain.to_lowercase();
    let words = if lower.contains("certificate") || lower.contains("unknownissuer") {
        format!(
            "the certificate of {base} is not trusted: {why}\nInstall the authority that signed it, or name its file \
             in SSL_CERT_FILE."
        )
    } else if lower.contains("invalidcontenttype") || lower.contains("corrupt message") {
        format!("{base} does not speak TLS: should the address begin with http:// instead?")
    } else if error.is_builder() {
        return Failure::Usage(format!("the request to {base} cannot be made: {why}"));
    } else if error.is_timeout() && !error.is_connect() {
        format!("{base} did not answer in time\n--timeout gives it more.")
    } else {
        let why = if error.is_timeout() { "no connection in time".to_owned() } else { why.to_string() };
        format!(
            "no server answers at {base}: {why}\nStart one with `productforge serve`, or say where it is with \
             --server or PRODUCTFORGE_SERVER."
        )
    };
    Failure::Unreachable(anyhow::anyhow!(lines(&words)))
}

/// `state: Input should be …`
fn complaint(field: &Value) -> String {
    let name = field["loc"].as_array().and_then(|loc| loc.last()?.as_str()).unwrap_or("request");
    format!("{name}: {}", field["msg"].as_str().unwrap_or("is not acceptable"))
}

/// A text of the server's; a terminal obeys control characters, so it gets none but line breaks.
fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
