//! Secrets that a command is given: from a file, a variable or standard input, never from its arguments, which others
//! on the machine can read.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::secret::Secret;

/// Where a password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordArgs {
    /// A file with the password on its first line [default: the variable CSG_PASSWORD, then standard input]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    pub(super) fn read(&self) -> anyhow::Result<Secret> {
        let variable = std::env::var("CSG_PASSWORD").ok().filter(|text| !text.is_empty()).map(Secret::new);
        match (&self.password_file, variable) {
            (None, Some(password)) => Ok(password),
            (file, _) => secret(file.as_deref(), "password", "--password-file FILE"),
        }
    }
}

/// The first line of the file or, without one, of standard input; a terminal is asked, and shows nothing of it.
pub(super) fn secret(file: Option<&Path>, what: &str, option: &str) -> anyhow::Result<Secret> {
    let text = match file {
        Some(path) => Secret::new(fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?),
        None => typed(what)?,
    };
    let line = Secret::new(text.expose().lines().next().unwrap_or_default());
    if line.expose().is_empty() {
        bail!("there is no {what}: give it on standard input, or with {option}");
    }
    Ok(line)
}

/// A passphrase; a `new` one is asked for twice where it is typed, as nothing could be done about a slip later.
pub(super) fn passphrase(file: Option<&Path>, new: bool) -> anyhow::Result<Secret> {
    const SHORTEST: usize = 12;
    let given = secret(file, "passphrase", "--passphrase-file FILE")?;
    if !new {
        return Ok(given);
    }
    if given.expose().chars().count() < SHORTEST {
        bail!("the passphrase is too short: take {SHORTEST} characters or more, a few words say");
    }
    if file.is_none() && io::stdin().is_terminal() && secret(None, "the same again", "--passphrase-file FILE")? != given
    {
        bail!("these were two different passphrases: try again");
    }
    Ok(given)
}

fn typed(what: &str) -> anyhow::Result<Secret> {
    let input = io::stdin();
    let mut line = String::new();
    if !input.is_terminal() {
        input.lock().read_line(&mut line).context("can't read standard input")?;
        return Ok(Secret::new(line));
    }
    let before = tcgetattr(&input).context("can't ask on this terminal")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    write!(io::stderr(), "{what}: ")?;
    tcsetattr(&input, OptionalActions::Flush, &silent).context("can't ask on this terminal")?;
    let read = input.lock().read_line(&mut line);
    tcsetattr(&input, OptionalActions::Flush, &before).context("can't show what is typed again: run `reset`")?;
    writeln!(io::stderr())?;
    read.context("can't read what was typed")?;
    Ok(Secret::new(line))
}
