//! People.

use serde::{Deserialize, Serialize};

use super::super::Table;
use crate::model::{User, UserName};

/// People by their sign-in name.
pub const USERS: Table<UserName, UserRecord> = Table::new("users");

/// A person, with the hash of their password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserRecord {
    /// The person.
    pub user: User,
    /// argon2id, as a PHC string.
    pub password: String,
}
