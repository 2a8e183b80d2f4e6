//! What is kept of every act of a person: committed together with the change it tells of.

use serde::{Deserialize, Serialize};

use super::{AccessRequestId, EnvironmentId, UserName};
use crate::clock::Timestamp;

/// One act: who did what to what. Never a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkflowEvent {
    /// When.
    pub at: Timestamp,
    /// Sorts by time, and within one moment by order of commit.
    pub id: String,
    /// Who; none where the appliance acted by itself (expiry, set-up).
    #[schema(required)]
    pub actor: Option<UserName>,
    /// What was done: `access_request.approve`, `user.disable`.
    pub action: String,
    /// What it was done to: an id.
    pub subject: String,
    /// The access request it concerns, if one.
    #[schema(required)]
    pub request: Option<AccessRequestId>,
    /// The environment it concerns, if one.
    #[schema(required)]
    pub environment: Option<EnvironmentId>,
    /// What else is worth knowing, in a sentence: `credential aws-dev, until 2026-12-23`.
    #[schema(required)]
    pub detail: Option<String>,
}
