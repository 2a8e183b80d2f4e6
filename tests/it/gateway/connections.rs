//! Connections are kept on both sides, and what goes over one stays in order.

use std::time::Duration;

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, Site, skip};

#[tokio::test]
async fn both_connections_are_kept_from_call_to_call() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    for _ in 0..5 {
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        let call = site.cloud.call().await;
        assert_eq!(call.connection, 1);
        call.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
    // Another client's call goes over the same connection to the cloud.
    let mut other = site.tunnel(DYNAMODB).await;
    other.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(other.answer().await.status(), 200);
    assert_eq!(site.cloud.connections(), 1);
}

#[tokio::test]
async fn a_connection_to_one_host_is_never_used_for_another() {
    let site = Site::start().await;
    for (host, connection) in [(DYNAMODB, 1), ("dynamodb.eu-west-1.amazonaws.com", 2)] {
        let mut client = site.tunnel(host).await;
        client.send(site.key.sign(&LIST_TABLES.replace(DYNAMODB, host)).bytes()).await;
        let call = site.cloud.call().await;
        assert_eq!((call.connection, call.sni.as_str()), (connection, host));
        call.ok().await;
        client.answer().await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let refused = site.key.sign(LIST_TABLES).tampered("Signature=", "Signature=f");
    let requests = [site.key.sign(LIST_TABLES), refused, site.key.sign(&LIST_TABLES.replace("{}", "{ }"))];
    client.send(requests.map(|request| request.bytes()).concat()).await;

    let mut first = site.cloud.call().await;
    assert_eq!(first.whole_body().await, b"{}");
    assert!(client.is_quiet().await && site.cloud.is_quiet().await);
    first.answer("HTTP/1.1 200 OK\nContent-Length: 3\n\none").await;
    let mut third = site.cloud.call().await;
    assert_eq!(third.whole_body().await, b"{ }");
    third.answer("HTTP/1.1 200 OK\nContent-Length: 5\n\nthree").await;

    assert_eq!(client.answer().await.text(), "one");
    assert_eq!(client.answer().await.status(), 400);
    assert_eq!(client.answer().await.text(), "three");
}

#[tokio::test]
async fn a_client_that_asks_to_close_is_obeyed() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(&LIST_TABLES.replacen("\n\n", "\n+ Connection: close\n\n", 1)).bytes()).await;
    site.cloud.call().await.ok().await;
    let answer = client.answer().await;
    assert_eq!(answer.head.header("connection"), Some("close"));
    client.ends().await;
    // The connection to the cloud is none of its business.
    let mut other = site.tunnel(DYNAMODB).await;
    other.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert_eq!(site.cloud.call().await.connection, 1);
}

#[tokio::test]
async fn a_cloud_that_closes_after_its_answer_is_called_anew() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    for connection in 1..=2 {
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        let mut call = site.cloud.call().await;
        assert_eq!(call.connection, connection);
        call.send("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\n{}").await;
        call.is_given_up().await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.head.header("connection")), (200, None));
    }
}

#[tokio::test]
async fn calls_of_many_clients_at_once_do_not_mix() {
    let site = Site::start().await;
    let answers = tokio::spawn({
        let count = 50;
        let cloud = site.cloud.calls();
        async move {
            for _ in 0..count {
                let mut call = cloud.lock().await.recv().await.unwrap();
                tokio::spawn(async move {
                    let body = String::from_utf8(call.whole_body().await).unwrap();
                    call.answer(&format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n{body}", body.len())).await;
                });
            }
        }
    });
    let clients = (0..50).map(|number| {
        let site = &site;
        async move {
            let mut client = site.tunnel(DYNAMODB).await;
            let body = format!("{{\"n\":{number}}}");
            client.send(site.key.sign(&LIST_TABLES.replace("{}", &body)).bytes()).await;
            assert_eq!(client.answer().await.text(), body);
        }
    });
    futures_join(clients).await;
    answers.await.unwrap();
    assert_eq!(site.records(50).await.len(), 50);
}

/// Runs all of `futures` at once, on this thread.
pub(super) async fn futures_join<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn a_client_has_five_minutes_for_its_next_request() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    // Counted from the end of the call before, however long that took.
    for _ in 0..3 {
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        let call = site.cloud.call().await;
        skip(Duration::from_mins(6)).await;
        call.ok().await;
        assert_eq!(client.answer().await.status(), 200);
        skip(Duration::from_mins(4)).await;
    }
    skip(Duration::from_mins(2)).await;
    client.ends().await;
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_ends_the_connection() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    for byte in b"POST / HTTP/1.1\r\n" {
        client.send([*byte]).await;
        skip(Duration::from_secs(20)).await;
    }
    client.ends().await;
}
