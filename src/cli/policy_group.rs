//! `csg policy-group`: rules about the names of what calls create.

use std::{fs, io, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    rest::{Query, Rest, text},
    table::Table,
    terminal::print,
};
use crate::model::PolicyGroupId;

/// Policy groups: rules about the names of what calls create, attached to access at approval
///
/// The rules are read as JSON, as `csg policy-group show --json` prints them:
/// [{"type": "csg.resource.name.prefix", "value": "team-", "status": "enforced",
///   "conditions": {"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"}}]
///
/// The other type is csg.resource.name.validation_pattern, with a value such as "/^team-[0-9]+$/i".
/// Without an operation a rule is about every operation of the service that creates something with
/// a name, and without a service about those of all.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add a policy group
    Create {
        /// A name for people
        name: String,
        #[command(flatten)]
        rules: Rules,
    },
    /// List policy groups
    List,
    /// Remove a policy group that no access has
    #[command(visible_alias = "delete")]
    Remove(One),
    /// Put other rules in the place of a policy group's; they hold from the next call on
    Replace {
        #[command(flatten)]
        group: One,
        /// Another name for people
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        rules: Rules,
    },
    /// Show a policy group with its rules
    Show(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The policy group's id
    #[arg(value_name = "GROUP", value_parser = |text: &str| PolicyGroupId::new(text))]
    id: PolicyGroupId,
}

#[derive(Debug, clap::Args)]
struct Rules {
    /// A file with the rules as JSON: a list, or an object with "policies" [default: standard input]
    #[arg(long = "rules", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Rules {
    fn read(&self) -> anyhow::Result<Value> {
        let what = self.file.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        let read = self.file.as_ref().map_or_else(|| io::read_to_string(io::stdin()), fs::read_to_string);
        let text = read.with_context(|| format!("can't read {what}"))?;
        let given: Value = serde_json::from_str(&text).with_context(|| format!("{what} is not JSON"))?;
        let list = given.get("policies").unwrap_or(&given);
        if !list.is_array() {
            bail!("{what} has no rules: give a list of them, or an object with \"policies\"");
        }
        Ok(list.clone())
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = &args.connection;
    let rest = to.rest()?;
    match &args.command {
        Command::Create { name, rules } => {
            let body = json!({ "name": name, "policies": rules.read()? });
            show(to, &rest.post("/policy-groups", &body)?)?;
        }
        Command::List => {
            let all = rest.list("/policy-groups", &Query::new(), None)?;
            to.show(&all, list)?;
        }
        Command::Remove(One { id }) => {
            rest.delete(&format!("/policy-groups/{id}"))?;
            to.tell(&json!({ "removed": id }), &format!("{id} is removed."))?;
        }
        Command::Replace { group: One { id }, name, rules } => replace(to, &rest, id, name.as_deref(), rules)?,
        Command::Show(One { id }) => show(to, &rest.get(&format!("/policy-groups/{id}"))?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn replace(to: &Connection, rest: &Rest, id: &PolicyGroupId, name: Option<&str>, rules: &Rules) -> anyhow::Result<()> {
    let path = format!("/policy-groups/{id}");
    let policies = rules.read()?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => text(&rest.get(&path)?, "name")?.to_owned(),
    };
    show(to, &rest.put(&path, &json!({ "name": name, "policies": policies }))?)
}

fn list(groups: &Value) -> Table {
    const COLUMNS: [(&str, &str); 5] =
        [("id", "id"), ("name", "name"), ("rules", "rules"), ("in use", "in_use"), ("added", "created_at")];
    let counted = |group: &Value| {
        let policies = group["policies"].as_array().into_iter().flatten();
        let (enforced, disabled): (Vec<_>, Vec<_>) = policies.partition(|policy| policy["status"] == "enforced");
        let rules = match disabled.len() {
            0 => format!("{} enforced", enforced.len()),
            off => format!("{} enforced, {off} disabled", enforced.len()),
        };
        json!({
            "id": group["id"], "name": group["name"], "rules": rules, "in_use": group["in_use"],
            "created_at": group["created_at"],
        })
    };
    let groups = groups.as_array().into_iter().flatten().map(counted).collect();
    Table::of(&Value::Array(groups), &COLUMNS, "There is no policy group.")
}

fn show(to: &Connection, group: &Value) -> anyhow::Result<()> {
    const FACTS: [(&str, &str); 4] = [("id", "id"), ("name", "name"), ("in use", "in_use"), ("added", "created_at")];
    const RULES: [(&str, &str); 5] = [
        ("service", "service"),
        ("operation", "operation"),
        ("type", "type"),
        ("value", "value"),
        ("status", "status"),
    ];
    if to.json {
        return Ok(print(format_args!("{group}\n"))?);
    }
    let flat = |policy: &Value| {
        let of = |condition: &str| policy["conditions"].get(condition).and_then(Value::as_str).unwrap_or("any");
        json!({
            "service": of("service"), "operation": of("operation"), "type": policy["type"], "value": policy["value"],
            "status": policy["status"],
        })
    };
    let rules = group["policies"].as_array().into_iter().flatten().map(flat).collect();
    let rules = Table::of(&Value::Array(rules), &RULES, "It has no rules.");
    Ok(print(format_args!("{}\n{rules}", Table::facts(group, &FACTS)))?)
}
