//! `csg user`: people and their roles.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    connection::Connection,
    input::PasswordArgs,
    rest::{Query, Rest},
    table::Table,
};
use crate::model::UserName;

/// People: add, list, disable, give roles
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add a person
    Add {
        #[command(flatten)]
        user: One,
        #[command(flatten)]
        roles: RoleArgs,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Lock a person out: their sessions end and their keys stop working
    Disable(One),
    /// Let a person in again
    Enable(One),
    /// List people
    List,
    /// Give a person a new password, which ends their sessions
    ResetPassword {
        #[command(flatten)]
        user: One,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Take away the second factor of a person who has lost it, which ends their sessions
    ResetSecondFactor(One),
    /// Give a person these roles, instead of those they have; none to take all away
    Roles {
        #[command(flatten)]
        user: One,
        #[command(flatten)]
        roles: RoleArgs,
    },
    /// Show a person
    Show(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The user name
    #[arg(value_name = "NAME", value_parser = |text: &str| UserName::new(text))]
    name: UserName,
}

#[derive(Debug, clap::Args)]
struct RoleArgs {
    /// admin, approver, auditor or developer, with @ENVIRONMENT behind it if it counts only there; may be repeated
    #[arg(long = "role", value_name = "ROLE[@ENVIRONMENT]")]
    roles: Vec<String>,
}

impl RoleArgs {
    fn json(&self) -> Value {
        let role = |text: &String| match text.split_once('@') {
            Some((role, environment)) => json!({ "role": role, "environment": environment }),
            None => json!({ "role": text, "environment": null }),
        };
        self.roles.iter().map(role).collect()
    }
}

const COLUMNS: [(&str, &str); 4] =
    [("name", "username"), ("roles", "roles"), ("disabled", "disabled"), ("added", "created_at")];

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = &args.connection;
    let rest = to.rest()?;
    let change = |One { name }: &One, change: Value| -> anyhow::Result<()> {
        to.show(&rest.patch(&format!("/users/{name}"), &change)?, facts)
    };
    match &args.command {
        Command::Add { user, roles, password } => to.show(&add(&rest, user, roles, password)?, facts)?,
        Command::Disable(user) => change(user, json!({ "disabled": true }))?,
        Command::Enable(user) => change(user, json!({ "disabled": false }))?,
        Command::List => {
            to.show(&rest.list("/users", &Query::new(), None)?, |all| Table::of(all, &COLUMNS, "There is nobody."))?;
        }
        Command::ResetPassword { user, password } => change(user, json!({ "password": password.read()?.expose() }))?,
        Command::ResetSecondFactor(One { name }) => {
            rest.delete(&format!("/users/{name}/second-factor"))?;
            to.tell(&json!({ "username": name }), &format!("{name} signs in with the password alone now."))?;
        }
        Command::Roles { user, roles } => change(user, json!({ "roles": roles.json() }))?,
        Command::Show(One { name }) => to.show(&rest.get(&format!("/users/{name}"))?, facts)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(rest: &Rest, user: &One, roles: &RoleArgs, password: &PasswordArgs) -> anyhow::Result<Value> {
    let password = password.read()?;
    rest.post(
        "/users",
        &json!({ "username": user.name, "password": password.expose(), "roles": roles.json(), "disabled": false }),
    )
}

fn facts(user: &Value) -> Table {
    Table::facts(user, &COLUMNS)
}
