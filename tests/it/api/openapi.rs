//! The OpenAPI document: it names what there is, and nothing else.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::harness::Console;

const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];

fn document(console: &Console) -> Value {
    let answer = console.call("GET", "/api/openapi.json", &[], None);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.expect(200)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The addresses that the router has, as its source gives them.
fn routes() -> BTreeSet<String> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/api/mod.rs")).unwrap();
    let texts = source.split(".route(").skip(1).filter_map(|call| call.split('"').nth(1));
    texts.map(|path| format!("/api/v1{path}")).collect()
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let console = Console::furnished();
    let document = document(&console);
    let documented: BTreeSet<_> = members(&document["paths"]).map(|(path, _)| path.clone()).collect();
    assert_eq!(documented, routes());
    for (path, item) in members(&document["paths"]) {
        // No route has this method, so the answer names those that it has.
        let refused = console.call("TRACE", &path.replace("{id}", "x"), &[], None);
        assert_eq!(refused.status, 405, "{path}");
        let allowed: BTreeSet<_> = refused.header("allow").split(',').filter(|name| METHODS.contains(name)).collect();
        let documented: Vec<_> = members(item).map(|(method, _)| method.to_uppercase()).collect();
        assert_eq!(allowed, documented.iter().map(String::as_str).collect(), "{path}");
    }
}

#[test]
fn every_operation_can_be_understood_alone() {
    let console = Console::furnished();
    let document = document(&console);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut ids = BTreeSet::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
            assert!(ids.insert(text("operationId")), "{method} {path}: an id that another has");
            assert!(!text("summary").is_empty(), "{method} {path}");
            let responses: Vec<_> = members(&operation["responses"]).collect();
            assert!(responses.iter().any(|(status, _)| status.starts_with('2')), "{method} {path}");
            for (status, response) in responses {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{method} {path} {status}");
                if status.as_str() >= "400" {
                    let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(problem, "#/components/schemas/Problem", "{method} {path} {status}");
                }
            }
        }
    }
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect(value, references));
        }
        _ => {}
    }
}

#[test]
fn there_is_a_page_to_read_it() {
    let console = Console::empty();
    let page = console.call("GET", "/api", &[], None);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for (_, item) in members(&document(&console)["paths"]) {
        for (_, operation) in members(item) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.text.contains(&format!("<h3 id=\"{id}\">")), "{id}");
        }
    }
    assert_eq!(
        page.text.matches("<script").count(),
        page.text.matches("<script type=\"module\" src=\"/assets/js/").count()
    );
}
