//! All records of a database, as bytes: for a backup, and for the copy in which the schema changes.
//!
//! A copy is made of a reader, so it shows one moment, however long it takes and whatever is written meanwhile.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path};

use redb::TableHandle as _;

use super::{
    CACHE, Error, Reader, file,
    transaction::{Bytes, Definition},
};

/// So many bytes of records are written to a table at once.
const AT_ONCE: usize = 1 << 20;

/// A piece of a copy: a table, or a record of the table that came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The records that follow are of the table of this name.
    Table(&'a str),
    /// A record.
    Record {
        /// Its key, encoded.
        key: &'a [u8],
        /// Its value, encoded.
        value: &'a [u8],
    },
}

impl Reader {
    /// Gives `to` every record of every table.
    pub fn copy<E: From<Error>>(&self, mut to: impl FnMut(Item<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut tables: Vec<_> =
            self.transaction.list_tables().map_err(Error::engine)?.map(|table| table.name().to_owned()).collect();
        tables.sort_unstable();
        for name in tables {
            let Some(table) = self.open(&name)? else { continue };
            to(Item::Table(&name))?;
            for record in redb::ReadableTable::iter(&table).map_err(Error::engine)? {
                let (key, value) = record.map_err(Error::engine)?;
                to(Item::Record { key: key.value(), value: value.value() })?;
            }
        }
        Ok(())
    }
}

/// A database that is being made of a copy. Nothing of it counts before [`Draft::finish`].
pub struct Draft {
    database: redb::Database,
    transaction: redb::WriteTransaction,
    table: Option<String>,
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    waiting_bytes: usize,
}

impl Draft {
    /// Begins a new file, for its owner's eyes only.
    pub fn create(path: &Path) -> Result<Self, Error> {
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|source| Error::Io {
            what: "make",
            path: path.to_owned(),
            source,
        })?;
        let database =
            redb::Builder::new().set_cache_size(CACHE).create(path).map_err(|error| Error::opening(path, error))?;
        let transaction = database.begin_write().map_err(Error::engine)?;
        Ok(Self { database, transaction, table: None, waiting: Vec::new(), waiting_bytes: 0 })
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
        self.transaction.commit().map_err(Error::engine)?;
        self.database.close().map_err(Error::engine)
    }

    fn write(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let Some(table) = &self.table else {
            return if waiting.is_empty() { Ok(()) } else { Err(Error::Copy) };
        };
        let definition: Definition<'_> = Definition::new(table);
        let mut open: redb::Table<'_, Bytes, Bytes> = self.transaction.open_table(definition).map_err(Error::engine)?;
        for (key, value) in &waiting {
            open.insert(key.as_slice(), value.as_slice()).map_err(Error::engine)?;
        }
        Ok(())
    }
}

/// Makes a database at `path` of everything that `reader` sees, in the place of what is there.
pub(super) fn write(reader: &Reader, path: &Path) -> Result<(), Error> {
    file::remove(path)?;
    let mut draft = Draft::create(path)?;
    reader.copy(|item| draft.take(item))?;
    draft.finish()
}
