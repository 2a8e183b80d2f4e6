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
    assert_eq!(approve(&json!(id)).expect(200)["policy_group"], id);
    // Who is bound by it may read it, and who may ask for it; what others have is not theirs to know.
    assert_eq!(console.get(&path, &anna).expect(200)["in_use"], true);
    for token in [&dora, &peter] {
        let seen = console.get(&path, token).expect(200);
        assert_eq!((&seen["policies"], &seen["in_use"]), (&rules, &Value::Null));
        assert_eq!(console.get("/policy-groups", token).expect(200), json!({"items": [seen], "next_cursor": null}));
    }
    assert_eq!(console.get(&format!("/access-requests/{request}"), &dora).expect(200)["policy_group"], id);

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
fn a_group_that_is_asked_for_is_attached_unless_the_approval_says_otherwise() {
    let console = Console::furnished();
    let [root, anna, dora] = ["root", "anna", "dora"].map(|name| console.sign_in(name));
    let [teams, people] = ["teams", "people"].map(|name| console.policy_group(name, &root));
    let ask = |group: &Value| {
        let wish = json!({"cloud": "aws", "services": ["dynamodb"], "justification": "x", "policy_group": group});
        console.post("/environments/dev/access-requests", &dora, &wish)
    };
    for wrong in [json!("none"), json!("No Id"), json!(7)] {
        let problem = ask(&wrong).problem(422);
        assert_eq!(problem["errors"][0]["field"], "policy_group", "{problem}");
    }
    let credential = console.credential("dev", &anna);
    let approve = |id: &str, said: Option<&Value>| {
        let mut approval = json!({"credential": credential});
        if let Some(group) = said {
            approval["policy_group"] = group.clone();
        }
        console.post(&format!("/access-requests/{id}/approve"), &anna, &approval)
    };
    let (teams, people, null) = (json!(teams), json!(people), Value::Null);
    for (asked, said, attached) in [
        (&null, None, &null),
        (&null, Some(&people), &people),
        (&teams, None, &teams),
        (&teams, Some(&teams), &teams),
        (&teams, Some(&people), &people),
        (&teams, Some(&null), &null),
    ] {
        let made = ask(asked).expect(201);
        assert_eq!((&made["requested_policy_group"], &made["policy_group"]), (asked, &null));
        let done = approve(made["id"].as_str().unwrap(), said).expect(200);
        assert_eq!((&done["requested_policy_group"], &done["policy_group"]), (asked, attached), "{said:?}");
        console.post(&format!("/access-requests/{}/revoke", made["id"].as_str().unwrap()), &anna, &null).expect(200);
    }
    // Deleted while a request waits for it: nobody gets more than was asked for without saying so.
    let waits = ask(&teams).expect(201)["id"].as_str().unwrap().to_owned();
    console.send("DELETE", &format!("/policy-groups/{}", teams.as_str().unwrap()), &root, &null).expect(204);
    let problem = approve(&waits, None).problem(422);
    assert_eq!(
        problem["errors"],
        json!([{
            "field": "policy_group",
            "detail": "must be given, as the one that was asked for is no longer there: another, or null for none",
        }])
    );
    assert_eq!(console.get(&format!("/access-requests/{waits}"), &dora).expect(200)["status"], "pending");
    let done = approve(&waits, Some(&people)).expect(200);
    assert_eq!((&done["requested_policy_group"], &done["policy_group"]), (&teams, &people));
    let log = console.get(&format!("/audit?request={waits}"), &root).expect(200);
    let told: Vec<_> = log["items"].as_array().unwrap().iter().map(|event| event["detail"].as_str().unwrap()).collect();
    let [teams, people] = [&teams, &people].map(|id| id.as_str().unwrap());
    assert_eq!(
        told,
        [
            &format!(
                "credential {credential}; policy group {people} (people), where {teams} (deleted since) was asked for"
            ),
            &format!("dynamodb; policy group {teams} (teams)"),
        ]
    );
    let document = console.call("GET", "/api/openapi.json", &[], None).expect(200);
    let approval = &document["components"]["schemas"]["Approval"];
    assert_eq!(approval["required"], json!(["credential"]), "a script may leave the policy group out");
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
