//! `csg env`: what a cloud client has to be told, as shell commands for `eval`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{connection::Connection, rest::text, terminal::print};
use crate::model::AccessRequestId;

/// Print the environment variables that make a cloud client use an access request
///
/// For a shell: eval "$(csg env REQUEST)". You are who csg login says, or whose API token is in CSG_TOKEN. The secret can be read only once, so it is fetched only if asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The access request's id
    #[arg(value_parser = |text: &str| AccessRequestId::new(text))]
    request: AccessRequestId,
    /// Read the secret too, which works exactly once: keep what is printed
    #[arg(long)]
    secret: bool,
    /// Where to write the CA certificate [default: csg/ca.pem in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rest = args.connection.rest()?;
    let path = format!("/access-requests/{}", args.request);
    let request = rest.get(&path)?;
    if request.get("access_key_id").is_none_or(Value::is_null) {
        bail!("the access request {} is {}: it has no key yet", args.request, text(&request, "status")?);
    }
    let endpoint = text(&request, "endpoint")?;
    let ca_file = args.ca_file.clone().or_else(default_ca_file).context("name a place for the CA: --ca-file FILE")?;
    if let Some(directory) = ca_file.parent() {
        fs::create_dir_all(directory).with_context(|| format!("can't make {}", directory.display()))?;
    }
    let ca = rest.get("/ca")?;
    fs::write(&ca_file, text(&ca, "pem")?).with_context(|| format!("can't write {}", ca_file.display()))?;
    // A relative path would point elsewhere after the next cd.
    let ca_file = fs::canonicalize(&ca_file)?.to_string_lossy().into_owned();

    // Last, because it can't be done again.
    let revealed = if args.secret { Some(rest.post(&format!("{path}/secret"), &json!({}))?) } else { None };
    let secret = revealed.as_ref().map(|secret| text(secret, "secret_access_key")).transpose()?;
    let key = text(revealed.as_ref().unwrap_or(&request), "access_key_id")?;
    let variables = [("HTTPS_PROXY", endpoint), ("AWS_CA_BUNDLE", &ca_file), ("AWS_ACCESS_KEY_ID", key)];
    print(if args.connection.json { as_json(&variables, secret) } else { as_shell(&variables, secret) })?;
    Ok(ExitCode::SUCCESS)
}

fn default_ca_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")))?;
    Some(base.join("csg/ca.pem"))
}

const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

fn as_json(variables: &[(&str, &str)], secret: Option<&str>) -> String {
    let all = variables.iter().copied().chain(secret.map(|secret| (SECRET, secret)));
    let object: serde_json::Map<_, _> = all.map(|(name, value)| (name.to_owned(), value.into())).collect();
    format!("{}\n", Value::Object(object))
}

fn as_shell(variables: &[(&str, &str)], secret: Option<&str>) -> String {
    let all = variables.iter().copied().chain(secret.map(|secret| (SECRET, secret)));
    let mut lines: Vec<_> = all.map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
    if secret.is_none() {
        lines.push("# AWS_SECRET_ACCESS_KEY is yours to set: it was shown once, or will be with --secret\n".to_owned());
    }
    lines.concat()
}

/// One word for a POSIX shell, whatever is in it (XCU 2.2.2).
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["", "plain", "/a b/c", "it's", "$HOME `id` \"x\" \\ *", "a\nb", "'", "ä", "~/x", "#"] {
            let script = format!("printf %s {}", quoted(text));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn the_secret_is_there_only_if_it_was_read() {
        let variables = [("HTTPS_PROXY", "http://gw:3128"), ("AWS_CA_BUNDLE", "/a b"), ("AWS_ACCESS_KEY_ID", "K")];
        insta::assert_snapshot!("without_secret", as_shell(&variables, None));
        insta::assert_snapshot!("with_secret", as_shell(&variables, Some("a/b+c")));
        insta::assert_snapshot!("json", as_json(&variables, Some("a/b+c")));
    }
}
