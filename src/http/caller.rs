//! Who sends a request, as the middleware `auth` has found out; it stands in the request's extensions.
//!
//! For the pages of the dashboard their lock (`dashboard/access.rs`) finds out instead, and puts it there.

use std::{
    cell::RefCell,
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::{Extensions, Payload},
};

use super::error::Problem;
use crate::{
    model::{Key, Scope, Timestamp},
    service::keys::DEFAULT_NAME,
};

/// Whose right a request uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the key that was shown: `default` for that of `API_KEY`. `None` where nobody had to
    /// show one.
    pub key: Option<String>,
    /// How many requests a minute this key may send, where it has a limit of its own.
    pub requests_per_minute: Option<u32>,
    /// The id of a named key; `None` for that of `API_KEY`.
    pub key_id: Option<String>,
    /// From when on it opens nothing, where it has an end.
    pub expires_at: Option<Timestamp>,
    /// What it may do; `None`: see what is public. Who need not show a key may do everything.
    pub scope: Option<Scope>,
}

impl Caller {
    /// Who shows the key of `API_KEY`.
    pub const DEFAULT: &str = DEFAULT_NAME;

    /// Who shows the key of `API_KEY`: may do everything.
    pub fn owner() -> Self {
        Self { key: Some(Self::DEFAULT.to_owned()), scope: Some(Scope::Admin), ..Self::default() }
    }

    /// Anybody, where there is no `API_KEY`: may do everything.
    pub fn anybody() -> Self {
        Self { scope: Some(Scope::Admin), ..Self::default() }
    }

    /// Who shows a named key.
    pub fn of(key: &Key) -> Self {
        Self {
            key: Some(key.name.clone()),
            requests_per_minute: key.requests_per_minute,
            key_id: Some(key.id.clone()),
            expires_at: key.expires_at,
            scope: Some(key.scope),
        }
    }

    /// Says for this request who sends it.
    pub fn enter(self, extensions: &mut Extensions) {
        if let Some(seen) = extensions.get::<KeySeen>() {
            seen.0.replace(self.key.clone());
        }
        extensions.insert(self);
    }

    /// Who sent this request. Nobody, where nobody has found out.
    pub fn of_request(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// What records call the key.
    pub fn name(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub fn may(&self, needed: Scope) -> bool {
        self.scope.is_some_and(|scope| scope >= needed)
    }

    /// For what a route does only sometimes: the rest is looked at before a handler is called (`rights.rs`).
    pub fn require(&self, needed: Scope) -> Result<(), Problem> {
        if self.may(needed) { Ok(()) } else { Err(Problem::insufficient_scope(needed, self.scope)) }
    }
}

/// The session of the dashboard that a request belongs to; it stands in the request's extensions.
#[derive(Debug, Clone)]
pub struct SessionId(pub String);

/// The name of the key of a request for who stands outside of what finds it out, and may see neither the request again
/// nor an answer.
#[derive(Debug, Clone, Default)]
pub struct KeySeen(Rc<RefCell<Option<String>>>);

impl KeySeen {
    /// The name, once it is known.
    pub fn name(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of_request(request)))
    }
}
