//! The installation's settings.

use serde::{Deserialize, Serialize};

use super::super::Table;

/// The one record.
pub const SETTINGS: Table<(), Settings> = Table::new("settings");

/// What an installation decides for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// May an approver approve their own request?
    pub self_approval: bool,
}
