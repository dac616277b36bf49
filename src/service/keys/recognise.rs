//! Whose key it is: from its text, or from the id that a session names.

use std::sync::Arc;

use super::{DEFAULT_NAME, Holder, Keys, secret};
use crate::{
    model::{Budget, Key, KeyState, Timestamp},
    service::{ServiceError, records},
    store::Change,
};

/// What the text of a key is.
#[derive(Debug, Clone)]
pub enum Recognised {
    /// A key that opens what its scope allows.
    Key(Arc<Key>),
    /// No key, or not its text.
    Unknown,
    /// The text of a key that opens nothing any more.
    Over(KeyState),
}

impl Keys {
    /// What the text of a key is, and that it was used.
    pub async fn recognise(&self, text: &str) -> Result<Recognised, ServiceError> {
        let Some(id) = secret::id_of(text) else { return Ok(Recognised::Unknown) };
        let found = self.known(id).await?;
        // Only who has the whole text is told more than "no".
        match found.filter(|key| secret::has_digest(text, &key.digest)) {
            Some(key) => Ok(self.opens(key)),
            None => Ok(Recognised::Unknown),
        }
    }

    /// A key that somebody was recognised by before, with the same answer. For sessions, which name it.
    pub async fn by_id(&self, id: &str) -> Result<Recognised, ServiceError> {
        if !secret::is_id(id) {
            return Ok(Recognised::Unknown);
        }
        Ok(self.known(id).await?.map_or(Recognised::Unknown, |key| self.opens(key)))
    }

    fn opens(&self, key: Arc<Key>) -> Recognised {
        let now = self.base.clock.now();
        match key.state(now) {
            KeyState::Active => {
                self.note_use(&key.id, now);
                Recognised::Key(key)
            }
            over => Recognised::Over(over),
        }
    }

    /// The document of a key, at most three seconds old.
    async fn known(&self, id: &str) -> Result<Option<Arc<Key>>, ServiceError> {
        let now = self.base.clock.now_ms();
        if let Some(found) = self.known.get(id, now) {
            return Ok(found);
        }
        let found = records::load::<Key>(self.base.store.as_ref(), records::key_key(id)).await?;
        let found = found.map(|(key, _)| Arc::new(key));
        self.known.put(id, found.clone(), now);
        Ok(found)
    }

    /// The budget of a day of what came with the key of this name: its own as far as it has one, else what the
    /// configuration says. A key that was revoked keeps its budget for the work that it left.
    pub(in crate::service) async fn daily_budget(&self, name: &str) -> Result<Budget, ServiceError> {
        let general = self.base.budgets.key;
        if name == DEFAULT_NAME {
            return Ok(general);
        }
        let now = self.base.clock.now_ms();
        let id = match self.known.named(name, now) {
            Some(id) => id,
            None => {
                let key = records::key_name_key(name);
                let holder = records::load::<Holder>(self.base.store.as_ref(), key).await?;
                let id = holder.map(|(holder, _)| holder.id);
                self.known.put_name(name, id.clone(), now);
                id
            }
        };
        let key = match id {
            Some(id) => self.known(&id).await?,
            None => None,
        };
        let own = key.and_then(|key| key.budget).unwrap_or_default();
        Ok(Budget { tokens: own.tokens.or(general.tokens), usd: own.usd.or(general.usd) })
    }

    /// Writes down that a key was used, beside the request and not before it is answered.
    fn note_use(&self, id: &str, now: Timestamp) {
        let at = now.timestamp_millis();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.known.is_to_be_noted(id, at) {
            let (store, id) = (self.base.store.clone(), id.to_owned());
            runtime.spawn(async move {
                // A note is worth no failed request: the next one comes in a minute.
                if let Err(e) = store.apply(Change::new().put(records::put_key_use(&id, at))).await {
                    log::debug!("the last use of key {id} was not noted: {e}");
                }
            });
        }
    }
}
