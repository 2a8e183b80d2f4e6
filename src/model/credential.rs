//! A real cloud credential: what is known of it, and, apart from that, the identity it stands for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, CloudId, CredentialId, EnvironmentId};
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
    /// Whose it was when the cloud was last asked; none if it never answered for this key.
    #[serde(default)]
    pub checked: Option<Checked>,
}

/// Whom a cloud takes the holder of a credential for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// The full name: `arn:aws:iam::123456789012:user/gateway`.
    pub arn: String,
    /// The unique id, which a deleted and newly made user of the same name does not share.
    pub user_id: String,
}

/// What a cloud said when it was asked whose a credential is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Whose it is.
    #[serde(flatten)]
    pub principal: Principal,
    /// When it said so.
    pub at: Timestamp,
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
