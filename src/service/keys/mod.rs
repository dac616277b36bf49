//! Named API keys: made, listed, recognised, revoked.
//!
//! ```text
//! create ─▶ active ──(its time is over)──▶ expired ─┐
//!             └───────────── revoke ────────────────┴─▶ revoked ──(180 days)──▶ gone
//! ```
//!
//! - **Creation** is one write that expects that neither the id nor the name is taken. The secret is in its answer and
//!   nowhere else; what is stored is its SHA-256. A name is free again once its key is revoked, so that a key is replaced
//!   under its name: work, budget and spending are counted by name and go on.
//! - **Recognition** finds the document by the id in the key's text, compares digests, and remembers the document for
//!   three seconds ([`known`]); so long may a revocation take to be noticed by another process. A text that has not the
//!   form of a key asks nobody. A store that is away is an error, never a "no".
//! - **Revocation** is a write under the key's revision; repeated, it changes nothing.
//! - **Last use** is a document of its own, written beside the request at most once a minute per key and process: the
//!   document that says what a key may do is written by creation and revocation alone.

mod check;
mod known;
mod recognise;
mod secret;
mod spend;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    FieldProblem, Foundation, Listing, ServiceError,
    dispatch::{self, Created},
    idempotency::{Answered, IdempotencyKey, Once},
    listing, records,
};
use crate::{
    config::Secret,
    model::{Budget, Key, KeyState, Scope, Timestamp, iso, iso_option},
    store::{Change, Cursor, IndexName, Revision},
};

pub use check::{DEFAULT_NAME, MAX_DAYS, MAX_NAME_CHARS, MAX_REQUESTS_PER_MINUTE};
pub use recognise::Recognised;
pub use secret::has_form;
pub(super) use spend::adds as spend_adds;
pub use spend::{KeySpend, Spent};

/// The most keys that are kept, revoked ones included.
pub const MAX_KEYS: u64 = 1_000;
/// How often a revocation is tried again when somebody else changes the key.
const TRIES: usize = 20;

/// A key to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "ci", "scope": "run", "expires_in_days": 90, "budget": {"usd": 5.0}}))]
pub struct NewKey {
    /// What records call it: 1 to 64 letters, digits, `.`, `_` and `-`. No other key in use has it.
    pub name: String,
    pub scope: Scope,
    /// From when on it opens nothing; RFC 3339, at most 3,650 days ahead.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<String>,
    /// The same as a number of days from now.
    #[serde(default)]
    pub expires_in_days: Option<u32>,
    /// How many requests a minute it may send, 1 to 1,000,000; null: what holds for all keys.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// What may be used in a day (UTC) of what it asks for; what is not named is limited by `KEY_BUDGET_TOKENS` and
    /// `KEY_BUDGET_USD`.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// A key as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyInfo {
    /// Its public part, with which its text begins.
    #[schema(example = "pf_k3Xw9aQz")]
    pub id: String,
    #[schema(example = "ci")]
    pub name: String,
    pub scope: Scope,
    pub state: KeyState,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The name of the key that made it.
    #[schema(example = "default")]
    pub created_by: String,
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    pub requests_per_minute: Option<u32>,
    pub budget: Option<Budget>,
    /// When it last opened something, to about a minute; null: never, or longer than 400 days ago.
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// What model calls of its work have used, counted under its name.
    pub spend: KeySpend,
}

/// A key that was just made.
#[derive(Debug, Clone)]
pub struct MadeKey {
    pub key: KeyInfo,
    /// The whole text. Nobody can show it again: `None` where an earlier request made the key.
    pub secret: Option<Secret>,
}

#[derive(Clone)]
pub struct Keys {
    base: Arc<Foundation>,
    known: Arc<known::Known>,
}

impl Keys {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base, known: Arc::default() }
    }

    /// Makes a key; with an [`IdempotencyKey`] only once. `by` is the name of the key that asks for it.
    pub async fn create(
        &self,
        new: NewKey,
        by: &str,
        once: Option<&IdempotencyKey>,
    ) -> Result<Answered<MadeKey>, ServiceError> {
        let once = once.map(|key| Once::new("/keys", key, Some(by), &new));
        if let Some(once) = &once
            && let Some(key) = self.earlier(once).await?
        {
            return Ok(Answered {
                answer: MadeKey { key: self.info(key).await?, secret: None },
                replayed: true,
            });
        }
        let now = self.base.clock.now();
        let expires_at = check::check(&new, now).map_err(ServiceError::Invalid)?;
        let store = self.base.store.as_ref();
        if store.count(&IndexName::all(records::KEY)).await? >= MAX_KEYS {
            return Err(ServiceError::Conflict(format!(
                "there are {MAX_KEYS} keys, which is the most; revoked ones go after 180 days"
            )));
        }
        let holder = self.free_name(&new.name).await?;
        let random = || ServiceError::Damaged("the system gives no random numbers".to_owned());
        let id = match &once {
            Some(once) => secret::derived_id(&once.id),
            None => secret::new_id().ok_or_else(random)?,
        };
        let text = secret::new_text(&id).ok_or_else(random)?;
        let key = Key {
            id: id.clone(),
            name: new.name,
            scope: new.scope,
            digest: secret::digest(&text),
            created_at: now,
            created_by: by.to_owned(),
            expires_at,
            requests_per_minute: new.requests_per_minute,
            budget: new.budget,
            revoked_at: None,
            request_digest: once.as_ref().map(|once| once.digest.clone()),
        };
        let change = Change::new()
            .expect(records::key_key(&id), None)
            .expect(records::key_name_key(&key.name), holder);
        let change = records::put_key(&key).into_iter().fold(change, Change::put);
        if dispatch::create_or_find(store, change).await? != Created::Made {
            // It may be there by a first try whose answer was lost; its digest says so.
            let found = records::load::<Key>(store, records::key_key(&id)).await?.map(|(key, _)| key);
            if found.as_ref().is_none_or(|found| found.digest != key.digest) {
                return match (found, &once) {
                    (Some(key), Some(once)) => {
                        once.same(key.request_digest.as_deref())?;
                        let answer = MadeKey { key: self.info(key).await?, secret: None };
                        Ok(Answered { answer, replayed: true })
                    }
                    _ => Err(taken(&key.name)),
                };
            }
        }
        self.known.put_name(&key.name, Some(id), now.timestamp_millis());
        log::info!(key = key.name.as_str(), key_id = key.id.as_str(), by = by; "a key was made, scope {}", key.scope.as_str());
        let answer = MadeKey { key: self.info(key).await?, secret: Some(Secret::new(text)) };
        Ok(Answered { answer, replayed: false })
    }

    /// The key that an earlier request with the same [`IdempotencyKey`] made.
    async fn earlier(&self, once: &Once) -> Result<Option<Key>, ServiceError> {
        let key = records::key_key(&secret::derived_id(&once.id));
        let found = records::load::<Key>(self.base.store.as_ref(), key).await?;
        let Some((key, _)) = found else { return Ok(None) };
        once.same(key.request_digest.as_deref())?;
        Ok(Some(key))
    }

    /// Who had this name before, if it is free now: the revision of that note.
    async fn free_name(&self, name: &str) -> Result<Option<Revision>, ServiceError> {
        let store = self.base.store.as_ref();
        let Some((holder, before)) = records::load::<Holder>(store, records::key_name_key(name)).await?
        else {
            return Ok(None);
        };
        match records::load::<Key>(store, records::key_key(&holder.id)).await? {
            Some((key, _)) if key.revoked_at.is_none() => Err(taken(name)),
            _ => Ok(Some(before)),
        }
    }

    /// Newest first, revoked ones among them.
    pub async fn list(&self, limit: usize, after: Option<Cursor>) -> Result<Listing<KeyInfo>, ServiceError> {
        let index = IndexName::all(records::KEY);
        let page: Listing<Key> =
            listing::page(self.base.store.as_ref(), records::KEY, index, limit, after).await?;
        Ok(Listing { items: self.infos(page.items).await?, next: page.next, total: page.total })
    }

    /// One key, by its id or by its name; of a name the newest.
    pub async fn get(&self, id_or_name: &str) -> Result<KeyInfo, ServiceError> {
        let (key, _) = self.find(id_or_name).await?;
        self.info(key).await
    }

    async fn find(&self, id_or_name: &str) -> Result<(Key, Revision), ServiceError> {
        let store = self.base.store.as_ref();
        let id = if secret::is_id(id_or_name) {
            Some(id_or_name.to_owned())
        } else {
            let holder = records::load::<Holder>(store, records::key_name_key(id_or_name)).await?;
            holder.map(|(holder, _)| holder.id)
        };
        let found = match id {
            Some(id) => records::load::<Key>(store, records::key_key(&id)).await?,
            None => None,
        };
        found.ok_or_else(|| ServiceError::NotFound(format!("Key '{id_or_name}' not found")))
    }

    /// Revokes a key, by its id or its name: from now on here, and within three seconds everywhere, it opens nothing.
    pub async fn revoke(&self, id_or_name: &str, by: &str) -> Result<KeyInfo, ServiceError> {
        for _ in 0..TRIES {
            let (mut key, before) = self.find(id_or_name).await?;
            if key.revoked_at.is_some() {
                return self.info(key).await;
            }
            let now = self.base.clock.now();
            key.revoked_at = Some(now);
            let change = Change::new().expect(records::key_key(&key.id), Some(before));
            let change = records::put_key(&key).into_iter().fold(change, Change::put);
            if self.base.store.apply(change).await?.is_ok() {
                self.known.put(&key.id, Some(Arc::new(key.clone())), self.base.clock.now_ms());
                log::info!(key = key.name.as_str(), key_id = key.id.as_str(), by = by; "a key was revoked");
                return self.info(key).await;
            }
        }
        Err(ServiceError::Conflict(format!("key '{id_or_name}' keeps changing; try again")))
    }

    async fn info(&self, key: Key) -> Result<KeyInfo, ServiceError> {
        let mut infos = self.infos(vec![key]).await?;
        infos.pop().ok_or_else(|| ServiceError::Damaged("a key was lost on the way".to_owned()))
    }
}

/// The note of who has a name.
#[derive(Deserialize)]
struct Holder {
    id: String,
}

fn taken(name: &str) -> ServiceError {
    let message = format!("There is a key '{name}' already; choose another name, or revoke that key first");
    ServiceError::Invalid(vec![FieldProblem::body("name", "not_unique", message)])
}
