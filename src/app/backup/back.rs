//! Back to the database from before an upgrade, for a version that does not know the schema of the present one.

use std::path::PathBuf;

use super::DATABASE;
use crate::{
    app::{StartError, data_dir, master_key, owner},
    clock::{Clock, Timestamp},
    config::Config,
    model::Publisher,
    store::{self, SCHEMA_VERSION, Store},
    workflow::{KnownServices, Workflow},
};

/// What was gone back to.
#[derive(Clone, Debug)]
pub struct WentBack {
    /// When it was put aside.
    pub of: Timestamp,
    /// Its schema.
    pub schema: u32,
    /// Where the newer one is kept.
    pub aside: Option<PathBuf>,
}

/// Puts the database from before the upgrade in the place of the newer one, which is kept. Nothing else changes.
pub fn go_back(config: &Config, clock: &Clock) -> Result<WentBack, StartError> {
    let key = master_key::of_root(config);
    let done = owner::acting(&config.data_dir, || {
        data_dir::prepare(&config.data_dir)?;
        let database = config.data_dir.join(DATABASE);
        let key = match key {
            Some(key) => key,
            None => master_key::load(config, &database)?,
        };
        let (store, migration, of) = Store::before_upgrade(&database, &key)?;
        // What was ended since is there again, as after a restore.
        Workflow::open(store, clock.clone(), KnownServices::new(), Publisher::new())?.note_restored(of)?;
        let aside = migration.complete()?;
        store::forget_copies(&database, clock.now());
        Ok(WentBack { of, schema: SCHEMA_VERSION, aside })
    });
    done.map_err(|cause| StartError::DataDir { path: config.data_dir.clone(), cause })?
}
