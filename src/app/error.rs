//! Why the appliance can't start. Each error is one line that says what to do.

use std::{io, net::SocketAddr, path::PathBuf};

use super::backup::BackupError;
use crate::{
    audit, ca, gateway,
    store::{self, advice},
    workflow,
};

/// Why the appliance can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `init` on a data directory that has been prepared before.
    #[error("{} is initialised already: start it with `csg serve`, or choose another data_dir", .0.display())]
    AlreadyInitialised(PathBuf),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// A restore that was broken off can't be completed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// An address that can't be listened on.
    #[error("{key}: can't listen on {address}: {}", bind_advice(.cause, holder.as_deref()))]
    Bind {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
        /// Who has it, if that can be seen.
        holder: Option<String>,
    },
    /// The certificate authority.
    #[error("the certificate authority: {0}")]
    Ca(#[from] ca::Error),
    /// The file with extra roots.
    #[error("upstream.ca_file: {}: {cause}: put it there, or change that key", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The console's certificate.
    #[error("console.tls: {0}")]
    ConsoleTls(String),
    /// systemd's credential can't be read.
    #[error("can't read the master key {}: {cause}", path.display())]
    Credential {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The data directory can't be made or written to.
    #[error("data_dir: can't write to {}: {}", path.display(), data_dir_advice(cause))]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The data directory holds something, and it is not ours.
    #[error("data_dir: {} holds other files ({names}) and no database of csg: choose an empty directory", path.display())]
    ForeignDataDir {
        /// The directory.
        path: PathBuf,
        /// Some of what it holds.
        names: String,
    },
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] gateway::GatewayError),
    /// Only the database is missing.
    #[error(
        "data_dir: the database csg.redb is gone from {}, where csg's other files are: put it back, or a backup with \
         `csg restore FILE --force`", .0.display()
    )]
    LostDatabase(PathBuf),
    /// There is a database, but not the key that it was made with.
    #[error("the master key {} is gone, and the database can't be read without it: put it back", .0.display())]
    LostMasterKey(PathBuf),
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] store::MasterKeyError),
    /// Nothing has been prepared yet.
    #[error("{} is not initialised: run `csg init` or `csg serve` first", .0.display())]
    NotInitialised(PathBuf),
    /// The process that runs did not hand over.
    #[error("the running process did not hand over: {0}")]
    Predecessor(String),
    /// What systemd has handed over is no TCP socket that listens.
    #[error("systemd handed over something else than a TCP socket that listens: {0}: look at csg.socket")]
    Socket(io::Error),
    /// What systemd has handed over listens where nothing of ours does.
    #[error(
        "systemd handed over a socket on {0}, which neither gateway.listen nor console.listen names: let the configuration \
         and csg.socket agree"
    )]
    StrangeSocket(SocketAddr),
    /// The state on disk.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The first administrator can't be made: a password that will not do.
    #[error(transparent)]
    Workflow(workflow::Error),
}

/// The workflow's words are for whoever uses the appliance and send them to its log; here it has none yet.
impl From<workflow::Error> for StartError {
    fn from(error: workflow::Error) -> Self {
        match error {
            workflow::Error::Storage(error) => Self::Store(error),
            error => Self::Workflow(error),
        }
    }
}

fn bind_advice(cause: &io::Error, holder: Option<&str>) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{} has it: stop that program, or choose another port", holder.unwrap_or("another program"))
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address: choose another".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or choose another port".to_owned()
        }
        _ => cause.to_string(),
    }
}

fn data_dir_advice(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "it is no directory: remove what is there, or set another data_dir".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!("{cause}: run as its owner, or set another data_dir"),
        _ => advice(cause),
    }
}
