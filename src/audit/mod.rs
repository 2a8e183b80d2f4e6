//! What happened: call records, in batches off the hot path, and what can be asked of them.
//!
//! A call takes a [`Slot`] from the [`Sink`] before it leaves, and gives its [`CallRecord`] back through it. One writer
//! thread commits what has arrived, a few times a second, to a file for each UTC day, together with roll-ups of use by
//! access request, hour and operation. The [`Reader`] answers from those files.

mod block;
mod day;
mod query;
mod sink;
mod usage;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use day::Days;
pub use query::{Cursor, CursorError, Filter, Page, Reader};
pub use sink::{Full, Sink, Slot};
use usage::LastUse;
pub use usage::{DayUse, HourUse, OperationUse, Tally, Usage};

use crate::clock::Clock;

/// What can go wrong with the audit files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory can't be made or listed.
    #[error("the audit directory {path}: {cause}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A day's file can't be opened, read or written.
    #[error("the audit file {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the storage said.
        cause: Box<redb::Error>,
    },
    /// A block of records is not of a form that this version knows.
    #[error("a block of records in {path} can't be read: {cause}")]
    Block {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: block::BlockError,
    },
    /// The writer thread could not be started.
    #[error("the audit writer could not be started: {0}")]
    Thread(std::io::Error),
}

/// How the audit log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many calls may be in flight or waiting to be written; one more is refused its [`Slot`].
    pub queue: usize,
    /// How long records may gather before they are committed together.
    pub interval: Duration,
    /// How long the files of past days are kept.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue: 65_536, interval: Duration::from_millis(200), retention: Duration::from_hours(400 * 24) }
    }
}

/// The running audit log. Dropped without [`Audit::close`], it still writes what was recorded, in the background.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    reader: Reader,
    writer: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the audit log in `directory`, made if it does not exist, and starts its writer.
    pub fn open(directory: &Path, settings: Settings, clock: Clock) -> Result<Self, Error> {
        let days = Arc::new(Days::open(directory)?);
        let last_use = Arc::new(LastUse::restore(&days)?);
        let sink = Sink::new(settings.queue);
        let writer = writer::start(writer::Writer {
            queue: sink.queue(),
            days: Arc::clone(&days),
            last_use: Arc::clone(&last_use),
            settings,
            clock,
        })?;
        let reader = Reader::new(days, last_use, sink.queue());
        Ok(Self { sink, reader, writer: Some(writer) })
    }

    /// Where calls are recorded.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// What can be asked.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Writes what was recorded and ends the writer. Calls still in flight get two seconds to give their records back.
    ///
    /// Blocks.
    pub fn close(mut self) {
        self.sink.queue().close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the audit writer ended in a panic; its last records may be lost");
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.sink.queue().close();
    }
}
