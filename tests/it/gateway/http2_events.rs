//! Event streams both ways over HTTP/2, on either side of the gateway or on both.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use csg::{cloud::aws::event_stream, gateway::Address, model::Outcome};
use h2::{Reason, SendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::events::{BEDROCK, Stream, encoded, event, signature_in, tampered};
use crate::harness::{Answering, H2Call, H2Client, H2Cloud, Key, Site, Talk, answered, within, within_time};

/// What the contract promises.
const PROMISED: Duration = Duration::from_secs(5);

/// A site whose cloud speaks HTTP/2.
async fn site() -> (Site, H2Cloud) {
    let cloud = H2Cloud::start().await;
    let address = Address::Socket(cloud.address);
    (Site::with(|plan| plan.dial = Some(address)).await, cloud)
}

/// Begins a stream; gives what signs its messages, too.
async fn opened<'s>(site: &'s Site, client: &mut H2Client) -> (Answering, Stream<'s>) {
    opened_as(site, client, "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-EVENTS").await
}

/// The same with a head that says so, or otherwise, what kind of body follows.
async fn opened_as<'s>(site: &'s Site, client: &mut H2Client, kind: &str) -> (Answering, Stream<'s>) {
    let head = format!(
        "POST /model/nova/invoke-with-bidirectional-stream HTTP/1.1
        Host: {BEDROCK}
        Content-Type: application/vnd.amazon.eventstream
        {kind}"
    );
    let key = Key { scope: Some(("bedrock", "us-east-1")), ..site.key.clone() };
    let head = key.sign_with_body(&head, "").h2_head();
    let previous = signature_in(head.headers()["authorization"].to_str().unwrap());
    (client.begin(head).await, Stream { key: &site.key, previous })
}

/// One message under way, which has arrived at the cloud.
async fn talking<'s>(site: &'s Site, cloud: &H2Cloud, client: &mut H2Client) -> (Answering, Stream<'s>, H2Call) {
    let (mut call, mut stream) = opened(site, client).await;
    send(&mut call.stream, stream.frame(Some("first")));
    let mut arrived = cloud.call().await;
    site.real.verify_head(&arrived.head, b"");
    let mut real = Stream { key: &site.real, previous: signature_in(arrived.head.header("authorization").unwrap()) };
    assert_message(&mut arrived.body, &mut real, Some("first")).await;
    (call, stream, arrived)
}

fn send(to: &mut SendStream<Bytes>, frame: Vec<u8>) {
    to.send_data(frame.into(), false).unwrap();
}

/// The next message must be what AWS's own code would have signed with the real key.
async fn assert_message(body: &mut Talk, real: &mut Stream<'_>, payload: Option<&str>) {
    let length = 12 + 15 + 52 + 4 + payload.map_or(0, |payload| encoded(&event(payload)).len());
    let found = body.bytes(length).await;
    // Its date is the gateway's: the second header, milliseconds.
    let millis = i64::from_be_bytes(found[71..79].try_into().unwrap());
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis.try_into().unwrap());
    assert!(found == real.frame_at(payload, at), "{payload:?}");
}

#[tokio::test]
async fn messages_and_answers_pass_each_other() {
    let (site, cloud) = site().await;
    let mut client = site.h2(BEDROCK).await;
    let (mut call, mut stream) = opened(&site, &mut client).await;
    send(&mut call.stream, stream.frame(Some("first")));
    let mut arrived = cloud.call().await;
    site.real.verify_head(&arrived.head, b"");
    let mut real = Stream { key: &site.real, previous: signature_in(arrived.head.header("authorization").unwrap()) };
    assert_message(&mut arrived.body, &mut real, Some("first")).await;
    let mut answer = arrived.begin();
    let (head, body) = within("the head", call.head).await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    let mut body = Talk::new(body);
    // A part of the answer after each message, and none is kept back until the next.
    for word in ["second", "third", "fourth"] {
        send(&mut call.stream, stream.frame(Some(word)));
        assert_message(&mut arrived.body, &mut real, Some(word)).await;
        let part = encoded(&event(&format!("answer to {word}")));
        send(&mut answer, part.clone());
        assert_eq!(body.bytes(part.len()).await, part);
    }
    call.stream.send_data(stream.frame(None).into(), true).unwrap();
    assert_message(&mut arrived.body, &mut real, None).await;
    assert_eq!(arrived.body.rest().await.unwrap(), b"", "the stream ends, and is not broken off");
    answer.send_data(Bytes::new(), true).unwrap();
    assert_eq!(body.rest().await.unwrap(), b"");
    let record = site.record().await;
    assert_eq!(record.operation.as_deref(), Some("InvokeModelWithBidirectionalStream"));
    assert_eq!((record.outcome, record.status), (Outcome::Allowed, 200));
}

/// The SDK for Rust signs the head as that of a request without a body, and does not say what follows.
#[tokio::test]
async fn a_head_that_was_signed_without_a_body_begins_a_stream_too() {
    let (site, cloud) = site().await;
    let mut client = site.h2(BEDROCK).await;
    let (mut call, mut stream) = opened_as(&site, &mut client, "").await;
    send(&mut call.stream, stream.frame(Some("first")));
    let mut arrived = cloud.call().await;
    assert_eq!(arrived.head.header("x-amz-content-sha256"), None);
    site.real.verify_head(&arrived.head, b"");
    let mut real = Stream { key: &site.real, previous: signature_in(arrived.head.header("authorization").unwrap()) };
    assert_message(&mut arrived.body, &mut real, Some("first")).await;
    // Each message counts as ever.
    send(&mut call.stream, tampered(stream.frame(Some("second"))));
    let (head, body) = answered(call).await;
    assert_eq!(head.status(), 403);
    assert!(String::from_utf8(body).unwrap().contains("InvalidSignatureException"));
    assert_eq!(arrived.body.rest().await.unwrap_err().reason(), Some(Reason::CANCEL));
}

/// More than all windows and buffers on the way take.
fn large() -> Vec<u8> {
    encoded(&event(&"a".repeat(8_000_000)))
}

/// Neither direction waits for the other: a client may send all it has before it reads.
#[tokio::test]
async fn a_client_that_does_not_read_yet_can_go_on_sending() {
    let (site, cloud) = site().await;
    let mut client = site.h2(BEDROCK).await;
    let (mut call, mut stream, mut arrived) = talking(&site, &cloud, &mut client).await;
    let mut answer = arrived.begin();
    send(&mut answer, large());
    let word = "w".repeat(50_000);
    for _ in 0..20 {
        let frame = stream.frame(Some(&word));
        let length = frame.len();
        send(&mut call.stream, frame);
        arrived.body.bytes(length).await;
    }
}

#[tokio::test]
async fn the_same_before_a_cloud_of_http_1() {
    let site = Site::start().await;
    let mut client = site.h2(BEDROCK).await;
    let (mut call, mut stream) = opened(&site, &mut client).await;
    let mut arrived = site.cloud.call().await;
    arrived.send("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n").await;
    let (mut from, mut to) = tokio::io::split(arrived.wire.io);
    let flowing = tokio::spawn(async move {
        let _ = to.write_all(format!("{:x}\r\n", large().len()).as_bytes()).await;
        let _ = to.write_all(&large()).await;
    });
    let word = "w".repeat(50_000);
    for _ in 0..20 {
        let frame = stream.frame(Some(&word));
        let mut chunk = vec![0; frame.len() + 2 + 4 + 2];
        send(&mut call.stream, frame);
        within("the message at the cloud", from.read_exact(&mut chunk)).await.unwrap();
    }
    assert!(!flowing.is_finished(), "the answer was to wait");
    flowing.abort();
}

#[tokio::test]
async fn a_wrong_message_ends_the_stream_before_it_arrives() {
    let (site, cloud) = site().await;
    let mut client = site.h2(BEDROCK).await;
    // A second stream of the same connection goes on whatever becomes of the others.
    let (mut other, mut other_stream, mut other_call) = talking(&site, &cloud, &mut client).await;
    for case in ["tampered", "replayed", "of another key", "cut", "without its end"] {
        let (mut call, mut stream) = opened(&site, &mut client).await;
        let first = stream.frame(Some("first"));
        send(&mut call.stream, first.clone());
        let mut arrived = cloud.call().await;
        arrived.body.bytes(first.len()).await;
        let another = Key { secret: "another".to_owned(), ..site.key.clone() };
        let second = match case {
            "tampered" => tampered(stream.frame(Some("second"))),
            "replayed" => first,
            "of another key" => Stream { key: &another, previous: stream.previous.clone() }.frame(Some("second")),
            "cut" => stream.frame(Some("second"))[..50].to_vec(),
            _ => Vec::new(),
        };
        call.stream.send_data(second.into(), true).unwrap();
        let (head, body) = answered(call).await;
        assert!(matches!(head.status().as_u16(), 400 | 403), "{case}: {}", String::from_utf8_lossy(&body));
        let error = arrived.body.rest().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL), "{case}");
    }
    send(&mut other.stream, other_stream.frame(Some("second")));
    other_call.body.bytes(100).await;
    let mut answer = other_call.begin();
    answer.send_data("still there".into(), true).unwrap();
    assert_eq!(answered(other).await.1, b"still there");
}

/// The answer has begun, so the error is an event of it.
#[tokio::test]
async fn a_wrong_message_after_the_first_answer_is_told_in_the_stream() {
    for cloud_speaks_h2 in [true, false] {
        let (h2_site, cloud) = site().await;
        let site = if cloud_speaks_h2 { h2_site } else { Site::start().await };
        let mut client = site.h2(BEDROCK).await;
        let (mut call, mut stream) = opened(&site, &mut client).await;
        send(&mut call.stream, stream.frame(Some("first")));
        let part = encoded(&event("one"));
        let (mut http1, mut http2) = (None, None);
        if cloud_speaks_h2 {
            let mut arrived = cloud.call().await;
            let mut answer = arrived.begin();
            send(&mut answer, part.clone());
            http2 = Some((arrived, answer));
        } else {
            let mut arrived = site.cloud.call().await;
            let head =
                "HTTP/1.1 200 OK\nContent-Type: application/vnd.amazon.eventstream\nTransfer-Encoding: chunked\n\n";
            arrived.send(head).await;
            arrived.wire.send([format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat()).await;
            http1 = Some(arrived);
        }
        let (head, body) = within("the head", call.head).await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        let mut body = Talk::new(body);
        assert_eq!(body.bytes(part.len()).await, part);
        send(&mut call.stream, tampered(stream.frame(Some("second"))));
        let end = body.rest().await.unwrap();
        let expected = event_stream::error(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        );
        assert_eq!(String::from_utf8_lossy(&end), String::from_utf8_lossy(&expected));
        if let Some(mut call) = http1 {
            within("the cloud's end", call.is_given_up()).await;
        }
        if let Some((mut call, _answer)) = http2 {
            assert!(call.body.rest().await.is_err(), "it never had an end");
        }
        let record = site.record().await;
        assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("EventMismatch")));
    }
}

#[tokio::test]
async fn access_that_ends_ends_the_stream_in_time() {
    for (reads, begun) in [(true, true), (false, true), (true, false)] {
        let (site, cloud) = site().await;
        let mut client = site.h2(BEDROCK).await;
        let (call, _stream, mut arrived) = talking(&site, &cloud, &mut client).await;
        let mut answer = None;
        if begun {
            let mut stream = arrived.begin();
            let amount = if reads { 1 } else { 100 };
            (0..amount).for_each(|_| send(&mut stream, encoded(&event(&"x".repeat(if reads { 10 } else { 60_000 })))));
            answer = Some(stream);
        }
        let part = encoded(&event("xxxxxxxxxx")).len();
        let mut body = None;
        let mut head = Some(call.head);
        if begun {
            let mut talk = Talk::new(within("the head", head.take().unwrap()).await.unwrap().into_body());
            if reads {
                talk.bytes(part).await;
            }
            body = Some(talk);
        }
        site.revoke();
        let ended = async { arrived.body.rest().await.unwrap_err() };
        within_time(PROMISED, "the cloud's end", ended).await;
        match (body, head) {
            (Some(mut body), _) if reads => {
                let expected = event_stream::error("AccessDeniedException", "Client is not Active");
                assert_eq!(body.rest().await.unwrap(), expected);
            }
            (Some(_), _) => {}
            (None, head) => assert_eq!(within("the head", head.unwrap()).await.unwrap().status(), 403),
        }
        let record = within_time(PROMISED, "the record", site.record()).await;
        let expected = if begun { Outcome::Cut } else { Outcome::Refused };
        assert_eq!(record.outcome, expected, "reads {reads}, begun {begun}");
        drop(answer);
    }
}

/// However the cloud breaks its answer off, it is never taken for whole.
#[tokio::test]
async fn an_answer_that_the_cloud_breaks_off_ends_with_an_error() {
    let (site, cloud) = site().await;
    let mut client = site.h2(BEDROCK).await;
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let (call, _stream, mut arrived) = talking(&site, &cloud, &mut client).await;
        let mut answer = arrived.begin();
        let part = encoded(&event("one"));
        send(&mut answer, part.clone());
        let mut body = Talk::new(within("the head", call.head).await.unwrap().into_body());
        assert_eq!(body.bytes(part.len()).await, part);
        answer.send_reset(reason);
        let expected = format!("{BEDROCK} could not be reached: the stream broke off");
        let expected = event_stream::error("ServiceUnavailable", &expected);
        assert_eq!(
            String::from_utf8_lossy(&body.rest().await.unwrap()),
            String::from_utf8_lossy(&expected),
            "{reason:?}"
        );
    }
    // Before its head, there is a status.
    let (call, _stream, mut arrived) = talking(&site, &cloud, &mut client).await;
    arrived.respond.send_reset(Reason::INTERNAL_ERROR);
    assert_eq!(answered(call).await.0.status(), 502);
}

/// A cloud that has answered need not hear the rest (RFC 9113, section 8.1).
#[tokio::test]
async fn an_answer_may_end_before_its_request() {
    let (site, cloud) = site().await;
    let mut client = site.h2(BEDROCK).await;
    let (call, _stream, mut arrived) = talking(&site, &cloud, &mut client).await;
    let mut answer = arrived.begin();
    answer.send_data("enough".into(), true).unwrap();
    drop((answer, arrived));
    assert_eq!(answered(call).await.1, b"enough");
    assert_eq!(site.record().await.outcome, Outcome::Allowed);
}

/// The other mixed pair: a client of HTTP/1.1, for a cloud that takes HTTP/2.
#[tokio::test]
async fn a_client_of_http_1_reaches_a_cloud_of_http_2() {
    let (site, cloud) = site().await;
    let mut client = site.tunnel(BEDROCK).await;
    let head = format!(
        "POST /model/nova/invoke-with-bidirectional-stream HTTP/1.1\nHost: {BEDROCK}\n\
         X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-EVENTS\n+ Transfer-Encoding: chunked"
    );
    let key = Key { scope: Some(("bedrock", "us-east-1")), ..site.key.clone() };
    let head = key.sign_with_body(&head, "").head;
    let line = head.lines().find(|line| line.starts_with("authorization")).unwrap();
    let mut stream = Stream { key: &site.key, previous: signature_in(line) };
    let chunk = |frame: &[u8]| [format!("{:x}\r\n", frame.len()).as_bytes(), frame, b"\r\n"].concat();
    client.send(&head).await;
    client.send(chunk(&stream.frame(Some("first")))).await;
    let mut arrived = cloud.call().await;
    site.real.verify_head(&arrived.head, b"");
    assert_eq!(arrived.head.header("transfer-encoding"), None);
    let mut real = Stream { key: &site.real, previous: signature_in(arrived.head.header("authorization").unwrap()) };
    assert_message(&mut arrived.body, &mut real, Some("first")).await;
    let mut answer = arrived.begin();
    assert_eq!(client.head().await.status(), 200);
    let part = encoded(&event("one"));
    send(&mut answer, part.clone());
    let expected = [format!("{:X}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat();
    assert_eq!(client.bytes(expected.len()).await, expected);
    client.send([&chunk(&stream.frame(None))[..], b"0\r\n\r\n"].concat()).await;
    assert_message(&mut arrived.body, &mut real, None).await;
    arrived.body.rest().await.unwrap();
    answer.send_data(Bytes::new(), true).unwrap();
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
}

/// What is no event stream goes over HTTP/1.1, whatever the client speaks.
#[tokio::test]
async fn other_calls_go_on_over_http_1() {
    let site = Site::start().await;
    let mut client = site.h2(BEDROCK).await;
    let key = Key { scope: Some(("bedrock", "us-east-1")), ..site.key.clone() };
    let request = key.sign(&format!("POST /model/nova/converse-stream HTTP/1.1\nHost: {BEDROCK}\n\n{{}}"));
    let call = client.send(&request).await;
    let mut arrived = site.cloud.call().await;
    arrived
        .send("HTTP/1.1 200 OK\nContent-Type: application/vnd.amazon.eventstream\nTransfer-Encoding: chunked\n\n")
        .await;
    let mut body = Talk::new(within("the head", call.head).await.unwrap().into_body());
    let part = encoded(&event("one"));
    for _ in 0..3 {
        arrived.wire.send([format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat()).await;
        assert_eq!(body.bytes(part.len()).await, part, "at once");
    }
    arrived.wire.send("0\r\n\r\n").await;
    assert_eq!(body.rest().await.unwrap(), b"");
}
