//! The database file: for its owner's eyes only, whole or not there, and its directory entry safe on the disk.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::Error;

/// Where the database is to be opened: at `path`, or at a draft beside it, if there is none yet. A start that fails must
/// not leave half a database behind.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, Error> {
    let failed = |what| move |source| Error::Io { what, path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("make the directory of"))?;
    }
    let is_there = match fs::metadata(path) {
        Ok(about) => about.len() > 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed("open")(error)),
    };
    let place = if is_there { path.to_owned() } else { path.with_added_extension("new") };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(!is_there)
        .truncate(false)
        .mode(0o600)
        .open(&place)
        .map_err(failed("open"))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed("set the permissions of"))?;
    if !is_there {
        // What a start before this one has left; unless it is another's, who is at work on it.
        file.try_lock().map_err(|_| Error::AlreadyOpen { path: path.to_owned() })?;
        file.set_len(0).map_err(failed("make"))?;
    }
    Ok(place)
}

/// Gives a draft its name. A link, unlike a rename, replaces nothing that has come meanwhile.
pub(super) fn publish(place: &Path, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { what: "make", path: path.to_owned(), source };
    if place != path {
        // An empty file is no database, and in the way.
        if fs::metadata(path).is_ok_and(|about| about.len() == 0) {
            fs::remove_file(path).map_err(failed)?;
        }
        fs::hard_link(place, path).and_then(|()| fs::remove_file(place)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::AlreadyOpen { path: path.to_owned() },
            _ => failed(error),
        })?;
    }
    sync_directory(path)
}

/// What the system said, and what to do about it.
pub fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => "the disk quota is used up: make room, then try again".into(),
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: mount it for writing, or choose another place".into()
        }
        io::ErrorKind::StorageFull => "no space is left on that disk: make room, then try again".into(),
        _ => error.to_string(),
    }
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
