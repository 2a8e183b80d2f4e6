//! The start page and the set-up page.

use super::browser::{Browser, location};
use crate::api::harness::{Answer, Console, PASSWORD};

fn form(console: &Console, token: &str, name: &str, password: &str) -> Answer {
    let body = format!("token={token}&username={name}&password={password}");
    console.call("POST", "/setup", &[("content-type", "application/x-www-form-urlencoded")], Some(body))
}

#[test]
fn the_set_up_link_makes_one_administrator_once() {
    let console = Console::empty();
    assert_eq!(console.call("GET", "/sign-in", &[], None).header("location"), "/setup");
    let token = console.workflow.begin_set_up().unwrap();
    let token = token.expose();

    let page = console.call("GET", &format!("/setup?token={token}"), &[], None);
    assert_eq!(page.status, 200);
    let (_, main) = page.text.split_once("<main").unwrap();
    insta::assert_snapshot!(main.split("</main>").next().unwrap().replace(token, "TOKEN"));

    let short = form(&console, token, "root", "short");
    assert_eq!(short.status, 422);
    assert!(short.text.contains("id=\"password-error\"") && short.text.contains("value=\"root\""), "{}", short.text);
    let bad_name = form(&console, token, "%3Cscript%3E", PASSWORD);
    assert_eq!(bad_name.status, 422);
    assert!(bad_name.text.contains("&#60;script&#62;") && !bad_name.text.contains("<script>"), "{}", bad_name.text);
    assert_eq!(form(&console, "wrong", "root", PASSWORD).status, 403);

    let done = form(&console, token, "root", PASSWORD);
    assert_eq!((done.status, done.header("location")), (303, "/welcome"), "{}", done.text);
    assert!(done.header("set-cookie").starts_with("csg_session="));
    console.sign_in("root");

    assert_eq!(form(&console, token, "mallory", PASSWORD).status, 410);
    assert_eq!(console.call("GET", &format!("/setup?token={token}"), &[], None).status, 410);
    assert_eq!(console.call("GET", "/sign-in", &[], None).status, 200);
}

#[test]
fn a_wrong_link_says_what_to_do() {
    let console = Console::empty();
    console.workflow.begin_set_up().unwrap();
    let page = console.call("GET", "/setup?token=wrong", &[], None);
    assert_eq!(page.status, 403);
    assert!(page.text.contains("csg setup-link"), "{}", page.text);
    assert_eq!(console.call("GET", "/setup", &[], None).status, 200);
}

#[test]
fn every_answer_tells_a_browser_to_be_careful() {
    let console = Console::empty();
    for path in ["/", "/setup", "/assets/css/console.css", "/api/v1/ca", "/api/v1/me", "/none"] {
        let answer = console.call("GET", path, &[], None);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    }
}

#[test]
fn pages_need_nothing_from_elsewhere() {
    let console = Console::empty();
    let page = console.call("GET", "/clients", &[], None);
    assert!(!page.text.contains("style=") && page.text.matches("<script").count() == 1);
    assert!(page.text.contains("<script type=\"module\" src=\"/assets/js/console.js?v="));
    let css = console.call("GET", "/assets/css/console.css", &[], None);
    assert_eq!((css.status, css.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(!css.text.contains("url(") && !css.text.contains("@import"));
    let tag = css.header("etag").to_owned();
    assert_eq!(console.call("GET", "/assets/css/console.css", &[("if-none-match", &tag)], None).status, 304);
    let zipped = console.call("HEAD", "/assets/css/console.css", &[("accept-encoding", "gzip, br")], None);
    assert_eq!((zipped.header("content-encoding"), zipped.header("vary")), ("gzip", "accept-encoding"));
    assert_ne!(zipped.header("etag"), tag, "a tag stands for the very bytes");
    let (_, rest) = page.text.split_once("/assets/css/console.css?v=").unwrap();
    let marked = format!("/assets/css/console.css?v={}", rest.split('"').next().unwrap());
    assert!(console.call("GET", &marked, &[], None).header("cache-control").contains("immutable"));
    assert_eq!(console.call("GET", "/assets/css/console.css?v=0", &[], None).header("cache-control"), "no-cache");
    assert_eq!(console.call("GET", "/assets/css/../aws/catalogue.tsv", &[], None).status, 404);
}

#[test]
fn the_first_steps_can_be_left_and_resumed() {
    let console = Console::empty();
    let token = console.workflow.begin_set_up().unwrap();
    let browser = Browser::new(&console);
    let fields = [("token", token.expose()), ("username", "root"), ("password", PASSWORD)];
    assert_eq!(location(&browser.post("/setup", &fields)), "/welcome");
    let page = browser.page("/welcome");
    assert!(page.contains("The set-up link no longer works.") && page.contains("Test and add it"));

    let bad = [("name", "<script>"), ("access_key_id", "no key"), ("secret_access_key", "hush hush")];
    let again = browser.submit("/welcome", "/welcome/credential", &bad);
    assert_eq!(again.status, 422);
    assert!(again.text.contains("id=\"key-error\"") && again.text.contains("&#60;script&#62;"), "{}", again.text);
    assert!(!again.text.contains("hush hush"), "secrets don't come back");
    let good = [
        ("name", "dev"),
        ("access_key_id", "AKIAIOSFODNN7EXAMPLE"),
        ("secret_access_key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ];
    let untested = browser.submit("/welcome", "/welcome/credential", &good);
    assert_eq!(untested.status, 422);
    assert!(
        untested.text.contains("No answer came from the cloud") && !untested.text.contains("bPxRfiCY"),
        "{}",
        untested.text
    );
    let all_the_same = [&good[..], &[("unchecked", "1")]].concat();
    assert_eq!(location(&browser.submit("/welcome", "/welcome/credential", &all_the_same)), "/welcome");
    assert!(browser.page("/welcome").contains("Not tested yet."));

    let again = Browser::signed_in(&console, "root");
    assert_eq!(location(&again.get("/")), "/welcome", "resumed");
    let bad = [("name", "Payments"), ("id", "Payments dev")];
    assert_eq!(again.submit("/welcome", "/welcome/environment", &bad).status, 422);
    let good = [("name", "Payments"), ("id", "payments-dev")];
    assert_eq!(location(&again.submit("/welcome", "/welcome/environment", &good)), "/welcome");
    assert!(again.page("/welcome").contains("href=\"/ca/pem\""));
    assert_eq!(location(&again.get("/")), "/environments/payments-dev/cloud-services");
    let root = console.sign_in("root");
    assert_eq!(console.credential("payments-dev", &root).len(), 26, "linked");

    let console = Console::furnished();
    assert_eq!(Browser::signed_in(&console, "anna").get("/welcome").status, 403);
}
