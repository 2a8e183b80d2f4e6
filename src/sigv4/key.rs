//! Scopes, and the keys derived for them.

use std::{fmt, sync::Arc};

use aws_sigv4::sign::v4;
use ring::hmac;
use zeroize::Zeroizing;

use super::{TERMINATOR, date::Moment, hex};
use crate::{clock::Timestamp, secret::Secret};

/// What a signature is good for: one day, one region, one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
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

    pub(super) fn on(moment: &Moment, region: String, service: String) -> Self {
        let seconds = moment.at().seconds();
        let midnight = Timestamp::from_millis((seconds - seconds.rem_euclid(24 * 60 * 60)) * 1000);
        let mut date = *b"00000101";
        date.iter_mut().zip(moment.day().bytes()).for_each(|(to, from)| *to = from);
        Self { midnight, date, region, service }
    }

    /// The day: `20150830`.
    pub fn date(&self) -> &str {
        std::str::from_utf8(&self.date).unwrap_or_default()
    }

    /// The region: `us-east-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service's signing name: `dynamodb`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Appends `20150830/us-east-1/dynamodb/aws4_request`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date);
        for part in [&self.region, &self.service, TERMINATOR] {
            out.push(b'/');
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// A signing key with the scope it is good for; cheap to clone, wiped when the last clone goes.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    scope: Scope,
    key: Zeroizing<[u8; 32]>,
}

impl SigningKey {
    /// Derives the key: five HMACs, which is why there is a [`super::KeyCache`].
    pub fn derive(secret: &Secret, scope: Scope) -> Self {
        let derived = v4::generate_signing_key(secret.expose(), scope.midnight.into(), &scope.region, &scope.service);
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(derived.as_ref()).for_each(|(to, from)| *to = *from);
        Self(Arc::new(Inner { scope, key }))
    }

    /// The scope it is good for.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Is `signature` that of `string_to_sign`? Compared in constant time.
    pub(super) fn verify(&self, string_to_sign: &[u8], signature: &[u8; 32]) -> bool {
        hmac::verify(&self.hmac(), string_to_sign, signature).is_ok()
    }

    /// The signature in lower-case hex.
    pub(super) fn sign(&self, string_to_sign: &[u8]) -> String {
        std::str::from_utf8(&hex::encode(&self.sign_in_bytes(string_to_sign))).unwrap_or_default().to_owned()
    }

    /// The signature as it is.
    pub(super) fn sign_in_bytes(&self, string_to_sign: &[u8]) -> [u8; 32] {
        hmac::sign(&self.hmac(), string_to_sign).as_ref().try_into().unwrap_or_default()
    }

    /// The last of SigV4's HMACs, by ring: the text that the AWS crate makes of it costs as much as the HMAC itself.
    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.key.as_slice())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("scope", &self.0.scope).finish_non_exhaustive()
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
        assert_eq!(
            std::str::from_utf8(&hex::encode(key.0.key.as_slice())).unwrap(),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
        assert!(!format!("{key:?}").contains("244"));
    }
}
