//! API tokens: shown once, listed, ended; those of others by who manages people.

use serde_json::{Value, json};

use crate::{
    api::harness::Console,
    pages::browser::{Browser, location},
};

#[test]
fn a_token_is_made_shown_once_used_and_ended() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    assert!(dora.page("/tokens").contains("You have no API token."));
    let bad = dora.submit("/tokens", "/tokens", &[("name", " "), ("duration", "400d")]);
    assert!(bad.status == 422 && bad.text.contains("id=\"name-error\""), "{}", bad.text);
    let once = dora.submit("/tokens", "/tokens", &[("name", "nightly"), ("duration", "7d")]);
    assert_eq!((once.status, once.header("cache-control")), (200, "no-store"));
    assert!(
        once.text.contains("This token will never be shown again.") && once.text.contains("30 Nov 2026"),
        "{}",
        once.text
    );
    let (_, rest) = once.text.split_once("<code class=\"value\" data-copy>").unwrap();
    let token = rest.split('<').next().unwrap().to_owned();
    assert_eq!(console.get("/me", &token).expect(200)["username"], "dora");
    let page = dora.page("/tokens");
    assert!(page.contains("nightly") && !page.contains(&token));
    let (_, rest) = page.split_once("href=\"/tokens/").unwrap();
    let ask = format!("/tokens/{}", rest.split('"').next().unwrap());
    // Nobody else's, not even by hand.
    let peter = Browser::signed_in(&console, "peter");
    assert_eq!(peter.get(&ask).status, 404);
    let csrf = peter.csrf("/tokens");
    assert_eq!(peter.post(&ask, &[("csrf", &csrf)]).status, 404);
    assert!(dora.page(&ask).contains("End the API token “nightly”?"));
    console.get("/me", &token).expect(200);
    assert_eq!(location(&dora.submit(&ask, &ask, &[])), "/tokens");
    console.get("/me", &token).problem(401);
}

#[test]
fn who_manages_people_ends_the_tokens_of_others() {
    let console = Console::furnished();
    let [root, dora, anna] = ["root", "dora", "anna"].map(|name| console.sign_in(name));
    let make = |name: &str| console.post("/tokens", &dora, &json!({"name": name})).expect(201);
    let (one, other) = (make("one"), make("other"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let browser = Browser::signed_in(&console, "root");
    let page = browser.page("/people/dora");
    assert!(page.contains("one") && page.contains("other") && !page.contains(&text(&one["token"])));
    let end = format!("/people/dora/tokens/{}/end", text(&one["id"]));
    assert!(browser.page(&end).contains("End the API token “one” of dora?"));
    assert_eq!(location(&browser.submit(&end, &end, &[])), "/people/dora");
    console.get("/me", &text(&one["token"])).problem(401);
    // The same over the API.
    let list = console.get("/users/dora/tokens", &root).expect(200);
    assert_eq!(
        (&list["items"][0]["name"], &list["items"][0]["token"], list["items"].as_array().unwrap().len()),
        (&json!("other"), &Value::Null, 1)
    );
    let path = format!("/users/dora/tokens/{}", text(&other["id"]));
    console.send("DELETE", &path, &anna, &Value::Null).problem(403);
    console.send("DELETE", &path.replace("dora", "anna"), &root, &Value::Null).problem(404);
    console.send("DELETE", &path, &root, &Value::Null).expect(204);
    console.get("/me", &text(&other["token"])).problem(401);
}
