//! The certificate authority, kept for the app: its certificate as it is, its key sealed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Error, Workflow, transaction::Act};
use crate::store::{
    self, Read as _,
    tables::authority::{AUTHORITY, AuthorityRecord, KEY_PLACE},
};

/// A certificate authority as it was saved.
pub struct StoredAuthority {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS #8.
    pub key: Zeroizing<Vec<u8>>,
}

impl Workflow {
    /// The authority, if one was saved.
    pub fn authority(&self) -> Result<Option<StoredAuthority>, Error> {
        let Some(record) = self.read()?.find(&AUTHORITY, &())? else { return Ok(None) };
        let certificate = STANDARD
            .decode(&record.certificate)
            .map_err(|_| store::Error::Damaged { table: AUTHORITY.name(), reason: "not base64".into() })?;
        let key = self.0.store.sealer().unseal(&KEY_PLACE, &record.key).map_err(store::Error::from)?;
        Ok(Some(StoredAuthority { certificate, key }))
    }

    /// Saves the authority, in place of one saved before.
    pub fn save_authority(&self, certificate: &[u8], key: &[u8]) -> Result<(), Error> {
        self.commit(None, |tx| {
            let key = tx.sealer.seal(&KEY_PLACE, key).map_err(store::Error::from)?;
            let replaces = tx.writer.find(&AUTHORITY, &())?.is_some();
            tx.writer.put(&AUTHORITY, &(), &AuthorityRecord { certificate: STANDARD.encode(certificate), key })?;
            tx.record(Act {
                action: if replaces { "ca.replace" } else { "ca.create" },
                subject: "ca".into(),
                ..Act::default()
            })
        })
    }
}
