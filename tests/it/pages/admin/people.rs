//! People: added, found, given roles and relieved of them, disabled; and somebody is always left who can let others in.

use serde_json::{Value, json};

use crate::{
    api::harness::{Console, PASSWORD},
    pages::browser::{Browser, location},
};

fn roles(console: &Console, name: &str, token: &str) -> Value {
    console.get(&format!("/users/{name}"), token).expect(200)["roles"].clone()
}

#[test]
fn somebody_is_added_with_a_password_that_is_shown_once() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let bad = [("username", "no spaces"), ("role", "developer"), ("environment", "dev")];
    let again = root.submit("/new/person", "/people", &bad);
    assert!(again.status == 422 && again.text.contains("id=\"username-error\""), "{}", again.text);
    assert!(again.text.contains("value=\"developer\" selected") && again.text.contains("value=\"dev\" selected"));
    let nowhere = root.submit("/new/person", "/people", &[("username", "emma"), ("role", "admin")]);
    assert!(nowhere.status == 422 && nowhere.text.contains("Must say where the role counts."), "{}", nowhere.text);
    let short = root.submit("/new/person", "/people", &[("username", "emma"), ("password", "short")]);
    assert!(short.status == 422 && short.text.contains("id=\"password-error\"") && !short.text.contains("\"short\""));

    let good = [("username", "emma"), ("role", "developer"), ("environment", "dev")];
    let once = root.submit("/new/person", "/people", &good);
    assert_eq!((once.status, once.header("cache-control")), (200, "no-store"));
    assert!(once.text.contains("This password will never be shown again."), "{}", once.text);
    let (_, rest) = once.text.split_once("<code class=\"value\" data-copy>").unwrap();
    let password = rest.split('<').next().unwrap().to_owned();
    assert_eq!(password.len(), 23);
    let emma = Browser::new(&console);
    assert_eq!(location(&emma.post("/sign-in", &[("username", "emma"), ("password", &password)])), "/");
    assert_eq!(roles(&console, "emma", &token), json!([{"role": "developer", "environment": "dev"}]));
    for path in ["/people", "/people/emma", "/audit", "/new/person"] {
        assert!(!root.page(path).contains(&password), "{path}");
    }
    let twice = root.submit("/new/person", "/people", &good);
    assert!(twice.status == 422 && twice.text.contains("There is a user emma already."), "{}", twice.text);

    // With a password that was typed, nothing has to be shown.
    let typed = [("username", "frank"), ("password", PASSWORD)];
    assert_eq!(location(&root.submit("/new/person", "/people", &typed)), "/people/frank");
    assert_eq!(roles(&console, "frank", &token), json!([]));
    console.sign_in("frank");
}

#[test]
fn roles_are_given_and_taken_one_at_a_time() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let (page, dev, prod) = (
        "/people/dora",
        json!({"role": "developer", "environment": "dev"}),
        json!({"role": "approver", "environment": "prod"}),
    );
    let give = [("role", "approver"), ("environment", "prod")];
    assert_eq!(location(&root.submit(page, "/people/dora/roles", &give)), page);
    assert!(root.page(page).contains("dora is now approver in prod."));
    assert_eq!(roles(&console, "dora", &token), json!([dev, prod]));
    let none = root.submit(page, "/people/dora/roles", &[("role", "king"), ("environment", "*")]);
    assert!(none.status == 422 && none.text.contains("id=\"role-error\""), "{}", none.text);
    let nowhere = root.submit(page, "/people/dora/roles", &[("role", "admin"), ("environment", "nowhere")]);
    assert_eq!(nowhere.status, 422);

    let ask = "/people/dora/roles/take?role=approver&environment=prod";
    assert!(root.page(page).contains(&ask.replace('&', "&#38;")), "a link to it");
    let asked = root.page(ask);
    assert!(asked.contains("Take a role from dora: approver in prod?"), "{asked}");
    assert!(asked.contains("go on working"), "{asked}");
    assert_eq!(root.get("/people/dora/roles/take?role=auditor&environment=*").status, 404, "not held");
    assert_eq!(location(&root.submit(ask, "/people/dora/roles/take", &give)), page);
    assert_eq!(roles(&console, "dora", &token), json!([dev]));
}

#[test]
fn disabling_says_what_stops_and_stops_it() {
    let console = Console::furnished();
    let (root, dora) = (Browser::signed_in(&console, "root"), Browser::signed_in(&console, "dora"));
    let [token, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    console.submit_and_approve(&token, &anna);
    console.post("/tokens", &token, &json!({"name": "ci", "duration": "7d"})).expect(201);
    let ask = "/people/dora/disable";
    let asked = root.page(ask);
    assert!(asked.contains("API tokens (1) end now") && asked.contains("one access request"), "{asked}");
    assert!(asked.contains("neither sessions nor API tokens"), "{asked}");
    dora.page("/account");
    assert_eq!(location(&root.submit(ask, ask, &[])), "/people/dora");
    assert_eq!(dora.get("/account").status, 303);
    assert_eq!(Browser::new(&console).post("/sign-in", &[("username", "dora"), ("password", PASSWORD)]).status, 401);
    assert!(root.page("/people").contains("Disabled"));
    assert_eq!(location(&root.submit("/people/dora", "/people/dora/enable", &[])), "/people/dora");
    console.sign_in("dora");
}

#[test]
fn the_last_administrator_can_neither_be_disabled_nor_lose_the_role() {
    let console = Console::furnished();
    let root = Browser::signed_in(&console, "root");
    let refused = root.submit("/people/root/disable", "/people/root/disable", &[]);
    assert!(refused.status == 422 && refused.text.contains("The last administrator"), "{}", refused.text);
    let take = [("role", "admin"), ("environment", "*")];
    let ask = "/people/root/roles/take?role=admin&environment=*";
    let refused = root.submit(ask, "/people/root/roles/take", &take);
    assert!(refused.status == 422 && refused.text.contains("The last administrator"), "{}", refused.text);
    // A role in one environment is not enough to let others in.
    root.submit("/people/anna", "/people/anna/roles", &[("role", "admin"), ("environment", "dev")]);
    assert_eq!(root.submit(ask, "/people/root/roles/take", &take).status, 422);
    // With another one, it can be handed over; the page then is the old one's no more.
    root.submit("/people/anna", "/people/anna/roles", &take);
    assert_eq!(location(&root.submit(ask, "/people/root/roles/take", &take)), "/account");
    assert_eq!(root.get("/people").status, 403);
    Browser::signed_in(&console, "anna").page("/people");
}

#[test]
fn a_new_password_ends_sessions_and_tokens() {
    let console = Console::furnished();
    let (root, dora) = (Browser::signed_in(&console, "root"), Browser::signed_in(&console, "dora"));
    let made = console.post("/tokens", &console.sign_in("dora"), &json!({"name": "ci"})).expect(201);
    let once = root.submit("/people/dora", "/people/dora/password", &[]);
    assert!(once.status == 200 && once.text.contains("Hand this to dora"), "{}", once.text);
    assert_eq!(dora.get("/account").status, 303);
    console.get("/me", made["token"].as_str().unwrap()).problem(401);
    let short = root.submit("/people/dora", "/people/dora/password", &[("password", "short")]);
    assert!(short.status == 422 && short.text.contains("id=\"password-error\""), "{}", short.text);
    assert_eq!(
        location(&root.submit("/people/dora", "/people/dora/password", &[("password", PASSWORD)])),
        "/people/dora"
    );
    console.sign_in("dora");
}

#[test]
fn a_thousand_people_come_page_by_page_and_are_found() {
    let console = Console::furnished();
    let token = console.sign_in("root");
    // Their passwords are not what this is about, and each would take a while.
    console.add_people((0..1000).map(|n| format!("person-{n:04}")));
    let root = Browser::signed_in(&console, "root");
    let (mut path, mut seen, mut pages) = ("/people".to_owned(), Vec::new(), 0);
    loop {
        let page = root.page(&path);
        assert!(page.len() < 100_000, "{path}: {} bytes", page.len());
        let names = page.split("<td class=\"first\"><a href=\"/people/").skip(1);
        seen.extend(names.map(|rest| rest.split('"').next().unwrap().to_owned()));
        pages += 1;
        match page.split_once("<a href=\"/people?after=") {
            Some((_, rest)) => path = format!("/people?after={}", rest.split('"').next().unwrap()),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (1006, 21));
    assert!(seen.is_sorted());
    let found = root.page("/people?q=SON-099");
    assert_eq!(found.matches("<td class=\"first\">").count(), 10);
    assert!(
        root.page("/people?q=nobody").contains("Nobody's name has “nobody” in it.")
            || root.page("/people?q=nobody").contains("Nobody&#39;s name")
    );
    let found = console.get("/users?search=Son-0990", &token).expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

#[test]
fn search_finds_people_for_who_may_see_them() {
    let console = Console::furnished();
    console.add_people((0..25).map(|number| format!("jan-{number}")));
    let found = Browser::signed_in(&console, "root").page("/search?q=NNA");
    assert!(found.contains("<a href=\"/people/anna\">anna</a>") && found.contains("Approver everywhere"), "{found}");
    let many = Browser::signed_in(&console, "root").page("/search?q=an-");
    assert_eq!(many.matches("href=\"/people/jan-").count(), 20);
    assert!(many.contains("href=\"/people?q=an-\""), "the others are a page further");
    for name in ["anna", "dora", "ada"] {
        let nothing = Browser::signed_in(&console, name).page("/search?q=jan");
        assert!(nothing.contains("Nothing that you may see") && !nothing.contains("/people"), "{name}: {nothing}");
    }
    assert!(!Browser::signed_in(&console, "root").page("/search?q=anna+dora").contains("/people/anna"));
}
