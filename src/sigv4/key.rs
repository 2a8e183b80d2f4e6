//! Scopes, and the keys derived for them.

use std::{fmt, sync::Arc};

use aws_sigv4::sign::v4;
use ring::hmac;
use zeroize::Zeroizing;

use super::{TERMINATOR, date::Moment, hex, key_pair::KeyPair};
use crate::{clock::Timestamp, secret::Secret};

/// How a signature is calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SigV4A: asymmetric, for a set of regions.
    EcdsaP256,
    /// SigV2, which is taken of presigned S3 URLs only.
    HmacSha1,
    /// SigV4.
    HmacSha256,
}

impl Algorithm {
    /// Its name on the wire; SigV2 has none.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "AWS4-ECDSA-P256-SHA256",
            Self::HmacSha1 => "AWS",
            Self::HmacSha256 => "AWS4-HMAC-SHA256",
        }
    }

    /// How long the signatures of a body's chunks are on the wire: 64 digits, of SigV4A always 144 characters, which is
    /// as long as its longest. (No chunk is signed with SigV2.)
    pub(super) const fn chunk_signature_length(self) -> usize {
        match self {
            Self::EcdsaP256 => 2 * Signature::LONGEST,
            Self::HmacSha1 | Self::HmacSha256 => 64,
        }
    }
}

/// What a signature is good for: one day, one region, one service. Of SigV4A: one day, a set of regions, one service. Of
/// SigV2: anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    algorithm: Algorithm,
    midnight: Timestamp,
    date: [u8; 8],
    region: String,
    service: String,
}

impl Scope {
    /// The scope that `now` falls into.
    pub fn at(now: Timestamp, region: impl Into<String>, service: impl Into<String>) -> Self {
        Self::on(&Moment::of(now), region.into(), service.into())
    }

    /// The scope of SigV4A that `now` falls into; `regions` as in `X-Amz-Region-Set`.
    pub fn asymmetric_at(now: Timestamp, regions: impl Into<String>, service: impl Into<String>) -> Self {
        Self { algorithm: Algorithm::EcdsaP256, ..Self::at(now, regions, service) }
    }

    pub(super) fn on(moment: &Moment, region: String, service: String) -> Self {
        let seconds = moment.at().seconds();
        let midnight = Timestamp::from_millis((seconds - seconds.rem_euclid(24 * 60 * 60)) * 1000);
        let mut date = *b"00000101";
        date.iter_mut().zip(moment.day().bytes()).for_each(|(to, from)| *to = from);
        Self { algorithm: Algorithm::HmacSha256, midnight, date, region, service }
    }

    /// SigV2 has no scope; this stands for that.
    pub(super) fn legacy() -> Self {
        let none = Self::at(Timestamp::from_millis(0), "", "s3");
        Self { algorithm: Algorithm::HmacSha1, ..none }
    }

    /// The same of SigV4A: `region` holds a set of them.
    pub(super) fn asymmetric(self) -> Self {
        Self { algorithm: Algorithm::EcdsaP256, ..self }
    }

    /// How signatures for it are calculated.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The day: `20150830`.
    pub fn date(&self) -> &str {
        std::str::from_utf8(&self.date).unwrap_or_default()
    }

    /// The region: `us-east-1`. Of SigV4A the set of regions: `us-east-1,eu-*`. Of SigV2 nothing.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service's signing name: `dynamodb`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Does SigV4A's set of regions hold `region`? Its members are separated by commas and may end with `*`.
    pub fn covers(&self, region: &str) -> bool {
        self.region.split(',').map(str::trim).any(|member| match member.strip_suffix('*') {
            Some(beginning) => region.starts_with(beginning),
            None => member == region,
        })
    }

    /// Appends `20150830/us-east-1/dynamodb/aws4_request`, without the region for SigV4A.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date);
        let region = Some(self.region.as_str()).filter(|_| self.algorithm == Algorithm::HmacSha256);
        for part in region.into_iter().chain([self.service.as_str(), TERMINATOR]) {
            out.push(b'/');
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// A signature: 32 bytes of SigV4, 20 of SigV2, up to 72 of SigV4A.
#[derive(Clone, Copy)]
pub(super) struct Signature {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Signature {
    const LONGEST: usize = 72;

    /// None if they are too many.
    pub(super) fn of(signature: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..signature.len())?.copy_from_slice(signature);
        Some(Self { bytes, length: signature.len() })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature")
    }
}

/// A signing key with the scope it is good for; cheap to clone, wiped when the last clone goes.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    scope: Scope,
    material: Material,
}

#[derive(Clone)]
enum Material {
    /// SigV4: good for one day.
    Derived(Zeroizing<[u8; 32]>),
    /// SigV4A: good for ever. (None: no pair can be derived. It happens to no secret there will ever be.)
    Pair(Option<KeyPair>),
    /// SigV2: the secret itself.
    Secret(Secret),
}

impl SigningKey {
    /// Derives the key for SigV4: five HMACs, which is why there is a [`super::KeyCache`].
    pub fn derive(secret: &Secret, scope: Scope) -> Self {
        #[cfg(test)]
        work::count(|work| work.derivations += 1);
        let derived = v4::generate_signing_key(secret.expose(), scope.midnight.into(), &scope.region, &scope.service);
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(derived.as_ref()).for_each(|(to, from)| *to = *from);
        Self(Arc::new(Inner { scope, material: Material::Derived(key) }))
    }

    /// Derives the key that `scope` asks for.
    pub fn of(access_key_id: &str, secret: &Secret, scope: Scope) -> Self {
        let material = match scope.algorithm {
            Algorithm::HmacSha256 => return Self::derive(secret, scope),
            Algorithm::EcdsaP256 => {
                #[cfg(test)]
                work::count(|work| work.derivations += 1);
                Material::Pair(KeyPair::derive(access_key_id, secret))
            }
            Algorithm::HmacSha1 => Material::Secret(secret.clone()),
        };
        Self(Arc::new(Inner { scope, material }))
    }

    /// A key pair is the same for every scope.
    pub(super) fn for_scope(&self, scope: &Scope) -> Self {
        match self.0.material {
            Material::Pair(_) if self.0.scope != *scope => {
                Self(Arc::new(Inner { scope: scope.clone(), material: self.0.material.clone() }))
            }
            _ => self.clone(),
        }
    }

    /// The scope it is good for.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Is `signature` that of `string_to_sign`? What is secret is compared in constant time.
    pub(super) fn verify(&self, string_to_sign: &[u8], signature: &[u8]) -> bool {
        #[cfg(test)]
        work::count(|work| work.verifications += 1);
        match &self.0.material {
            Material::Derived(key) => hmac::verify(&hmac_key(key), string_to_sign, signature).is_ok(),
            Material::Pair(pair) => pair.as_ref().is_some_and(|pair| pair.verify(string_to_sign, signature)),
            Material::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
                hmac::verify(&key, string_to_sign, signature).is_ok()
            }
        }
    }

    /// The signature in lower-case hex; none if the system gives no random bytes for one of SigV4A.
    pub(super) fn sign(&self, string_to_sign: &[u8]) -> Option<String> {
        match &self.0.material {
            Material::Pair(pair) => pair.as_ref()?.sign(string_to_sign).map(::hex::encode),
            _ => std::str::from_utf8(&hex::encode(&self.sign_in_bytes(string_to_sign))).ok().map(str::to_owned),
        }
    }

    /// SigV4's signature as it is. (Nothing is signed with SigV2, and SigV4A's have no length of their own.)
    pub(super) fn sign_in_bytes(&self, string_to_sign: &[u8]) -> [u8; 32] {
        match &self.0.material {
            Material::Derived(key) => {
                hmac::sign(&hmac_key(key), string_to_sign).as_ref().try_into().unwrap_or_default()
            }
            Material::Pair(_) | Material::Secret(_) => [0; 32],
        }
    }
}

/// The last of SigV4's HMACs, by ring: the text that the AWS crate makes of it costs as much as the HMAC itself.
fn hmac_key(key: &Zeroizing<[u8; 32]>) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("scope", &self.0.scope).finish_non_exhaustive()
    }
}

/// What keys cost, counted: two refusals that cost alike can't be told apart by time.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(in super::super) struct Work {
        pub(in super::super) derivations: usize,
        pub(in super::super) verifications: usize,
    }

    thread_local!(static DONE: Cell<Work> = Cell::default());

    pub(super) fn count(add: impl FnOnce(&mut Work)) {
        let mut done = DONE.get();
        add(&mut done);
        DONE.set(done);
    }

    pub(in super::super) fn work_of(what: impl FnOnce()) -> Work {
        DONE.set(Work::default());
        what();
        DONE.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the AWS documentation, "Examples of how to derive a signing key for Signature Version 4".
    #[test]
    fn derives_the_documented_key() {
        let scope = Scope::at(Timestamp::parse_rfc3339("2012-02-15T23:59:59Z").unwrap(), "us-east-1", "iam");
        assert_eq!(scope.date(), "20120215");
        let key = SigningKey::derive(&Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), scope);
        let Material::Derived(bytes) = &key.0.material else { panic!("{key:?}") };
        assert_eq!(
            std::str::from_utf8(&hex::encode(bytes.as_slice())).unwrap(),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
        assert!(!format!("{key:?}").contains("244"));
    }
}
