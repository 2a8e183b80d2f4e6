//! Signing keys kept for their day, so that a call costs one HMAC and not six.
//!
//! What is kept must not show in the time that a refusal takes, or it would tell which ids exist and which of them are in
//! use: a client's signature that is refused has cost one derivation and one comparison, whatever was or was not here.

use std::{
    fmt,
    hint::black_box,
    sync::{Arc, LazyLock},
};

use quick_cache::{Equivalent, sync::Cache};

use super::{Claim, Scope, SignatureError, SigningKey, Verified, key::Algorithm};
use crate::{clock::Timestamp, secret::Secret};

/// Signing keys by access key id and scope; holds a bounded number and forgets those least used.
pub struct KeyCache {
    keys: Cache<Id, Arc<Entry>>,
    decoy: Secret,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id {
    access_key_id: String,
    scope: Scope,
}

/// Hashes as [`Id`] does, so that a look-up needs no copies.
#[derive(Hash)]
struct IdRef<'a> {
    access_key_id: &'a str,
    scope: &'a Scope,
}

impl Equivalent<Id> for IdRef<'_> {
    fn equivalent(&self, id: &Id) -> bool {
        self.access_key_id == id.access_key_id && self.scope == &id.scope
    }
}

struct Entry {
    /// What the key was derived from: the same id with another secret must not find the old key.
    secret: Secret,
    key: SigningKey,
}

impl KeyCache {
    /// A cache of at most about `capacity` keys.
    pub fn new(capacity: usize) -> Self {
        Self { keys: Cache::new(capacity), decoy: Secret::new("nobody's") }
    }

    /// The key of `secret`, which belongs to `access_key_id`, for `scope`.
    pub fn key(&self, access_key_id: &str, secret: &Secret, scope: &Scope) -> SigningKey {
        self.kept(access_key_id, secret, scope).unwrap_or_else(|| {
            let key = derive(access_key_id, secret, scope);
            self.keep(access_key_id, secret, &key);
            key.for_scope(scope)
        })
    }

    /// What `verify` makes of a client's claim under the key of `secret`. The key is kept only if that found it true, so
    /// that wrong signatures drive out nothing.
    pub fn verify(
        &self,
        claim: Claim,
        secret: &Secret,
        verify: impl FnOnce(Claim, &SigningKey) -> Result<Verified, SignatureError>,
    ) -> Result<Verified, SignatureError> {
        if let Some(key) = self.kept(&claim.access_key_id, secret, &claim.scope) {
            // What it would have cost were it not kept.
            return verify(claim, &key).inspect_err(|_| drop(black_box(self.decoy("", key.scope()))));
        }
        let id = claim.access_key_id.clone();
        let key = derive(&id, secret, &claim.scope);
        let in_scope = key.for_scope(&claim.scope);
        verify(claim, &in_scope).inspect(|_| self.keep(&id, secret, &key))
    }

    /// A key of no use, for an access key id that nobody has. Verify with it and refuse whatever comes out: that takes as
    /// long as a wrong signature does in [`KeyCache::verify`].
    pub fn decoy(&self, access_key_id: &str, scope: &Scope) -> SigningKey {
        derive(access_key_id, &self.decoy, scope).for_scope(scope)
    }

    fn kept(&self, access_key_id: &str, secret: &Secret, scope: &Scope) -> Option<SigningKey> {
        let entry = self.keys.get(&IdRef { access_key_id, scope: general(scope) })?;
        (entry.secret == *secret).then(|| entry.key.for_scope(scope))
    }

    fn keep(&self, access_key_id: &str, secret: &Secret, key: &SigningKey) {
        if key.scope().algorithm() != Algorithm::HmacSha1 {
            let id = Id { access_key_id: access_key_id.to_owned(), scope: key.scope().clone() };
            self.keys.insert(id, Arc::new(Entry { secret: secret.clone(), key: key.clone() }));
        }
    }
}

/// The key for `scope`, under the name that it is kept by.
fn derive(access_key_id: &str, secret: &Secret, scope: &Scope) -> SigningKey {
    SigningKey::of(access_key_id, secret, general(scope).clone())
}

/// What a key for `scope` is derived for: a key pair once for all scopes, as it is dear, and whoever calls chooses the set
/// of regions.
fn general(scope: &Scope) -> &Scope {
    match scope.algorithm() {
        Algorithm::EcdsaP256 => &ANY_ASYMMETRIC,
        Algorithm::HmacSha1 | Algorithm::HmacSha256 => scope,
    }
}

/// Under which key pairs are kept.
static ANY_ASYMMETRIC: LazyLock<Scope> = LazyLock::new(|| Scope::asymmetric_at(Timestamp::from_millis(0), "*", ""));

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, request::Parts};

    use super::{
        super::{
            PathStyle, Payload, SignedHeaders, Signing,
            key::work::{Work, work_of},
            parse, sign,
        },
        *,
    };

    fn scope(region: &str) -> Scope {
        Scope::at(Timestamp::from_millis(1_440_938_160_000), region, "dynamodb")
    }

    fn signature(key: &SigningKey) -> String {
        key.sign(b"text").unwrap()
    }

    #[test]
    fn a_changed_secret_does_not_find_the_old_key() {
        let cache = KeyCache::new(10);
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let first = signature(&cache.key("AKID", &old, &scope("us-east-1")));
        assert_eq!(signature(&cache.key("AKID", &old, &scope("us-east-1"))), first);
        let second = signature(&cache.key("AKID", &new, &scope("us-east-1")));
        assert_eq!(second, signature(&SigningKey::derive(&new, scope("us-east-1"))));
        assert_ne!(first, second);
        assert_eq!(cache.keys.len(), 1);
    }

    #[test]
    fn ids_and_scopes_are_kept_apart_and_bounded() {
        let cache = KeyCache::new(10);
        let secret = Secret::new("secret");
        for index in 0..1000 {
            let scope = scope(&format!("region-{index}"));
            assert_eq!(cache.key("AKID", &secret, &scope).scope(), &scope);
            assert_ne!(
                signature(&cache.decoy("AKID", &scope)),
                signature(&cache.key("AKID", &secret, &scope)),
                "a decoy is nobody's key"
            );
        }
        assert!(cache.keys.len() <= 20);
    }

    #[test]
    fn the_second_look_up_finds_the_first_ones_key() {
        let cache = KeyCache::new(10);
        let secret = Secret::new("secret");
        cache.key("AKID", &secret, &scope("us-east-1"));
        assert!(cache.keys.get(&IdRef { access_key_id: "AKID", scope: &scope("us-east-1") }).is_some());
    }

    #[test]
    fn a_key_pair_is_derived_once_for_all_its_scopes() {
        let cache = KeyCache::new(10);
        let (secret, at) = (Secret::new("secret"), Timestamp::from_millis(1_440_938_160_000));
        for (regions, service) in [("*", "s3"), ("us-east-1", "s3"), ("eu-west-1", "events")] {
            let scope = Scope::asymmetric_at(at, regions, service);
            let key = cache.key("AKID", &secret, &scope);
            assert_eq!(key.scope(), &scope);
            let text = b"text";
            let signature = ::hex::decode(key.sign(text).unwrap()).unwrap();
            assert!(cache.key("AKID", &secret, &scope).verify(text, &signature));
            assert!(!cache.decoy("AKID", &scope).verify(text, &signature), "a decoy is nobody's key");
            assert!(!cache.key("AKID", &Secret::new("other"), &scope).verify(text, &signature));
            assert!(!cache.key("AKIE", &secret, &scope).verify(text, &signature));
        }
        assert_eq!(cache.keys.len(), 2);
    }

    /// An unknown id, a wrong secret in a scope that is new, and one in a scope whose key is kept: all cost the same.
    #[test]
    fn a_refusal_costs_one_derivation_and_one_verification_whatever_is_kept() {
        let now = Timestamp::from_millis(1_440_938_160_000);
        let secret = Secret::new("secret");
        let refusal = Work { derivations: 1, verifications: 1 };
        for scope in [scope("us-east-1"), Scope::asymmetric_at(now, "*", "dynamodb")] {
            let cache = KeyCache::new(10);
            let signed = |secret: &Secret| {
                let mut parts =
                    Request::get("https://dynamodb.us-east-1.amazonaws.com/").body(()).unwrap().into_parts().0;
                parts.headers.insert("host", "dynamodb.us-east-1.amazonaws.com".parse().unwrap());
                let key = &SigningKey::of("AKID", secret, scope.clone());
                let signing = Signing {
                    access_key_id: "AKID",
                    key,
                    session_token: None,
                    style: PathStyle::EncodedTwice,
                    also: &SignedHeaders::default(),
                    payload: Payload::EMPTY,
                    now,
                };
                sign(&mut parts, &signing).unwrap();
                parts
            };
            let (right, wrong) = (signed(&secret), signed(&Secret::new("other")));
            let verify = |parts: &Parts, claim: Claim, key: &SigningKey| {
                claim.verify(parts, PathStyle::EncodedTwice, key, Payload::EMPTY, now)
            };
            let known = |parts: &Parts| {
                cache.verify(parse(parts).unwrap(), &secret, |claim, key| verify(parts, claim, key)).is_ok()
            };
            let unknown = || verify(&wrong, parse(&wrong).unwrap(), &cache.decoy("AKIE", &scope)).is_ok();
            for _ in 0..2 {
                assert_eq!(work_of(|| assert!(!known(&wrong))), refusal, "{scope:?}");
                assert_eq!(work_of(|| assert!(!unknown())), refusal, "{scope:?}");
            }
            assert_eq!(cache.keys.len(), 0, "a wrong signature is no reason to keep a key");
            assert!(known(&right));
            assert_eq!(work_of(|| assert!(known(&right))), Work { derivations: 0, ..refusal }, "{scope:?}");
            assert_eq!(work_of(|| assert!(!known(&wrong))), refusal, "{scope:?}");
        }
    }
}
