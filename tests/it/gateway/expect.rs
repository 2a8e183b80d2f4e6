//! `Expect: 100-continue` (RFC 9110, section 10.1.1): a client is asked for its body when somebody wants it.

use std::{future::poll_fn, task::Poll};

use csg::{gateway::Address, model::Grant};
use http::HeaderValue;

use super::{
    LIST_TABLES, UPLOAD, head_of,
    http2::{KINESIS, LEX, list_streams, utterance},
};
use crate::harness::{Answering, DYNAMODB, Key, LAMBDA, S3, SNS, Signed, Site, Tls, answered, within};

/// A client that waits for `100 Continue` before it sends its body.
async fn waiting(site: &Site, key: &Key, headers: &str) -> (Tls, Signed) {
    let mut client = site.tunnel(LAMBDA).await;
    let request = key.sign_with_body(&format!("{UPLOAD}\nExpect: 100-continue\n{headers}"), "hello world");
    client.send(&request.head).await;
    (client, request)
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_go_on() {
    let site = Site::start().await;
    let (mut client, request) = waiting(&site, &site.key, "").await;
    assert_eq!(client.head().await.first, "HTTP/1.1 100 Continue");
    client.send(&request.body).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.head.header("expect"), None);
    assert_eq!(call.whole_body().await, b"hello world");
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn a_client_that_waits_is_not_asked_for_a_body_that_nobody_wants() {
    let site = Site::start().await;
    let unknown = Key { id: "CSGAUNKNOWNUNKNOWN01".to_owned(), ..site.key.clone() };
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    for key in [unknown, wrong] {
        let (mut client, _) = waiting(&site, &key, "").await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 403);
        // Whether the body still comes or the next request, nobody can know (RFC 9110, section 10.1.1).
        assert_eq!(answer.head.header("connection"), Some("close"));
        client.ends().await;
    }
    let mut client = site.tunnel(DYNAMODB).await;
    let head = head_of(LIST_TABLES);
    let request = site.key.sign_with_body(&format!("{head}\nExpect: 100-Continue"), vec![b' '; 2_000_000]);
    client.send(&request.head).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.head.header("connection")), (413, Some("close")));
    client.ends().await;
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_client_that_waits_is_not_asked_for_a_body_that_can_go_nowhere() {
    let site = Site::with(|plan| plan.dial = Some(Address::Socket("127.0.0.1:1".parse().unwrap()))).await;
    let (mut client, _) = waiting(&site, &site.key, "").await;
    assert_eq!(client.answer().await.status(), 502);
    client.ends().await;
}

/// A grant that does not cover the call costs no body, in whichever form it would come, where the signature can be verified
/// without it. Where it can't, see `held`: nobody learns what becomes of a key but its owner.
#[tokio::test]
async fn a_client_that_waits_is_not_asked_for_a_body_that_the_grant_does_not_cover() {
    let site = Site::start().await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let chunked = "X-Amz-Decoded-Content-Length: 11";
    for ended in [false, true] {
        site.publish([if ended { Grant { active: false, ..site.grant() } } else { site.only(&["route53"]) }]);
        for (line, host, payload, headers) in [
            ("PUT /2015-03-31/functions/f/code", LAMBDA, "{sha256}", ""),
            ("POST /", SNS, "{sha256}", form),
            ("PUT /bucket/key", S3, "{sha256}", ""),
            ("PUT /bucket/key", S3, "UNSIGNED-PAYLOAD", ""),
            ("PUT /bucket/key", S3, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", chunked),
            ("PUT /bucket/key", S3, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunked),
        ] {
            let mut client = site.tunnel(host).await;
            let head = format!(
                "{line} HTTP/1.1\nHost: {host}\nX-Amz-Content-Sha256: {payload}\n{headers}\nExpect: 100-continue"
            );
            client.send(site.key.sign_with_body(&head, "hello world").head).await;
            let answer = client.answer().await;
            assert_eq!((answer.status(), answer.head.header("connection")), (403, Some("close")), "{line} {payload}");
            client.ends().await;
        }
    }
    assert!(site.cloud.is_quiet().await);
}

/// Clients may stop waiting at any time (RFC 9110, section 10.1.1), and some never begin.
#[tokio::test]
async fn a_client_that_does_not_wait_is_served_all_the_same() {
    let site = Site::start().await;
    for host in [LAMBDA, DYNAMODB] {
        let mut client = site.tunnel(host).await;
        let text = if host == LAMBDA { UPLOAD } else { head_of(LIST_TABLES) };
        for _ in 0..2 {
            let request = site.key.sign_with_body(&format!("{text}\nExpect: 100-continue"), "hello world");
            client.send(request.bytes()).await;
            let mut call = site.cloud.call().await;
            assert_eq!(call.whole_body().await, b"hello world");
            call.ok().await;
            let mut head = client.head().await;
            // It may have been told to go on all the same.
            if head.status() == 100 {
                head = client.head().await;
            }
            assert_eq!(head.status(), 200);
            client.body(&head).await;
        }
    }
}

/// One that is not to be understood is no reason to refuse (RFC 9110, section 10.1.1): nobody gets 417.
#[tokio::test]
async fn an_unknown_expectation_is_not_refused() {
    let site = Site::start().await;
    for expectation in ["200-ok", "100-continue, 200-ok", ""] {
        let mut client = site.tunnel(LAMBDA).await;
        let request = site.key.sign_with_body(&format!("{UPLOAD}\nExpect: {expectation}"), "hello world");
        client.send(request.bytes()).await;
        let mut call = site.cloud.call().await;
        assert_eq!(call.head.header("expect"), None);
        assert_eq!(call.whole_body().await, b"hello world");
        call.ok().await;
        let head = client.head().await;
        assert!(matches!(head.status(), 100 | 200), "{head:?}");
    }
}

/// boto3's own way to S3, word for word.
#[tokio::test]
async fn an_upload_in_chunks_waits_for_its_word_too() {
    let site = Site::start().await;
    let mut client = site.tunnel(S3).await;
    let head = format!(
        "PUT /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER
        X-Amz-Decoded-Content-Length: 11\nX-Amz-Trailer: x-amz-checksum-crc32\nContent-Encoding: aws-chunked
        Expect: 100-continue\n+ Transfer-Encoding: chunked"
    );
    client.send(site.key.sign_with_body(&head, "").head).await;
    assert_eq!(client.head().await.first, "HTTP/1.1 100 Continue");
    let body = "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
    client.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.head.header("expect"), None);
    assert_eq!(call.whole_body().await, body.as_bytes());
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

/// The same over HTTP/2.
async fn waiting_over_http2(site: &Site, key: &Key) -> (Answering, Signed) {
    let (request, mut client) = (utterance(key, "hello world"), site.h2(LEX).await);
    let mut head = request.h2_head();
    head.headers_mut().insert("expect", HeaderValue::from_static("100-Continue"));
    (client.begin(head).await, request)
}

/// The status of the interim answer that comes next; none if it is the final one.
async fn interim(call: &mut Answering) -> Option<u16> {
    let next = poll_fn(|cx| match call.head.poll_informational(cx) {
        Poll::Ready(Some(interim)) => Poll::Ready(Some(interim.unwrap().status().as_u16())),
        Poll::Ready(None) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    within("an answer, interim or not", next).await
}

#[tokio::test]
async fn a_client_of_http_2_that_waits_is_told_to_go_on() {
    let site = Site::start().await;
    let (mut call, request) = waiting_over_http2(&site, &site.key).await;
    assert_eq!(interim(&mut call).await, Some(100));
    let mut arrived = site.cloud.call().await;
    assert_eq!(arrived.head.header("expect"), None);
    call.stream.send_data(request.body.into(), true).unwrap();
    assert_eq!(arrived.whole_body().await, b"hello world");
    arrived.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
    // One whose hash is not declared is read before it can be verified.
    let mut client = site.h2(KINESIS).await;
    let mut head = list_streams(&site).h2_head();
    head.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    let mut call = client.begin(head).await;
    assert_eq!(interim(&mut call).await, Some(100));
    call.stream.send_data("{}".into(), true).unwrap();
    let arrived = site.cloud.call().await;
    assert_eq!(arrived.head.header("expect"), None);
    arrived.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
}

/// It is told no instead, and the stream ends; the connection does not.
#[tokio::test]
async fn a_client_of_http_2_that_waits_is_not_asked_for_a_body_that_nobody_wants() {
    let site = Site::start().await;
    let unknown = Key { id: "CSGAUNKNOWNUNKNOWN01".to_owned(), ..site.key.clone() };
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    for key in [&unknown, &wrong, &site.key] {
        if key.id == site.key.id && key.secret == site.key.secret {
            site.publish([site.only(&["route53"])]);
        }
        let (mut call, _) = waiting_over_http2(&site, key).await;
        assert_eq!(interim(&mut call).await, None);
        let (head, _) = answered(call).await;
        assert_eq!((head.status().as_u16(), head.headers().get("connection")), (403, None));
    }
    let nowhere = Site::with(|plan| plan.dial = Some(Address::Socket("127.0.0.1:1".parse().unwrap()))).await;
    let (mut call, _) = waiting_over_http2(&nowhere, &nowhere.key).await;
    assert_eq!(interim(&mut call).await, None);
    assert_eq!(answered(call).await.0.status(), 502);
    assert!(site.cloud.is_quiet().await);
}

/// Nor is anybody told who has begun to send, or has nothing to send.
#[tokio::test]
async fn a_client_of_http_2_that_does_not_wait_is_served_all_the_same() {
    let site = Site::start().await;
    for body in ["hello world", ""] {
        let (request, mut client) = (utterance(&site.key, body), site.h2(LEX).await);
        let mut head = request.h2_head();
        head.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
        let mut call = client.begin_with(head, body.is_empty()).await;
        if !body.is_empty() {
            call.stream.send_data(body.into(), true).unwrap();
        }
        let mut arrived = site.cloud.call().await;
        assert_eq!(arrived.whole_body().await, body.as_bytes());
        arrived.ok().await;
        if body.is_empty() {
            assert_eq!(interim(&mut call).await, None);
        }
        assert_eq!(answered(call).await.0.status(), 200);
    }
}
