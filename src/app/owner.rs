//! Root at work on the state: as the owner of the data directory.
//!
//! What root made there, the service could not open. And where another user may write, root's hand could be led to other
//! places, by a link, that is.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, thread};

use rustix::process::{Gid, Uid};
use rustix::{
    process::geteuid,
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

/// Does `work` as the owner of `directory`, if we are root and that is somebody else.
///
/// On Linux it is threads that have rights: the work is done on one of its own, which keeps no way back.
pub(super) fn acting<T: Send>(directory: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let Some((uid, gid)) = other_owner(directory)? else { return Ok(work()) };
    thread::scope(|scope| {
        let done = scope.spawn(move || {
            set_thread_groups(&[])?;
            set_thread_res_gid(gid, gid, gid)?;
            set_thread_res_uid(uid, uid, uid)?;
            Ok(work())
        });
        done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Who that is; nobody, if there is no difference.
pub(super) fn other_owner(directory: &Path) -> io::Result<Option<(Uid, Gid)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    match fs::metadata(directory) {
        Ok(about) if about.uid() != 0 => Ok(Some((Uid::from_raw(about.uid()), Gid::from_raw(about.gid())))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
