//! Policy groups over the API: made, attached, changed, taken away; and what is told of one that will not do.

use serde_json::{Value, json};

use super::harness::Console;

fn rule(kind: &str, value: &str, service: Option<&str>, operation: Option<&str>) -> Value {
    json!({
        "type": format!("csg.resource.name.{kind}"), "status": "enforced", "value": value,
        "conditions": {"cloud": "aws", "service": service, "operation": operation},
    })
}

#[test]
fn a_group_is_made_attached_seen_changed_and_kept_while_access_has_it() {
    let console = Console::furnished();
    let [root, anna, dora, peter] = ["root", "anna", "dora", "peter"].map(|name| console.sign_in(name));
    let rules = json!([
        rule("prefix", "team-", Some("dynamodb"), Some("CreateTable")),
        rule("validation_pattern", "/^team-[0-9]+$/i", None, None),
    ]);
    let answer = console.post("/policy-groups", &root, &json!({"name": "teams", "policies": rules}));
    let location = answer.header("location").to_owned();
    let made = answer.expect(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/policy-groups/{id}"));
    let path = format!("/policy-groups/{id}");
    assert_eq!(
        made,
        json!({"id": id, "name": "teams", "policies": rules, "created_at": "2026-11-23T12:00:00.000Z", "in_use": false})
    );
    assert_eq!(console.get("/policy-groups", &anna).expect(200), json!({"items": [made], "next_cursor": null}));

    let request = console.submit(&dora);
    let approve = |group: &Value| {
        let approval = json!({"credential": console.credential("dev", &anna), "policy_group": group});
        console.post(&format!("/access-requests/{request}/approve"), &anna, &approval)
    };
    for wrong in [json!("none"), json!("No Id"), json!(7)] {
        let problem = approve(&wrong).problem(422);
        assert_eq!(problem["errors"][0]["field"], "policy_group", "{problem}");
    }
    console.get(&path, &dora).problem(404);
    assert_eq!(approve(&json!(id)).expect(200)["policy_group"], id);
    // Who is bound by it may read it; who is not, may not.
    let seen = console.get(&path, &dora).expect(200);
    assert_eq!((&seen["policies"], &seen["in_use"]), (&rules, &json!(true)));
    assert_eq!(console.get(&format!("/access-requests/{request}"), &dora).expect(200)["policy_group"], id);
    console.get(&path, &peter).problem(404);

    let told = "The policy group is in use by an access request: end that first.";
    assert_eq!(console.send("DELETE", &path, &root, &Value::Null).problem(409)["detail"], told);
    let changed = console.send("PUT", &path, &root, &json!({"name": "people", "policies": []})).expect(200);
    assert_eq!((&changed["name"], &changed["policies"]), (&json!("people"), &json!([])));
    console.post(&format!("/access-requests/{request}/revoke"), &anna, &Value::Null).expect(200);
    console.send("DELETE", &path, &root, &Value::Null).expect(204);
    console.get(&path, &root).problem(404);
    console.send("PUT", &path, &root, &json!({"name": "people", "policies": []})).problem(404);
    assert_eq!(console.get(&format!("/access-requests/{request}"), &dora).expect(200)["policy_group"], id);
    let log = console.get("/audit?user=root", &root).expect(200);
    let acts: Vec<_> = log["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    let acts: Vec<_> = acts.into_iter().filter(|act| act.starts_with("policy_group")).collect();
    assert_eq!(acts, ["policy_group.delete", "policy_group.change", "policy_group.create"]);
}

#[test]
fn what_is_wrong_with_a_rule_is_told_by_its_number() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let good = rule("prefix", "team-", None, None);
    let with = |field: &str, value: Value| {
        let mut rule = good.clone();
        rule[field] = value;
        rule
    };
    for (bad, field, says) in [
        (rule("suffix", "a", None, None), "policies[1].type", "unknown variant"),
        (rule("prefix", "", None, None), "policies[1].value", "must not be empty"),
        (rule("validation_pattern", "/(?=a)/", None, None), "policies[1].value", "look-around"),
        (rule("validation_pattern", "/a/g", None, None), "policies[1].value", "the flag 'g'"),
        (rule("prefix", "a", None, Some("CreateTable")), "policies[1].conditions.service", "must be given"),
        (rule("prefix", "a", Some("dynamo"), None), "policies[1].conditions.service", "must be a service"),
        (rule("prefix", "a", Some("A b"), None), "policies[1].conditions.service", "must be 1 to 63"),
        (
            rule("prefix", "a", Some("sns"), Some("CreateTable")),
            "policies[1].conditions.operation",
            "must be an operation",
        ),
        (rule("prefix", "a", Some("sns"), Some("Publish")), "policies[1].conditions.operation", "creates something"),
        (with("status", json!("on")), "policies[1].status", "unknown variant"),
        (with("conditions", json!({"cloud": "gcp"})), "policies[1].conditions.cloud", "must be a cloud"),
        (with("conditions", json!({"cloud": "aws", "region": "x"})), "policies[1].conditions.region", "unknown field"),
        (with("conditions", json!({})), "policies[1].conditions", "missing field `cloud`"),
    ] {
        let body = json!({"name": "teams", "policies": [good, bad]});
        let problem = console.post("/policy-groups", &root, &body).problem(422);
        let [error] = &problem["errors"].as_array().unwrap()[..] else { panic!("{problem}") };
        assert_eq!(error["field"], field, "{problem}");
        assert!(error["detail"].as_str().unwrap().contains(says), "{says}: {problem}");
    }
    let many = json!({"name": "teams", "policies": vec![good; 101]});
    assert_eq!(console.post("/policy-groups", &root, &many).problem(422)["errors"][0]["field"], "policies");
    console.policy_group("teams", &root);
    let again = console.post("/policy-groups", &root, &json!({"name": "teams", "policies": []})).problem(409);
    assert_eq!(again["detail"], "There is a policy group called teams already.");
}

#[test]
fn the_list_comes_in_pages_the_oldest_first() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    for name in ["a", "b", "c"] {
        console.policy_group(name, &root);
        console.clock.set(console.clock.now().plus(std::time::Duration::from_secs(1)));
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = console.get(&format!("/policy-groups?limit=2{cursor}"), &root).expect(200);
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["a", "b", "c"]);
    console.get("/policy-groups?cursor=A%2F", &root).problem(422);
}
