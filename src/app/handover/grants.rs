//! A snapshot of the grants on its way to the predecessor, with all that its calls are judged and signed by.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    clock::Timestamp,
    model::{
        AccessKeyId, AccessRequestId, AccountId, CloudIdentity, CredentialId, EnvironmentId, Grant, LiveGrant, Policy,
        Publisher, ServiceId, Snapshot, UserName,
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
        let identity = live.identity.as_deref().map(|identity| {
            let CloudIdentity { access_key_id, secret_access_key, session_token } = identity.clone();
            Identity { access_key_id, secret_access_key, session_token: session_token.map(Token) }
        });
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
        let identity = self.identity.map(|identity| {
            Arc::new(CloudIdentity {
                access_key_id: identity.access_key_id,
                secret_access_key: identity.secret_access_key,
                session_token: identity.session_token.map(|Token(token)| token),
            })
        });
        LiveGrant::after(before, grant, identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(key: &str, active: bool) -> LiveGrant {
        let grant = Grant {
            access_key_id: AccessKeyId::new(key).unwrap(),
            secret_access_key: Secret::new("the client's"),
            request: AccessRequestId::new("request-1").unwrap(),
            user: UserName::new("dora").unwrap(),
            environment: EnvironmentId::new("dev").unwrap(),
            services: vec![ServiceId::new("s3").unwrap()],
            active,
            expires_at: Some(Timestamp::from_millis(1_790_000_000_123)),
            allow_credential_operations: vec!["sts:AssumeRole".into()],
            accounts: vec![AccountId::new("123456789012").unwrap()],
            policies: Arc::default(),
            credential: CredentialId::new("credential-1").unwrap(),
        };
        let identity = CloudIdentity {
            access_key_id: "AKIAREAL".into(),
            secret_access_key: Secret::new("the real one"),
            session_token: Some(Secret::new("a token")),
        };
        LiveGrant::after(None, grant, active.then(|| Arc::new(identity)))
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
        let (sent, publisher) = (snapshot(7, &[&on, &off]), Publisher::new());
        carried(&sent).publish(&publisher);
        let got = publisher.current();
        assert_eq!(got.version, 7);
        for (key, live) in &sent.grants {
            let there = &got.grants[key];
            assert_eq!(format!("{:?}", there.grant), format!("{:?}", live.grant));
            assert!(there.grant.secret_access_key == live.grant.secret_access_key);
            let secrets = |live: &LiveGrant| {
                live.identity.as_deref().map(|identity| {
                    let token = identity.session_token.as_ref().map(|token| token.expose().to_owned());
                    (identity.access_key_id.clone(), identity.secret_access_key.expose().to_owned(), token)
                })
            };
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
