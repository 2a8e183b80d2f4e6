//! Environments.

use super::super::Table;
use crate::model::{Environment, EnvironmentId};

/// Environments by their slug.
pub const ENVIRONMENTS: Table<EnvironmentId, Environment> = Table::new("environments");
