//! What a cloud client wants to do, as far as the rules care.

use super::{AccountId, CloudId, ServiceId};

/// One call of a cloud's API, recognised.
#[derive(Clone, Debug)]
pub struct Call {
    /// The cloud.
    pub cloud: CloudId,
    /// The service.
    pub service: ServiceId,
    /// The operation, if it could be named.
    pub operation: Option<Operation>,
    /// The account that the call itself names, if it names one.
    pub account: Option<AccountId>,
}

/// An operation of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in the cloud's own words: `PutItem`.
    pub name: &'static str,
    /// Its answer holds cloud credentials: with one such answer the gateway would be bypassed for good.
    pub hands_out_credentials: bool,
}
