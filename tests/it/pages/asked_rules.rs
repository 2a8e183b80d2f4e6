//! Asking for a certain policy group, and what becomes of it, without scripts: the form, the decision, the page of the
//! request.

use serde_json::{Value, json};

use super::browser::{Browser, location};
use crate::api::harness::Console;

const ASK: &str = "/environments/dev/cloud-services/request";
const SENTENCE: &str = "What CreateTable of DynamoDB creates must have a name that begins with “team-”.";

fn decide(page: &str) -> String {
    format!("{page}/decide")
}

/// Asks on the page; the page of the request.
fn ask(dora: &Browser<'_>, group: &str) -> String {
    let fields = [("services", "dynamodb"), ("justification", "x"), ("duration", "30d"), ("policy_group", group)];
    location(&dora.submit(ASK, ASK, &fields))
}

/// What anna's page sends.
fn say(console: &Console, anna: &Browser<'_>, page: &str, group: Option<&str>) -> crate::api::harness::Answer {
    let credential = console.credential("dev", &console.sign_in("anna"));
    let mut fields = vec![("decision", "approve"), ("credential", &*credential), ("until", "asked")];
    fields.extend(group.map(|group| ("policy_group", group)));
    anna.submit(&decide(page), &decide(page), &fields)
}

fn request(console: &Console, page: &str) -> Value {
    console.get(page, &console.sign_in("anna")).expect(200)
}

#[test]
fn dora_reads_what_each_group_demands_and_asks_for_one() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let dora = Browser::signed_in(&console, "dora");
    assert!(!dora.page(ASK).contains("policy_group"), "there is none to ask for");
    let group = console.policy_group("<i>teams</i>", &root);
    console.post("/policy-groups", &root, &json!({"name": "empty", "policies": []})).expect(201);
    let form = dora.page(ASK);
    for part in [
        "<option value=\"\">None in particular</option>",
        &format!("<option value=\"{group}\" data-words=\"{SENTENCE}\">&#60;i&#62;teams&#60;/i&#62;</option>"),
        &format!("<a href=\"/policy-groups/{group}\">&#60;i&#62;teams&#60;/i&#62;</a></dt><dd>{SENTENCE}</dd>"),
        "<dd>It has no rules in force.</dd>",
    ] {
        assert!(form.contains(part), "{part}: {form}");
    }
    assert!(!form.contains("All policy groups"), "all are told");
    // Who follows the link reads all of it, and not who has it.
    for path in ["/policy-groups", &format!("/policy-groups/{group}")] {
        let shown = dora.page(path);
        assert!(!shown.contains("no access") && !shown.contains("Holds for"), "{shown}");
        assert!(!shown.contains("Where it is used") && !shown.contains("Make a policy group"), "{shown}");
    }

    // Nothing of it gets lost on the way: by looking for a service, by a mistake, by signing in again.
    let picked = format!("data-words=\"{SENTENCE}\" selected>");
    let looking = [("services", "sns"), ("q", "dynamo"), ("find", "1"), ("policy_group", &group)];
    assert!(dora.submit(ASK, ASK, &looking).text.contains(&picked));
    let answer = dora.submit(ASK, ASK, &[("justification", "x"), ("duration", "30d"), ("policy_group", &group)]);
    assert!(answer.status == 422 && answer.text.contains(&picked), "{}", answer.text);
    assert!(dora.page(&format!("{ASK}?policy_group={group}")).contains(&picked));
    for wrong in ["none", "No Id"] {
        let fields = [("services", "sns"), ("justification", "x"), ("duration", "30d"), ("policy_group", wrong)];
        let answer = dora.submit(ASK, ASK, &fields);
        let says = "This policy group is no longer there: pick another, or none in particular.";
        assert!(answer.status == 422 && answer.text.contains(says), "{}", answer.text);
        assert!(answer.text.contains("aria-describedby=\"policy-group-hint policy-group-error\""), "{}", answer.text);
    }

    let page = ask(&dora, &group);
    assert_eq!(request(&console, &page)["requested_policy_group"], group);
    let waiting = dora.page(&page);
    for part in [
        "<dt>Policy group asked for</dt>",
        "Under the policy group “&#60;i&#62;teams&#60;/i&#62;”.",
        "must have a name that begins with <code class=\"breaks\">team-</code>",
    ] {
        assert!(waiting.contains(part), "{part}: {waiting}");
    }
    assert!(!dora.page(&ask(&dora, "")).contains("olicy group"), "nothing is said of what was not asked for");
}

#[test]
fn what_was_asked_for_is_picked_until_anna_picks_another() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let [teams, people] = ["teams", "people"].map(|name| console.policy_group(name, &root));
    let [dora, anna] = ["dora", "anna"].map(|name| Browser::signed_in(&console, name));
    let page = ask(&dora, &teams);
    let shown = anna.page(&decide(&page));
    for part in [
        "<dt>Under which rules</dt>",
        &format!("href=\"/policy-groups/{teams}\">teams</a><br><span class=\"soft\">{SENTENCE}</span>"),
        "dora asks for “teams”.",
        &format!("<option value=\"{teams}\" data-words=\"{SENTENCE}\" selected>teams, as asked</option>"),
        "data-words=\"What they create may have any name, though “teams” was asked for.\">None</option>",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(shown.matches(" selected>").count(), 2, "and the span: {shown}");
    // What she has picked herself is kept when something else is wrong.
    for (group, label) in [("", "None"), (&people, "people"), (&teams, "teams, as asked")] {
        let fields = [("decision", "approve"), ("until", "asked"), ("policy_group", group)];
        let again = anna.submit(&decide(&page), &decide(&page), &fields);
        assert!(again.status == 422 && again.text.contains(&format!(" selected>{label}</option>")), "{}", again.text);
    }

    for (said, attached, facts, told) in [
        (
            Some(&*teams),
            json!(teams),
            ["", "teams</a><span class=\"soft\">, as asked"],
            "With the policy group “teams”, as asked.",
        ),
        (
            None,
            json!(teams),
            ["", "teams</a><span class=\"soft\">, as asked"],
            "With the policy group “teams”, as asked.",
        ),
        (
            Some(&people),
            json!(people),
            ["teams</a>", "people</a>"],
            "With the policy group “people”, where “teams” was asked for.",
        ),
        (Some(""), Value::Null, ["teams</a>", "None"], "Without a policy group, where “teams” was asked for."),
    ] {
        let page = ask(&dora, &teams);
        location(&say(&console, &anna, &page, said));
        assert_eq!(request(&console, &page)["policy_group"], attached, "{said:?}");
        for shown in [dora.page(&page), anna.page(&page)] {
            let fact = |title: &str| shown.split_once(&format!("<dt>{title}</dt>")).map(|(_, rest)| rest.to_owned());
            let [asked, given] =
                ["Policy group asked for", "Policy group"].map(|title| fact(title).unwrap_or_default());
            let begins = |fact: &str, says: &str| fact.split("</div>").next().unwrap().contains(says);
            assert!(begins(&asked, facts[0]) && begins(&given, facts[1]), "{said:?}: {shown}");
            assert_eq!(asked.is_empty(), facts[0].is_empty(), "{said:?}: {shown}");
            assert!(shown.contains(told), "{told}: {shown}");
            // Only rules that hold are told as such.
            assert_eq!(shown.matches("must have a name").count(), usize::from(attached != Value::Null), "{shown}");
        }
    }
    let denied = ask(&dora, &teams);
    location(&anna.submit(&decide(&denied), &decide(&denied), &[("decision", "deny"), ("policy_group", &teams)]));
    assert!(dora.page(&denied).contains("<dt>Policy group asked for</dt>"));
}

#[test]
fn where_it_was_deleted_since_anna_has_to_say_what_holds_instead() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let group = console.policy_group("te&ms", &root);
    let [dora, anna] = ["dora", "anna"].map(|name| Browser::signed_in(&console, name));
    let pages = [(); 3].map(|()| ask(&dora, &group));
    let before = [("decision", "approve"), ("until", "asked"), ("policy_group", &*group)];
    let ask_delete = format!("/policy-groups/{group}/delete");
    let admin = Browser::signed_in(&console, "root");
    assert!(admin.page(&ask_delete).contains("Requests that ask for it and wait stay"), "it is told");
    location(&admin.submit(&ask_delete, &ask_delete, &[]));

    let [first, second, third] = &pages;
    // It was the only one there was.
    let shown = anna.page(&decide(first));
    for part in [
        "<span class=\"breaks\">te&#38;ms</span>, a policy group that was deleted since",
        "<strong>dora asks for “te&#38;ms”, which was deleted since.</strong>",
        "<option value=\"asked\" data-words=\"\" selected>Pick one, or none</option>",
        "data-words=\"What they create may have any name, though “te&#38;ms” was asked for.\">None</option>",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let gone = "The policy group that was asked for is no longer there: pick another, or none.";
    for said in [None, Some("asked")] {
        let answer = say(&console, &anna, first, said);
        assert!(answer.status == 422 && answer.text.contains(gone), "{}", answer.text);
        assert!(answer.text.contains(" selected>Pick one, or none</option>"), "{}", answer.text);
    }
    let credential = console.credential("dev", &root);
    let fields = [&before[..], &[("credential", &*credential)]].concat();
    let stale = anna.submit(&decide(first), &decide(first), &fields);
    assert!(stale.status == 422 && stale.text.contains("This policy group is no longer there"), "{}", stale.text);
    assert_eq!(request(&console, first)["status"], "pending");

    location(&say(&console, &anna, first, Some("")));
    assert_eq!(request(&console, first)["policy_group"], Value::Null);
    assert!(dora.page(first).contains("te&#38;ms</span><span class=\"soft\">, deleted since"), "{}", dora.page(first));
    let other = console.policy_group("people", &root);
    location(&say(&console, &anna, second, Some(&other)));
    assert!(dora.page(second).contains("With the policy group “people”, where “te&#38;ms” was asked for."));
    location(&anna.submit(&decide(third), &decide(third), &[("decision", "deny"), ("policy_group", "asked")]));
    assert_eq!(request(&console, third)["status"], "denied");
}

#[test]
fn the_form_stays_light_however_many_groups_there_are() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    for number in 0..60 {
        console.policy_group(&format!("team-{number}"), &root);
    }
    let form = Browser::signed_in(&console, "dora").page(ASK);
    assert_eq!(form.matches(&format!("data-words=\"{SENTENCE}\"")).count(), 60, "each can be picked");
    assert_eq!(form.matches(&format!("<dd>{SENTENCE}</dd>")).count(), 50);
    assert!(form.contains("<a href=\"/policy-groups\">All policy groups</a>"));
}
