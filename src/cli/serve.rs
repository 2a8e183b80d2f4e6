//! `csg serve`: runs the appliance until SIGTERM or SIGINT. SIGHUP has it read its configuration again.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, anyhow};

use super::{ConfigArgs, terminal::print};
use crate::{
    app::{
        self, App, Ending, Running, Signals,
        handover::{self, Predecessor, Role},
        systemd::Sockets,
    },
    clock::Clock,
};

/// Run the appliance
///
/// On an empty data directory it first does what `csg init` does, and prints a one-time set-up link instead of asking
/// for a password. SIGHUP has it read its configuration again; SIGTERM and SIGINT end it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match handover::role()? {
        Role::Courier => Ok(ExitCode::SUCCESS),
        Role::First => serve(args, None),
        Role::Successor(predecessor) => {
            let complaint = predecessor.complaint()?;
            serve(args, Some(predecessor)).inspect_err(|error| complaint.tell(format!("{error:#}")))
        }
    }
}

fn serve(args: &Args, predecessor: Option<Predecessor>) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    // Until the end of this function, which writes what is on its way to the log file.
    let logging = app::logging::start(&config.log);
    let read = || {
        logging.reopen();
        args.config.read()
    };
    let sockets = Sockets::handed_over()?;
    let runtime = tokio::runtime::Runtime::new().context("can't start the runtime")?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen().context("can't listen for signals")?;
        let running = match predecessor {
            None => App::start(config, Clock::system(), sockets).await?,
            Some(predecessor) => App::take_over(config, Clock::system(), predecessor).await?,
        };
        tell_link(&running)?;
        match running.live(&mut signals, read).await {
            Ending::Asked => Ok(ExitCode::SUCCESS),
            Ending::Broken => Err(anyhow!("a part of the appliance failed: the log says why")),
        }
    });
    // Whatever still runs has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

fn tell_link(running: &Running) -> anyhow::Result<()> {
    let Some(token) = &running.set_up_token else { return Ok(()) };
    let console = &running.console_url;
    print(format_args!(
        "Nobody can sign in yet. This link, good for an hour and once, sets the first administrator's password:\n  \
         {console}/setup?token={}\n",
        token.expose()
    ))?;
    Ok(())
}
