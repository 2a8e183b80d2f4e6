//! Where the master key comes from: `secrets.key_file`; else systemd's credential `csg-master-key`
//! (<https://systemd.io/CREDENTIALS/>); else `master.key` in the data directory, made together with the database.

use std::{
    fs,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::StartError;
use crate::{
    config::Config,
    store::{MasterKey, MasterKeyError},
};

/// The name of the key's file in the data directory.
pub(super) const FILE: &str = "master.key";
const CREDENTIAL: &str = "csg-master-key";
/// Where systemd takes the credential from. The commands that root runs are not started by systemd, and look here.
const CREDENTIAL_STORES: [&str; 2] = ["/etc/credstore", "/run/credstore"];

/// Takes the key from where it is, or makes it for a database that does not exist yet.
pub(super) fn load(config: &Config, database: &Path) -> Result<MasterKey, StartError> {
    if let Some(path) = &config.key_file {
        return Ok(MasterKey::read(path)?);
    }
    if let Some(path) = handed_over() {
        // systemd lets the service's user in by an access list, which shows as a right of the group: no check here.
        let bytes = fs::read(&path).map(Zeroizing::new).map_err(|cause| StartError::Credential { path, cause })?;
        return Ok(MasterKey::from_bytes(&bytes)?);
    }
    let path = config.data_dir.join(FILE);
    if database.exists() && !path.exists() {
        return Err(StartError::LostMasterKey(path));
    }
    Ok(MasterKey::read_or_create(&path, !database.exists())?)
}

/// As [`load`], for a command of root's that then works as somebody who can't read all of these places: the key that is
/// only for root, if there is one and no other comes before it.
pub(super) fn of_root(config: &Config) -> Option<MasterKey> {
    if config.key_file.is_some() || handed_over().is_some() || config.data_dir.join(FILE).exists() {
        return None;
    }
    stored().and_then(|path| bare(&path).ok())
}

/// The keys that the service has from outside of its data directory.
pub(super) fn outside(config: &Config) -> Vec<MasterKey> {
    let places = config.key_file.clone().into_iter().chain(handed_over()).chain(stored());
    places.filter_map(|path| bare(&path).ok()).collect()
}

/// The key in a file, whoever may read that.
pub(super) fn bare(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let failed = |source| MasterKeyError::Io { what: "read", path: path.to_owned(), source };
    let bytes = fs::read(path).map(Zeroizing::new).map_err(failed)?;
    MasterKey::from_bytes(&bytes).map_err(|_| MasterKeyError::FileLength { path: path.to_owned(), length: bytes.len() })
}

fn handed_over() -> Option<PathBuf> {
    let path = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    path.exists().then_some(path)
}

fn stored() -> Option<PathBuf> {
    CREDENTIAL_STORES.iter().map(|store| Path::new(store).join(CREDENTIAL)).find(|path| path.exists())
}
