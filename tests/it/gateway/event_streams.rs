//! An event stream that ends before its time ends with an error that its reader can read.

use std::time::Duration;

use csg::{cloud::aws::event_stream, model::Outcome};

use crate::harness::{Call, LAMBDA, Site, Tls, within_time};

/// What the contract promises.
const PROMISED: Duration = Duration::from_secs(5);

const INVOKE: &str = "POST /2021-11-15/functions/f/response-streaming-invocations HTTP/1.1
    Host: lambda.us-east-1.amazonaws.com

    {}";

const HEAD: &str = "HTTP/1.1 200 OK\nContent-Type: application/vnd.amazon.eventstream\n";

/// A client that has asked for a stream, and the cloud that was asked.
async fn asked(site: &Site) -> (Tls, Call) {
    let mut client = site.tunnel(LAMBDA).await;
    client.send(site.key.sign(INVOKE).bytes()).await;
    (client, site.cloud.call().await)
}

/// An event as a chunk of the answer. Any will do: an error is an event, too.
async fn send(call: &mut Call, event: &[u8]) {
    call.wire.send(format!("{:X}\r\n", event.len())).await;
    call.wire.send(event).await;
    call.wire.send("\r\n").await;
}

/// A stream whose first event has reached the client.
async fn streaming(site: &Site) -> (Tls, Call, Vec<u8>) {
    let (mut client, mut call) = asked(site).await;
    call.send(&format!("{HEAD}Transfer-Encoding: chunked\n\n")).await;
    let event = event_stream::error("Event", "one");
    send(&mut call, &event).await;
    assert_eq!(client.head().await.status(), 200);
    let chunk = [format!("{:X}\r\n", event.len()).as_bytes(), &event, b"\r\n"].concat();
    assert_eq!(client.bytes(chunk.len()).await, chunk);
    (client, call, event.to_vec())
}

/// The last chunk with the error, and the end.
fn last(code: &str, message: &str) -> Vec<u8> {
    let event = event_stream::error(code, message);
    [format!("{:X}\r\n", event.len()).as_bytes(), &event, b"\r\n0\r\n\r\n"].concat()
}

#[tokio::test]
async fn access_that_ends_is_told_in_the_stream() {
    for gone in [false, true] {
        let site = Site::start().await;
        let (mut client, mut call, event) = streaming(&site).await;
        // The beginning of another event, which nobody misses.
        send(&mut call, &event[..20]).await;
        if gone {
            site.publish([]);
        } else {
            site.revoke();
        }
        let expected = last("AccessDeniedException", "Client is not Active");
        assert_eq!(within_time(PROMISED, "the last event", client.bytes(expected.len())).await, expected);
        within_time(PROMISED, "the cloud's end", call.is_given_up()).await;
        let record = site.record().await;
        assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("AccessEnded")));
        let events = event.len() + event_stream::error("AccessDeniedException", "Client is not Active").len();
        assert_eq!((record.status, record.bytes_out), (200, events as u64));
    }
}

/// Where an operation is called by its name, an SDK takes nothing for an error before an initial response has come.
#[tokio::test]
async fn an_error_before_any_event_stands_where_its_reader_looks_for_it() {
    let host = "kinesis.us-east-1.amazonaws.com";
    let subscribe = |kind| {
        let target = "X-Amz-Target: Kinesis_20131202.SubscribeToShard";
        format!("POST / HTTP/1.1\nHost: {host}\n{target}\nContent-Type: {kind}\n\n{{}}")
    };
    let error = event_stream::error("AccessDeniedException", "Client is not Active");
    for (kind, payload) in
        [("application/x-amz-json-1.1", b"{}".as_slice()), ("application/x-amz-cbor-1.1", b"\xa0".as_slice())]
    {
        let initial = event_stream::initial_response(kind, payload);
        for (sent, expected) in [
            (Vec::new(), [&initial[..], &error[..]].concat()),
            // A part of one is none.
            (initial[..20].to_vec(), [&initial[..], &error[..]].concat()),
            (initial.to_vec(), error.to_vec()),
        ] {
            let site = Site::start().await;
            let mut client = site.tunnel(host).await;
            client.send(site.key.sign(&subscribe(kind)).bytes()).await;
            let mut call = site.cloud.call().await;
            call.send(&format!("{HEAD}Transfer-Encoding: chunked\n\n")).await;
            let head = client.head().await;
            if !sent.is_empty() {
                send(&mut call, &sent).await;
            }
            if sent.len() == initial.len() {
                let chunk = format!("{:X}\r\n", sent.len()).len() + sent.len() + 2;
                client.bytes(chunk).await;
            }
            site.revoke();
            let body = within_time(PROMISED, "the end", client.body(&head)).await;
            assert!(body.complete);
            assert_eq!(body.bytes, expected, "{kind} after {} bytes", sent.len());
        }
    }
}

#[tokio::test]
async fn a_stream_that_the_cloud_breaks_off_ends_with_an_error() {
    let site = Site::start().await;
    for part in [0, 20] {
        let (mut client, mut call, event) = streaming(&site).await;
        if part > 0 {
            send(&mut call, &event[..part]).await;
        }
        call.close().await;
        let expected =
            last("ServiceUnavailable", "lambda.us-east-1.amazonaws.com could not be reached: the stream broke off");
        assert_eq!(client.bytes(expected.len()).await, expected);
        // The stream ended, the connection did not.
        client
            .send(site.key.sign("GET /2015-03-31/functions HTTP/1.1\nHost: lambda.us-east-1.amazonaws.com").bytes())
            .await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
    let records = site.records(4).await;
    for record in records.iter().step_by(2) {
        assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("AnswerBrokeOff")));
    }
}

#[tokio::test]
async fn a_stream_comes_whole_and_unchanged_however_it_is_cut_into_pieces() {
    let site = Site::start().await;
    let (mut client, mut call) = asked(&site).await;
    call.send(&format!("{HEAD}Transfer-Encoding: chunked\n\n")).await;
    let events = [event_stream::error("A", "one"), event_stream::error("B", &"two".repeat(30_000))].concat();
    for part in events.chunks(1000) {
        send(&mut call, part).await;
    }
    // The cloud's own last words, in no form that is known.
    send(&mut call, b"\0\0\x01").await;
    call.send("0\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(answer.body.complete);
    assert!(answer.body.bytes == [&events[..], b"\0\0\x01"].concat());
    call.keep();
    assert_eq!(site.record().await.outcome, Outcome::Allowed);
}

/// There is no room for one more event where the length was told, inside an event, or in what is no event stream.
#[tokio::test]
async fn where_nothing_can_be_said_the_connection_breaks() {
    for (head, body) in [
        ("Content-Type: application/vnd.amazon.eventstream\nContent-Length: 1000", String::new()),
        (
            "Content-Type: application/vnd.amazon.eventstream\nContent-Encoding: gzip\nTransfer-Encoding: chunked",
            "1\r\nx\r\n".to_owned(),
        ),
        ("Content-Type: application/json\nTransfer-Encoding: chunked", "1\r\nx\r\n".to_owned()),
        (
            "Content-Type: application/vnd.amazon.eventstream\nTransfer-Encoding: chunked",
            "6\r\n\0\x10\0\0xx\r\n".to_owned(),
        ),
    ] {
        let site = Site::start().await;
        let (mut client, mut call) = asked(&site).await;
        call.send(&format!("HTTP/1.1 200 OK\n{head}\n\n{body}")).await;
        assert_eq!(client.head().await.status(), 200);
        client.bytes(body.len()).await;
        site.revoke();
        assert_eq!(within_time(PROMISED, "the client's end", client.drain()).await, 0, "{head}");
        assert_eq!(site.record().await.error.as_deref(), Some("AccessEnded"));
    }
}
