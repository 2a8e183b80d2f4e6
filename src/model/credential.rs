//! A real cloud credential: what is known of it, and, apart from that, the identity it stands for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CloudId, CredentialId, EnvironmentId};
use crate::{clock::Timestamp, secret::Secret};

/// A real cloud credential without its secrets, which the store keeps sealed beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// The name that people read.
    pub name: String,
    /// The cloud it is for.
    pub cloud: CloudId,
    /// The real access key id; not a secret.
    pub access_key_id: String,
    /// Where it may be picked at approval.
    pub environments: Vec<EnvironmentId>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// The real identity that a call is signed with when it leaves.
#[derive(Clone)]
pub struct CloudIdentity {
    /// The real access key id.
    pub access_key_id: String,
    /// The real secret access key.
    pub secret_access_key: Secret,
    /// The session token, if the credential is a temporary one.
    pub session_token: Option<Secret>,
}

impl fmt::Debug for CloudIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudIdentity").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}
