//! Asking for access, the one-time secret, and the page of a request, without scripts.

use std::time::Duration;

use serde_json::json;

use csg::cloud::aws::Catalogue;

use super::browser::{Browser, location};
use crate::api::harness::{Console, ENDPOINT};

const LIST: &str = "/environments/dev/cloud-services";
const ASK: &str = "/environments/dev/cloud-services/request";

#[test]
fn dora_asks_takes_the_secret_once_and_sees_her_use() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    assert!(dora.page(LIST).contains("No cloud service is in use here yet."));
    let fields = [("services", "sns"), ("services", "dynamodb"), ("justification", "orders"), ("duration", "30d")];
    let page = location(&dora.submit(ASK, ASK, &fields));
    let id = page.strip_prefix("/access-requests/").unwrap();
    let shown = dora.page(&page);
    assert!(shown.contains("Your request is made.") && shown.contains("Withdraw the request"), "{shown}");
    assert!(dora.page(LIST).contains("DynamoDB, Simple Notification Service (SNS)"));

    let anna = console.sign_in("anna");
    let approval = json!({"credential": console.credential("dev", &anna), "comment": "until Christmas"});
    console.post(&format!("/access-requests/{id}/approve"), &anna, &approval).expect(200);
    let shown = dora.page(&page);
    assert!(shown.contains("Show the secret once") && shown.contains("until Christmas"));
    assert!(!Browser::signed_in(&console, "anna").page(&page).contains("Show the secret once"), "hers alone");

    let once = dora.submit(&page, &format!("{page}/secret"), &[]);
    assert_eq!((once.status, once.header("cache-control")), (200, "no-store"));
    assert!(once.text.contains("This secret will never be shown again") && once.text.contains("I have saved it"));
    let (_, rest) = once.text.split_once("export AWS_SECRET_ACCESS_KEY=").unwrap();
    let secret = rest.split('<').next().unwrap().to_owned();
    assert_eq!(secret.len(), 40);

    let csrf = dora.csrf("/account");
    let again = dora.post(&format!("{page}/secret"), &[("csrf", &csrf)]);
    assert_eq!(again.status, 410);
    assert!(again.text.contains("rotate the key"), "{}", again.text);
    assert_eq!(location(&dora.get(&format!("{page}/secret"))), page);
    console.record_calls(id, 1500);
    // A page waits a moment only for what is being written.
    console.audit.reader().flush(Duration::from_secs(20));
    let shown = dora.page(&page);
    assert!(
        !shown.contains(&secret) && shown.contains("can&#39;t be shown again") | shown.contains("can't be shown again")
    );
    for part in [
        "1,500",
        "PutItem",
        "<svg class=\"chart\"",
        "1,500 calls in 30 days",
        ENDPOINT,
        "terraform",
        "aws_sdk_dynamodb::Client",
        "aws dynamodb list-tables",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    console.clock.set(console.clock.now().plus(Duration::from_mins(1)));
    assert_eq!(location(&dora.submit(&page, &format!("{page}/rotate"), &[("overlap", "24h")])), page);
    let once = dora.submit(&page, &format!("{page}/secret"), &[]);
    assert!(once.status == 200 && !once.text.contains(&secret));
    assert!(dora.page(&page).contains("Ends <time"), "both keys' remaining life");
}

#[test]
fn a_form_that_will_not_do_comes_back_as_it_was() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    let answer = dora.submit(ASK, ASK, &[("justification", "my </textarea><script>reason"), ("duration", "7d")]);
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("Tick at least one service."), "{}", answer.text);
    assert!(answer.text.contains("my &#60;/textarea&#62;&#60;script&#62;reason"));
    assert!(answer.text.contains("value=\"7d\" selected"));
    let answer = dora.submit(ASK, ASK, &[("services", "sns"), ("services", "nonsense"), ("justification", " ")]);
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("value=sns checked") && answer.text.contains("id=\"justification-error\""));
    // A session that was lost meanwhile costs nothing that was typed.
    let lost = Browser::new(&console);
    let back = location(&lost.post(ASK, &[("csrf", "x"), ("services", "sns"), ("justification", "orders & mail")]));
    let next = dora.get(&back);
    let form = dora.page(&location(&next));
    assert!(form.contains("orders &#38; mail") && form.contains("value=sns checked"), "{form}");
}

#[test]
fn services_are_found_without_scripts_and_what_is_ticked_is_kept() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    let whole = dora.page(ASK);
    let count = Catalogue::embedded().services().len();
    assert_eq!(whole.matches("name=services").count(), count);
    let weight = whole.len() + console.weight_of_assets();
    assert!(weight < 100_000, "{weight} bytes");
    let looked = dora.page(&format!("{ASK}?q=queue"));
    assert!(looked.contains("services are found.") && looked.contains("<details open><summary>Found"), "{looked}");

    // Several from several searches; nothing is asked for yet.
    let form = [("find", "1"), ("services", "sns"), ("justification", "my orders"), ("duration", "7d")];
    let answer = dora.submit(ASK, ASK, &[&form[..], &[("q", "<Macie")]].concat());
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("Nothing is found for “&#60;Macie”."), "{}", answer.text);
    let answer = dora.submit(ASK, ASK, &[&form[..], &[("q", "macie"), ("services", "sqs")]].concat());
    assert!(answer.text.contains("1 service is found.") && answer.text.contains("value=macie2>"), "{}", answer.text);
    assert!(answer.text.contains("value=sns checked") && answer.text.contains("value=sqs checked"));
    assert!(answer.text.contains("my orders</textarea>") && answer.text.contains("value=\"7d\" selected"));
    assert_eq!(answer.text.matches("name=services").count(), count);
    assert!(dora.page(LIST).contains("No cloud service is in use here yet."));
}

#[test]
fn a_service_without_a_sample_is_not_shown_one_that_would_work() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    let fields = [("services", "macie2"), ("justification", "orders"), ("duration", "30d")];
    let page = location(&dora.submit(ASK, ASK, &fields));
    let anna = console.sign_in("anna");
    let approval = json!({"credential": console.credential("dev", &anna)});
    let id = page.strip_prefix("/access-requests/").unwrap();
    console.post(&format!("/access-requests/{id}/approve"), &anna, &approval).expect(200);
    let shown = dora.page(&page);
    for part in ["which this access does not cover", "put a call of Macie in its place", "aws sts get-caller-identity"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("dynamodb") && !shown.contains("An answer from AWS"), "{shown}");
}

/// Which tab's panel is to be seen, the style sheet says by their number; S3 has more of them than the others.
#[test]
fn each_tab_of_the_set_up_has_its_rule() {
    let console = Console::furnished();
    let dora = Browser::signed_in(&console, "dora");
    let anna = console.sign_in("anna");
    let approval = json!({"credential": console.credential("dev", &anna)});
    let style = include_str!("../../../assets/css/console.css");
    for (service, client) in [("dynamodb", None), ("s3", Some("rclone"))] {
        let fields = [("services", service), ("justification", "orders"), ("duration", "30d")];
        let page = location(&dora.submit(ASK, ASK, &fields));
        let id = page.strip_prefix("/access-requests/").unwrap();
        console.post(&format!("/access-requests/{id}/approve"), &anna, &approval).expect(200);
        let shown = dora.page(&page);
        let tabs = shown.matches("<input type=\"radio\" name=\"client\"").count();
        assert_eq!(
            (tabs, shown.matches("<div class=\"panel\">").count()),
            (if client.is_some() { 11 } else { 9 }, tabs)
        );
        assert_eq!(shown.contains("Set-up for rclone"), client.is_some());
        for number in 1..=tabs {
            let rule = format!("input:nth-of-type({number}):checked ~ .panel:nth-of-type({number})");
            assert!(style.contains(&rule), "{rule}");
        }
    }
}

#[test]
fn each_sees_and_does_only_what_is_theirs() {
    let console = Console::furnished();
    let token = console.sign_in("dora");
    let id = console.submit(&token);
    let page = format!("/access-requests/{id}");
    let peter = Browser::signed_in(&console, "peter");
    for path in [page.as_str(), LIST, ASK] {
        assert_eq!(peter.get(path).status, 404, "{path}");
    }
    let csrf = peter.csrf("/account");
    for step in ["secret", "withdraw", "rotate"] {
        assert_eq!(peter.post(&format!("{page}/{step}"), &[("csrf", &csrf)]).status, 404, "{step}");
    }
    let anna = Browser::signed_in(&console, "anna");
    let shown = anna.page(&page);
    assert!(shown.contains("orders") && !shown.contains("Withdraw the request"));
    let csrf = anna.csrf("/account");
    assert_eq!(anna.post(&format!("{page}/withdraw"), &[("csrf", &csrf)]).status, 403);
    assert_eq!(anna.get(ASK).status, 403);
    let dora = Browser::signed_in(&console, "dora");
    assert_eq!(dora.post(&format!("{page}/withdraw"), &[("csrf", &csrf)]).status, 403, "another session's token");
    assert_eq!(location(&dora.submit(&page, &format!("{page}/withdraw"), &[("comment", "<b>no</b> more")])), page);
    let shown = dora.page(&page);
    assert!(shown.contains("&#60;b&#62;no&#60;/b&#62; more") && shown.contains("Withdrawn"));
    let csrf = dora.csrf("/account");
    assert_eq!(dora.post(&format!("{page}/withdraw"), &[("csrf", &csrf)]).status, 409);
}

#[test]
fn no_text_that_somebody_typed_becomes_markup() {
    const EVIL: &str = "\"'><script>alert(1)</script>";
    let console = Console::furnished();
    let root = console.sign_in("root");
    console.post("/environments", &root, &json!({"id": "evil", "name": EVIL})).expect(201);
    console.send("PATCH", "/environments/dev", &root, &json!({"name": EVIL})).expect(200);
    let dora = Browser::signed_in(&console, "dora");
    let page = location(&dora.submit(ASK, ASK, &[("services", "sns"), ("justification", EVIL), ("duration", "30d")]));
    let id = page.strip_prefix("/access-requests/").unwrap();
    let anna = console.sign_in("anna");
    console.post(&format!("/access-requests/{id}/deny"), &anna, &json!({"comment": EVIL})).expect(200);
    let escaped = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect::<String>();
    let paths = [
        page.clone(),
        LIST.into(),
        format!("{ASK}?justification={escaped}&services={escaped}&duration={escaped}"),
        format!("/search?q={escaped}"),
        "/search?q=script".into(),
        "/account".into(),
    ];
    for path in paths {
        let shown = dora.page(&path);
        assert!(!shown.contains("<script>") && !shown.contains("\"'>"), "{path}: {shown}");
    }
    let credential = json!({
        "name": EVIL, "cloud": "aws", "kind": "static", "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "wJalrXUtnFEMI", "environments": ["dev"],
    });
    let credential = console.post("/credentials", &root, &credential).expect(201)["id"].clone();
    let waits = location(&dora.submit(ASK, ASK, &[("services", "sns"), ("justification", EVIL), ("duration", "30d")]));
    let has = console.submit(&console.sign_in("dora"));
    let approval = json!({"credential": credential, "comment": EVIL});
    console.post(&format!("/access-requests/{has}/approve"), &anna, &approval).expect(200);
    let decides = Browser::signed_in(&console, "anna");
    let paths = [
        "/access-requests".into(),
        format!("/access-requests?requested_by={escaped}&status={escaped}&environment={escaped}&service={escaped}"),
        "/access-requests?environment=evil".into(),
        format!("{waits}/decide"),
        format!("{page}/decide"),
        format!("/access-requests/{has}/decide"),
        format!("/access-requests/{has}"),
        format!("/access-requests/several?step=deny&request={}", &waits["/access-requests/".len()..]),
        format!("/access-requests/several?step=revoke&request={has}&request={id}"),
        format!("/access-requests/several/outcome?step=deny&request={has}&request={id}"),
    ];
    for path in paths {
        let shown = decides.page(&path);
        assert!(!shown.contains("<script>") && !shown.contains("\"'>"), "{path}: {shown}");
    }
    let out = Browser::new(&console);
    for path in
        [format!("/sign-in?next={escaped}"), format!("/sign-in?next=/{escaped}"), format!("/setup?token={escaped}")]
    {
        assert!(!out.get(&path).text.contains("<script>"), "{path}");
    }
}

#[test]
fn the_certificate_is_to_be_had_here_too() {
    let console = Console::furnished();
    let pem = console.call("GET", "/ca/pem", &[], None);
    assert!(pem.status == 200 && pem.text.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(pem.header("content-disposition"), "attachment; filename=\"csg-ca.pem\"");
    assert_eq!(console.call("GET", "/ca/key", &[], None).status, 404);
}
