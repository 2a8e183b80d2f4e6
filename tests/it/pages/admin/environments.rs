//! Environments: made, changed, and deleted once nothing in them is in use.

use serde_json::{Value, json};

use crate::{
    api::harness::{Console, PASSWORD},
    pages::browser::{Browser, location},
};

#[test]
fn an_environment_is_made_changed_and_deleted() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let credential = console.credential("dev", &token);
    let bad =
        [("id", "Payments Dev"), ("name", "Payments"), ("accounts", "123456789012 12"), ("credentials", &credential)];
    let again = root.submit("/new/environment", "/environments", &bad);
    assert_eq!(again.status, 422);
    assert!(
        again.text.contains("id=\"id-error\"") && again.text.contains("value=\"123456789012 12\""),
        "{}",
        again.text
    );
    assert!(again.text.contains(&format!("value=\"{credential}\" checked")), "{}", again.text);
    let twice = root.submit("/new/environment", "/environments", &[("id", "dev"), ("name", "Dev")]);
    assert!(twice.status == 422 && twice.text.contains("There is an environment dev already."), "{}", twice.text);

    let good =
        [("id", "pay"), ("name", "Payments"), ("accounts", "123456789012, 210987654321"), ("credentials", &credential)];
    assert_eq!(location(&root.submit("/new/environment", "/environments", &good)), "/environments/pay");
    let made = console.get("/environments/pay", &token).expect(200);
    assert_eq!(made["accounts"], json!(["123456789012", "210987654321"]));
    assert_eq!(made["credentials"], json!([credential]));
    assert!(root.page("/environments").contains("123456789012, 210987654321"));

    let page = "/environments/pay";
    assert_eq!(location(&root.submit(page, page, &[("name", "Pay"), ("accounts", "")])), page);
    let changed = console.get(page, &token).expect(200);
    assert_eq!(
        (&changed["name"], &changed["accounts"], &changed["credentials"]),
        (&json!("Pay"), &json!([]), &json!([]))
    );
    assert!(root.page("/environments").contains("nothing can be approved"));

    assert!(root.page("/environments/prod/delete").contains("lose the roles that they hold in it: paula, peter."));
    let asked = root.page("/environments/pay/delete");
    assert!(asked.contains("Nobody holds a role in it."), "{asked}");
    assert!(
        asked.contains("Delete the environment “Pay”?")
            && asked.contains("This can't be undone") | asked.contains("This can&#39;t be undone")
    );
    console.get(page, &token).expect(200);
    assert_eq!(location(&root.submit("/environments/pay/delete", "/environments/pay/delete", &[])), "/environments");
    console.get(page, &token).problem(404);
}

#[test]
fn what_is_in_use_is_named_and_stays() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let [dora, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    let asked = root.page("/environments/dev/delete");
    assert!(asked.contains(&format!("href=\"/access-requests/{id}\"")) && asked.contains("DynamoDB, dora in dev"));
    assert!(!asked.contains("action=\"/environments/dev/delete\""), "no button: {asked}");
    let csrf = root.csrf("/tokens");
    assert_eq!(root.post("/environments/dev/delete", &[("csrf", &csrf)]).status, 409);
    // Nor is the credential taken from under it.
    let refused = root.submit("/environments/dev", "/environments/dev", &[("name", "dev")]);
    assert!(refused.status == 422 && refused.text.contains("The credential is in use"), "{}", refused.text);
    console.post(&format!("/access-requests/{id}/revoke"), &anna, &Value::Null).expect(200);
    assert_eq!(root.submit("/environments/dev/delete", "/environments/dev/delete", &[]).status, 303);
    console.get("/environments/dev", &token).problem(404);
}

#[test]
fn whoever_administers_one_environment_changes_that_one_only() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let roles = json!([{"role": "admin", "environment": "dev"}, {"role": "developer", "environment": "prod"}]);
    console.post("/users", &root, &json!({"username": "eva", "password": PASSWORD, "roles": roles})).expect(201);
    let eva = Browser::signed_in(&console, "eva");
    let list = eva.page("/environments");
    assert!(list.contains("href=\"/environments/dev\"") && !list.contains("href=\"/environments/prod\""), "{list}");
    assert!(!list.contains("/new/environment"));
    let page = eva.page("/environments/dev");
    assert!(!page.contains("name=\"credentials\"") && !page.contains("/environments/dev/delete"), "{page}");
    let hers = [("name", "Development"), ("accounts", "123456789012"), ("credentials", "none")];
    assert_eq!(location(&eva.submit("/environments/dev", "/environments/dev", &hers)), "/environments/dev");
    let changed = console.get("/environments/dev", &root).expect(200);
    assert_eq!((&changed["name"], changed["credentials"].as_array().unwrap().len()), (&json!("Development"), 1));
    for path in ["/environments/prod", "/environments/dev/delete", "/new/environment", "/people", "/system"] {
        assert_eq!(eva.get(path).status, 403, "{path}");
    }
    let csrf = eva.csrf("/tokens");
    for path in ["/environments/prod", "/environments/dev/delete", "/environments"] {
        assert_eq!(eva.post(path, &[("csrf", &csrf), ("id", "x"), ("name", "x")]).status, 403, "{path}");
    }
}
