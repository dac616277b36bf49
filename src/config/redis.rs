//! Redis: where it is, and how it is known to be the right one.

use std::path::PathBuf;

use super::{
    reader::Reader,
    redis_url::{RedisServers, RedisUrl, has_hash_tag},
    secret::Secret,
    values,
};

/// What is needed beside the address. Files are read anew for every connection, so that a renewed
/// certificate needs no restart.
#[derive(Debug, Clone, Default)]
pub struct RedisAccess {
    /// `REDIS_CA_FILE`: the authorities that the certificates of servers are checked against, as PEM; without it
    /// those that the system trusts.
    pub ca: Option<PathBuf>,
    /// `REDIS_CERT_FILE` and `REDIS_KEY_FILE`: our own certificate and its key, as PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// `REDIS_SENTINEL_PASSWORD`: what sentinels ask for.
    pub sentinel_password: Option<Secret>,
}

/// The settings of Redis.
pub(super) struct RedisConfig {
    pub url: Option<Secret>,
    pub prefix: String,
    pub access: RedisAccess,
}

pub(super) fn read(r: &mut Reader<'_>) -> RedisConfig {
    let url = r.secret("REDIS_URL", |text| RedisUrl::parse(&text).map(|_| text));
    let prefix = r.value("REDIS_PREFIX", "", values::key_prefix);
    let ca = r.optional("REDIS_CA_FILE", pem);
    let certificate = r.optional("REDIS_CERT_FILE", pem);
    let key = r.optional("REDIS_KEY_FILE", pem);
    let sentinel_password = r.secret("REDIS_SENTINEL_PASSWORD", Ok);

    let parsed = url.as_ref().and_then(|url| RedisUrl::parse(url.expose()).ok());
    if let Some(parsed) = &parsed {
        if parsed.servers == RedisServers::Cluster && !has_hash_tag(&prefix) {
            r.complain(
                "REDIS_PREFIX must hold a hash tag, such as {pf}:, because REDIS_URL names a cluster: all keys \
                 have to lie in one slot",
            );
        }
        if !parsed.tls && (ca.is_some() || certificate.is_some()) {
            r.complain("REDIS_CA_FILE and REDIS_CERT_FILE are for TLS: REDIS_URL must begin with rediss");
        }
        if sentinel_password.is_some() && !matches!(parsed.servers, RedisServers::Sentinels { .. }) {
            r.complain(
                "REDIS_SENTINEL_PASSWORD is for sentinels: REDIS_URL must begin with redis-sentinel://",
            );
        }
    }
    let certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            r.complain("REDIS_CERT_FILE and REDIS_KEY_FILE belong together: set both or none");
            None
        }
    };
    RedisConfig { url, prefix, access: RedisAccess { ca, certificate, sentinel_password } }
}

/// A file that can be read and holds PEM.
fn pem(path: String) -> Result<PathBuf, String> {
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("-----BEGIN ") => Ok(path.into()),
        Ok(_) => Err("must be a file that holds PEM (-----BEGIN …)".to_owned()),
        Err(error) => Err(format!("must be a file that can be read: {error}")),
    }
}
