//! `csg init`: prepares a data directory without asking anything.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use serde_json::json;

use super::{ConfigArgs, terminal::print};
use crate::{app, clock::Clock, model::UserName, secret::Secret};

/// Prepare a data directory: database, certificate authority, first administrator
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The first administrator's sign-in name
    #[arg(long, value_name = "NAME", value_parser = |text: &str| UserName::new(text))]
    admin: UserName,
    /// A file with the administrator's password on its first line [or the variable CSG_ADMIN_PASSWORD]
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Say what was made as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let password = args.password()?;
    let fingerprint = app::initialise(&config, &args.admin, &password, &Clock::system())?;
    if args.json {
        let made = json!({ "data_dir": config.data_dir, "admin": args.admin, "ca_fingerprint_sha256": fingerprint });
        print(format_args!("{made}\n"))?;
    } else {
        print(format_args!(
            "{} is ready; {} can sign in once `csg serve` runs.\nCA certificate, SHA-256: {fingerprint}\n",
            config.data_dir.display(),
            args.admin
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn password(&self) -> anyhow::Result<Secret> {
        let password = match &self.admin_password_file {
            Some(path) => {
                let text =
                    Secret::new(fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?);
                Secret::new(text.expose().lines().next().unwrap_or_default())
            }
            None => match std::env::var("CSG_ADMIN_PASSWORD") {
                Ok(text) => Secret::new(text),
                Err(_) => {
                    bail!("give the administrator's password with --admin-password-file FILE or CSG_ADMIN_PASSWORD")
                }
            },
        };
        if password.expose().is_empty() {
            bail!("the administrator's password is empty");
        }
        Ok(password)
    }
}
