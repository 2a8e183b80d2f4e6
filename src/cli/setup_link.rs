//! `csg setup-link`: the one-time link with which the first administrator begins.

use std::process::ExitCode;

use serde_json::json;

use super::{ConfigArgs, terminal::print};
use crate::{
    app::{self, Answer, Question},
    clock::Clock,
};

/// Print a new one-time link that sets the first administrator's password
///
/// It works for an hour and once, and makes links that were printed before void. Only root and the service's user can run this, on the gateway's machine, whether the service runs or not. Once somebody can sign in there are no links any more.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let answer = app::ask(&config, &Clock::system(), &Question::SetUpLink)?;
    let Answer::Link { url, until, running } = answer else { anyhow::bail!("the csg that runs there gave no link") };
    if args.json {
        let told = json!({ "url": url.as_str(), "expires_at": until, "running": running });
        print(format_args!("{told}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(format_args!(
        "This link, good until {until} and once, sets the first administrator's password:\n  {}\n",
        url.as_str()
    ))?;
    if !running {
        print("It works once csg runs: `systemctl start csg.service`, or `csg serve`.\n")?;
    }
    Ok(ExitCode::SUCCESS)
}
