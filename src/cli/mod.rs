//! The command line: one file per subcommand. Exit status 0: done, 1: failed, 2: wrong usage.

#![expect(clippy::doc_markdown, reason = "many doc comments here are the texts of --help")]

mod audit;
mod backup;
mod ca;
mod completions;
mod connection;
mod credential;
mod demo;
mod env;
mod environment;
mod http;
mod init;
mod input;
mod login;
mod policy_group;
mod progress;
mod request;
mod rest;
mod restore;
mod serve;
mod setup_link;
mod table;
mod terminal;
mod token;
mod upgrade;
mod user;
mod version;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, Problems};

/// Gives applications access to cloud services without giving them cloud keys.
#[derive(Debug, Parser)]
#[command(name = "csg", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Args),
    Backup(backup::Args),
    Ca(ca::Args),
    Completions(completions::Args),
    Credential(credential::Args),
    Demo(demo::Args),
    Env(env::Args),
    Environment(environment::Args),
    Init(init::Args),
    Login(login::Args),
    Logout(login::LogoutArgs),
    PolicyGroup(policy_group::Args),
    Request(request::Args),
    Restore(restore::Args),
    Serve(serve::Args),
    SetupLink(setup_link::Args),
    Token(token::Args),
    Upgrade(upgrade::Args),
    User(user::Args),
    Version(version::Args),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Audit(args) => audit::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Ca(args) => ca::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Credential(args) => credential::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Env(args) => env::run(&args),
        Command::Environment(args) => environment::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Login(args) => login::run(&args),
        Command::Logout(args) => login::log_out(&args),
        Command::PolicyGroup(args) => policy_group::run(&args),
        Command::Request(args) => request::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::SetupLink(args) => setup_link::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Upgrade(args) => upgrade::run(&args),
        Command::User(args) => user::run(&args),
        Command::Version(args) => version::run(&args),
    };
    match outcome {
        Ok(status) => status,
        // Whoever reads our output has seen enough: `csg … | head`.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            terminal::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The definition of the command line, of which manual pages are made.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// For the commands that work on the machine's own configuration.
#[derive(Debug, clap::Args)]
struct ConfigArgs {
    /// The configuration file [default: /etc/csg/csg.toml, which may be absent]
    #[arg(long, value_name = "FILE", env = "CSG_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(self.read()?)
    }

    fn read(&self) -> Result<Config, Problems> {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        let borrowed = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Config::load(self.config.as_deref(), borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        definition().debug_assert();
    }
}
