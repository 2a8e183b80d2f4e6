//! The master key and a passphrase: only who asks for it gets the key into the backup, and never in clear.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::BackupError;
use crate::{secret::Secret, store::MasterKey};

/// What RFC 9106 has for machines that don't have gigabytes to spare.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;

/// What a header may ask of the machine that reads it.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;

/// The master key under a passphrase, with all that is needed to find it but that.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedKey {
    memory_kib: u32,
    passes: u32,
    salt: String,
    /// AES-256-GCM; the key that Argon2id makes of the passphrase and the salt is used this once.
    key: String,
}

/// A key made of a passphrase, which seals the master key. Who makes it needs no master key, and who uses it sees no
/// passphrase.
#[derive(Clone, Serialize, Deserialize)]
pub struct Wrapping {
    memory_kib: u32,
    passes: u32,
    salt: String,
    key: Zeroizing<String>,
}

impl Wrapping {
    /// Takes a second or so.
    pub fn of(passphrase: &Secret) -> Result<Self, BackupError> {
        let mut salt = [0; 32];
        SystemRandom::new().fill(&mut salt).map_err(|_| BackupError::Random)?;
        let key = stretched(passphrase, &salt, MEMORY_KIB, PASSES)?;
        Ok(Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: BASE64_STANDARD.encode(salt),
            key: Zeroizing::new(BASE64_STANDARD.encode(*key)),
        })
    }

    pub(super) fn seal(&self, master: &MasterKey) -> Result<SealedKey, BackupError> {
        let key = Zeroizing::new(BASE64_STANDARD.decode(&*self.key).map_err(|_| BackupError::WrongPassphrase)?);
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| BackupError::WrongPassphrase)?;
        let mut text = master.as_bytes().to_vec();
        LessSafeKey::new(key)
            .seal_in_place_append_tag(nonce(), Aad::empty(), &mut text)
            .map_err(|_| BackupError::Random)?;
        Ok(SealedKey {
            memory_kib: self.memory_kib,
            passes: self.passes,
            salt: self.salt.clone(),
            key: BASE64_STANDARD.encode(&text),
        })
    }
}

impl SealedKey {
    /// The master key; takes a second or so.
    pub(super) fn open(&self, passphrase: &Secret) -> Result<MasterKey, BackupError> {
        let wrong = || BackupError::Damaged("its sealed key can't be read".into());
        if self.memory_kib > MOST_MEMORY_KIB || self.passes > MOST_PASSES {
            return Err(wrong());
        }
        let salt = BASE64_STANDARD.decode(&self.salt).map_err(|_| wrong())?;
        let key = stretched(passphrase, &salt, self.memory_kib, self.passes)?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| wrong())?;
        let mut text = Zeroizing::new(BASE64_STANDARD.decode(&self.key).map_err(|_| wrong())?);
        let opened = LessSafeKey::new(key)
            .open_in_place(nonce(), Aad::empty(), &mut text)
            .map_err(|_| BackupError::WrongPassphrase)?;
        Ok(MasterKey::from_bytes(opened)?)
    }
}

/// The key is used once, so that any nonce will do.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn stretched(
    passphrase: &Secret,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<Zeroizing<[u8; 32]>, BackupError> {
    let wrong = || BackupError::Damaged("its sealed key can't be read".into());
    let parameters = Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| wrong())?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut *key)
        .map_err(|_| wrong())?;
    Ok(key)
}
