//! Bodies that are held, because their hash or their action has to be known first: each has a bound, and all together.

use std::time::Duration;

use super::{LIST_TABLES, head_of};
use crate::harness::{Answer, DYNAMODB, LAMBDA, SNS, Site, skip};

fn assert_too_large(answer: &Answer) {
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (413, Some("RequestEntityTooLarge")));
    assert!(answer.text().contains("larger than 1048576 bytes") && answer.text().contains("max_spooled_body"));
}

/// The form's action is in the body, so that even a declared hash does not let it stream.
#[tokio::test]
async fn a_held_body_with_a_declared_hash_is_checked_too() {
    let site = Site::start().await;
    let mut client = site.tunnel(SNS).await;
    let request = site.key.sign(
        "POST / HTTP/1.1
        Host: sns.us-east-1.amazonaws.com
        Content-Type: application/x-www-form-urlencoded
        X-Amz-Content-Sha256: {sha256}

        Action=Publish&Message=a",
    );
    client.send([request.head.as_bytes(), b"Action=Publish&Message=b"].concat()).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().contains("<Code>SignatureDoesNotMatch</Code>"), "{}", answer.text());
    assert!(answer.text().contains("'x-amz-content-sha256' header does not match"), "{}", answer.text());
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_held_body_that_stalls_is_given_up() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let request = site.key.sign(&LIST_TABLES.replacen("\n\n", "\n+ Expect: 100-continue\n\n", 1));
    client.send(&request.head).await;
    assert_eq!(client.head().await.status(), 100);
    skip(Duration::from_secs(31)).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("no byte of the body for 30 seconds"), "{}", answer.text());
}

/// Many clients write all of their request before they read a byte of the answer.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_client_that_sent_it_all_can_read_so() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let head = head_of(LIST_TABLES);
    let request = site.key.sign_with_body(head, vec![b' '; 20_000_000]);
    client.send(request.bytes()).await;
    assert_too_large(&client.answer().await);
    // What was refused is read away, and the connection goes on in step.
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn a_body_in_chunks_is_refused_once_it_is_too_large() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let head = head_of(LIST_TABLES);
    let request = site.key.sign_with_body(&format!("{head}\nTransfer-Encoding: chunked"), "");
    client.send(&request.head).await;
    let chunk = [b"10000\r\n", &vec![b' '; 65_536][..], b"\r\n"].concat();
    for _ in 0..40 {
        client.send(&chunk).await;
    }
    client.send("0\r\n\r\n").await;
    assert_too_large(&client.answer().await);
    assert!(site.cloud.is_quiet().await);
}

/// What has to be read has to be in memory: no file helps.
#[tokio::test]
async fn a_body_that_has_to_be_read_is_never_kept_in_a_file() {
    let site = Site::with(|plan| plan.config.spool.max_body = 16 * 1024 * 1024).await;
    for hash in ["", "X-Amz-Content-Sha256: {sha256}"] {
        let mut client = site.tunnel(SNS).await;
        let head = format!("POST / HTTP/1.1\nHost: {SNS}\nContent-Type: application/x-www-form-urlencoded\n{hash}");
        client.send(site.key.sign_with_body(&head, vec![b'x'; 2_000_000]).bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 413);
        assert!(answer.text().contains("gateway.max_buffered_body"), "{}", answer.text());
    }
    assert!(site.cloud.is_quiet().await);
}

/// The budget counts bytes, not pieces: a body of single bytes once took a kilobyte for each.
#[tokio::test]
async fn a_body_in_tiny_chunks_takes_no_more_room_than_another() {
    let site = Site::with(|plan| plan.config.max_buffered_body = 2048).await;
    let mut client = site.tunnel(DYNAMODB).await;
    let body = vec![b' '; 1000];
    let head = head_of(LIST_TABLES);
    let request = site.key.sign_with_body(&format!("{head}\nTransfer-Encoding: chunked"), body);
    client.send([&request.head, &"1\r\n \r\n".repeat(1000), "0\r\n\r\n"].concat()).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await.len(), 1000);
}

#[tokio::test]
async fn all_held_bodies_together_have_a_bound() {
    let site = Site::with(|plan| plan.config.max_buffered_body = 4096).await;
    let head = head_of(LIST_TABLES);
    let mut holders = Vec::new();
    for _ in 0..16 {
        let request = site.key.sign_with_body(&format!("{head}\nExpect: 100-continue"), vec![b' '; 4096]);
        let mut client = site.tunnel(DYNAMODB).await;
        client.send(&request.head).await;
        assert_eq!(client.head().await.status(), 100);
        holders.push((client, request));
    }
    let mut late = site.tunnel(DYNAMODB).await;
    late.send(site.key.sign(LIST_TABLES).bytes()).await;
    let (mut first, request) = holders.swap_remove(0);
    assert!(late.is_quiet().await && site.cloud.is_quiet().await);
    first.send(&request.body).await;
    let call = site.cloud.call().await;
    assert_eq!(call.head.header("content-length"), Some("4096"));
    call.ok().await;
    assert_eq!(first.answer().await.status(), 200);
    // Its place is free, so the late one has its turn.
    site.cloud.call().await.ok().await;
    assert_eq!(late.answer().await.status(), 200);
    first
        .send([site.key.sign_with_body(&format!("{head}\nExpect: 100-continue"), vec![b' '; 4096]).head].concat())
        .await;
    assert_eq!(first.head().await.status(), 100);

    // Full again: who waits for too long is told to come back.
    late.send(site.key.sign(LIST_TABLES).bytes()).await;
    // Calls without a body need no room.
    let mut other = site.tunnel(LAMBDA).await;
    other.send(site.key.sign(&format!("GET /2015-03-31/functions/ HTTP/1.1\nHost: {LAMBDA}")).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(other.answer().await.status(), 200);
    skip(Duration::from_secs(11)).await;
    let answer = late.answer().await;
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (503, Some("ServiceUnavailable")));
    assert!(answer.text().contains("too many large requests at one time"), "{}", answer.text());
}
