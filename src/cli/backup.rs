//! `csg backup`: one file with everything, made while the appliance runs or not.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{
    ConfigArgs,
    input::passphrase,
    progress::{Progress, size},
    terminal::print,
};
use crate::{
    app::{self, Copied, Wrapping},
    clock::Clock,
    config::Config,
};

/// What backups in a folder are called: csg-20261127T100431Z.backup.
const BEGINNING: &str = "csg-";
const END: &str = ".backup";

/// Write a backup of everything in the database to one file
///
/// People, access requests, sealed secrets, settings, what people did, and the certificate authority, all of one moment. It is made while the service runs, and also while it is stopped, by root or the service's user.
///
/// The file is encrypted, and of no use without the master key, which is not in it: keep that apart, in two places. With --with-key it is in it, under a passphrase: then whoever has both file and passphrase has all of your secrets.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file, readable by you only; a folder, for a file in it that is named after the time; or - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also the records of calls, which may be many
    #[arg(long)]
    with_audit: bool,
    /// Also the master key, under a passphrase of 12 characters or more
    #[arg(long)]
    with_key: bool,
    /// A file with the passphrase on its first line [default: standard input]
    #[arg(long, value_name = "FILE", requires = "with_key")]
    passphrase_file: Option<PathBuf>,
    /// In a folder: keep the newest N backups, and remove older ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Say what was made as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    if args.keep.is_some() && !args.file.is_dir() {
        bail!("--keep is for a folder, and {} is none", args.file.display());
    }
    let wrapping =
        if args.with_key { Some(Wrapping::of(&passphrase(args.passphrase_file.as_deref(), true)?)?) } else { None };
    if args.file == Path::new("-") {
        if io::stdout().is_terminal() {
            bail!("a backup is nothing for a terminal: name a file, or send it on with |");
        }
        write(args, &config, wrapping, &mut io::stdout())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = if args.file.is_dir() {
        args.file.join(format!("{BEGINNING}{}{END}", app::stamp(Clock::system().now())))
    } else {
        args.file.clone()
    };
    let made = to_file(args, &config, wrapping, &path)?;
    let removed = match args.keep {
        Some(keep) => remove_old(&args.file, keep as usize)?,
        None => Vec::new(),
    };
    tell(args, &path, &made, &removed)?;
    Ok(ExitCode::SUCCESS)
}

/// The file is there whole, or as it was before.
fn to_file(args: &Args, config: &Config, wrapping: Option<Wrapping>, path: &Path) -> anyhow::Result<Copied> {
    let failed = |path: &Path| format!("can't write {}", path.display());
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        // /dev/stdout, a pipe.
        let mut file = fs::OpenOptions::new().write(true).open(path).with_context(|| failed(path))?;
        return write(args, config, wrapping, &mut file);
    }
    let draft = path.with_added_extension("part");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| failed(&draft))?,
        _ => {}
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).with_context(|| failed(path))?;
    let made = write(args, config, wrapping, &mut file).and_then(|made| {
        file.sync_all().and_then(|()| fs::rename(&draft, path)).with_context(|| failed(path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| failed(folder))?;
        Ok(made)
    });
    if made.is_err() {
        drop(fs::remove_file(&draft));
    }
    made
}

fn write(
    args: &Args,
    config: &Config,
    wrapping: Option<Wrapping>,
    to: &mut (dyn Write + Send),
) -> anyhow::Result<Copied> {
    let mut progress = Progress::of("backup");
    Ok(app::backup(config, &Clock::system(), (args.with_audit, wrapping), to, &mut |bytes| progress.at(bytes))?)
}

/// The names sort by time.
fn remove_old(folder: &Path, keep: usize) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("can't remove old backups from {}", folder.display());
    let mut backups = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        let name = entry.with_context(failed)?.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(BEGINNING)?.strip_suffix(END));
        if time.is_some_and(|time| time.len() == 16 && time.ends_with('Z')) {
            backups.push(folder.join(name));
        }
    }
    backups.sort_unstable();
    backups.truncate(backups.len().saturating_sub(keep));
    backups.iter().try_for_each(fs::remove_file).with_context(failed)?;
    Ok(backups)
}

fn tell(args: &Args, path: &Path, Copied { header, bytes }: &Copied, removed: &[PathBuf]) -> anyhow::Result<()> {
    if args.json {
        let told = json!({
            "file": path, "bytes": bytes, "made_at": header.made_at, "schema": header.schema, "key_id": header.key_id,
            "with_audit": header.with_audit, "with_key": header.sealed_key.is_some(), "removed": removed,
        });
        print(format_args!("{told}\n"))?;
        return Ok(());
    }
    let key = if header.sealed_key.is_some() {
        "It is opened with the master key, or with its passphrase"
    } else {
        "It is opened with the master key alone, which is not in it: keep that apart"
    };
    print(format_args!(
        "{} ({}) is the state of {}.\n{key} (id {}).\n",
        path.display(),
        size(*bytes),
        header.made_at,
        header.key_id
    ))?;
    Ok(())
}
