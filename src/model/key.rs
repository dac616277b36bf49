//! Named API keys: what a key may do, and what is kept of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, Timestamp, iso, iso_option};

/// What a key may do. Each scope may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at everything but keys and the audit log.
    Read,
    /// Also give work and steer it.
    Run,
    /// Also see keys and the audit log, make backups, delete, and change agents, queues, workers, providers, budgets and
    /// keys.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Run, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    Active,
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

impl KeyState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A named key as it is stored. What opens the door is not in it: only its digest is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Its public part, `pf_` and eight letters or digits.
    pub id: String,
    /// What records of work and spending call it.
    pub name: String,
    pub scope: Scope,
    /// SHA-256 of the whole secret, in hexadecimal digits. A secret is random and long, so that nothing slower is
    /// needed.
    pub digest: String,
    #[serde(with = "iso")]
    pub created_at: Timestamp,
    /// The name of the key that made it.
    pub created_by: String,
    /// From when on it opens nothing.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many requests a minute it may send, where it has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// What may be used in a day of what it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// The digest of the request that made it, where that had an `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
}

impl Key {
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_contains_the_ones_before_it() {
        assert!(Scope::Read < Scope::Run && Scope::Run < Scope::Admin);
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        assert_eq!(Scope::parse("Admin"), None);
    }
}
