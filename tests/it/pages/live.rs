//! A page that is open is told what happens, without being asked to look again.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::browser::Browser;
use crate::api::harness::Console;

/// Reads until all of `parts` have come.
fn read_until(stream: &mut std::net::TcpStream, parts: &[&str]) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !parts.iter().all(|part| text.contains(part)) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

fn listen(console: &Console, browser: &Browser<'_>) -> std::net::TcpStream {
    let mut stream = console.connect().unwrap();
    let cookie = browser.cookies.borrow()["csg_session"].clone();
    write!(stream, "GET /live HTTP/1.1\r\nhost: a\r\ncookie: csg_session={cookie}\r\n\r\n").unwrap();
    read_until(&mut stream, &["text/event-stream", "\n: "]);
    stream
}

#[test]
fn dora_is_told_of_the_decision_and_anna_of_what_waits_but_peter_of_nothing() {
    let console = Console::furnished();
    let [dora, anna, peter] = ["dora", "anna", "peter"].map(|name| Browser::signed_in(&console, name));
    let [mut to_dora, mut to_anna, mut to_peter] = [&dora, &anna, &peter].map(|browser| listen(&console, browser));
    let [dora, anna] = ["dora", "anna"].map(|name| console.sign_in(name));
    let id = console.submit(&dora);
    let told = read_until(&mut to_anna, &[&id, "event: waiting\ndata: 1\n"]);
    assert!(told.contains("dora asks for DynamoDB in dev.") && told.contains(&format!("{id}/decide")), "{told}");
    let approval = json!({"credential": console.credential("dev", &anna)});
    console.post(&format!("/access-requests/{id}/approve"), &anna, &approval).expect(200);
    let told = read_until(&mut to_dora, &["DynamoDB: approved by anna. Take the secret."]);
    assert!(told.contains("event: request\n") && told.contains(&id), "{told}");
    read_until(&mut to_anna, &["event: waiting\ndata: 0\n"]);

    console.stop();
    let mut rest = String::new();
    to_peter.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains(&id), "{rest}");
}
