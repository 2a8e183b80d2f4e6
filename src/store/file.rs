//! The database file: for its owner's eyes only, and its directory entry safe on the disk.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use super::Error;

/// Makes directory and file if they do not exist, and takes away what others could do with the file.
pub(super) fn prepare(path: &Path) -> Result<(), Error> {
    let failed = |what| move |source| Error::Io { what, path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("make the directory of"))?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed("open"))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed("set the permissions of"))
}

/// A new file is only there after a power failure once its directory has been written, too.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else { return Ok(()) };
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|source| Error::Io {
        what: "write the directory of",
        path: path.to_owned(),
        source,
    })
}
