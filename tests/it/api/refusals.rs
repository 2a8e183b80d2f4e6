//! What goes wrong is told as a problem document, whoever found it, and hurts nobody else.

use std::{
    io::{Read as _, Write as _},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::harness::Console;

#[test]
fn every_refusal_is_a_problem_document() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let bearer = format!("Bearer {root}");
    let big = format!("{{\"id\": \"{}\"}}", "a".repeat(1 << 20));
    let json = "application/json";
    let table: &[(&str, &str, &str, &str, u16, &str)] = &[
        ("GET", "/api/v1/none", "", "", 404, "address"),
        ("GET", "/none", "", "", 404, "address"),
        ("GET", "/api/v1/access-requests/none", "", "", 404, "access request"),
        ("GET", "/api/v1/access-requests/No%20id", "", "", 404, "id"),
        ("GET", "/api/v1/environments/%FF", "", "", 404, "id"),
        ("PUT", "/api/v1/environments", json, "{}", 405, "method"),
        ("DELETE", "/api/v1/ca", "", "", 405, "method"),
        ("POST", "/api/v1/environments", json, "{", 400, "not JSON"),
        ("POST", "/api/v1/environments", json, "", 400, "not JSON"),
        ("POST", "/api/v1/environments", json, "\u{0}", 400, "not JSON"),
        (
            "POST",
            "/api/v1/environments",
            json,
            "{\"id\": \"x\", \"name\": \"x\", \"nmae\": 1}",
            422,
            "unknown field `nmae`",
        ),
        ("POST", "/api/v1/environments", json, "{\"name\": \"x\"}", 422, "missing field `id`"),
        ("POST", "/api/v1/environments", json, "{\"id\": \"NO\", \"name\": \"x\"}", 422, "id"),
        ("POST", "/api/v1/environments", json, "{\"id\": \"x\", \"name\": \"\"}", 422, "name"),
        ("POST", "/api/v1/environments", "text/plain", "{}", 415, "application/json"),
        ("POST", "/api/v1/environments", "", "{}", 415, "application/json"),
        ("POST", "/api/v1/environments", json, &big, 413, "1048576"),
        (
            "POST",
            "/api/v1/environments/dev/access-requests",
            json,
            "{\"cloud\": \"aws\", \"services\": [\"s4\"], \"justification\": \"x\"}",
            422,
            "s4",
        ),
        (
            "POST",
            "/api/v1/environments/dev/access-requests",
            json,
            "{\"cloud\": \"aws\", \"services\": [\"sns\"], \"justification\": \"x\", \"duration\": \"1y\"}",
            422,
            "30d",
        ),
        ("GET", "/api/v1/environments?limit=0", "", "", 422, "1 to 1000"),
        ("GET", "/api/v1/environments?limit=1001", "", "", 422, "1 to 1000"),
        ("GET", "/api/v1/environments?limt=5", "", "", 422, "limt"),
        ("GET", "/api/v1/environments?cursor=No!", "", "", 422, "cursor"),
        ("GET", "/api/v1/access-requests?status=asleep", "", "", 422, "pending"),
        ("GET", "/api/v1/audit?from=yesterday", "", "", 422, "RFC 3339"),
        ("GET", "/api/v1/audit?cursor=x", "", "", 422, "cursor"),
        ("GET", "/api/v1/audit?outcome=good", "", "", 422, "good"),
    ];
    for (method, path, content_type, body, status, says) in table {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        let headers = if content_type.is_empty() { &headers[..1] } else { &headers[..] };
        let body = (!body.is_empty() || !content_type.is_empty()).then(|| (*body).to_owned());
        let answer = console.call(method, path, headers, body);
        let problem = answer.problem(*status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{method} {path}: {problem}");
    }
}

#[test]
fn a_method_that_is_not_taken_names_those_that_are() {
    let console = Console::empty();
    let answer = console.call("DELETE", "/api/v1/environments", &[], None);
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    answer.problem(405);
}

#[test]
fn a_token_is_asked_for_and_a_bad_one_refused() {
    let console = Console::furnished();
    for headers in [
        &[][..],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer  ")],
        &[("authorization", "Basic cm9vdDpyb290")],
        &[("authorization", "Bearer csg_session_no")],
    ] {
        let answer = console.call("GET", "/api/v1/me", headers, None);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{headers:?}");
        answer.problem(401);
    }
    let wrong = console.post("/sessions", "", &json!({"username": "dora", "password": "wrong"})).problem(401);
    let nobody = console.post("/sessions", "", &json!({"username": "nobody", "password": "wrong"})).problem(401);
    assert_eq!(wrong, nobody);
}

#[test]
fn guessing_passwords_is_slowed_down() {
    let console = Console::furnished();
    let body = json!({"username": "dora", "password": "wrong"});
    let statuses: Vec<_> = (0..8).map(|_| console.post("/sessions", "", &body)).collect();
    let last = statuses.last().unwrap();
    assert_eq!(last.status, 429, "{}", last.text);
    assert!(last.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[test]
fn several_mistakes_are_told_at_once_by_field() {
    let console = Console::furnished();
    let root = console.sign_in("root");
    let credential =
        json!({"name": "", "cloud": "aws", "kind": "static", "access_key_id": "x", "secret_access_key": ""});
    let problem = console.post("/credentials", &root, &credential).problem(422);
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "access_key_id", "secret_access_key"]);
}

#[test]
fn lists_go_page_by_page() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let mut made: Vec<_> = (0..5).map(|_| console.submit(&dora)).collect();
    let (mut seen, mut next) = (Vec::new(), Some(String::new()));
    while let Some(cursor) = next {
        let page = console.get(&format!("/environments/dev/access-requests?limit=2{cursor}"), &dora).expect(200);
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()));
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        next = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    // All were made in the same moment; within it, any order will do.
    made.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(seen, made);
}

#[test]
fn a_connection_that_sends_nonsense_is_answered_or_closed_and_the_next_one_works() {
    let console = Console::empty();
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: 1\r\n".repeat(200));
    let chunk = "POST /api/v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n";
    let two = "POST /api/v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    for (bytes, status) in [
        ("\0\0\0\0\r\n\r\n", "400"),
        ("GET\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1}\0\u{5}hello", "400"),
        (&long, "431"),
        (&many, "431"),
        (chunk, "400"),
        (two, "400"),
    ] {
        let answer = console.raw(bytes.as_bytes());
        let line = answer.lines().next().unwrap_or("closed");
        assert!(line == "closed" || line.contains(status), "{:?}: {line}", bytes.get(..40));
    }
    assert_eq!(console.call("GET", "/healthz", &[], None).text, "ok\n");
}

/// A connection was closed without a word when the body of a refused request came after its head: what a client sent next
/// on it got no answer.
#[test]
fn a_connection_whose_request_was_refused_unread_takes_the_next_or_says_that_it_does_not() {
    let console = Console::empty();
    let head = |more: &str| {
        format!("POST /api/v1/users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{more}\r\n\r\n")
    };
    let mut stream = console.connect().unwrap();
    stream.write_all(head("content-length: 2").as_bytes()).unwrap();
    // By now the head was read.
    assert_eq!(console.call("GET", "/healthz", &[], None).status, 200);
    stream.write_all(b"{}GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert!(answers.starts_with("HTTP/1.1 401") && answers.contains("HTTP/1.1 200"), "{answers}");

    for more in ["content-length: 10000000", "expect: 100-continue\r\ncontent-length: 2"] {
        let answer = console.raw(head(more).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close\r\n"), "{more}: {answer}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let console = Console::empty();
    let answer = console.raw(
        b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /none HTTP/1.1\r\nhost: a\r\n\r\n\
          HEAD /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!(statuses, ["200", "404", "200"]);
    assert!(answer.ends_with("\r\n\r\n"), "HEAD has no body");
}

#[test]
fn a_step_may_come_without_a_body() {
    let console = Console::furnished();
    let dora = console.sign_in("dora");
    let id = console.submit(&dora);
    let path = format!("/access-requests/{id}/withdraw");
    console.post(&path, &dora, &json!({"coment": "x"})).problem(422);
    assert_eq!(console.post(&path, &dora, &Value::Null).expect(200)["status"], "withdrawn");
}

#[test]
fn stopping_lets_a_request_in_flight_finish_and_takes_no_other() {
    let console = Console::furnished();
    let body = json!({"username": "dora", "password": super::harness::PASSWORD}).to_string();
    let head = format!(
        "POST /api/v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = console.connect().unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "the request is in the handler's hands");
    console.stop();
    let limit = Instant::now() + Duration::from_secs(20);
    while console.connect().is_ok() {
        assert!(Instant::now() < limit, "the port stays open");
    }
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
