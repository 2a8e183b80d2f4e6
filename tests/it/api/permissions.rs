//! Who may do what: the API says yes and no exactly where the roles do.

use serde_json::{Value, json};

use super::harness::Console;

/// Each call as each person. The statuses are of: root (admin), anna (approver), paula (approver in prod), dora
/// (developer in dev), peter (developer in prod), ada (auditor), nobody.
#[test]
fn each_role_may_do_what_it_is_for_and_nothing_else() {
    const PEOPLE: [&str; 7] = ["root", "anna", "paula", "dora", "peter", "ada", ""];
    let console = Console::furnished();
    let tokens = PEOPLE.map(|name| if name.is_empty() { String::new() } else { console.sign_in(name) });
    let id = console.submit(&tokens[3]);
    let credential = console.credential("dev", &tokens[0]);
    let group = console.policy_group("teams", &tokens[0]);
    let bad_group = json!({"name": "", "policies": []});
    let at = |step: &str| format!("/access-requests/{id}{step}");

    // What is asked for in the bodies can't be done by anybody, so that each call finds the same state: 422 and 409
    // say that the permission is there.
    let bad_user = json!({"username": "new", "password": "short"});
    let bad_environment = json!({"id": "dev", "name": "dev"});
    let bad_credential =
        json!({"name": "", "cloud": "aws", "kind": "static", "access_key_id": "", "secret_access_key": ""});
    let bad_wish = json!({"cloud": "aws", "services": [], "justification": ""});
    let bad_approval = json!({"credential": "none"});
    let null = Value::Null;
    let table: &[(&str, &str, &Value, [u16; 7])] = &[
        ("GET", "/ca", &null, [200, 200, 200, 200, 200, 200, 200]),
        ("GET", "/me", &null, [200, 200, 200, 200, 200, 200, 401]),
        ("GET", "/clouds", &null, [200, 200, 200, 200, 200, 200, 401]),
        ("GET", "/environments", &null, [200, 200, 200, 200, 200, 200, 401]),
        ("GET", "/environments/dev", &null, [200, 200, 404, 200, 404, 200, 401]),
        ("POST", "/environments", &bad_environment, [409, 403, 403, 403, 403, 403, 401]),
        ("PATCH", "/environments/dev", &json!({"name": ""}), [422, 403, 404, 403, 404, 403, 401]),
        ("DELETE", "/environments/none", &null, [404, 403, 403, 403, 403, 403, 401]),
        ("GET", "/credentials", &null, [200, 200, 200, 403, 403, 403, 401]),
        ("GET", &format!("/credentials/{credential}"), &null, [200, 200, 404, 404, 404, 404, 401]),
        ("POST", "/credentials", &bad_credential, [422, 403, 403, 403, 403, 403, 401]),
        ("PATCH", &format!("/credentials/{credential}"), &json!({"name": ""}), [422, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/credentials/none", &null, [404, 403, 403, 403, 403, 403, 401]),
        ("POST", "/credentials/none/test", &null, [404, 403, 403, 403, 403, 403, 401]),
        // Who may ask for access has to know which rules they can ask for.
        ("GET", "/policy-groups", &null, [200, 200, 200, 200, 200, 403, 401]),
        ("GET", &format!("/policy-groups/{group}"), &null, [200, 200, 200, 200, 200, 404, 401]),
        ("POST", "/policy-groups", &bad_group, [422, 403, 403, 403, 403, 403, 401]),
        ("PUT", &format!("/policy-groups/{group}"), &bad_group, [422, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/policy-groups/none", &null, [404, 403, 403, 403, 403, 403, 401]),
        ("GET", "/users", &null, [200, 403, 403, 403, 403, 403, 401]),
        ("POST", "/users", &bad_user, [422, 403, 403, 403, 403, 403, 401]),
        ("PATCH", "/users/dora", &json!({"password": "short"}), [422, 403, 403, 403, 403, 403, 401]),
        ("GET", "/users/dora/tokens", &null, [200, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/users/dora/tokens/none", &null, [404, 403, 403, 403, 403, 403, 401]),
        ("GET", "/system", &null, [200, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/users/dora/second-factor", &null, [409, 403, 403, 403, 403, 403, 401]),
        ("GET", "/me/second-factor", &null, [200, 200, 200, 200, 200, 200, 401]),
        ("POST", "/me/second-factor/confirm", &json!({"otp": ""}), [409, 409, 409, 409, 409, 409, 401]),
        ("GET", "/sessions", &null, [200, 200, 200, 200, 200, 200, 401]),
        ("DELETE", "/sessions/none", &null, [404, 404, 404, 404, 404, 404, 401]),
        ("GET", "/settings", &null, [200, 403, 403, 403, 403, 403, 401]),
        ("POST", "/settings", &json!({}), [200, 403, 403, 403, 403, 403, 401]),
        ("GET", "/access-requests", &null, [200, 200, 403, 403, 403, 403, 401]),
        ("GET", "/environments/dev/access-requests", &null, [200, 200, 404, 200, 404, 200, 401]),
        ("POST", "/environments/dev/access-requests", &bad_wish, [422, 403, 404, 422, 404, 403, 401]),
        ("GET", &at(""), &null, [200, 200, 404, 200, 404, 404, 401]),
        ("GET", &at("/usage"), &null, [200, 200, 404, 200, 404, 404, 401]),
        ("GET", "/environments/dev/usage", &null, [200, 200, 404, 200, 404, 200, 401]),
        ("POST", &at("/approve"), &bad_approval, [422, 422, 404, 403, 404, 404, 401]),
        ("POST", &at("/revoke"), &null, [409, 409, 404, 403, 404, 404, 401]),
        ("POST", &at("/archive"), &null, [409, 409, 404, 403, 404, 404, 401]),
        ("POST", &at("/secret"), &null, [403, 403, 404, 409, 404, 404, 401]),
        ("POST", &at("/rotate"), &json!({"overlap": "1h"}), [403, 403, 404, 409, 404, 404, 401]),
        ("POST", &at("/withdraw"), &json!({"comment": "\u{0}"}), [403, 403, 404, 422, 404, 404, 401]),
        ("POST", &at("/deny"), &json!({"comment": "\u{0}"}), [422, 422, 404, 403, 404, 404, 401]),
        ("GET", "/audit", &null, [200, 403, 403, 403, 403, 200, 401]),
        ("GET", "/tokens", &null, [200, 200, 200, 200, 200, 200, 401]),
        ("DELETE", "/tokens/none", &null, [404, 404, 404, 404, 404, 404, 401]),
    ];
    for (method, path, body, expected) in table {
        let statuses = std::array::from_fn(|n| console.send(method, path, &tokens[n], body).status);
        assert_eq!(statuses, *expected, "{method} {path} as {PEOPLE:?}");
    }
}

#[test]
fn two_environments_do_not_see_each_other() {
    let console = Console::furnished();
    let [dora, peter, paula] = ["dora", "peter", "paula"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    let seen = |path: &str, token: &str| {
        let list = console.get(path, token).expect(200);
        list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen("/environments", &dora), ["dev"]);
    assert_eq!(seen("/environments", &peter), ["prod"]);
    assert_eq!(seen("/environments/dev/access-requests", &dora), [id.as_str()]);
    assert_eq!(seen("/environments/prod/access-requests", &peter), [""; 0]);
    assert_eq!(seen("/environments/prod/access-requests", &paula), [""; 0]);
    assert_eq!(seen("/credentials", &paula).len(), 1);
}

#[test]
fn secrets_that_went_in_never_come_out() {
    let console = Console::furnished();
    let [root, dora] = ["root", "dora"].map(|name| console.sign_in(name));
    for path in [
        "/credentials",
        "/users",
        "/users/dora/tokens",
        "/audit",
        "/environments",
        "/settings",
        "/system",
        "/tokens",
        "/me",
    ] {
        let text = console.get(path, &root).text;
        for secret in ["bPxRfiCY", "correct horse", "argon2", root.as_str(), dora.as_str()] {
            assert!(!text.contains(secret), "{path} tells {secret}");
        }
    }
}

#[test]
fn an_api_token_works_until_it_is_deleted_and_makes_no_others() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let made = console.post("/tokens", &dora, &json!({"name": "ci", "duration": "7d"})).expect(201);
    let token = made["token"].as_str().unwrap();
    assert_eq!(made["expires_at"], "2026-11-30T12:00:00.000Z");
    assert_eq!(console.get("/me", token).expect(200)["username"], "dora");
    console.post("/tokens", token, &json!({"name": "more"})).problem(403);
    let listed = console.get("/tokens", &dora).expect(200);
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["token"]), (&json!("ci"), &Value::Null));
    let path = format!("/tokens/{}", made["id"].as_str().unwrap());
    console.send("DELETE", &path, &dora, &Value::Null).expect(204);
    console.get("/me", token).problem(401);
}

#[test]
fn signing_out_and_being_disabled_end_a_session() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    console.send("DELETE", "/sessions/current", &anna, &Value::Null).expect(204);
    console.get("/me", &anna).problem(401);
    console.send("PATCH", "/users/dora", &root, &json!({"disabled": true})).expect(200);
    console.get("/me", &dora).problem(401);
    console.send("PATCH", "/users/root", &root, &json!({"disabled": true})).problem(409);
}

#[test]
fn nobody_approves_their_own_request_unless_the_installation_says_so() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let id = console.submit(&root);
    let (path, approval) =
        (format!("/access-requests/{id}/approve"), json!({"credential": console.credential("dev", &root)}));
    console.post(&path, &root, &approval).problem(403);
    assert_eq!(console.get("/settings", &root).expect(200), json!({"self_approval": false}));
    console.post("/settings", &root, &json!({"self_approval": true})).expect(200);
    console.post(&path, &root, &approval).expect(200);
}
