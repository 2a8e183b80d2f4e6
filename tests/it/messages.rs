//! Every message that a person can meet has its line in `docs/troubleshooting.md`, and every line there has its message.
//!
//! The source is read as tokens. What counts as a message: the text of each `#[error(…)]` and of each `warn!` and
//! `error!`; and each text of three words or more, unless it stands where nothing is refused: in other attributes, in
//! what is printed or only noted, and in pages and descriptions, of which only what is said of an error counts. Of the
//! console's templates and scripts, what is marked as an error counts: `console.rs`. What a placeholder holds is `…` on both
//! sides.

mod console;
mod page;
mod source;

use std::path::Path;

use self::{
    page::{PAGE, lines, read_lines},
    source::{MESSAGE, messages, normal, read_file, read_script},
};

/// What nobody meets by itself, and why.
const INTERNAL: &[(&str, &[&str])] = &[
    (
        "no error",
        &[
            "csg backup, format",
            "on the machine itself, by {by}",
            "Calls under way may finish",
            "Cloud Service Gateway",
            "Cloud Service Gateway CA {short_id}",
            "Cloud Service Gateway To use cloud services from here, ask for access in the console{and what to do then}",
            "It is shown once and never again, to nobody. Have a place ready to save it: {and where}",
            "Nothing stops working: the access is over already.",
            "Nothing stops working: there is no access yet. {} can read your comment, and can ask again.",
            "The access of {} requests ends at once.",
            "The console is at {}",
            "The key works from that moment.",
            "The present key ends after the overlap that you chose, counted from then.",
            "This access ends at once.",
            "with the keys below is refused from the next call on, and streams in flight end{and what then}",
            "Your secret is ready",
            "You are this gateway's administrator. The set-up link no longer works.",
            "declared in the query",
            "no policy group, where {asked} was asked for",
            "policy group {which}, as asked",
            "policy group {which}, where {asked} was asked for",
            "it is of account {}",
            "role {role_arn}, assumed with {source_credential} for {session_seconds} s{external}",
            "role of this person",
            "the first administrator",
        ],
    ),
    (
        "stands beside an error, and says what to do",
        &[
            "; name its authority with --console-ca FILE, or CSG_CA_FILE",
            ", or go back to the list.",
            ", where access can be revoked",
            "Add one under Credentials, or go on with the first steps at /welcome.",
            "Does the role trust its source, with this external id, and may the source assume it?{and what else}",
            "Go back and try again.",
            "Go back to the page that you came from: it says what can be done instead.",
            "If you should be able to do this, ask an administrator for the role.",
            "If AWS does not allow it, every call that stands on it fails: look at the role's trust policy{and what else}",
            "If AWS does not take it, every call that stands on it fails: replace its secret{and what else}",
            "It may have been removed, or it is not yours to see.",
            "Look at the request",
            "Make one under Environments, or go on with the first steps at /welcome.",
            "Mend what is wrong and type the secret again: the gateway has not kept it.{and what else}",
            "Plan to replace it, and to give the new one to every client before that.",
            "See whether the directory is still there and mounted.",
            "Somebody who manages credentials links one to the environment or adds one.{and what then}",
            "Somebody may have acted before you: go back and load the page again.",
            "Try again; if it stays so, tell who runs this gateway.",
            "Turn the second factor off and set it up again to get ten new ones.",
            "Wait a moment, then try again.",
        ],
    ),
    (
        "a part of a message that has its line",
        &[
            "Error parsing the X-Amz-Credential parameter",
            "The authorization header is malformed",
            "a name in it can't be read",
            "a part could not be sealed",
            "a part of it is too long",
            "a part of it was altered",
            "a record is too long",
            "a record of {} has another width",
            "act as the owner of",
            "csg's own user ({uid})",
            "it holds something unknown",
            "it is too long",
            "its end is missing",
            "its header can't be read",
            "its header has another checksum",
            "its header is too long",
            "its sealed key can't be read",
            "records are missing",
            "something stands behind its end",
            "something unknown is in it",
            "the copy of a database begins in the middle",
            "too many values",
            "what was sent",
            "a message that is too long",
            "1 to 40 lower-case letters, digits or hyphens",
            "1 to 63 lower-case letters, digits or inner hyphens",
            "1 to 64 letters, digits, or any of . _ - @, beginning with a letter or digit",
            "16 to 128 letters, digits or underscores",
            "The comment {message}.",
            "a list of texts",
            "a policy group id",
            "a result without one",
            "a size such as \"16MiB\"",
            "a text in quotes",
            "a text in quotes or a section",
            "what it should tell is missing or does not fit together",
            "an access key id",
            "an access request id",
            "an account id",
            "an environment id",
            "an error without a code",
            "an error without one",
            "another kind of answer, status {status}",
            "format {0} is unknown to this version",
            "it has no name constraints",
            "it is damaged",
            "it is no X.509 certificate",
            "it is not XML, status {status}",
            "it is not a CA's",
            "it is not text",
            "its key has another form",
            "its key is another one",
            "its name constraints hold an IP range",
            "make the directory of",
            "set the permissions of",
            "something follows it",
            "the CA certificate",
            "the gateway's address",
            "there is none",
            "true or false",
            "write the directory of",
            "{:?} error at line {} column {}",
        ],
    ),
    (
        "the cause of a call's end: in the log behind its id, while the client and the audit log have a code",
        &[
            "the request of a stream both ways: {0}",
            "the request names no host that HTTP/2 could name",
            "a block can't be sealed",
            "a block is not what was written",
            "access ended while the answer was on its way",
            "no random bytes",
            "nothing moved for too long",
            "the access key id or session token of the credential can't be put in a header",
            "the body's SHA-256 is not the one that was signed",
            "the body's aws-chunked coding: {0}",
            "the body's {0} is not the one that its trailer says",
            "the client's body broke off: {0}",
            "the cloud's answer broke off: {0}",
            "the disk can't take a body: {0}",
            "the event stream: {0}",
            "the file that the body was kept in can't be read: {0}",
            "the memory for held bodies is used up",
            "the request has no Host header",
            "the room for bodies in files is used up",
            "the signing key is not for the day of signing",
        ],
    ),
    (
        "what policy says, before the gateway puts it in words",
        &[
            "account {account} is not among the environment's",
            "the grant is not active",
            "the operation is not known",
            "the service is not granted",
            "{operation} hands out credentials",
            "{operation} violates {policy}",
        ],
    ),
];

#[test]
fn every_message_has_its_line() {
    let lines = lines();
    let missing: Vec<_> = messages(MESSAGE)
        .into_iter()
        .filter(|(text, _)| !lines.contains_key(text) && !internal().any(|internal| is_like(text, &internal)))
        .map(|(text, place)| format!("{place}: {text}"))
        .collect();
    assert!(missing.is_empty(), "{PAGE} has no line for\n{}", missing.join("\n"));
}

#[test]
fn every_line_has_its_message() {
    let messages = messages(1);
    let gone: Vec<_> = lines()
        .into_iter()
        .filter(|(text, line)| !line.is_foreign && !messages.contains_key(text))
        .map(|(text, line)| format!("{PAGE}:{}: {text}", line.number))
        .collect();
    assert!(gone.is_empty(), "nothing says any more\n{}", gone.join("\n"));
    for text in internal() {
        assert!(messages.keys().any(|message| is_like(message, &text)), "nothing says any more: {text}");
    }
}

#[test]
fn every_line_says_what_to_do() {
    let bare = |line: &page::Line| line.meaning.split_whitespace().count() < 4;
    let found: Vec<_> = lines().into_iter().filter(|(_, line)| bare(line)).map(|(text, _)| text).collect();
    assert!(found.is_empty(), "what then?\n{}", found.join("\n"));
}

/// The tests above find nothing in good pages, so this one shows that they would.
#[test]
fn messages_are_found_where_they_stand() {
    for (path, source, expected) in [
        ("app/error.rs", "enum E { #[error(\"no {0}\")] A(u8), #[error(transparent)] B }", vec!["no …"]),
        ("app/mod.rs", "fn f() { tracing::warn!(%error, host = \"a b c d\", \"it {} on\", 1) }", vec!["it … on"]),
        ("app/mod.rs", "fn f() { tracing::info!(\"all is very well\"); println!(\"as it should be\") }", vec![]),
        ("app/mod.rs", "#[doc = \"one two three\"] #[expect(x, reason = \"for a reason\")] fn f() {}", vec![]),
        (
            "app/mod.rs",
            "#[cfg(test)] mod tests { fn f() { g(\"one two three\") } } const A: &str = \"two words\";",
            vec![],
        ),
        (
            "store/mod.rs",
            "fn f() { g(format!(\"say {{it}} and \\\n   {x:?}\\tmore \\\"\\u{e9}\\\"\")) }",
            vec!["say {it} and … more \"é\""],
        ),
        ("store/mod.rs", "fn f() { g(r#\"as \"it\" is\"#, b\"these are only bytes\") }", vec!["as \"it\" is"]),
        ("console/pages/a.rs", "fn f() -> Result<A, Problem> { notice(\"The changes are saved.\") }", vec![]),
        (
            "console/pages/a.rs",
            "fn f() { x.ok_or_else(|| Problem::not_found(\"There is no such thing.\")) }",
            vec!["There is no such thing."],
        ),
        (
            "console/pages/a.rs",
            "fn f() { match error { A => { let t = \"It did not work.\"; t } } }",
            vec!["It did not work."],
        ),
        ("console/pages/a.rs", "fn f() { return Err(e); notice(\"The changes are saved.\") }", vec![]),
        ("console/pages/setup.rs", "const VOID: &str = \"This is not valid.\";", vec!["This is not valid."]),
        ("cli/demo/walk.rs", "fn f() { g(\"one two three\") }", vec![]),
    ] {
        let found: Vec<_> = read_file(path, source, MESSAGE).into_iter().map(|(text, _)| text).collect();
        assert_eq!(found, expected, "{path}: {source}");
    }
    let page = "- `one …` · ``with `ticks` ``: What it means.\n  More of it.\n\n## In the words of other programs\n\n- `x`: y.\n";
    let found = read_lines(page);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["one …", "with `ticks`", "x"]);
    assert_eq!((found["one …"].meaning.as_str(), found["one …"].is_foreign), ("What it means. More of it.", false));
    assert!(found["x"].is_foreign);
    let script = "fail \"$1 has \\\"no\\\" $(id -u) in ${etc}\" || wrong 'x'\n[ a ] || wrong \"b\"";
    assert_eq!(read_script(script).into_iter().map(|(text, _)| text).collect::<Vec<_>>(), ["… has \"no\" … in …", "b"]);
}

fn internal() -> impl Iterator<Item = String> {
    INTERNAL.iter().flat_map(|(_, texts)| *texts).map(|text| normal(text))
}

/// A long text may be told by its beginning.
fn is_like(message: &str, internal: &str) -> bool {
    let beginning = internal.strip_suffix('…').filter(|beginning| beginning.len() > 40);
    message == internal || beginning.is_some_and(|beginning| message.starts_with(beginning))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
