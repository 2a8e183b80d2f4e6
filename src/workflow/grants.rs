//! From access requests and their keys to the snapshot that the data plane reads.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Error,
    transaction::{Touched, Transaction},
};
use crate::{
    clock::Timestamp,
    model::{
        AccessKeyId, AccessRequest, AccessRequestId, AssumedRole, CloudIdentity, CredentialId, Grant, IdentitySource,
        Keys, LiveGrant, Policy, PolicyGroupId, PolicyStatus, RoleSession, Snapshot, Status, UserName,
    },
    secret::Secret,
    store::{
        self, Order, Place, Read, Reader, SealError, Sealed, Sealer, Span,
        tables::{
            access_keys::{self, ACCESS_KEYS, AccessKeyRecord},
            access_requests::{ACCESS_REQUESTS, LIVING_BY_POLICY_GROUP},
            credentials::{self, CREDENTIALS, CredentialRecord},
            environments::ENVIRONMENTS,
            policy_groups::POLICY_GROUPS,
            users::USERS,
        },
    },
};

/// The snapshot of everything, to be published after another: what goes on is not interrupted.
pub(super) fn all(reader: &Reader, sealer: &Sealer, now: Timestamp, before: &Snapshot) -> Result<Snapshot, Error> {
    let mut build = Build::new(reader, sealer, now);
    let mut snapshot = Snapshot { version: reader.version()?, grants: HashMap::new() };
    for (_, request) in reader.all(&ACCESS_REQUESTS, &Span::all(), Order::Ascending)? {
        build.add(&request, before, &mut snapshot)?;
    }
    Ok(snapshot)
}

/// The snapshot after a transaction; none if it concerns no grant. What it does not concern is carried over.
pub(super) fn after(tx: &Transaction<'_>, published: &Snapshot) -> Result<Option<Snapshot>, Error> {
    if tx.touched.is_empty() {
        return Ok(None);
    }
    let mut requests: BTreeSet<AccessRequestId> = BTreeSet::new();
    for touched in &tx.touched {
        match touched {
            Touched::PolicyGroup(id) => {
                let bound = tx.writer.all(&LIVING_BY_POLICY_GROUP, &Span::of(id), Order::Ascending)?;
                requests.extend(bound.into_iter().map(|((_, request), _)| request));
            }
            Touched::Request(id) => drop(requests.insert(id.clone())),
            Touched::Credential(_) | Touched::Environment(_) | Touched::User(_) => {}
        }
    }
    let named = requests.clone();
    let concerned = |grant: &Grant| {
        tx.touched.iter().any(|touched| match touched {
            Touched::Credential(id) => grant.credential == *id,
            Touched::Environment(id) => grant.environment == *id,
            Touched::PolicyGroup(_) | Touched::Request(_) => named.contains(&grant.request),
            Touched::User(name) => grant.user == *name,
        })
    };
    let mut next = Snapshot { version: tx.writer.version(), grants: published.grants.clone() };
    next.grants.retain(|_, live| {
        let stays = !concerned(&live.grant);
        if !stays {
            requests.insert(live.grant.request.clone());
        }
        stays
    });
    let mut build = Build::new(tx.writer, tx.sealer, tx.now);
    for id in requests {
        if let Some(request) = tx.writer.find(&ACCESS_REQUESTS, &id)? {
            build.add(&request, published, &mut next)?;
        }
    }
    Ok(Some(next))
}

struct Build<'a, R> {
    read: &'a R,
    sealer: &'a Sealer,
    now: Timestamp,
    identities: HashMap<(CredentialId, UserName), Option<IdentitySource>>,
    rules: HashMap<PolicyGroupId, Option<Arc<[Policy]>>>,
}

impl<'a, R: Read> Build<'a, R> {
    fn new(read: &'a R, sealer: &'a Sealer, now: Timestamp) -> Self {
        Self { read, sealer, now, identities: HashMap::new(), rules: HashMap::new() }
    }

    /// Adds the grants of `request`: one for each of its keys whose secret was made.
    fn add(&mut self, request: &AccessRequest, before: &Snapshot, snapshot: &mut Snapshot) -> Result<(), Error> {
        let Some(credential) = &request.credential else { return Ok(()) };
        let keys = self.read.all(&ACCESS_KEYS, &Span::of(&request.id), Order::Ascending)?;
        if keys.is_empty() {
            return Ok(());
        }
        let environment = self.read.find(&ENVIRONMENTS, &request.environment)?;
        let enabled = self.read.find(&USERS, &request.requested_by)?.is_some_and(|record| !record.user.disabled)
            // No list of accounts means all accounts: without the environment there must be no access.
            && environment.is_some();
        let rules = self.rules(request)?;
        let accounts = environment.map(|environment| environment.accounts).unwrap_or_default();
        for ((_, key_id), key) in keys {
            // Without a secret nobody can sign with it: to the data plane there is no such key yet.
            let place = access_keys::secret_place(&request.id, &key_id);
            let Some(secret) = self.secret(&place, key.secret.as_ref()) else { continue };
            // Without its policy group nobody knows what it must keep.
            let active = enabled && rules.is_some() && is_active(request, &key, self.now);
            let grant = Grant {
                access_key_id: key_id.clone(),
                secret_access_key: secret,
                request: request.id.clone(),
                user: request.requested_by.clone(),
                environment: request.environment.clone(),
                services: request.services.clone(),
                active,
                expires_at: [request.expires_at, key.ends_at].into_iter().flatten().min(),
                allow_credential_operations: request.allow_credential_operations.clone(),
                accounts: accounts.clone(),
                policies: rules.clone().unwrap_or_default(),
                credential: credential.clone(),
            };
            let identity = if active { self.identity(credential, &request.requested_by)? } else { None };
            let live = LiveGrant::after(before.grants.get(&key_id).map(AsRef::as_ref), grant, identity);
            snapshot.grants.insert(key_id, Arc::new(live));
        }
        Ok(())
    }

    /// The rules in force that the calls of `request` must keep; none if its policy group is not to be found.
    fn rules(&mut self, request: &AccessRequest) -> Result<Option<Arc<[Policy]>>, Error> {
        let Some(id) = &request.policy_group else { return Ok(Some(Arc::default())) };
        if let Some(known) = self.rules.get(id) {
            return Ok(known.clone());
        }
        let group = self.read.find(&POLICY_GROUPS, id)?;
        let rules = group.map(|group| -> Arc<[Policy]> {
            let policies = group.policies.into_iter();
            policies.filter(|policy| policy.status == PolicyStatus::Enforced).inspect(Policy::prepare).collect()
        });
        self.rules.insert(id.clone(), rules.clone());
        Ok(rules)
    }

    /// What calls of `user` are signed with; none if a secret can't be unsealed: such keys do not work, all others do.
    fn identity(&mut self, id: &CredentialId, user: &UserName) -> Result<Option<IdentitySource>, Error> {
        let place = (id.clone(), user.clone());
        if let Some(known) = self.identities.get(&place) {
            return Ok(known.clone());
        }
        let identity = match identity(self.read, self.sealer, id, user) {
            Ok(found) => Some(found),
            Err(Error::NotFound(_)) => None,
            Err(Error::Storage(store::Error::Seal(error))) => {
                tracing::error!(table = CREDENTIALS.name(), record = %id, %error, "a secret can't be read");
                None
            }
            Err(other) => return Err(other),
        };
        self.identities.insert(place, identity.clone());
        Ok(identity)
    }

    /// A secret that can't be unsealed is as good as none: its key does not work, all others do.
    fn secret(&self, place: &Place<'_>, value: Option<&Sealed>) -> Option<Secret> {
        unseal_text(self.sealer, place, value?)
            .inspect_err(|error| {
                tracing::error!(table = place.table, record = %place.record, %error, "a secret can't be read");
            })
            .ok()
    }
}

/// The data plane looks at the time itself; this is for the moment of publishing.
fn is_active(request: &AccessRequest, key: &AccessKeyRecord, now: Timestamp) -> bool {
    request.status == Status::Active
        && key.revealed_at.is_some()
        && key.ends_at.is_none_or(|end| end > now)
        && request.expires_at.is_none_or(|end| end > now)
}

/// Where a credential's keys come from, for calls of `user`.
pub(super) fn identity(
    read: &impl Read,
    sealer: &Sealer,
    id: &CredentialId,
    user: &UserName,
) -> Result<IdentitySource, Error> {
    let record = read.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
    match &record.credential.keys {
        // It ends: no role leads back to itself.
        Keys::Role(role) => assuming(read, sealer, role, user),
        Keys::Static { access_key_id } => {
            Ok(IdentitySource::Keys(Arc::new(unseal_keys(sealer, &record, access_key_id)?)))
        }
    }
}

/// The session of a role in which `user`'s calls are made.
pub(super) fn assuming(
    read: &impl Read,
    sealer: &Sealer,
    role: &AssumedRole,
    user: &UserName,
) -> Result<IdentitySource, Error> {
    let source = identity(read, sealer, &role.source_credential, user)?;
    Ok(IdentitySource::Role(Arc::new(RoleSession::of(role.clone(), source, user))))
}

fn unseal_keys(sealer: &Sealer, record: &CredentialRecord, access_key_id: &str) -> Result<CloudIdentity, store::Error> {
    let id = &record.credential.id;
    let secret = record.secret_access_key.as_ref().ok_or(SealError::Broken)?;
    let token = record.session_token.as_ref();
    Ok(CloudIdentity {
        access_key_id: access_key_id.to_owned(),
        secret_access_key: unseal_text(sealer, &credentials::secret_place(id), secret)?,
        session_token: token
            .map(|token| unseal_text(sealer, &credentials::session_token_place(id), token))
            .transpose()?,
    })
}

fn unseal_text(sealer: &Sealer, place: &Place<'_>, value: &Sealed) -> Result<Secret, store::Error> {
    let bytes = sealer.unseal(place, value)?;
    Ok(Secret::new(std::str::from_utf8(&bytes).map_err(|_| SealError::Broken)?))
}

/// The key that people see: the newest whose secret was shown, or else the newest.
pub(super) fn current_key(keys: &[(AccessKeyId, AccessKeyRecord)]) -> Option<&AccessKeyId> {
    keys.iter().max_by_key(|(_, key)| (key.revealed_at, key.created_at)).map(|(id, _)| id)
}
