//! One file per table: what its records hold. Fields may be added with a default; anything else needs a migration.

pub mod access_keys;
pub mod access_requests;
pub mod authority;
pub mod counts;
pub mod credentials;
pub mod environments;
pub mod events;
pub mod policy_groups;
pub mod second_factors;
pub mod set_up;
pub mod settings;
pub mod tokens;
pub mod users;
