//! Credentials that are roles: added and changed without scripts, with what AWS has to be told to copy.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::credentials::{Says, furnished};
use crate::{
    api::harness::Console,
    pages::browser::{Browser, location},
};

const ROLE: &str = "arn:aws:iam::123456789012:role/teams/<gateway>\"/csg";

/// What is in the form of a role, its source aside.
const FIELDS: [(&str, &str); 4] =
    [("kind", "role"), ("role_arn", ROLE), ("external_id", "ours+1"), ("session_duration", "1800s")];

/// The same, with others in place of those of the same name: the last of a name counts.
fn fields<'f>(more: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let all: BTreeMap<_, _> = FIELDS.iter().chain(more).copied().collect();
    all.into_iter().collect()
}

/// The page of a role that was added without asking AWS, and of what it is assumed with.
fn added(console: &Console, root: &Browser<'_>, environment: &str) -> (String, String) {
    let source = console.credential("dev", &console.sign_in("root"));
    let all = fields(&[
        ("name", "a role"),
        ("source_credential", &source),
        ("environments", environment),
        ("unchecked", "1"),
    ]);
    let page = location(&root.submit("/new/credential", "/credentials", &all));
    (page, format!("/credentials/{source}"))
}

fn says(says: &Says, account: Option<&'static str>) {
    *says.lock().unwrap() = account;
}

#[test]
fn a_role_is_tried_before_it_is_kept_and_what_was_typed_stays() {
    let (console, cloud) = furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let source = console.credential("dev", &token);
    let new = |more: &[(&str, &str)]| {
        let all = [("name", "a role"), ("source_credential", &source), ("environments", "dev")];
        root.submit("/new/credential", "/credentials", &fields(&[&all[..], more].concat()))
    };
    let form = root.page("/new/credential");
    assert!(form.contains("value=\"static\" checked") && form.contains("dev account (AKIAIOSFODNN7EXAMPLE)"), "{form}");
    // All that is wrong at once, each beside its field; the half that is not picked is not looked at.
    let wrong = new(&[("role_arn", "gateway"), ("source_credential", ""), ("session_duration", "long")]);
    assert_eq!(wrong.status, 422);
    for id in ["role-error", "source-error", "session-error"] {
        assert!(wrong.text.contains(&format!("id=\"{id}\"")), "{id}: {}", wrong.text);
    }
    assert!(!wrong.text.contains("id=\"key-error\"") && !wrong.text.contains("class=\"note bad\""), "{}", wrong.text);
    for (field, value, id) in [("external_id", "a b", "external"), ("session_duration", "60s", "session")] {
        let wrong = new(&[(field, value)]);
        assert!(wrong.status == 422 && wrong.text.contains(&format!("id=\"{id}-error\"")), "{}", wrong.text);
    }

    let refused = new(&[]);
    assert_eq!(refused.status, 422);
    let typed = [
        "value=\"role\" checked".to_owned(),
        "value=\"arn:aws:iam::123456789012:role/teams/&#60;gateway&#62;&#34;/csg\"".to_owned(),
        "value=\"ours+1\"".to_owned(),
        format!("value=\"{source}\" selected"),
        "value=\"1800s\" selected".to_owned(),
        "value=\"dev\" checked".to_owned(),
        "name=\"unchecked\"".to_owned(),
        "No &#60;b&#62;such&#60;/b&#62; key. (InvalidClientTokenId)".to_owned(),
    ];
    for part in &typed {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    assert_eq!(console.get("/credentials", &token).expect(200)["items"].as_array().unwrap().len(), 2);

    says(&cloud, Some("123456789012"));
    let page = location(&new(&[]));
    let shown = root.page(&page);
    assert!(shown.contains("AWS lets the gateway assume it: account 123456789012."), "{shown}");
    let made = console.get(&page, &token).expect(200);
    let kept = ["role_arn", "source_credential", "external_id", "session_duration", "environments"];
    let expected = [json!(ROLE), json!(source), json!("ours+1"), json!("30m"), json!(["dev"])];
    assert_eq!(kept.map(|field| made[field].clone()), expected);
}

#[test]
fn the_page_of_a_role_tells_what_it_stands_on_and_what_aws_needs() {
    let (console, cloud) = furnished();
    let root = Browser::signed_in(&console, "root");
    let (page, source) = added(&console, &root, "prod");
    let shown = root.page(&page);
    assert!(shown.contains(&format!("<a href=\"{source}\">dev account</a>")), "{shown}");
    for part in ["30 minutes, renewed in time", "<code class=\"breaks\">ours+1</code>", "Change the role", "Not tested"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("Replace the secret"), "{shown}");
    // Who assumes it is not known before its source is; what the source needs is.
    assert!(!shown.contains("Trust policy of the role") && shown.contains("Policy of the source"), "{shown}");
    assert!(shown.contains("role/teams/&#60;gateway&#62;\\&#34;/csg&#34;"), "{shown}");
    let list = root.page("/credentials");
    assert!(list.contains("<code>123456789012</code> <span class=\"chip you\">"), "{list}");
    assert!(root.page("/system").contains("” and 2 more."));

    says(&cloud, Some("999999999999"));
    root.submit(&source, &format!("{source}/test"), &[]);
    let shown = root.page(&page);
    let (_, policy) = shown.split_once("aria-label=\"Trust policy of the role\"><code>").expect(&shown);
    let policy = policy.split("</code>").next().unwrap().replace("&#34;", "\"");
    let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
    let expected = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::999999999999:user/AKIAIOSFODNN7EXAMPLE"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "ours+1"}},
        }],
    });
    assert_eq!(policy, expected);

    // The key tells what stands on it, and stays.
    let shown = root.page(&source);
    assert!(shown.contains("Roles assumed with it") && shown.contains(&format!("<a href=\"{page}\">a role</a>")));
    let asked = root.page(&format!("{source}/delete"));
    assert!(asked.contains("while roles are assumed with it") && !asked.contains("class=\"danger\""), "{asked}");
    let asked = root.page(&format!("{page}/delete"));
    assert!(asked.contains("itself stays at AWS") && !asked.contains("sealed secret"), "{asked}");
    let csrf = root.csrf("/tokens");
    assert_eq!(root.post(&format!("{source}/delete"), &[("csrf", &csrf)]).status, 409);

    // Paula decides in prod alone: she sees the role, not what it is assumed with, and no forms.
    let paula = Browser::signed_in(&console, "paula");
    let shown = paula.page(&page);
    assert!(shown.contains("one that you may not see") && !shown.contains(&source), "{shown}");
    assert!(!shown.contains("What AWS has to be told") && !shown.contains("Change the role"), "{shown}");
    let token = paula.csrf("/account");
    assert_eq!(paula.post(&format!("{page}/role"), &[("csrf", &token)]).status, 403);
    assert_eq!(location(&root.submit(&format!("{page}/delete"), &format!("{page}/delete"), &[])), "/credentials");
}

#[test]
fn what_stands_on_a_credential_is_shown_to_who_may_see_it() {
    let (console, _) = furnished();
    let (root, paula) = (Browser::signed_in(&console, "root"), Browser::signed_in(&console, "paula"));
    let source = console.credential("prod", &console.sign_in("root"));
    for environment in ["dev", "prod"] {
        let name = format!("a role in {environment}");
        let all = [("name", &*name), ("source_credential", &source), ("environments", environment), ("unchecked", "1")];
        location(&root.submit("/new/credential", "/credentials", &fields(&all)));
    }
    let page = format!("/credentials/{source}");
    let shown = root.page(&page);
    assert!(shown.contains("a role in dev") && shown.contains("a role in prod"), "{shown}");
    let shown = paula.page(&page);
    assert!(!shown.contains("a role in dev") && shown.contains("a role in prod"), "{shown}");
}

#[test]
fn a_role_is_changed_to_one_of_the_same_account() {
    let (console, cloud) = furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let (page, source) = added(&console, &root, "dev");
    let source = source.trim_start_matches("/credentials/");
    let change = |more: &[(&str, &str)]| {
        root.submit(&page, &format!("{page}/role"), &fields(&[&[("source_credential", source)], more].concat()))
    };
    says(&cloud, Some("123456789012"));
    root.submit(&page, &format!("{page}/test"), &[]);
    says(&cloud, Some("999999999999"));
    let other = change(&[("role_arn", "arn:aws:iam::999999999999:role/csg")]);
    assert_eq!(other.status, 422);
    assert!(other.text.contains("999999999999, while the credential has been of 123456789012"), "{}", other.text);
    assert!(other.text.contains("value=\"arn:aws:iam::999999999999:role/csg\""), "{}", other.text);
    assert!(other.text.contains("change it all the same"), "{}", other.text);
    // Beside its field, whichever it is; what the page tells of the role as it is stays.
    let wrong = change(&[("external_id", "a b"), ("session_duration", "7200s")]);
    assert!(wrong.status == 422 && wrong.text.contains("id=\"external-error\""), "{}", wrong.text);
    assert!(wrong.text.contains("value=\"7200s\" selected") && wrong.text.contains("30 minutes, renewed in time"));

    says(&cloud, Some("123456789012"));
    assert_eq!(location(&change(&[("external_id", ""), ("session_duration", "43200s")])), page);
    let changed = console.get(&page, &token).expect(200);
    assert_eq!((&changed["external_id"], &changed["session_duration"]), (&json!(null), &json!("12h")));
    says(&cloud, None);
    let failed = root.submit(&page, &format!("{page}/test"), &[]);
    assert!(failed.status == 422 && failed.text.contains("look at the role's trust policy"), "{}", failed.text);
}

#[test]
fn who_decides_is_told_which_role_and_account_it_is() {
    let (console, cloud) = furnished();
    let root = Browser::signed_in(&console, "root");
    let (page, _) = added(&console, &root, "dev");
    let [dora, anna, token] = ["dora", "anna", "root"].map(|name| console.sign_in(name));
    let decide = format!("/access-requests/{}/decide", console.submit(&dora));
    let browser = Browser::signed_in(&console, "anna");
    let role = "the role arn:aws:iam::123456789012:role/teams/&#60;gateway&#62;&#34;/csg in account 123456789012";
    let shown = browser.page(&decide);
    assert!(shown.contains(&format!("with {role}, which was never tried (test the credential a role),")), "{shown}");
    // Its name tells the account, whoever was asked.
    let of = |account: &str| {
        console.send("PATCH", "/environments/dev", &token, &json!({"accounts": [account]})).expect(200);
    };
    of("210987654321");
    let elsewhere = format!("with {role} (which is none of this environment&#39;s), which was never tried");
    assert!(browser.page(&decide).contains(&elsewhere), "{elsewhere}");
    of("123456789012");
    says(&cloud, Some("123456789012"));
    root.submit(&page, &format!("{page}/test"), &[]);
    let shown = browser.page(&decide);
    // Not the session in which it was tested: that had root's name.
    assert!(shown.contains(&format!("data-words=\"with {role}\"")) && !shown.contains("assumed-role"), "{shown}");
    let approval = json!({"credential": page.trim_start_matches("/credentials/")});
    let request = decide.trim_end_matches("/decide");
    console.post(&format!("{request}/approve"), &anna, &approval).expect(200);
    assert!(browser.page(request).contains("a role (arn:aws:iam::123456789012:role/teams/"));
    assert!(root.page(&page).contains(&format!("href=\"{request}\"")));
}

#[test]
fn a_role_needs_something_to_be_assumed_with() {
    let console = Console::empty();
    let set_up = console.workflow.begin_set_up().unwrap();
    let root = Browser::new(&console);
    root.post("/setup", &[("token", set_up.expose()), ("username", "root"), ("password", "a long password")]);
    assert!(root.page("/new/credential").contains("Add the key that the role trusts first."));
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    console.workflow.check_with(Arc::new(move |_| {
        *count.lock().unwrap() += 1;
        Err(csg::cloud::CheckError::Refused { code: "AccessDenied".into(), message: String::new() })
    }));
    let none = root.submit("/new/credential", "/credentials", &fields(&[("name", "a role")]));
    assert!(none.status == 422 && none.text.contains("id=\"source-error\""), "{}", none.text);
    assert_eq!(*asked.lock().unwrap(), 0);
}
