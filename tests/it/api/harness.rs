//! A console on a port of its own with an empty data directory, and a small client for it.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use csg::{
    audit::{Audit, Settings},
    ca::{Authority, NameConstraints},
    clock::{Clock, Timestamp},
    cloud::aws::Catalogue,
    console,
    model::{CallRecord, CloudId, EnvironmentId, Outcome, Publisher, ServiceId, UserName},
    secret::Secret,
    store::{MasterKey, Store, tables::users},
    workflow::Workflow,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const ENDPOINT: &str = "http://gateway.example:3128";

/// A running console. Its clock stands still.
pub(crate) struct Console {
    pub(crate) workflow: Workflow,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    address: SocketAddr,
    agent: ureq::Agent,
    shutdown: CancellationToken,
    runtime: Option<Runtime>,
    _directory: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Console {
    /// With nobody in it.
    pub(crate) fn empty() -> Self {
        Self::reached_at("http://127.0.0.1:3129")
    }

    /// The same, where people's browsers find it at `url`.
    pub(crate) fn reached_at(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::parse_rfc3339("2026-11-23T12:00:00Z").unwrap());
        let audit = Audit::open(&directory.path().join("audit"), Settings::default(), clock.clone()).unwrap();
        let (store, workflow) = open(directory.path(), &clock);
        let permitted = NameConstraints::new(["amazonaws.com"], []).unwrap();
        let router = console::router(console::State {
            workflow: workflow.clone(),
            authority: Arc::new(Authority::generate(clock.now(), &permitted).unwrap()),
            audit: audit.reader(),
            endpoint: ENDPOINT.into(),
            console: url.into(),
            system: console::System {
                started_at: clock.now(),
                data_dir: directory.path().into(),
                certificates: Arc::new(|| 3),
                identity: None,
            },
        });
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        runtime.spawn(console::serve(listener, None, router, clock.clone(), shutdown.clone()));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_mins(1)))
            .build()
            .new_agent();
        Self { workflow, audit, clock, address, agent, shutdown, runtime: Some(runtime), store, _directory: directory }
    }

    /// With the administrator `root`, the environments `dev` and `prod`, and a credential in each.
    ///
    /// `dora` asks in dev, `peter` in prod, `anna` decides everywhere, `paula` in prod, `ada` reads the audit log.
    pub(crate) fn furnished() -> Self {
        let console = Self::empty();
        let root = UserName::new("root").unwrap();
        let root = console.workflow.set_up(&root, &Secret::new(PASSWORD)).unwrap();
        let root = root.token.expose();
        for id in ["dev", "prod"] {
            console.post("/environments", root, &json!({"id": id, "name": id})).expect(201);
            let credential = json!({
                "name": format!("{id} account"), "cloud": "aws", "kind": "static",
                "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "environments": [id],
            });
            console.post("/credentials", root, &credential).expect(201);
        }
        for (name, role, environment) in [
            ("dora", "developer", Some("dev")),
            ("peter", "developer", Some("prod")),
            ("anna", "approver", None),
            ("paula", "approver", Some("prod")),
            ("ada", "auditor", None),
        ] {
            let roles = [json!({"role": role, "environment": environment})];
            let user = json!({"username": name, "password": PASSWORD, "roles": roles});
            console.post("/users", root, &user).expect(201);
        }
        console
    }

    /// A token of somebody who is in a furnished console.
    pub(crate) fn sign_in(&self, name: &str) -> String {
        let answer = self.post("/sessions", "", &json!({"username": name, "password": PASSWORD})).expect(201);
        answer["token"].as_str().unwrap().to_owned()
    }

    /// The id of the credential of an environment.
    pub(crate) fn credential(&self, environment: &str, token: &str) -> String {
        let all = self.get(&format!("/credentials?environment={environment}"), token).expect(200);
        all["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A policy group, that has the names of tables begin with `team-`.
    pub(crate) fn policy_group(&self, name: &str, token: &str) -> String {
        let conditions = json!({"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"});
        let rule = json!({
            "type": "csg.resource.name.prefix", "status": "enforced", "value": "team-", "conditions": conditions,
        });
        let made = self.post("/policy-groups", token, &json!({"name": name, "policies": [rule]})).expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// An access request of dora's in dev, `pending`.
    pub(crate) fn submit(&self, dora: &str) -> String {
        let wish = json!({"cloud": "aws", "services": ["dynamodb"], "justification": "orders", "duration": "30d"});
        let made = self.post("/environments/dev/access-requests", dora, &wish).expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// The same, `approved` by anna.
    pub(crate) fn submit_and_approve(&self, dora: &str, anna: &str) -> String {
        let id = self.submit(dora);
        let approval = json!({"credential": self.credential("dev", anna)});
        self.post(&format!("/access-requests/{id}/approve"), anna, &approval).expect(200);
        id
    }

    /// Puts calls of an access request into the audit log, one a second up to now.
    pub(crate) fn record_calls(&self, request: &str, count: u64) {
        for n in 0..count {
            let record = CallRecord {
                at: self.clock.now().minus(Duration::from_secs(n)),
                id: format!("call-{n}"),
                client: "10.0.0.7".into(),
                access_key_id: None,
                request: Some(csg::model::AccessRequestId::new(request).unwrap()),
                user: Some(UserName::new("dora").unwrap()),
                environment: Some(EnvironmentId::new("dev").unwrap()),
                host: "dynamodb.eu-west-1.amazonaws.com".into(),
                service: Some(ServiceId::new("dynamodb").unwrap()),
                operation: Some("PutItem".into()),
                region: Some("eu-west-1".into()),
                outcome: Outcome::Allowed,
                error: None,
                status: 200,
                bytes_in: 300,
                bytes_out: 2,
                duration_us: 900,
                cloud_request_id: None,
            };
            self.audit.sink().reserve().unwrap().record(record);
        }
    }

    /// Adds people past the rules: they can't sign in, but are here.
    pub(crate) fn add_people(&self, names: impl Iterator<Item = String>) {
        let user = |name| json!({"name": name, "roles": [], "disabled": false, "created_at": self.clock.now()});
        let records: Vec<_> =
            names.map(|name| serde_json::from_value(json!({"user": user(name), "password": ""})).unwrap()).collect();
        let added = self.store.transact(|writer| records.iter().try_for_each(|record| users::put(writer, record)));
        added.unwrap();
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", &format!("/api/v1{path}"), &[("authorization", &format!("Bearer {token}"))], None)
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send("POST", path, token, body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        let body = if body.is_null() { None } else { Some(body.to_string()) };
        let count = if body.is_some() { 2 } else { 1 };
        self.call(method, &format!("/api/v1{path}"), &headers[..count], body)
    }

    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let (head, mut body) = answer.unwrap().into_parts();
        let text = body.with_config().limit(1 << 30).read_to_string().unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    /// What every page brings with it, in bytes as a browser gets them.
    pub(crate) fn weight_of_assets(&self) -> usize {
        let weight = |path| {
            let head = self.call("HEAD", path, &[("accept-encoding", "gzip")], None);
            head.header("content-length").parse::<usize>().unwrap()
        };
        ["/assets/css/console.css", "/assets/js/console.js"].into_iter().map(weight).sum()
    }

    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(stream)
    }

    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Sends bytes as they are and reads all that comes back until the connection is closed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().unwrap();
        // The console may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

impl Answer {
    /// The body, of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { serde_json::from_str(&self.text).unwrap() }
    }

    /// The problem document, of an answer with this status.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {}", self.status, self.text);
        let problem = self.expect(status);
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
        }
        problem
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn open(directory: &Path, clock: &Clock) -> (Store, Workflow) {
    let store = Store::open(&directory.join("state.redb"), &MasterKey::from_bytes(&[7; 32]).unwrap()).unwrap();
    let services = Catalogue::embedded().services().iter().map(|service| service.id.clone()).collect();
    let services = [(CloudId::aws(), services)].into();
    (store.clone(), Workflow::open(store, clock.clone(), services, Publisher::new()).unwrap())
}
