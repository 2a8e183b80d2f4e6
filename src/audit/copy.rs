//! The files of the days as they are copied into a backup, and made of one again.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use redb::{ReadableTable as _, TableDefinition, Value};

use super::{
    Error, Reader,
    day::{BLOCKS, Day, Days, LAST_USE, ReadError, USE},
    environment_use::USE_BY_ENVIRONMENT,
};
use crate::store::Item;

/// So many bytes of records are written to a table at once.
const AT_ONCE: usize = 1 << 20;

/// The files of an audit log.
#[derive(Clone, Debug)]
pub struct Files(Arc<Days>);

impl Files {
    /// Those in `directory`, while nobody else has them open.
    pub fn of(directory: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(Days::open(directory)?)))
    }

    /// Their names, the oldest first.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        Ok(self.0.list()?.into_iter().map(Day::file).collect())
    }

    /// Gives `to` every record of one file, all of one moment; none, if it is gone meanwhile.
    pub fn copy<E: From<Error>>(&self, name: &str, mut to: impl FnMut(Item<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some(day) = Day::of_file(name) else { return Ok(()) };
        let mut failed = None;
        let mut give = |item: Item<'_>| match to(item) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        self.0.read(day, |transaction| {
            let _ = each(transaction, BLOCKS, &mut give)?
                && each(transaction, USE, &mut give)?
                && each(transaction, USE_BY_ENVIRONMENT, &mut give)?
                && each(transaction, LAST_USE, &mut give)?;
            Ok(())
        })?;
        failed.map_or(Ok(()), Err)
    }
}

impl Reader {
    /// The files that it reads.
    pub fn files(&self) -> Files {
        Files(Arc::clone(&self.days))
    }
}

/// Gives `to` every record of a table, until it wants no more; did it want all?
fn each<K: redb::Key + 'static, V: Value + 'static>(
    transaction: &redb::ReadTransaction,
    table: TableDefinition<'_, K, V>,
    mut to: impl FnMut(Item<'_>) -> bool,
) -> Result<bool, ReadError> {
    let open = match transaction.open_table(table) {
        Ok(open) => open,
        // A file of an earlier version has no table of environments.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    if !to(Item::Table(redb::TableHandle::name(&table))) {
        return Ok(false);
    }
    for record in open.iter()? {
        let (key, value) = record?;
        let (key, value) = (key.value(), value.value());
        let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
        if !to(Item::Record { key: key.as_ref(), value: value.as_ref() }) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A file that is being made of a copy. Nothing of it counts before [`FileDraft::finish`].
pub struct FileDraft {
    path: std::path::PathBuf,
    database: redb::Database,
    transaction: redb::WriteTransaction,
    table: Option<String>,
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    waiting_bytes: usize,
}

impl FileDraft {
    /// Begins the file called `name` in `directory`, for its owner's eyes only; none, if no file of ours is called so.
    pub fn create(directory: &Path, name: &str) -> Result<Option<Self>, Error> {
        if Day::of_file(name).is_none() {
            return Ok(None);
        }
        let path = directory.join(name);
        let failed = |cause: redb::Error| Error::File { path: path.clone(), cause: Box::new(cause) };
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| failed(redb::Error::Io(cause)))?;
        let database = redb::Builder::new().set_cache_size(4 << 20).create(&path).map_err(|e| failed(e.into()))?;
        let transaction = database.begin_write().map_err(|e| failed(e.into()))?;
        Ok(Some(Self { path, database, transaction, table: None, waiting: Vec::new(), waiting_bytes: 0 }))
    }

    /// Takes the next piece.
    pub fn take(&mut self, item: Item<'_>) -> Result<(), Error> {
        match item {
            Item::Table(name) => {
                self.write()?;
                self.table = Some(name.to_owned());
            }
            Item::Record { key, value } => {
                self.waiting_bytes += key.len() + value.len();
                self.waiting.push((key.to_owned(), value.to_owned()));
                if self.waiting_bytes >= AT_ONCE {
                    self.write()?;
                }
            }
        }
        Ok(())
    }

    /// Commits all of it.
    pub fn finish(mut self) -> Result<(), Error> {
        self.write()?;
        let path = self.path;
        let failed = |cause: redb::Error| Error::File { path: path.clone(), cause: Box::new(cause) };
        self.transaction.commit().map_err(|error| failed(error.into()))?;
        self.database.close().map_err(|error| failed(error.into()))
    }

    fn write(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let Some(table) = &self.table else { return Ok(()) };
        let written = match table.as_str() {
            name if name == redb::TableHandle::name(&BLOCKS) => fill(&self.transaction, BLOCKS, &waiting),
            name if name == redb::TableHandle::name(&USE) => fill(&self.transaction, USE, &waiting),
            name if name == redb::TableHandle::name(&USE_BY_ENVIRONMENT) => {
                fill(&self.transaction, USE_BY_ENVIRONMENT, &waiting)
            }
            name if name == redb::TableHandle::name(&LAST_USE) => fill(&self.transaction, LAST_USE, &waiting),
            other => Err(redb::Error::TableDoesNotExist(other.to_owned())),
        };
        written.map_err(|cause| Error::File { path: self.path.clone(), cause: Box::new(cause) })
    }
}

fn fill<K: redb::Key + 'static, V: Value + 'static>(
    transaction: &redb::WriteTransaction,
    table: TableDefinition<'_, K, V>,
    records: &[(Vec<u8>, Vec<u8>)],
) -> Result<(), redb::Error> {
    let mut open = transaction.open_table(table)?;
    for (key, value) in records {
        if [(K::fixed_width(), key), (V::fixed_width(), value)]
            .iter()
            .any(|(width, bytes)| width.is_some_and(|width| width != bytes.len()))
        {
            return Err(redb::Error::Corrupted(format!(
                "a record of {} has another width",
                redb::TableHandle::name(&table)
            )));
        }
        open.insert(K::from_bytes(key), V::from_bytes(value))?;
    }
    Ok(())
}
