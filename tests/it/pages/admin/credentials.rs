//! Credentials: tried before they are kept, never shown again, replaced without anybody's noticing.

use std::sync::{Arc, Mutex};

use csg::{
    cloud::CheckError,
    model::{AccountId, IdentitySource, Principal},
};
use serde_json::json;

use crate::{
    api::harness::Console,
    pages::browser::{Browser, location},
};

const SECRET: &str = "hush+hush/hush";
const KEY: &str = "AKIAI44QH8DHBEXAMPLE";

/// The account that the cloud says a key is of; none if it refuses.
pub(super) type Says = Arc<Mutex<Option<&'static str>>>;

/// A console whose cloud says what the test likes.
pub(super) fn furnished() -> (Console, Says) {
    let (console, says) = (Console::furnished(), Says::default());
    wire(&console, &says);
    (console, says)
}

fn wire(console: &Console, says: &Says) {
    let says = Arc::clone(says);
    console.workflow.check_with(Arc::new(move |identity| {
        let refused =
            || CheckError::Refused { code: "InvalidClientTokenId".into(), message: "No <b>such</b> key.".into() };
        let account = says.lock().unwrap().ok_or_else(refused)?;
        let arn = match identity {
            IdentitySource::Keys(keys) => format!("arn:aws:iam::{account}:user/{}", keys.access_key_id),
            IdentitySource::Role(session) => {
                let role = session.role.role_arn.role_name();
                format!("arn:aws:sts::{account}:assumed-role/{role}/{}", session.name)
            }
        };
        Ok(Principal { account: AccountId::new(account).unwrap(), arn, user_id: "AIDAEXAMPLE".into() })
    }));
}

#[test]
fn a_credential_is_tried_before_it_is_kept() {
    let (console, says) = furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let count = || console.get("/credentials", &token).expect(200)["items"].as_array().unwrap().len();
    let fields = [("name", "staging"), ("access_key_id", KEY), ("secret_access_key", SECRET), ("environments", "dev")];
    let again = root.submit("/new/credential", "/credentials", &fields);
    assert_eq!(again.status, 422);
    assert!(again.text.contains("No &#60;b&#62;such&#60;/b&#62; key. (InvalidClientTokenId)"), "{}", again.text);
    assert!(
        again.text.contains("name=\"unchecked\"") && again.text.contains("value=\"dev\" checked"),
        "{}",
        again.text
    );
    assert!(!again.text.contains(SECRET), "secrets don't come back");
    assert_eq!(count(), 2, "nothing was kept");

    // Whoever means it keeps it all the same; the page says that nobody knows whether it works.
    let unchecked = [&fields[..], &[("unchecked", "1")]].concat();
    let page = location(&root.submit("/new/credential", "/credentials", &unchecked));
    let shown = root.page(&page);
    assert!(shown.contains("It was not tried with AWS.") && shown.contains("Not tested"), "{shown}");
    assert!(root.page("/credentials").contains("not tested"));
    assert!(root.page("/system").contains("AWS has never confirmed the credential"));

    *says.lock().unwrap() = Some("123456789012");
    assert_eq!(location(&root.submit(&page, &format!("{page}/test"), &[])), page);
    let shown = root.page(&page);
    assert!(shown.contains("AWS takes it: account 123456789012."), "{shown}");
    assert!(shown.contains(&format!("arn:aws:iam::123456789012:user/{KEY}")), "{shown}");

    *says.lock().unwrap() = None;
    let failed = root.submit(&page, &format!("{page}/test"), &[]);
    assert!(failed.status == 422 && failed.text.contains("The test failed."), "{}", failed.text);

    *says.lock().unwrap() = Some("123456789012");
    let page = location(&root.submit("/new/credential", "/credentials", &fields));
    assert!(root.page(&page).contains("AWS takes it: account 123456789012."));
}

#[test]
fn a_secret_is_replaced_by_one_of_the_same_account() {
    let (console, says) = furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let page = format!("/credentials/{}", console.credential("dev", &token));
    *says.lock().unwrap() = Some("123456789012");
    root.submit(&page, &format!("{page}/test"), &[]);
    let replace = |more: &[(&str, &str)]| {
        let fields = [&[("access_key_id", KEY), ("secret_access_key", SECRET)], more].concat();
        root.submit(&page, &format!("{page}/secret"), &fields)
    };
    *says.lock().unwrap() = Some("999999999999");
    let other = replace(&[]);
    assert_eq!(other.status, 422);
    assert!(other.text.contains("999999999999, while the credential has been of 123456789012"), "{}", other.text);
    assert!(other.text.contains(&format!("value=\"{KEY}\"")) && !other.text.contains(SECRET));
    *says.lock().unwrap() = Some("123456789012");
    assert_eq!(location(&replace(&[])), page);
    let changed = console.get(&page, &token).expect(200);
    assert_eq!((&changed["access_key_id"], &changed["checked"]["account"]), (&json!(KEY), &json!("123456789012")));
    // Without the key's secret nothing is replaced.
    let empty = root.submit(&page, &format!("{page}/secret"), &[("access_key_id", KEY), ("secret_access_key", "")]);
    assert!(empty.status == 422 && empty.text.contains("id=\"secret-error\""), "{}", empty.text);
    for path in [page.as_str(), "/credentials", "/audit", "/system", "/welcome"] {
        let shown = root.page(path);
        assert!(!shown.contains(SECRET) && !shown.contains("bPxRfiCY"), "{path}");
    }
}

#[test]
fn a_credential_in_use_says_by_whom_and_stays() {
    let (console, _) = furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let [dora, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    let page = format!("/credentials/{}", console.credential("dev", &token));
    assert!(root.page(&page).contains("No access stands on it."));
    let id = console.submit_and_approve(&dora, &anna);
    assert!(root.page(&page).contains(&format!("href=\"/access-requests/{id}\"")));
    assert!(!root.page(&format!("{page}/delete")).contains("class=\"danger\""));
    let csrf = root.csrf("/tokens");
    assert_eq!(root.post(&format!("{page}/delete"), &[("csrf", &csrf)]).status, 409);
    console.post(&format!("/access-requests/{id}/revoke"), &anna, &serde_json::Value::Null).expect(200);
    assert_eq!(location(&root.submit(&format!("{page}/delete"), &format!("{page}/delete"), &[])), "/credentials");
    // Anna decides, so she sees what she may pick from, and changes nothing.
    let shown = Browser::signed_in(&console, "anna").page("/credentials");
    assert!(shown.contains("prod account") && !shown.contains("dev account") && !shown.contains("/new/credential"));
}

#[test]
fn the_first_steps_try_the_first_credential() {
    let (console, says) = (Console::empty(), Says::default());
    wire(&console, &says);
    let set_up = console.workflow.begin_set_up().unwrap();
    let root = Browser::new(&console);
    root.post("/setup", &[("token", set_up.expose()), ("username", "root"), ("password", "a long password")]);
    let fields = [("name", "dev"), ("access_key_id", KEY), ("secret_access_key", SECRET)];
    let refused = root.submit("/welcome", "/welcome/credential", &fields);
    assert!(refused.status == 422 && refused.text.contains("InvalidClientTokenId"), "{}", refused.text);
    assert!(refused.text.contains("keep it all the same") && !refused.text.contains(SECRET));
    *says.lock().unwrap() = Some("123456789012");
    assert_eq!(location(&root.submit("/welcome", "/welcome/credential", &fields)), "/welcome");
    let shown = root.page("/welcome");
    assert!(shown.contains("account <code>123456789012</code>") && !shown.contains(SECRET), "{shown}");
}
