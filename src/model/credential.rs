//! A real cloud credential: what is known of it, and, apart from that, the identity it stands for.

use std::{fmt, sync::Arc};

use ring::digest;
use serde::{Deserialize, Serialize};

use super::{AccountId, CloudId, CredentialId, EnvironmentId, RoleArn, UserName};
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
    /// How it comes by its keys.
    #[serde(flatten)]
    pub keys: Keys,
    /// Where it may be picked at approval.
    pub environments: Vec<EnvironmentId>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Whose it was when the cloud was last asked; none if it never answered for this key.
    #[serde(default)]
    pub checked: Option<Checked>,
}

/// How a credential comes by its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Keys {
    /// The gateway assumes a role for them, again and again.
    Role(AssumedRole),
    /// As given.
    Static {
        /// The real access key id; not a secret.
        access_key_id: String,
    },
}

/// A role that the gateway assumes (`sts:AssumeRole`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssumedRole {
    /// The role.
    pub role_arn: RoleArn,
    /// The credential that may assume it; its keys may be a role's, too.
    pub source_credential: CredentialId,
    /// What the role's trust policy demands as `sts:ExternalId`; not a secret.
    pub external_id: Option<String>,
    /// How long each session lasts, in seconds.
    pub session_seconds: u32,
}

impl Keys {
    /// The role, if it is one.
    pub const fn role(&self) -> Option<&AssumedRole> {
        match self {
            Self::Role(role) => Some(role),
            Self::Static { .. } => None,
        }
    }
}

/// The access key id, or the role's ARN: what tells people which it is.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => role.role_arn.fmt(f),
            Self::Static { access_key_id } => f.write_str(access_key_id),
        }
    }
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

/// Where the keys come from that a call is signed with when it leaves.
#[derive(Clone, Debug)]
pub enum IdentitySource {
    /// They are there.
    Keys(Arc<CloudIdentity>),
    /// The cloud gives them for a while.
    Role(Arc<RoleSession>),
}

impl IdentitySource {
    /// The same for the same keys and roles, and for no others; tells neither.
    pub fn fingerprint(&self) -> [u8; 32] {
        match self {
            Self::Keys(keys) => {
                let token = keys.session_token.as_ref().map_or("", Secret::expose);
                hash(&[
                    b"keys",
                    keys.access_key_id.as_bytes(),
                    keys.secret_access_key.expose().as_bytes(),
                    token.as_bytes(),
                ])
            }
            Self::Role(role) => role.fingerprint,
        }
    }
}

/// A session of a role, as the cloud is to be asked for it.
#[derive(Debug)]
pub struct RoleSession {
    /// The role.
    pub role: AssumedRole,
    /// Who may assume it.
    pub source: IdentitySource,
    /// Whom the cloud's own records name.
    pub name: String,
    fingerprint: [u8; 32],
}

impl RoleSession {
    /// The session of `role` in which `user`'s calls are made: it has their name, so that the cloud's own records tell who
    /// it was.
    pub fn of(role: AssumedRole, source: IdentitySource, user: &UserName) -> Self {
        // `RoleSessionName` has 2 to 64 letters, digits or any of + = , . @ - _; no user's name has an equals sign.
        let name = if user.as_str().len() < 2 { format!("{user}=") } else { user.to_string() };
        let fingerprint = hash(&[
            b"role",
            &source.fingerprint(),
            role.role_arn.as_str().as_bytes(),
            role.external_id.as_deref().unwrap_or_default().as_bytes(),
            &role.session_seconds.to_be_bytes(),
            name.as_bytes(),
        ]);
        Self { role, source, name, fingerprint }
    }

    /// The same for the same session, source and all, and for no other.
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

/// Of the parts and where each ends.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
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
