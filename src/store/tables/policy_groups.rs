//! Policy groups.

use super::super::Table;
use crate::model::{PolicyGroup, PolicyGroupId};

/// Policy groups; their ids sort by time.
pub const POLICY_GROUPS: Table<PolicyGroupId, PolicyGroup> = Table::new("policy_groups");
