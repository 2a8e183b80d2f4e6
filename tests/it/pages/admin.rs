//! Administration without scripts: who sees and may do what, what is confirmed first, what is never shown.

mod assumed_roles;
mod audit;
mod credentials;
mod environments;
mod people;
mod policies;
mod system;
mod tokens;

use serde_json::json;

use super::browser::{Browser, location};
use crate::api::harness::Console;

/// Every page as everybody: root (admin), anna (approver), paula (approver in prod), dora (developer in dev), ada
/// (auditor).
#[test]
fn each_role_sees_its_own_pages_and_no_other() {
    const PEOPLE: [&str; 5] = ["root", "anna", "paula", "dora", "ada"];
    let console = Console::furnished();
    let browsers = PEOPLE.map(|name| Browser::signed_in(&console, name));
    let root = console.sign_in("root");
    let credential = console.credential("dev", &root);
    let of_credential = |rest: &str| format!("/credentials/{credential}{rest}");
    let group = console.policy_group("teams", &root);
    let of_group = |rest: &str| format!("/policy-groups/{group}{rest}");
    let admin = [200, 403, 403, 403, 403];
    let everybody = [200; 5];
    for (path, expected) in [
        ("/environments", admin),
        ("/environments/dev", [200, 403, 404, 403, 403]),
        ("/environments/dev/delete", admin),
        ("/new/environment", admin),
        ("/credentials", [200, 200, 200, 403, 403]),
        (&of_credential(""), [200, 200, 404, 404, 404]),
        (&of_credential("/delete"), admin),
        ("/new/credential", admin),
        // Dora may ask for one.
        ("/policy-groups", [200, 200, 200, 200, 403]),
        (&of_group(""), [200, 200, 200, 200, 404]),
        (&of_group("/delete"), admin),
        ("/policy-groups/none", [404; 5]),
        ("/new/policy-group", admin),
        ("/people", admin),
        ("/people?q=d", admin),
        ("/people/dora", admin),
        ("/people/dora/disable", admin),
        ("/people/dora/roles/take?role=developer&environment=dev", admin),
        ("/people/nobody", [404, 403, 403, 403, 403]),
        ("/new/person", admin),
        ("/audit", [200, 403, 403, 403, 200]),
        ("/audit?outcome=nonsense", [422, 403, 403, 403, 422]),
        ("/audit/export.csv", [200, 403, 403, 403, 200]),
        ("/audit/export.ndjson", [200, 403, 403, 403, 200]),
        ("/settings", admin),
        ("/system", admin),
        ("/tokens", everybody),
        ("/ca", everybody),
    ] {
        let statuses = std::array::from_fn(|n| browsers[n].get(path).status);
        assert_eq!(statuses, expected, "{path} as {PEOPLE:?}");
        let nobody = Browser::new(&console).get(path);
        assert!(nobody.status == 303 && nobody.header("location").starts_with("/sign-in"), "{path}");
    }
}

/// Each write by hand, by who may not: refused, and nothing has changed.
#[test]
fn a_hand_made_form_does_no_more_than_its_sender_may() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let credential = console.credential("dev", &root);
    let of_credential = |rest: &str| format!("/credentials/{credential}{rest}");
    let group = console.policy_group("teams", &root);
    let of_group = |rest: &str| format!("/policy-groups/{group}{rest}");
    let rules = ["type", "value", "status", "cloud", "service", "operation"];
    let rule: Vec<_> = rules.into_iter().zip(["csg.resource.name.prefix", "x", "enforced", "aws", "", ""]).collect();
    let mine = [&rule[..], &[("name", "Mine")]].concat();
    let kept = ["/users", "/environments", "/credentials", "/settings", "/policy-groups"];
    let before = kept.map(|path| console.get(path, &root).text);
    let secret = ("secret_access_key", "another");
    let writes: &[(&str, &[(&str, &str)])] = &[
        ("/environments", &[("id", "mine"), ("name", "Mine")]),
        ("/environments/dev", &[("name", "Mine")]),
        ("/environments/dev/delete", &[]),
        ("/credentials", &[("name", "x"), ("access_key_id", "AKIAIOSFODNN7EXAMPLE"), secret, ("unchecked", "1")]),
        (&of_credential(""), &[("name", "Mine")]),
        (&of_credential("/test"), &[]),
        (&of_credential("/secret"), &[secret, ("unchecked", "1")]),
        (&of_credential("/delete"), &[]),
        ("/policy-groups", &mine),
        ("/policy-groups", &[("add", "rule")]),
        (&of_group(""), &mine),
        (&of_group(""), &[("name", "Mine"), ("remove", "0")]),
        (&of_group("/delete"), &[]),
        ("/people", &[("username", "mallory"), ("password", "a long password")]),
        ("/people/dora/roles", &[("role", "admin"), ("environment", "*")]),
        ("/people/anna/roles/take", &[("role", "approver"), ("environment", "*")]),
        ("/people/anna/disable", &[]),
        ("/people/anna/enable", &[]),
        ("/people/anna/password", &[("password", "a long password")]),
        ("/people/anna/tokens/none/end", &[]),
        ("/settings", &[("self_approval", "1")]),
        (
            "/welcome/credential",
            &[("name", "x"), ("access_key_id", "AKIAIOSFODNN7EXAMPLE"), secret, ("unchecked", "1")],
        ),
        ("/welcome/environment", &[("id", "mine"), ("name", "Mine")]),
    ];
    for name in ["dora", "paula", "ada"] {
        let browser = Browser::signed_in(&console, name);
        let csrf = browser.csrf("/tokens");
        for (path, fields) in writes {
            let mut all = vec![("csrf", csrf.as_str())];
            all.extend(*fields);
            let status = browser.post(path, &all).status;
            assert!(matches!(status, 403 | 404), "{name} {path}: {status}");
        }
    }
    // Nor does an administrator, without the token of the session.
    let browser = Browser::signed_in(&console, "root");
    for (path, fields) in writes {
        assert_eq!(browser.post(path, fields).status, 403, "{path}");
        let mut all = vec![("csrf", "x")];
        all.extend(*fields);
        assert_eq!(browser.post(path, &all).status, 403, "{path}");
    }
    let after = kept.map(|path| console.get(path, &root).text);
    assert_eq!(after, before);
}

#[test]
fn the_navigation_has_what_one_may_use() {
    let console = Console::furnished();
    let shown = |name: &str| {
        let page = Browser::signed_in(&console, name).page("/tokens");
        let (_, side) = page.split_once("<nav class=\"side\"").unwrap();
        let (side, _) = side.split_once("</nav>").unwrap();
        let links = side.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        links.filter(|href| !href.starts_with("/environments/") && href != "/access-requests").collect::<Vec<_>>()
    };
    let all = [
        "/environments",
        "/credentials",
        "/policy-groups",
        "/people",
        "/audit",
        "/system",
        "/settings",
        "/tokens",
        "/ca",
    ];
    assert_eq!(shown("root"), all);
    assert_eq!(shown("dora"), ["/tokens", "/ca"]);
    assert_eq!(shown("ada"), ["/audit", "/tokens", "/ca"]);
    assert_eq!(location(&Browser::signed_in(&console, "ada").get("/")), "/audit", "where she begins");
    let root = Browser::signed_in(&console, "root");
    for (path, current) in [
        ("/environments/dev", "/environments"),
        ("/environments/dev/cloud-services", "/environments/dev/cloud-services"),
        ("/environments/dev/usage", "/environments/dev/usage"),
        ("/new/person", "/people"),
        ("/new/policy-group", "/policy-groups"),
        ("/people/dora", "/people"),
    ] {
        let page = root.page(path);
        let (_, side) = page.split_once("<nav class=\"side\"").unwrap();
        let (side, _) = side.split_once("</nav>").unwrap();
        assert_eq!(side.matches("aria-current=\"page\"").count(), 1, "{path}");
        assert!(side.contains(&format!("href=\"{current}\" aria-current=\"page\"")), "{path}: {side}");
    }
}

/// What people write comes back as text, wherever it is shown.
#[test]
fn script_in_any_text_is_text() {
    const SCRIPT: &str = "<script>alert(1)</script>";
    let console = Console::furnished();
    let root = Browser::signed_in(&console, "root");
    let token = console.sign_in("root");
    let credential = console.credential("dev", &token);
    let rule = json!({"type": "csg.resource.name.prefix", "status": "enforced", "value": SCRIPT,
        "conditions": {"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"}});
    let group = console.post("/policy-groups", &token, &json!({"name": SCRIPT, "policies": [rule]})).expect(201);
    let group = group["id"].as_str().unwrap();
    let escaped = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let submit = |from: &str, path: &str, fields: &[(&str, &str)]| root.submit(from, path, fields);
    // Stored.
    assert_eq!(submit("/environments/dev", "/environments/dev", &[("name", SCRIPT)]).status, 303);
    let page = format!("/credentials/{credential}");
    assert_eq!(submit(&page, &page, &[("name", SCRIPT), ("environments", "dev")]).status, 303);
    let dora = console.sign_in("dora");
    let (waiting, bound) = (console.submit(&dora), console.submit(&dora));
    let yes = json!({"credential": credential, "policy_group": group});
    console.post(&format!("/access-requests/{bound}/approve"), &token, &yes).expect(200);
    let made = submit("/tokens", "/tokens", &[("name", SCRIPT), ("duration", "7d")]);
    assert!(made.status == 200 && !made.text.contains(SCRIPT), "{}", made.text);
    let end = console.get("/tokens", &token).expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    for path in [
        "/environments",
        "/environments/dev",
        "/environments/dev/delete",
        "/environments/dev/cloud-services",
        "/new/credential",
        "/new/environment",
        "/new/person",
        "/credentials",
        &page,
        &format!("{page}/delete"),
        "/policy-groups",
        &format!("/policy-groups/{group}"),
        &format!("/policy-groups/{group}/delete"),
        &format!("/access-requests/{waiting}/decide"),
        &format!("/access-requests/{bound}"),
        "/people/root",
        &format!("/people/root/tokens/{end}/end"),
        &format!("/tokens/{end}/end"),
        "/tokens",
        "/audit",
        "/system",
        "/welcome",
        &format!("/search?q={escaped}"),
        // Reflected.
        &format!("/people?q={escaped}"),
        &format!("/audit?operation={escaped}"),
    ] {
        let shown = root.page(path);
        assert!(!shown.contains("<script>"), "{path}");
    }
    for path in ["user", "request", "service", "environment", "from", "outcome"] {
        let answer = root.get(&format!("/audit?{path}={escaped}"));
        assert!(answer.status == 422 && !answer.text.contains("<script>"), "{path}: {}", answer.status);
    }
    for (from, path, field) in [
        ("/new/environment", "/environments", "id"),
        ("/new/environment", "/environments", "accounts"),
        ("/new/credential", "/credentials", "access_key_id"),
        ("/new/person", "/people", "username"),
        ("/people/dora", "/people/dora/roles", "environment"),
        ("/people/dora", "/people/dora/roles", "role"),
        ("/welcome", "/welcome/credential", "access_key_id"),
        ("/tokens", "/tokens", "duration"),
    ] {
        let answer = submit(from, path, &[(field, SCRIPT)]);
        assert!(answer.status == 422 && !answer.text.contains("<script>"), "{path} {field}: {}", answer.text);
    }
}
