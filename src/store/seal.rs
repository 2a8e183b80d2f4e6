//! Secrets at rest: AES-256-GCM under the master key, each bound to the place where it is kept.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use super::MasterKey;

/// Format 1: this byte, the key's id, the nonce, the ciphertext with its tag.
const FORMAT: u8 = 1;
const KEY_ID_LEN: usize = 8;

/// A sealed secret; base64 text in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// Where a secret is kept. A sealed value that was moved to another place can't be unsealed there.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The record's key.
    pub record: Cow<'a, str>,
    /// The field of the record.
    pub field: &'static str,
}

/// Why a secret could not be sealed or unsealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Altered, cut short, or moved from another place.
    #[error("a sealed value was altered or does not belong where it was found")]
    Broken,
    /// A format that this program does not know.
    #[error("a sealed value has the unknown format {0}")]
    Format(u8),
    /// Sealed with another master key.
    #[error("a sealed value needs master key {sealed}, but the key is {given}")]
    OtherKey {
        /// The id of the key it was sealed with.
        sealed: String,
        /// The id of the key at hand.
        given: String,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for sealing")]
    Random,
}

/// Seals and unseals.
pub struct Sealer {
    key: LessSafeKey,
    key_id: [u8; KEY_ID_LEN],
    random: SystemRandom,
}

impl Sealer {
    /// Derives the sealing key and its public id from the master key (HKDF, RFC 5869): neither tells of the other.
    #[expect(clippy::missing_panics_doc, reason = "it can't: see below")]
    pub fn new(master: &MasterKey) -> Self {
        let extracted = extract(master);
        let mut key_id = [0; KEY_ID_LEN];
        #[expect(clippy::expect_used, reason = "HKDF fails only for outputs beyond 255 hash lengths")]
        let key = {
            let id = extracted.expand(&[b"key id"], Length::<KEY_ID_LEN>).expect("8 bytes");
            Okm::fill(id, &mut key_id).expect("8 bytes");
            UnboundKey::from(extracted.expand(&[b"seal"], &AES_256_GCM).expect("32 bytes"))
        };
        Self { key: LessSafeKey::new(key), key_id, random: SystemRandom::new() }
    }

    /// Seals `secret` for `place`, under a fresh random nonce.
    pub fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut text = Zeroizing::new(secret.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), place.associated_data(), &mut text)
            .map_err(|_| SealError::Broken)?;
        Ok(Sealed([&[FORMAT], &self.key_id[..], &nonce, &text, tag.as_ref()].concat()))
    }

    /// Unseals what was sealed for `place`.
    pub fn unseal(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (&format, rest) = sealed.0.split_first().ok_or(SealError::Broken)?;
        if format != FORMAT {
            return Err(SealError::Format(format));
        }
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_LEN>().ok_or(SealError::Broken)?;
        if *key_id != self.key_id {
            return Err(SealError::OtherKey { sealed: hex::encode(key_id), given: hex::encode(self.key_id) });
        }
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Broken)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), place.associated_data(), &mut text)
            .map_err(|_| SealError::Broken)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl MasterKey {
    /// A key for one purpose and, by its salt, one use: it tells nothing of the master key, nor of other keys.
    #[expect(clippy::missing_panics_doc, reason = "it can't: see below")]
    pub fn derive(&self, purpose: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        #[expect(clippy::expect_used, reason = "HKDF fails only for outputs beyond 255 hash lengths")]
        extract(self)
            .expand(&[b"derive", purpose, salt], Length::<32>)
            .and_then(|derived| derived.fill(&mut *key))
            .expect("32 bytes");
        key
    }

    /// What the key is called: it tells nothing of the key.
    pub fn id(&self) -> String {
        hex::encode(Sealer::new(self).key_id)
    }
}

impl Place<'_> {
    /// Each part after its length, so that no two places read the same.
    fn associated_data(&self) -> Aad<Vec<u8>> {
        let mut bytes = vec![FORMAT];
        for part in [self.table, &self.record, self.field] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Aad::from(bytes)
    }
}

fn extract(master: &MasterKey) -> Prk {
    Salt::new(HKDF_SHA256, b"cloud-service-gateway").extract(master.as_bytes())
}

struct Length<const N: usize>;

impl<const N: usize> KeyType for Length<N> {
    fn len(&self) -> usize {
        N
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { table: "credentials", record: Cow::Borrowed("a"), field: "secret" };

    fn with_key(byte: u8) -> Sealer {
        Sealer::new(&MasterKey::from_bytes(&[byte; 32]).unwrap())
    }

    #[test]
    fn unseals_what_it_sealed_and_never_seals_alike() {
        let sealer = with_key(1);
        let secret = sealer.seal(&PLACE, b"hunter2").unwrap();
        assert_ne!(secret, sealer.seal(&PLACE, b"hunter2").unwrap());
        let json = serde_json::to_string(&secret).unwrap();
        let back: Sealed = serde_json::from_str(&json).unwrap();
        assert_eq!(sealer.unseal(&PLACE, &back).unwrap().as_slice(), b"hunter2");
    }

    #[test]
    fn a_sealed_value_works_only_where_it_belongs() {
        let sealer = with_key(1);
        let secret = sealer.seal(&PLACE, b"hunter2").unwrap();
        for other in [
            Place { table: "access_keys", ..PLACE },
            Place { record: "b".into(), ..PLACE },
            Place { field: "token", ..PLACE },
            Place { record: "asecret".into(), field: "", ..PLACE },
        ] {
            assert_eq!(sealer.unseal(&other, &secret).unwrap_err(), SealError::Broken, "{other:?}");
        }
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let sealer = with_key(1);
        let secret = sealer.seal(&PLACE, b"hunter2").unwrap();
        for index in 0..secret.0.len() {
            let mut changed = secret.clone();
            changed.0[index] ^= 1;
            assert!(sealer.unseal(&PLACE, &changed).is_err(), "byte {index}");
            assert!(sealer.unseal(&PLACE, &Sealed(secret.0[..index].to_vec())).is_err(), "length {index}");
        }
    }

    #[test]
    fn a_derived_key_is_another_for_each_purpose_and_salt() {
        let master = MasterKey::from_bytes(&[1; 32]).unwrap();
        let derived = [(&b"backup"[..], &[1; 32][..]), (b"backup", &[2; 32]), (b"other", &[1; 32])]
            .map(|(purpose, salt)| *master.derive(purpose, salt));
        assert!(derived[0] != derived[1] && derived[0] != derived[2] && derived[1] != derived[2]);
        assert_eq!(*master.derive(b"backup", &[1; 32]), derived[0]);
    }

    #[test]
    fn names_the_key_it_needs() {
        let secret = with_key(1).seal(&PLACE, b"hunter2").unwrap();
        assert!(matches!(with_key(2).unseal(&PLACE, &secret), Err(SealError::OtherKey { .. })));
    }
}
