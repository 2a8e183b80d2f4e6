//! What people did.

use super::super::Table;
use crate::model::{AccessRequestId, WorkflowEvent};

/// Events; their ids sort by time.
pub const EVENTS: Table<String, WorkflowEvent> = Table::new("events");

/// The ids of the events that concern an access request.
pub const EVENTS_BY_REQUEST: Table<(AccessRequestId, String), ()> = Table::new("events_by_request");
