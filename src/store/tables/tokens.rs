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
    /// The address that it was begun from, as far as it is known.
    #[serde(default)]
    pub address: Option<String>,
    /// The program that it was begun with, as that calls itself.
    #[serde(default)]
    pub client: Option<String>,
    /// When it was used last, to some minutes.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
}
