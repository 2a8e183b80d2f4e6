//! The certificate authority's certificate and key.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::super::{Place, Sealed, Table};

/// The one authority.
pub const AUTHORITY: Table<(), AuthorityRecord> = Table::new("authority");

/// Where its key is sealed.
pub const KEY_PLACE: Place<'static> = Place { table: AUTHORITY.name(), record: Cow::Borrowed(""), field: "key" };

/// The authority.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorityRecord {
    /// The certificate: DER, in base64.
    pub certificate: String,
    /// Its private key: PKCS #8.
    pub key: Sealed,
}
