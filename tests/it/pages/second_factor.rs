//! The second factor in a browser without scripts.

use std::time::Duration;

use super::browser::{Browser, location};
use crate::api::{
    authenticator::code,
    harness::{Console, PASSWORD},
};

const PAGE: &str = "/account/second-factor";

fn later(console: &Console) {
    console.clock.set(console.clock.now().plus(Duration::from_secs(30)));
}

/// What stands in a page between two texts.
fn between<'p>(page: &'p str, before: &str, after: &str) -> &'p str {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("no {before}: {page}"));
    rest.split_once(after).unwrap().0
}

/// Turns dora's on: her browser, the key and the recovery codes.
fn guarded(console: &Console) -> (Browser<'_>, String, Vec<String>) {
    let dora = Browser::signed_in(console, "dora");
    let before = dora.cookies.borrow()["csg_session"].clone();
    let shown = dora.submit(PAGE, PAGE, &[("password", PASSWORD)]);
    assert_eq!((shown.status, shown.header("cache-control")), (200, "no-store"), "{}", shown.text);
    assert!(shown.text.contains("<svg class=\"qr\"") && !shown.text.contains("style="));
    let key = between(&shown.text, "aria-label=\"Key\">", "<").to_owned();
    assert_eq!(key.len(), 32 + 7, "{key}");
    let csrf = between(&shown.text, "name=\"csrf\" value=\"", "\"").to_owned();
    let wrong = dora.post(&format!("{PAGE}/confirm"), &[("csrf", &csrf), ("code", "000000")]);
    assert!(wrong.status == 422 && wrong.text.contains("id=\"code-error\""), "{}", wrong.text);
    assert!(!wrong.text.contains(&key) && !wrong.text.contains("<svg class=\"qr\""), "the key is shown once");
    let now = code(&key, console.clock.now());
    let codes = dora.post(&format!("{PAGE}/confirm"), &[("csrf", &csrf), ("code", &now)]);
    assert_eq!((codes.status, codes.header("cache-control")), (200, "no-store"), "{}", codes.text);
    assert_ne!(dora.cookies.borrow()["csg_session"], before, "a new token");
    assert_eq!(console.get("/me", &before).status, 401);
    // The forms of that very page work.
    let csrf = between(&codes.text, "name=\"csrf\" value=\"", "\"");
    assert_eq!(csrf, dora.csrf("/account"));
    let codes = between(&codes.text, "aria-label=\"Recovery codes\"><code>", "<").lines().map(str::to_owned).collect();
    later(console);
    (dora, key, codes)
}

#[test]
fn dora_sets_it_up_signs_in_with_it_and_turns_it_off() {
    let console = Console::furnished();
    let (_, key, codes) = guarded(&console);
    assert_eq!(codes.len(), 10);
    let dora = Browser::new(&console);
    let path = "/environments/dev/cloud-services";
    let sign_in = [("username", "dora"), ("password", PASSWORD), ("next", path)];
    let asked = dora.post("/sign-in", &sign_in);
    let to = location(&asked);
    assert!(to.starts_with("/sign-in/code?next="), "{to}");
    assert!(!dora.cookies.borrow().contains_key("csg_session"), "no session yet");
    let cookie = asked.header("set-cookie");
    for part in ["csg_half=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=300"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(dora.get(path).status, 303, "half a session opens nothing");
    assert!(dora.page(&to).contains(&format!("name=\"next\" value=\"{path}\"")));
    let half = dora.cookies.borrow()["csg_half"].clone();
    for cookie in ["csg_session", "csg_half"] {
        let cookie = format!("{cookie}={half}");
        assert_eq!(console.call("GET", "/api/v1/me", &[("cookie", &cookie)], None).status, 401);
    }
    assert_eq!(console.get("/me", &half).status, 401);
    let wrong = dora.post("/sign-in/code", &[("code", "000000"), ("next", path)]);
    assert!(wrong.status == 401 && wrong.text.contains("The code is not right"), "{}", wrong.text);
    let now = code(&key, console.clock.now());
    let done = dora.post("/sign-in/code", &[("code", &now), ("next", path)]);
    assert_eq!(location(&done), path);
    assert!(!dora.cookies.borrow().contains_key("csg_half"));
    assert!(dora.page(PAGE).contains("10 recovery codes left"));

    let off = format!("{PAGE}/disable");
    let replayed = dora.submit(PAGE, &off, &[("password", PASSWORD), ("code", &now)]);
    assert!(replayed.status == 422 && replayed.text.contains("id=\"code-error\""), "{}", replayed.text);
    let wrong = dora.submit(PAGE, &off, &[("password", "wrong"), ("code", &codes[0])]);
    assert!(wrong.status == 422 && wrong.text.contains("id=\"password-error\""), "{}", wrong.text);
    let before = dora.cookies.borrow()["csg_session"].clone();
    assert_eq!(location(&dora.submit(PAGE, &off, &[("password", PASSWORD), ("code", &codes[0])])), PAGE);
    assert_ne!(dora.cookies.borrow()["csg_session"], before);
    assert!(dora.page(PAGE).contains("Set up a second factor"));
    Browser::signed_in(&console, "dora");
}

#[test]
fn codes_can_be_guessed_a_few_times_only() {
    let console = Console::furnished();
    let (_, key, _) = guarded(&console);
    let other = Browser::new(&console);
    let sign_in = || other.post("/sign-in", &[("username", "dora"), ("password", PASSWORD)]);
    location(&sign_in());
    for _ in 0..4 {
        assert_eq!(other.post("/sign-in/code", &[("code", "000000")]).status, 401);
    }
    let last = other.post("/sign-in/code", &[("code", "000000")]);
    assert!(last.status == 401 && last.text.contains("<h1>Sign in</h1>"), "{}", last.text);
    assert_eq!(location(&other.get("/sign-in/code")), "/sign-in");
    location(&sign_in());
    let now = code(&key, console.clock.now());
    let answer = other.post("/sign-in/code", &[("code", &now)]);
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"), "even the right one: {}", answer.text);
    console.clock.set(console.clock.now().plus(Duration::from_secs(1)));
    assert_eq!(location(&other.post("/sign-in/code", &[("code", &now)])), "/");
}

#[test]
fn nobody_else_gets_at_it() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    let anna = Browser::signed_in(&console, "anna");
    let foreign = anna.csrf("/account");
    for path in [PAGE.to_owned(), format!("{PAGE}/confirm"), format!("{PAGE}/disable")] {
        let fields = [("csrf", foreign.as_str()), ("password", PASSWORD), ("code", "000000")];
        assert_eq!(dora.post(&path, &fields).status, 403, "{path}: another session's token");
        let lost = location(&Browser::new(&console).post(&path, &fields));
        assert!(lost.starts_with("/sign-in") && !lost.contains("battery") && !lost.contains("000000"), "{lost}");
    }
    let headers = [("sec-fetch-site", "cross-site")];
    let fields = [("code", "000000")];
    assert_eq!(Browser::new(&console).post_from("/sign-in/code", &fields, &headers).status, 403);
    assert_eq!(Browser::new(&console).post("/sign-in/code", &fields).status, 401, "without a half session");
    assert_eq!(location(&dora.get(&format!("{PAGE}/confirm"))), PAGE);
}
