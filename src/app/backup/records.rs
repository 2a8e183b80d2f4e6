//! What is in a backup, once it is open: databases, each with its tables, each with its records, and at the end how many
//! records there were.

use std::io::{self, Read, Write};

use super::BackupError;
use crate::store::Item;

/// No name is longer, and neither is a key.
const LONGEST_NAME: usize = 64 << 10;
/// No value is longer: a block of 512 audit records is a few hundred KiB.
const LONGEST_VALUE: usize = 256 << 20;

const DATABASE: u8 = b'D';
const TABLE: u8 = b'T';
const RECORD: u8 = b'R';
const END: u8 = b'E';

/// Writes a backup's content.
pub(super) struct Writer<W> {
    to: W,
    records: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, records: 0 }
    }

    pub(super) fn database(&mut self, name: &str) -> Result<(), BackupError> {
        self.to.write_all(&[DATABASE]).map_err(BackupError::Write)?;
        self.bytes(name.as_bytes())
    }

    pub(super) fn item(&mut self, item: Item<'_>) -> Result<(), BackupError> {
        match item {
            Item::Table(name) => {
                self.to.write_all(&[TABLE]).map_err(BackupError::Write)?;
                self.bytes(name.as_bytes())
            }
            Item::Record { key, value } => {
                self.records += 1;
                self.to.write_all(&[RECORD]).map_err(BackupError::Write)?;
                self.bytes(key)?;
                self.bytes(value)
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<W, BackupError> {
        self.to.write_all(&[END]).map_err(BackupError::Write)?;
        self.to.write_all(&self.records.to_be_bytes()).map_err(BackupError::Write)?;
        Ok(self.to)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(bytes.len()).map_err(|_| BackupError::Write(io::ErrorKind::FileTooLarge.into()))?;
        self.to.write_all(&length.to_be_bytes()).and_then(|()| self.to.write_all(bytes)).map_err(BackupError::Write)
    }
}

/// A piece of a backup's content.
pub(super) enum Piece<'p> {
    /// What follows is of the database of this name.
    Database(&'p str),
    /// A table or a record of the database that came last.
    Item(Item<'p>),
}

/// Reads a backup's content to its very end and gives `to` the pieces; gives back how many records there were.
pub(super) fn read(
    mut from: impl Read,
    mut to: impl FnMut(Piece<'_>) -> Result<(), BackupError>,
) -> Result<u64, BackupError> {
    let (mut key, mut value, mut records) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        let mut tag = [0];
        from.read_exact(&mut tag).map_err(super::file::damaged)?;
        match tag {
            [DATABASE | TABLE] => {
                bytes(&mut from, &mut key, LONGEST_NAME)?;
                let name = std::str::from_utf8(&key).map_err(|_| wrong("a name in it can't be read"))?;
                to(if tag == [DATABASE] { Piece::Database(name) } else { Piece::Item(Item::Table(name)) })?;
            }
            [RECORD] => {
                bytes(&mut from, &mut key, LONGEST_NAME)?;
                bytes(&mut from, &mut value, LONGEST_VALUE)?;
                records += 1;
                to(Piece::Item(Item::Record { key: &key, value: &value }))?;
            }
            [END] => break,
            _ => return Err(wrong("something unknown is in it")),
        }
    }
    let mut counted = [0; 8];
    from.read_exact(&mut counted).map_err(super::file::damaged)?;
    if u64::from_be_bytes(counted) != records {
        return Err(wrong("records are missing"));
    }
    // The end of what is sealed is verified by reading it.
    match from.read(&mut [0]).map_err(super::file::damaged)? {
        0 => Ok(records),
        _ => Err(wrong("something stands behind its end")),
    }
}

fn bytes(from: &mut impl Read, to: &mut Vec<u8>, longest: usize) -> Result<(), BackupError> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(super::file::damaged)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > longest {
        return Err(wrong("a record is too long"));
    }
    to.clear();
    let read = from.by_ref().take(length as u64).read_to_end(to).map_err(super::file::damaged)?;
    if read == length { Ok(()) } else { Err(wrong("its end is missing")) }
}

fn wrong(what: &str) -> BackupError {
    BackupError::Damaged(what.into())
}
