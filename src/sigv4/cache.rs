//! Signing keys kept for their day, so that a call costs one HMAC and not six.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use quick_cache::{Equivalent, sync::Cache};

use super::{Scope, SigningKey, key::Algorithm};
use crate::{clock::Timestamp, secret::Secret};

/// Signing keys by access key id and scope; holds a bounded number and forgets those least used.
pub struct KeyCache {
    keys: Cache<Id, Arc<Entry>>,
    /// Apart, so that unknown ids can't drive out known ones.
    decoys: Cache<Id, Arc<Entry>>,
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
        Self { keys: Cache::new(capacity), decoys: Cache::new(capacity), decoy: Secret::new("nobody's") }
    }

    /// The key of `secret`, which belongs to `access_key_id`, for `scope`.
    pub fn key(&self, access_key_id: &str, secret: &Secret, scope: &Scope) -> SigningKey {
        find(&self.keys, access_key_id, secret, scope)
    }

    /// A key of no use, in the time that [`KeyCache::key`] takes: for an access key id that nobody has.
    ///
    /// Verify with it, and refuse whatever comes out; an unknown id then can't be told by time from a wrong signature.
    pub fn decoy(&self, access_key_id: &str, scope: &Scope) -> SigningKey {
        find(&self.decoys, access_key_id, &self.decoy, scope)
    }
}

fn find(cache: &Cache<Id, Arc<Entry>>, access_key_id: &str, secret: &Secret, scope: &Scope) -> SigningKey {
    let kept = match scope.algorithm() {
        // Derived once for all scopes: it is dear, and whoever calls chooses the set of regions.
        Algorithm::EcdsaP256 => &*ANY_ASYMMETRIC,
        Algorithm::HmacSha256 => scope,
        Algorithm::HmacSha1 => return SigningKey::of(access_key_id, secret, scope.clone()),
    };
    if let Some(entry) = cache.get(&IdRef { access_key_id, scope: kept })
        && entry.secret == *secret
    {
        return entry.key.for_scope(scope);
    }
    let key = SigningKey::of(access_key_id, secret, kept.clone());
    let id = Id { access_key_id: access_key_id.to_owned(), scope: kept.clone() };
    cache.insert(id, Arc::new(Entry { secret: secret.clone(), key: key.clone() }));
    key.for_scope(scope)
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
    use super::*;

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
        assert!(cache.keys.len() <= 20 && cache.decoys.len() <= 20);
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
        assert_eq!((cache.keys.len(), cache.decoys.len()), (2, 1));
    }
}
