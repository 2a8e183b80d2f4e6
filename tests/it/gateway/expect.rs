//! `Expect: 100-continue` (RFC 9110, section 10.1.1): a client is asked for its body when somebody wants it.

use csg::gateway::Address;

use super::{LIST_TABLES, UPLOAD, head_of};
use crate::harness::{DYNAMODB, Key, LAMBDA, Signed, Site, Tls};

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
