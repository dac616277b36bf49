//! How workflows report to addresses that their briefs name.

use base64::{Engine, prelude::BASE64_STANDARD};
use ipnet::IpNet;

use super::{Secret, proxies, reader::Reader};

/// The least and the most bytes of a secret, as Standard Webhooks has it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Webhooks.
#[derive(Debug, Clone, Default)]
pub struct WebhookConfig {
    /// `WEBHOOK_SECRET`: what reports are signed with; without it no brief may name an address.
    pub secret: Option<Secret>,
    /// `WEBHOOK_ALLOW`: names that may be reached although they are not public.
    pub hosts: Vec<String>,
    /// `WEBHOOK_ALLOW`: networks that may be reached although they are not public.
    pub networks: Vec<IpNet>,
}

impl WebhookConfig {
    /// The key of the signatures.
    pub fn secret_bytes(&self) -> Option<Vec<u8>> {
        decode(self.secret.as_ref()?.expose())
    }
}

pub(super) fn read(r: &mut Reader<'_>) -> WebhookConfig {
    let secret = r.secret("WEBHOOK_SECRET", |text| match decode(&text) {
        Some(_) => Ok(text),
        None => Err("must be 24 to 64 bytes in base64, with or without whsec_ in front; `openssl rand -base64 32` makes one"
            .to_owned()),
    });
    let (hosts, networks) = r.optional("WEBHOOK_ALLOW", allowed).unwrap_or_default();
    WebhookConfig { secret, hosts, networks }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
    SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
}

/// Names and networks, separated by commas.
fn allowed(text: String) -> Result<(Vec<String>, Vec<IpNet>), String> {
    let (mut hosts, mut networks) = (Vec::new(), Vec::new());
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let is_name = entry.bytes().any(|b| b.is_ascii_alphabetic()) && !entry.contains([':', '/', '*', '@']);
        match proxies::networks(entry) {
            Ok(found) => networks.extend(found),
            Err(_) if is_name => hosts.push(entry.trim_end_matches('.').to_ascii_lowercase()),
            Err(_) => {
                return Err(
                    "must be a list of names and networks such as hooks.internal,10.0.0.0/8".to_owned()
                );
            }
        }
    }
    Ok((hosts, networks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_networks() {
        let (hosts, networks) = allowed("Hooks.internal., 10.0.0.0/8,127.0.0.1,::1".to_owned()).unwrap();
        assert_eq!((hosts, networks.len()), (vec!["hooks.internal".to_owned()], 3));
        for bad in ["http://x", "*.internal", "10.0.0.0/99", "a:80", "1.2.3"] {
            assert!(allowed(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_long_enough_or_none() {
        assert_eq!(decode("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").map(|bytes| bytes.len()), Some(24));
        assert!(decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_some());
        assert!(decode("c2hvcnQ=").is_none() && decode("not base64!").is_none());
    }
}
