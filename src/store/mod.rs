//! State on disk: ordered keys, several writes in one commit, read snapshots, watch. No redb type leaves here.
//!
//! The interface is narrow on purpose: a distributed database that has ordered keys, optimistic transactions and a
//! change feed can stand behind it without anything above noticing. Hence:
//!
//! - [`Store::transact`] takes a closure that may be run again after a conflict, so it must have no effect but its writes;
//! - every commit has a [version](Reader::version) that only grows, and [`Store::watch`] tells of it;
//! - scans go in pages from a key that the caller remembers, never from an open cursor.
//!
//! Values are JSON: readable in a disaster, and a new version of the program can add fields.

mod codec;
mod copy;
mod file;
mod master_key;
mod migrate;
mod replace;
mod schema;
mod seal;
pub mod tables;
mod transaction;

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

pub use codec::{Key, Span, Table};
pub use copy::{Draft, Item};
pub use file::advice;
pub use master_key::{MasterKey, MasterKeyError};
pub use replace::{Migration, forget_copies};
pub use seal::{Place, SealError, Sealed, Sealer};
pub use transaction::{Order, Read, Reader, Writer};

use crate::clock::Timestamp;

/// Pages kept in memory, in bytes; redb alone would take up to 1 GiB. The state of an installation is a few MiB.
const CACHE: usize = 16 << 20;

/// The schema that this version of the program writes; it reads every earlier one.
pub const SCHEMA_VERSION: u32 = schema::CURRENT;

/// What can go wrong on disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the database open.
    #[error("{} is in use by another process: stop the running csg first", path.display())]
    AlreadyOpen {
        /// The database.
        path: PathBuf,
    },
    /// A copy of records that begins with no table.
    #[error("the copy of a database begins in the middle")]
    Copy,
    /// No database of ours, or one that was damaged.
    #[error(
        "{} is damaged, or no database of csg ({reason}): put back a backup with `csg restore FILE --force`, which keeps \
         what is there aside", path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A stored value is not what its table holds.
    #[error("a record of table {table} can't be read: {reason}: put back a backup with `csg restore FILE --force`")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong with the record; never its content.
        reason: String,
    },
    /// The database engine failed.
    #[error("the database failed: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk failed the database.
    #[error("the database can't be read or written: {}", advice(.0))]
    Disk(#[source] std::io::Error),
    /// The file system failed.
    #[error("can't {what} {}: {}", path.display(), advice(source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A newer version of the program has written the database.
    #[error(
        "the database was written by a newer version of csg (its schema is {found}, this version knows up to {known}): \
         install that version again, or {}",
        if *kept { "go back to the database from before the upgrade with `csg restore --before-upgrade`".to_owned() } else {
            format!("put back a backup of schema {known} or less with `csg restore FILE --force`")
        }
    )]
    NewerSchema {
        /// The schema of the database.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
        /// Is one kept from before the upgrade that this program knows?
        kept: bool,
    },
    /// There is no database from before an upgrade.
    #[error(
        "no database from before an upgrade is kept beside {} that this version knows: put back a backup with \
         `csg restore FILE --force`", .0.display()
    )]
    NothingKept(PathBuf),
    /// No newer version of the program has written the database.
    #[error("the database is not of a newer version of csg (its schema is {0}): there is nothing to go back from")]
    NotNewer(u32),
    /// The database can't be brought to the present schema.
    #[error("the database has to be brought to another schema, and could not be; it is as it was: {0}")]
    NotMigrated(#[source] Box<Error>),
    /// A value could not be sealed or unsealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The master key is not the one that the database was made with.
    #[error(
        "the master key does not fit the database (it was made with key {expected}, this is key {given}): \
         put back the right key file"
    )]
    WrongMasterKey {
        /// The id of the key that the database was made with.
        expected: String,
        /// The id of the key that was given.
        given: String,
    },
}

impl Error {
    fn engine(source: impl Into<redb::Error>) -> Self {
        match source.into() {
            redb::Error::Io(error) => Self::Disk(error),
            other => Self::Engine(Box::new(other)),
        }
    }

    /// Why the database at `path` can't be opened.
    fn opening(path: &Path, error: redb::DatabaseError) -> Self {
        let path = path.to_owned();
        match redb::Error::from(error) {
            redb::Error::DatabaseAlreadyOpen => Self::AlreadyOpen { path },
            redb::Error::Corrupted(reason) => Self::Corrupt { path, reason },
            redb::Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
                Self::Corrupt { path, reason: error.to_string() }
            }
            redb::Error::Io(source) => Self::Io { what: "open", path, source },
            redb::Error::UpgradeRequired(version) => {
                Self::Corrupt { path, reason: format!("its file format is {version}") }
            }
            other => Self::engine(other),
        }
    }
}

/// The state of the appliance. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    database: redb::Database,
    sealer: Sealer,
    version: watch::Sender<u64>,
    reads: transaction::Count,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("version", &*self.0.version.borrow()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `path`, which is made if it does not exist, and brings it to the present schema.
    ///
    /// The file is made readable by its owner alone, and so is its directory if that has to be made. While it is open
    /// no other process can open it.
    pub fn open(path: &Path, key: &MasterKey) -> Result<Self, Error> {
        let (store, migration) = Self::on_trial(path, key)?;
        migration.complete()?;
        Ok(store)
    }

    /// As [`Store::open`]; but a database of an older schema is left as it is until [`Migration::complete`], and all that is
    /// done before goes into a copy at the present schema, which then takes its place.
    pub fn on_trial(path: &Path, key: &MasterKey) -> Result<(Self, Migration), Error> {
        let (file, place) = file::prepare(path)?;
        let opened = Self::of(file, path, key)?;
        let (store, migration) = if let Some(schema) = opened.older_schema(path)? {
            tracing::info!(from = schema, to = SCHEMA_VERSION, "the database is brought to another schema, in a copy");
            let begun = Migration::begin(opened.clone(), path, schema, (&opened, key));
            begun.map_err(|error| Error::NotMigrated(Box::new(error)))?
        } else {
            opened.bring_forward()?;
            file::publish(&place, path)?;
            (opened, Migration::none())
        };
        let version = store.read()?.version()?;
        store.0.version.send_replace(version);
        Ok((store, migration))
    }

    /// The database from before a newer version changed the schema of the one at `path`, and when that was; it takes the
    /// place of the newer one with [`Migration::complete`].
    pub fn before_upgrade(path: &Path, key: &MasterKey) -> Result<(Self, Migration, Timestamp), Error> {
        let (file, place) = file::prepare(path)?;
        if place != path {
            file::remove(&place)?;
            return Err(Error::NothingKept(path.to_owned()));
        }
        let newer = Self::of(file, path, key)?;
        let found = schema::found(&newer.read()?)?.unwrap_or(0);
        if found <= SCHEMA_VERSION {
            return Err(Error::NotNewer(found));
        }
        let (copy, made) = replace::known_copy(path).ok_or_else(|| Error::NothingKept(path.to_owned()))?;
        let before = Self::of(file::open(&copy)?, &copy, key)?;
        before.older_schema(path)?;
        let (store, migration) = Migration::begin(newer, path, found, (&before, key))?;
        Ok((store, migration, made))
    }

    /// The database in `file`, which is, or will be, at `path`.
    fn of(file: File, path: &Path, key: &MasterKey) -> Result<Self, Error> {
        let failed = |error| Error::opening(path, error);
        let database = redb::Database::builder()
            .set_cache_size(CACHE)
            // Every page's checksum: what was damaged is told here, not by a call that meets it.
            .set_check_integrity_on_open(true)
            .create_with_backend(redb::backends::FileBackend::new(file).map_err(failed)?)
            .map_err(failed)?;
        Ok(Self(Arc::new(Inner {
            database,
            sealer: Sealer::new(key),
            version: watch::Sender::new(0),
            reads: transaction::Count::default(),
        })))
    }

    /// The schema of the database, if it is an older one. A newer one is refused, and so is a master key that does not fit:
    /// a database that can't be read is not to be changed.
    fn older_schema(&self, path: &Path) -> Result<Option<u32>, Error> {
        let reader = self.read()?;
        let found = schema::found(&reader)?;
        if let Some(found) = found.filter(|&found| found > SCHEMA_VERSION) {
            return Err(Error::NewerSchema { found, known: SCHEMA_VERSION, kept: replace::known_copy(path).is_some() });
        }
        schema::check_master_key(&reader, self.sealer())?;
        Ok(found.filter(|&found| found < SCHEMA_VERSION))
    }

    /// To the present schema, all or nothing.
    fn bring_forward(&self) -> Result<(), Error> {
        self.transact(|writer| {
            migrate::to_current(writer)?;
            schema::seal_known(writer, self.sealer())
        })
    }

    /// A consistent view of everything as it is now; later commits do not change it.
    pub fn read(&self) -> Result<Reader, Error> {
        Reader::begin(&self.0.database, &self.0.reads)
    }

    /// Runs `work` and commits its writes, all or none. They are on the disk when this returns.
    ///
    /// Transactions run one after the other. `work` may be run again after a conflict: it must have no effect but its
    /// writes, and must not call `transact` itself. An error undoes everything; without a write nothing is committed.
    pub fn transact<T, E: From<Error>>(&self, mut work: impl FnMut(&mut Writer) -> Result<T, E>) -> Result<T, E> {
        let mut writer = Writer::begin(&self.0.database, &self.0.reads)?;
        let value = work(&mut writer)?;
        if let Some(version) = writer.commit()? {
            // Two commits may arrive here in the other order: the version only grows.
            self.0.version.send_if_modified(|seen| {
                let newer = version > *seen;
                *seen = version.max(*seen);
                newer
            });
        }
        Ok(value)
    }

    /// Tells of each new version, after it was committed; a slow watcher sees only the newest.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// How many records were read since it was opened: what a use case costs, whatever the machine.
    pub fn records_read(&self) -> u64 {
        self.0.reads.now()
    }

    /// Seals and unseals with the master key.
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOTES: Table<(String, u64), String> = Table::new("notes");

    fn open(directory: &Path) -> Result<Store, Error> {
        Store::open(&directory.join("state/csg.redb"), &MasterKey::from_bytes(&[7; 32]).unwrap())
    }

    fn key(name: &str, number: u64) -> (String, u64) {
        (name.to_owned(), number)
    }

    #[test]
    fn keeps_everything_over_a_restart_and_counts_versions() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let first = store.read().unwrap().version().unwrap();
        let watch = store.watch();
        store
            .transact::<_, Error>(|tx| {
                assert_eq!(tx.version(), first + 1);
                tx.put(&NOTES, &key("a", 1), &"one".into())?;
                tx.put(&NOTES, &key("a", 2), &"two".into())
            })
            .unwrap();
        assert!(watch.has_changed().unwrap());
        assert_eq!(*watch.borrow(), first + 1);
        drop(store);
        let store = open(directory.path()).unwrap();
        let reader = store.read().unwrap();
        assert_eq!(reader.version().unwrap(), first + 1);
        assert_eq!(reader.find(&NOTES, &key("a", 2)).unwrap().unwrap(), "two");
    }

    #[test]
    fn an_error_undoes_all_and_reading_alone_commits_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let before = store.read().unwrap().version().unwrap();
        let failed = store.transact::<(), Error>(|tx| {
            tx.put(&NOTES, &key("a", 1), &"one".into())?;
            Err(Error::Damaged { table: "notes", reason: "made up".into() })
        });
        assert!(failed.is_err());
        store.transact::<_, Error>(|tx| tx.find(&NOTES, &key("a", 1)).map(|found| assert!(found.is_none()))).unwrap();
        assert_eq!(store.read().unwrap().version().unwrap(), before);
    }

    #[test]
    fn a_reader_sees_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let before = store.read().unwrap();
        store.transact::<_, Error>(|tx| tx.put(&NOTES, &key("a", 1), &"one".into())).unwrap();
        assert!(before.find(&NOTES, &key("a", 1)).unwrap().is_none());
        assert!(store.read().unwrap().find(&NOTES, &key("a", 1)).unwrap().is_some());
    }

    #[test]
    fn scans_in_order_from_a_remembered_key() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        store
            .transact::<_, Error>(|tx| {
                for (name, number) in [("a", 2), ("a", 1), ("a", 300), ("ab", 1), ("b", 1)] {
                    tx.put(&NOTES, &key(name, number), &format!("{name}{number}"))?;
                }
                assert!(tx.remove(&NOTES, &key("b", 1))?);
                assert!(!tx.remove(&NOTES, &key("b", 1))?);
                Ok(())
            })
            .unwrap();
        let reader = store.read().unwrap();
        let values = |span: Span<(String, u64)>, order| -> Vec<String> {
            reader.all(&NOTES, &span, order).unwrap().into_iter().map(|(_, value)| value).collect()
        };
        assert_eq!(values(Span::all(), Order::Ascending), ["a1", "a2", "a300", "ab1"]);
        assert_eq!(values(Span::of(&"a".to_owned()), Order::Descending), ["a300", "a2", "a1"]);
        assert_eq!(values(Span::up_to(&"ab".to_owned()), Order::Ascending), ["a1", "a2", "a300", "ab1"]);
        assert_eq!(values(Span::up_to(&"a".to_owned()), Order::Ascending), ["a1", "a2", "a300"]);
        assert_eq!(values(Span::of(&"a".to_owned()).after(&key("a", 1)), Order::Ascending), ["a2", "a300"]);
        assert_eq!(values(Span::all().before(&key("a", 300)), Order::Descending), ["a2", "a1"]);
    }

    #[test]
    fn only_the_owner_can_read_it_and_only_one_can_open_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let mode = |path: &str| std::fs::metadata(directory.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("state"), mode("state/csg.redb")), (0o700, 0o600));
        let again = open(directory.path()).unwrap_err();
        assert!(again.to_string().ends_with("is in use by another process: stop the running csg first"), "{again}");
        drop(store);
        open(directory.path()).unwrap();
    }

    #[test]
    fn refuses_a_wrong_master_key() {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()).unwrap());
        let path = directory.path().join("state/csg.redb");
        let error = Store::open(&path, &MasterKey::from_bytes(&[8; 32]).unwrap()).unwrap_err();
        assert!(matches!(error, Error::WrongMasterKey { .. }), "{error}");
        open(directory.path()).unwrap();
    }
}
