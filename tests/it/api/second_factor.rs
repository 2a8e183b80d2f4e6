//! Signing in with a second factor, and one's own sessions, over the API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    authenticator::code,
    harness::{Console, PASSWORD},
};

fn later(console: &Console) {
    console.clock.set(console.clock.now().plus(Duration::from_secs(30)));
}

/// Turns dora's on: her session, the key and the recovery codes.
fn guarded(console: &Console) -> (String, String, Vec<String>) {
    let dora = console.sign_in("dora");
    let begun = console.post("/me/second-factor", &dora, &json!({"password": PASSWORD})).expect(201);
    let key = begun["key"].as_str().unwrap().to_owned();
    let otp = json!({"otp": code(&key, console.clock.now())});
    let on = console.post("/me/second-factor/confirm", &dora, &otp).expect(200);
    console.get("/me", &dora).problem(401);
    later(console);
    let codes = on["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
    (on["session"]["token"].as_str().unwrap().to_owned(), key, codes.collect())
}

#[test]
fn a_code_is_asked_for_and_taken_once() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let before = console.get("/me/second-factor", &dora).expect(200);
    assert_eq!(before, json!({"enabled": false, "created_at": null, "recovery_codes_left": 0}));
    let (dora, key, recovery) = guarded(&console);
    assert_eq!(console.get("/me", &dora).expect(200)["second_factor"], true);
    let try_with =
        |otp: &str| console.post("/sessions", "", &json!({"username": "dora", "password": PASSWORD, "otp": otp}));
    let asked = console.post("/sessions", "", &json!({"username": "dora", "password": PASSWORD})).problem(401);
    assert_eq!(asked["type"], "urn:csg:problem:second_factor_required");
    let now = code(&key, console.clock.now());
    assert!(try_with(&now).expect(201)["token"].is_string());
    let replayed = try_with(&now).problem(401);
    assert_eq!(replayed["type"], "urn:csg:problem:unauthenticated");
    assert!(try_with(&recovery[0]).expect(201)["token"].is_string());
    let wrong = json!({"username": "dora", "password": "wrong", "otp": code(&key, console.clock.now())});
    assert_eq!(console.post("/sessions", "", &wrong).problem(401), replayed, "no telling which was wrong");
    assert_eq!(console.post("/sessions", "", &json!({"username": "dora", "password": "wrong"})).problem(401), replayed);
    assert_eq!(console.get("/me/second-factor", &dora).expect(200)["recovery_codes_left"], 9);

    // Nothing that others may read tells of key or codes.
    let root = console.sign_in("root");
    for path in ["/users", "/audit", "/me"] {
        let text = console.get(path, &root).text;
        assert!(!text.contains(&key) && !text.contains(&recovery[1]) && !text.contains("sealed"), "{path}");
    }
    later(&console);
    let off = json!({"password": PASSWORD, "otp": code(&key, console.clock.now())});
    console.post("/me/second-factor/disable", &dora, &json!({"password": PASSWORD, "otp": "000000"})).problem(422);
    console.post("/me/second-factor/disable", &dora, &off).expect(200);
    console.sign_in("dora");
}

#[test]
fn an_administrator_resets_it_for_others() {
    let console = Console::furnished();
    let (dora, ..) = guarded(&console);
    let [root, anna] = ["root", "anna"].map(|name| console.sign_in(name));
    let reset =
        |token: &str, name: &str| console.send("DELETE", &format!("/users/{name}/second-factor"), token, &Value::Null);
    reset(&anna, "dora").problem(403);
    reset(&dora, "dora").problem(403);
    reset("", "dora").problem(401);
    reset(&root, "root").problem(403);
    reset(&root, "nobody").problem(404);
    assert_eq!(reset(&root, "dora").status, 204);
    reset(&root, "dora").problem(409);
    console.get("/me", &dora).problem(401);
    console.sign_in("dora");
}

#[test]
fn the_way_of_signing_in_is_changed_by_sessions_only() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let token = console.post("/tokens", &dora, &json!({"name": "ci"})).expect(201);
    let token = token["token"].as_str().unwrap();
    console.post("/me/second-factor", token, &json!({"password": PASSWORD})).problem(403);
    let change = json!({"current_password": PASSWORD, "password": "another battery"});
    console.post("/me/password", token, &change).problem(403);
    console.post("/me/second-factor", &dora, &json!({"password": "wrong"})).problem(422);
    console
        .post("/me/password", &dora, &json!({"current_password": "wrong", "password": "another battery"}))
        .problem(422);
    let fresh = console.post("/me/password", &dora, &change).expect(200);
    console.get("/me", &dora).problem(401);
    assert_eq!(console.get("/me", fresh["token"].as_str().unwrap()).status, 200);
    assert_eq!(console.get("/me", token).status, 200, "API tokens go on working");
}

#[test]
fn sessions_are_listed_with_where_from_and_ended_by_their_owner_only() {
    let console = Console::furnished();
    let [here, there, anna] = ["dora", "dora", "anna"].map(|name| console.sign_in(name));
    console.clock.set(console.clock.now().plus(Duration::from_mins(7)));
    assert_eq!(console.get("/me", &there).status, 200);
    let listed = console.get("/sessions", &here).expect(200);
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{listed}");
    let other = items.iter().find(|item| item["current"] == false).unwrap();
    assert_eq!((&other["address"], &other["last_used_at"]), (&json!("127.0.0.1"), &json!("2026-11-23T12:07:00.000Z")));
    assert!(other["client"].as_str().unwrap().starts_with("ureq/"), "{other}");
    let path = format!("/sessions/{}", other["id"].as_str().unwrap());
    console.send("DELETE", &path, &anna, &Value::Null).problem(404);
    assert_eq!(console.get("/me", &there).status, 200);
    assert_eq!(console.send("DELETE", &path, &here, &Value::Null).status, 204);
    console.get("/me", &there).problem(401);
    console.send("DELETE", &path, &here, &Value::Null).problem(404);
}
