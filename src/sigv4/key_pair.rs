//! SigV4A's key pairs: the private key follows from the secret, the public one from the private one.
//!
//! Specification: none is published. The derivation is that of AWS's own SDKs (NIST SP 800-108 in counter mode, then
//! FIPS 186-5 A.2.2), and the published test vectors hold the public key that it has to arrive at.

use std::fmt;

use p256::{
    NonZeroScalar, PublicKey, Scalar,
    elliptic_curve::{PrimeField, sec1::ToSec1Point},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey},
};
use zeroize::Zeroizing;

use super::key::Algorithm;
use crate::secret::Secret;

/// A key pair on P-256; wiped when it goes.
#[derive(Clone)]
pub(super) struct KeyPair {
    private: Zeroizing<[u8; 32]>,
    /// Uncompressed, as SEC 1 has it.
    public: [u8; 65],
}

impl KeyPair {
    /// Derives the pair: a multiplication on the curve, dear enough to be kept. None if every counter fails, of which
    /// each does with a probability of 2⁻³².
    pub(super) fn derive(access_key_id: &str, secret: &Secret) -> Option<Self> {
        let input = Zeroizing::new(format!("AWS4A{}", secret.expose()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, input.as_bytes());
        let scalar = (1..=254_u8).find_map(|counter| {
            let mut context = hmac::Context::with_key(&key);
            let label = Algorithm::EcdsaP256.name().as_bytes();
            for part in [&1_u32.to_be_bytes()[..], label, &[0], access_key_id.as_bytes(), &[counter]] {
                context.update(part);
            }
            context.update(&256_u32.to_be_bytes());
            let candidate = Zeroizing::new(<[u8; 32]>::try_from(context.sign().as_ref()).ok()?);
            // Up to n - 2; one more is the key: neither nought nor beyond the group.
            let below = Zeroizing::new(Option::<Scalar>::from(Scalar::from_repr((*candidate).into()))?);
            Option::<NonZeroScalar>::from(NonZeroScalar::new(*below + Scalar::ONE)).map(Zeroizing::new)
        })?;
        let mut private = Zeroizing::new([0; 32]);
        private.copy_from_slice(&Zeroizing::new(<[u8; 32]>::from(scalar.to_repr()))[..]);
        let public = PublicKey::from_secret_scalar(&scalar).to_sec1_point(false).as_bytes().try_into().ok()?;
        Some(Self { private, public })
    }

    /// Is `signature`, in DER, that of `string_to_sign`?
    pub(super) fn verify(&self, string_to_sign: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.public).verify(string_to_sign, signature).is_ok()
    }

    /// The signature in DER; another one each time.
    pub(super) fn sign(&self, string_to_sign: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &*self.private, &self.public, &random);
        Some(pair.ok()?.sign(&random, string_to_sign).ok()?.as_ref().to_vec())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair")
    }
}

#[cfg(test)]
mod tests {
    use aws_sigv4::sign::v4a;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_that_of_the_reference(id in "[A-Z0-9]{1,30}", secret in "\\PC{0,60}", text: Vec<u8>) {
            let ours = KeyPair::derive(&id, &Secret::new(&*secret)).unwrap();
            let theirs = v4a::generate_signing_key(&id, &secret);
            prop_assert_eq!(ours.private.as_slice(), theirs.as_ref());
            let signature = ::hex::decode(v4a::calculate_signature(theirs, &text)).unwrap();
            prop_assert!(ours.verify(&text, &signature));
            prop_assert!(ours.verify(&text, &ours.sign(&text).unwrap()));
            prop_assert!(!ours.verify(&[&text[..], b"x"].concat(), &signature));
        }
    }

    #[test]
    fn never_prints_itself() {
        assert_eq!(format!("{:?}", KeyPair::derive("AKID", &Secret::new("secret"))), "Some(KeyPair)");
    }
}
