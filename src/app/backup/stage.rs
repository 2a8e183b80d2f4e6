//! The change from one state to the other: all or nothing, whatever happens in between.
//!
//! The new state is made in a folder of the data directory, which may be a file system of its own. Once it is whole, that
//! is written down, and then files are moved: first those that were there, into a folder that is kept; then the new ones.
//! If this is broken off, the next start of csg goes on with it.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{BackupError, DATABASE};

/// Where the new state is made.
const STAGE: &str = "restore.new";
/// In it once it is whole: names the folder for what was there.
const WHOLE: &str = "whole";
/// In its place once what was there has been moved.
const MOVING: &str = "moving";
/// What folders for what was there are called.
const ASIDE: &str = "before-restore-";

/// A new state that is being made. Gone when dropped, unless it was put in its place.
#[derive(Debug)]
pub(super) struct Stage {
    data_dir: PathBuf,
    /// Held until the end: nobody else restores, and no csg starts.
    locks: Vec<File>,
}

impl Stage {
    /// Begins, if nothing runs there. What is in the directory stays unless `force` is set.
    pub(super) fn begin(data_dir: &Path, force: bool) -> Result<Self, BackupError> {
        let directory = lock_directory(data_dir)?;
        finish(data_dir)?;
        let mut stage = Self { data_dir: data_dir.to_owned(), locks: vec![directory] };
        stage.lock_database()?;
        if !force && !entries(data_dir)?.is_empty() {
            return Err(BackupError::NotEmpty(data_dir.to_owned()));
        }
        remove(&stage.path())?;
        DirBuilder::new().mode(0o700).create(stage.path()).map_err(failed("make", &stage.path()))?;
        Ok(stage)
    }

    /// Where the new state is to be made.
    pub(super) fn path(&self) -> PathBuf {
        self.data_dir.join(STAGE)
    }

    /// Puts the new state in its place; gives back the folder in which that is kept which was there.
    pub(super) fn put_in_place(mut self, aside: &str) -> Result<Option<PathBuf>, BackupError> {
        // One that was not there before.
        self.lock_database()?;
        let path = self.path();
        let aside = format!("{ASIDE}{aside}");
        let note = path.join(WHOLE);
        let draft = path.join("draft");
        File::create(&draft)
            .and_then(|mut file| io::Write::write_all(&mut file, aside.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| sync(&path))
            .and_then(|()| fs::rename(&draft, &note))
            .and_then(|()| sync(&path))
            .map_err(failed("make", &note))?;
        finish(&self.data_dir)?;
        let aside = self.data_dir.join(aside);
        Ok(aside.exists().then_some(aside))
    }

    fn lock_database(&mut self) -> Result<(), BackupError> {
        // redb locks its file in this way.
        for name in [DATABASE, "csg.redb.new"] {
            let path = self.data_dir.join(name);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("open", &path)(error)),
            };
            match file.try_lock() {
                Ok(()) => self.locks.push(file),
                // By us, before.
                Err(TryLockError::WouldBlock) if self.locks.len() > 1 => {}
                Err(TryLockError::WouldBlock) => return Err(BackupError::Running(self.data_dir.clone())),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let path = self.path();
        if !path.join(WHOLE).exists() && !path.join(MOVING).exists() {
            drop(remove(&path));
        }
    }
}

/// Goes on with a change that was broken off, if there is one.
pub(in crate::app) fn settle(data_dir: &Path) -> Result<(), BackupError> {
    let stage = data_dir.join(STAGE);
    if stage.join(WHOLE).exists() || stage.join(MOVING).exists() {
        let _lock = lock_directory(data_dir)?;
        finish(data_dir)?;
        tracing::info!("a restore that was broken off has been completed");
    }
    Ok(())
}

fn finish(data_dir: &Path) -> Result<(), BackupError> {
    let stage = data_dir.join(STAGE);
    let (whole, moving) = (stage.join(WHOLE), stage.join(MOVING));
    if whole.exists() {
        let name = fs::read_to_string(&whole).map_err(failed("read", &whole))?;
        if !name.starts_with(ASIDE) || name.contains('/') {
            return Err(BackupError::Damaged(format!("{} was changed", whole.display())));
        }
        let aside = data_dir.join(name);
        for entry in entries(data_dir)? {
            match DirBuilder::new().mode(0o700).create(&aside) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("make", &aside)(error));
                }
                _ => {}
            }
            fs::rename(data_dir.join(&entry), aside.join(&entry)).map_err(failed("move", &data_dir.join(&entry)))?;
        }
        sync(data_dir)
            .and_then(|()| fs::rename(&whole, &moving))
            .and_then(|()| sync(&stage))
            .map_err(failed("move", &whole))?;
    }
    if moving.exists() {
        for entry in names(&stage)?.into_iter().filter(|entry| entry != MOVING) {
            fs::rename(stage.join(&entry), data_dir.join(&entry)).map_err(failed("move", &stage.join(&entry)))?;
        }
        sync(data_dir)
            .and_then(|()| fs::remove_file(&moving))
            .and_then(|()| fs::remove_dir(&stage))
            .and_then(|()| sync(data_dir))
            .map_err(failed("remove", &stage))?;
    }
    Ok(())
}

/// All in the directory that is somebody's state.
fn entries(data_dir: &Path) -> Result<Vec<String>, BackupError> {
    let is_state = |name: &String| {
        ![STAGE, "lost+found", crate::app::local::SOCKET].contains(&name.as_str()) && !name.starts_with(ASIDE)
    };
    Ok(names(data_dir)?.into_iter().filter(is_state).collect())
}

fn names(directory: &Path) -> Result<Vec<String>, BackupError> {
    let listed = fs::read_dir(directory).and_then(|entries| {
        entries
            .map(|entry| {
                let name = entry?.file_name();
                name.into_string().map_err(|name| io::Error::other(format!("it holds {}", name.display())))
            })
            .collect()
    });
    listed.map_err(failed("list", directory))
}

fn lock_directory(data_dir: &Path) -> Result<File, BackupError> {
    let directory = File::open(data_dir).map_err(failed("open", data_dir))?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(TryLockError::WouldBlock) => Err(BackupError::UnderWay(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", data_dir)(error)),
    }
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |cause| BackupError::Io { what, path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                found.extend(tree(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
            } else {
                found.push(format!("{name}={}", fs::read_to_string(entry.path()).unwrap()));
            }
        }
        found.sort_unstable();
        found
    }

    fn old() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("csg.redb", "old"), ("master.key", "old"), ("audit/day", "old")] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        directory
    }

    fn staged(directory: &Path) -> Stage {
        let stage = Stage::begin(directory, true).unwrap();
        fs::write(stage.path().join("csg.redb"), "new").unwrap();
        fs::create_dir(stage.path().join("audit")).unwrap();
        fs::write(stage.path().join("audit/day"), "new").unwrap();
        stage
    }

    const NEW: [&str; 5] = [
        "audit/day=new",
        "before-restore-1/audit/day=old",
        "before-restore-1/csg.redb=old",
        "before-restore-1/master.key=old",
        "csg.redb=new",
    ];

    #[test]
    fn the_new_state_comes_and_the_old_one_is_kept() {
        let directory = old();
        assert!(matches!(Stage::begin(directory.path(), false), Err(BackupError::NotEmpty(_))));
        let aside = staged(directory.path()).put_in_place("1").unwrap().unwrap();
        assert_eq!(
            (tree(directory.path()), aside),
            (NEW.map(String::from).into(), directory.path().join("before-restore-1"))
        );
    }

    #[test]
    fn what_is_not_put_in_its_place_leaves_nothing() {
        let directory = old();
        let before = tree(directory.path());
        drop(staged(directory.path()));
        assert_eq!(tree(directory.path()), before);
    }

    #[test]
    fn broken_off_anywhere_it_is_completed_by_the_next_start() {
        // As many renames as there are; after each of them the machine may have stopped.
        for stopped_after in 0..7 {
            let directory = old();
            let path = directory.path();
            let stage = staged(path);
            fs::write(stage.path().join(WHOLE), "before-restore-1").unwrap();
            drop(stage);
            let aside = path.join("before-restore-1");
            let stage = path.join(STAGE);
            let mut renames: Vec<_> =
                ["csg.redb", "master.key", "audit"].map(|name| (path.join(name), aside.join(name))).into();
            renames.push((stage.join(WHOLE), stage.join(MOVING)));
            renames.extend(["audit", "csg.redb"].map(|name| (stage.join(name), path.join(name))));
            for (step, (from, to)) in renames.into_iter().enumerate().take(stopped_after) {
                if step == 0 {
                    fs::create_dir(&aside).unwrap();
                }
                fs::rename(from, to).unwrap();
            }
            settle(path).unwrap();
            assert_eq!(tree(path), NEW, "stopped after {stopped_after}");
        }
    }

    #[test]
    fn one_at_a_time_and_not_while_a_database_is_open() {
        let directory = old();
        let stage = staged(directory.path());
        assert!(matches!(Stage::begin(directory.path(), true), Err(BackupError::UnderWay(_))));
        drop(stage);
        let database = File::open(directory.path().join("csg.redb")).unwrap();
        database.lock().unwrap();
        assert!(matches!(Stage::begin(directory.path(), true), Err(BackupError::Running(_))));
    }
}
