//! Deciding on an access request, without scripts: what the page tells, what each field does, and who may.

use std::sync::Arc;

use csg::model::{AccountId, Principal};
use serde_json::json;

use super::browser::{Browser, location};
use crate::api::harness::Console;

fn decide(id: &str) -> String {
    format!("/access-requests/{id}/decide")
}

#[test]
fn anna_sees_who_asks_for_what_and_what_they_have_and_says_yes_with_all_that_goes_with_it() {
    let console = Console::furnished();
    let [dora, token] = ["dora", "anna"].map(|name| console.sign_in(name));
    let held = console.submit_and_approve(&dora, &token);
    let wish = json!({"cloud": "aws", "services": ["redshift", "sns"], "justification": "figures", "duration": "90d"});
    let made = console.post("/environments/dev/access-requests", &dora, &wish).expect(201);
    let id = made["id"].as_str().unwrap();
    let credential = console.credential("dev", &token);
    let anna = Browser::signed_in(&console, "anna");
    let page = anna.page(&decide(id));
    for part in [
        "Redshift, Simple Notification Service (SNS) for dora",
        "figures",
        "for 90 days",
        &format!("href=\"/access-requests/{held}\">DynamoDB</a> in <strong>dev</strong>"),
        "value=\"asked\" data-words=\"until 21 Feb 2027\" selected",
        "90 days, as asked, until 21 Feb 2027",
        "dev account",
        "with the credential dev account (AKIAIOSFODNN7EXAMPLE), and the account behind it is not known \
         (test the credential),</span>",
        "AKIAIOSFODNN7EXAMPLE, not tested",
        "value=\"redshift:GetClusterCredentials\">",
        "except those that hand out cloud credentials and are not ticked above",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("prod account"), "of another environment");

    let fields = [
        ("decision", "approve"),
        ("credential", credential.as_str()),
        ("until", "date"),
        ("date", "2026-12-23"),
        ("allow", "redshift:GetClusterCredentials"),
        ("comment", "until Christmas"),
    ];
    assert_eq!(location(&anna.submit(&decide(id), &decide(id), &fields)), "/access-requests");
    let request = console.get(&format!("/access-requests/{id}"), &token).expect(200);
    for (field, value) in [
        ("status", json!("approved")),
        ("credential", json!(credential)),
        ("expires_at", json!("2026-12-23T23:59:59.000Z")),
        ("allow_credential_operations", json!(["redshift:GetClusterCredentials"])),
        ("decision_comment", json!("until Christmas")),
        ("decided_by", json!("anna")),
    ] {
        assert_eq!(request[field], value, "{field}");
    }
    let list = anna.page("/access-requests");
    assert!(list.contains("access to Redshift, Simple Notification Service (SNS) is approved"), "{list}");
    let shown = anna.page(&format!("/access-requests/{id}"));
    assert!(shown.contains("dev account (AKIAIOSFODNN7EXAMPLE)") && shown.contains("redshift:GetClusterCredentials"));
    let hers = Browser::signed_in(&console, "dora").page(&format!("/access-requests/{id}"));
    for page in [&shown, &hers] {
        assert!(page.contains("<code>redshift:GetClusterCredentials</code>"), "{page}");
        assert!(page.contains("What it hands out works past this gateway"), "{page}");
    }
    assert!(!hers.contains("AKIAIOSFODNN7EXAMPLE") && !hers.contains("Revoke access"), "{hers}");
}

#[test]
fn the_sentence_says_as_whom_and_in_which_account_once_aws_has_said_so() {
    let console = Console::furnished();
    let [dora, root] = ["dora", "root"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    console.workflow.check_with(Arc::new(|_| {
        let arn = "arn:aws:iam::123456789012:user/<gateway>".into();
        Ok(Principal { account: AccountId::new("123456789012").unwrap(), arn, user_id: "AIDAEXAMPLE".into() })
    }));
    let credential = console.credential("dev", &root);
    console.post(&format!("/credentials/{credential}/test"), &root, &json!({})).expect(200);
    let anna = Browser::signed_in(&console, "anna");
    let page = anna.page(&decide(&id));
    for part in [
        "AKIAIOSFODNN7EXAMPLE, account 123456789012",
        ">as arn:aws:iam::123456789012:user/&#60;gateway&#62; in account 123456789012</span>",
        "data-words=\"as arn:aws:iam::123456789012:user/&#60;gateway&#62; in account 123456789012\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("not known") && !page.contains("Calls that address"), "{page}");

    // What the environment refuses is told, too.
    for (accounts, says) in [
        (json!(["123456789012"]), "Calls that address another account than 123456789012 are refused in dev."),
        (
            json!(["123456789012", "210987654321"]),
            "Calls that address other accounts than 123456789012 and 210987654321 are refused in dev.",
        ),
    ] {
        console.send("PATCH", "/environments/dev", &root, &json!({"accounts": accounts})).expect(200);
        let page = anna.page(&decide(&id));
        assert!(page.contains(says), "{says}: {page}");
        assert!(!page.contains("none of this environment"), "{page}");
    }
    console.send("PATCH", "/environments/dev", &root, &json!({"accounts": ["210987654321"]})).expect(200);
    let page = anna.page(&decide(&id));
    let elsewhere = "in account 123456789012 (which is none of this environment&#39;s)</span>";
    assert!(page.contains(elsewhere), "{page}");
}

#[test]
fn as_asked_or_for_another_span_and_until_revoked_only_where_that_was_asked() {
    let console = Console::furnished();
    let [dora, token] = ["dora", "anna"].map(|name| console.sign_in(name));
    let credential = console.credential("dev", &token);
    let anna = Browser::signed_in(&console, "anna");
    let ask = |duration: Option<&str>| {
        let wish = json!({"cloud": "aws", "services": ["sns"], "justification": "x", "duration": duration});
        let made = console.post("/environments/dev/access-requests", &dora, &wish).expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    for (duration, until, ends) in [
        (Some("30d"), "asked", Some("2026-12-23T12:00:00.000Z")),
        (Some("30d"), "7d", Some("2026-11-30T12:00:00.000Z")),
        (None, "asked", None),
        (None, "365d", Some("2027-11-23T12:00:00.000Z")),
    ] {
        let id = ask(duration);
        let page = anna.page(&decide(&id));
        assert_eq!(page.contains("Until revoked"), duration.is_none(), "{page}");
        assert!(page.contains("None of them hands out cloud credentials."), "{page}");
        let fields = [("decision", "approve"), ("credential", &credential), ("until", until)];
        location(&anna.submit(&decide(&id), &decide(&id), &fields));
        let request = console.get(&format!("/access-requests/{id}"), &token).expect(200);
        assert_eq!(request["expires_at"], json!(ends), "{duration:?} {until}");
        assert_eq!(request["allow_credential_operations"], json!([]));
    }
}

#[test]
fn a_decision_that_will_not_do_comes_back_as_it_was() {
    let console = Console::furnished();
    let [dora, token] = ["dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    let [dev, prod] = ["dev", "prod"].map(|environment| console.credential(environment, &token));
    let anna = Browser::signed_in(&console, "anna");
    for (credential, until, date, allow, says) in [
        ("", "asked", "", "", "Pick the credential"),
        (prod.as_str(), "asked", "", "", "pick another"),
        (&dev, "asked", "2026-12-23", "", "Must be told once"),
        (&dev, "date", "", "", "Must be a date"),
        (&dev, "date", "soon", "", "Must be a date"),
        (&dev, "date", "2026-11-22", "", "Must be in the future."),
        (&dev, "9999d", "", "", "Pick when the access ends."),
        (&dev, "", "", "", "Pick when the access ends."),
        (&dev, "asked", "", "sts:AssumeRole", "of a requested service"),
    ] {
        let mut fields = vec![
            ("decision", "approve"),
            ("credential", credential),
            ("until", until),
            ("date", date),
            ("comment", "my </textarea><script>words"),
        ];
        if !allow.is_empty() {
            fields.push(("allow", allow));
        }
        let answer = anna.submit(&decide(&id), &decide(&id), &fields);
        assert_eq!(answer.status, 422, "{says}");
        assert!(answer.text.contains(says), "{says}: {}", answer.text);
        assert!(answer.text.contains("my &#60;/textarea&#62;&#60;script&#62;words"), "{}", answer.text);
        assert!(answer.text.contains(&format!("name=\"date\" type=\"date\" value=\"{date}\"")), "{}", answer.text);
    }
    let answer = anna.submit(&decide(&id), &decide(&id), &[("decision", "perhaps")]);
    assert_eq!(answer.status, 400);
    assert_eq!(console.get(&format!("/access-requests/{id}"), &token).expect(200)["status"], "pending");
}

#[test]
fn the_second_to_decide_is_told_who_was_first_and_loses_no_word() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let id = console.submit(&dora);
    let [anna, root] = ["anna", "root"].map(|name| Browser::signed_in(&console, name));
    let csrf = anna.csrf(&decide(&id));
    let fields = [("decision", "deny"), ("comment", "not <b>now</b>")];
    assert_eq!(location(&root.submit(&decide(&id), &decide(&id), &fields)), "/access-requests");
    let credential = console.credential("dev", &console.sign_in("anna"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("decision", "approve"),
        ("credential", &credential),
        ("until", "asked"),
        ("comment", "welcome <i>aboard</i>"),
    ];
    let answer = anna.post(&decide(&id), &fields);
    assert_eq!(answer.status, 409, "{}", answer.text);
    for part in [
        "came too late",
        "<strong>root denied it</strong>",
        "not &#60;b&#62;now&#60;/b&#62;",
        "welcome &#60;i&#62;aboard&#60;/i&#62;",
    ] {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    assert!(!answer.text.contains("Approve access"));
    let page = anna.page(&decide(&id));
    assert!(page.contains("root denied it") && !page.contains("came too late") && !page.contains("Approve access"));
}

#[test]
fn nobody_decides_on_their_own_request_unless_the_installation_says_so() {
    let console = Console::furnished();
    let token = console.sign_in("root");
    let id = console.submit(&token);
    let root = Browser::signed_in(&console, "root");
    let page = root.page(&decide(&id));
    assert!(page.contains("This is your own request") && !page.contains("Approve access"), "{page}");
    let credential = console.credential("dev", &token);
    let csrf = root.csrf("/account");
    let fields = [("csrf", csrf.as_str()), ("decision", "approve"), ("credential", &credential), ("until", "asked")];
    assert_eq!(root.post(&decide(&id), &fields).status, 403, "by hand");
    console.post("/settings", &token, &json!({"self_approval": true})).expect(200);
    assert!(root.page(&decide(&id)).contains("Approve access"));
    assert_eq!(location(&root.post(&decide(&id), &fields)), "/access-requests");
}

#[test]
fn without_a_credential_the_page_says_what_is_to_be_done_and_denies_at_most() {
    let console = Console::furnished();
    let [root, dora] = ["root", "dora"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    let credential = console.credential("dev", &root);
    console.send("PATCH", &format!("/credentials/{credential}"), &root, &json!({"environments": ["prod"]})).expect(200);
    let anna = Browser::signed_in(&console, "anna");
    let page = anna.page(&decide(&id));
    assert!(page.contains("No credential is linked to dev") && !page.contains("Approve access"), "{page}");
    location(&anna.submit(&decide(&id), &decide(&id), &[("decision", "deny")]));
    assert_eq!(console.get(&format!("/access-requests/{id}"), &dora).expect(200)["status"], "denied");
}

#[test]
fn only_who_decides_there_sees_the_page_or_gets_through_by_hand() {
    let console = Console::furnished();
    let token = console.sign_in("dora");
    let id = console.submit(&token);
    let credential = console.credential("dev", &console.sign_in("anna"));
    // Dora may see her request but not decide; for paula, who decides in prod, there is no such thing.
    for (name, status) in [("dora", 403), ("paula", 404), ("peter", 404), ("ada", 404)] {
        let browser = Browser::signed_in(&console, name);
        assert_eq!(browser.get(&decide(&id)).status, status, "{name}");
        let csrf = browser.csrf("/account");
        for decision in ["approve", "deny"] {
            let fields =
                [("csrf", csrf.as_str()), ("decision", decision), ("credential", &credential), ("until", "asked")];
            assert_eq!(browser.post(&decide(&id), &fields).status, status, "{name} {decision}");
        }
    }
    let anna = Browser::signed_in(&console, "anna");
    let stolen = Browser::signed_in(&console, "root").csrf("/account");
    let fields = [("csrf", stolen.as_str()), ("decision", "deny")];
    assert_eq!(anna.post(&decide(&id), &fields).status, 403, "a form of another session");
    assert_eq!(
        location(&Browser::new(&console).get(&decide(&id))),
        format!("/sign-in?next=%2Faccess-requests%2F{id}%2Fdecide")
    );
    assert_eq!(console.get(&format!("/access-requests/{id}"), &token).expect(200)["status"], "pending");
}

#[test]
fn what_a_person_has_elsewhere_is_told_only_to_who_may_see_it() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    let both =
        json!({"roles": [{"role": "developer", "environment": "dev"}, {"role": "developer", "environment": "prod"}]});
    console.send("PATCH", "/users/dora", &root, &both).expect(200);
    let held = console.submit_and_approve(&dora, &anna);
    let wish = json!({"cloud": "aws", "services": ["sns"], "justification": "x", "duration": null});
    let made = console.post("/environments/prod/access-requests", &dora, &wish).expect(201);
    let id = made["id"].as_str().unwrap();
    assert!(Browser::signed_in(&console, "anna").page(&decide(id)).contains(&held));
    let paula = Browser::signed_in(&console, "paula").page(&decide(id));
    assert!(!paula.contains(&held) && paula.contains("No access that you may see."), "{paula}");
}

#[test]
fn what_was_decided_is_still_told_when_its_environment_is_gone() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    console.post(&format!("/access-requests/{id}/deny"), &anna, &json!({})).expect(200);
    console.send("DELETE", "/environments/dev", &root, &serde_json::Value::Null).expect(204);
    let anna = Browser::signed_in(&console, "anna");
    assert!(anna.page(&decide(&id)).contains("<strong>anna denied it</strong>"));
    assert!(anna.page("/access-requests?environment=dev").contains(&id));
}
