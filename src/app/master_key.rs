//! Where the master key comes from: `secrets.key_file`; else systemd's credential `csg-master-key`
//! (<https://systemd.io/CREDENTIALS/>); else `master.key` in the data directory, made together with the database.

use std::{fs, path::Path};

use zeroize::Zeroizing;

use super::StartError;
use crate::{config::Config, store::MasterKey};

/// Takes the key from where it is, or makes it for a database that does not exist yet.
pub(super) fn load(config: &Config, database: &Path) -> Result<MasterKey, StartError> {
    if let Some(path) = &config.key_file {
        return Ok(MasterKey::read(path)?);
    }
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = Path::new(&directory).join("csg-master-key");
        if path.exists() {
            // systemd lets the service's user in by an access list, which shows as a right of the group: no check here.
            let bytes = fs::read(&path).map(Zeroizing::new).map_err(|cause| StartError::Credential { path, cause })?;
            return Ok(MasterKey::from_bytes(&bytes)?);
        }
    }
    let path = config.data_dir.join("master.key");
    if database.exists() && !path.exists() {
        return Err(StartError::LostMasterKey(path));
    }
    Ok(MasterKey::read_or_create(&path, !database.exists())?)
}
