//! The files: one redb database for each UTC day, so that forgetting a day is deleting a file.
//!
//! `blocks` holds the records, keyed by the second in which they arrived, so that a search by time reads little and two
//! neighbouring keys never overlap in time. `use` and `use_by_environment` hold the roll-ups, `last_use` when each access request was last used
//! up to and on that day: it is copied from day to day, so that a start reads the newest files only.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use time::{Date, Month};

use super::{
    Error, block,
    environment_use::USE_BY_ENVIRONMENT,
    usage::{LastUse, Rollup, Row, Tally},
};
use crate::{clock::Timestamp, model::CallRecord};

/// (second of arrival, counter) → a block of records, see [`block`].
pub(super) const BLOCKS: TableDefinition<(i64, u64), &[u8]> = TableDefinition::new("blocks");
/// Access request, hour, service, operation (see `usage::RollupKey`) → what was counted.
pub(super) const USE: TableDefinition<&[u8], Row> = TableDefinition::new("use");
/// Access request → last use, in milliseconds since the Unix epoch.
pub(super) const LAST_USE: TableDefinition<&str, i64> = TableDefinition::new("last_use");

/// The batches of processes that have handed over whose records are here; see `outbox`.
const TAKEN_IN: TableDefinition<&str, ()> = TableDefinition::new("taken_in");

/// More records than this go into a second block: a search holds one block at a time.
const BLOCK_RECORDS: usize = 512;
/// What redb may keep in memory of each open file; there are [`OPEN_FILES`] of them at most.
const CACHE_BYTES: usize = 4 << 20;
/// So many files stay open; others are closed as soon as nobody reads them.
const OPEN_FILES: usize = 3;
const DAY_MILLIS: i64 = 86_400_000;

/// A UTC day, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

impl Day {
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.millis().div_euclid(DAY_MILLIS))
    }

    pub(super) fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0 * DAY_MILLIS)
    }

    /// From a file name such as `2026-11-23.redb`.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".redb")?.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
        let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
        let day = Self(date.midnight().assume_utc().unix_timestamp().div_euclid(DAY_MILLIS / 1000));
        (day.file() == name).then_some(day)
    }

    pub(super) fn file(self) -> String {
        format!("{self}.redb")
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start().to_utc().date())
    }
}

/// The files of all days, and the few that are open.
#[derive(Debug)]
pub(super) struct Days {
    directory: PathBuf,
    open: Mutex<Vec<(Day, Arc<Database>)>>,
}

impl Days {
    pub(super) fn open(directory: &Path) -> Result<Self, Error> {
        let days = Self { directory: directory.to_owned(), open: Mutex::default() };
        fs::create_dir_all(directory).map_err(|cause| days.unusable(cause))?;
        Ok(days)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The days that have a file, the oldest first.
    pub(super) fn list(&self) -> Result<Vec<Day>, Error> {
        let entries = fs::read_dir(&self.directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut days: Vec<_> = entries
            .map_err(|cause| self.unusable(cause))?
            .iter()
            .filter_map(|entry| Day::of_file(entry.file_name().to_str()?))
            .collect();
        days.sort_unstable();
        Ok(days)
    }

    /// Deletes the files of the days before `first`.
    pub(super) fn forget_before(&self, first: Day) -> Result<(), Error> {
        for day in self.list()?.into_iter().take_while(|&day| day < first) {
            self.close(day);
            fs::remove_file(self.path(day)).map_err(|cause| self.unusable(cause))?;
            tracing::info!(%day, "audit records have reached the end of their retention and were deleted");
        }
        Ok(())
    }

    /// Commits records of one day and their roll-ups, in one transaction; those of a `batch` that is here already are not
    /// written again.
    pub(super) fn append(
        &self,
        day: Day,
        records: &[CallRecord],
        rollup: &Rollup,
        last_use: &LastUse,
        batch: Option<&str>,
    ) -> Result<(), Error> {
        let database = self.writable(day)?;
        let new = write(&database, records, rollup, last_use, batch);
        new.map_err(|cause| self.failed(day, cause))
    }

    /// Runs `read` on the file of `day`; none if it has no file.
    pub(super) fn read<T>(
        &self,
        day: Day,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, ReadError>,
    ) -> Result<Option<T>, Error> {
        let Some(database) = self.readable(day)? else { return Ok(None) };
        let answer = database.begin_read().map_err(ReadError::from).and_then(|transaction| read(&transaction));
        answer.map(Some).map_err(|error| match error {
            ReadError::Storage(cause) => self.failed(day, cause),
            ReadError::Block(cause) => Error::Block { path: self.path(day), cause },
        })
    }

    /// Closes all files, for another process to open them.
    pub(super) fn close_all(&self) {
        self.lock().clear();
    }

    /// Closes the file of `day` once nobody reads it; a file that has failed must be opened again to be of use.
    pub(super) fn close(&self, day: Day) {
        self.lock().retain(|&(open, _)| open != day);
    }

    fn writable(&self, day: Day) -> Result<Arc<Database>, Error> {
        let mut open = self.lock();
        if let Some((_, database)) = open.iter().find(|&&(each, _)| each == day) {
            return Ok(Arc::clone(database));
        }
        let path = self.path(day);
        let new = !path.exists();
        let database = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
            .map_err(|cause| self.failed(day, cause.into()))?;
        if new {
            // Without this, a power cut could lose the file's name and with it records that were written.
            fs::File::open(&self.directory).and_then(|it| it.sync_all()).map_err(|cause| self.unusable(cause))?;
        }
        Ok(keep(&mut open, day, database))
    }

    fn readable(&self, day: Day) -> Result<Option<Arc<Database>>, Error> {
        let mut open = self.lock();
        if let Some((_, database)) = open.iter().find(|&&(each, _)| each == day) {
            return Ok(Some(Arc::clone(database)));
        }
        match redb::Builder::new().set_cache_size(CACHE_BYTES).open(self.path(day)) {
            Ok(database) => Ok(Some(keep(&mut open, day, database))),
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(cause)))
                if cause.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(cause) => Err(self.failed(day, cause.into())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Day, Arc<Database>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, day: Day) -> PathBuf {
        self.directory.join(day.file())
    }

    fn failed(&self, day: Day, cause: redb::Error) -> Error {
        Error::File { path: self.path(day), cause: Box::new(cause) }
    }

    fn unusable(&self, cause: io::Error) -> Error {
        Error::Directory { path: self.directory.clone(), cause }
    }
}

/// Puts a file among the open ones and closes those that are too many and not being read. One that is being read must
/// stay known: redb locks its files, and opening it a second time would fail.
fn keep(open: &mut Vec<(Day, Arc<Database>)>, day: Day, database: Database) -> Arc<Database> {
    let database = Arc::new(database);
    let mut surplus = (open.len() + 1).saturating_sub(OPEN_FILES);
    open.retain(|(_, each)| {
        let close = surplus > 0 && Arc::strong_count(each) == 1;
        surplus -= usize::from(close);
        !close
    });
    open.push((day, Arc::clone(&database)));
    database
}

fn write(
    database: &Database,
    records: &[CallRecord],
    rollup: &Rollup,
    last_use: &LastUse,
    batch: Option<&str>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    if let Some(batch) = batch
        && transaction.open_table(TAKEN_IN)?.insert(batch, ())?.is_some()
    {
        return Ok(());
    }
    {
        let mut blocks = transaction.open_table(BLOCKS)?;
        let same_second = |a: &CallRecord, b: &CallRecord| a.at.seconds() == b.at.seconds();
        for records in records.chunk_by(same_second).flat_map(|second| second.chunks(BLOCK_RECORDS)) {
            let Some(second) = records.first().map(|record| record.at.seconds()) else { continue };
            let last = blocks.range((second, 0)..=(second, u64::MAX))?.next_back().transpose()?;
            let counter = last.map_or(0, |(key, _)| key.value().1 + 1);
            blocks.insert((second, counter), block::encode(records).as_slice())?;
        }
    }
    {
        let mut table = transaction.open_table(USE)?;
        let mut key = Vec::new();
        for (of, tally) in &rollup.tallies {
            of.write(&mut key);
            count(&mut table, &key, tally)?;
        }
        drop(table);
        let mut table = transaction.open_table(USE_BY_ENVIRONMENT)?;
        for (of, tally) in &rollup.by_environment {
            of.write(&mut key);
            count(&mut table, &key, tally)?;
        }
    }
    {
        let mut table = transaction.open_table(LAST_USE)?;
        if table.first()?.is_none() {
            last_use.each(|request, at| table.insert(request, at.millis()).map(drop))?;
        }
        for (request, &at) in &rollup.last_use {
            let before = table.get(request.as_str())?.map_or(i64::MIN, |value| value.value());
            table.insert(request.as_str(), before.max(at.millis()))?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn count(table: &mut redb::Table<&[u8], Row>, key: &[u8], tally: &Tally) -> Result<(), redb::StorageError> {
    let before = table.get(key)?.map(|value| Tally::from_row(value.value())).unwrap_or_default();
    table.insert(key, before.plus(tally).row())?;
    Ok(())
}

/// What can go wrong while a file is read.
pub(super) enum ReadError {
    Storage(redb::Error),
    Block(block::BlockError),
}

impl<E: Into<redb::Error>> From<E> for ReadError {
    fn from(error: E) -> Self {
        Self::Storage(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_file_name() {
        for (at, name) in [("2026-11-23T00:00:00Z", "2026-11-23.redb"), ("2028-02-29T23:59:59.999Z", "2028-02-29.redb")]
        {
            let day = Day::of(Timestamp::parse_rfc3339(at).unwrap());
            assert_eq!(day.file(), name);
            assert_eq!(Day::of_file(name), Some(day));
        }
        for name in ["2026-11-23", "2026-11-31.redb", "2026-1-3.redb", "+026-11-23.redb", "a-b-c.redb", "lost+found"] {
            assert_eq!(Day::of_file(name), None, "{name}");
        }
    }
}
