//! A machine of its own for the executable, and the people who use what runs there.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(super) const LIMIT: Duration = Duration::from_mins(1);
const PASSWORD: &str = "a long password";

/// A machine of its own: an empty configuration file, a data directory, no variables of ours.
pub(super) struct Site {
    pub(super) folder: TempDir,
}

impl Site {
    pub(super) fn new() -> Self {
        let site = Self { folder: TempDir::new().unwrap() };
        site.configure("");
        site
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(super) fn configure(&self, more: &str) {
        let text = format!(
            "data_dir = \"{}\"\nlog.format = \"json\"\ngateway.listen = [\"127.0.0.1:0\"]\n\
             console.listen = \"127.0.0.1:0\"\n{more}",
            self.data().display()
        );
        fs::write(self.path("csg.toml"), text).unwrap();
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_csg"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .env("CSG_CONFIG", self.path("csg.toml"))
            .stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(super) fn init(&self) -> Output {
        self.command(&["init", "--admin", "admin"]).env("CSG_ADMIN_PASSWORD", PASSWORD).output().unwrap()
    }

    pub(super) fn serve(&self) -> Serving {
        Serving::of(self.command(&["serve"]))
    }

    /// Serves until a line of the log has these words, and gives that line.
    pub(super) fn serve_until(&self, words: &str) -> String {
        let mut child = self.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let found = lines.find(|line| line.contains(words));
        drop(child.kill());
        drop(child.wait());
        found.expect(words)
    }
}

/// `csg serve`, running.
pub(super) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    lines: mpsc::Receiver<String>,
    pub(super) gateway: String,
    pub(super) console: String,
}

impl Serving {
    pub(super) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (to, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Self { child, stdout, lines, gateway: String::new(), console: String::new() };
        serving.gateway = serving.address("the gateway listens");
        serving.console = serving.address("the console listens");
        serving
    }

    pub(super) fn address(&self, message: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LIMIT).expect(message);
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["message"] == message {
                return event["address"].as_str().unwrap().to_owned();
            }
        }
    }

    /// The word that begins so, on standard output.
    pub(super) fn printed(&mut self, beginning: &str) -> String {
        let mut line = String::new();
        loop {
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "{line}");
            if let Some(word) = line.split_whitespace().find(|word| word.starts_with(beginning)) {
                return word.to_owned();
            }
        }
    }

    /// Asks to stop.
    pub(super) fn signal(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Sends SIGTERM; the exit status and what was printed.
    pub(super) fn terminate(self) -> (Option<i32>, String) {
        self.signal();
        self.wait()
    }

    /// The exit status and what was printed, once it has ended.
    pub(super) fn wait(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        (status.code(), printed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A request of dora's for DynamoDB that anna has approved.
pub(super) struct Approved {
    pub(super) id: String,
    pub(super) dora: String,
    pub(super) anna: String,
}

impl Serving {
    /// Does a call to the API that must succeed.
    pub(super) fn api(&self, token: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = post(&format!("http://{}/api/v1{path}", self.console), Some(token), body);
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    fn sign_in(&self, name: &str) -> String {
        let session = self.api("", "/sessions", &json!({ "username": name, "password": PASSWORD }));
        session["token"].as_str().unwrap().to_owned()
    }

    /// The way from an installation that was just made to a key that can be used.
    pub(super) fn approve_access(&self) -> Approved {
        let admin = self.sign_in("admin");
        self.api(&admin, "/environments", &json!({ "id": "dev", "name": "Development" }));
        let credential = self.api(
            &admin,
            "/credentials",
            &json!({
                "name": "dev account", "cloud": "aws", "kind": "static", "environments": ["dev"],
                "access_key_id": "AKIAREALREALREALREAL", "secret_access_key": "real",
            }),
        );
        for (name, role, environment) in [("anna", "approver", Value::Null), ("dora", "developer", json!("dev"))] {
            let roles = json!([{ "role": role, "environment": environment }]);
            self.api(&admin, "/users", &json!({ "username": name, "password": PASSWORD, "roles": roles }));
        }
        let (anna, dora) = (self.sign_in("anna"), self.sign_in("dora"));
        let wish = json!({ "cloud": "aws", "services": ["dynamodb"], "justification": "orders", "duration": null });
        let request = self.api(&dora, "/environments/dev/access-requests", &wish);
        let id = request["id"].as_str().unwrap().to_owned();
        self.api(&anna, &format!("/access-requests/{id}/approve"), &json!({ "credential": credential["id"] }));
        Approved { id, dora, anna }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(Some(LIMIT)).build().into()
}

pub(super) fn get(url: &str, token: Option<&str>) -> String {
    let request = agent().get(url).header("authorization", format!("Bearer {}", token.unwrap_or_default()));
    request.call().unwrap().body_mut().read_to_string().unwrap()
}

pub(super) fn post(url: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = agent().post(url);
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut answer = request.send_json(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap_or_default())
}
