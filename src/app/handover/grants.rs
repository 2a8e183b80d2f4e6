//! A snapshot of the grants on its way to the predecessor, with all that its calls are judged and signed by.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    clock::Timestamp,
    model::{
        AccessKeyId, AccessRequestId, AccountId, AssumedRole, CloudIdentity, CredentialId, EnvironmentId, Grant,
        IdentitySource, LiveGrant, Policy, Publisher, RoleSession, ServiceId, Snapshot, UserName,
    },
    secret::Secret,
};

/// All grants at one moment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grants {
    version: u64,
    grants: Vec<One>,
}

#[derive(Debug, Serialize, Deserialize)]
struct One {
    access_key_id: AccessKeyId,
    #[serde(serialize_with = "exposed")]
    secret_access_key: Secret,
    request: AccessRequestId,
    user: UserName,
    environment: EnvironmentId,
    services: Vec<ServiceId>,
    active: bool,
    expires_at: Option<Timestamp>,
    allow_credential_operations: Vec<String>,
    accounts: Vec<AccountId>,
    policies: Arc<[Policy]>,
    credential: CredentialId,
    identity: Option<Identity>,
    /// Instead of the keys: a predecessor that does not know of roles has nothing to sign with, and refuses such calls.
    #[serde(default)]
    assumed: Option<Assumed>,
}

/// Roles, assumed one after another, the first with these keys.
#[derive(Debug, Serialize, Deserialize)]
struct Assumed {
    keys: Identity,
    roles: Vec<AssumedRole>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    access_key_id: String,
    #[serde(serialize_with = "exposed")]
    secret_access_key: Secret,
    session_token: Option<Token>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Token(#[serde(serialize_with = "exposed")] Secret);

/// Means it: the other end is the same user's process, over a socket that nobody else has.
fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl Grants {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self { version: snapshot.version, grants: snapshot.grants.values().map(|live| One::of(live)).collect() }
    }

    /// Lets them count, and ends what they no longer allow.
    pub(super) fn publish(self, publisher: &Publisher) {
        let before = publisher.current();
        let grants = self.grants.into_iter().map(|one| {
            let key = one.access_key_id.clone();
            let live = one.live(before.grants.get(&key).map(AsRef::as_ref));
            (key, Arc::new(live))
        });
        let grants = grants.collect();
        publisher.publish(Snapshot { version: self.version, grants });
    }
}

impl One {
    fn of(live: &LiveGrant) -> Self {
        // Taken apart, so that nothing that is added to a grant can be forgotten here.
        let Grant {
            access_key_id,
            secret_access_key,
            request,
            user,
            environment,
            services,
            active,
            expires_at,
            allow_credential_operations,
            accounts,
            policies,
            credential,
        } = live.grant.clone();
        let (identity, assumed) = match &live.identity {
            None => (None, None),
            Some(IdentitySource::Keys(keys)) => (Some(Identity::of(keys)), None),
            Some(IdentitySource::Role(session)) => (None, Some(Assumed::of(session))),
        };
        Self {
            access_key_id,
            secret_access_key,
            request,
            user,
            environment,
            services,
            active,
            expires_at,
            allow_credential_operations,
            accounts,
            policies,
            credential,
            identity,
            assumed,
        }
    }

    fn live(self, before: Option<&LiveGrant>) -> LiveGrant {
        self.policies.iter().for_each(Policy::prepare);
        let grant = Grant {
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key,
            request: self.request,
            user: self.user,
            environment: self.environment,
            services: self.services,
            active: self.active,
            expires_at: self.expires_at,
            allow_credential_operations: self.allow_credential_operations,
            accounts: self.accounts,
            policies: self.policies,
            credential: self.credential,
        };
        let keys = self.identity.map(|identity| IdentitySource::Keys(Arc::new(identity.keys())));
        let identity = keys.or_else(|| self.assumed.map(|assumed| assumed.source(&grant.user)));
        LiveGrant::after(before, grant, identity)
    }
}

impl Identity {
    fn of(keys: &CloudIdentity) -> Self {
        let CloudIdentity { access_key_id, secret_access_key, session_token } = keys.clone();
        Self { access_key_id, secret_access_key, session_token: session_token.map(Token) }
    }

    fn keys(self) -> CloudIdentity {
        CloudIdentity {
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key,
            session_token: self.session_token.map(|Token(token)| token),
        }
    }
}

impl Assumed {
    fn of(session: &RoleSession) -> Self {
        let mut assumed = match &session.source {
            IdentitySource::Keys(keys) => Self { keys: Identity::of(keys), roles: Vec::new() },
            IdentitySource::Role(source) => Self::of(source),
        };
        assumed.roles.push(session.role.clone());
        assumed
    }

    fn source(self, user: &UserName) -> IdentitySource {
        let keys = IdentitySource::Keys(Arc::new(self.keys.keys()));
        let assume = |source, role| IdentitySource::Role(Arc::new(RoleSession::of(role, source, user)));
        self.roles.into_iter().fold(keys, assume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RoleArn;

    fn keys() -> IdentitySource {
        IdentitySource::Keys(Arc::new(CloudIdentity {
            access_key_id: "AKIAREAL".into(),
            secret_access_key: Secret::new("the real one"),
            session_token: Some(Secret::new("a token")),
        }))
    }

    fn live(key: &str, active: bool) -> LiveGrant {
        live_as(key, active.then(keys))
    }

    fn live_as(key: &str, identity: Option<IdentitySource>) -> LiveGrant {
        let grant = Grant {
            access_key_id: AccessKeyId::new(key).unwrap(),
            secret_access_key: Secret::new("the client's"),
            request: AccessRequestId::new("request-1").unwrap(),
            user: UserName::new("dora").unwrap(),
            environment: EnvironmentId::new("dev").unwrap(),
            services: vec![ServiceId::new("s3").unwrap()],
            active: identity.is_some(),
            expires_at: Some(Timestamp::from_millis(1_790_000_000_123)),
            allow_credential_operations: vec!["sts:AssumeRole".into()],
            accounts: vec![AccountId::new("123456789012").unwrap()],
            policies: Arc::default(),
            credential: CredentialId::new("credential-1").unwrap(),
        };
        LiveGrant::after(None, grant, identity)
    }

    fn snapshot(version: u64, grants: &[&LiveGrant]) -> Snapshot {
        let grants = grants.iter().map(|live| (live.grant.access_key_id.clone(), Arc::new((*live).clone())));
        Snapshot { version, grants: grants.collect() }
    }

    /// As it arrives at the other end.
    fn carried(snapshot: &Snapshot) -> Grants {
        serde_json::from_slice(&serde_json::to_vec(&Grants::of(snapshot)).unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_lost_on_the_way() {
        let (on, off) = (live("CSGAAAAAAAAAAAAAAAA1", true), live("CSGAAAAAAAAAAAAAAAA2", false));
        let role = |name: &str, source| {
            let role = AssumedRole {
                role_arn: RoleArn::new(format!("arn:aws:iam::123456789012:role/{name}")).unwrap(),
                source_credential: CredentialId::new("credential-2").unwrap(),
                external_id: Some("external".into()),
                session_seconds: 900,
            };
            IdentitySource::Role(Arc::new(RoleSession::of(role, source, &UserName::new("dora").unwrap())))
        };
        let chained = live_as("CSGAAAAAAAAAAAAAAAA3", Some(role("second", role("first", keys()))));
        let told = serde_json::to_value(One::of(&chained)).unwrap();
        assert!(told["identity"].is_null(), "who knows of no roles would sign with the key behind them");
        let (sent, publisher) = (snapshot(7, &[&on, &off, &chained]), Publisher::new());
        carried(&sent).publish(&publisher);
        let got = publisher.current();
        assert_eq!(got.version, 7);
        for (key, live) in &sent.grants {
            let there = &got.grants[key];
            assert_eq!(format!("{:?}", there.grant), format!("{:?}", live.grant));
            assert!(there.grant.secret_access_key == live.grant.secret_access_key);
            let secrets = |live: &LiveGrant| live.identity.as_ref().map(IdentitySource::fingerprint);
            assert_eq!(secrets(there), secrets(live));
        }
    }

    #[test]
    fn what_goes_on_is_not_interrupted_and_what_ends_is() {
        let (stays, goes) = (live("CSGAAAAAAAAAAAAAAAA1", true), live("CSGAAAAAAAAAAAAAAAA2", true));
        let revoked = live("CSGAAAAAAAAAAAAAAAA3", true);
        let publisher = Publisher::new();
        publisher.publish(snapshot(1, &[&stays, &goes, &revoked]));
        let off = live("CSGAAAAAAAAAAAAAAAA3", false);
        carried(&snapshot(2, &[&stays, &off])).publish(&publisher);
        assert_eq!([&stays, &goes, &revoked].map(|live| live.ended.is_set()), [false, true, true]);
        carried(&snapshot(3, &[])).publish(&publisher);
        assert!(stays.ended.is_set());
    }
}
