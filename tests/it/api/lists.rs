//! Lists of access requests: filters, order and pages.

use serde_json::{Value, json};

use super::harness::Console;

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn filters_narrow_and_pages_hold_still_while_others_write() {
    let console = Console::furnished();
    let [dora, peter, anna] = ["dora", "peter", "anna"].map(|name| console.sign_in(name));
    let mut made = Vec::new();
    for (number, (token, environment)) in [(&dora, "dev"), (&peter, "prod")].into_iter().cycle().take(6).enumerate() {
        console.clock.set(console.clock.now().plus(std::time::Duration::from_secs(1)));
        let services = if number < 3 { json!(["sns", "lambda"]) } else { json!(["sns"]) };
        let wish = json!({"cloud": "aws", "services": services, "justification": "x", "duration": null});
        let path = format!("/environments/{environment}/access-requests");
        made.push(console.post(&path, token, &wish).expect(201)["id"].as_str().unwrap().to_owned());
    }
    console.post(&format!("/access-requests/{}/deny", made[0]), &anna, &json!({})).expect(200);
    for (query, found) in [
        ("", &[5, 4, 3, 2, 1, 0][..]),
        ("?service=lambda", &[2, 1, 0]),
        ("?service=lambda&environment=dev", &[2, 0]),
        ("?service=lambda&environment=dev&status=denied,approved", &[0]),
        ("?service=sns&requested_by=peter&status=pending", &[5, 3, 1]),
        ("?service=glacier", &[]),
    ] {
        let list = console.get(&format!("/access-requests{query}"), &anna).expect(200);
        assert_eq!(ids(&list), found.iter().map(|&number| &*made[number]).collect::<Vec<_>>(), "{query}");
    }
    let own = console.get("/environments/dev/access-requests?service=lambda", &dora).expect(200);
    assert_eq!(ids(&own), [&*made[2], &*made[0]]);

    let first = console.get("/access-requests?limit=2&service=sns", &anna).expect(200);
    assert_eq!(ids(&first), [&*made[5], &*made[4]]);
    // One that was shown changes, one that comes next does, and a new one is made.
    for id in [&made[4], &made[3]] {
        console.post(&format!("/access-requests/{id}/deny"), &anna, &json!({})).expect(200);
    }
    console.submit(&dora);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = console.get(&format!("/access-requests?limit=2&service=sns&cursor={cursor}"), &anna).expect(200);
    assert_eq!(ids(&second), [&*made[3], &*made[2]]);

    for query in ["service=Not%20a%20service", "status=none", "cursor=waiting.x%2F", "sort=up"] {
        console.get(&format!("/access-requests?{query}"), &anna).problem(422);
    }
}
