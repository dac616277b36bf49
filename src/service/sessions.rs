//! Sessions of the dashboard: what they are signed with, and which somebody ended before their time.
//!
//! A session is a signed cookie and nothing is stored of it; what is stored is that it has ended, until it would have
//! ended by itself. They are signed with a key that follows from the one of `API_KEY` and from a secret of this
//! installation, which the first login makes: who has a cookie cannot try out API keys on it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Foundation, ServiceError, records};
use crate::store::Change;

/// How long the secret is believed without a look at the store, in milliseconds: a store that was emptied gets another one.
const FRESH_MS: i64 = 60_000;
/// How often a secret is looked for that others make at the same time.
const TRIES: usize = 3;

/// The sessions of all nodes. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    base: Arc<Foundation>,
    /// The secret, and when it was read.
    secret: Arc<Mutex<Option<(i64, SessionSecret)>>>,
}

/// What sessions are signed with, beside the API key.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionSecret {
    secret: String,
}

impl SessionSecret {
    fn made() -> Result<Self, ServiceError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|_| ServiceError::Damaged("the system gives no random numbers".to_owned()))?;
        Ok(Self { secret: URL_SAFE_NO_PAD.encode(bytes) })
    }
}

impl Sessions {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base, secret: Arc::default() }
    }

    /// The key that sessions are signed with now, the same on all nodes.
    pub async fn signing_key(&self, api_key: &str) -> Result<String, ServiceError> {
        let SessionSecret { secret } = self.secret().await?;
        let mut digest = Sha256::new();
        // Of a fixed length each, so that no pair of texts is taken for another one.
        digest.update(Sha256::digest(secret.as_bytes()));
        digest.update(Sha256::digest(api_key.as_bytes()));
        Ok(URL_SAFE_NO_PAD.encode(digest.finalize()))
    }

    async fn secret(&self) -> Result<SessionSecret, ServiceError> {
        let now = self.base.clock.now_ms();
        let known = self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, secret)) = known
            && (0..FRESH_MS).contains(&(now - read_at))
        {
            return Ok(secret);
        }
        for _ in 0..TRIES {
            let key = records::session_secret_key();
            let secret = match records::load::<SessionSecret>(self.base.store.as_ref(), key.clone()).await? {
                Some((secret, _)) => secret,
                None => {
                    let made = SessionSecret::made()?;
                    let change = Change::new().expect(key, None).put(records::put_session_secret(&made));
                    if self.base.store.apply(change).await?.is_err() {
                        continue;
                    }
                    made
                }
            };
            *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, secret.clone()));
            return Ok(secret);
        }
        Err(ServiceError::Conflict("the secret of sessions keeps changing; try again".to_owned()))
    }

    /// Ends a session on every node, at once. `id` names it and is no secret; it would have lasted for `left`.
    pub async fn end(&self, id: &str, left: Duration) -> Result<(), ServiceError> {
        let _ = self.base.store.apply(Change::new().put(records::put_ended_session(id, left))).await?;
        Ok(())
    }

    /// Whether somebody ended it.
    pub async fn has_ended(&self, id: &str) -> Result<bool, ServiceError> {
        Ok(self.base.store.get(&[records::ended_session_key(id)]).await?.pop().flatten().is_some())
    }
}
