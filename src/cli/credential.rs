//! `csg credential`: the real cloud credentials.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Map, Value, json};

use super::{connection::Connection, input::secret, rest::Query, table::Table};
use crate::model::{CloudId, CredentialId, EnvironmentId, RoleArn};

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

/// Add a credential: a key, or a role that the gateway assumes with another credential
///
/// The secret of a key is read from a file or standard input. A role has none: the gateway asks AWS for its sessions.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("keys").required(true).args(["access_key_id", "role_arn"]))]
struct Add {
    /// A name for people
    name: String,
    /// The access key's id
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    #[command(flatten)]
    secret: SecretFile,
    /// The role that the gateway is to assume
    #[arg(long, value_name = "ARN", value_parser = |text: &str| RoleArn::new(text), requires = "source_credential")]
    role_arn: Option<RoleArn>,
    #[command(flatten)]
    role: Role,
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
    /// Another role that the gateway is to assume
    #[arg(long, value_name = "ARN", value_parser = |text: &str| RoleArn::new(text))]
    #[arg(conflicts_with_all = OF_KEYS)]
    role_arn: Option<RoleArn>,
    #[command(flatten)]
    role: Role,
    /// Assume the role without an external id
    #[arg(long, conflicts_with_all = OF_KEYS, conflicts_with = "external_id")]
    no_external_id: bool,
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

/// What goes with a role, and never with a key.
#[derive(Debug, clap::Args)]
struct Role {
    /// The credential that may assume the role
    #[arg(long, value_name = "ID", value_parser = |text: &str| CredentialId::new(text), conflicts_with_all = OF_KEYS)]
    source_credential: Option<CredentialId>,
    /// What the role's trust policy demands as sts:ExternalId
    #[arg(long, value_name = "TEXT", conflicts_with_all = OF_KEYS)]
    external_id: Option<String>,
    /// How long each session of the role lasts, 15m to 12h; 1h if it was never told
    #[arg(long, value_name = "SPAN", conflicts_with_all = OF_KEYS)]
    session_duration: Option<String>,
}

const OF_KEYS: [&str; 2] = ["access_key_id", "secret_file"];

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
    ("key or role", KEY_OR_ROLE),
    ("environments", "environments"),
    ("added", "created_at"),
];

/// The one of the two that a credential has, for a column: no field of the API's.
const KEY_OR_ROLE: &str = "key_or_role";

const FACTS: [(&str, &str); 10] = [
    ("id", "id"),
    ("name", "name"),
    ("cloud", "cloud"),
    ("key", "access_key_id"),
    ("role", "role_arn"),
    ("assumed with", "source_credential"),
    ("external id", "external_id"),
    ("session duration", "session_duration"),
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
            to.show(&rest.post("/credentials", &add.json()?)?, facts)?;
        }
        Command::List(list) => {
            let query = Query::new().with("environment", list.environment.as_ref());
            let all = rest.list("/credentials", &query, None)?;
            to.show(&all, |all| Table::of(&with_key_or_role(all), &COLUMNS, "There is no credential."))?;
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

impl Add {
    fn json(&self) -> anyhow::Result<Value> {
        let mut new = Map::new();
        new.insert("name".into(), json!(self.name));
        new.insert("cloud".into(), json!(self.cloud));
        new.insert("environments".into(), json!(self.environments.environments));
        if let Some(role_arn) = &self.role_arn {
            new.insert("kind".into(), json!("role"));
            new.insert("role_arn".into(), json!(role_arn));
            self.role.write(&mut new);
        } else {
            new.insert("kind".into(), json!("static"));
            new.insert("access_key_id".into(), json!(self.access_key_id));
            new.insert("secret_access_key".into(), json!(self.secret.read()?.expose()));
        }
        Ok(Value::Object(new))
    }
}

impl Role {
    /// What is named of it.
    fn write(&self, object: &mut Map<String, Value>) {
        let told = [
            ("source_credential", self.source_credential.as_ref().map(CredentialId::as_str)),
            ("external_id", self.external_id.as_deref()),
            ("session_duration", self.session_duration.as_deref()),
        ];
        object.extend(told.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?)))));
    }
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
        if let Some(role_arn) = &self.role_arn {
            change.insert("role_arn".into(), json!(role_arn));
        }
        self.role.write(&mut change);
        if self.no_external_id {
            change.insert("external_id".into(), Value::Null);
        }
        if !self.environments.environments.is_empty() {
            change.insert("environments".into(), json!(self.environments.environments));
        }
        Ok(Value::Object(change))
    }
}

fn facts(credential: &Value) -> Table {
    Table::facts(credential, &FACTS)
}

fn with_key_or_role(all: &Value) -> Value {
    let mut all = all.clone();
    for credential in all.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let told = ["access_key_id", "role_arn"].map(|field| credential.get(field).cloned());
        let told = told.into_iter().flatten().find(|value| !value.is_null());
        credential.insert(KEY_OR_ROLE.into(), told.unwrap_or_default());
    }
    all
}
