//! `csg request`: asking for access, deciding, using.

use std::{io, io::IsTerminal as _, process::ExitCode};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    rest::{Query, Rest, text},
    table::{Table, cell},
    terminal::print,
};
use crate::model::{AccessRequestId, CloudId, CredentialId, EnvironmentId, PolicyGroupId, ServiceId, UserName};

/// Access requests: ask, decide, read the secret, end access
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Approve(Approve),
    /// Put access requests away, ending access where there is any
    Archive(Step),
    Create(Create),
    /// Say no to access requests
    Deny(Step),
    List(List),
    /// End access, for good
    Revoke(Step),
    Rotate(Rotate),
    Secret(Secret),
    /// Show an access request
    Show(One),
    /// Show how access was used, by service and operation
    Usage(One),
    /// Take back access requests of your own that wait for a decision
    Withdraw(Step),
}

/// List access requests, newest first: all for approvers, your own for others
#[derive(Debug, clap::Args)]
struct List {
    /// Of this environment
    #[arg(long, value_parser = |text: &str| EnvironmentId::new(text))]
    environment: Option<EnvironmentId>,
    /// With this status; several with commas between them
    #[arg(long)]
    status: Option<String>,
    /// Of this person
    #[arg(long, value_name = "NAME", value_parser = |text: &str| UserName::new(text))]
    user: Option<UserName>,
    /// For this service, alone or among others
    #[arg(long, value_parser = |text: &str| ServiceId::new(text))]
    service: Option<ServiceId>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Ask for access to services in an environment
#[derive(Debug, clap::Args)]
struct Create {
    /// The environment
    #[arg(value_parser = |text: &str| EnvironmentId::new(text))]
    environment: EnvironmentId,
    /// The services, such as dynamodb; GET /api/v1/clouds names them all
    #[arg(required = true, value_name = "SERVICE", value_parser = |text: &str| ServiceId::new(text))]
    services: Vec<ServiceId>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    justification: String,
    /// For how long from approval, such as 30d [default: until revoked]
    #[arg(long)]
    duration: Option<String>,
    /// The policy group whose rules your calls are to keep; `csg policy-group list` shows what there is
    #[arg(long, value_name = "ID", value_parser = |text: &str| PolicyGroupId::new(text))]
    policy_group: Option<PolicyGroupId>,
    /// The cloud
    #[arg(long, default_value = "aws", value_parser = |text: &str| CloudId::new(text))]
    cloud: CloudId,
}

/// Say yes to an access request
#[derive(Debug, clap::Args)]
struct Approve {
    #[command(flatten)]
    request: One,
    /// The real credential behind it [default: the environment's, if it has just one]
    #[arg(long, value_name = "ID", value_parser = |text: &str| CredentialId::new(text))]
    credential: Option<CredentialId>,
    /// The policy group whose rules the calls must keep [default: the one that was asked for, if any]
    #[arg(long, value_name = "ID", value_parser = |text: &str| PolicyGroupId::new(text))]
    policy_group: Option<PolicyGroupId>,
    /// No policy group, whatever was asked for
    #[arg(long, conflicts_with = "policy_group")]
    no_policy_group: bool,
    /// When access ends, such as 2026-12-31T23:59:59Z [default: after the duration that was asked for]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// An operation that hands out cloud credentials and is allowed all the same, such as sts:AssumeRole
    #[arg(long, value_name = "OPERATION")]
    allow_credential_operation: Vec<String>,
    /// What to tell the requester
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The access request's id
    #[arg(value_name = "REQUEST", value_parser = |text: &str| AccessRequestId::new(text))]
    id: AccessRequestId,
}

#[derive(Debug, clap::Args)]
struct Step {
    /// The access requests' ids
    #[arg(required = true, value_name = "REQUEST", value_parser = |text: &str| AccessRequestId::new(text))]
    ids: Vec<AccessRequestId>,
    /// What there is to say about it
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Make a new key pair for your access request; `csg request secret` then reads it, once
#[derive(Debug, clap::Args)]
struct Rotate {
    #[command(flatten)]
    request: One,
    /// How long the old key goes on working once the new secret was read, such as 1h; at most 7d
    #[arg(long, default_value = "0s")]
    overlap: String,
}

/// Read the secret of your access request, which works exactly once
///
/// On a terminal it asks first; in a script it does not.
#[derive(Debug, clap::Args)]
struct Secret {
    #[command(flatten)]
    request: One,
    /// Don't ask, on a terminal either
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = &args.connection;
    let rest = to.rest()?;
    match &args.command {
        Command::Approve(approve) => {
            let request = approve.send(&rest)?;
            to.show(&request, facts)?;
        }
        Command::Archive(step) => step.take(to, &rest, "archive")?,
        Command::Create(create) => {
            let path = format!("/environments/{}/access-requests", create.environment);
            let body = json!({
                "cloud": create.cloud, "services": create.services,
                "justification": create.justification, "duration": create.duration,
                "policy_group": create.policy_group,
            });
            to.show(&rest.post(&path, &body)?, facts)?;
        }
        Command::Deny(step) => step.take(to, &rest, "deny")?,
        Command::List(list) => {
            to.show(&list.fetch(&rest)?, |items| Table::of(items, &COLUMNS, "There is no access request."))?;
        }
        Command::Revoke(step) => step.take(to, &rest, "revoke")?,
        Command::Rotate(rotate) => {
            let path = format!("/access-requests/{}/rotate", rotate.request.id);
            let request = rest.post(&path, &json!({ "overlap": rotate.overlap }))?;
            let sentence = format!("The new key waits: `csg request secret {}` reads it, once.", rotate.request.id);
            to.tell(&request, &sentence)?;
        }
        Command::Secret(secret) => secret.read(to, &rest)?,
        Command::Show(one) => to.show(&rest.get(&format!("/access-requests/{}", one.id))?, facts)?,
        Command::Usage(one) => usage(to, &rest.get(&format!("/access-requests/{}/usage", one.id))?)?,
        Command::Withdraw(step) => step.take(to, &rest, "withdraw")?,
    }
    Ok(ExitCode::SUCCESS)
}

const COLUMNS: [(&str, &str); 9] = [
    ("id", "id"),
    ("status", "status"),
    ("environment", "environment"),
    ("services", "services"),
    ("asks for policy group", "requested_policy_group"),
    ("by", "requested_by"),
    ("created", "created_at"),
    ("until", "expires_at"),
    ("last used", "last_used_at"),
];

fn facts(request: &Value) -> Table {
    const FACTS: [(&str, &str); 20] = [
        ("id", "id"),
        ("status", "status"),
        ("environment", "environment"),
        ("cloud", "cloud"),
        ("services", "services"),
        ("requested by", "requested_by"),
        ("created", "created_at"),
        ("justification", "justification"),
        ("duration", "duration"),
        ("asks for policy group", "requested_policy_group"),
        ("decided by", "decided_by"),
        ("decided", "decided_at"),
        ("comment", "decision_comment"),
        ("credential", "credential"),
        ("policy group", "policy_group"),
        ("may hand out credentials", "allow_credential_operations"),
        ("until", "expires_at"),
        ("key", "access_key_id"),
        ("secret waits", "secret_available"),
        ("last used", "last_used_at"),
    ];
    Table::facts(request, &FACTS)
}

impl List {
    fn fetch(&self, rest: &Rest) -> anyhow::Result<Value> {
        let query = Query::new()
            .with("status", self.status.as_ref())
            .with("requested_by", self.user.as_ref())
            .with("service", self.service.as_ref());
        let of = |environment: &str| format!("/environments/{environment}/access-requests");
        if let Some(environment) = &self.environment {
            return rest.list(&of(environment.as_str()), &query, self.limit);
        }
        if rest.may("access_requests.manage")? {
            return rest.list("/access-requests", &query, self.limit);
        }
        let mut all = Vec::new();
        for environment in rest.list("/environments", &Query::new(), None)?.as_array().into_iter().flatten() {
            let found = rest.list(&of(text(environment, "id")?), &query, self.limit)?;
            all.extend(found.as_array().into_iter().flatten().cloned());
        }
        all.sort_by_cached_key(|request| std::cmp::Reverse(cell(&request["id"])));
        all.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(Value::Array(all))
    }
}

impl Approve {
    fn send(&self, rest: &Rest) -> anyhow::Result<Value> {
        let path = format!("/access-requests/{}", self.request.id);
        let credential = match &self.credential {
            Some(credential) => credential.to_string(),
            None => only_credential(rest, &path)?,
        };
        let mut body = json!({
            "credential": credential, "expires_at": self.expires_at, "comment": self.comment,
            "allow_credential_operations": self.allow_credential_operation,
        });
        // Left out, it is the one that was asked for; null is none at all.
        let is_said = self.no_policy_group || self.policy_group.is_some();
        if let Some(fields) = body.as_object_mut().filter(|_| is_said) {
            fields.insert("policy_group".into(), json!(self.policy_group));
        }
        rest.post(&format!("{path}/approve"), &body)
    }
}

/// The one credential of the environment.
fn only_credential(rest: &Rest, path: &str) -> anyhow::Result<String> {
    let request = rest.get(path)?;
    let environment = text(&request, "environment")?;
    let query = Query::new().with("environment", Some(&environment));
    let found = rest.list("/credentials", &query, None)?;
    match found.as_array().map(Vec::as_slice) {
        Some([only]) => Ok(text(only, "id")?.to_owned()),
        Some([]) | None => bail!("{environment} has no credential: add one with `csg credential add`"),
        Some(several) => {
            let told: Vec<_> =
                several.iter().map(|one| format!("{} ({})", cell(&one["id"]), cell(&one["name"]))).collect();
            bail!("{environment} has several credentials, pick one with --credential: {}", told.join(", "))
        }
    }
}

impl Step {
    /// One after the other; the first that fails is told, and ends it.
    fn take(&self, to: &Connection, rest: &Rest, step: &str) -> anyhow::Result<()> {
        for id in &self.ids {
            let request = rest
                .post(&format!("/access-requests/{id}/{step}"), &json!({ "comment": self.comment }))
                .with_context(|| format!("can't {step} {id}"))?;
            to.tell(&request, &format!("{id} is {}.", text(&request, "status")?))?;
        }
        Ok(())
    }
}

impl Secret {
    fn read(&self, to: &Connection, rest: &Rest) -> anyhow::Result<()> {
        let asks = !self.yes && !to.json && io::stdin().is_terminal() && io::stdout().is_terminal();
        if asks && !agreed()? {
            bail!("the secret was not read: it still waits");
        }
        let secret = rest.post(&format!("/access-requests/{}/secret", self.request.id), &json!({}))?;
        if to.json {
            print(format_args!("{secret}\n"))?;
        } else {
            let names = [
                ("AWS_ACCESS_KEY_ID", "access_key_id"),
                ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
                ("endpoint", "endpoint"),
                ("CA", "ca_url"),
            ];
            print(Table::facts(&secret, &names))?;
            print("Keep it now: this secret will never be shown again.\n")?;
        }
        Ok(())
    }
}

fn agreed() -> anyhow::Result<bool> {
    print("The secret is shown once, and never again. Show it now? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn usage(to: &Connection, usage: &Value) -> anyhow::Result<()> {
    if to.json {
        return Ok(print(format_args!("{usage}\n"))?);
    }
    let count = [
        ("calls", "calls"),
        ("errors", "errors"),
        ("bytes in", "bytes_in"),
        ("bytes out", "bytes_out"),
        ("last used", "last_used_at"),
    ];
    print(Table::facts(usage, &count))?;
    let by: Vec<_> = [("service", "service"), ("operation", "operation")].into_iter().chain(count).collect();
    if usage["by_operation"].as_array().is_some_and(|rows| !rows.is_empty()) {
        print(format_args!("\n{}", Table::of(&usage["by_operation"], &by, "")))?;
    }
    Ok(())
}
