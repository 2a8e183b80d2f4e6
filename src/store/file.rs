//! The database file: for its owner's eyes only, whole or not there, and its directory entry safe on the disk.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::Error;

/// The database file, open and locked, and where it is: at `path`, or at a draft beside it, if there is none yet. A start
/// that fails must not leave half a database behind.
pub(super) fn prepare(path: &Path) -> Result<(File, PathBuf), Error> {
    let failed = |what| move |source| Error::Io { what, path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("make the directory of"))?;
    }
    let is_there = match fs::metadata(path) {
        Ok(about) => about.len() > 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed("open")(error)),
    };
    let place = if is_there { path.to_owned() } else { draft(path) };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(!is_there)
        .truncate(false)
        .mode(0o600)
        .open(&place)
        .map_err(failed("open"))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed("set the permissions of"))?;
    // As redb locks it. Who had it before may have put another file in its place meanwhile.
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(Error::AlreadyOpen { path: path.to_owned() }),
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    if !is_same(&file, &place).map_err(failed("open"))? {
        return Err(Error::AlreadyOpen { path: path.to_owned() });
    }
    if is_there {
        // What was begun beside it, and broken off.
        remove(&draft(path))?;
    } else {
        file.set_len(0).map_err(failed("make"))?;
    }
    Ok((file, place))
}

/// Where a database is made that is to be at `path`. It is for who has the one at `path` open, or has this one locked.
pub(super) fn draft(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Opens what was made before.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map_err(|source| Error::Io { what: "open", path: path.to_owned(), source })
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { what: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
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
