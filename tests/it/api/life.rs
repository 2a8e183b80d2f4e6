//! The life of an access request, as three people live it.

use std::{sync::Barrier, thread, time::Duration};

use serde_json::{Value, json};

use super::harness::{Console, ENDPOINT};

#[test]
fn dora_asks_anna_approves_dora_works_anna_revokes_ada_reads_it_all() {
    let console = Console::furnished();
    let [dora, anna, ada] = ["dora", "anna", "ada"].map(|name| console.sign_in(name));

    let wish = json!({
        "cloud": "aws", "services": ["sns", "dynamodb", "sns"], "justification": "orders", "duration": "30d",
    });
    let answer = console.post("/environments/dev/access-requests", &dora, &wish);
    let location = answer.header("location").to_owned();
    let made = answer.expect(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/access-requests/{id}"));
    assert_eq!((&made["status"], &made["services"]), (&json!("pending"), &json!(["dynamodb", "sns"])));
    let path = |step: &str| format!("/access-requests/{id}/{step}");

    let waiting = console.get("/access-requests?status=pending", &anna).expect(200);
    assert_eq!(waiting["items"][0]["id"], id);
    let problem = console.post(&path("secret"), &dora, &Value::Null).problem(409);
    assert_eq!(problem["current_status"], "pending");

    let approval = json!({"credential": console.credential("dev", &anna), "comment": "until Christmas"});
    let approved = console.post(&path("approve"), &anna, &approval).expect(200);
    assert_eq!((&approved["status"], &approved["secret_available"]), (&json!("approved"), &json!(true)));
    assert_eq!(console.post(&path("approve"), &anna, &approval).problem(409)["current_status"], "approved");

    let secret = console.post(&path("secret"), &dora, &Value::Null).expect(200);
    assert_eq!(secret["endpoint"], ENDPOINT);
    assert_eq!(secret["ca_url"], format!("{ENDPOINT}/cert/pem"));
    assert_eq!(secret["secret_access_key"].as_str().unwrap().len(), 40);
    console.post(&path("secret"), &dora, &Value::Null).problem(410);
    let key = secret["access_key_id"].as_str().unwrap();

    console.record_calls(id, 3);
    let usage = console.get(&path("usage"), &dora).expect(200);
    assert_eq!((&usage["calls"], &usage["errors"], &usage["bytes_in"]), (&json!(3), &json!(0), &json!(900)));
    assert_eq!(usage["by_operation"][0]["operation"], "PutItem");
    assert_eq!(usage["by_day"][0]["day"], "2026-11-23");

    let shown = console.get(&format!("/access-requests/{id}"), &dora).expect(200);
    let shown = serde_json::to_string_pretty(&shown).unwrap().replace(id, "REQUEST").replace(key, "KEY");
    let shown = shown.replace(approved["credential"].as_str().unwrap(), "CREDENTIAL");
    insta::assert_snapshot!(shown);

    let revoked = console.post(&path("revoke"), &anna, &json!({"comment": "done"})).expect(200);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(console.post(&path("revoke"), &anna, &json!({})).problem(409)["current_status"], "revoked");
    console.post(&path("archive"), &anna, &Value::Null).expect(200);

    let log = console.get(&format!("/audit?request={id}"), &ada).expect(200);
    let told: Vec<_> = log["items"].as_array().unwrap().iter().map(what).collect();
    let acts = ["archive", "revoke", "reveal", "approve", "submit"].map(|act| format!("access_request.{act}"));
    assert!(acts.iter().all(|act| told.contains(act)), "{told:?}");
    assert_eq!(told.iter().filter(|what| *what == "PutItem").count(), 3);
}

fn what(entry: &Value) -> String {
    match entry["kind"].as_str().unwrap() {
        "call" => entry["operation"].as_str().unwrap().to_owned(),
        "event" => entry["action"].as_str().unwrap().to_owned(),
        other => panic!("{other}"),
    }
}

/// What would hand out cloud credentials is allowed by its name, and by no other; who may see the request sees it.
#[test]
fn operations_that_hand_out_credentials_are_allowed_one_by_one() {
    let console = Console::furnished();
    let [dora, anna, ada] = ["dora", "anna", "ada"].map(|name| console.sign_in(name));
    let wish = json!({"cloud": "aws", "services": ["redshift", "sns"], "justification": "figures", "duration": null});
    let made = console.post("/environments/dev/access-requests", &dora, &wish).expect(201);
    assert_eq!(
        made["credential_operations"],
        json!(
            ["GetClusterCredentials", "GetClusterCredentialsWithIAM", "GetIdentityCenterAuthToken"]
                .map(|name| format!("redshift:{name}"))
        )
    );
    let path = format!("/access-requests/{}", made["id"].as_str().unwrap());
    let credential = console.credential("dev", &anna);
    let approve = |operations: &[&str]| {
        let approval = json!({"credential": credential, "allow_credential_operations": operations});
        console.post(&format!("{path}/approve"), &anna, &approval)
    };
    let operation = "redshift:GetClusterCredentials";
    for wrong in [
        "redshift:getclustercredentials",
        "redshift:DescribeClusters",
        "redshift:*",
        "redshift:",
        "GetClusterCredentials",
        "sns:GetClusterCredentials",
        "ecs:ExecuteCommand",
        "",
    ] {
        let problem = approve(&[operation, wrong]).problem(422);
        let [error] = &problem["errors"].as_array().unwrap()[..] else { panic!("{problem}") };
        assert_eq!(error["field"], "allow_credential_operations");
        assert!(error["detail"].as_str().unwrap().ends_with(&format!("; not {wrong:?}")), "{error}");
    }
    let approved = approve(&[operation]).expect(200);
    assert_eq!(approved["allow_credential_operations"], json!([operation]));
    let seen = console.get(&path, &dora).expect(200);
    assert_eq!(seen["allow_credential_operations"], json!([operation]));
    let log = console.get(&format!("/audit?request={}", made["id"].as_str().unwrap()), &ada).expect(200);
    let events = log["items"].as_array().unwrap();
    let said =
        |event: &Value| event["detail"].as_str().is_some_and(|text| text.contains(&format!("; may call {operation}")));
    assert!(events.iter().any(|event| event["action"] == "access_request.approve" && said(event)), "{log}");
}

#[test]
fn a_rotation_gives_a_second_secret_and_names_both_keys() {
    let console = Console::furnished();
    let [dora, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    let path = |step: &str| format!("/access-requests/{id}/{step}");
    let first = console.post(&path("secret"), &dora, &Value::Null).expect(200);
    console.post(&path("rotate"), &anna, &json!({"overlap": "1h"})).problem(403);
    console.clock.set(console.clock.now().plus(Duration::from_mins(1)));
    let rotated = console.post(&path("rotate"), &dora, &json!({"overlap": "1h"})).expect(200);
    assert_eq!(rotated["secret_available"], true);
    let second = console.post(&path("secret"), &dora, &Value::Null).expect(200);
    assert_ne!(first["access_key_id"], second["access_key_id"]);
    let shown = console.get(&format!("/access-requests/{id}"), &dora).expect(200);
    assert_eq!(shown["access_key_id"], second["access_key_id"]);
    assert_eq!(shown["keys"][0]["ends_at"], "2026-11-23T13:01:00.000Z");
}

#[test]
fn of_many_who_read_the_secret_at_once_one_gets_it() {
    let console = Console::furnished();
    let [dora, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    let statuses = at_once(16, |_| console.post(&format!("/access-requests/{id}/secret"), &dora, &Value::Null).status);
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 410).count(), 15, "{statuses:?}");
}

#[test]
fn of_two_approvers_who_decide_at_once_one_does() {
    let console = Console::furnished();
    let [dora, anna, root] = ["dora", "anna", "root"].map(|name| console.sign_in(name));
    let credential = console.credential("dev", &anna);
    for _ in 0..8 {
        let id = console.submit(&dora);
        let statuses = at_once(2, |n| match n {
            0 => console.post(&format!("/access-requests/{id}/approve"), &anna, &json!({"credential": credential})),
            _ => console.post(&format!("/access-requests/{id}/deny"), &root, &json!({"comment": "no"})),
        });
        let mut statuses: Vec<_> = statuses.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(count);
    let act = |n| {
        start.wait();
        act(n)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || act(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn the_audit_log_is_one_list_by_page_or_as_an_export() {
    let console = Console::furnished();
    let [dora, ada] = ["dora", "ada"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    console.clock.set(console.clock.now().plus(Duration::from_mins(1)));
    console.record_calls(&id, 150);
    console.clock.set(console.clock.now().plus(Duration::from_mins(1)));
    console.submit(&dora);

    let mut paged = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let page = console.get(&format!("/audit?limit=7{cursor}"), &ada).expect(200);
        paged.extend(page["items"].as_array().unwrap().clone());
        next = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    assert!(paged.windows(2).all(|pair| pair[0]["at"].as_str() >= pair[1]["at"].as_str()), "newest first");
    assert_eq!(paged.iter().filter(|entry| entry["kind"] == "call").count(), 150);
    assert_eq!(what(&paged[0]), "access_request.submit");

    let bearer = format!("Bearer {ada}");
    let headers = [("authorization", &*bearer), ("accept", "application/x-ndjson")];
    let export = console.call("GET", "/api/v1/audit", &headers, None);
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, paged);

    let calls = console.get("/audit?operation=PutItem&outcome=allowed&from=2026-11-23T12:00:31Z&limit=1000", &ada);
    assert_eq!(calls.expect(200)["items"].as_array().unwrap().len(), 30);
    let none = console.get("/audit?service=sns", &ada).expect(200);
    assert_eq!((&none["items"], &none["next_cursor"]), (&json!([]), &Value::Null));
}
