//! `csg upgrade`: has the running gateway go on as this executable, without a call that fails or is cut.

use std::{fs::File, path::PathBuf, process::ExitCode};

use anyhow::{Context, anyhow};

use super::{ConfigArgs, terminal::print};
use crate::app::handover::{self, Answer, AskError};

/// Nobody was there who could hand over: a restart will do.
const NOBODY: u8 = 3;

/// Let the running gateway go on as this executable
///
/// The new process takes the ports and the state over; the old one finishes the calls that it has, for as long as
/// gateway.drain says. No call fails. If the new process can't start, the old one goes on, and the exit status is 1. Exit
/// status 3: no gateway is running here that could hand over. To be run by the gateway's user or by root, with the
/// gateway's configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Another executable than this one
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    // Whether anybody is there comes first: if not, nothing else matters.
    let asked = handover::reach(&config.data_dir).map_err(anyhow::Error::from).and_then(|reached| {
        let path = args.executable.clone().unwrap_or_else(|| "/proc/self/exe".into());
        let executable = File::open(&path).with_context(|| format!("can't open {}", path.display()))?;
        Ok(reached.ask(&executable)?)
    });
    match asked {
        Ok(Answer::Over { process, version }) => {
            print(format_args!("Version {version} has taken over, as process {process}.\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Answer::GoesOn { reason }) => Err(anyhow!("the running gateway goes on as it is: {reason}")),
        Err(error) if matches!(error.downcast_ref(), Some(AskError::Nobody)) => {
            super::terminal::complain(&error.to_string());
            Ok(ExitCode::from(NOBODY))
        }
        Err(error) => Err(error),
    }
}
