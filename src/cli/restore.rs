//! `csg restore`: a backup becomes the state, whole or not at all.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use serde_json::json;

use super::{
    ConfigArgs,
    input::passphrase,
    progress::{Counted, Progress},
    terminal::print,
};
use crate::{
    app::{self, RestoreOptions, Restored, WentBack},
    clock::{Clock, Timestamp},
    config::Config,
};

/// Put back a backup that csg backup made
///
/// The service must not run. The backup is read and verified to its end before anything is changed, and then takes the place of what is there in one step, which is completed by the next start if the machine stops in the middle. Older schemas are brought forward; newer ones are refused.
///
/// The master key is looked for where the service has it, unless --key-file names it. Sessions end; access that was taken back since the backup was made is there again: look through it.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Args {
    /// The backup; or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "before_upgrade")]
    file: Option<PathBuf>,
    /// Instead of a backup: go back to the database that was kept when a newer version changed its schema
    #[arg(long, conflicts_with_all = ["file", "check", "force", "key_file", "leave_key_out", "passphrase_file"])]
    before_upgrade: bool,
    /// Only verify it, and say what is in it
    #[arg(long, conflicts_with = "force")]
    check: bool,
    /// Also where there is a state already; it is kept in a folder beside the new one
    #[arg(long)]
    force: bool,
    /// The file that holds the master key of the backup
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Don't put the master key into the data directory: the service is given it otherwise, as a credential of systemd's
    #[arg(long)]
    leave_key_out: bool,
    /// For a backup that was made --with-key: a file with the passphrase on its first line [default: standard input]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Say what was put back as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let Some(path) = &args.file else { return go_back(args, &config) };
    let is_piped = path == Path::new("-");
    let file: Box<dyn BufRead + Send> = if is_piped {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let failed = || format!("can't read {}", path.display());
        let file = File::open(path).with_context(failed)?;
        if file.metadata().with_context(failed)?.is_dir() {
            anyhow::bail!("{} is a folder: name one of the backups in it", path.display());
        }
        Box::new(BufReader::new(file))
    };
    let options = RestoreOptions {
        check: args.check,
        force: args.force,
        key_file: args.key_file.clone(),
        leave_key_out: args.leave_key_out,
    };
    let mut failure = None;
    let mut ask = || {
        if is_piped && args.passphrase_file.is_none() {
            return None;
        }
        passphrase(args.passphrase_file.as_deref(), false).map_err(|error| failure = Some(error)).ok()
    };
    let name = path.display().to_string();
    let mut from = Counted::new(file, Progress::of("restore"));
    let restored = app::restore(&config, (&mut from, &name), &options, &mut ask, &Clock::system());
    drop(from);
    let restored = match (restored, failure) {
        (Err(_), Some(failure)) => return Err(failure),
        (restored, _) => restored?,
    };
    tell(args, &name, &config, &restored)?;
    Ok(ExitCode::SUCCESS)
}

fn go_back(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let WentBack { of, schema, aside } = app::go_back(config, &Clock::system())?;
    if args.json {
        let told = json!({
            "data_dir": config.data_dir, "restored": true, "made_at": of, "schema": schema, "kept_aside": aside,
        });
        print(format_args!("{told}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(format_args!("{} holds the state of {of} now, from before the upgrade.\n", config.data_dir.display()))?;
    if let Some(aside) = aside {
        print(format_args!("What the newer version has written is kept in {}, for a month.\n", aside.display()))?;
    }
    look_through(of)?;
    Ok(ExitCode::SUCCESS)
}

fn look_through(of: Timestamp) -> io::Result<()> {
    print(format_args!(
        "Everybody has to sign in again. Access that was taken back since {of} is there again: look through it.\n"
    ))
}

fn tell(args: &Args, name: &str, config: &Config, restored: &Restored) -> io::Result<()> {
    let Restored { header, records, aside, key_file } = restored;
    if args.json {
        let told = json!({
            "data_dir": config.data_dir, "restored": !args.check, "made_at": header.made_at, "version": header.version,
            "schema": header.schema, "key_id": header.key_id, "with_audit": header.with_audit, "records": records,
            "kept_aside": aside, "key_file": key_file,
        });
        return print(format_args!("{told}\n"));
    }
    let at = header.made_at;
    if args.check {
        return print(format_args!(
            "{} is whole: the state of {at}, {records} records, schema {}, of csg {}.\n",
            name, header.schema, header.version
        ));
    }
    print(format_args!("{} holds the state of {at} now: {records} records.\n", config.data_dir.display()))?;
    if let Some(key_file) = key_file {
        print(format_args!("The master key is in {}.\n", key_file.display()))?;
    }
    if let Some(aside) = aside {
        print(format_args!("What was there is kept in {}: remove it once all is well.\n", aside.display()))?;
    }
    look_through(at)
}
