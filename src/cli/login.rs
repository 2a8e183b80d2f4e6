//! `csg login` and `csg logout`: a session for the other commands.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    connection::{Connection, Saved},
    input::{PasswordArgs, secret},
    rest::{Rest, Trust, text},
};
use crate::{model::UserName, secret::Secret};

/// Sign in, for the other commands
///
/// The session's token is kept in csg/session.json of $XDG_CONFIG_HOME or ~/.config, readable by you only. CSG_TOKEN and CSG_URL win over it. If the console's certificate is of its own authority, name that once with --console-ca: it is kept, too. With a second factor, its code is asked for, too, or taken from CSG_OTP.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Your user name
    #[arg(value_parser = |text: &str| UserName::new(text))]
    username: UserName,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Sign out, and forget the session
#[derive(Debug, clap::Args)]
pub(super) struct LogoutArgs {
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (url, ca, _) = args.connection.console()?;
    let password = args.password.read()?;
    let body = json!({ "username": args.username, "password": password.expose() });
    let session = sign_in(&Rest::new(&url, &Trust::of(ca.as_deref())?, None), &body)?;
    let saved = Saved {
        username: args.username.to_string(),
        token: text(&session, "token")?.to_owned(),
        expires_at: text(&session, "expires_at")?.to_owned(),
        url,
        ca,
    };
    saved.write()?;
    let told = json!({ "url": saved.url, "username": saved.username, "expires_at": saved.expires_at });
    let sentence = format!("{} is signed in at {} until {}.", saved.username, saved.url, saved.expires_at);
    args.connection.tell(&told, &sentence)?;
    Ok(ExitCode::SUCCESS)
}

/// With a code where one is needed, which is asked for only then.
fn sign_in(rest: &Rest, body: &Value) -> anyhow::Result<Value> {
    let first = rest.call("POST", "/sessions", Some(body))?;
    if first.kind().as_deref() != Some("urn:csg:problem:second_factor_required") {
        return first.json();
    }
    let otp = std::env::var("CSG_OTP").ok().filter(|text| !text.is_empty()).map(Secret::new);
    let otp = otp.map_or_else(|| secret(None, "code of your authenticator app", "the variable CSG_OTP"), Ok)?;
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("otp".into(), otp.expose().into());
    }
    rest.post("/sessions", &body)
}

pub(super) fn log_out(args: &LogoutArgs) -> anyhow::Result<ExitCode> {
    let Some(saved) = Saved::read()? else {
        args.connection.tell(&json!({ "signed_out": false }), "Nobody was signed in.")?;
        return Ok(ExitCode::SUCCESS);
    };
    let rest = Rest::new(&saved.url, &Trust::of(saved.ca.as_deref())?, Some(Secret::new(saved.token)));
    let ended = rest.call("DELETE", "/sessions/current", None);
    Saved::remove()?;
    // A session that had ended before is as good as one that ends now.
    let ended = ended?;
    if ended.status != 401 {
        ended.json()?;
    }
    args.connection.tell(&json!({ "signed_out": true }), &format!("{} is signed out.", saved.username))?;
    Ok(ExitCode::SUCCESS)
}
