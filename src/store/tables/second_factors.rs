//! The second factors of people: what their authenticator apps know.

use serde::{Deserialize, Serialize};

use super::super::{Place, Sealed, Table};
use crate::{clock::Timestamp, model::UserName};

/// By the person. [`User::second_factor`](crate::model::User) says whether it counts already.
pub const SECOND_FACTORS: Table<UserName, SecondFactorRecord> = Table::new("second_factors");

/// One person's second factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecondFactorRecord {
    /// The key that the person's app makes codes from.
    pub key: Sealed,
    /// When the key was made.
    pub created_at: Timestamp,
    /// The time step of the newest code that was used: neither it nor an older one is taken again.
    pub last_step: Option<u64>,
    /// SHA-256 of each recovery code that was not used yet, in hex.
    pub recovery_codes: Vec<String>,
}

/// Where the key of a person is sealed.
pub fn key_place(user: &UserName) -> Place<'_> {
    Place { table: SECOND_FACTORS.name(), record: user.as_str().into(), field: "key" }
}
