//! The master key: outside the database, so that a stolen database or backup gives no secret away.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::{Zeroize as _, ZeroizeOnDrop};

use super::advice;

const LENGTH: usize = 32;

/// The key that seals every secret in the database; wiped from memory when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MasterKey([u8; LENGTH]);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The key file could not be made or read.
    #[error("can't {what} the master key file {}: {}", path.display(), advice(source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A key of another length.
    #[error(
        "a master key has 32 bytes, this one has {0}: make one with `head -c 32 /dev/urandom`, or put back the right one"
    )]
    Length(usize),
    /// The key file of another length.
    #[error("the master key file {} must hold 32 bytes, but holds {length}: put back the right one from its backup", path.display())]
    FileLength {
        /// The file.
        path: PathBuf,
        /// How many bytes it has, at least.
        length: usize,
    },
    /// Others can read the key file.
    #[error("others can read the master key file {0}: run `chmod 600 {0}`", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
    },
    /// The key file is another user's.
    #[error(
        "the master key file {} belongs to another user (its owner is number {owner}, csg runs as number {me}): run \
         `chown {me} {}`, or run csg as its owner", path.display(), path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        me: u32,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a master key")]
    Random,
}

impl MasterKey {
    /// Takes the bytes that somebody else keeps: a systemd credential.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MasterKeyError> {
        bytes.try_into().map(Self).map_err(|_| MasterKeyError::Length(bytes.len()))
    }

    /// Reads the key file.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::Io { what: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(MasterKeyError::Mode { path: path.to_owned() });
        }
        // Who owns a file can change it, and with it the key under which the next secret is sealed.
        let me = rustix::process::geteuid().as_raw();
        if about.uid() != me && about.uid() != 0 {
            return Err(MasterKeyError::Owner { path: path.to_owned(), owner: about.uid(), me });
        }
        // Room for one byte more than a key has: a longer file is seen as such, and no copy of the key is left behind
        // by a vector that grows.
        let (mut buffer, mut length) = ([0; LENGTH + 1], 0);
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match (&file).read(rest) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let key = match buffer.first_chunk() {
            Some(key) if length == LENGTH => Ok(Self(*key)),
            _ => Err(MasterKeyError::FileLength { path: path.to_owned(), length }),
        };
        buffer.zeroize();
        key
    }

    /// Makes a new key and its file, which only its owner can read. An existing file is never replaced.
    pub fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let mut key = Self([0; LENGTH]);
        SystemRandom::new().fill(&mut key.0).map_err(|_| MasterKeyError::Random)?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |source| MasterKeyError::Io { what: "make", path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        key.save(path)?;
        Ok(key)
    }

    /// Puts the key into a new file, which only its owner can read. An existing file is never replaced.
    pub fn save(&self, path: &Path) -> Result<(), MasterKeyError> {
        let failed = |source| MasterKeyError::Io { what: "make", path: path.to_owned(), source };
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Written whole under another name first: a crash must not leave half a key behind. A link, unlike a rename,
        // replaces nothing.
        let draft = path.with_extension(format!("new-{}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| file.write_all(&self.0).and_then(|()| file.sync_all()))
            .and_then(|()| fs::hard_link(&draft, path));
        let removed = fs::remove_file(&draft);
        written.and(removed).and_then(|()| File::open(directory)?.sync_all()).map_err(failed)
    }

    /// Reads the key file, or makes it if there is none and `create` says so.
    ///
    /// `create` only together with a new database: a new key would fit no old one.
    pub fn read_or_create(path: &Path, create: bool) -> Result<Self, MasterKeyError> {
        if create && !path.exists() { Self::create(path) } else { Self::read(path) }
    }

    /// The key itself: for whoever seals it, and means it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[master key]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_for_its_owner_alone_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/master.key");
        let key = MasterKey::read_or_create(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(MasterKey::read_or_create(&path, true).unwrap().0, key.0);
        assert!(MasterKey::create(&path).is_err());
        assert_eq!(MasterKey::read(&path).unwrap().0, key.0);
        assert!(MasterKey::read_or_create(&directory.path().join("none"), false).is_err());
    }

    #[test]
    fn says_what_to_do_with_a_file_that_will_not_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, [1; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = MasterKey::read(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        for length in [0, 31, 33, 100] {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            fs::write(&path, vec![1; length]).unwrap();
            assert!(matches!(MasterKey::read(&path), Err(MasterKeyError::FileLength { .. })), "{length}");
        }
        assert!(matches!(MasterKey::from_bytes(&[0; 31]), Err(MasterKeyError::Length(31))));
    }
}
