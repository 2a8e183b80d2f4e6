//! The walk-through: each step as a user would do it, told as it happens.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::{
    Stage,
    client::{Client, Way},
};
use crate::{
    cli::{
        http,
        rest::{Answer, Rest, text},
        terminal::{Palette, Style, print},
    },
    secret::Secret,
};

const TABLE: &str = "orders";

/// What has been given out so far.
struct Granted {
    id: String,
    access_key_id: String,
    secret: Secret,
    endpoint: String,
    ca_pem: String,
}

/// Does the whole main job; an error ends it and says which step did not do what it should.
pub(super) fn walk(stage: &Stage) -> anyhow::Result<()> {
    let teller = Teller { palette: stage.palette };
    let (anna, dora, credential) = set_up(stage, &teller)?;
    let granted = ask_and_approve(&teller, &anna, &dora, &credential)?;
    let client = use_it(stage, &teller, &granted)?;
    go_round_it(stage, &teller, &granted, &client)?;
    take_it_back(&teller, &anna, &granted, &client)?;
    show_usage(stage, &teller, &anna, &granted)
}

fn set_up(stage: &Stage, teller: &Teller) -> anyhow::Result<(Rest, Rest, String)> {
    let credential = teller.step("the administrator stores the real AWS key for environment \"demo\"", || {
        let admin = Rest::sign_in(stage.console, "admin", &stage.passwords.admin)?;
        admin.post("/environments", &json!({ "id": "demo", "name": "Demonstration" }))?;
        let credential = admin.post(
            "/credentials",
            &json!({
                "name": "demo-account", "cloud": "aws", "kind": "static", "environments": ["demo"],
                "access_key_id": stage.real_key_id, "secret_access_key": stage.real_secret.expose(),
            }),
        )?;
        let readable = admin.get("/credentials")?.to_string().contains(stage.real_secret.expose());
        ensure!(!readable, "the API gives the real secret out again");
        for (name, password, role, environment) in [
            ("anna", &stage.passwords.anna, "approver", Value::Null),
            ("dora", &stage.passwords.dora, "developer", json!("demo")),
        ] {
            let roles = json!([{ "role": role, "environment": environment }]);
            admin.post("/users", &json!({ "username": name, "password": password.expose(), "roles": roles }))?;
        }
        let shows = format!("{} is sealed in the database; nobody can read its secret again", stage.real_key_id);
        Ok((text(&credential, "id")?.to_owned(), shows))
    })?;
    let anna = Rest::sign_in(stage.console, "anna", &stage.passwords.anna)?;
    let dora = Rest::sign_in(stage.console, "dora", &stage.passwords.dora)?;
    Ok((anna, dora, credential))
}

fn ask_and_approve(teller: &Teller, anna: &Rest, dora: &Rest, credential: &str) -> anyhow::Result<Granted> {
    let id = teller.step("dora, a developer, asks for DynamoDB", || {
        let body = json!({
            "cloud": "aws", "services": ["dynamodb"], "duration": "30d",
            "justification": "the order service keeps its orders there",
        });
        let request = dora.post("/environments/demo/access-requests", &body)?;
        let (id, status) = (text(&request, "id")?.to_owned(), text(&request, "status")?);
        ensure!(status == "pending", "the request is {status}, not pending");
        Ok((id.clone(), format!("request {id} is pending: no key exists yet")))
    })?;
    let path = format!("/access-requests/{id}");
    teller.step("anna, an approver, says yes", || {
        let dora_tries = dora.call("POST", &format!("{path}/approve"), Some(&json!({ "credential": credential })))?;
        ensure!(dora_tries.status == 403, "dora could approve her own request: status {}", dora_tries.status);
        anna.post(&format!("{path}/approve"), &json!({ "credential": credential, "comment": "fine" }))?;
        Ok(((), "dora herself was refused that".to_owned()))
    })?;
    teller.step("dora reads her secret, once", || {
        let secret = dora.post(&format!("{path}/secret"), &json!({}))?;
        let again = dora.call("POST", &format!("{path}/secret"), Some(&json!({})))?;
        ensure!(again.status == 410, "the secret could be read twice: status {}", again.status);
        let granted = Granted {
            access_key_id: text(&secret, "access_key_id")?.to_owned(),
            secret: Secret::new(text(&secret, "secret_access_key")?),
            endpoint: text(&secret, "endpoint")?.to_owned(),
            ca_pem: fetch(text(&secret, "ca_url")?)?,
            id,
        };
        let shows = format!("key {}; a second read was refused: {}", granted.access_key_id, again.refusal());
        Ok((granted, shows))
    })
}

fn use_it(stage: &Stage, teller: &Teller, granted: &Granted) -> anyhow::Result<Client> {
    let client = Client::new(Way::Proxy(&granted.endpoint), &granted.ca_pem, &granted.access_key_id, &granted.secret)?;
    let title = format!("dora's program uses DynamoDB through the gateway ({})", granted.endpoint);
    teller.step(&title, || {
        let item = json!({ "id": { "S": "1" }, "what": { "S": "a bicycle" } });
        succeeded(&client.dynamodb(
            "CreateTable",
            &json!({
                "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
                "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            }),
        )?)?;
        succeeded(&client.dynamodb("PutItem", &json!({ "TableName": TABLE, "Item": item }))?)?;
        let read =
            succeeded(&client.dynamodb("GetItem", &json!({ "TableName": TABLE, "Key": { "id": { "S": "1" } } }))?)?;
        ensure!(read.get("Item") == Some(&item), "the item came back as {read}");
        let tables = succeeded(&client.dynamodb("ListTables", &json!({}))?)?;
        ensure!(tables == json!({ "TableNames": [TABLE] }), "the tables are {tables}");
        let seen = stage.stand_in.calls();
        ensure!(seen == 4, "AWS saw {seen} rightly signed calls, not 4");
        let shows = format!(
            "CreateTable, PutItem, GetItem, ListTables: AWS saw 4 calls, each signed with {}, none with dora's key",
            stage.real_key_id
        );
        Ok(((), shows))
    })?;
    Ok(client)
}

fn go_round_it(stage: &Stage, teller: &Teller, granted: &Granted, client: &Client) -> anyhow::Result<()> {
    teller.step("the same key goes straight to AWS, past the gateway", || {
        let way = Way::Direct(stage.stand_in.address);
        let direct = Client::new(way, &stage.stand_in.root_pem, &granted.access_key_id, &granted.secret)?;
        let answer = direct.dynamodb("ListTables", &json!({}))?;
        let shows = refused(&answer, "UnrecognizedClientException", "")?;
        Ok(((), format!("AWS refused: {shows}")))
    })?;
    teller.step("the same key tries SNS, which nobody granted", || {
        let answer = client.query("sns", "ListTopics", "2010-03-31")?;
        let shows = refused(&answer, "AccessDenied", "Client is unknown or has no access to service")?;
        Ok(((), format!("the gateway refused: {shows}")))
    })
}

fn take_it_back(teller: &Teller, anna: &Rest, granted: &Granted, client: &Client) -> anyhow::Result<()> {
    teller.step("anna takes the access back", || {
        anna.post(&format!("/access-requests/{}/revoke", granted.id), &json!({ "comment": "project ended" }))?;
        let answer = client.dynamodb("ListTables", &json!({}))?;
        let shows = refused(&answer, "AccessDeniedException", "Client is not Active")?;
        Ok(((), format!("the very next call was refused: {shows}")))
    })
}

fn show_usage(stage: &Stage, teller: &Teller, anna: &Rest, granted: &Granted) -> anyhow::Result<()> {
    let usage = teller.step("anna looks at what was done with it", || {
        let usage = anna.get(&format!("/access-requests/{}/usage", granted.id))?;
        let (calls, errors) = (number(&usage, "calls"), number(&usage, "errors"));
        ensure!((calls, errors) == (6, 2), "{calls} calls with {errors} errors were recorded, not 6 with 2");
        Ok((usage, "6 calls were recorded: 4 allowed, 2 refused".to_owned()))
    })?;
    let heading = format!(
        "    {:<10} {:<14} {:>5} {:>7} {:>9} {:>10}",
        "service", "operation", "calls", "errors", "bytes in", "bytes out"
    );
    print(format_args!("\n{}\n", stage.palette.paint(Style::Bold, heading)))?;
    for row in usage.get("by_operation").and_then(Value::as_array).into_iter().flatten() {
        let name = |name| row.get(name).and_then(Value::as_str).unwrap_or("-");
        print(format_args!(
            "    {:<10} {:<14} {:>5} {:>7} {:>9} {:>10}\n",
            name("service"),
            name("operation"),
            number(row, "calls"),
            number(row, "errors"),
            number(row, "bytes_in"),
            number(row, "bytes_out"),
        ))?;
    }
    Ok(())
}

fn number(within: &Value, name: &str) -> u64 {
    within.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// What anyone can download from `url`.
fn fetch(url: &str) -> anyhow::Result<String> {
    let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(10))).build();
    let mut response = http::agent(config, None).get(url).call().with_context(|| format!("can't fetch {url}"))?;
    Ok(response.body_mut().read_to_string()?)
}

fn succeeded(answer: &Answer) -> anyhow::Result<Value> {
    if answer.status != 200 {
        bail!("the call was answered with {}: {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).context("the answer is not JSON")
}

/// The call must have been refused, with this code and these words; gives both back for telling.
fn refused(answer: &Answer, code: &str, words: &str) -> anyhow::Result<String> {
    let as_expected = (400..500).contains(&answer.status) && answer.body.contains(code) && answer.body.contains(words);
    ensure!(as_expected, "expected {code}, got {}: {}", answer.status, answer.body);
    Ok(if words.is_empty() { code.to_owned() } else { format!("{code}: {words}") })
}

/// Tells each step as it happens.
struct Teller {
    palette: Palette,
}

impl Teller {
    fn step<T>(&self, title: &str, act: impl FnOnce() -> anyhow::Result<(T, String)>) -> anyhow::Result<T> {
        match act() {
            Ok((result, shows)) => {
                let (mark, shows) = (self.palette.paint(Style::Good, "✓"), self.palette.paint(Style::Dim, shows));
                print(format_args!("{mark} {title}\n    {shows}\n"))?;
                Ok(result)
            }
            Err(error) => {
                print(format_args!("{} {title}\n    {error:#}\n", self.palette.paint(Style::Bad, "✗")))?;
                Err(error.context(format!("this step did not do what it should: {title}")))
            }
        }
    }
}
