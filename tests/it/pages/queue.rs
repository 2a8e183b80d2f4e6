//! The account's access requests: what comes first, filters, pages, who sees which; and acts on several at once.

use std::time::Duration;

use serde_json::json;

use super::browser::{Browser, location};
use crate::api::harness::Console;

const LIST: &str = "/access-requests";

/// The ids of the list's rows, in its order.
fn rows(page: &str) -> Vec<String> {
    let parts = page.split("name=\"request\" value=\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

fn ask(console: &Console, token: &str, environment: &str, service: &str) -> String {
    console.clock.set(console.clock.now().plus(Duration::from_mins(1)));
    let wish =
        json!({"cloud": "aws", "services": [service], "justification": format!("for {service}"), "duration": "30d"});
    let made = console.post(&format!("/environments/{environment}/access-requests"), token, &wish).expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn approve(console: &Console, token: &str, id: &str, environment: &str) {
    let approval = json!({"credential": console.credential(environment, token)});
    console.post(&format!("/access-requests/{id}/approve"), token, &approval).expect(200);
}

fn status(console: &Console, token: &str, id: &str) -> String {
    console.get(&format!("/access-requests/{id}"), token).expect(200)["status"].as_str().unwrap().to_owned()
}

/// Of dora: one that waits, one approved, one denied; of peter: one that waits, one in use.
fn filled(console: &Console) -> [String; 5] {
    let [dora, peter, anna] = ["dora", "peter", "anna"].map(|name| console.sign_in(name));
    let approved = ask(console, &dora, "dev", "sns");
    approve(console, &anna, &approved, "dev");
    let denied = ask(console, &dora, "dev", "lambda");
    console.post(&format!("/access-requests/{denied}/deny"), &anna, &json!({})).expect(200);
    let active = ask(console, &peter, "prod", "sns");
    approve(console, &anna, &active, "prod");
    console.post(&format!("/access-requests/{active}/secret"), &peter, &json!({})).expect(200);
    let first = ask(console, &dora, "dev", "sns");
    let second = ask(console, &peter, "prod", "dynamodb");
    [first, second, active, denied, approved]
}

#[test]
fn what_waits_longest_is_first_and_each_filter_narrows_the_list() {
    let console = Console::furnished();
    let anna = Browser::signed_in(&console, "anna");
    assert!(anna.page(LIST).contains("Nobody has asked for access yet."));
    let all @ [first, second, active, denied, approved] = &filled(&console);
    let page = anna.page(LIST);
    assert_eq!(rows(&page), *all);
    assert!(page.contains("2 wait for you") && page.contains("Requests <span class=\"count\">2<"), "{page}");
    assert!(page.contains("for dynamodb") && page.contains(&format!("{LIST}/{second}/decide")));
    for (query, found) in [
        ("status=pending", &[first, second][..]),
        ("status=active", &[active]),
        ("requested_by=dora", &[first, denied, approved]),
        ("environment=prod", &[second, active]),
        ("service=sns", &[first, active, approved]),
        ("service=sns&environment=dev&requested_by=dora&status=approved", &[approved]),
        ("status=&environment=&requested_by=+&service=", &[first, second, active, denied, approved]),
    ] {
        let page = anna.page(&format!("{LIST}?{query}"));
        assert_eq!(rows(&page).iter().collect::<Vec<_>>(), found, "{query}");
    }
    for query in ["status=expired", "status=none", "environment=UPPER", "service=glacier", "requested_by=nobody"] {
        let page = anna.page(&format!("{LIST}?{query}"));
        assert!(page.contains("No access request fits these filters.") && rows(&page).is_empty(), "{query}");
    }
    let page = anna.page(&format!("{LIST}?requested_by=%3Cscript%3E"));
    assert!(page.contains("id=\"person-error\"") && !page.contains("<script>"), "{page}");
    assert_eq!(anna.get(&format!("{LIST}?after=nonsense")).status, 422);
}

#[test]
fn who_decides_in_one_environment_sees_that_one_alone_and_others_nothing() {
    let console = Console::furnished();
    let [first, second, active, ..] = filled(&console);
    let paula = Browser::signed_in(&console, "paula");
    let page = paula.page(LIST);
    assert_eq!(rows(&page), [second.clone(), active.clone()]);
    assert!(page.contains("1 waits for you") && !page.contains("value=\"dev\""), "{page}");
    assert!(rows(&paula.page(&format!("{LIST}?environment=dev"))).is_empty());
    assert!(rows(&paula.page(&format!("{LIST}?requested_by=dora"))).is_empty());
    assert_eq!(location(&paula.get("/")), LIST, "where she begins");
    for name in ["dora", "peter", "ada"] {
        let browser = Browser::signed_in(&console, name);
        for query in ["", "?requested_by=dora", "?status=none"] {
            assert_eq!(browser.get(&format!("{LIST}{query}")).status, 403, "{name} {query}");
        }
        assert!(!browser.page("/account").contains("href=\"/access-requests\""), "{name}");
    }
    // By hand, one of hers and one of another environment: nothing happens to either.
    let csrf = paula.csrf("/account");
    let query = format!("step=deny&request={second}&request={first}");
    assert_eq!(paula.get(&format!("{LIST}/several?{query}")).status, 404);
    let fields = [("csrf", csrf.as_str()), ("step", "deny"), ("request", &first)];
    assert_eq!(
        location(&paula.post("/access-requests/several", &fields)),
        format!("{LIST}/several/outcome?step=deny&request={first}")
    );
    assert_eq!(paula.get(&format!("{LIST}/several/outcome?step=deny&request={first}")).status, 404);
    let anna = console.sign_in("anna");
    assert_eq!(status(&console, &anna, &first), "pending");
    let dora = Browser::signed_in(&console, "dora");
    let csrf = dora.csrf("/account");
    let fields = [("csrf", csrf.as_str()), ("step", "archive"), ("request", &first), ("request", &active)];
    location(&dora.post("/access-requests/several", &fields));
    assert_eq!(
        (status(&console, &anna, &first), status(&console, &anna, &active)),
        ("pending".into(), "active".into())
    );
}

#[test]
fn a_long_list_comes_page_by_page_with_its_filters() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let mut ids: Vec<_> = (0..60).map(|_| ask(&console, &dora, "dev", "sns")).collect();
    let other = ask(&console, &dora, "dev", "lambda");
    let anna = console.sign_in("anna");
    for id in ids.split_off(55) {
        console.post(&format!("/access-requests/{id}/deny"), &anna, &json!({})).expect(200);
        ids.insert(55, id);
    }
    let anna = Browser::signed_in(&console, "anna");
    let first = anna.page(&format!("{LIST}?service=sns"));
    assert_eq!(rows(&first), ids[..40]);
    let (_, rest) = first.split_once("<a href=\"/access-requests?service=sns&#38;after=waiting.").expect("a next page");
    let cursor = rest.split('"').next().unwrap();
    let second = anna.page(&format!("{LIST}?service=sns&after=waiting.{cursor}"));
    assert_eq!(rows(&second), ids[40..], "the waiting, then the newest decided");
    assert!(second.contains("Back to the first page") && !second.contains("Next page"));
    assert!(!rows(&second).contains(&other));
}

#[test]
fn several_are_denied_after_a_page_that_says_so_and_each_on_its_own() {
    let console = Console::furnished();
    let [first, second, active, ..] = filled(&console);
    let anna = Browser::signed_in(&console, "anna");
    let nothing = anna.get(&format!("{LIST}/several?step=deny"));
    assert_eq!(location(&nothing), LIST);
    assert!(anna.page(LIST).contains("Nothing was ticked"));
    let confirm = format!("{LIST}/several?step=deny&request={first}&request={second}&request={active}");
    let page = anna.page(&confirm);
    assert!(page.contains("Deny 2 access requests?") && page.contains("Nothing stops working"), "{page}");
    assert!(page.contains("Left as they are") && page.contains("dora and peter"), "{page}");
    assert_eq!(rows(&page), [first.clone(), second.clone()], "what can't be denied is not sent");

    // Between the question and the click, somebody else decides on one of them.
    let csrf = anna.csrf(&confirm);
    let root = console.sign_in("root");
    approve(&console, &root, &first, "dev");
    let comment = "not <script>now</script>";
    let fields =
        [("csrf", csrf.as_str()), ("step", "deny"), ("request", &first), ("request", &second), ("comment", comment)];
    let to = location(&anna.post(&format!("{LIST}/several"), &fields));
    let page = anna.page(&to);
    assert!(page.contains("1 denied, 1 not") && page.contains("root approved it"), "{page}");
    assert_eq!(anna.page(&to), page, "loading it again repeats nothing");
    assert_eq!(
        (status(&console, &root, &first), status(&console, &root, &second)),
        ("approved".into(), "denied".into())
    );
    let told = Browser::signed_in(&console, "peter").page(&format!("{LIST}/{second}"));
    assert!(told.contains("not &#60;script&#62;now&#60;/script&#62;") && !told.contains("<script>now"), "{told}");

    let long = "x".repeat(4001);
    let fields = [("csrf", csrf.as_str()), ("step", "revoke"), ("request", &first), ("comment", &long)];
    let answer = anna.post(&format!("{LIST}/several"), &fields);
    assert!(answer.status == 422 && answer.text.contains(&long) && answer.text.contains("comment-error"));
    assert_eq!(status(&console, &root, &first), "approved");
    for step in ["approve", "reveal", ""] {
        let fields = [("csrf", csrf.as_str()), ("step", step), ("request", &first)];
        assert_eq!(anna.post(&format!("{LIST}/several"), &fields).status, 404, "{step}");
    }
}

#[test]
fn revoking_and_archiving_say_what_stops_and_stop_it() {
    let console = Console::furnished();
    let [_, _, active, _, approved] = filled(&console);
    let token = console.sign_in("anna");
    let key = console.get(&format!("/access-requests/{active}"), &token).expect(200)["access_key_id"].clone();
    let works = || {
        let snapshot = console.workflow.subscribe().load().clone();
        snapshot.grants.values().filter(|live| live.grant.active).count()
    };
    assert_eq!(works(), 1);
    let anna = Browser::signed_in(&console, "anna");
    let details = format!("{LIST}/{active}");
    let shown = anna.page(&details);
    assert!(shown.contains("What peter runs in prod with this key stops"), "{shown}");
    let confirm = format!("{LIST}/several?step=revoke&request={active}");
    assert!(shown.contains(&confirm.replace('&', "&amp;")), "{shown}");
    let page = anna.page(&confirm);
    for part in
        ["Revoke Simple Notification Service (SNS) of peter?", "This access ends at once.", key.as_str().unwrap()]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let fields = [("step", "revoke"), ("request", active.as_str()), ("comment", "the project is over")];
    let to = location(&anna.submit(&confirm, &format!("{LIST}/several"), &fields));
    assert!(anna.page(&to).contains("1 access request is revoked"));
    assert_eq!((status(&console, &token, &active), works()), ("revoked".into(), 0));
    let shown = anna.page(&details);
    assert!(shown.contains("<strong>anna</strong> revoked access") && shown.contains("the project is over"), "{shown}");
    assert!(shown.contains("Put it away") && !shown.contains("Revoke access"), "{shown}");

    let fields = [("step", "archive"), ("request", active.as_str()), ("request", &approved)];
    let to = location(&anna.submit("/access-requests", &format!("{LIST}/several"), &fields));
    assert!(anna.page(&to).contains("2 access requests are archived"));
    assert_eq!(
        (status(&console, &token, &active), status(&console, &token, &approved)),
        ("archived".into(), "archived".into())
    );
    let page = anna.page(&format!("{LIST}/several?step=archive&request={active}"));
    assert!(page.contains("Nothing to archive") && page.contains("As it stands"), "{page}");
}
