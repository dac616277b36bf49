//! The audit log: who has changed what, and when.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso};

/// What became of an attempt to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// Whoever asked had no right to.
    Refused,
    /// It went wrong in the server, or its client went away before the answer (499); some of it may have been done.
    Failed,
}

impl AuditOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One change, or an attempt that was refused. Bodies, queries and keys are no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub audit_id: String,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Method and route: `POST /workflows/{workflow_id}/pause`.
    pub operation: String,
    /// The path that was asked for, with the ids in it.
    pub path: String,
    pub outcome: AuditOutcome,
    /// The status of the answer.
    pub status: u16,
    /// The name of the key; `default` for that of `API_KEY`, null where none was shown or it was wrong.
    pub key: Option<String>,
    /// Where the request came from.
    pub ip: Option<String>,
    pub request_id: String,
}
