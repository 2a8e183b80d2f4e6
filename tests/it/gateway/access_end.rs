//! Access that ends: the next call is refused, and what is in flight is cut.

use std::time::{Duration, Instant};

use csg::model::{Grant, Outcome};
use tokio::task::JoinHandle;

use super::LIST_TABLES;
use crate::harness::{Call, DYNAMODB, LAMBDA, Site, Tls, skip, until, within, within_time};

/// What the contract promises.
const PROMISED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_next_request_on_an_open_connection_is_refused() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);

    site.revoke();
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.text(), r#"{"__type":"AccessDeniedException","message":"Client is not Active"}"#);

    // Given again, it works again, on the same connection.
    site.publish([site.grant()]);
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);

    site.publish([]);
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert_eq!(client.answer().await.head.header("x-amzn-errortype"), Some("UnrecognizedClientException"));
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_key_works_until_the_moment_it_expires() {
    let site = Site::start().await;
    site.expire_in(Duration::from_hours(1));
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    site.expire_in(Duration::ZERO);
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert!(client.answer().await.text().contains("Client is not Active"));
}

/// A call whose answer has begun and does not end.
async fn downloading(site: &Site) -> (Tls, Call) {
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 200 OK\nContent-Length: 1000000000\n\nthe beginning").await;
    let head = client.head().await;
    assert_eq!(head.status(), 200);
    client.bytes(13).await;
    (client, call)
}

#[tokio::test]
async fn a_download_in_flight_is_cut_by_revocation_and_the_record_says_so() {
    let site = Site::start().await;
    let (mut client, mut call) = downloading(&site).await;
    site.revoke();
    within_time(PROMISED, "the client's end", client.drain()).await;
    within_time(PROMISED, "the cloud's end", call.is_given_up()).await;

    let record = site.record().await;
    assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("AccessEnded")));
    assert_eq!((record.status, record.bytes_out), (200, 13));
}

#[tokio::test]
async fn a_download_in_flight_is_cut_when_the_grant_is_gone_altogether() {
    let site = Site::start().await;
    let (mut client, mut call) = downloading(&site).await;
    site.publish([]);
    within_time(PROMISED, "the client's end", client.drain()).await;
    within_time(PROMISED, "the cloud's end", call.is_given_up()).await;
}

#[tokio::test]
async fn a_download_in_flight_is_cut_at_expiry() {
    let site = Site::start().await;
    let expiry = Duration::from_millis(700);
    let from = Instant::now();
    site.expire_in(expiry);
    let (mut client, mut call) = downloading(&site).await;
    client.drain().await;
    call.is_given_up().await;
    assert!(from.elapsed() >= expiry && from.elapsed() < expiry + PROMISED, "{:?}", from.elapsed());
    assert_eq!(site.record().await.error.as_deref(), Some("AccessEnded"));
}

#[tokio::test]
async fn a_download_that_flows_all_the_time_is_cut_too() {
    let site = Site::start().await;
    let (mut client, mut call) = downloading(&site).await;
    let flowing = tokio::spawn(async move { while call.wire.try_send([0; 100]).await.is_ok() {} });
    client.bytes(10_000).await;
    site.revoke();
    within_time(PROMISED, "the client's end", client.drain()).await;
    within_time(PROMISED, "the cloud's end", flowing).await.unwrap();
}

/// A download whose client reads nothing, once no more of it is taken from the cloud: the client, what sends for the cloud,
/// and how many bytes it could send.
async fn stuck(site: &Site) -> (Tls, JoinHandle<()>, usize) {
    let (client, mut call) = downloading(site).await;
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (count, piece) = (std::sync::Arc::clone(&sent), vec![0; 65_536]);
    let flowing = tokio::spawn(async move {
        while call.wire.push(&piece).await.is_ok() {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let (mut before, mut still) = (0, 0);
    until("all buffers to be full", || {
        let now = sent.load(std::sync::atomic::Ordering::SeqCst);
        still = if now == before { still + 1 } else { 0 };
        before = now;
        (still > 50).then_some(())
    })
    .await;
    (client, flowing, before * 65_536)
}

/// A client that does not read keeps the gateway from asking for the next piece of the answer, which is where it looks
/// whether access stands.
#[tokio::test]
async fn a_download_whose_client_reads_nothing_is_cut_too() {
    let site = Site::start().await;
    let (client, flowing, taken) = stuck(&site).await;
    assert!(taken < 32 * 1024 * 1024, "{taken} bytes were taken from the cloud and kept in memory");
    site.revoke();
    within_time(PROMISED, "the cloud's end", flowing).await.unwrap();
    let record = within_time(PROMISED, "the record", site.record()).await;
    assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("AccessEnded")));
    drop(client);
}

/// It ends by itself, too: a client that hangs shall not hold a place and a connection to the cloud until its access ends.
#[tokio::test]
async fn a_download_whose_client_reads_nothing_is_given_up_after_a_while() {
    let site = Site::start().await;
    let (client, flowing, _) = stuck(&site).await;
    skip(Duration::from_mins(17)).await;
    within_time(PROMISED, "the cloud's end", flowing).await.unwrap();
    let record = within_time(PROMISED, "the record", site.record()).await;
    assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("Silence")));
    drop(client);
}

#[tokio::test]
async fn a_call_that_waits_for_its_answer_is_told_no() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    site.revoke();
    let answer = within_time(PROMISED, "the answer", client.answer()).await;
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (403, Some("AccessDeniedException")));
    within_time(PROMISED, "the cloud's end", call.is_given_up()).await;

    let record = site.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 403));
    assert_eq!(record.operation.as_deref(), Some("ListTables"));
}

#[tokio::test]
async fn an_upload_in_flight_is_cut() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = site.key.sign_with_body(super::UPLOAD, vec![b' '; 100_000]);
    client.send(&request.head).await;
    client.send(&request.body[..50_000]).await;
    let mut call = site.cloud.call().await;
    call.wire.bytes(10_000).await;
    site.revoke();
    let answer = within_time(PROMISED, "the answer", client.answer()).await;
    assert_eq!(answer.status(), 403);
    let body = within_time(PROMISED, "the cloud's end", call.body()).await;
    assert!(!body.complete);
}

#[tokio::test]
async fn a_call_whose_access_ends_while_its_body_arrives_never_leaves() {
    let site = Site::start().await;
    for gone in [false, true] {
        site.publish([site.grant()]);
        let mut client = site.tunnel(DYNAMODB).await;
        let request = site.key.sign(&LIST_TABLES.replacen("\n\n", "\n+ Expect: 100-continue\n\n", 1));
        client.send(&request.head).await;
        assert_eq!(client.head().await.status(), 100, "it is past the first look at the grant");
        if gone {
            site.publish([]);
        } else {
            site.revoke();
        }
        client.send(&request.body).await;
        assert!(client.answer().await.text().contains("Client is not Active"));
    }
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn what_does_not_concern_a_grant_leaves_its_calls_alone() {
    let site = Site::start().await;
    let (mut client, mut call) = downloading(&site).await;
    site.publish([Grant { services: Vec::new(), ..site.grant() }]);
    call.send(" goes on").await;
    assert_eq!(client.bytes(8).await, b" goes on");
    within("more", async { site.publish([site.grant()]) }).await;
    call.send(" and on").await;
    assert_eq!(client.bytes(7).await, b" and on");
}
