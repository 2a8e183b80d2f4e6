//! Bodies that are not signed (`UNSIGNED-PAYLOAD`): where AWS allows it, and nowhere else.

use crate::harness::{Call, DYNAMODB, LAMBDA, ROUTE53, S3, SNS, Signed, Site, Tls};

/// A call with this request line to this host, its body not signed.
fn unsigned(site: &Site, line: &str, host: &str, headers: &str, body: &str) -> Signed {
    let head = format!("{line} HTTP/1.1\nHost: {host}\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\n{headers}");
    site.key.sign_with_body(&head, body)
}

async fn assert_arrives(site: &Site, client: &mut Tls, request: Vec<u8>, body: &[u8]) {
    client.send(request).await;
    let mut call: Call = site.cloud.call().await;
    assert_eq!(call.head.header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
    site.real.verify(&call, b"");
    assert!(call.whole_body().await == body);
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn s3_takes_any_body_unsigned() {
    let site = Site::start().await;
    let mut client = site.tunnel(S3).await;
    let request = unsigned(&site, "PUT /bucket/key", S3, "", "hello world");
    assert_arrives(&site, &mut client, request.bytes(), b"hello world").await;
    let request = unsigned(&site, "GET /bucket/key", S3, "", "");
    assert_arrives(&site, &mut client, request.bytes(), b"").await;
    // In chunks, whose trailers nobody vouches for.
    let head = unsigned(&site, "PUT /bucket/key", S3, "+ Transfer-Encoding: chunked", "").head;
    let body = "5\r\nhello\r\n0\r\nX-Evil: 1\r\n\r\n";
    assert_arrives(&site, &mut client, [head.as_bytes(), body.as_bytes()].concat(), b"hello").await;
    let record = site.records(3).await.remove(0);
    assert_eq!((record.bytes_in, record.operation.as_deref()), (11, Some("PutObject")));
}

/// `v4-unsigned-body` in botocore's models.
#[tokio::test]
async fn an_operation_whose_model_allows_it_takes_its_body_unsigned() {
    let site = Site::start().await;
    let host = "ebs.us-east-1.amazonaws.com";
    let mut client = site.tunnel(host).await;
    let request = unsigned(&site, "PUT /snapshots/snap-1/blocks/0", host, "", "data");
    assert_arrives(&site, &mut client, request.bytes(), b"data").await;
    // Its neighbour must be signed.
    client.send(unsigned(&site, "POST /snapshots", host, "", "{}").bytes()).await;
    assert_eq!(client.answer().await.status(), 403);
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn elsewhere_a_body_must_be_signed() {
    let site = Site::start().await;
    for (line, host) in [
        ("POST /", DYNAMODB),
        ("POST /", SNS),
        ("PUT /2015-03-31/functions/f/code", LAMBDA),
        ("GET /2015-03-31/functions", LAMBDA),
        ("GET /2013-04-01/hostedzone", ROUTE53),
    ] {
        let mut client = site.tunnel(host).await;
        client.send(unsigned(&site, line, host, "+ Expect: 100-continue", "{}").head).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 403, "{line} {host}");
        assert!(answer.text().contains("UNSIGNED-PAYLOAD"), "{}", answer.text());
    }
    assert!(site.cloud.is_quiet().await);
}

/// A wrong signature is no better for saying nothing about the body.
#[tokio::test]
async fn the_head_of_an_unsigned_body_is_verified_all_the_same() {
    let site = Site::start().await;
    let request = unsigned(&site, "PUT /bucket/key", S3, "", "hello world");
    for request in
        [request.tampered("/bucket/key", "/bucket/kez"), request.tampered("UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOADS")]
    {
        let mut client = site.tunnel(S3).await;
        client.send(request.bytes()).await;
        assert!(matches!(client.answer().await.status(), 400 | 403));
    }
    assert!(site.cloud.is_quiet().await);
}

/// The client says how long it is, and goes away before.
#[tokio::test]
async fn an_unsigned_body_that_breaks_off_never_arrives_whole() {
    let site = Site::start().await;
    let request = unsigned(&site, "PUT /bucket/key", S3, "+ Content-Length: 12", "hello world");
    let mut client = site.tunnel(S3).await;
    client.send(request.bytes()).await;
    let mut call = site.cloud.call().await;
    drop(client);
    assert!(!call.body().await.complete);
}
