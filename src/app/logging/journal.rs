//! systemd's journal, in its own protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): each event with its fields, so
//! that `journalctl CSG_REQUEST=…` finds what belongs to an access request.
//!
//! Not `tracing-journald`: it leaves the fields out of the message, where people look for them, has no `MESSAGE_ID`, and
//! waits for a journal that hangs. Here an entry that the journal does not take at once is counted and given up.

use std::{
    borrow::Cow,
    env,
    fmt::Debug,
    io,
    os::unix::{fs::MetadataExt, net::UnixDatagram},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

const SOCKET: &str = "/run/systemd/journal/socket";
/// The longest value of a field, and the longest message with its fields, in bytes. An entry stays far below what a
/// datagram takes.
const MAX_VALUE: usize = 4096;
const MAX_MESSAGE: usize = 16 * 1024;

/// Events that programs may wait for, by the name they are logged under. `packaging/csg.catalog` explains them.
const MESSAGES: [(&str, &str); 5] = [
    ("audit_failing", "531eaa5990f34cc8b758fc70087c97a6"),
    ("audit_works", "40d0a0afda8e4732b2377010b8d1433a"),
    ("broken", "4732793b2b4746d9bd1e22356a3c1e70"),
    ("ready", "7ebab4c213334cf2a2286d453ee01e63"),
    ("stopped", "36a0583c906f4b56bf1a9a8d9b7e1bcc"),
];

/// The way to the journal.
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// Entries that did not get there.
    lost: AtomicU64,
}

impl Journal {
    /// None unless standard error goes to the journal, which `JOURNAL_STREAM` says (`systemd.exec(5)`).
    pub(super) fn of_standard_error() -> Option<Self> {
        let stream = env::var("JOURNAL_STREAM").ok()?;
        let error = Path::new("/proc/self/fd/2").metadata().ok()?;
        if stream != format!("{}:{}", error.dev(), error.ino()) {
            return None;
        }
        Self::at(Path::new(SOCKET)).ok()
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let journal = Self { socket, path: path.to_owned(), lost: AtomicU64::new(0) };
        // The journal takes no notice of an entry that is empty, but it has to be there.
        journal.socket.send_to(&[], path)?;
        Ok(journal)
    }

    fn send(&self, entry: &[u8]) {
        if self.socket.send_to(entry, &self.path).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let mut note = Vec::new();
            put(&mut note, "PRIORITY", "4");
            put(&mut note, "SYSLOG_IDENTIFIER", "csg");
            put(&mut note, "MESSAGE", &format!("{lost} log entries before this one did not get to the journal"));
            if self.socket.send_to(&note, &self.path).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::default();
        event.record(&mut entry);
        self.send(&entry.finish(event.metadata()));
    }
}

#[derive(Default)]
struct Entry {
    fields: Vec<u8>,
    message: String,
    /// The fields as people read them behind the message.
    told: String,
}

impl Entry {
    fn finish(mut self, about: &Metadata<'_>) -> Vec<u8> {
        self.message.push_str(&self.told);
        shorten(&mut self.message, MAX_MESSAGE);
        let mut entry = self.fields;
        put(&mut entry, "MESSAGE", &self.message);
        put(&mut entry, "PRIORITY", priority(*about.level()));
        put(&mut entry, "SYSLOG_IDENTIFIER", "csg");
        put(&mut entry, "CSG_MODULE", about.target());
        if let (Some(file), Some(line)) = (about.file(), about.line()) {
            put(&mut entry, "CODE_FILE", file);
            put(&mut entry, "CODE_LINE", &line.to_string());
        }
        if let Some((_, id)) = MESSAGES.iter().find(|(name, _)| *name == about.name()) {
            put(&mut entry, "MESSAGE_ID", id);
        }
        entry
    }

    fn add(&mut self, field: &Field, mut value: String, tell: fn(&str) -> Cow<'_, str>) {
        shorten(&mut value, MAX_VALUE);
        if field.name() == "message" {
            self.message = value;
            return;
        }
        for part in [" ", field.name(), "=", &tell(&value)] {
            self.told.push_str(part);
        }
        put(&mut self.fields, &field_name(field.name()), &value);
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"), |value| value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned(), |value| format!("{value:?}").into());
    }
}

/// As syslog counts.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// The journal takes capital letters, digits and underscores only.
fn field_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.strip_prefix("r#").unwrap_or(name).chars().map(allowed).collect();
    format!("CSG_{name}")
}

/// A value of several lines is told by its length, so that none of them passes for another field.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

fn shorten(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use std::{iter, os::unix::net::UnixDatagram, time::Duration};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    struct Receiver {
        socket: UnixDatagram,
        _folder: tempfile::TempDir,
    }

    fn journal() -> (Journal, Receiver) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let receiver = Receiver { socket, _folder: folder };
        let journal = Journal::at(&path).unwrap();
        assert_eq!(receiver.datagram(), b"");
        (journal, receiver)
    }

    impl Receiver {
        fn datagram(&self) -> Vec<u8> {
            let mut buffer = vec![0; 1 << 18];
            let length = self.socket.recv(&mut buffer).unwrap();
            buffer.truncate(length);
            buffer
        }

        /// An entry taken apart as journald does.
        fn entry(&self) -> Vec<(String, String)> {
            let datagram = self.datagram();
            let mut rest = &datagram[..];
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            iter::from_fn(|| {
                let end = rest.iter().position(|&byte| byte == b'\n')?;
                let (line, after) = (&rest[..end], &rest[end + 1..]);
                if let Some(equals) = line.iter().position(|&byte| byte == b'=') {
                    rest = after;
                    return Some((text(&line[..equals]), text(&line[equals + 1..])));
                }
                let length = usize::try_from(u64::from_le_bytes(after[..8].try_into().unwrap())).unwrap();
                assert_eq!(after[8 + length], b'\n');
                rest = &after[8 + length + 1..];
                Some((text(line), text(&after[8..8 + length])))
            })
            .collect()
        }
    }

    fn value<'a>(entry: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut found = entry.iter().filter(|(field, _)| field == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice: {entry:?}");
        value
    }

    #[test]
    fn an_event_has_its_fields_and_tells_them_in_its_message() {
        let (journal, receiver) = journal();
        let subscriber = tracing_subscriber::registry().with(journal);
        tracing::subscriber::with_default(subscriber, || {
            let none: Option<&str> = None;
            tracing::warn!(request = %"req-1", code = "AccessDenied", number = 5, none, "a call ended");
            tracing::info!(name: "ready", "ready");
        });
        let entry = receiver.entry();
        for (name, expected) in [
            ("MESSAGE", Some("a call ended request=req-1 code=\"AccessDenied\" number=5")),
            ("PRIORITY", Some("4")),
            ("SYSLOG_IDENTIFIER", Some("csg")),
            ("CSG_REQUEST", Some("req-1")),
            ("CSG_CODE", Some("AccessDenied")),
            ("CSG_NUMBER", Some("5")),
            ("CSG_NONE", None),
            ("CSG_MODULE", Some("csg::app::logging::journal::tests")),
            ("CODE_FILE", Some(file!())),
            ("MESSAGE_ID", None),
        ] {
            assert_eq!(value(&entry, name), expected, "{name}");
        }
        let entry = receiver.entry();
        assert_eq!((value(&entry, "MESSAGE"), value(&entry, "PRIORITY")), (Some("ready"), Some("6")));
        assert_eq!(value(&entry, "MESSAGE_ID"), Some("7ebab4c213334cf2a2286d453ee01e63"));
    }

    #[test]
    fn lines_in_a_value_are_no_fields_and_long_ones_are_cut() {
        let (journal, receiver) = journal();
        let long = "ä".repeat(1 << 20);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), || {
            tracing::info!(error = %"one\nPRIORITY=0\n", "two\nMESSAGE=forged");
            tracing::info!(long, also = %long, "{long}");
        });
        let entry = receiver.entry();
        assert_eq!(value(&entry, "CSG_ERROR"), Some("one\nPRIORITY=0\n"));
        assert_eq!(value(&entry, "MESSAGE"), Some("two\nMESSAGE=forged error=one\nPRIORITY=0\n"));
        assert_eq!(value(&entry, "PRIORITY"), Some("6"));
        let entry = receiver.entry();
        let length = |name| value(&entry, name).unwrap().len();
        assert!(length("CSG_LONG") <= MAX_VALUE + 3 && length("CSG_ALSO") <= MAX_VALUE + 3);
        assert!(length("MESSAGE") <= MAX_MESSAGE + 3);
    }

    #[test]
    fn a_journal_that_takes_nothing_holds_nobody_up_and_is_told_how_much_it_missed() {
        let (journal, receiver) = journal();
        let log = |text: &str| {
            let mut entry = Vec::new();
            put(&mut entry, "MESSAGE", text);
            journal.send(&entry);
        };
        let mut sent = 0;
        while journal.lost.load(Ordering::Relaxed) < 3 {
            log("full");
            sent += 1;
            assert!(sent < 100_000, "no queue is that long");
        }
        for _ in 0..sent - 3 {
            assert_eq!(receiver.entry(), [("MESSAGE".to_owned(), "full".to_owned())]);
        }
        log("again");
        assert_eq!(receiver.entry(), [("MESSAGE".to_owned(), "again".to_owned())]);
        let note = receiver.entry();
        assert_eq!(value(&note, "MESSAGE"), Some("3 log entries before this one did not get to the journal"));
        assert_eq!(journal.lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_catalogue_explains_every_message_and_no_other() {
        let catalogue = include_str!("../../../packaging/csg.catalog");
        let mut explained: Vec<_> = catalogue.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
        explained.sort_unstable();
        let mut ids: Vec<_> = MESSAGES.iter().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        assert_eq!(explained, ids);
    }
}
