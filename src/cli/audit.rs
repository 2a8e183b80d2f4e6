//! `csg audit`: what cloud clients called, and what people did.

use std::process::ExitCode;

use serde_json::Value;

use super::{connection::Connection, rest::Query, table::Table};

/// Read the audit log: what cloud clients called and what people did, newest first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Not before this time, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Of this access request
    #[arg(long)]
    request: Option<String>,
    /// Of this person
    #[arg(long)]
    user: Option<String>,
    /// Of this environment
    #[arg(long)]
    environment: Option<String>,
    /// Calls of this service
    #[arg(long)]
    service: Option<String>,
    /// Calls of this operation, such as PutItem
    #[arg(long)]
    operation: Option<String>,
    /// Calls that went so: allowed, cut, failed, refused
    #[arg(long)]
    outcome: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let query = Query::new()
        .with("from", args.from.as_ref())
        .with("to", args.to.as_ref())
        .with("request", args.request.as_ref())
        .with("user", args.user.as_ref())
        .with("environment", args.environment.as_ref())
        .with("service", args.service.as_ref())
        .with("operation", args.operation.as_ref())
        .with("outcome", args.outcome.as_ref());
    let found = args.connection.rest()?.list("/audit", &query, Some(args.limit))?;
    args.connection.show(&found, table)?;
    Ok(ExitCode::SUCCESS)
}

/// Calls and acts in the same columns.
fn table(entries: &Value) -> Table {
    let row = |entry: &Value| {
        let (who, what, how) = match entry["kind"].as_str() {
            Some("call") => {
                let what = [&entry["service"], &entry["operation"]].map(|part| part.as_str().unwrap_or("?")).join(":");
                (&entry["user"], Value::from(what), &entry["outcome"])
            }
            _ => (&entry["actor"], entry["action"].clone(), &entry["detail"]),
        };
        let request = if entry["request"].is_null() { &entry["subject"] } else { &entry["request"] };
        serde_json::json!({ "at": entry["at"], "who": who, "what": what, "on": request, "how": how })
    };
    let rows = entries.as_array().into_iter().flatten().map(row).collect();
    let columns = [("time", "at"), ("who", "who"), ("what", "what"), ("on", "on"), ("how", "how")];
    Table::of(&rows, &columns, "Nothing like that is in the audit log.")
}
