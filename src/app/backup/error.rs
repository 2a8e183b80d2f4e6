//! Why there is no backup, or why it was not put back. Each error is one line that says what to do.

use std::{io, path::PathBuf};

use crate::{
    audit,
    store::{self, advice},
};

/// Why there is no backup, or why it was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The audit files.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// Altered, or cut short.
    #[error("the backup is damaged or was cut short ({0}); nothing was changed: take another one")]
    Damaged(String),
    /// A file can't be made, read or moved.
    #[error("can't {what} {}: {}", path.display(), advice(cause))]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The key file that the configuration names holds another key.
    #[error(
        "secrets.key_file: {} holds master key {found}, and the backup needs {needed}: put that one there, or name \
         another file", path.display()
    )]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// The id of the key in it.
        found: String,
        /// The id of the key that is needed.
        needed: String,
    },
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] store::MasterKeyError),
    /// The backup is of a version to come.
    #[error(
        "the backup has format {0}, which this version of csg does not know: install the version that made it, or a newer one"
    )]
    NewerFormat(String),
    /// The database in the backup is of a version to come.
    #[error(
        "the backup holds a database of schema {found}, and this version of csg knows up to {known}: install the version \
         that made it ({version}), or a newer one"
    )]
    NewerSchema {
        /// The schema in the backup.
        found: u32,
        /// The newest that is known.
        known: u32,
        /// The version of csg that made it.
        version: String,
    },
    /// Nothing is there that opens it.
    #[error("the backup needs the master key {id}: give the file that holds it with --key-file FILE{}", if *.sealed {
        ", or its passphrase with --passphrase-file FILE"
    } else { "" })]
    NoKey {
        /// The id of the key.
        id: String,
        /// Is it in the backup, under a passphrase?
        sealed: bool,
    },
    /// A passphrase for a backup that has none.
    #[error("the backup was made without a passphrase: give the master key with --key-file FILE")]
    NoPassphrase,
    /// Some other file.
    #[error("{0} is no backup of csg: name a file that `csg backup` made")]
    NotABackup(String),
    /// There is something already.
    #[error("data_dir: {} is not empty: with --force, what is in it is kept aside, and the backup takes its place", .0.display())]
    NotEmpty(PathBuf),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// The backup can't be read.
    #[error("can't read the backup: {}", advice(.0))]
    Read(#[source] io::Error),
    /// A csg runs there.
    #[error("csg runs on {}: stop it first (`systemctl stop csg.service csg.socket`)", .0.display())]
    Running(PathBuf),
    /// The state.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Another restore, or one that is being completed.
    #[error("something else restores {} at this moment: wait until it is done", .0.display())]
    UnderWay(PathBuf),
    /// The backup can't be written.
    #[error("can't write the backup: {}", advice(.0))]
    Write(#[source] io::Error),
    /// Another key than the one it was sealed with.
    #[error("the backup needs the master key {needed}, and the one that was given is {given}")]
    WrongKey {
        /// The id of the key that is needed.
        needed: String,
        /// The id of the key that was given.
        given: String,
    },
    /// Another passphrase than the one it was sealed with.
    #[error("the passphrase is not the one that the backup was made with")]
    WrongPassphrase,
}
