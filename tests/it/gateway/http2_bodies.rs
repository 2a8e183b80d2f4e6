//! Bodies over HTTP/2 that say one thing and are another: none reaches the cloud as a whole one, and nothing that stands
//! behind a body counts.

use super::{
    http2::{KINESIS, LEX, utterance},
    http2_attacks::{right, works},
};
use crate::harness::{
    Site,
    frames::{DATA, END_HEADERS, END_STREAM, End, HEADERS, PROTOCOL_ERROR, Raw, block, frame, pair},
};

/// A request whose body is not held, and of which nothing was signed, with `more` headers.
fn streamed(site: &Site, more: &[(String, String)]) -> Vec<(String, String)> {
    let head = utterance(&site.key, "").h2_head();
    let of_uri = [(":method", "POST"), (":scheme", "https"), (":authority", LEX), (":path", head.uri().path())];
    let headers = head.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    of_uri.into_iter().chain(headers).map(|(name, value)| pair(name, value)).chain(more.iter().cloned()).collect()
}

#[tokio::test]
async fn a_body_of_another_length_than_was_said_is_never_whole() {
    let site = Site::start().await;
    for (length, rest) in [("11", "world, and more"), ("20", "world")] {
        let length = pair("content-length", length);
        // Held, it goes nowhere.
        let mut client = Raw::new(&site, KINESIS).await;
        let number = client.number();
        let head = [right(&site), vec![length.clone()]].concat();
        client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&head))).await;
        client.wire.send(frame(DATA, 0, number, b"hello ")).await;
        client.wire.send(frame(DATA, END_STREAM, number, rest.as_bytes())).await;
        assert_eq!(client.end(number).await, End::Reset(PROTOCOL_ERROR), "{length:?}");
        assert!(site.cloud.is_quiet().await, "{length:?}");
        works(&site, &mut client).await;
        // On its way already, it breaks off.
        let mut client = Raw::new(&site, LEX).await;
        let number = client.number();
        let head = streamed(&site, std::slice::from_ref(&length));
        client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&head))).await;
        client.wire.send(frame(DATA, 0, number, b"hello ")).await;
        let mut call = site.cloud.call().await;
        client.wire.send(frame(DATA, END_STREAM, number, rest.as_bytes())).await;
        assert_eq!(client.end(number).await, End::Reset(PROTOCOL_ERROR), "{length:?}");
        assert!(!call.body().await.complete, "{length:?}");
    }
}

/// What a trailer is called makes no header of it: neither what was signed nor what was not.
#[tokio::test]
async fn what_stands_behind_a_body_is_not_read() {
    let site = Site::start().await;
    let trailers = block(&[
        pair(":path", "/other"),
        pair("x-amz-target", "Kinesis_20131202.DeleteStream"),
        pair("authorization", "AWS4-HMAC-SHA256 Credential=x"),
        pair("host", "dynamodb.us-east-1.amazonaws.com"),
        pair("content-length", "5"),
        pair("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        pair("x-custom", "1"),
    ]);
    let mut client = Raw::new(&site, KINESIS).await;
    let number = client.number();
    client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&right(&site)))).await;
    client.wire.send(frame(DATA, 0, number, b"{}")).await;
    client.wire.send(frame(HEADERS, END_HEADERS | END_STREAM, number, &trailers)).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await, b"{}");
    site.real.verify(&call, b"{}");
    assert_eq!(call.head.header("x-amz-target"), Some("Kinesis_20131202.ListStreams"));
    assert_eq!((call.head.header("host"), call.head.header("x-custom")), (Some(KINESIS), None));
    call.ok().await;
    assert_eq!(client.end(number).await, End::Answer(200));

    let mut client = Raw::new(&site, LEX).await;
    let number = client.number();
    client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&streamed(&site, &[])))).await;
    client.wire.send(frame(DATA, 0, number, b"hello")).await;
    client.wire.send(frame(HEADERS, END_HEADERS | END_STREAM, number, &trailers)).await;
    let mut call = site.cloud.call().await;
    // The last chunk has nothing behind it.
    assert_eq!(call.wire.bytes(15).await, b"5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(call.head.header("trailer"), None);
    call.keep_read().ok().await;
    assert_eq!(client.end(number).await, End::Answer(200));
}

/// Trailers that are none: the body before them is never a whole one.
#[tokio::test]
async fn trailers_that_may_not_be() {
    let site = Site::start().await;
    let last = END_HEADERS | END_STREAM;
    for (what, headers, flags) in [
        ("connection", pair("connection", "close"), last),
        ("transfer-encoding", pair("transfer-encoding", "chunked"), last),
        ("not the end", pair("x-custom", "1"), END_HEADERS),
        ("before the end", pair("x-custom", "1"), last),
    ] {
        let mut client = Raw::new(&site, LEX).await;
        let number = client.number();
        let length = (what == "before the end").then(|| pair("content-length", "20"));
        let head = streamed(&site, length.as_slice());
        client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&head))).await;
        client.wire.send(frame(DATA, 0, number, b"hello")).await;
        let mut call = site.cloud.call().await;
        client.wire.send(frame(HEADERS, flags, number, &block(&[headers]))).await;
        assert_eq!(client.end(number).await, End::Reset(PROTOCOL_ERROR), "{what}");
        assert!(!call.body().await.complete, "{what}");
    }
}
