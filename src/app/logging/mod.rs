//! Where log lines go and how they look: to the journal with fields, where systemd takes standard error; else to standard
//! error, for a terminal or a container's collector. And into a file, if there is to be one.

mod file;
mod journal;

use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::OnceLock,
};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use self::{file::LogFile, journal::Journal};
use crate::config::{Log, LogDestination, LogFormat};

/// The file's name in the directory that systemd has for logs.
const FILE_NAME: &str = "cloud-service-gateway.log";

/// What was begun with [`start`]. To be kept until the end: what is still on its way to the file is written when this is
/// dropped.
#[must_use]
pub struct Logging {
    file: Option<LogFile>,
}

/// Changes what is logged; set once logging has begun.
static CHANGE: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Begins to log. Only the first call in a process has an effect.
pub fn start(log: &Log) -> Logging {
    let (filter, change) = reload::Layer::new(filter(log.level));
    let journal = Journal::of_standard_error();
    let colours = io::stderr().is_terminal() && set("NO_COLOR").is_none();
    let error = journal.is_none().then(|| lines(log.format, || WholeEvents(io::stderr()), colours));
    let file = path(&log.file).and_then(LogFile::open);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(journal)
        .with(error)
        .with(file.as_ref().map(|file| lines(log.format, file.writer(), false)));
    // An error means that a subscriber is set already, by a test or by whoever embeds us; that one stays.
    if subscriber.try_init().is_ok() {
        drop(CHANGE.set(change));
    }
    Logging { file }
}

/// From now on, only what is of this `level` or above is logged.
pub(super) fn set_level(level: LevelFilter) {
    if let Some(change) = CHANGE.get() {
        // The subscriber lives as long as the process.
        drop(change.reload(filter(level)));
    }
}

fn filter(level: LevelFilter) -> EnvFilter {
    // What libraries say below a warning is for their authors.
    let others = level.min(LevelFilter::WARN);
    EnvFilter::new(format!("{others},csg={level}"))
}

impl Logging {
    /// Goes on in the file of that name, should the one before have been renamed; whatever was logged until now is in
    /// that one. The gateway sees to this by itself, too; but whoever renames wants to know when the old file is done.
    pub fn reopen(&self) {
        if let Some(file) = &self.file {
            file.reopen();
        }
    }
}

/// The file to write, if any: of its own accord only where the service has a directory for logs (`LogsDirectory=`).
fn path(destination: &LogDestination) -> Option<PathBuf> {
    match destination {
        LogDestination::Auto => {
            let directories = set("LOGS_DIRECTORY")?;
            Some(env::split_paths(&directories).next()?.join(FILE_NAME))
        }
        LogDestination::File(path) => Some(path.clone()),
        LogDestination::Off => None,
    }
}

fn lines<S, W>(format: LogFormat, writer: W, colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => layer.with_ansi(colours).boxed(),
    }
}

/// Takes each event in one piece, as the formatting layer writes it, and lets no event look like two.
struct WholeEvents<W>(W);

impl<W: Write> Write for WholeEvents<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(&one_event(event)).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The event with every further line of it set in: what a client makes us say can't pass for a line of ours.
fn one_event(event: &[u8]) -> Cow<'_, [u8]> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if !text.contains(&b'\n') {
        return event.into();
    }
    let mut whole = text.split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\n    "[..]);
    whole.push(b'\n');
    whole.into()
}

fn set(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_several_lines_does_not_look_like_several() {
        for (event, written) in [
            ("one\n", "one\n"),
            ("", ""),
            ("a call\n2026-01-01 ERROR forged\n", "a call\n    2026-01-01 ERROR forged\n"),
            ("a\n\n", "a\n    \n"),
        ] {
            let mut taken = Vec::new();
            assert_eq!(WholeEvents(&mut taken).write(event.as_bytes()).unwrap(), event.len());
            assert_eq!(String::from_utf8(taken).unwrap(), written);
        }
    }

    #[test]
    fn a_file_that_is_named_is_written_and_off_is_none() {
        assert_eq!(path(&LogDestination::File("/a".into())), Some("/a".into()));
        assert_eq!(path(&LogDestination::Off), None);
    }
}
