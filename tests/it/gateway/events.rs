//! Event streams whose messages are signed one by one: verified and signed anew as they come, both ways at once.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    event_stream::{sign_empty_message, sign_message},
    sign::v4,
};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use csg::{clock::Clock, model::Outcome};

use crate::harness::{Call, Key, Site, Tls};

pub(super) const BEDROCK: &str = "bedrock-runtime.us-east-1.amazonaws.com";

/// Signs messages as AWS's own code does.
pub(super) struct Stream<'k> {
    pub(super) key: &'k Key,
    pub(super) previous: String,
}

impl Stream<'_> {
    /// The frame of an event with this payload, or of the end.
    pub(super) fn frame(&mut self, payload: Option<&str>) -> Vec<u8> {
        self.frame_at(payload, SystemTime::from(Clock::system().now()))
    }

    pub(super) fn frame_at(&mut self, payload: Option<&str>, at: SystemTime) -> Vec<u8> {
        let identity = Credentials::new(&self.key.id, &self.key.secret, None, None, "test").into();
        let builder = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("bedrock");
        let params = builder.time(at).settings(()).build().unwrap();
        let signed = match payload {
            Some(payload) => sign_message(&event(payload), &self.previous, &params),
            None => sign_empty_message(&self.previous, &params),
        };
        let (message, signature) = signed.unwrap().into_parts();
        self.previous = signature;
        encoded(&message)
    }
}

pub(super) fn event(payload: &str) -> Message {
    Message::new(payload.to_owned()).add_header(Header::new(":event-type", HeaderValue::String("chunk".into())))
}

pub(super) fn encoded(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    write_message_to(message, &mut frame).unwrap();
    frame
}

pub(super) fn signature_in(authorization: &str) -> String {
    authorization.rsplit_once("Signature=").unwrap().1.trim().to_owned()
}

/// A client that has sent the head of a stream, and what signs its messages.
async fn opened(site: &Site) -> (Tls, Stream<'_>) {
    let mut client = site.tunnel(BEDROCK).await;
    let head = format!(
        "POST /model/nova/invoke-with-bidirectional-stream HTTP/1.1
        Host: {BEDROCK}
        Content-Type: application/vnd.amazon.eventstream
        X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-EVENTS
        + Transfer-Encoding: chunked"
    );
    let key = Key { scope: Some(("bedrock", "us-east-1")), ..site.key.clone() };
    let head = key.sign_with_body(&head, "").head;
    client.send(&head).await;
    let line = head.lines().find(|line| line.starts_with("authorization")).unwrap();
    (client, Stream { key: &site.key, previous: signature_in(line) })
}

fn in_chunk(frame: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", frame.len()).as_bytes(), frame, b"\r\n"].concat()
}

/// The next message at the cloud, which must be what AWS's own code would have signed with the real key.
async fn assert_message(call: &mut Call, cloud: &mut Stream<'_>, payload: Option<&str>) {
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    let length = cloud_frame_length(payload);
    let before = cloud.previous.clone();
    let chunk = format!("{length:X}\r\n");
    assert_eq!(call.wire.bytes(chunk.len()).await, chunk.as_bytes());
    found.extend(call.wire.bytes(length).await);
    assert_eq!(call.wire.bytes(2).await, b"\r\n");
    // Its date is the gateway's: the second header, milliseconds.
    let millis = i64::from_be_bytes(found[71..79].try_into().unwrap());
    let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis.try_into().unwrap());
    cloud.previous = before;
    expected.extend(cloud.frame_at(payload, at));
    assert!(found == expected, "{payload:?}");
}

fn cloud_frame_length(payload: Option<&str>) -> usize {
    12 + 15 + 52 + 4 + payload.map_or(0, |payload| encoded(&event(payload)).len())
}

#[tokio::test]
async fn messages_and_answers_pass_each_other() {
    let site = Site::start().await;
    let (mut client, mut stream) = opened(&site).await;
    client.send(in_chunk(&stream.frame(Some("first")))).await;
    let mut call = site.cloud.call().await;
    site.real.verify(&call, b"");
    let mut cloud = Stream { key: &site.real, previous: signature_in(call.head.header("authorization").unwrap()) };
    assert_message(&mut call, &mut cloud, Some("first")).await;
    // The answer begins while the request goes on, and each part of it arrives at once.
    call.send("HTTP/1.1 200 OK\nContent-Type: application/vnd.amazon.eventstream\nTransfer-Encoding: chunked\n\n")
        .await;
    let head = client.head().await;
    assert_eq!(head.status(), 200);
    for word in ["second", "third"] {
        let answer = encoded(&event(&format!("answer to {word}")));
        client.send(in_chunk(&stream.frame(Some(word)))).await;
        assert_message(&mut call, &mut cloud, Some(word)).await;
        call.wire.send(in_chunk(&answer)).await;
        let arrived = in_chunk(&answer);
        assert_eq!(client.bytes(arrived.len()).await, arrived, "as it was, and now");
    }
    client.send([&in_chunk(&stream.frame(None))[..], b"0\r\n\r\n"].concat()).await;
    assert_message(&mut call, &mut cloud, None).await;
    assert_eq!(call.wire.bytes(5).await, b"0\r\n\r\n");
    call.wire.send("0\r\n\r\n").await;
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
    let record = site.record().await;
    assert_eq!(record.operation.as_deref(), Some("InvokeModelWithBidirectionalStream"));
    assert_eq!(record.outcome, Outcome::Allowed);
}

#[tokio::test]
async fn a_wrong_message_ends_the_stream_before_it_arrives() {
    let site = Site::start().await;
    for case in ["tampered", "replayed", "of another key", "cut", "without its end"] {
        let (mut client, mut stream) = opened(&site).await;
        let first = stream.frame(Some("first"));
        client.send(in_chunk(&first)).await;
        let mut call = site.cloud.call().await;
        let mut cloud = Stream { key: &site.real, previous: signature_in(call.head.header("authorization").unwrap()) };
        assert_message(&mut call, &mut cloud, Some("first")).await;
        let other = Key { secret: "another".to_owned(), ..site.key.clone() };
        let second = match case {
            "tampered" => tampered(stream.frame(Some("second"))),
            "replayed" => first,
            "of another key" => Stream { key: &other, previous: stream.previous.clone() }.frame(Some("second")),
            "cut" => stream.frame(Some("second"))[..50].to_vec(),
            _ => Vec::new(),
        };
        let chunk = if second.is_empty() { Vec::new() } else { in_chunk(&second) };
        client.send([&chunk[..], b"0\r\n\r\n"].concat()).await;
        let answer = client.answer().await;
        assert!(matches!(answer.status(), 400 | 403), "{case}: {}", answer.text());
        let rest = call.body().await;
        assert!(!rest.complete && rest.bytes.is_empty(), "{case}");
    }
}

/// Once the answer has begun, all that is left is to end it.
#[tokio::test]
async fn a_wrong_message_breaks_off_an_answer_that_has_begun() {
    let site = Site::start().await;
    let (mut client, mut stream) = opened(&site).await;
    let first = stream.frame(Some("first"));
    client.send(in_chunk(&first)).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n").await;
    assert_eq!(client.head().await.status(), 200);
    client.send(in_chunk(&first)).await;
    client.drain().await;
    call.is_given_up().await;
}

#[tokio::test]
async fn an_event_stream_where_none_belongs_is_refused() {
    let site = Site::start().await;
    let mut client = site.tunnel(BEDROCK).await;
    let head = format!(
        "POST /model/nova/invoke HTTP/1.1\nHost: {BEDROCK}\nX-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-EVENTS\n\
         + Expect: 100-continue\n+ Transfer-Encoding: chunked"
    );
    let key = Key { scope: Some(("bedrock", "us-east-1")), ..site.key.clone() };
    client.send(key.sign_with_body(&head, "").head).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().contains("STREAMING-AWS4-HMAC-SHA256-EVENTS"), "{}", answer.text());
    assert!(site.cloud.is_quiet().await);
}

/// With another payload, and check sums that hide it.
pub(super) fn tampered(mut frame: Vec<u8>) -> Vec<u8> {
    let (at, end) = (frame.len() - 10, frame.len() - 4);
    frame[at] ^= 1;
    let sum = crc(&frame[..end]);
    frame[end..].copy_from_slice(&sum);
    frame
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}
