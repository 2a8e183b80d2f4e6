//! Batches of records in a folder: how a process that has handed over, and so no longer owns the files of the days, leaves
//! its last records to the one that does.
//!
//! A batch is there as a whole or not at all, and is taken in exactly once: the file of a day notes the names of those
//! that it has, in the transaction that writes their records.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};

use super::block::{self, Block};
use crate::model::CallRecord;

/// Below the folder of the days.
const FOLDER: &str = "handed-over";
const ENDING: &str = ".calls";

/// The folder, and the name under which this process leaves its batches there.
#[derive(Debug)]
pub(super) struct Outbox {
    folder: PathBuf,
    /// None until the first batch.
    name: Option<String>,
    count: u64,
}

/// A batch that waits.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) name: String,
    pub(super) records: Vec<CallRecord>,
}

impl Outbox {
    pub(super) fn new(days: &Path) -> Self {
        Self { folder: days.join(FOLDER), name: None, count: 0 }
    }

    /// Leaves `records`; they are on the disk when this returns.
    pub(super) fn leave(&mut self, records: &[CallRecord]) -> io::Result<()> {
        let name = if let Some(name) = &self.name {
            name
        } else {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let mut random = [0; 8];
            SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
            self.name.insert(hex::encode(random))
        };
        let path = self.folder.join(format!("{name}-{:08}{ENDING}", self.count));
        let part = path.with_extension("part");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&block::encode(records))?;
        file.sync_all()?;
        fs::rename(part, path)?;
        File::open(&self.folder)?.sync_all()?;
        self.count += 1;
        Ok(())
    }

    /// The batches that wait, by whomever, the oldest of each process first; `unread` is told of one that can't be read,
    /// which stays.
    pub(super) fn waiting(&self, mut unread: impl FnMut(&Path, String)) -> Vec<Batch> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.retain(|name| name.ends_with(ENDING));
        names.sort_unstable();
        let read = |name: String| {
            let path = self.folder.join(&name);
            match read(&path) {
                Ok(records) => Some(Batch { name, records }),
                Err(error) => {
                    unread(&path, error);
                    None
                }
            }
        };
        names.into_iter().filter_map(read).collect()
    }

    /// Forgets a batch that was taken in.
    pub(super) fn forget(&self, batch: &Batch) -> io::Result<()> {
        fs::remove_file(self.folder.join(&batch.name))
    }
}

fn read(path: &Path) -> Result<Vec<CallRecord>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    let read = Block::open(&bytes).and_then(|block| block.records(|record| records.push(record)));
    read.map(|()| records).map_err(|error| error.to_string())
}
