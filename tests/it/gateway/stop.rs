//! A gateway that is asked to stop finishes what it has begun, and begins nothing.

use tokio::net::TcpStream;

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, Site, Wire, within};

#[tokio::test]
async fn a_call_in_flight_finishes_and_then_serving_ends() {
    let mut site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf ").await;
    client.head().await;
    site.stop.cancel();
    assert_eq!(client.bytes(5).await, b"half ");
    call.send("whole").await;
    assert_eq!(client.bytes(5).await, b"whole");
    client.ends().await;
    site.stopped().await;
    assert_eq!(site.record().await.status, 200);
}

#[tokio::test]
async fn a_call_that_waits_for_its_answer_finishes_too() {
    let mut site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let call = site.cloud.call().await;
    site.stop.cancel();
    call.ok().await;
    assert_eq!(client.answer().await.text(), "{}");
    client.ends().await;
    site.stopped().await;
}

#[tokio::test]
async fn idle_connections_of_all_kinds_are_closed() {
    let mut site = Site::start().await;
    let mut silent = site.connect().await;
    let mut asked = site.connect().await;
    asked.send("GET /healthz HTTP/1.1\r\nHost: csg\r\n\r\n").await;
    asked.answer().await;
    let mut before_tls = site.proxied(DYNAMODB).await;
    let mut unused = site.tunnel(DYNAMODB).await;
    let mut used = site.tunnel(DYNAMODB).await;
    used.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    used.answer().await;

    site.stopped().await;
    silent.ends().await;
    asked.ends().await;
    before_tls.ends().await;
    unused.ends().await;
    used.ends().await;
}

/// A restart under systemd loses nobody: its sockets go on listening, and who was let in before is heard.
#[tokio::test]
async fn who_was_let_in_before_and_speaks_at_once_is_answered() {
    let mut site = Site::start().await;
    let mut asking = site.connect().await;
    let mut tunnel = site.tunnel(DYNAMODB).await;
    // The gateway has both, as it takes connections in their order.
    is_healthy(&mut site.connect().await).await;
    site.stop.cancel();
    is_healthy(&mut asking).await;
    tunnel.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(tunnel.answer().await.text(), "{}");
    site.stopped().await;
}

async fn is_healthy(client: &mut Wire<TcpStream>) {
    client.send("GET /healthz HTTP/1.1\r\nHost: csg\r\n\r\n").await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn new_connections_are_refused() {
    let mut site = Site::start().await;
    site.stopped().await;
    let refused = within("a refusal", TcpStream::connect(site.address)).await;
    assert_eq!(refused.err().unwrap().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_refused_request_whose_body_does_not_come_is_not_waited_for() {
    let mut site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send("POST / HTTP/1.1\r\nHost: dynamodb.us-east-1.amazonaws.com\r\nContent-Length: 10\r\n\r\n").await;
    assert_eq!(client.answer().await.status(), 403);
    site.stopped().await;
}
