//! The commands over the REST API: the whole way from an empty installation to a key, by hand and by script.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
};

use serde_json::Value;

use super::{
    fails,
    site::{Serving, Site},
    succeeds, text,
};

const PASSWORD: &str = "a long password";

/// Somebody at a shell of their own.
struct Person<'s> {
    site: &'s Site,
    url: String,
    name: &'static str,
}

impl<'s> Person<'s> {
    fn new(site: &'s Site, serving: &Serving, name: &'static str) -> Self {
        Self { site, url: format!("http://{}", serving.console), name }
    }

    fn signed_in(site: &'s Site, serving: &Serving, name: &'static str) -> Self {
        let person = Self::new(site, serving, name);
        assert!(succeeds(&person.run(&["login", name], PASSWORD)).contains("is signed in"));
        person
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.site.command(arguments);
        command.env("CSG_URL", &self.url).env("XDG_CONFIG_HOME", self.site.path(self.name)).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that needs no input may have ended.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        succeeds(&self.run(arguments, ""))
    }

    #[track_caller]
    fn json(&self, arguments: &[&str], input: &str) -> Value {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&succeeds(&self.run(&arguments, input))).unwrap()
    }
}

fn furnished(site: &Site) -> Serving {
    succeeds(&site.init());
    let serving = site.serve();
    let admin = Person::signed_in(site, &serving, "admin");
    assert!(admin.says(&["environment", "create", "dev", "--name", "Development"]).contains("Development"));
    let add = ["credential", "add", "dev account", "--access-key-id", "AKIAREALREALREALREAL", "--environment", "dev"];
    let credential = admin.json(&add, "real-secret\n");
    assert!(!credential.to_string().contains("real-secret"));
    for (name, role) in [("anna", "approver"), ("dora", "developer@dev")] {
        assert_eq!(admin.json(&["user", "add", name, "--role", role], PASSWORD)["username"], name);
    }
    serving
}

#[test]
fn from_an_empty_installation_to_a_key() {
    let site = Site::new();
    let serving = furnished(&site);
    let (anna, dora) = (Person::signed_in(&site, &serving, "anna"), Person::signed_in(&site, &serving, "dora"));
    let wish = ["request", "create", "dev", "sns", "dynamodb", "--justification", "orders", "--duration", "30d"];
    let request = dora.json(&wish, "");
    let id = request["id"].as_str().unwrap();
    assert!(dora.says(&["request", "list"]).contains("pending"));
    assert!(anna.says(&["request", "list", "--status", "pending"]).contains("dynamodb, sns"));
    assert_eq!(anna.json(&["request", "list", "--status", "active"], ""), serde_json::json!([]));
    assert_eq!(anna.json(&["request", "list", "--service", "sns", "--user", "dora"], "")[0]["id"], id);
    assert_eq!(anna.json(&["request", "list", "--service", "lambda"], ""), serde_json::json!([]));
    fails(&dora.run(&["request", "approve", id], ""), &["the gateway refused", "403"]);

    assert!(anna.says(&["request", "approve", id, "--comment", "fine"]).contains("approved"));
    fails(&anna.run(&["request", "deny", id], ""), &["can't deny", "is approved", "409"]);
    let secret = dora.says(&["request", "secret", id]);
    assert!(secret.contains("AWS_SECRET_ACCESS_KEY") && secret.contains("never be shown again"), "{secret}");
    fails(&dora.run(&["request", "secret", id], ""), &["410"]);
    assert!(dora.says(&["request", "rotate", id, "--overlap", "1h"]).contains(&format!("csg request secret {id}")));
    assert!(dora.json(&["request", "secret", id], "")["secret_access_key"].is_string());
    assert_eq!(dora.json(&["request", "usage", id], "")["calls"], 0);
    assert!(dora.says(&["request", "show", id]).contains("active"));

    assert_eq!(anna.says(&["request", "revoke", id, "--comment", "done"]), format!("{id} is revoked.\n"));
    assert_eq!(anna.says(&["request", "archive", id]), format!("{id} is archived.\n"));
    // What hands out cloud credentials is allowed by name, or not at all.
    let third = dora.json(&["request", "create", "dev", "redshift", "--justification", "figures"], "");
    let third = third["id"].as_str().unwrap();
    let allowing = |operation| ["request", "approve", third, "--allow-credential-operation", operation];
    fails(&anna.run(&allowing("redshift:DescribeClusters"), ""), &["422", "redshift:DescribeClusters"]);
    let operation = "redshift:GetClusterCredentials";
    assert_eq!(anna.json(&allowing(operation), "")["allow_credential_operations"][0], operation);
    assert!(dora.says(&["request", "show", third]).contains(operation));

    let second = dora.json(&wish, "");
    let second = second["id"].as_str().unwrap();
    assert_eq!(dora.says(&["request", "withdraw", second]), format!("{second} is withdrawn.\n"));
}

#[test]
fn a_role_is_added_and_changed_without_a_secret() {
    let site = Site::new();
    let serving = furnished(&site);
    let admin = Person::signed_in(&site, &serving, "admin");
    let key = admin.json(&["credential", "list"], "")[0]["id"].as_str().unwrap().to_owned();
    let role = "arn:aws:iam::123456789012:role/gateway";
    let add = ["credential", "add", "a role", "--role-arn", role, "--source-credential", &key, "--external-id", "ours"];
    let made = admin.json(&add, "");
    let fields = ["kind", "role_arn", "source_credential", "external_id", "session_duration", "access_key_id"];
    let expected = serde_json::json!(["role", role, key, "ours", "1h", null]);
    assert_eq!(serde_json::json!(fields.map(|field| made[field].clone())), expected);
    let id = made["id"].as_str().unwrap();

    let list = admin.says(&["credential", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].contains("KEY OR ROLE") && lines[1].contains("AKIAREALREALREALREAL"), "{list}");
    assert!(lines[2].contains(role) && lines.len() == 3, "{list}");
    let shown = admin.says(&["credential", "show", id]);
    for (name, value) in
        [("role", role), ("assumed with", key.as_str()), ("external id", "ours"), ("session duration", "1h")]
    {
        let line = shown.lines().find(|line| line.starts_with(name)).expect(name);
        assert!(line.ends_with(value), "{line}");
    }
    assert!(
        !shown.contains("\nkey ") && !admin.says(&["credential", "show", &key]).contains("assumed with"),
        "{shown}"
    );
    // What a script gets is the API's object, and nothing of the table's.
    assert_eq!(admin.json(&["credential", "list"], "")[1], admin.json(&["credential", "show", id], ""));

    let update = |more: &[&str]| admin.json(&[&["credential", "update", id], more].concat(), "");
    let changed = update(&["--session-duration", "15m", "--role-arn", "arn:aws:iam::123456789012:role/other"]);
    assert_eq!((&changed["session_duration"], &changed["external_id"]), (&"15m".into(), &"ours".into()));
    assert_eq!(changed["role_arn"], "arn:aws:iam::123456789012:role/other");
    assert_eq!(update(&["--no-external-id"])["external_id"], Value::Null);
    assert_eq!(update(&["--external-id", "new", "--source-credential", &key])["external_id"], "new");
    fails(&admin.run(&["credential", "update", id, "--source-credential", id], ""), &["must not lead back", "422"]);
    fails(&admin.run(&["credential", "update", &key, "--external-id", "xx"], ""), &["this credential is a key", "422"]);
    fails(&admin.run(&["credential", "remove", &key], ""), &["is assumed with it", "409"]);
    assert_eq!(admin.says(&["credential", "remove", id]), format!("{id} is removed.\n"));
}

#[test]
fn a_credential_is_a_key_or_a_role() {
    let site = Site::new();
    let (key, role) = (["--access-key-id", "AKIAREALREALREALREAL"], ["--role-arn", "arn:aws:iam::123456789012:role/x"]);
    let source = ["--source-credential", "abc"];
    let add = ["credential", "add", "name"];
    let update = ["credential", "update", "abc"];
    let both = "cannot be used with";
    for (arguments, says) in [
        ([&add[..]].concat(), "<--access-key-id <ID>|--role-arn <ARN>>"),
        ([&add[..], &source].concat(), "<--access-key-id <ID>|--role-arn <ARN>>"),
        ([&add[..], &role].concat(), "--source-credential <ID>"),
        ([&add[..], &key, &role, &source].concat(), both),
        ([&add[..], &key, &source].concat(), both),
        ([&add[..], &key, &["--external-id", "xx"]].concat(), both),
        ([&add[..], &key, &["--session-duration", "1h"]].concat(), both),
        ([&add[..], &role, &source, &["--secret-file", "/dev/null"]].concat(), both),
        ([&add[..], &source, &["--role-arn", "gateway"]].concat(), "arn:aws:iam::123456789012:role/NAME"),
        ([&update[..], &key, &role].concat(), both),
        ([&update[..], &key, &["--no-external-id"]].concat(), both),
        ([&update[..], &["--secret-file", "/dev/null"], &source].concat(), both),
        ([&update[..], &["--external-id", "xx", "--no-external-id"]].concat(), both),
    ] {
        let output = site.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn rules_that_were_asked_for_come_with_the_yes_unless_that_says_otherwise() {
    let site = Site::new();
    let serving = furnished(&site);
    let (anna, dora) = (Person::signed_in(&site, &serving, "anna"), Person::signed_in(&site, &serving, "dora"));
    let wish = ["request", "create", "dev", "dynamodb", "--justification", "orders"];
    let admin = Person::signed_in(&site, &serving, "admin");
    let rules = r#"[{"type": "csg.resource.name.prefix", "value": "team-", "status": "enforced",
        "conditions": {"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"}}]"#;
    let group = admin.json(&["policy-group", "create", "teams"], rules)["id"].as_str().unwrap().to_owned();
    assert!(dora.says(&["policy-group", "list"]).contains(&group));
    assert!(dora.says(&["policy-group", "show", &group]).contains("team-"));
    fails(&dora.run(&[&wish[..], &["--policy-group", "none"]].concat(), ""), &["422", "policy_group"]);
    let ask = || {
        let made = dora.json(&[&wish[..], &["--policy-group", &group]].concat(), "");
        assert_eq!((made["requested_policy_group"].as_str(), &made["policy_group"]), (Some(&*group), &Value::Null));
        made["id"].as_str().unwrap().to_owned()
    };
    let [as_asked, none, waits] = [ask(), ask(), ask()];
    assert_eq!(anna.json(&["request", "approve", &as_asked], "")["policy_group"], *group);
    let shown = dora.says(&["request", "show", &as_asked]);
    assert_eq!(shown.matches(&*group).count(), 2, "asked for, and attached: {shown}");
    assert_eq!(anna.json(&["request", "approve", &none, "--no-policy-group"], "")["policy_group"], Value::Null);
    let both = anna.run(&["request", "approve", &waits, "--no-policy-group", "--policy-group", &group], "");
    assert_eq!(both.status.code(), Some(2), "{}", text(&both.stderr));
    assert!(anna.says(&["request", "list", "--status", "pending"]).contains(&group));
    anna.says(&["request", "revoke", &as_asked]);
    admin.says(&["policy-group", "remove", &group]);
    fails(&anna.run(&["request", "approve", &waits], ""), &["422", "policy_group: must be given"]);
    assert_eq!(dora.says(&["request", "withdraw", &waits]), format!("{waits} is withdrawn.\n"));
}

#[test]
fn an_administrator_keeps_people_places_and_credentials() {
    let site = Site::new();
    let serving = furnished(&site);
    let admin = Person::signed_in(&site, &serving, "admin");
    assert!(admin.says(&["user", "list"]).contains("developer@dev"));
    assert_eq!(admin.json(&["user", "disable", "dora"], "")["disabled"], true);
    fails(&Person::new(&site, &serving, "dora").run(&["login", "dora"], PASSWORD), &["401"]);
    assert_eq!(admin.json(&["user", "enable", "dora"], "")["disabled"], false);
    admin.json(&["user", "reset-password", "dora"], "another password\n");
    assert!(
        succeeds(&Person::new(&site, &serving, "dora").run(&["login", "dora"], "another password\n")).contains("dora")
    );
    assert_eq!(admin.json(&["user", "roles", "dora", "--role", "auditor"], "")["roles"][0]["role"], "auditor");
    fails(&admin.run(&["user", "roles", "admin"], ""), &["last administrator", "409"]);

    let credentials = admin.json(&["credential", "list"], "");
    let id = credentials[0]["id"].as_str().unwrap();
    let update = ["credential", "update", id, "--access-key-id", "AKIAOTHEROTHEROTHERX", "--name", "new name"];
    let updated = admin.json(&update, "other-secret");
    assert_eq!(
        (updated["name"].as_str(), updated["access_key_id"].as_str()),
        (Some("new name"), Some("AKIAOTHEROTHEROTHERX"))
    );
    assert_eq!(admin.says(&["credential", "remove", id]), format!("{id} is removed.\n"));
    assert_eq!(
        admin.json(&["environment", "update", "dev", "--account", "123456789012"], "")["accounts"][0],
        "123456789012"
    );
    assert_eq!(admin.json(&["environment", "update", "dev", "--any-account"], "")["accounts"], serde_json::json!([]));
    assert_eq!(admin.says(&["environment", "remove", "dev"]), "dev is removed.\n");
    assert_eq!(admin.says(&["environment", "list"]), "There is no environment that you work in.\n");

    let audit = admin.says(&["audit", "--limit", "5"]);
    assert_eq!(audit.lines().count(), 6, "{audit}");
    assert_eq!(admin.json(&["audit", "--service", "sns"], ""), serde_json::json!([]));
}

#[test]
fn a_session_is_kept_for_its_owner_and_goes_nowhere_else() {
    let site = Site::new();
    let serving = furnished(&site);
    let dora = Person::signed_in(&site, &serving, "dora");
    let kept = site.path("dora/csg/session.json");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(kept.clone()), mode(site.path("dora/csg"))), (0o600, 0o700));

    // The session is for its console; a token in a variable wins.
    let elsewhere = Person { url: "http://127.0.0.1:1".into(), ..Person::new(&site, &serving, "dora") };
    fails(&elsewhere.run(&["request", "list"], ""), &["nobody is signed in at http://127.0.0.1:1", "csg login"]);
    let token = dora.says(&["token", "create", "build"]);
    let listed = dora.json(&["token", "list"], "");
    assert_eq!(listed[0]["name"], "build");
    assert!(!listed.to_string().contains(token.trim()));
    let with = |token: &str| {
        let mut command = site.command(&["request", "list"]);
        command.env("CSG_URL", &dora.url).env("CSG_TOKEN", token).output().unwrap()
    };
    assert_eq!(succeeds(&with(token.trim())), "There is no access request.\n");
    dora.says(&["token", "remove", listed[0]["id"].as_str().unwrap()]);
    fails(&with(token.trim()), &["401", "csg login"]);

    assert_eq!(dora.says(&["logout"]), "dora is signed out.\n");
    assert!(!kept.exists());
    fails(&dora.run(&["request", "list"], ""), &["nobody is signed in"]);
    fails(&dora.run(&["login", "dora"], ""), &["there is no password", "--password-file"]);
    let wrong = dora.run(&["login", "dora"], "wrong");
    fails(&wrong, &["401"]);
    assert!(!text(&wrong.stderr).contains(PASSWORD) && !kept.exists());
}

#[test]
fn rules_are_written_attached_and_replaced_from_files_and_pipes() {
    let site = Site::new();
    let serving = furnished(&site);
    let [admin, anna, dora] = ["admin", "anna", "dora"].map(|name| Person::signed_in(&site, &serving, name));
    let rule = r#"{"type": "csg.resource.name.prefix", "value": "team-", "status": "enforced",
        "conditions": {"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"}}"#;
    assert!(admin.says(&["policy-group", "list"]).contains("There is no policy group."));
    let file = site.path("rules.json");
    fs::write(&file, format!("[{rule}]")).unwrap();
    let made = admin.json(&["policy-group", "create", "teams", "--rules", file.to_str().unwrap()], "");
    let group = made["id"].as_str().unwrap();
    assert!(anna.says(&["policy-group", "list"]).contains("1 enforced"));
    let shown = anna.says(&["policy-group", "show", group]);
    for part in ["SERVICE", "dynamodb", "CreateTable", "csg.resource.name.prefix", "team-", "enforced"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // Who may ask for it reads it, without who has it, and makes none.
    let hers = dora.says(&["policy-group", "show", group]);
    assert!(hers.contains("team-") && shown.contains("in use") && !hers.contains("in use"), "{hers}");
    fails(&dora.run(&["policy-group", "create", "mine"], "[]"), &["403"]);

    let request = dora.json(&["request", "create", "dev", "dynamodb", "--justification", "orders"], "");
    let request = request["id"].as_str().unwrap();
    let approved = anna.json(&["request", "approve", request, "--policy-group", group], "");
    assert_eq!(approved["policy_group"], group);
    assert!(dora.says(&["request", "show", request]).contains(group));
    assert!(dora.says(&["policy-group", "show", group]).contains("team-"));

    // What is shown can be changed and sent back.
    let printed = succeeds(&admin.run(&["policy-group", "show", group, "--json"], ""));
    let other = printed.replace("enforced", "disabled");
    let replaced = admin.json(&["policy-group", "replace", group], &other);
    assert_eq!((&replaced["name"], &replaced["policies"][0]["status"]), (&"teams".into(), &"disabled".into()));
    let named = admin.json(&["policy-group", "replace", group, "--name", "people"], "[]");
    assert_eq!((&named["name"], &named["policies"]), (&"people".into(), &serde_json::json!([])));
    let wrong = rule.replace("CreateTable", "GetItem");
    let refused = admin.run(&["policy-group", "replace", group], &format!("[{wrong}]"));
    fails(&refused, &["422", "policies[0].conditions.operation"]);
    for (input, says) in [("", "standard input is not JSON"), ("{}", "standard input has no rules")] {
        fails(&admin.run(&["policy-group", "create", "x"], input), &[says]);
    }
    fails(&admin.run(&["policy-group", "delete", group], ""), &["409", "in use by an access request"]);
    anna.says(&["request", "revoke", request]);
    assert_eq!(admin.says(&["policy-group", "remove", group]), format!("{group} is removed.\n"));
}
