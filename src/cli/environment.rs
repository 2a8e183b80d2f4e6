//! `csg environment`: where people work.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{
    connection::Connection,
    rest::{Query, Rest},
    table::Table,
};
use crate::model::{AccountId, CredentialId, EnvironmentId};

/// Environments: where people work, with the credentials that may be used there
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add an environment
    Create {
        #[command(flatten)]
        environment: One,
        #[command(flatten)]
        what: What,
    },
    /// List the environments that you work in
    List,
    /// Remove an environment that is not in use
    Remove(One),
    /// Show an environment
    Show(One),
    /// Change an environment; what is not named stays as it is
    Update {
        #[command(flatten)]
        environment: One,
        #[command(flatten)]
        what: What,
    },
}

#[derive(Debug, clap::Args)]
struct One {
    /// The environment's slug
    #[arg(value_name = "ENVIRONMENT", value_parser = |text: &str| EnvironmentId::new(text))]
    id: EnvironmentId,
}

#[derive(Debug, clap::Args)]
struct What {
    /// The name that people see [default for a new one: its slug]
    #[arg(long)]
    name: Option<String>,
    /// A credential that may be picked at approval; may be repeated
    #[arg(long = "credential", value_name = "ID", value_parser = |text: &str| CredentialId::new(text))]
    credentials: Vec<CredentialId>,
    /// A cloud account that may be addressed, any if none is named; may be repeated
    #[arg(long = "account", value_name = "ACCOUNT", value_parser = |text: &str| AccountId::new(text))]
    accounts: Vec<AccountId>,
    /// Let any account be addressed again
    #[arg(long, conflicts_with = "accounts")]
    any_account: bool,
}

impl What {
    fn json(&self) -> Map<String, Value> {
        let lists = [("credentials", json!(self.credentials)), ("accounts", json!(self.accounts))];
        let given = lists.into_iter().filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()));
        let any = self.any_account.then(|| ("accounts", json!([])));
        given
            .chain(any)
            .chain(self.name.iter().map(|name| ("name", json!(name))))
            .map(|(key, value)| (key.into(), value))
            .collect()
    }
}

const COLUMNS: [(&str, &str); 5] =
    [("id", "id"), ("name", "name"), ("credentials", "credentials"), ("accounts", "accounts"), ("added", "created_at")];

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = &args.connection;
    let rest = to.rest()?;
    match &args.command {
        Command::Create { environment, what } => to.show(&create(&rest, environment, what)?, facts)?,
        Command::List => {
            let all = rest.list("/environments", &Query::new(), None)?;
            to.show(&all, |all| Table::of(all, &COLUMNS, "There is no environment that you work in."))?;
        }
        Command::Remove(One { id }) => {
            rest.delete(&format!("/environments/{id}"))?;
            to.tell(&json!({ "removed": id }), &format!("{id} is removed."))?;
        }
        Command::Show(One { id }) => to.show(&rest.get(&format!("/environments/{id}"))?, facts)?,
        Command::Update { environment: One { id }, what } => {
            to.show(&rest.patch(&format!("/environments/{id}"), &Value::Object(what.json()))?, facts)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(rest: &Rest, One { id }: &One, what: &What) -> anyhow::Result<Value> {
    let mut body = what.json();
    body.insert("id".into(), json!(id));
    body.entry("name").or_insert_with(|| json!(id));
    rest.post("/environments", &Value::Object(body))
}

fn facts(environment: &Value) -> Table {
    Table::facts(environment, &COLUMNS)
}
