//! Reading and writing: what redb does, behind typed tables.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::{ReadableDatabase as _, ReadableTable, TableDefinition, TableError};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Error,
    codec::{self, Key, Span, Table},
    schema,
};

pub(super) type Bytes = &'static [u8];
pub(super) type Definition<'a> = TableDefinition<'a, Bytes, Bytes>;

/// Which end a scan begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The smallest key first.
    Ascending,
    /// The largest key first.
    Descending,
}

/// What readers and writers can both do.
pub trait Read {
    /// The value under `key`.
    fn find<K: Key, V: Serialize + DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, Error>;

    /// Shows `visit` one record after the other, until there are no more or it breaks off.
    fn visit<K: Key, V: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        table: &Table<K, V>,
        span: &Span<K>,
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E>;

    /// All records of `span`.
    fn all<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        span: &Span<K>,
        order: Order,
    ) -> Result<Vec<(K, V)>, Error> {
        let mut found = Vec::new();
        self.visit(table, span, order, |key, value| {
            found.push((key, value));
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The first record of `span`, seen from the end that `order` begins at.
    fn first<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        span: &Span<K>,
        order: Order,
    ) -> Result<Option<(K, V)>, Error> {
        let mut found = None;
        self.visit(table, span, order, |key, value| {
            found = Some((key, value));
            Ok::<_, Error>(ControlFlow::Break(()))
        })?;
        Ok(found)
    }
}

/// Counts the records that were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A view of one moment.
pub struct Reader {
    pub(super) transaction: redb::ReadTransaction,
    count: Count,
}

impl Reader {
    pub(super) fn begin(database: &redb::Database, count: &Count) -> Result<Self, Error> {
        let transaction = database.begin_read().map_err(Error::engine)?;
        Ok(Self { transaction, count: count.clone() })
    }

    /// The version of the moment it shows.
    pub fn version(&self) -> Result<u64, Error> {
        Ok(self.find(&schema::COMMITS, &())?.unwrap_or(0))
    }

    pub(super) fn open(&self, name: &str) -> Result<Option<redb::ReadOnlyTable<Bytes, Bytes>>, Error> {
        existing(self.transaction.open_table(Definition::new(name)))
    }
}

impl Read for Reader {
    fn find<K: Key, V: Serialize + DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, Error> {
        self.open(table.name)?.map_or(Ok(None), |open| find(&open, &self.count, table, key))
    }

    fn visit<K: Key, V: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        table: &Table<K, V>,
        span: &Span<K>,
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.open(table.name)?.map_or(Ok(()), |open| walk(&open, &self.count, table, span, order, visit))
    }
}

/// A transaction: reads see its own writes.
pub struct Writer {
    transaction: redb::WriteTransaction,
    count: Count,
    version: u64,
    wrote: bool,
}

impl Writer {
    pub(super) fn begin(database: &redb::Database, count: &Count) -> Result<Self, Error> {
        // Durability::Immediate, redb's default: commit returns after fsync.
        let transaction = database.begin_write().map_err(Error::engine)?;
        let mut writer = Self { transaction, count: count.clone(), version: 0, wrote: false };
        writer.version = writer.find(&schema::COMMITS, &())?.unwrap_or(0) + 1;
        Ok(writer)
    }

    /// The version that this transaction makes, if it writes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Puts `value` under `key`, in place of what was there.
    pub fn put<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), Error> {
        self.wrote = true;
        let mut open = self.transaction.open_table(Definition::new(table.name)).map_err(Error::engine)?;
        let (key, value) = (codec::encode(key), table.encode_value(value)?);
        open.insert(key.as_slice(), value.as_slice()).map_err(Error::engine)?;
        Ok(())
    }

    /// Takes away what is under `key`; was there anything?
    pub fn remove<K: Key, V>(&mut self, table: &Table<K, V>, key: &K) -> Result<bool, Error> {
        self.wrote = true;
        let mut open = self.transaction.open_table(Definition::new(table.name)).map_err(Error::engine)?;
        let removed = open.remove(codec::encode(key).as_slice()).map_err(Error::engine)?.is_some();
        Ok(removed)
    }

    pub(super) fn commit(mut self) -> Result<Option<u64>, Error> {
        if !self.wrote {
            self.transaction.abort().map_err(Error::engine)?;
            return Ok(None);
        }
        let version = self.version;
        self.put(&schema::COMMITS, &(), &version)?;
        self.transaction.commit().map_err(Error::engine)?;
        Ok(Some(version))
    }

    fn open(&self, name: &str) -> Result<Option<redb::Table<'_, Bytes, Bytes>>, Error> {
        existing(self.transaction.open_table(Definition::new(name)))
    }
}

impl Read for Writer {
    fn find<K: Key, V: Serialize + DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, Error> {
        self.open(table.name)?.map_or(Ok(None), |open| find(&open, &self.count, table, key))
    }

    fn visit<K: Key, V: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        table: &Table<K, V>,
        span: &Span<K>,
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.open(table.name)?.map_or(Ok(()), |open| walk(&open, &self.count, table, span, order, visit))
    }
}

fn existing<T>(opened: Result<T, TableError>) -> Result<Option<T>, Error> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(other) => Err(Error::engine(other)),
    }
}

fn find<K: Key, V: Serialize + DeserializeOwned>(
    open: &impl ReadableTable<Bytes, Bytes>,
    count: &Count,
    table: &Table<K, V>,
    key: &K,
) -> Result<Option<V>, Error> {
    count.one();
    let found = open.get(codec::encode(key).as_slice()).map_err(Error::engine)?;
    found.map(|value| table.decode_value(value.value())).transpose()
}

fn walk<K: Key, V: Serialize + DeserializeOwned, E: From<Error>>(
    open: &impl ReadableTable<Bytes, Bytes>,
    count: &Count,
    table: &Table<K, V>,
    span: &Span<K>,
    order: Order,
    mut visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    if span.is_empty() {
        return Ok(());
    }
    let bounds = span.as_slices();
    let mut range = open.range::<&[u8]>(bounds).map_err(Error::engine)?;
    loop {
        let next = match order {
            Order::Ascending => range.next(),
            Order::Descending => range.next_back(),
        };
        let Some(record) = next else { return Ok(()) };
        let (key, value) = record.map_err(Error::engine)?;
        count.one();
        if visit(table.decode_key(key.value())?, table.decode_value(value.value())?)?.is_break() {
            return Ok(());
        }
    }
}
