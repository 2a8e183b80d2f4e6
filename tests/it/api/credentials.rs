//! Credentials that are roles, over REST: what is told of them, what may be changed, what is wrong with which field.

use serde_json::{Value, json};

use super::harness::Console;

const ROLE: &str = "arn:aws:iam::123456789012:role/teams/gateway";

fn role(source: &str) -> Value {
    json!({"name": "a role", "cloud": "aws", "kind": "role", "role_arn": ROLE, "source_credential": source})
}

/// The body with one member more, or another.
fn with(body: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    body[name] = value.into();
    body
}

#[test]
fn a_role_is_added_changed_and_removed() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let source = console.credential("dev", &root);
    let made = console.post("/credentials", &root, &role(&source)).expect(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("/credentials/{id}");
    let expected = json!({
        "id": id, "name": "a role", "cloud": "aws", "kind": "role", "access_key_id": null, "role_arn": ROLE,
        "source_credential": source, "external_id": null, "session_duration": "1h", "environments": [],
        "created_at": "2026-11-23T12:00:00.000Z", "checked": null,
    });
    assert_eq!(made, expected);
    assert_eq!(console.get(&path, &root).expect(200), expected);
    let key = console.get(&format!("/credentials/{source}"), &root).expect(200);
    assert_eq!(key["kind"], "static");
    for field in ["role_arn", "source_credential", "external_id", "session_duration"] {
        assert_eq!(key.get(field), Some(&Value::Null), "{field}: {key}");
    }

    let change = |body: Value| console.send("PATCH", &path, &root, &body);
    let changed = change(json!({"external_id": "ours", "session_duration": "15m"})).expect(200);
    assert_eq!((&changed["external_id"], &changed["session_duration"]), (&json!("ours"), &json!("15m")));
    // What is left out stays, null takes away.
    assert_eq!(change(json!({"name": "another"})).expect(200)["external_id"], "ours");
    assert_eq!(change(json!({"external_id": null})).expect(200)["external_id"], Value::Null);
    for (field, value) in [("access_key_id", "AKIAIOSFODNN7EXAMPLE"), ("secret_access_key", "x")] {
        let problem = change(json!({"secret_access_key": "y", field: value})).problem(422);
        assert!(problem["detail"].as_str().unwrap().contains("assumes a role"), "{problem}");
    }
    let onto_itself = change(json!({"source_credential": id})).problem(422);
    assert_eq!(onto_itself["errors"][0]["field"], "source_credential", "{onto_itself}");

    // A key that a role is assumed with stays as long as the role does, and becomes none.
    let key = format!("/credentials/{source}");
    let conflict = console.send("DELETE", &key, &root, &Value::Null).problem(409);
    assert!(conflict["detail"].as_str().unwrap().contains("another"), "{conflict}");
    let problem = console.send("PATCH", &key, &root, &json!({"role_arn": ROLE})).problem(422);
    assert_eq!(problem["errors"][0]["field"], "role_arn", "{problem}");
    console.send("DELETE", &path, &root, &Value::Null).expect(204);
    console.send("DELETE", &key, &root, &Value::Null).expect(204);
}

#[test]
fn what_is_wrong_is_told_by_its_field() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let good = role(&console.credential("dev", &root));
    let key = json!({
        "name": "a key", "cloud": "aws", "kind": "static",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "secret",
    });
    for (body, field) in [
        (with(&good, "kind", "rule"), "kind"),
        (with(&good, "role_arn", "arn:aws:iam::123456789012:user/gateway"), "role_arn"),
        (with(&good, "role_arn", 1), "role_arn"),
        (with(&good, "role_arn", Value::Null), "role_arn"),
        (with(&good, "source_credential", "none"), "source_credential"),
        (with(&good, "source_credential", Value::Null), "source_credential"),
        (with(&good, "external_id", "a b"), "external_id"),
        (with(&good, "external_id", "a"), "external_id"),
        (with(&good, "session_duration", "14m"), "session_duration"),
        (with(&good, "session_duration", "13h"), "session_duration"),
        (with(&good, "session_duration", "1y"), "session_duration"),
        (with(&good, "session_duration", 3600), "session_duration"),
        (with(&good, "name", ""), "name"),
        (with(&good, "cloud", "azure"), "cloud"),
        (with(&good, "environments", json!(["none"])), "environments"),
        // What the other kind has, null or not.
        (with(&good, "access_key_id", "AKIAIOSFODNN7EXAMPLE"), "access_key_id"),
        (with(&good, "secret_access_key", Value::Null), "secret_access_key"),
        (with(&key, "role_arn", ROLE), "role_arn"),
        (with(&key, "external_id", Value::Null), "external_id"),
        (with(&key, "session_duration", "1h"), "session_duration"),
    ] {
        let problem = console.post("/credentials", &root, &body).problem(422);
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
        assert!(!problem.to_string().contains("secret\""), "{problem}");
    }
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("source_credential");
    let problem = console.post("/credentials", &root, &without).problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("missing field `source_credential`"), "{problem}");
    assert_eq!(console.get("/credentials", &root).expect(200)["items"].as_array().unwrap().len(), 2);
    // Null says as much as nothing where something may be left out.
    for field in ["external_id", "session_duration"] {
        console.post("/credentials", &root, &with(&good, field, Value::Null)).expect(201);
    }
}

#[test]
fn who_decides_sees_a_role_and_changes_nothing() {
    let console = Console::furnished();
    let [root, anna, paula, dora] = ["root", "anna", "paula", "dora"].map(|name| console.sign_in(name));
    let body = with(&role(&console.credential("dev", &root)), "environments", json!(["prod"]));
    for (name, token) in [("anna", &anna), ("paula", &paula), ("dora", &dora)] {
        assert_eq!(console.post("/credentials", token, &body).status, 403, "{name}");
    }
    let made = console.post("/credentials", &root, &body).expect(201);
    let path = format!("/credentials/{}", made["id"].as_str().unwrap());
    // Paula, who decides in prod alone, sees the role, not what it is assumed with.
    assert_eq!(console.get(&path, &paula).expect(200)["role_arn"], ROLE);
    let source = format!("/credentials/{}", made["source_credential"].as_str().unwrap());
    console.get(&source, &paula).problem(404);
    console.get(&path, &dora).problem(404);
    for token in [&anna, &paula] {
        console.send("PATCH", &path, token, &json!({"external_id": "x1"})).problem(403);
        console.post(&format!("{path}/test"), token, &Value::Null).problem(403);
    }
}

#[test]
fn the_document_tells_the_two_kinds_apart() {
    let console = Console::empty();
    let document = console.call("GET", "/api/openapi.json", &[], None).expect(200);
    let schemas = &document["components"]["schemas"];
    let new = &schemas["NewCredential"];
    assert_eq!(new["discriminator"]["propertyName"], "kind", "{new}");
    for (kind, name, needed) in [
        ("role", "NewRoleCredential", ["role_arn", "source_credential"]),
        ("static", "NewStaticCredential", ["access_key_id", "secret_access_key"]),
    ] {
        let reference = json!(format!("#/components/schemas/{name}"));
        assert_eq!(new["discriminator"]["mapping"][kind], reference);
        assert!(new["oneOf"].as_array().unwrap().iter().any(|one| one["$ref"] == reference), "{new}");
        let required = schemas[name]["required"].as_array().unwrap();
        for field in ["kind", "name", "cloud"].iter().chain(&needed) {
            assert!(required.contains(&json!(field)), "{field}: {required:?}");
        }
        assert_eq!(schemas[name]["additionalProperties"], false);
    }
}
