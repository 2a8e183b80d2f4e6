//! `csg credential`: the real cloud credentials.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Map, Value, json};

use super::{connection::Connection, input::secret, rest::Query, table::Table};
use crate::model::{CloudId, CredentialId, EnvironmentId};

/// The real cloud credentials: their secrets go in and never come out
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Add(Add),
    List(List),
    /// Remove a credential that no access uses
    Remove(One),
    /// Show a credential, without its secret
    Show(One),
    /// Ask AWS whose a credential is: it fails if AWS does not take it
    Test(One),
    Update(Update),
}

/// Add a credential: its secret is read from a file or standard input
#[derive(Debug, clap::Args)]
struct Add {
    /// A name for people
    name: String,
    /// The access key's id
    #[arg(long, value_name = "ID")]
    access_key_id: String,
    #[command(flatten)]
    secret: SecretFile,
    #[command(flatten)]
    environments: Environments,
    /// The cloud
    #[arg(long, default_value = "aws", value_parser = |text: &str| CloudId::new(text))]
    cloud: CloudId,
}

/// List credentials
#[derive(Debug, clap::Args)]
struct List {
    /// That may be used in this environment
    #[arg(long, value_parser = |text: &str| EnvironmentId::new(text))]
    environment: Option<EnvironmentId>,
}

/// Change a credential; what is not named stays as it is
///
/// With --access-key-id the new secret is read too, from a file or standard input.
#[derive(Debug, clap::Args)]
struct Update {
    #[command(flatten)]
    credential: One,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// The new access key's id
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    #[command(flatten)]
    secret: SecretFile,
    #[command(flatten)]
    environments: Environments,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The credential's id
    #[arg(value_name = "CREDENTIAL", value_parser = |text: &str| CredentialId::new(text))]
    id: CredentialId,
}

#[derive(Debug, clap::Args)]
struct SecretFile {
    /// A file with the secret access key on its first line [default: standard input]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Environments {
    /// An environment in which it may be picked at approval; may be repeated
    #[arg(long = "environment", value_name = "ENVIRONMENT", value_parser = |text: &str| EnvironmentId::new(text))]
    environments: Vec<EnvironmentId>,
}

impl SecretFile {
    fn read(&self) -> anyhow::Result<crate::secret::Secret> {
        secret(self.secret_file.as_deref(), "secret access key", "--secret-file FILE")
    }
}

const COLUMNS: [(&str, &str); 6] = [
    ("id", "id"),
    ("name", "name"),
    ("cloud", "cloud"),
    ("key", "access_key_id"),
    ("environments", "environments"),
    ("added", "created_at"),
];

/// What AWS says of a credential.
const SAID: [(&str, &str); 4] =
    [("account", "account"), ("arn", "arn"), ("user id", "user_id"), ("asked", "checked_at")];

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = &args.connection;
    let rest = to.rest()?;
    match &args.command {
        Command::Add(add) => {
            let secret = add.secret.read()?;
            let body = json!({
                "name": add.name, "cloud": add.cloud, "kind": "static", "access_key_id": add.access_key_id,
                "secret_access_key": secret.expose(), "environments": add.environments.environments,
            });
            to.show(&rest.post("/credentials", &body)?, facts)?;
        }
        Command::List(list) => {
            let query = Query::new().with("environment", list.environment.as_ref());
            let all = rest.list("/credentials", &query, None)?;
            to.show(&all, |all| Table::of(all, &COLUMNS, "There is no credential."))?;
        }
        Command::Remove(One { id }) => {
            rest.delete(&format!("/credentials/{id}"))?;
            to.tell(&json!({ "removed": id }), &format!("{id} is removed."))?;
        }
        Command::Show(One { id }) => to.show(&rest.get(&format!("/credentials/{id}"))?, facts)?,
        Command::Test(One { id }) => {
            let said = rest.post(&format!("/credentials/{id}/test"), &Value::Null)?;
            to.show(&said, |said| Table::facts(said, &SAID))?;
        }
        Command::Update(update) => {
            let path = format!("/credentials/{}", update.credential.id);
            to.show(&rest.patch(&path, &update.json()?)?, facts)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Update {
    fn json(&self) -> anyhow::Result<Value> {
        let mut change = Map::new();
        if let Some(name) = &self.name {
            change.insert("name".into(), json!(name));
        }
        if let Some(id) = &self.access_key_id {
            change.insert("access_key_id".into(), json!(id));
        }
        if self.access_key_id.is_some() || self.secret.secret_file.is_some() {
            change.insert("secret_access_key".into(), json!(self.secret.read()?.expose()));
        }
        if !self.environments.environments.is_empty() {
            change.insert("environments".into(), json!(self.environments.environments));
        }
        Ok(Value::Object(change))
    }
}

fn facts(credential: &Value) -> Table {
    Table::facts(credential, &COLUMNS)
}
