//! Clients that want to go on in another protocol: none does, and whoever would wait for it is told why.

use csg::model::Outcome;

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, Key, S3, Site};

const TRANSCRIBE: &str = "transcribestreaming.us-east-1.amazonaws.com";
const HANDSHAKE: &str = "Connection: Upgrade
    Upgrade: websocket
    Sec-WebSocket-Version: 13
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// What is signed makes no difference, nor does what else is offered beside it.
#[tokio::test]
async fn websocket_is_refused_in_words_of_the_service() {
    let site = Site::start().await;
    for (host, scope, handshake, mark) in [
        (TRANSCRIBE, "transcribe", HANDSHAKE.to_owned(), "{\"__type\":"),
        (S3, "s3", HANDSHAKE.replace("websocket", "h2c, WebSocket"), "<Error><Code>"),
        ("a1b2c3.execute-api.us-east-1.amazonaws.com", "execute-api", HANDSHAKE.to_owned(), "{\""),
        ("a1b2c3-ats.iot.us-east-1.amazonaws.com", "iotdata", HANDSHAKE.to_owned(), "{\""),
        (DYNAMODB, "dynamodb", HANDSHAKE.replace("Connection: Upgrade", "Connection: keep-alive"), "{\"__type\":"),
    ] {
        let key = Key { scope: Some((scope, "us-east-1")), ..site.key.clone() };
        let mut client = site.tunnel(host).await;
        let request = key.sign(&format!("GET /stream HTTP/1.1\nHost: {host}\n{handshake}"));
        client.send(request.bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 400, "{host}");
        let text = answer.text();
        assert!(text.contains(mark) && text.contains("WebSocket is not passed on by this gateway"), "{text}");
        assert_eq!(answer.head.header("upgrade"), None);
        // The connection is as good as before.
        client.send(request.bytes()).await;
        assert_eq!(client.answer().await.status(), 400);
    }
    assert!(site.cloud.is_quiet().await);
    let records = site.records(10).await;
    assert!(records.iter().all(|record| record.outcome == Outcome::Refused && record.status == 400), "{records:?}");
}

/// Libraries offer these by themselves; whoever offers must go on without.
#[tokio::test]
async fn other_offers_are_not_taken_and_go_no_further() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    for offer in ["Upgrade: h2c\n+ HTTP2-Settings: AAMAAABkAAQAAP__", "Upgrade: TLS/1.2", "Upgrade: HTTP/3.0, x"] {
        let text = LIST_TABLES.replacen("\n\n", &format!("\n+ Connection: Upgrade, HTTP2-Settings\n{offer}\n\n"), 1);
        client.send(site.key.sign(&text).bytes()).await;
        let call = site.cloud.call().await;
        assert_eq!((call.head.header("upgrade"), call.head.header("http2-settings")), (None, None), "{offer}");
        site.real.verify(&call, b"{}");
        call.ok().await;
        let answer = client.answer().await;
        assert_eq!((answer.head.first.as_str(), answer.text()), ("HTTP/1.1 200 OK", "{}"), "{offer}");
    }
}
