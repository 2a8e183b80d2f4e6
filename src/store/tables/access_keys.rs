//! The keys that the gateway gives out.

use serde::{Deserialize, Serialize};

use super::super::{Place, Sealed, Table};
use crate::{
    clock::Timestamp,
    model::{AccessKeyId, AccessRequestId},
};

/// By access request, then by key.
pub const ACCESS_KEYS: Table<(AccessRequestId, AccessKeyId), AccessKeyRecord> = Table::new("access_keys");

/// One key of an access request: the first, or one that a rotation made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessKeyRecord {
    /// When its id was made: at approval or rotation.
    pub created_at: Timestamp,
    /// When its secret was made and shown, the one time.
    pub revealed_at: Option<Timestamp>,
    /// The secret; there is none before it is shown.
    pub secret: Option<Sealed>,
    /// How long the key that it replaces goes on working once this one was shown, in seconds.
    pub overlap_seconds: u64,
    /// When it ends because another has replaced it.
    pub ends_at: Option<Timestamp>,
}

/// Where the secret of a key is sealed. The request is part of it: it says what the key may do.
pub fn secret_place(request: &AccessRequestId, id: &AccessKeyId) -> Place<'static> {
    Place { table: ACCESS_KEYS.name(), record: format!("{request}/{id}").into(), field: "secret" }
}
