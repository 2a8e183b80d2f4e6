//! A grant: what one key that this gateway gave out may do, in the form the data plane reads.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    AccessKeyId, AccessRequestId, AccountId, CredentialId, EnvironmentId, IdentitySource, Policy, ServiceId, UserName,
};
use crate::{clock::Timestamp, secret::Secret};

/// What one access key may do. Ended grants stay known, so that their key is told "not active" and not "unknown".
#[derive(Clone, Debug)]
pub struct Grant {
    /// The key the client signs with.
    pub access_key_id: AccessKeyId,
    /// Its secret.
    pub secret_access_key: Secret,
    /// The access request it came from.
    pub request: AccessRequestId,
    /// Who asked for it.
    pub user: UserName,
    /// Where it is used.
    pub environment: EnvironmentId,
    /// The services granted, sorted.
    pub services: Vec<ServiceId>,
    /// The request is active, the secret was read, the key is not replaced, the person is not disabled.
    pub active: bool,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Operations that hand out cloud credentials and are allowed all the same, as `service:Operation`.
    pub allow_credential_operations: Vec<String>,
    /// The accounts that may be addressed; any if empty.
    pub accounts: Vec<AccountId>,
    /// The rules of its policy group that are in force.
    pub policies: Arc<[Policy]>,
    /// The credential that stands behind it.
    pub credential: CredentialId,
}

/// A grant as published, with what the data plane needs beside it.
#[derive(Clone, Debug)]
pub struct LiveGrant {
    /// The grant.
    pub grant: Grant,
    /// The real identity behind it; none while the credential's secret can't be had.
    pub identity: Option<IdentitySource>,
    /// Set as soon as a newer snapshot no longer holds the grant as active: streams in flight end then.
    pub ended: Ended,
}

impl LiveGrant {
    /// `grant` as it is published after `before`: one that goes on keeps its flag, so that what is in flight goes on, too.
    pub fn after(before: Option<&Self>, grant: Grant, identity: Option<IdentitySource>) -> Self {
        let ended = match before {
            Some(live) if live.grant.active && grant.active => live.ended.clone(),
            _ => {
                let ended = Ended::default();
                if !grant.active {
                    ended.set();
                }
                ended
            }
        };
        Self { grant, identity, ended }
    }
}

/// Has a grant ended? Clones share the answer; asking takes no lock, since every call asks.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<AtomicBool>);

impl Ended {
    /// It has, for good.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Has it?
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
