//! The data directory: made, ours to write to, and nobody else's.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use rustix::fs::{Access, access};

use super::{StartError, backup, handover, local, master_key};

/// What may be there before there is a database: a key that was put there, and what a start that failed has left.
const OURS: [&str; 7] =
    [backup::DATABASE, "csg.redb.new", master_key::FILE, local::SOCKET, handover::SOCKET, "lost+found", "spool"];

/// So many names of strangers are told.
const TOLD: usize = 3;

/// Makes the directory, if need be; completes what a restore has begun; refuses one that is somebody else's.
pub(super) fn prepare(directory: &Path) -> Result<(), StartError> {
    let failed = |cause| StartError::DataDir { path: directory.to_owned(), cause };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| Ok(access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?))
        .map_err(failed)?;
    backup::settle(directory)?;
    match fs::metadata(directory.join(backup::DATABASE)) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let (mut strangers, mut has_audit) = (Vec::new(), false);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        has_audit |= name == backup::AUDIT || name.starts_with("csg.redb.schema-");
        if !OURS.contains(&name.as_str()) && !name.starts_with("restore.") && !name.starts_with("master.new-") {
            strangers.push(name);
        }
    }
    strangers.sort_unstable();
    let path = || directory.to_owned();
    match strangers.len() {
        0 => Ok(()),
        _ if has_audit => Err(StartError::LostDatabase(path())),
        count => {
            let mut names = strangers.into_iter().take(TOLD).collect::<Vec<_>>().join(", ");
            if count > TOLD {
                names.push_str(", …");
            }
            Err(StartError::ForeignDataDir { path: path(), names })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_ours_if_it_is_empty_or_has_our_database() {
        for (files, words) in [
            (&[][..], None),
            (&["master.key", "lost+found", "csg.redb.new"][..], None),
            (&["csg.redb", "notes.txt"], None),
            (&["notes.txt"], Some("holds other files (notes.txt)")),
            (&["d", "c", "b", "a"], Some("holds other files (a, b, c, …)")),
            (&["audit", "master.key"], Some("is gone")),
            (&["csg.redb.schema-2", "master.key"], Some("is gone")),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for name in files {
                fs::write(directory.path().join(name), "").unwrap();
            }
            let told = prepare(directory.path()).err().map(|error| error.to_string());
            match words {
                None => assert_eq!(told, None, "{files:?}"),
                Some(words) => assert!(told.as_ref().is_some_and(|told| told.contains(words)), "{files:?}: {told:?}"),
            }
        }
    }
}
