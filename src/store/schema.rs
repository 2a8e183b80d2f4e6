//! What the database says of itself: its schema, the number of its commits, and whether the master key fits.

use std::borrow::Cow;

use super::{Error, Place, Read, SealError, Sealed, Sealer, Table, Writer};

/// The schema that this program reads and writes. A change that old records do not fit needs a step in `migrate`.
#[cfg(not(feature = "next-schema"))]
pub(super) const CURRENT: u32 = 5;
/// That of a version to come, for tests of upgrades; nothing that is shipped has it.
#[cfg(feature = "next-schema")]
pub(super) const CURRENT: u32 = 5 + 1;

/// The schema of the database.
pub(super) const SCHEMA: Table<(), u32> = Table::new("schema");

/// Counts the commits: the version of the database.
pub(super) const COMMITS: Table<(), u64> = Table::new("commits");

/// A known text, sealed with the master key that all else is sealed with.
const MASTER_KEY_CHECK: Table<(), Sealed> = Table::new("master_key_check");
const PLACE: Place<'static> = Place { table: MASTER_KEY_CHECK.name(), record: Cow::Borrowed(""), field: "check" };
const KNOWN: &[u8] = b"cloud-service-gateway";

/// The schema of the database; none, if it is new.
pub(super) fn found(read: &impl Read) -> Result<Option<u32>, Error> {
    read.find(&SCHEMA, &())
}

/// Tells at once that the master key is not the right one, rather than at the first secret that is needed.
pub(super) fn check_master_key(read: &impl Read, sealer: &Sealer) -> Result<(), Error> {
    let Some(check) = read.find(&MASTER_KEY_CHECK, &())? else { return Ok(()) };
    match sealer.unseal(&PLACE, &check) {
        Ok(_) => Ok(()),
        Err(SealError::OtherKey { sealed, given }) => Err(Error::WrongMasterKey { expected: sealed, given }),
        Err(other) => Err(other.into()),
    }
}

/// Seals the known text, if that was not done before.
pub(super) fn seal_known(writer: &mut Writer, sealer: &Sealer) -> Result<(), Error> {
    match writer.find(&MASTER_KEY_CHECK, &())? {
        Some(_) => Ok(()),
        None => writer.put(&MASTER_KEY_CHECK, &(), &sealer.seal(&PLACE, KNOWN)?),
    }
}
