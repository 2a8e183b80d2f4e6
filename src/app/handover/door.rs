//! Where the running process is asked to hand over: a socket in the data directory, which its owner and root can reach.
//! Whoever asks sends the new executable along, open.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead as _, BufReader},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener as StdListener, UnixStream as StdStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::{HandOverError, descriptors};
use crate::clock::Clock;

/// The socket, in the data directory.
pub(in crate::app) const SOCKET: &str = "upgrade.sock";

/// For who has come to say what they want.
const PATIENCE: Duration = Duration::from_secs(5);

/// After a failed `accept`.
const PAUSE: Duration = Duration::from_millis(50);

/// For the whole of it, seen by who asks: each step has its own, shorter ones.
const LONGEST: Duration = Duration::from_mins(3);

/// The socket, while it is open.
pub(in crate::app) struct Door {
    requests: mpsc::Receiver<Request>,
    /// None if there is no door.
    task: Option<JoinHandle<()>>,
}

/// Somebody asks to hand over.
pub(in crate::app) struct Request {
    pub(in crate::app) executable: OwnedFd,
    stream: UnixStream,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Another process has taken over.
    Over {
        /// Its number.
        process: u32,
        /// Its version.
        version: String,
    },
    /// The running process goes on.
    GoesOn {
        /// Why.
        reason: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Neither root nor the owner.
    #[error("{} is for root and csg's own user only: run this with sudo", .0.display())]
    NotAllowed(PathBuf),
    /// Nobody is there who could hand over.
    #[error("no gateway is running on this data directory that could hand over")]
    Nobody,
    /// Something went wrong on the way.
    #[error("the running gateway could not be asked: {0}")]
    Io(io::Error),
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Door {
    /// Opens it in `directory`, which is this process's own. Without it all works but this. Needs a Tokio runtime.
    pub(in crate::app) fn open(directory: &Path, clock: &Clock) -> Self {
        let (sender, requests) = mpsc::channel(1);
        match listen(directory) {
            Ok(listener) => Self { requests, task: Some(tokio::spawn(keep(listener, sender, clock.clone()))) },
            Err(error) => {
                tracing::warn!(%error, "another version can't take over without a restart: {SOCKET} can't be opened");
                Self { requests, task: None }
            }
        }
    }

    /// The next who asks; never, if there is no door.
    pub(in crate::app) async fn next(&mut self) -> Request {
        match self.requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Closes it. Its name stays for the one who opens it next.
    pub(in crate::app) fn close(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.requests.close();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

impl Request {
    /// Tells who asked. They may be gone.
    pub(in crate::app) async fn answer(mut self, answer: &Answer) {
        drop(timeout(PATIENCE, self.stream.write_all(&answer.line())).await);
    }
}

impl Answer {
    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

impl From<&HandOverError> for Answer {
    fn from(error: &HandOverError) -> Self {
        Self::GoesOn { reason: error.to_string() }
    }
}

/// The process that runs on a data directory, before it is asked.
pub struct Reached(StdStream);

/// Reaches the process that runs on `data_dir`.
pub fn reach(data_dir: &Path) -> Result<Reached, AskError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::Nobody,
        io::ErrorKind::PermissionDenied => AskError::NotAllowed(data_dir.to_owned()),
        _ => AskError::Io(error),
    };
    let (_directory, path) = place(data_dir).map_err(failed)?;
    StdStream::connect(path).map(Reached).map_err(failed)
}

impl Reached {
    /// Asks it to go on as `executable`, and waits for what becomes of it. Blocks.
    pub fn ask(self, executable: &File) -> Result<Answer, AskError> {
        let stream = self.0;
        stream.set_read_timeout(Some(LONGEST))?;
        // Who is not to ask is told so before the file was taken: what counts is the answer.
        let sent = descriptors::send(&stream, &[executable.as_fd()]);
        let mut line = String::new();
        let read = BufReader::new(stream).read_line(&mut line);
        if let Ok(answer) = serde_json::from_str(&line) {
            return Ok(answer);
        }
        sent.and(read)?;
        Err(io::Error::other("it ended without an answer").into())
    }
}

/// The path of the socket, by way of the open directory: the whole path might be longer than the 107 bytes that a socket's
/// may have.
fn place(directory: &Path) -> io::Result<(OwnedFd, String)> {
    let open = rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd());
    Ok((open, path))
}

fn listen(directory: &Path) -> io::Result<UnixListener> {
    let (_directory, path) = place(directory)?;
    // Nobody else has this directory as long as this process has the database in it.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn keep(listener: UnixListener, sender: mpsc::Sender<Request>, clock: Clock) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Mostly for want of file descriptors: some will be given back.
            clock.sleep(PAUSE).await;
            continue;
        };
        if !may_ask(&stream) {
            continue;
        }
        // One after the other: whoever may come here can be trusted, and waits.
        match timeout(PATIENCE, hear(stream)).await {
            Ok(Ok(request)) => {
                if sender.send(request).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "somebody came to {SOCKET} and was not understood"),
            Err(_) => tracing::warn!("somebody came to {SOCKET} and said nothing"),
        }
    }
}

/// The kernel says who has come. Others than root and this user are told so, and kept waiting for nothing.
fn may_ask(stream: &UnixStream) -> bool {
    let Ok(peer) = stream.peer_cred() else { return false };
    let uid = peer.uid();
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        return true;
    }
    tracing::warn!(uid, "somebody who is neither root nor csg's own user has come to {SOCKET}; refused");
    let reason = "this is for root and csg's own user only: run it with sudo".to_owned();
    // It is the first that is written there, and there is room for it.
    drop(stream.try_write(&Answer::GoesOn { reason }.line()));
    false
}

async fn hear(stream: UnixStream) -> io::Result<Request> {
    let mut files = loop {
        stream.readable().await?;
        match stream.try_io(tokio::io::Interest::READABLE, || descriptors::receive(&stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => break received?,
        }
    };
    match (files.pop(), files.is_empty()) {
        (Some(executable), true) => Ok(Request { executable, stream }),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
