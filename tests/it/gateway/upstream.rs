//! A cloud that can't be reached, or does not do what it should: the client learns which host and why, and soon.

use std::time::Duration;

use csg::{gateway::Address, model::Outcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::LIST_TABLES;
use crate::harness::{Answer, DYNAMODB, Identity, LAMBDA, ROUTE53, Site, skip, within};

/// What a client gets for a call.
async fn called(site: &Site) -> Answer {
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    client.answer().await
}

fn assert_unavailable(answer: &Answer, status: u16, why: &str) {
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (status, Some("ServiceUnavailable")));
    let text = answer.text();
    assert!(text.contains("dynamodb.us-east-1.amazonaws.com") && text.contains(why), "{text}");
}

#[tokio::test]
async fn nobody_listens() {
    let site = Site::with(|plan| plan.dial = Some(Address::Socket("127.0.0.1:1".parse().unwrap()))).await;
    assert_unavailable(
        &called(&site).await,
        502,
        "could not be reached: it can't be connected to: 127.0.0.1:1: Connection refused",
    );
}

#[tokio::test]
async fn the_name_is_not_known() {
    // RFC 2606: it never will be.
    let site = Site::with(|plan| plan.dial = Some(Address::Name("no-such-host.invalid".to_owned(), 443))).await;
    assert_unavailable(&called(&site).await, 502, "could not be reached: its name can't be resolved");
}

#[tokio::test]
async fn the_certificate_is_of_an_unknown_root() {
    let site = Site::with(|plan| plan.cloud = Identity::OfNobody).await;
    assert_unavailable(&called(&site).await, 502, "its certificate is not accepted");
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn the_certificate_is_for_another_host() {
    let site = Site::with(|plan| plan.cloud = Identity::OfAnotherHost).await;
    assert_unavailable(&called(&site).await, 502, "its certificate is not accepted");
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn the_error_has_the_form_of_the_service() {
    let site = Site::with(|plan| plan.dial = Some(Address::Socket("127.0.0.1:1".parse().unwrap()))).await;
    let mut client = site.tunnel(ROUTE53).await;
    client.send(site.key.sign("GET /2013-04-01/hostedzone HTTP/1.1\nHost: route53.amazonaws.com").bytes()).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.head.header("content-type")), (502, Some("text/xml")));
    assert!(answer.text().contains("<Code>ServiceUnavailable</Code>"), "{}", answer.text());
    assert!(answer.text().contains("<Type>Receiver</Type>"), "{}", answer.text());
}

#[tokio::test]
async fn it_takes_the_connection_and_then_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::with(|plan| plan.dial = Some(Address::Socket(address))).await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let (mut silent, _) = within("the gateway's connection", listener.accept()).await.unwrap();
    let hello = within("the gateway's hello", silent.read_u8()).await;
    assert_eq!(hello.unwrap(), 22);
    skip(Duration::from_secs(11)).await;
    assert_unavailable(&client.answer().await, 502, "did not answer the connection attempt in time");
}

#[tokio::test]
async fn it_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::with(|plan| plan.dial = Some(Address::Socket(address))).await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_unavailable(&called(&site).await, 502, "TLS failed");
}

#[tokio::test]
async fn it_closes_or_talks_nonsense_instead_of_answering() {
    for answer in
        ["", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-OpenSSH_10.0\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: x\n\n"]
    {
        let site = Site::start().await;
        let mut client = site.tunnel(DYNAMODB).await;
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        let mut call = site.cloud.call().await;
        call.send(answer).await;
        call.close().await;
        assert_unavailable(&client.answer().await, 502, "the connection broke before it answered");
        assert_eq!(site.record().await.outcome, Outcome::Failed);
        // The connection to the client is as good as before.
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
}

#[tokio::test]
async fn it_closes_an_idle_connection() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    for connection in 1..=3 {
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        let mut call = site.cloud.call().await;
        assert_eq!(call.connection, connection);
        call.send("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}").await;
        assert_eq!(client.answer().await.status(), 200);
        call.close().await;
    }
}

/// A Lambda function may run for 15 minutes.
#[tokio::test]
async fn it_thinks_for_a_quarter_of_an_hour_and_then_answers() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let call = site.cloud.call().await;
    skip(Duration::from_mins(15)).await;
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn it_never_answers() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    skip(Duration::from_mins(17)).await;
    assert_unavailable(&client.answer().await, 504, "nothing came for 16 minutes");
    call.is_given_up().await;
    let record = site.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Failed, 504));
}

#[tokio::test]
async fn it_stops_in_the_middle_of_its_answer() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf ").await;
    let head = client.head().await;
    assert_eq!(client.bytes(5).await, b"half ");
    skip(Duration::from_mins(17)).await;
    assert!(!client.body(&head).await.complete);
    call.is_given_up().await;
    assert_eq!(site.record().await.error.as_deref(), Some("Silence"));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_call_along() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    drop(client);
    call.is_given_up().await;
    // Nor is that connection used again.
    let mut other = site.tunnel(DYNAMODB).await;
    other.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert_eq!(site.cloud.call().await.connection, 2);
}

#[tokio::test]
async fn a_connection_that_nobody_needs_is_closed_soon() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}").await;
    assert_eq!(client.answer().await.status(), 200);
    skip(Duration::from_secs(21)).await;
    call.is_given_up().await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let call = site.cloud.call().await;
    assert_eq!(call.connection, 2);
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

/// What is left of the request would be taken for the next one.
#[tokio::test]
async fn a_connection_whose_request_was_answered_half_way_is_not_used_again() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = site.key.sign_with_body(super::UPLOAD, vec![b' '; 100_000]);
    client.send(&request.head).await;
    client.send(&request.body[..50_000]).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 400 Bad Request\nContent-Length: 2\n\n{}").await;
    assert_eq!(client.head().await.status(), 400);
    call.is_given_up().await;
    let mut other = site.tunnel(LAMBDA).await;
    let request = site.key.sign_with_body(super::UPLOAD, vec![b' '; 10]);
    other.send(request.bytes()).await;
    let mut call = site.cloud.call().await;
    assert_eq!((call.connection, call.whole_body().await.len()), (2, 10));
}
