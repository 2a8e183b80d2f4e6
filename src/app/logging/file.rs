//! The log file: bounded in size, and never in anybody's way. Lines wait in a queue for a thread of its own, so that a disk
//! that hangs or is full holds up no call; what finds no place in the queue or on the disk is counted, and told later.
//!
//! Several processes may write one file, as while a new version takes over from an old one: before each line the thread
//! looks whether the file of that name is still the one it has. This also finds what logrotate has renamed.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use super::one_event;
use crate::clock::{Clock, Timestamp};

/// A new file is begun when the present one has this size, or is of an earlier day (UTC).
const LIMIT: u64 = 16 << 20;
/// Files of before that are kept: `….log.1` is the youngest.
const KEPT: u32 = 14;
/// The service's group may read it.
const MODE: u32 = 0o640;
/// Lines that may wait, and the longest of them. Together no more than 16 MiB.
const QUEUE: usize = 2048;
const MAX_LINE: usize = 8 * 1024;
/// How long a stop waits for lines on their way; a disk may hang.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the file. What is on its way is written when this is dropped.
pub(super) struct LogFile {
    queue: Queue,
}

/// What the log is written to: each write is one event.
#[derive(Clone)]
pub(super) struct Queue {
    orders: SyncSender<Order>,
    lost: Arc<AtomicU64>,
}

enum Order {
    Line(Vec<u8>),
    Reopen,
    /// Tells when everything before it is written.
    Tell(SyncSender<()>),
}

impl LogFile {
    /// None if there can't be another thread. A file that can't be written is told in the log, and tried again with each
    /// line.
    pub(super) fn open(path: PathBuf) -> Option<Self> {
        let (orders, received) = sync_channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let writer = Writer { file: Rotating::new(path, LIMIT, KEPT), lost: Arc::clone(&lost), failing: false };
        thread::Builder::new().name("log-file".to_owned()).spawn(|| writer.run(received, &Clock::system())).ok()?;
        Some(Self { queue: Queue { orders, lost } })
    }

    pub(super) fn writer(&self) -> Queue {
        self.queue.clone()
    }

    pub(super) fn reopen(&self) {
        // With a full queue there are lines to come, which see to it themselves.
        drop(self.queue.orders.try_send(Order::Reopen));
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let (tell, told) = sync_channel(1);
        if self.queue.orders.try_send(Order::Tell(tell)).is_ok() {
            // Told or not, this is the end.
            let _: Result<(), _> = told.recv_timeout(PATIENCE);
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Queue {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut line = one_event(event).into_owned();
        if line.len() > MAX_LINE {
            line.truncate(MAX_LINE - 1);
            line.push(b'\n');
        }
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's own.
struct Writer {
    file: Rotating,
    lost: Arc<AtomicU64>,
    failing: bool,
}

impl Writer {
    #[expect(clippy::needless_pass_by_value, reason = "the queue ends with the thread that empties it")]
    fn run(mut self, orders: Receiver<Order>, clock: &Clock) {
        for order in &orders {
            match order {
                Order::Line(line) => self.write(&line, clock.now()),
                Order::Reopen => self.file.close(),
                // Who has waited too long is gone.
                Order::Tell(tell) => drop(tell.try_send(())),
            }
        }
    }

    /// What is said here goes to the journal or standard error, and into the queue again.
    fn write(&mut self, line: &[u8], now: Timestamp) {
        match self.file.write(line, now) {
            Ok(()) => {
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if self.failing || lost > 0 {
                    tracing::warn!(lost, "the log file is written again; lines were lost");
                }
                self.failing = false;
            }
            Err(error) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                if !self.failing {
                    let path = self.file.path.display();
                    tracing::error!(%error, "the log file {path} can't be written: lines are lost until it can");
                }
                self.failing = true;
            }
        }
    }
}

/// A file that begins anew before it is too long or too old.
struct Rotating {
    path: PathBuf,
    limit: u64,
    kept: u32,
    /// With its device and number.
    open: Option<(File, (u64, u64))>,
}

impl Rotating {
    fn new(path: PathBuf, limit: u64, kept: u32) -> Self {
        Self { path, limit, kept, open: None }
    }

    fn close(&mut self) {
        self.open = None;
    }

    fn write(&mut self, line: &[u8], now: Timestamp) -> io::Result<()> {
        let mut present = self.present()?;
        if let Some(about) = &present
            && about.len() > 0
            && (about.len() + line.len() as u64 > self.limit || day(about.mtime()) < day(now.seconds()))
        {
            self.rotate()?;
            present = None;
        }
        let present = present.map(|about| (about.dev(), about.ino()));
        let (mut file, id) = match self.open.take() {
            Some((file, id)) if present == Some(id) => (file, id),
            _ => open(&self.path)?,
        };
        file.write_all(line)?;
        self.open = Some((file, id));
        Ok(())
    }

    /// What has the file's name now.
    fn present(&self) -> io::Result<Option<fs::Metadata>> {
        unless_absent(fs::metadata(&self.path))
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            unless_absent(fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1)))?;
        }
        unless_absent(fs::rename(&self.path, numbered(&self.path, 1))).map(drop)
    }
}

fn open(path: &Path) -> io::Result<(File, (u64, u64))> {
    let mut options = OpenOptions::new();
    options.append(true).mode(MODE);
    let file = match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // Whatever the umask says.
            file.set_permissions(Permissions::from_mode(MODE))?;
            file
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path)?,
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    Ok((file, (about.dev(), about.ino())))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn unless_absent<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

const fn day(seconds: i64) -> i64 {
    seconds.div_euclid(24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tempfile::TempDir;

    use super::*;

    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("csg.log");
        (folder, path)
    }

    fn now() -> Timestamp {
        Clock::system().now()
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn it_is_bounded_by_size_and_number() {
        let (folder, path) = folder();
        let mut file = Rotating::new(path.clone(), 10, 2);
        for line in ["1234\n", "5678\n", "second\n", "third\n", "fourth\n"] {
            file.write(line.as_bytes(), now()).unwrap();
        }
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 3);
        assert_eq!(text(&path), "fourth\n");
        assert_eq!((text(&numbered(&path, 1)), text(&numbered(&path, 2))), ("third\n".into(), "second\n".into()));
        // A line that is too long by itself still has its place.
        file.write(b"much longer than ten\n", now()).unwrap();
        assert_eq!(text(&path), "much longer than ten\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
    }

    #[test]
    fn another_day_begins_another_file() {
        let (_folder, path) = folder();
        let mut file = Rotating::new(path.clone(), 1000, 2);
        file.write(b"yesterday\n", now()).unwrap();
        let yesterday = SystemTime::UNIX_EPOCH + Duration::from_secs(now().seconds().cast_unsigned() - 24 * 60 * 60);
        File::options().append(true).open(&path).unwrap().set_modified(yesterday).unwrap();
        file.write(b"today\n", now()).unwrap();
        file.write(b"still today\n", now()).unwrap();
        assert_eq!(text(&path), "today\nstill today\n");
        assert_eq!(text(&numbered(&path, 1)), "yesterday\n");
    }

    #[test]
    fn what_was_renamed_or_removed_is_begun_anew_and_two_may_write() {
        let (_folder, path) = folder();
        let mut both = [Rotating::new(path.clone(), 1000, 2), Rotating::new(path.clone(), 1000, 2)];
        for file in &mut both {
            file.write(b"a\n", now()).unwrap();
        }
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        for file in &mut both {
            file.write(b"b\n", now()).unwrap();
        }
        assert_eq!((text(&aside), text(&path)), ("a\na\n".into(), "b\nb\n".into()));
        fs::remove_file(&path).unwrap();
        both[0].write(b"c\n", now()).unwrap();
        assert_eq!(text(&path), "c\n");
    }

    #[test]
    fn a_file_that_cant_be_written_is_tried_again_and_what_was_lost_is_counted() {
        let (folder, _) = folder();
        let path = folder.path().join("absent/csg.log");
        let lost = Arc::<AtomicU64>::default();
        let mut writer = Writer { file: Rotating::new(path.clone(), 1000, 2), lost: lost.clone(), failing: false };
        writer.write(b"lost\n", now());
        writer.write(b"lost\n", now());
        assert!(writer.failing);
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        fs::create_dir(path.parent().unwrap()).unwrap();
        writer.write(b"kept\n", now());
        assert!(!writer.failing);
        assert_eq!(lost.load(Ordering::Relaxed), 0);
        assert_eq!(text(&path), "kept\n");
    }

    #[test]
    fn what_was_logged_is_in_the_file_when_it_is_dropped() {
        let (_folder, path) = folder();
        let file = LogFile::open(path.clone()).unwrap();
        for _ in 0..100 {
            file.writer().make_writer().write_all(b"a line\n").unwrap();
        }
        (&file.writer()).write_all(&[b'x'; 2 * MAX_LINE]).unwrap();
        drop(file);
        let text = text(&path);
        assert!(text.starts_with(&"a line\n".repeat(100)));
        assert_eq!(text.len(), 700 + MAX_LINE);
        assert!(text.ends_with("x\n"));
    }

    #[test]
    fn a_queue_that_nobody_empties_takes_what_it_can_and_holds_nobody_up() {
        let (orders, _received) = sync_channel(2);
        let queue = Queue { orders, lost: Arc::default() };
        for _ in 0..5 {
            (&queue).write_all(b"a line\n").unwrap();
        }
        assert_eq!(queue.lost.load(Ordering::Relaxed), 3);
    }
}
