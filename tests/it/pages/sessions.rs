//! Signing in and out, and what another site can't make a browser do.

use csg::{model::UserName, secret::Secret};

use super::browser::{Browser, location};
use crate::api::harness::{Console, PASSWORD};

#[test]
fn signing_in_gives_a_new_session_and_ends_the_one_before() {
    let console = Console::furnished();
    let browser = Browser::new(&console);
    browser.cookies.borrow_mut().insert("csg_session".into(), "csg_session_planted".into());
    let answer = browser.post("/sign-in", &[("username", "dora"), ("password", PASSWORD)]);
    assert_eq!(location(&answer), "/");
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let first = browser.cookies.borrow()["csg_session"].clone();
    assert_ne!(first, "csg_session_planted");
    assert_eq!(console.get("/me", &first).status, 200);

    browser.post("/sign-in", &[("username", "dora"), ("password", PASSWORD)]);
    assert_ne!(browser.cookies.borrow()["csg_session"], first);
    assert_eq!(console.get("/me", &first).status, 401, "the session before has ended");

    let answer = browser.submit("/account", "/sign-out", &[]);
    assert_eq!(location(&answer), "/sign-in?out=1");
    assert!(!browser.cookies.borrow().contains_key("csg_session"));
    assert_eq!(location(&browser.get("/account")), "/sign-in?next=%2Faccount");
}

#[test]
fn the_way_back_leads_to_no_other_site_and_keeps_what_was_typed() {
    let console = Console::furnished();
    let browser = Browser::new(&console);
    let path = "/environments/dev/cloud-services";
    let to = location(&browser.get(path));
    assert_eq!(to, "/sign-in?next=%2Fenvironments%2Fdev%2Fcloud-services");
    assert!(browser.page(&to).contains(&format!("name=\"next\" value=\"{path}\"")));
    for (next, lands) in
        [(path, path), ("//evil.example", "/"), ("https://evil.example/", "/"), ("/\\evil.example", "/")]
    {
        let browser = Browser::new(&console);
        let answer = browser.post("/sign-in", &[("username", "dora"), ("password", PASSWORD), ("next", next)]);
        assert_eq!(location(&answer), lands);
    }
    let fields = [("csrf", "x"), ("justification", "orders & more"), ("new_password", "hidden")];
    let answer = browser.post("/account/password", &fields);
    let to = location(&answer);
    assert!(to.contains("orders") && !to.contains("hidden") && !to.contains("csrf"), "{to}");
}

#[test]
fn a_wrong_password_and_throttling_are_told_in_words() {
    let console = Console::furnished();
    let browser = Browser::new(&console);
    let wrong = [("username", "<script>dora"), ("password", "wrong")];
    let answer = browser.post("/sign-in", &wrong);
    assert_eq!(answer.status, 401);
    assert!(answer.text.contains("The user name or the password is wrong"));
    assert!(answer.text.contains("value=\"&#60;script&#62;dora\"") && !answer.text.contains("wrong\""));
    for _ in 0..4 {
        browser.post("/sign-in", &wrong);
    }
    let answer = browser.post("/sign-in", &wrong);
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    assert!(answer.text.contains("Try again in 1 second."), "{}", answer.text);
}

#[test]
fn a_write_needs_the_token_of_this_very_session() {
    let console = Console::furnished();
    let (dora, anna) = (Browser::signed_in(&console, "dora"), Browser::signed_in(&console, "anna"));
    let foreign = anna.csrf("/account");
    for csrf in ["", "x", foreign.as_str()] {
        let answer = dora.post("/sign-out", &[("csrf", csrf)]);
        assert_eq!(answer.status, 403, "{csrf}");
        assert!(answer.text.contains("nothing was done"), "{}", answer.text);
    }
    let own = dora.csrf("/account");
    for headers in [[("sec-fetch-site", "cross-site")], [("origin", "http://evil.example")], [("origin", "null")]] {
        assert_eq!(dora.post_from("/sign-out", &[("csrf", &own)], &headers).status, 403);
        let sign_in = [("username", "dora"), ("password", PASSWORD)];
        assert_eq!(Browser::new(&console).post_from("/sign-in", &sign_in, &headers).status, 403);
    }
    // In a second tab one has signed in anew: the first one's form comes back with what was typed in it.
    let path = "/environments/dev/cloud-services/request";
    let fields = [("csrf", foreign.as_str()), ("justification", "orders")];
    let back = location(&dora.post_from(path, &fields, &[("sec-fetch-site", "same-origin")]));
    let page = dora.page(&back);
    assert!(page.contains("nothing was done yet") && page.contains(">orders</textarea>"), "{page}");
}

#[test]
fn the_cookie_works_for_the_api_and_writes_need_the_token_there_too() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    let cookie = format!("csg_session={}", dora.cookies.borrow()["csg_session"]);
    assert_eq!(console.call("GET", "/api/v1/me", &[("cookie", &cookie)], None).status, 200);
    let wish = r#"{"cloud": "aws", "services": ["sns"], "justification": "mail", "duration": null}"#;
    let csrf = dora.csrf("/account");
    let send = |headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        console.call("POST", "/api/v1/environments/dev/access-requests", &all, Some(wish.into())).status
    };
    assert_eq!(send(&[]), 403);
    assert_eq!(send(&[("x-csrf-token", "x")]), 403);
    assert_eq!(send(&[("x-csrf-token", &csrf), ("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(send(&[("x-csrf-token", &csrf)]), 201);
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let console = Console::furnished();
    let (here, there) = (Browser::signed_in(&console, "dora"), Browser::signed_in(&console, "dora"));
    let change = |current, new| {
        let fields = [("current_password", current), ("new_password", new)];
        here.submit("/account", "/account/password", &fields)
    };
    let wrong = change("wrong", "another battery");
    assert!(wrong.status == 422 && wrong.text.contains("Is not your present password"), "{}", wrong.text);
    let short = change(PASSWORD, "short");
    assert!(short.status == 422 && short.text.contains("id=\"new-error\""), "{}", short.text);
    there.page("/account");
    let before = here.cookies.borrow()["csg_session"].clone();
    let done = change(PASSWORD, "another battery");
    assert_eq!(location(&done), "/account");
    assert_ne!(here.cookies.borrow()["csg_session"], before, "a new token");
    assert_eq!(console.get("/me", &before).status, 401);
    assert!(here.page("/account").contains("Your password is changed."));
    assert!(!here.page("/account").contains("Your password is changed."), "told once");
    assert_eq!(there.get("/account").status, 303, "signed out there");
    let again = Browser::new(&console).post("/sign-in", &[("username", "dora"), ("password", "another battery")]);
    assert_eq!(again.status, 303);
}

#[test]
fn other_sessions_are_listed_and_can_be_ended() {
    let console = Console::furnished();
    let (here, there) = (Browser::signed_in(&console, "dora"), Browser::signed_in(&console, "dora"));
    let page = here.page("/account");
    let (_, rest) = page.split_once("name=\"session\" value=\"").expect("another session");
    let id = rest.split('"').next().unwrap();
    let anna = Browser::signed_in(&console, "anna");
    anna.submit("/account", "/account/sessions/end", &[("session", id)]);
    there.page("/account");
    here.submit("/account", "/account/sessions/end", &[("session", id)]);
    assert_eq!(there.get("/account").status, 303);
    assert!(!here.page("/account").contains("name=\"session\""));
}

#[test]
fn what_goes_wrong_is_a_page_for_people_and_a_problem_for_programs() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    for path in ["/nothing", "/environments/prod/cloud-services", "/environments/%3Cscript%3E/cloud-services"] {
        let answer = dora.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains("<h1>There is nothing here</h1>") && !answer.text.contains("<script>"));
    }
    console.call("GET", "/nothing", &[], None).problem(404);
    console.call("GET", "/api/v1/nothing", &[("accept", "text/html")], None).problem(404);
}

#[test]
fn over_tls_cookies_are_for_this_host_and_tls_alone_and_browsers_stay_with_it() {
    let console = Console::reached_at("https://gateway.example:3129");
    console.workflow.set_up(&UserName::new("root").unwrap(), &Secret::new(PASSWORD)).unwrap();
    let browser = Browser::new(&console);
    let answer = browser.post("/sign-in", &[("username", "root"), ("password", PASSWORD)]);
    let cookie = answer.header("set-cookie");
    // RFC 6265bis, section 4.1.3.2: the prefix asks for exactly these, and for no Domain.
    assert!(cookie.starts_with("__Host-csg_session=") && !cookie.contains("Domain"), "{cookie}");
    for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/;"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    // The name without the prefix, which a neighbour host could have set, is worth nothing.
    let token = browser.cookies.borrow()["__Host-csg_session"].clone();
    let plain = format!("csg_session={token}");
    assert_eq!(console.call("GET", "/api/v1/me", &[("cookie", &plain)], None).status, 401);
    assert_eq!(Console::empty().call("GET", "/setup", &[], None).header("strict-transport-security"), "");
    // Nor is the one with it worth anything where there is no TLS.
    let console = Console::empty();
    console.workflow.set_up(&UserName::new("root").unwrap(), &Secret::new(PASSWORD)).unwrap();
    let token = console.sign_in("root");
    for (name, status) in [("csg_session", 200), ("__Host-csg_session", 401)] {
        let cookie = format!("{name}={token}");
        assert_eq!(console.call("GET", "/api/v1/me", &[("cookie", &cookie)], None).status, status, "{name}");
    }
}
