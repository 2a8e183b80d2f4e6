//! Access requests, and when each of them, or a key of theirs, ends by itself.

use super::super::Table;
use crate::{
    clock::Timestamp,
    model::{AccessRequest, AccessRequestId},
};

/// Access requests; their ids sort by time.
pub const ACCESS_REQUESTS: Table<AccessRequestId, AccessRequest> = Table::new("access_requests");

/// When to look at which request. An entry may be out of date: the request itself says what is to end.
pub const DEADLINES: Table<(Timestamp, AccessRequestId), ()> = Table::new("deadlines");
