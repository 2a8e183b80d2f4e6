//! `csg version`: what is running, for people and for bug reports.

use std::process::ExitCode;

use serde_json::json;

use super::terminal::print;
use crate::store::SCHEMA_VERSION;

/// Say which version this is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Set by whoever builds a release; a build from a plain source tree has none.
const COMMIT: Option<&str> = option_env!("CSG_COMMIT");

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        print(format_args!("{}\n", json!({ "version": version, "commit": COMMIT, "schema": SCHEMA_VERSION })))?;
    } else {
        let commit = COMMIT.map(|commit| format!(", commit {commit}")).unwrap_or_default();
        print(format_args!("csg {version} (database schema {SCHEMA_VERSION}{commit})\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
