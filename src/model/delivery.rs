//! Deliveries: one message to the address that a workflow reports to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, WorkflowStatus, iso, iso_option};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Nothing happened that is reported.
    Idle,
    /// It was not accepted yet and is tried again.
    Waiting,
    /// The receiver has accepted it.
    Delivered,
    /// It was tried for a day, or the receiver said that it wants no more (410).
    GivenUp,
}

/// Where a workflow reports to, and how its last report fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Callback {
    pub url: String,
    pub state: DeliveryState,
    /// What was reported last: `paused` for approval, `completed`, `failed` or `cancelled`; null before the first time.
    pub event: Option<WorkflowStatus>,
    /// How often that was tried.
    pub attempts: u32,
    /// The status of the receiver's last answer; null where none came.
    pub last_status: Option<u16>,
    /// Why the last try was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How many reports there were.
    pub reports: u32,
    /// Whether the event still holds: what goes on and ends again is reported again.
    pub holds: bool,
}

impl Callback {
    pub fn new(url: String) -> Self {
        Self {
            url,
            state: DeliveryState::Idle,
            event: None,
            attempts: 0,
            last_status: None,
            last_error: None,
            reports: 0,
            holds: false,
        }
    }
}

/// A message that is on its way, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stays the same over all tries: the receiver knows a repetition by it.
    pub delivery_id: String,
    pub workflow_id: String,
    pub url: String,
    pub event: WorkflowStatus,
    pub state: DeliveryState,
    /// Which report of its workflow it is, from 1.
    pub number: u32,
    /// When it happened.
    #[serde(with = "iso")]
    pub at: Timestamp,
    /// When it is tried next; while it is under way, when somebody else may try.
    #[serde(default, with = "iso_option")]
    pub due_at: Option<Timestamp>,
    pub attempts: u32,
    pub last_status: Option<u16>,
    pub last_error: Option<String>,
}
