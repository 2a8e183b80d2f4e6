//! A new executable takes over from the running one, and no call notices (ARCHITECTURE.md, "Taking over").
//!
//! The running process, here the *predecessor*, starts the new executable, the *successor*, and speaks with it over a pair
//! of sockets. Until the successor has said that it is ready, the predecessor can take everything back; from then on it
//! only finishes what it has: it listens nowhere, its grants are those that the successor tells it, and it leaves the
//! records of its calls to it.

mod descriptors;
mod door;
mod grants;
mod link;
mod predecessor;
mod successor;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use self::grants::Grants;
pub use self::{
    door::{Answer, AskError, Reached, reach},
    predecessor::{Complaint, Predecessor, Role, role},
};
pub(super) use self::{
    door::{Door, SOCKET},
    predecessor::Met,
    successor::Successor,
};

/// Raised when a message changes its meaning. A successor of another one is refused, and a restart has to do.
const PROTOCOL: u32 = 1;

/// For each answer of the other process, while it starts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which part a process has that finds this variable: first `courier`, which starts the successor and ends, so that the
/// successor is nobody's child but the system's first process's; then `successor`.
const ROLE: &str = "CSG_TAKE_OVER";
const COURIER: &str = "courier";
const SUCCESSOR: &str = "successor";

/// What the successor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromSuccessor {
    /// The first word.
    Hello { protocol: u32, process: u32, version: String },
    /// All that needs neither database nor audit files is done.
    Prepared,
    /// The grants as they are now; the first time before [`Self::Ready`], and then whenever they are others.
    Grants(Grants),
    /// It serves.
    Ready,
    /// It can't go on.
    Failed { reason: String },
}

/// What the predecessor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromPredecessor {
    /// How many sockets come with it, and whose state there is to take over.
    Sockets { count: usize, data_dir: PathBuf },
    /// Database and audit files are closed.
    Released,
    /// There is no way back: the successor is the appliance.
    Over,
}

/// Why the running process goes on instead of handing over.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandOverError {
    /// The state could not be let go of.
    #[error("a request to the console, or the audit log, took too long to finish")]
    Busy,
    /// The executable can't be started.
    #[error("the new executable can't be started: {0}")]
    Executable(String),
    /// The successor said so.
    #[error("the new process could not take over: {0}")]
    Failed(String),
    /// It ended without a word, or said something that can't be understood.
    #[error("the new process ended before it was ready; what it said itself is in the log")]
    Gone,
    /// It is of a version with which this one can't speak.
    #[error("version {version} takes over in another way than this one hands over: restart instead")]
    Protocol {
        /// The version of the successor.
        version: String,
    },
    /// It did not answer.
    #[error("the new process was not ready within {} s", PATIENCE.as_secs())]
    TimedOut,
}
