//! `csg user`: people and their roles.

use std::process::ExitCode;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    ConfigArgs,
    connection::Connection,
    input::PasswordArgs,
    rest::{Query, Rest},
    table::Table,
};
use crate::{
    app::{self, Question},
    clock::Clock,
    model::UserName,
};

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
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Take away the second factor of a person who has lost it, which ends their sessions
    ResetSecondFactor {
        #[command(flatten)]
        user: One,
        #[command(flatten)]
        local: LocalArgs,
    },
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

/// The way back for the only administrator.
#[derive(Debug, clap::Args)]
struct LocalArgs {
    /// On the gateway's own machine, as root or its service user, without signing in; it is written down
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl LocalArgs {
    /// Asks the gateway of this machine.
    fn ask(&self, question: &Question) -> anyhow::Result<()> {
        app::ask(&self.config.load()?, &Clock::system(), question)?;
        Ok(())
    }
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
    if let Some(done) = run_locally(args)? {
        return Ok(done);
    }
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
        Command::ResetPassword { user, password, .. } => {
            change(user, json!({ "password": password.read()?.expose() }))?;
        }
        Command::ResetSecondFactor { user: One { name }, .. } => {
            rest.delete(&format!("/users/{name}/second-factor"))?;
            to.tell(&json!({ "username": name }), &password_alone(name))?;
        }
        Command::Roles { user, roles } => change(user, json!({ "roles": roles.json() }))?,
        Command::Show(One { name }) => to.show(&rest.get(&format!("/users/{name}"))?, facts)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked for on this machine alone; nothing is done of what is not.
fn run_locally(args: &Args) -> anyhow::Result<Option<ExitCode>> {
    let to = &args.connection;
    match &args.command {
        Command::ResetPassword { user: One { name }, password, local } if local.local => {
            let password = Zeroizing::new(password.read()?.expose().to_owned());
            local.ask(&Question::ResetPassword { user: name.clone(), password })?;
            let told = format!("{name} has the new password, and has to sign in again.");
            to.tell(&json!({ "username": name }), &told)?;
        }
        Command::ResetSecondFactor { user: One { name }, local } if local.local => {
            local.ask(&Question::ResetSecondFactor { user: name.clone() })?;
            to.tell(&json!({ "username": name }), &password_alone(name))?;
        }
        _ => return Ok(None),
    }
    Ok(Some(ExitCode::SUCCESS))
}

fn password_alone(name: &UserName) -> String {
    format!("{name} signs in with the password alone now.")
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
