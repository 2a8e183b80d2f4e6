//! The one-time set-up token, while nobody has used it.

use serde::{Deserialize, Serialize};

use super::super::Table;
use crate::clock::Timestamp;

/// The one token.
pub const SET_UP: Table<(), SetUpRecord> = Table::new("set_up");

/// What is kept of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetUpRecord {
    /// SHA-256 of the token, in hex.
    pub token_sha256: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Did somebody ask for it? Then a start does not make it void.
    #[serde(default)]
    pub asked: bool,
}
