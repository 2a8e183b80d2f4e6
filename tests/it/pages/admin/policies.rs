//! Policy groups, without scripts: rules are added, taken away, saved, picked at approval, and told in plain words.

use serde_json::json;

use crate::{
    api::harness::Console,
    pages::browser::{Browser, location},
};

const PREFIX: &str = "csg.resource.name.prefix";
const PATTERN: &str = "csg.resource.name.validation_pattern";

/// The fields of rules as a form sends them: type, value, service, operation.
fn fields<'f>(name: &'f str, rules: &[[&'f str; 4]]) -> Vec<(&'static str, &'f str)> {
    let mut fields = vec![("name", name)];
    for [kind, value, service, operation] in rules {
        fields.extend([("cloud", "aws"), ("service", *service), ("operation", *operation)]);
        fields.extend([("type", *kind), ("value", *value), ("status", "enforced")]);
    }
    fields
}

#[test]
fn a_group_is_made_rule_by_rule() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    let count = |page: &str| page.matches("<legend>Rule ").count();
    assert!(root.page("/policy-groups").contains("There is no policy group yet."));
    assert_eq!(count(&root.page("/new/policy-group")), 1);
    let first = [PREFIX, "team-", "dynamodb", "CreateTable"];
    let second = [PATTERN, "/^team-/i", "", ""];
    let send = |rules: &[[&str; 4]], pressed: &[(&str, &str)]| {
        let all = [&fields("Teams & tables", rules)[..], pressed].concat();
        root.submit("/new/policy-group", "/policy-groups", &all)
    };
    // What was typed stays; nothing is kept yet.
    let added = send(&[first], &[("add", "rule")]);
    assert_eq!((added.status, count(&added.text)), (200, 2));
    assert!(added.text.contains("value=\"team-\"") && added.text.contains("Teams &#38; tables"), "{}", added.text);
    assert_eq!(added.text.matches(" autofocus").count(), 1, "the new one is where one types");
    let (_, offered) = added.text.split_once("<datalist id=\"operations-1\">").unwrap();
    assert!(offered.split_once("</datalist>").unwrap().0.contains("<option value=\"CreateTable\">"), "{offered}");
    let removed = send(&[first, second], &[("remove", "0")]);
    assert_eq!((removed.status, count(&removed.text)), (200, 1));
    assert!(removed.text.contains("value=\"/^team-/i\"") && !removed.text.contains("value=\"team-\""));
    assert_eq!(count(&send(&[first], &[("remove", "7")]).text), 1);
    assert_eq!(console.get("/policy-groups", &token).expect(200)["items"], json!([]));

    let page = location(&send(&[first, second], &[]));
    let shown = root.page(&page);
    for part in [
        "is made. It can be picked when access is approved.",
        "What CreateTable of DynamoDB creates must have a name that begins with <code class=\"breaks\">team-</code>",
        "What any call creates must have a name that matches <code class=\"breaks\">/^team-/i</code>",
        "Its rules hold for no access.",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(root.page("/policy-groups").contains("2 in force"));

    let off = [&fields("Teams", &[first])[..5], &[("value", "mine-"), ("status", "disabled")]].concat();
    assert_eq!(location(&root.submit(&page, &page, &off)), page);
    let shown = root.page(&page);
    assert!(shown.contains("The changes are saved.") && shown.contains("</span> Disabled</span>"), "{shown}");
    assert!(root.page("/policy-groups").contains("none in force</span>, 1 disabled"));
}

#[test]
fn what_is_wrong_is_told_beside_its_field_and_nothing_typed_is_lost() {
    let console = Console::furnished();
    let (root, token) = (Browser::signed_in(&console, "root"), console.sign_in("root"));
    console.policy_group("teams", &token);
    for (name, rule, id, says) in [
        ("", [PREFIX, "team-", "", ""], "name-error", "Must not be empty."),
        ("a", [PREFIX, "", "", ""], "value-2-error", "Must not be empty."),
        ("a", [PATTERN, "/(<b>/", "", ""], "value-2-error", "unclosed group"),
        ("a", [PREFIX, "x", "dynamo", ""], "service-2-error", "Must be a service of aws; not dynamo."),
        ("a", [PREFIX, "x", "Dynamo DB", ""], "service-2-error", "Must be 1 to 63"),
        ("a", [PREFIX, "x", "", "CreateTable"], "service-2-error", "Must be given with an operation."),
        ("a", [PREFIX, "x", "dynamodb", "GetItem"], "operation-2-error", "that creates something with a name"),
        ("teams", [PREFIX, "x", "", ""], "", "There is a policy group called teams already."),
        ("a", ["csg.unheard-of", "x", "", ""], "", "Must be one of the list."),
    ] {
        let sent = fields(name, &[[PREFIX, "stays-", "", ""], rule]);
        let answer = root.submit("/new/policy-group", "/policy-groups", &sent);
        assert_eq!(answer.status, 422, "{says}");
        let error = if id.is_empty() { String::new() } else { format!("id=\"{id}\"") };
        for part in [says, &error, "value=\"stays-\""] {
            assert!(answer.text.contains(part), "{part}: {}", answer.text);
        }
        assert!(!answer.text.contains("<b>/"));
        let focused: Vec<_> = answer.text.split(" autofocus").collect();
        let of = id.trim_end_matches("-error");
        // The first wrong field is where one goes on.
        assert_eq!(focused.len(), 1 + usize::from(!of.is_empty()), "{says}");
        assert!(of.is_empty() || focused[0].rsplit_once("<input ").unwrap().1.starts_with(&format!("id=\"{of}\"")));
    }
    // Half a rule, and too many of them.
    for bad in [vec![("type", PREFIX)], fields("a", &vec![[PREFIX, "x", "", ""]; 101])] {
        assert_eq!(root.submit("/new/policy-group", "/policy-groups", &bad).status, 400);
    }
    assert_eq!(console.get("/policy-groups", &token).expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn anna_picks_a_group_and_everybody_reads_what_it_demands() {
    let console = Console::furnished();
    let [root, dora] = ["root", "dora"].map(|name| console.sign_in(name));
    let anna = Browser::signed_in(&console, "anna");
    let id = console.submit(&dora);
    let decide = format!("/access-requests/{id}/decide");
    assert!(!anna.page(&decide).contains("policy group"), "there is none to pick");
    let group = console.policy_group("<i>teams</i>", &root);
    let elsewhere = json!({"name": "elsewhere", "policies": [{
        "type": PREFIX, "status": "enforced", "value": "fn-", "conditions": {"cloud": "aws", "service": "lambda"},
    }]});
    console.post("/policy-groups", &root, &elsewhere).expect(201);
    let page = anna.page(&decide);
    let sentence = "What CreateTable of DynamoDB creates must have a name that begins with “team-”.";
    for part in [
        "<option value=\"\" data-words=\"What they create may have any name.\" selected>None</option>",
        &format!("<option value=\"{group}\" data-words=\"{sentence}\">&#60;i&#62;teams&#60;/i&#62;</option>"),
        "data-words=\"None of its rules in force concerns what is asked for.\">elsewhere</option>",
        &format!("<dd>{sentence}</dd>"),
        "What they create has to be named as the policy group demands that you pick above.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let credential = console.credential("dev", &root);
    let yes = |group: &str| {
        let fields =
            [("decision", "approve"), ("credential", &*credential), ("until", "asked"), ("policy_group", group)];
        anna.submit(&decide, &decide, &fields)
    };
    for wrong in ["none", "No Id"] {
        let answer = yes(wrong);
        assert_eq!(answer.status, 422);
        assert!(
            answer.text.contains("This policy group is no longer there: pick another, or none."),
            "{}",
            answer.text
        );
    }
    location(&yes(&group));
    let request = format!("/access-requests/{id}");
    assert_eq!(console.get(&request, &root).expect(200)["policy_group"], group);
    let words = "must have a name that begins with <code class=\"breaks\">team-</code>";
    let hers = Browser::signed_in(&console, "dora").page(&request);
    let annas = anna.page(&request);
    for page in [&hers, &annas] {
        assert!(page.contains("&#60;i&#62;teams&#60;/i&#62;") && page.contains(words), "{page}");
    }
    let link = format!("href=\"/policy-groups/{group}\"");
    assert!(annas.contains(&link) && hers.contains(&link), "{hers}");

    // It can't be deleted now, and the page says what has to end.
    let admin = Browser::signed_in(&console, "root");
    let (page, ask) = (format!("/policy-groups/{group}"), format!("/policy-groups/{group}/delete"));
    let shown = admin.page(&page);
    assert!(shown.contains("hold for 1 access request.") && shown.contains(&format!("href=\"{request}\"")), "{shown}");
    let asked = admin.page(&ask);
    assert!(asked.contains("DynamoDB, dora in dev") && !asked.contains("<button class=\"danger\">"), "{asked}");
    assert_eq!(admin.post(&ask, &[("csrf", &admin.csrf(&page))]).status, 409);
    let seen = anna.page(&page);
    assert!(!seen.contains("Save the changes") && !seen.contains("Delete"), "{seen}");

    console.post(&format!("{request}/revoke"), &root, &json!({})).expect(200);
    assert!(anna.page(&request).contains(words), "what held is still told");
    assert_eq!(location(&admin.submit(&ask, &ask, &[])), "/policy-groups");
    assert!(admin.page("/policy-groups").contains("The policy group is deleted."));
    let ended = anna.page(&request);
    assert!(
        ended.contains(&format!("{group}</span><span class=\"soft\">, deleted since")) && !ended.contains(words),
        "{ended}"
    );
}
