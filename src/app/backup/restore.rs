//! From a backup to a data directory: read and verified whole, then put in its place.

use std::{
    fs::{self, DirBuilder},
    io::{BufRead, BufReader},
    os::unix::fs::{DirBuilderExt as _, chown},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::read::ZlibDecoder;

use super::{
    AUDIT, BackupError, DATABASE, Header, PURPOSE,
    file::read_header,
    records::{self, Piece},
    seal::Opener,
    stage::Stage,
};
use crate::{
    app::{master_key, owner},
    audit::FileDraft,
    clock::{Clock, Timestamp},
    config::Config,
    model::Publisher,
    secret::Secret,
    store::{Draft, MasterKey, SCHEMA_VERSION, Store},
    workflow::Workflow,
};

/// How a backup is put back.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only verify it.
    pub check: bool,
    /// Put what is in the data directory aside.
    pub force: bool,
    /// The file of the master key.
    pub key_file: Option<PathBuf>,
    /// Leave the master key out of the data directory: the service is given it in another way.
    pub leave_key_out: bool,
}

/// What was put back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub header: Header,
    /// How many records were in it.
    pub records: u64,
    /// Where that is which was there before.
    pub aside: Option<PathBuf>,
    /// Where the master key was put.
    pub key_file: Option<PathBuf>,
}

/// Puts back the backup that `from` gives, or only verifies it. `passphrase` is asked where one is needed; none is given
/// where none can be had.
pub fn restore(
    config: &Config,
    (from, name): (&mut (dyn BufRead + Send), &str),
    options: &Options,
    passphrase: &mut dyn FnMut() -> Option<Secret>,
    clock: &Clock,
) -> Result<Restored, BackupError> {
    let (header, digest) = read_header(&mut &mut *from, name)?;
    if header.schema > SCHEMA_VERSION {
        let (found, version) = (header.schema, header.version.clone());
        return Err(BackupError::NewerSchema { found, known: SCHEMA_VERSION, version });
    }
    let (key, is_known) = key(config, &header, options, passphrase)?;
    let salt = BASE64_STANDARD.decode(&header.salt).unwrap_or_default();
    let opener = Opener::new(from, &key.derive(PURPOSE, &salt), digest)?;
    let content = BufReader::new(ZlibDecoder::new(opener));
    if options.check {
        let records = records::read(content, |_| Ok(()))?;
        return Ok(Restored { header, records, aside: None, key_file: None });
    }
    // The service has it already, or is given it by its administrator.
    let beside = !is_known && !options.leave_key_out && config.key_file.is_none();
    let data_dir = config.data_dir.as_path();
    make_data_dir(data_dir)?;
    let done = owner::acting(data_dir, || {
        let stage = Stage::begin(data_dir, options.force)?;
        let records = fill(&stage.path(), content)?;
        if beside {
            key.save(&stage.path().join(master_key::FILE))?;
        }
        look_through(&stage.path(), &key, &header, clock)?;
        Ok::<_, BackupError>((records, stage.put_in_place(&stamp(clock.now()))?))
    });
    let (records, aside) = done.map_err(|cause| io("act as the owner of", data_dir, cause))??;
    let key_file = match &config.key_file {
        Some(path) if !path.exists() && !options.leave_key_out => {
            put_key(&key, path, data_dir)?;
            Some(path.clone())
        }
        _ => beside.then(|| data_dir.join(master_key::FILE)),
    };
    Ok(Restored { header, records, aside, key_file })
}

/// A time as it stands in file names.
pub fn stamp(at: Timestamp) -> String {
    at.to_string().chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect::<String>() + "Z"
}

/// The key that opens it, and whether the service has it already, outside of the data directory.
fn key(
    config: &Config,
    header: &Header,
    options: &Options,
    passphrase: &mut dyn FnMut() -> Option<Secret>,
) -> Result<(MasterKey, bool), BackupError> {
    let needed = header.key_id.clone();
    let fits = |key: &MasterKey| key.id() == needed;
    if let Some(path) = config.key_file.as_deref().filter(|path| path.exists()) {
        let found = master_key::bare(path)?;
        if !fits(&found) {
            return Err(BackupError::KeyFile { path: path.to_owned(), found: found.id(), needed });
        }
    }
    let known = master_key::outside(config).into_iter().find(|key| fits(key));
    if let Some(path) = &options.key_file {
        let given = master_key::bare(path)?;
        return if fits(&given) {
            Ok((given, known.is_some()))
        } else {
            Err(BackupError::WrongKey { needed, given: given.id() })
        };
    }
    if let Some(key) = known {
        return Ok((key, true));
    }
    if let Some(key) = master_key::bare(&config.data_dir.join(master_key::FILE)).ok().filter(fits) {
        return Ok((key, false));
    }
    let Some(sealed) = &header.sealed_key else { return Err(BackupError::NoKey { id: needed, sealed: false }) };
    let Some(passphrase) = passphrase() else { return Err(BackupError::NoKey { id: needed, sealed: true }) };
    let key = sealed.open(&passphrase)?;
    if fits(&key) { Ok((key, false)) } else { Err(BackupError::WrongKey { needed, given: key.id() }) }
}

/// Makes the files of the new state.
fn fill(stage: &Path, content: impl std::io::Read) -> Result<u64, BackupError> {
    enum Target {
        Audit(FileDraft),
        State(Draft),
    }
    let mut target = None;
    let close = |target: Option<Target>| match target {
        None => Ok(()),
        Some(Target::Audit(draft)) => Ok(draft.finish()?),
        Some(Target::State(draft)) => Ok::<_, BackupError>(draft.finish()?),
    };
    let audit = stage.join(AUDIT);
    let unknown = || BackupError::Damaged("it holds something unknown".into());
    let records = records::read(content, |piece| {
        match piece {
            Piece::Database(DATABASE) => {
                close(target.take())?;
                target = Some(Target::State(Draft::create(&stage.join(DATABASE))?));
            }
            Piece::Database(name) => {
                close(target.take())?;
                let day = name.strip_prefix(AUDIT).and_then(|name| name.strip_prefix('/')).ok_or_else(unknown)?;
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&audit)
                    .map_err(|cause| io("make", &audit, cause))?;
                target = Some(Target::Audit(FileDraft::create(&audit, day)?.ok_or_else(unknown)?));
            }
            Piece::Item(item) => match &mut target {
                None => return Err(unknown()),
                Some(Target::Audit(draft)) => draft.take(item)?,
                Some(Target::State(draft)) => draft.take(item)?,
            },
        }
        Ok(())
    })?;
    close(target)?;
    Ok(records)
}

/// Opens the new state as csg will, and writes down there what was done.
fn look_through(stage: &Path, key: &MasterKey, header: &Header, clock: &Clock) -> Result<(), BackupError> {
    let store = Store::open(&stage.join(DATABASE), key)?;
    let noted = Workflow::open(store, clock.clone(), crate::workflow::KnownServices::new(), Publisher::new())
        .and_then(|workflow| workflow.note_restored(header.made_at));
    noted.map_err(|error| match error {
        crate::workflow::Error::Storage(error) => BackupError::Store(error),
        other => BackupError::Damaged(other.to_string()),
    })
}

/// Where csg has been installed, and its directory was not made yet, it becomes the service's.
fn make_data_dir(data_dir: &Path) -> Result<(), BackupError> {
    let failed = |cause| io("make", data_dir, cause);
    if data_dir.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
    if data_dir == Config::default().data_dir
        && rustix::process::geteuid().is_root()
        && let Some((uid, gid)) = service_user(&fs::read_to_string("/etc/passwd").unwrap_or_default())
    {
        chown(data_dir, Some(uid), Some(gid)).map_err(failed)?;
    }
    Ok(())
}

fn service_user(passwd: &str) -> Option<(u32, u32)> {
    let mut fields = passwd.lines().find_map(|line| line.strip_prefix("csg:"))?.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn put_key(key: &MasterKey, path: &Path, data_dir: &Path) -> Result<(), BackupError> {
    key.save(path)?;
    if let Some((uid, gid)) = owner::other_owner(data_dir).map_err(|cause| io("look at", data_dir, cause))? {
        chown(path, Some(uid.as_raw()), Some(gid.as_raw())).map_err(|cause| io("give away", path, cause))?;
    }
    Ok(())
}

fn io(what: &'static str, path: &Path, cause: std::io::Error) -> BackupError {
    BackupError::Io { what, path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_user_is_found_where_there_is_one() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\ncsg:x:998:997:Gateway:/var/lib/csg:/usr/sbin/nologin\n";
        assert_eq!(service_user(passwd), Some((998, 997)));
        assert_eq!(service_user("root:x:0:0::/:/bin/sh\ncsgx:x:1:1::/:\n"), None);
    }

    #[test]
    fn a_time_in_a_file_name_sorts_and_needs_no_quotes() {
        assert_eq!(stamp(Timestamp::from_millis(1_764_237_871_999)), "20251127T100431Z");
    }
}
