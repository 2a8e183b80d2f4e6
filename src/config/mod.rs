//! Configuration: a TOML file and `CSG_…` environment variables, read into plain values ([`raw`]), then checked and
//! parsed ([`resolved`]). Every mistake is told at once, each with its key's path.

mod changes;
mod raw;
mod resolved;
mod units;
mod values;

pub use changes::Change;
pub use raw::{Problem, Problems};
pub use resolved::{
    Audit, Config, Console, ConsoleTls, DEFAULT_FILE, Gateway, Log, LogDestination, LogFormat, OnFailure, Upstream,
};
