//! A backup: one file with everything of one moment, of no use without the master key.
//!
//! ```text
//! csg backup, format 1 ⏎       so that `head -1` tells what it is
//! length, header (JSON)         when, by what, which schema, which master key; perhaps that key, under a passphrase
//! SHA-256 of all before         tells a damaged header from a wrong key
//! length, chunk; …              AES-256-GCM under a key derived from the master key and a salt; see `seal`
//! ```
//!
//! What is sealed is compressed: databases, tables, records, their number; see `records`. It holds records and not files,
//! so that it depends neither on how redb lays them out nor on who writes meanwhile.

mod back;
mod error;
mod file;
mod key;
mod records;
mod restore;
mod seal;
mod stage;

use std::io::Write;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

pub use self::{
    back::{WentBack, go_back},
    error::BackupError,
    file::Copied,
    key::{SealedKey, Wrapping},
    restore::{Options, Restored, restore, stamp},
};
use crate::{
    audit,
    clock::Timestamp,
    store::{MasterKey, SCHEMA_VERSION, Store},
};
pub(super) use file::{Counted, copy};
pub(super) use stage::settle;

/// The file name of the database, in the data directory and in backups.
pub(super) const DATABASE: &str = "csg.redb";
/// The folder of the audit files.
pub(super) const AUDIT: &str = "audit";

/// What stands at the beginning of a backup for everybody to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// When it was made.
    pub made_at: Timestamp,
    /// By which version of csg.
    pub version: String,
    /// The schema of its database.
    pub schema: u32,
    /// The id of the master key that opens it.
    pub key_id: String,
    /// Are the records of calls in it?
    pub with_audit: bool,
    /// The master key under a passphrase, if that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_key: Option<SealedKey>,
    /// Makes the key of this backup another than that of any other.
    salt: String,
}

/// What a backup is made of.
pub(super) struct Source<'s> {
    pub(super) store: &'s Store,
    pub(super) key: &'s MasterKey,
    pub(super) audit: Option<audit::Files>,
}

impl Source<'_> {
    /// Writes the backup; everything in the database is of this moment, and each audit file is of one.
    pub(super) fn write(
        &self,
        wrapping: Option<&Wrapping>,
        now: Timestamp,
        to: impl Write,
    ) -> Result<Header, BackupError> {
        // Before the first byte: the one thing that counts is then of the moment that the header names.
        let reader = self.store.read()?;
        let mut salt = [0; 32];
        SystemRandom::new().fill(&mut salt).map_err(|_| BackupError::Random)?;
        let header = Header {
            made_at: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: SCHEMA_VERSION,
            key_id: self.key.id(),
            with_audit: self.audit.is_some(),
            sealed_key: wrapping.map(|wrapping| wrapping.seal(self.key)).transpose()?,
            salt: BASE64_STANDARD.encode(salt),
        };
        let mut to = to;
        let digest = file::write_header(&header, &mut to)?;
        let sealer = seal::Sealer::new(to, &self.key.derive(PURPOSE, &salt), digest)?;
        let mut records = records::Writer::new(ZlibEncoder::new(sealer, Compression::fast()));
        records.database(DATABASE)?;
        reader.copy(|item| records.item(item))?;
        if let Some(files) = &self.audit {
            for name in files.names()? {
                records.database(&format!("{AUDIT}/{name}"))?;
                files.copy(&name, |item| records.item(item))?;
            }
        }
        let sealer = records.finish()?.finish().map_err(BackupError::Write)?;
        sealer.finish().map_err(BackupError::Write)?;
        Ok(header)
    }
}

/// What the master key is derived for.
const PURPOSE: &[u8] = b"backup";
