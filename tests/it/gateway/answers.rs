//! The cloud's answers come back as they are.

use super::LIST_TABLES;
use crate::harness::{Answer, DYNAMODB, Head, Key, LAMBDA, S3, Site};

/// What the client gets when the cloud answers so.
async fn passed_through(answer: &str) -> Answer {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.answer(answer).await;
    client.answer().await
}

fn headers(head: &Head) -> Vec<(&str, &str)> {
    head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn status_headers_and_body_are_untouched() {
    let answer = passed_through(
        "HTTP/1.1 429 Slow Down Please\nx-amzn-RequestId: R1\nServer: Server\nX-Unknown: ü\nSet-Cookie: a=1\n\
         Set-Cookie: b=2\nContent-Encoding: gzip\nDate: Mon, 23 Nov 2026 20:05:48 GMT\nContent-Length: 7\n\nno gzip",
    );
    let answer = answer.await;
    assert_eq!(answer.head.first, "HTTP/1.1 429 Slow Down Please");
    assert_eq!(
        headers(&answer.head),
        [
            ("x-amzn-requestid", "R1"),
            ("server", "Server"),
            ("x-unknown", "ü"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-encoding", "gzip"),
            ("date", "Mon, 23 Nov 2026 20:05:48 GMT"),
            ("content-length", "7"),
        ]
    );
    assert_eq!(answer.text(), "no gzip");
}

#[tokio::test]
async fn a_chunked_answer_stays_one_with_its_trailers() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(&LIST_TABLES.replacen("\n\n", "\n+ TE: trailers\n\n", 1)).bytes()).await;
    site.cloud
        .call()
        .await
        .answer("HTTP/1.1 200 OK\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.head.header("content-length"), None);
    assert_eq!(answer.text(), "abcde");
    assert_eq!(answer.body.trailers, [("x-sum".to_owned(), "5".to_owned())]);
    assert!(answer.body.complete);
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_comes_whole() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.0 200 OK\n\nall of it").await;
    call.close().await;
    let answer = client.answer().await;
    assert_eq!((answer.head.first.as_str(), answer.text()), ("HTTP/1.1 200 OK", "all of it"));
    assert!(answer.body.complete);
    // And the client's own connection goes on.
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    for (answer, status) in [
        ("HTTP/1.1 204 No Content\nX-Amzn-RequestId: R\n\n", 204),
        ("HTTP/1.1 304 Not Modified\nETag: \"1\"\n\n", 304),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", 200),
    ] {
        let answer = passed_through(answer).await;
        assert_eq!((answer.status(), answer.text()), (status, ""));
        assert_eq!(answer.head.header("transfer-encoding"), None);
        let length = answer.head.header("content-length");
        assert_eq!(length, (status == 200).then_some("0"), "{:?}", answer.head);
    }
}

/// All operations that are called so, and one that no service has.
#[tokio::test]
async fn an_answer_to_head_keeps_the_length_that_it_does_not_send() {
    let site = Site::start().await;
    let mediastore = "data.mediastore.us-east-1.amazonaws.com";
    for (host, service, target, operation) in [
        (S3, "s3", "/bucket", Some("HeadBucket")),
        (S3, "s3", "/bucket/key", Some("HeadObject")),
        (mediastore, "mediastore", "/a/b", Some("DescribeObject")),
        (LAMBDA, "lambda", "/2015-03-31/functions/", None),
    ] {
        let key = Key { scope: Some((service, "us-east-1")), ..site.key.clone() };
        let sign = |method: &str, target: &str| {
            key.sign(&format!("{method} {target} HTTP/1.1\nHost: {host}\nX-Amz-Content-Sha256: {{sha256}}")).bytes()
        };
        let mut client = site.tunnel(host).await;
        if operation.is_some() {
            client.send(sign("HEAD", target)).await;
            site.cloud.call().await.answer("HTTP/1.1 200 OK\nETag: \"1\"\nContent-Length: 1000\n\n").await;
            let head = client.head().await;
            assert_eq!((head.status(), head.header("content-length")), (200, Some("1000")), "{target}");
        }
        site.publish([site.only(&["kms"])]);
        client.send(sign("HEAD", target)).await;
        let refusal = client.head().await;
        assert_eq!(refusal.status(), 403, "{target}");
        // What the answer to GET would be, whose body comes whole.
        client.send(sign("GET", target)).await;
        let told = client.answer().await;
        assert!(told.text().contains("AccessDenied"), "{}", told.text());
        for name in ["content-length", "content-type", "x-amzn-errortype"] {
            assert_eq!(refusal.header(name), told.head.header(name), "{target} {name}");
        }
        assert_eq!(refusal.header("x-amzn-errortype").is_some(), service != "s3");
        assert!(refusal.header("x-amzn-requestid").is_some());
        site.publish([site.grant()]);
        let next = if operation.is_some() { target } else { "/2015-03-31/functions" };
        client.send(sign("GET", next)).await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.text(), "{}", "what follows is the next answer");
    }
    let called: Vec<_> = site.records(15).await.into_iter().map(|record| record.operation).collect();
    for (first, operation) in [(0, "HeadBucket"), (4, "HeadObject"), (8, "DescribeObject")] {
        assert_eq!(called[first].as_deref(), Some(operation));
    }
}

#[tokio::test]
async fn interim_answers_of_the_cloud_are_not_taken_for_the_answer() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 103 Early Hints\nLink: </a>\n\n").await;
    call.ok().await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text()), (200, "{}"));
}

#[tokio::test]
async fn a_cloud_that_wants_another_protocol_is_not_followed() {
    let answer = passed_through("HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n").await;
    assert_eq!(answer.status(), 502);
}
