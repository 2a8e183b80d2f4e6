//! What can be set while the gateway runs: one value, replaced as a whole, so that a call sees all of a change or nothing.
//!
//! Who holds the one before goes on with it: a body in its budget, a call on its way to the cloud.

use super::{GatewayConfig, GatewayError, OnAuditFailure, hold::Budget, spool::Spool, upstream::Upstream};
use crate::model::host_pattern::HostPattern;

/// All held bodies together may take this many times the largest one.
const HELD_TOGETHER: u64 = 16;

pub(super) struct Live {
    pub(super) budget: Budget,
    pub(super) on_audit_failure: OnAuditFailure,
    pub(super) passthrough: Vec<HostPattern>,
    pub(super) require_sni: bool,
    pub(super) upstream: Upstream,
}

impl Live {
    /// For calls on so many `threads`. Must be called inside a Tokio runtime.
    pub(super) fn new(config: GatewayConfig, threads: usize) -> Result<Self, GatewayError> {
        Ok(Self {
            budget: Budget::new(
                config.max_buffered_body,
                config.max_buffered_body.saturating_mul(HELD_TOGETHER),
                Spool::new(&config.spool),
            ),
            on_audit_failure: config.on_audit_failure,
            passthrough: config.passthrough,
            require_sni: config.require_sni,
            upstream: Upstream::new(config.upstream, threads)?,
        })
    }
}
