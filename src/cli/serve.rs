//! `csg serve`: runs the appliance until SIGTERM or SIGINT.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, anyhow};

use super::{ConfigArgs, terminal::print};
use crate::{
    app::{
        self, App, StopSignal,
        systemd::{self, Sockets},
    },
    clock::Clock,
};

/// Run the appliance
///
/// On an empty data directory it first does what `csg init` does, and prints a one-time set-up link instead of asking
/// for a password.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    // Until the end of this function, which writes what is on its way to the log file.
    let _logging = app::logging::start(&config.log);
    let sockets = Sockets::handed_over()?;
    let runtime = tokio::runtime::Runtime::new().context("can't start the runtime")?;
    let outcome = runtime.block_on(async {
        let mut stop = StopSignal::listen().context("can't listen for signals")?;
        let mut running = App::start(config, Clock::system(), sockets).await?;
        if let Some(token) = &running.set_up_token {
            let console = &running.console_url;
            print(format_args!(
                "Nobody can sign in yet. This link, good for an hour and once, sets the first administrator's password:\n  \
                 {console}/setup?token={}\n",
                token.expose()
            ))?;
        }
        systemd::ready(&running, Clock::system());
        let broken = tokio::select! {
            () = stop.received() => false,
            () = running.broken() => true,
        };
        systemd::stopping();
        tokio::select! {
            () = running.stop() => {}
            () = stop.received() => tracing::warn!("asked to stop twice: calls under way are cut off"),
        }
        if broken { Err(anyhow!("a part of the appliance failed: the log says why")) } else { Ok(ExitCode::SUCCESS) }
    });
    // Whatever still runs has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}
