//! Real cloud credentials.

use serde::{Deserialize, Serialize};

use super::super::{Place, Sealed, Table};
use crate::model::{Credential, CredentialId};

/// Credentials; their ids sort by time.
pub const CREDENTIALS: Table<CredentialId, CredentialRecord> = Table::new("credentials");

/// A credential with its sealed secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// What is known of it.
    pub credential: Credential,
    /// The secret access key; none where a role is assumed.
    pub secret_access_key: Option<Sealed>,
    /// The session token of a temporary credential.
    pub session_token: Option<Sealed>,
}

/// Where the secret access key of the credential `id` is sealed.
pub fn secret_place(id: &CredentialId) -> Place<'_> {
    Place { table: CREDENTIALS.name(), record: id.as_str().into(), field: "secret_access_key" }
}

/// Where the session token of the credential `id` is sealed.
pub fn session_token_place(id: &CredentialId) -> Place<'_> {
    Place { table: CREDENTIALS.name(), record: id.as_str().into(), field: "session_token" }
}
