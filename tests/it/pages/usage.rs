//! The use of an environment, on its page and over the API: who sees what of it.

use std::time::Duration;

use csg::model::{AccessRequestId, CallRecord, EnvironmentId, Outcome, ServiceId, UserName};
use serde_json::json;

use super::browser::Browser;
use crate::api::harness::Console;

const PAGE: &str = "/environments/dev/usage";
const DAY: Duration = Duration::from_hours(24);

fn used(console: &Console, who: &str, request: &str, service: &str, back: Duration, status: u16) {
    let record = CallRecord {
        at: console.clock.now().minus(back),
        id: format!("call-{}", back.as_millis()),
        client: "10.0.0.7".into(),
        access_key_id: None,
        request: Some(AccessRequestId::new(request).unwrap()),
        user: Some(UserName::new(who).unwrap()),
        environment: Some(EnvironmentId::new("dev").unwrap()),
        host: format!("{service}.eu-west-1.amazonaws.com").into(),
        service: Some(ServiceId::new(service).unwrap()),
        operation: Some("List".into()),
        region: Some("eu-west-1".into()),
        outcome: Outcome::Allowed,
        error: None,
        status,
        bytes_in: 300,
        bytes_out: 200,
        duration_us: 900,
        cloud_request_id: None,
    };
    console.audit.sink().reserve().unwrap().record(record);
}

#[test]
fn who_decides_or_audits_sees_everybodys_use_and_all_others_their_own() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let dan = json!({"username": "dan", "password": crate::api::harness::PASSWORD,
        "roles": [{"role": "developer", "environment": "dev"}]});
    console.post("/users", &root, &dan).expect(201);
    let [dora, dan, anna, ada] = ["dora", "dan", "anna", "ada"].map(|name| console.sign_in(name));
    let empty = Browser::signed_in(&console, "dora").page(PAGE);
    assert!(
        empty.contains("No call has come in the last 30 days.") && empty.contains("/environments/dev/cloud-services")
    );

    let (hers, his) = (console.submit_and_approve(&dora, &anna), console.submit(&dan));
    used(&console, "dora", &hers, "dynamodb", Duration::ZERO, 200);
    used(&console, "dora", &hers, "sns", DAY, 400);
    used(&console, "dan", &his, "sns", DAY * 29, 200);
    used(&console, "dan", &his, "lambda", DAY * 30, 200);
    assert!(console.audit.reader().flush(Duration::from_secs(20)));

    let everybodys = Browser::signed_in(&console, "anna").page(PAGE);
    for part in [
        "everybody’s calls",
        "3 calls in 30 days, 1 of them errors",
        "Simple Notification Service (SNS)",
        "1.5 kB",
        "By person",
        "2026-11-22",
        &format!("<a href=\"/access-requests/{his}\">DynamoDB</a>"),
    ] {
        assert!(everybodys.contains(part), "{part}: {everybodys}");
    }
    assert!(!everybodys.contains("Lambda") && !everybodys.contains("2026-10-24"), "31 days ago");
    let own = Browser::signed_in(&console, "dora").page(PAGE);
    assert!(own.contains("your own calls") && own.contains("2 calls in 30 days, 1 of them errors"), "{own}");
    assert!(!own.contains(&his) && !own.contains("dan") && !own.contains("By person") && !own.contains("/audit?"));
    // An auditor may see the calls, and not what was asked for.
    let audited = Browser::signed_in(&console, "ada").page(PAGE);
    assert!(audited.contains("everybody’s calls") && audited.contains("/audit?environment=dev"));
    assert!(audited.contains(&his) && !audited.contains(&format!("href=\"/access-requests/{his}\"")));
    for name in ["peter", "paula"] {
        assert_eq!(Browser::signed_in(&console, name).get(PAGE).status, 404, "{name} has nothing to do with dev");
    }
    assert!(Browser::signed_in(&console, "root").page("/environments/dev").contains(&format!("href=\"{PAGE}\"")));
    assert_eq!(own.matches(&format!("href=\"{PAGE}\" aria-current=\"page\"")).count(), 2, "in both navigations");

    let get = |token: &str, query: &str| console.get(&format!("{PAGE}{query}"), token);
    let told = get(&ada, "").expect(200);
    assert_eq!((&told["user"], &told["calls"], &told["errors"]), (&json!(null), &json!(3), &json!(1)));
    assert_eq!((&told["bytes_in"], &told["from"]), (&json!(900), &json!("2026-10-25T00:00:00.000Z")));
    assert_eq!((&told["by_service"][0]["service"], &told["by_service"][0]["calls"]), (&json!("sns"), &json!(2)));
    assert_eq!((&told["by_person"][0]["user"], &told["by_person"][1]["user"]), (&json!("dora"), &json!("dan")));
    assert_eq!(
        (&told["by_access_request"][0]["request"], &told["by_access_request"][0]["user"]),
        (&json!(hers), &json!("dora"))
    );
    let days: Vec<_> = told["by_day"].as_array().unwrap().iter().map(|day| day["day"].as_str().unwrap()).collect();
    assert_eq!(days, ["2026-10-25", "2026-11-22", "2026-11-23"]);
    let told = get(&dora, "?days=1").expect(200);
    assert_eq!((&told["user"], &told["calls"]), (&json!("dora"), &json!(1)));
    assert_eq!(get(&anna, "?days=400").expect(200)["calls"], 4);
    for query in ["?days=0", "?days=401", "?days=x", "?day=1"] {
        get(&anna, query).problem(422);
    }
    assert_eq!(get(&console.sign_in("peter"), "").status, 404);
    assert_eq!(get("", "").status, 401);
}
