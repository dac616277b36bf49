//! QA's typed verdict on a piece of work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What QA decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    Approve,
    Revise,
    Reject,
    /// QA answered, but no verdict can be had from its text.
    Unstructured,
}

impl VerdictKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Revise => "revise",
            Self::Reject => "reject",
            Self::Unstructured => "unstructured",
        }
    }
}

/// One thing QA found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// `critical`, `major`, `minor` or what the model said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    pub text: String,
}

/// QA's answer, validated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    pub verdict: VerdictKind,
    /// 0 (useless) to 1 (perfect); null when QA gave none.
    pub score: Option<f64>,
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What has to change before the work can be approved.
    #[serde(default)]
    pub must_fix: Vec<String>,
}
