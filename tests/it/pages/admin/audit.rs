//! The audit log: filtered, page by page, and as files that no spreadsheet runs.

use serde_json::json;

use crate::{api::harness::Console, pages::browser::Browser};

#[test]
fn calls_and_acts_are_filtered_and_come_page_by_page() {
    let console = Console::furnished();
    let [dora, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    console.record_calls(&id, 120);
    let ada = Browser::signed_in(&console, "ada");
    let rows = |page: &str| page.matches("<td data-label=\"When\">").count();
    let first = ada.page("/audit?operation=PutItem&outcome=&from=&user=dora");
    assert_eq!(rows(&first), 50);
    assert!(
        first.contains("DynamoDB PutItem") && first.contains("allowed, 200") && first.contains("value=\"PutItem\"")
    );
    let (_, rest) = first.split_once("<a href=\"/audit?").unwrap();
    let next = rest.split('"').next().unwrap();
    let (_, rest) = if next.contains("after") { ("", rest) } else { rest.split_once("<a href=\"/audit?").unwrap() };
    let next = format!("/audit?{}", rest.split('"').next().unwrap().replace("&#38;", "&"));
    assert!(next.contains("operation=PutItem") && next.contains("user=dora") && next.contains("after="), "{next}");
    assert_eq!(rows(&ada.page(&next)), 50);

    let acts = ada.page(&format!("/audit?request={id}&user=anna"));
    assert!(acts.contains("access_request.approve") && !acts.contains("DynamoDB PutItem"), "{acts}");
    assert_eq!(rows(&ada.page("/audit?to=2026-11-23")), 0);
    assert_eq!(rows(&ada.page("/audit?from=2026-11-23T11:59&service=dynamodb")), 50);
    assert!(ada.page("/audit?outcome=refused").contains("Nothing fits."));
    let wrong = ada.get("/audit?from=yesterday");
    assert!(
        wrong.status == 422
            && wrong.text.contains("The times must be like")
            && wrong.text.contains("value=\"yesterday\""),
        "{}",
        wrong.text
    );
}

#[test]
fn who_reads_in_one_environment_sees_that_one_only() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    console.record_calls(&id, 3);
    for (name, environment) in [("inga", "dev"), ("paul", "prod")] {
        let roles = [json!({"role": "auditor", "environment": environment})];
        let user = json!({"username": name, "password": crate::api::harness::PASSWORD, "roles": roles});
        console.post("/users", &root, &user).expect(201);
    }
    let inga = Browser::signed_in(&console, "inga").page("/audit");
    assert!(inga.contains("DynamoDB PutItem") && !inga.contains("user.create"), "{inga}");
    let paul = Browser::signed_in(&console, "paul");
    assert!(!paul.page("/audit").contains("DynamoDB PutItem"));
    assert_eq!(paul.get("/audit?environment=dev").status, 404);
    assert_eq!(paul.get("/audit/export.csv?environment=dev").status, 404);
    assert!(!paul.page("/audit/export.ndjson").contains("PutItem"));
}

#[test]
fn exports_have_the_filter_and_no_formula() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    console.record_calls(&id, 1100);
    let evil = json!({"name": "=HYPERLINK(\"http://evil.example\")", "cloud": "aws", "kind": "static",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "x"});
    console.post("/credentials", &root, &evil).expect(201);
    let ada = Browser::signed_in(&console, "ada");
    let csv = ada.get("/audit/export.csv?operation=PutItem");
    assert_eq!(csv.status, 200);
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"csg-audit.csv\"");
    let mut lines = csv.text.split("\r\n");
    assert!(lines.next().unwrap().starts_with("kind,at,id,user,action,"));
    assert_eq!(lines.filter(|line| line.starts_with("call,2026-11-23T")).count(), 1100);
    let all = ada.get("/audit/export.csv");
    assert!(all.text.contains(",\"'=HYPERLINK(\"\"http://evil.example\"\")\""), "{}", &all.text[..2000]);
    assert!(!all.text.contains(",=") && !all.text.contains(",\"="));
    let lines = ada.get("/audit/export.ndjson?operation=PutItem");
    assert_eq!(lines.text.lines().count(), 1100);
    assert!(lines.text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    // The same over the API.
    let bearer = format!("Bearer {}", console.sign_in("ada"));
    let headers = [("authorization", bearer.as_str()), ("accept", "text/csv")];
    assert_eq!(console.call("GET", "/api/v1/audit?operation=PutItem", &headers, None).text, csv.text);
}
