//! Sessions and API tokens: what a bearer token stands for. The token itself is nowhere.

use serde::{Deserialize, Serialize};

use super::super::Table;
use crate::{clock::Timestamp, model::UserName};

/// By SHA-256 of the token, in hex.
pub const TOKENS: Table<String, TokenRecord> = Table::new("tokens");

/// A session or an API token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Names it in lists; not a secret.
    pub id: String,
    /// Whose it is.
    pub user: UserName,
    /// What people call it; a session has no name.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}
