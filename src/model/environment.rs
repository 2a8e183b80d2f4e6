//! An environment: where people work, and which accounts and credentials they reach from there.

use serde::{Deserialize, Serialize};

use super::{AccountId, EnvironmentId};
use crate::clock::Timestamp;

/// A place of work, such as `payments-dev`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// The slug, never changed.
    pub id: EnvironmentId,
    /// The name that people read.
    pub name: String,
    /// The cloud accounts that may be addressed from here; any if empty.
    pub accounts: Vec<AccountId>,
    /// When it was made.
    pub created_at: Timestamp,
}
