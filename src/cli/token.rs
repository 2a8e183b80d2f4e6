//! `csg token`: API tokens, for programs.

use std::process::ExitCode;

use serde_json::json;

use super::{
    connection::Connection,
    rest::{Query, text},
    table::Table,
    terminal::print,
};

/// API tokens of your own, for programs that act as you
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token: it is printed this once, and nothing else is
    Create {
        /// What it is for
        name: String,
        /// How long it works, such as 30d; at most 366d [default: 90d]
        #[arg(long)]
        duration: Option<String>,
    },
    /// List your tokens
    List,
    /// End a token
    Remove {
        /// The token's id, which is not the token
        #[arg(value_name = "ID", value_parser = id)]
        id: String,
    },
}

fn id(text: &str) -> Result<String, &'static str> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fits { Ok(text.to_owned()) } else { Err("not a token's id: `csg token list` shows them") }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = &args.connection;
    let rest = to.rest()?;
    match &args.command {
        Command::Create { name, duration } => {
            let made = rest.post("/tokens", &json!({ "name": name, "duration": duration }))?;
            if to.json { print(format_args!("{made}\n"))? } else { print(format_args!("{}\n", text(&made, "token")?))? }
        }
        Command::List => {
            let columns = [("id", "id"), ("name", "name"), ("made", "created_at"), ("until", "expires_at")];
            let all = rest.list("/tokens", &Query::new(), None)?;
            to.show(&all, |all| Table::of(all, &columns, "You have no API token."))?;
        }
        Command::Remove { id } => {
            rest.delete(&format!("/tokens/{id}"))?;
            to.tell(&json!({ "removed": id }), &format!("{id} no longer works."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
