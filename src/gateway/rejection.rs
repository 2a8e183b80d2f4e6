//! A call that ends at a stage: what the client is told, and what only the log is told.

use crate::cloud::Refusal;

/// Where a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Authorize,
    Forward,
    Identify,
    Resign,
    Verify,
}

/// A call that does not go on.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) stage: Stage,
    /// What the client is told.
    pub(super) refusal: Refusal,
    /// What only the log is told.
    pub(super) cause: Option<String>,
}

impl Stage {
    /// Ends a call here, with nothing to add to what the client is told.
    pub(super) fn rejects(self, refusal: impl Into<Refusal>) -> Rejection {
        Rejection { stage: self, refusal: refusal.into(), cause: None }
    }

    /// Ends a call here, for a reason that is not the client's business.
    pub(super) fn fails(self, refusal: Refusal, cause: impl Into<String>) -> Rejection {
        Rejection { stage: self, refusal, cause: Some(cause.into()) }
    }
}
