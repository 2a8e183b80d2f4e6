//! Settings, health, and the certificate authority.

use serde_json::json;

use crate::{
    api::harness::{Console, ENDPOINT},
    pages::browser::{Browser, location},
};

#[test]
fn settings_are_shown_and_changed() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    assert!(!root.page("/settings").contains("value=\"1\" checked"));
    assert_eq!(location(&root.submit("/settings", "/settings", &[("self_approval", "1")])), "/settings");
    assert!(root.page("/settings").contains("value=\"1\" checked"));
    assert_eq!(console.get("/settings", &token).expect(200), json!({"self_approval": true}));
    root.submit("/settings", "/settings", &[]);
    assert_eq!(console.get("/settings", &token).expect(200), json!({"self_approval": false}));
}

#[test]
fn health_is_told_to_people_and_to_programs() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit_and_approve(&dora, &anna);
    console.post(&format!("/access-requests/{id}/secret"), &dora, &serde_json::Value::Null).expect(200);
    console.record_calls(&id, 2);
    assert!(console.audit.reader().flush(std::time::Duration::from_secs(20)));
    let health = console.get("/system", &root).expect(200);
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["audit"]["newest_call_at"], "2026-11-23T12:00:00.000Z");
    assert_eq!((&health["counts"]["people"], &health["counts"]["active_keys"]), (&json!(6), &json!(1)));
    assert_eq!((&health["certificates"]["hosts"], &health["uptime_seconds"]), (&json!(3), &json!(0)));
    assert!(health["disk"]["free_bytes"].as_u64().unwrap() > 0);
    let warned = |health: &serde_json::Value, id: &str| {
        health["warnings"].as_array().unwrap().iter().any(|warning| warning["id"] == id)
    };
    assert!(warned(&health, "credential_unchecked") && !warned(&health, "clock_behind"), "{health}");
    console.get("/system", &dora).problem(403);
    console.get("/system", "").problem(401);

    let browser = Browser::signed_in(&console, "root");
    let page = browser.page("/system");
    assert!(page.contains("AWS has never confirmed the credential “") && page.contains("” and 1 more."), "{page}");
    // The clock was set back: signatures would be refused.
    console.clock.set(console.clock.now().minus(std::time::Duration::from_mins(10)));
    assert!(warned(&console.get("/system", &root).expect(200), "clock_behind"));
    assert!(browser.page("/system").contains("timedatectl"));
}

#[test]
fn the_authority_says_what_it_is_and_how_to_trust_it() {
    let console = Console::furnished();
    let page = Browser::signed_in(&console, "dora").page("/ca");
    let known = console.call("GET", "/api/v1/ca", &[], None).expect(200);
    let fingerprint = known["fingerprint_sha256"].as_str().unwrap();
    assert!(page.contains(&fingerprint[..23]), "{page}");
    let url = format!("{ENDPOINT}/cert/pem");
    for part in [
        "update-ca-certificates",
        "update-ca-trust",
        "security add-trusted-cert",
        "certutil -addstore",
        "keytool -importcert",
        "NODE_EXTRA_CA_CERTS",
        "AWS_CA_BUNDLE",
        "policies.json",
        "href=\"/ca/p12\"",
        "<code class=\"value\">amazonaws.com</code>",
        &url,
    ] {
        assert!(page.contains(part), "{part}");
    }
}
