//! A database is brought to another schema in a copy, which takes its place when all else that can fail is done.
//!
//! Until then nothing has changed: a version that can't start after all leaves the database to the one before it. From then
//! on the database from before is kept beside the new one, as `csg.redb.schema-N`, for whoever has to go back to the version
//! that wrote it; that is done in the same way, and the newer one kept. There is one: it goes when the next is made, or when
//! [`forget_copies`] finds it old.
//!
//! What is broken off anywhere, by a kill or a power failure, leaves the one or the other under its name, whole.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

use super::{Error, MasterKey, SCHEMA_VERSION, Store, copy, file};
use crate::clock::Timestamp;

/// So long the one from before is kept: who has not gone back by then has too much to lose.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// A database at the present schema, as long as it is not in the place of the one of another. Dropped before it is complete,
/// it is gone.
#[must_use = "what is not completed is undone"]
pub struct Migration(Option<Pending>);

struct Pending {
    database: PathBuf,
    /// Of the one that is there.
    schema: u32,
    /// It is kept open, so that nobody else can write to it.
    _there: Store,
}

impl std::fmt::Debug for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migration").field("from", &self.0.as_ref().map(|pending| pending.schema)).finish()
    }
}

impl Migration {
    /// Nothing was to do.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Makes a copy of `from`, and brings that to the present schema, for the place of the one that is `there`, at `database`
    /// and of `schema`.
    pub(super) fn begin(
        there: Store,
        database: &Path,
        schema: u32,
        (from, key): (&Store, &MasterKey),
    ) -> Result<(Store, Self), Error> {
        let draft = file::draft(database);
        // From here on it removes the copy, should anything fail: on a full disk, that must not take the rest of it.
        let migration = Self(Some(Pending { database: database.to_owned(), schema, _there: there }));
        copy::write(&from.read()?, &draft)?;
        let store = Store::of(file::open(&draft)?, &draft, key)?;
        store.bring_forward()?;
        Ok((store, migration))
    }

    /// Lets it count: from now on a version that does not know the schema does not open the database.
    /// Gives back where the one before is kept.
    pub fn complete(mut self) -> Result<Option<PathBuf>, Error> {
        let Some(pending) = &self.0 else { return Ok(None) };
        let (database, kept) = (&pending.database, copy_of(&pending.database, pending.schema));
        if let Err(error) = pending.put_in_place(&kept) {
            // Else it would be a copy of what is still written to.
            drop(fs::remove_file(&kept));
            return Err(Error::NotMigrated(Box::new(error)));
        }
        file::sync_directory(database)?;
        for (_, other) in copies(database) {
            if other != kept {
                drop(fs::remove_file(other));
            }
        }
        tracing::info!(kept = %kept.display(), "the database of another schema has taken its place; the one before is kept");
        self.0 = None;
        Ok(Some(kept))
    }
}

impl Pending {
    /// The old one has its second name, safe on the disk, before it loses the first.
    fn put_in_place(&self, kept: &Path) -> Result<(), Error> {
        let failed = |source| Error::Io { what: "make", path: kept.to_owned(), source };
        file::remove(kept)?;
        fs::hard_link(&self.database, kept).map_err(failed)?;
        // It is kept for so long from now on, whenever it was written last.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        utimensat(CWD, kept, &times, AtFlags::empty()).map_err(|errno| failed(errno.into()))?;
        file::sync_directory(kept)?;
        let failed = |source| Error::Io { what: "replace", path: self.database.clone(), source };
        fs::rename(file::draft(&self.database), &self.database).map_err(failed)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Not there any more, if it was put in its place.
        drop(fs::remove_file(file::draft(&self.database)));
    }
}

/// Where the database of an older schema is kept.
fn copy_of(database: &Path, schema: u32) -> PathBuf {
    database.with_added_extension(format!("schema-{schema}"))
}

/// The copies beside `database`, each with its schema, the newest first.
pub(super) fn copies(database: &Path) -> Vec<(u32, PathBuf)> {
    let beginning = database.file_name().map(|name| format!("{}.schema-", name.to_string_lossy())).unwrap_or_default();
    let entries = database.parent().and_then(|directory| fs::read_dir(directory).ok());
    let mut found: Vec<_> = entries
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix(&beginning)?.parse().ok()?, entry.path())))
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

/// The newest that this version knows, and when it was kept.
pub(super) fn known_copy(database: &Path) -> Option<(PathBuf, Timestamp)> {
    let (_, path) = copies(database).into_iter().find(|(schema, _)| *schema <= SCHEMA_VERSION)?;
    let made = fs::metadata(&path).and_then(|about| about.modified()).ok()?;
    Some((path, made.into()))
}

/// Removes the copies that were kept beside `database` before a change of schema, once they are a month old.
pub fn forget_copies(database: &Path, now: Timestamp) {
    let inode = |path: &Path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    for (schema, path) in copies(database) {
        if inode(&path) == inode(database) {
            // A second name that was given for a change which was then broken off.
            drop(fs::remove_file(&path));
            continue;
        }
        let made = fs::metadata(&path).and_then(|about| about.modified()).map(Timestamp::from);
        if made.is_ok_and(|made| now.since(made) > KEPT) && fs::remove_file(&path).is_ok() {
            tracing::info!(file = %path.display(), schema, "the copy from before the upgrade has had its time, and is gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::{
        super::{Table, Writer, schema},
        *,
    };

    const NOTES: Table<(), String> = Table::new("notes");
    /// Of the fixture.
    const OLD: u32 = 1;

    fn key() -> MasterKey {
        MasterKey::from_bytes(&[7; 32]).unwrap()
    }

    /// A database of an older version.
    fn old() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("csg.redb");
        fs::copy(format!("{}/tests/fixtures/db/schema-{OLD}.redb", env!("CARGO_MANIFEST_DIR")), &path).unwrap();
        (directory, path)
    }

    fn schema_in(path: &Path) -> u32 {
        let store = Store::of(file::open(path).unwrap(), path, &key()).unwrap();
        schema::found(&store.read().unwrap()).unwrap().unwrap()
    }

    fn note(writer: &mut Writer) -> Result<(), Error> {
        writer.put(&NOTES, &(), &"written by the new version".to_owned())
    }

    fn names(directory: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn until_it_is_complete_nothing_has_changed_and_nobody_else_comes_in() {
        let (directory, path) = old();
        let (store, migration) = Store::on_trial(&path, &key()).unwrap();
        store.transact(note).unwrap();
        assert!(matches!(Store::open(&path, &key()).unwrap_err(), Error::AlreadyOpen { .. }));
        drop((store, migration));
        assert_eq!((names(&directory), schema_in(&path)), (vec!["csg.redb".to_owned()], OLD));
        drop(Store::open(&path, &key()).unwrap());
    }

    #[test]
    fn once_complete_it_has_the_name_and_the_one_before_is_kept_from_now_on() {
        use crate::store::Read as _;
        let (directory, path) = old();
        let long_ago = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        File::open(&path).unwrap().set_times(FileTimes::new().set_modified(long_ago.into())).unwrap();
        // Of another upgrade, long done.
        fs::write(copy_of(&path, 0), "").unwrap();
        let (store, migration) = Store::on_trial(&path, &key()).unwrap();
        store.transact(note).unwrap();
        migration.complete().unwrap();
        assert!(matches!(Store::open(&path, &key()).unwrap_err(), Error::AlreadyOpen { .. }));
        drop(store);
        assert_eq!(names(&directory), ["csg.redb", "csg.redb.schema-1"]);
        assert_eq!((schema_in(&path), schema_in(&copy_of(&path, OLD))), (SCHEMA_VERSION, OLD));
        let store = Store::open(&path, &key()).unwrap();
        assert!(store.read().unwrap().find(&NOTES, &()).unwrap().is_some());
        let made = Timestamp::from(fs::metadata(copy_of(&path, OLD)).unwrap().modified().unwrap());
        for (at, is_there) in [(made.plus(KEPT), true), (made.plus(KEPT + Duration::from_secs(1)), false)] {
            forget_copies(&path, at);
            assert_eq!(copy_of(&path, OLD).exists(), is_there);
        }
    }

    #[test]
    fn what_was_broken_off_is_in_nobodys_way() {
        let (directory, path) = old();
        fs::write(file::draft(&path), "half a datab").unwrap();
        fs::hard_link(&path, copy_of(&path, OLD)).unwrap();
        // As the version before does, which goes on.
        forget_copies(&path, Timestamp::parse_rfc3339("2026-11-27T12:00:00Z").unwrap());
        assert_eq!(names(&directory), ["csg.redb", "csg.redb.new"]);
        fs::hard_link(&path, copy_of(&path, OLD)).unwrap();
        drop(Store::open(&path, &key()).unwrap());
        assert_eq!(names(&directory), ["csg.redb", "csg.redb.schema-1"]);
        assert_eq!((schema_in(&path), schema_in(&copy_of(&path, OLD))), (SCHEMA_VERSION, OLD));
        fs::write(file::draft(&path), "half a datab").unwrap();
        drop(Store::open(&path, &key()).unwrap());
        assert_eq!(names(&directory), ["csg.redb", "csg.redb.schema-1"]);
    }

    #[test]
    fn a_change_that_fails_leaves_all_as_it_was() {
        let (directory, path) = old();
        fs::create_dir(copy_of(&path, OLD)).unwrap();
        let error = Store::open(&path, &key()).unwrap_err().to_string();
        assert!(
            error.starts_with("the database has to be brought to another schema, and could not be; it is as"),
            "{error}"
        );
        assert_eq!((names(&directory), schema_in(&path)), (vec!["csg.redb".into(), "csg.redb.schema-1".into()], OLD));
    }
}
