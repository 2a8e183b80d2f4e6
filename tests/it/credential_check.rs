//! A real credential is tried with AWS: through the whole appliance, with a cloud that the test plays. Whether the question
//! is rightly signed, AWS's own signer judges.

use std::{fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use csg::{
    app::{self, App, Running, systemd::Sockets},
    clock::Clock,
    config::Config,
    model::UserName,
    secret::Secret,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Cloud, Identity, Key};

const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOUR: Duration = Duration::from_hours(1);
const GOOD: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/gateway</Arn>\
    <UserId>AIDACKCEVSQ6C2EXAMPLE</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
    </GetCallerIdentityResponse>";

/// The appliance with a cloud behind it, and its administrator's token.
struct Site {
    cloud: Cloud,
    running: Option<Running>,
    console: String,
    token: String,
    _directory: TempDir,
}

impl Site {
    async fn start(identity: Identity) -> Self {
        let cloud = Cloud::start(identity).await;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut root = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(Cloud::root()).as_bytes().chunks(64) {
            writeln!(root, "{}", std::str::from_utf8(line).unwrap()).unwrap();
        }
        std::fs::write(path("roots.pem"), root + "-----END CERTIFICATE-----\n").unwrap();
        let text = format!(
            "data_dir = \"{}\"\ngateway.listen = [\"127.0.0.1:0\"]\nconsole.listen = \"127.0.0.1:0\"\n\
             [upstream]\nca_file = \"{}\"\noverride.\"*.amazonaws.com\" = \"{}\"\noverride.\"*.amazonaws.com.cn\" = \"{}\"\n",
            path("data").display(),
            path("roots.pem").display(),
            cloud.address,
            cloud.address
        );
        std::fs::write(path("csg.toml"), text).unwrap();
        let config = Config::load(Some(&path("csg.toml")), []).unwrap();
        app::initialise(&config, &UserName::new("root").unwrap(), &Secret::new(PASSWORD), &Clock::system()).unwrap();
        let running = App::start(config, Clock::system(), Sockets::none()).await.unwrap();
        let console = format!("http://{}/api/v1", running.console);
        let mut site = Self { cloud, running: Some(running), console, token: String::new(), _directory: directory };
        let session = json!({"username": "root", "password": PASSWORD});
        let (_, session) = site.send("POST", "/sessions", session).await.unwrap();
        session["token"].as_str().unwrap().clone_into(&mut site.token);
        site
    }

    /// Begins a call; its answer can be waited for.
    fn send(&self, method: &str, path: &str, body: Value) -> tokio::task::JoinHandle<(u16, Value)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.console))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        tokio::task::spawn_blocking(move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let mut answer = agent.run(request.body(body).unwrap()).unwrap();
            let status = answer.status().as_u16();
            (status, serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap_or_default())
        })
    }

    async fn credential(&self) -> String {
        let (status, made) = self.send("POST", "/credentials", new(false)).await.unwrap();
        assert_eq!((status, &made["checked"]), (201, &Value::Null));
        made["id"].as_str().unwrap().to_owned()
    }

    /// Answers the next question, after AWS's own signer has found it rightly signed.
    async fn answer(&self, status: &str, body: &str) {
        let mut call = self.cloud.call().await;
        let asked = call.whole_body().await;
        assert_eq!(asked, b"Action=GetCallerIdentity&Version=2011-06-15");
        assert_eq!(call.sni, "sts.us-east-1.amazonaws.com");
        Key::new("AKIAIOSFODNN7EXAMPLE", SECRET).verify(&call, &asked);
        call.answer(&xml(status, body)).await;
    }

    /// Gives the keys of the role `gateway` to who asks for them with the key, and says whose those are.
    async fn assumed(&self, id: &str) {
        const ARN: &str = "<Arn>arn:aws-cn:sts::123456789012:assumed-role/gateway/root</Arn>";
        let mut keys = Key::new(id, "secret/of+the/session");
        keys.token = Some("token+of+the+session".to_owned());
        let (secret, token, end) = (&keys.secret, "token+of+the+session", Clock::system().now().plus(HOUR));
        let mut call = self.cloud.call().await;
        let asked = call.whole_body().await;
        assert!(String::from_utf8_lossy(&asked).contains("RoleSessionName=root&DurationSeconds=3600&ExternalId=ours"));
        assert_eq!(call.sni, "sts.cn-northwest-1.amazonaws.com.cn");
        Key::new("AKIAIOSFODNN7EXAMPLE", SECRET).verify(&call, &asked);
        let body = format!(
            "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser>{ARN}</AssumedRoleUser><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}\
             </SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        );
        call.answer(&xml("200 OK", &body)).await;
        let mut call = self.cloud.call().await;
        let asked = call.whole_body().await;
        assert_eq!(asked, b"Action=GetCallerIdentity&Version=2011-06-15");
        assert_eq!(call.sni, "sts.cn-northwest-1.amazonaws.com.cn");
        keys.verify(&call, &asked);
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult>{ARN}<UserId>AROAX:root</UserId>\
             <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        call.answer(&xml("200 OK", &body)).await;
    }
}

fn xml(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\nContent-Type: text/xml\nContent-Length: {}\n\n{body}", body.len())
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.running.take());
    }
}

fn new(check: bool) -> Value {
    json!({
        "name": "dev account", "cloud": "aws", "kind": "static", "check": check,
        "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET,
    })
}

fn refusal() -> String {
    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
     <Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message>\
     </Error></ErrorResponse>"
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_says_of_a_credential_is_told_and_kept() {
    let site = Site::start(Identity::Right).await;
    let id = site.credential().await;
    let path = format!("/credentials/{id}");
    let test = site.send("POST", &format!("{path}/test"), Value::Null);
    site.answer("200 OK", GOOD).await;
    let (status, found) = test.await.unwrap();
    assert_eq!(status, 200, "{found}");
    assert_eq!(found["account"], "123456789012");
    assert_eq!(found["arn"], "arn:aws:iam::123456789012:user/gateway");
    assert_eq!(found["user_id"], "AIDACKCEVSQ6C2EXAMPLE");
    let (_, kept) = site.send("GET", &path, Value::Null).await.unwrap();
    assert_eq!(kept["checked"], found);

    // A later refusal is told, and does not make what was known untrue.
    let test = site.send("POST", &format!("{path}/test"), Value::Null);
    site.answer("403 Forbidden", &refusal()).await;
    let (status, problem) = test.await.unwrap();
    assert_eq!((status, &problem["type"]), (424, &json!("urn:csg:problem:credential_refused")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("The security token included in the request is invalid. (InvalidClientTokenId)"),
        "{detail}"
    );
    let (_, kept) = site.send("GET", &path, Value::Null).await.unwrap();
    assert_eq!(kept["checked"], found);

    // Both are in the trail; a secret is nowhere in it.
    let (_, trail) = site.send("GET", "/audit", Value::Null).await.unwrap();
    let tests: Vec<_> =
        trail["items"].as_array().unwrap().iter().filter(|act| act["action"] == "credential.test").collect();
    assert_eq!(tests.len(), 2);
    assert!(tests[1]["detail"].as_str().unwrap().contains("123456789012"), "{trail}");
    assert!(tests[0]["detail"].as_str().unwrap().contains("InvalidClientTokenId"), "{trail}");
    assert!(!trail.to_string().contains(SECRET));

    // A new secret that nobody has tried: nothing is known of it.
    let change = json!({"secret_access_key": "another"});
    let (status, changed) = site.send("PATCH", &path, change).await.unwrap();
    assert_eq!((status, &changed["checked"]), (200, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_too() {
    let site = Site::start(Identity::Right).await;
    let id = site.credential().await;
    let run = || {
        let console = site.console.trim_end_matches("/api/v1");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_csg"));
        command.args(["credential", "test", &id, "--json"]).env_clear();
        command.env("CSG_URL", console).env("CSG_TOKEN", &site.token);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let test = run();
    site.answer("200 OK", GOOD).await;
    let output = test.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["account"], "123456789012");
    let test = run();
    site.answer("403 Forbidden", &refusal()).await;
    let output = test.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("InvalidClientTokenId"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_can_be_kept_on_the_condition_that_aws_takes_it() {
    let site = Site::start(Identity::Right).await;
    let made = site.send("POST", "/credentials", new(true));
    site.answer("403 Forbidden", &refusal()).await;
    assert_eq!(made.await.unwrap().0, 424);
    let (_, all) = site.send("GET", "/credentials", Value::Null).await.unwrap();
    assert_eq!(all["items"], json!([]), "nothing was kept");

    let made = site.send("POST", "/credentials", new(true));
    site.answer("200 OK", GOOD).await;
    let (status, made) = made.await.unwrap();
    assert_eq!((status, &made["checked"]["account"]), (201, &json!("123456789012")));

    // The key of another account in its place is told of.
    let path = format!("/credentials/{}", made["id"].as_str().unwrap());
    let change = json!({"secret_access_key": SECRET, "check": true});
    let changed = site.send("PATCH", &path, change.clone());
    site.answer("200 OK", &GOOD.replace("123456789012", "999999999999")).await;
    let (status, problem) = changed.await.unwrap();
    assert_eq!(status, 409, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("999999999999") && detail.contains("123456789012"), "{detail}");
    let changed = site.send("PATCH", &path, change);
    site.answer("200 OK", GOOD).await;
    assert_eq!(changed.await.unwrap().0, 200);
}

/// Each test asks for a session of its own: one that was had before would not show that the role can still be assumed.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_anew_and_asked_whose_it_is() {
    let site = Site::start(Identity::Right).await;
    let source = site.credential().await;
    let role = json!({
        "name": "a role", "cloud": "aws", "kind": "role", "check": true, "source_credential": source,
        "role_arn": "arn:aws-cn:iam::123456789012:role/teams/gateway", "external_id": "ours",
    });
    let made = site.send("POST", "/credentials", role);
    site.assumed("ASIAEXAMPLEEXAMPLE01").await;
    let (status, made) = made.await.unwrap();
    assert_eq!((status, &made["checked"]["account"]), (201, &json!("123456789012")), "{made}");
    let test = site.send("POST", &format!("/credentials/{}/test", made["id"].as_str().unwrap()), Value::Null);
    site.assumed("ASIAEXAMPLEEXAMPLE02").await;
    let (status, found) = test.await.unwrap();
    assert_eq!((status, &found["arn"]), (200, &json!("arn:aws-cn:sts::123456789012:assumed-role/gateway/root")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_aws_proves_nothing() {
    let site = Site::start(Identity::Right).await;
    let path = format!("/credentials/{}/test", site.credential().await);
    let endless = "x".repeat(70_000);
    for (status, body, says) in [
        ("200 OK", "<html>Welcome to the hotel</html>", "another kind of answer"),
        ("200 OK", "{}", "not XML"),
        ("302 Found", "", "not XML"),
        ("200 OK", endless.as_str(), "more than 65536 bytes"),
    ] {
        let test = site.send("POST", &path, Value::Null);
        site.answer(status, body).await;
        let (status, problem) = test.await.unwrap();
        assert_eq!((status, &problem["type"]), (424, &json!("urn:csg:problem:cloud_unreachable")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{says}: {problem}");
    }
    let test = site.send("POST", &path, Value::Null);
    site.cloud.call().await.close().await;
    let (status, problem) = test.await.unwrap();
    assert_eq!(status, 424, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("the connection broke"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_shows_no_right_certificate_is_not_asked() {
    for identity in [Identity::OfNobody, Identity::OfAnotherHost] {
        let site = Site::start(identity).await;
        let path = format!("/credentials/{}/test", site.credential().await);
        let (status, problem) = site.send("POST", &path, Value::Null).await.unwrap();
        assert_eq!((status, &problem["type"]), (424, &json!("urn:csg:problem:cloud_unreachable")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("certificate"), "{problem}");
        assert!(site.cloud.is_quiet().await);
    }
}
