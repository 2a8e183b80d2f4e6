//! How many files the process may hold open: two for each call under way, so the usual 1024 is soon too few.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system allows without asking anybody.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, current = ?limit.current, wanted = ?limit.maximum, "can't raise the limit of open files");
    }
}
