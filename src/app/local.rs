//! What root and the service's own user may ask of the appliance on its machine: a backup, a set-up link, a way back in.
//!
//! The database can be open once. So a command asks the appliance that has it, over a socket in the data directory, which
//! nobody else can reach; the kernel says who asks (`SO_PEERCRED`). If none runs, the command opens the state itself.
//!
//! One line of JSON asks, one answers, and behind that a backup may come. Another appliance of the same machine that takes
//! over puts its own socket in the place of this one, which is never removed: a socket that nobody has open answers nothing.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead as _, BufReader, Read as _, Write},
    os::{
        fd::AsRawFd as _,
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{net::UnixListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    StartError,
    backup::{self, BackupError, Copied, Header, Wrapping},
    master_key, owner, state,
};
use crate::{
    audit,
    clock::{Clock, Timestamp},
    config::Config,
    model::UserName,
    secret::Secret,
    store::MasterKey,
    workflow::{self, Workflow},
};

/// The socket, in the data directory.
pub(super) const SOCKET: &str = "csg.sock";
/// Questions are short.
const LONGEST: u64 = 64 << 10;
/// Who connects asks at once, and reads what they asked for.
const PATIENCE: Duration = Duration::from_secs(30);
/// More wait for their turn.
const AT_ONCE: usize = 4;

/// What can be asked.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// A backup.
    Backup {
        /// With the records of calls?
        with_audit: bool,
        /// Seals the master key for it.
        wrapping: Option<Wrapping>,
    },
    /// A new password for a person.
    ResetPassword {
        /// Whose.
        user: UserName,
        /// The password.
        password: Zeroizing<String>,
    },
    /// To take a person's second factor away.
    ResetSecondFactor {
        /// Whose.
        user: UserName,
    },
    /// A set-up link.
    SetUpLink,
}

/// What is answered.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done,
    /// A backup follows.
    Follows,
    /// A set-up link.
    Link {
        /// The address to open.
        url: Zeroizing<String>,
        /// Until when it works.
        until: Timestamp,
        /// Does the appliance run?
        running: bool,
    },
    /// It was not done.
    Refused {
        /// Why.
        why: String,
    },
}

/// Why nothing was answered, or why it was no.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The appliance broke off.
    #[error("the csg that runs there gave no answer ({0}): look into its log")]
    Broken(io::Error),
    /// Neither root nor the owner.
    #[error("{} is for root and csg's own user only: run this with sudo", .0.display())]
    NotAllowed(PathBuf),
    /// In the words of the appliance.
    #[error("{0}")]
    Refused(String),
    /// There is no state that could be opened.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Asks the appliance whose data directory `config` names, running or not.
pub fn ask(config: &Config, clock: &Clock, question: &Question) -> Result<Answer, LocalError> {
    match reach(config)? {
        Some(stream) => put(stream, question).map(|(answer, _)| answer),
        None => at_desk(config, clock, |desk| desk.answer(question, &me()).or_refused()),
    }
}

/// Has a backup written to `to`; `told` is told how many bytes there are so far.
pub fn backup(
    config: &Config,
    clock: &Clock,
    (with_audit, wrapping): (bool, Option<Wrapping>),
    to: &mut (dyn Write + Send),
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<Copied, LocalError> {
    let question = Question::Backup { with_audit, wrapping };
    match reach(config)? {
        Some(stream) => {
            let (_, mut from) = put(stream, &question)?;
            Ok(backup::copy(&mut from, to, told)?)
        }
        None => at_desk(config, clock, |desk| {
            let mut to = backup::Counted::new(to, told);
            let header = desk.backup(&question, &mut to)?;
            Ok(Copied { header, bytes: to.bytes })
        }),
    }
}

/// The appliance that runs there, if one does.
fn reach(config: &Config) -> Result<Option<UnixStream>, LocalError> {
    connect(&config.data_dir).map(Some).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
        io::ErrorKind::PermissionDenied => Err(LocalError::NotAllowed(config.data_dir.clone())),
        _ => Err(LocalError::Broken(error)),
    })
}

/// Puts the question to the appliance that runs; what follows its answer can be read behind that.
fn put(stream: UnixStream, question: &Question) -> Result<(Answer, BufReader<UnixStream>), LocalError> {
    let line = serde_json::to_vec(question).map(Zeroizing::new).map_err(|error| LocalError::Broken(error.into()))?;
    // Who is not to ask is told so before the question was read: what counts is the answer.
    let sent = (&stream).write_all(&line).and_then(|()| (&stream).write_all(b"\n"));
    let mut from = BufReader::new(stream);
    let mut line = Zeroizing::new(String::new());
    from.by_ref().take(LONGEST).read_line(&mut line).map_err(LocalError::Broken)?;
    let answer: Answer = serde_json::from_str(&line)
        .map_err(|_| LocalError::Broken(sent.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())))?;
    Ok((answer.or_refused()?, from))
}

/// The appliance does not run: this process does what it would do.
fn at_desk<T: Send>(
    config: &Config,
    clock: &Clock,
    work: impl FnOnce(&Desk) -> Result<T, LocalError> + Send,
) -> Result<T, LocalError> {
    let key = master_key::of_root(config);
    let done = owner::acting(&config.data_dir, || work(&Desk::open(config, clock, key)?));
    done.map_err(|cause| StartError::DataDir { path: config.data_dir.clone(), cause })?
}

impl Answer {
    fn or_refused(self) -> Result<Self, LocalError> {
        match self {
            Self::Refused { why } => Err(LocalError::Refused(why)),
            other => Ok(other),
        }
    }
}

/// What is needed to answer.
pub(super) struct Desk {
    pub(super) workflow: Workflow,
    pub(super) key: MasterKey,
    pub(super) audit: Audit,
    pub(super) console_url: Arc<str>,
    pub(super) running: bool,
}

/// The audit log: of a running appliance, or as it lies there.
pub(super) enum Audit {
    Running(audit::Reader),
    Lying(PathBuf),
}

impl Desk {
    fn open(config: &Config, clock: &Clock, key: Option<MasterKey>) -> Result<Self, LocalError> {
        let state = state::existing(config, clock, key)?;
        Ok(Self {
            workflow: state.workflow,
            key: state.key,
            audit: Audit::Lying(config.data_dir.join(backup::AUDIT)),
            console_url: super::expected_console_url(config).into(),
            running: false,
        })
    }

    fn answer(&self, question: &Question, by: &str) -> Answer {
        let done = match question {
            Question::Backup { .. } => return Answer::Follows,
            Question::ResetPassword { user, password } => {
                self.workflow.reset_password_locally(user, &Secret::new(password.as_str()), by).map(|()| Answer::Done)
            }
            Question::ResetSecondFactor { user } => {
                self.workflow.reset_second_factor_locally(user, by).map(|()| Answer::Done)
            }
            Question::SetUpLink => self.workflow.begin_set_up_locally(by).map(|(token, until)| {
                let url = Zeroizing::new(format!("{}/setup?token={}", self.console_url, token.expose()));
                Answer::Link { url, until, running: self.running }
            }),
        };
        done.unwrap_or_else(|error| Answer::Refused { why: self.words(&error) })
    }

    fn words(&self, error: &workflow::Error) -> String {
        match error {
            workflow::Error::Gone(_) => {
                format!("this gateway is set up already, and needs no link: sign in at {}", self.console_url)
            }
            // Who asks is at the machine: no need to send them to its log.
            workflow::Error::Storage(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    fn backup(&self, question: &Question, to: &mut dyn Write) -> Result<Header, BackupError> {
        let (with_audit, wrapping) = match question {
            Question::Backup { with_audit, wrapping } => (*with_audit, wrapping.as_ref()),
            _ => (false, None),
        };
        let audit = match &self.audit {
            _ if !with_audit => None,
            Audit::Lying(directory) => Some(audit::Files::of(directory)?),
            Audit::Running(reader) => {
                // What has happened up to now is to be in it; if the disk does not take it, it can't be.
                reader.flush(PATIENCE);
                Some(reader.files())
            }
        };
        let now = self.workflow.clock().now();
        backup::Source { store: self.workflow.store(), key: &self.key, audit }.write(
            wrapping,
            now,
            io::BufWriter::new(to),
        )
    }
}

/// Opens the socket. To be called by who has the database: a socket that is there is a dead one's.
pub(super) fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let (path, _directory) = short(data_dir)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until `stop`.
pub(super) async fn serve(listener: UnixListener, desk: Desk, stop: CancellationToken) {
    let (desk, turns) = (Arc::new(desk), Arc::new(Semaphore::new(AT_ONCE)));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (Ok((stream, _)), Ok(turn)) = (accepted, Arc::clone(&turns).acquire_owned().await) else { continue };
        let Ok(peer) = stream.peer_cred() else { continue };
        let Ok(stream) = stream.into_std() else { continue };
        let (desk, stop) = (Arc::clone(&desk), stop.clone());
        tokio::task::spawn_blocking(move || {
            // Who asked and went away is told nothing.
            drop(attend(&desk, &stream, peer.uid(), &stop));
            drop(turn);
        });
    }
}

fn attend(desk: &Desk, stream: &UnixStream, uid: u32, stop: &CancellationToken) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let tell = |answer: &Answer| -> io::Result<()> {
        let line = Zeroizing::new(serde_json::to_vec(answer)?);
        (&*stream).write_all(&[&line[..], b"\n"].concat())
    };
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid, "somebody who is neither root nor csg's own user has asked at the local socket; refused");
        return tell(&Answer::Refused { why: "this is for root and csg's own user only: run it with sudo".into() });
    }
    let mut line = Zeroizing::new(String::new());
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    let Ok(question) = serde_json::from_str::<Question>(&line) else {
        let why = "the csg that runs there does not understand this: use the command of the same version";
        return tell(&Answer::Refused { why: why.into() });
    };
    let by = asker(uid);
    let answer = desk.answer(&question, &by);
    tell(&answer)?;
    if let Answer::Follows = answer {
        match desk.backup(&question, &mut Stopping { to: stream, stop }) {
            Ok(_) => tracing::info!(by, "a backup was made"),
            // Its end is missing, so that nobody takes it for one.
            Err(error) => tracing::error!(by, %error, "a backup could not be made"),
        }
    }
    Ok(())
}

fn me() -> String {
    asker(rustix::process::geteuid().as_raw())
}

/// Who a user is to the machine, as it is written down.
fn asker(uid: u32) -> String {
    if uid == 0 { "root".to_owned() } else { format!("csg's own user ({uid})") }
}

/// Lets nobody wait at the end of the appliance.
struct Stopping<'s> {
    to: &'s UnixStream,
    stop: &'s CancellationToken,
}

impl Write for Stopping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("csg is being stopped"));
        }
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let (path, _directory) = short(data_dir)?;
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE * 4))?;
    Ok(stream)
}

/// A socket's path may have some hundred bytes, which those of data directories may exceed: then by way of an open one.
fn short(data_dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = data_dir.join(SOCKET);
    if path.as_os_str().len() < 100 {
        return Ok((path, None));
    }
    let directory = File::open(data_dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd())), Some(directory)))
}
