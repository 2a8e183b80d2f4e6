//! Why the appliance can't start. Each error is one line that says what to do.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::{audit, ca, gateway, store, workflow};

/// Why the appliance can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `init` on a data directory that has been prepared before.
    #[error("{} is initialised already: start it with `csg serve`, or choose another data_dir", .0.display())]
    AlreadyInitialised(PathBuf),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// An address that can't be listened on.
    #[error("{key}: can't listen on {address}: {}", advice(.cause))]
    Bind {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The certificate authority.
    #[error("the certificate authority: {0}")]
    Ca(#[from] ca::Error),
    /// The file with extra roots.
    #[error("upstream.ca_file: {}: {cause}", path.display())]
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
    #[error("data_dir: can't write to {}: {cause}: run as its owner, or set another data_dir", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] gateway::GatewayError),
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

fn advice(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "another program has it: stop that program, or choose another port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address: choose another".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or choose another port".to_owned()
        }
        _ => cause.to_string(),
    }
}
