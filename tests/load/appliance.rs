//! The gateway as it is shipped, and people who ask for access and give it, over the REST API.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::process::Process;

/// For the gateway to start, and for any answer of its API.
const PATIENCE: Duration = Duration::from_secs(30);

const PASSWORD: &str = "correct horse battery staple";

/// `csg serve`, running.
pub(crate) struct Appliance {
    pub(crate) process: Process,
    pub(crate) gateway: SocketAddr,
    console: SocketAddr,
}

/// What a client gets.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Appliance {
    /// Makes a data directory and serves from it; every host of the cloud is `cloud`.
    pub(crate) fn start(csg: &Path, folder: &Path, cloud: SocketAddr, cloud_ca: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let configuration = folder.join("csg.toml");
        let text = format!(
            "data_dir = \"{}\"\nlog.format = \"json\"\ngateway.listen = [\"127.0.0.1:0\"]\n\
             console.listen = \"127.0.0.1:0\"\nupstream.ca_file = \"{}\"\n\
             [upstream.override]\n\"*.amazonaws.com\" = \"{cloud}\"\n",
            folder.join("data").display(),
            cloud_ca.display()
        );
        fs::write(&configuration, text)?;
        let command = |name: &str| {
            let mut command = Command::new(csg);
            command.arg(name).arg("--config").arg(&configuration).stdout(Stdio::null());
            command
        };
        let made = command("init").args(["--admin", "admin"]).env("CSG_ADMIN_PASSWORD", PASSWORD).status()?;
        ensure!(made.success(), "csg init failed: {made}");
        let mut process = Process::start(command("serve").stderr(Stdio::piped()))?;
        let lines = lines(&mut process)?;
        let gateway = address(&lines, "the gateway listens")?;
        let console = address(&lines, "the console listens")?;
        Ok(Self { process, gateway, console })
    }

    /// The certificate of the gateway's CA.
    pub(crate) fn ca(&self) -> Result<String> {
        Ok(agent().get(format!("http://{}/cert/pem", self.gateway)).call()?.body_mut().read_to_string()?)
    }

    /// The whole way to a key for `services`: an environment, a credential, people, a request, a yes, the secret.
    pub(crate) fn grant(&self, services: &[&str]) -> Result<Key> {
        let admin = self.sign_in("admin")?;
        self.post(&admin, "/environments", &json!({ "id": "load", "name": "Load" }))?;
        let credential = json!({
            "name": "load", "cloud": "aws", "kind": "static", "environments": ["load"],
            "access_key_id": "AKIAREALREALREALREAL", "secret_access_key": "realsecretrealsecretrealsecretrealsecre1",
        });
        let credential = self.post(&admin, "/credentials", &credential)?;
        for (name, role, environment) in [("anna", "approver", Value::Null), ("dora", "developer", json!("load"))] {
            let roles = json!([{ "role": role, "environment": environment }]);
            self.post(&admin, "/users", &json!({ "username": name, "password": PASSWORD, "roles": roles }))?;
        }
        let (anna, dora) = (self.sign_in("anna")?, self.sign_in("dora")?);
        let wish = json!({ "cloud": "aws", "services": services, "justification": "load", "duration": null });
        let request = self.post(&dora, "/environments/load/access-requests", &wish)?;
        let path = format!("/access-requests/{}", text(&request, "id")?);
        self.post(&anna, &format!("{path}/approve"), &json!({ "credential": text(&credential, "id")? }))?;
        let secret = self.post(&dora, &format!("{path}/secret"), &json!({}))?;
        Ok(Key { id: text(&secret, "access_key_id")?, secret: text(&secret, "secret_access_key")? })
    }

    fn sign_in(&self, name: &str) -> Result<String> {
        text(&self.post("", "/sessions", &json!({ "username": name, "password": PASSWORD }))?, "token")
    }

    fn post(&self, token: &str, path: &str, body: &Value) -> Result<Value> {
        let mut request = agent().post(format!("http://{}/api/v1{path}", self.console));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.send_json(body)?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string()?;
        ensure!(status.is_success(), "POST {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

fn text(answer: &Value, field: &str) -> Result<String> {
    Ok(answer.get(field).and_then(Value::as_str).with_context(|| format!("no {field} in {answer}"))?.to_owned())
}

/// What it logs. Read on to the end, or it would stop at a full pipe.
fn lines(process: &mut Process) -> Result<Receiver<String>> {
    let stderr = BufReader::new(process.child().stderr.take().context("standard error is not piped")?);
    let (to, lines) = mpsc::channel();
    thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(to.send(line))));
    Ok(lines)
}

fn address(lines: &Receiver<String>, message: &str) -> Result<SocketAddr> {
    loop {
        let line = lines.recv_timeout(PATIENCE).with_context(|| format!("csg serve did not say '{message}'"))?;
        let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        if event.get("message").and_then(Value::as_str) == Some(message) {
            return Ok(text(&event, "address")?.parse()?);
        }
    }
}
