//! Bodies that are held, because their hash or their action has to be known first: each has a bound, and all together.

use std::time::Duration;

use csg::model::Grant;

use super::{LIST_TABLES, head_of};
use crate::harness::{Answer, DYNAMODB, Key, LAMBDA, SNS, Signed, Site, Tls, skip};

/// The largest body that the tests below hold in memory.
const LARGE: usize = 20 * 1024;

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
    let site = Site::with(|plan| plan.config.max_buffered_body = LARGE as u64).await;
    let mut holders = Vec::new();
    for machine in [2, 3, 4, 5].repeat(4) {
        holders.push(holder(&site, machine, &site.key).await);
    }
    let mut late = site.tunnel(DYNAMODB).await;
    late.send(site.key.sign(LIST_TABLES).bytes()).await;
    let (mut first, request) = holders.swap_remove(0);
    assert!(late.is_quiet().await && site.cloud.is_quiet().await);
    first.send(&request.body).await;
    let call = site.cloud.call().await;
    assert_eq!(call.head.header("content-length"), Some(&*LARGE.to_string()));
    call.ok().await;
    assert_eq!(first.answer().await.status(), 200);
    // Its place is free, so the late one has its turn.
    site.cloud.call().await.ok().await;
    assert_eq!(late.answer().await.status(), 200);
    first.send(&request.head).await;
    assert_eq!(first.head().await.status(), 100);

    // Full again: who waits for too long is told to come back.
    late.send(site.key.sign(LIST_TABLES).bytes()).await;
    // Calls without a body need no room.
    let mut other = site.tunnel(LAMBDA).await;
    other.send(site.key.sign(&format!("GET /2015-03-31/functions/ HTTP/1.1\nHost: {LAMBDA}")).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(other.answer().await.status(), 200);
    skip(Duration::from_secs(11)).await;
    assert_come_back(&late.answer().await);
}

/// Whoever knows an access key id, and ids are no secret, can begin bodies and never end them.
#[tokio::test]
async fn one_machine_leaves_the_others_their_room() {
    let site = Site::with(|plan| plan.config.max_buffered_body = LARGE as u64).await;
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    let mut holders = Vec::new();
    for _ in 0..4 {
        holders.push(holder(&site, 2, &wrong).await);
    }
    let mut more = site.tunnel_from(2, DYNAMODB).await;
    more.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert!(more.is_quiet().await);
    let mut other = site.tunnel_from(3, DYNAMODB).await;
    other.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(other.answer().await.status(), 200);
    skip(Duration::from_secs(11)).await;
    assert_come_back(&more.answer().await);
}

/// The same with files: room for four, of which a machine has one.
#[tokio::test]
async fn one_machine_leaves_the_others_their_room_on_the_disk() {
    /// More than waits in the buffers of sockets.
    const FILE: usize = 16 * 1024 * 1024;
    let site = Site::with(|plan| {
        plan.config.max_buffered_body = LARGE as u64;
        plan.config.spool.max_body = FILE as u64;
        plan.config.spool.max_total = 4 * FILE as u64;
    })
    .await;
    let request = site.key.sign_with_body(head_of(LIST_TABLES), vec![b' '; FILE]);
    let mut first = site.tunnel_from(2, DYNAMODB).await;
    first.send(request.bytes()).await;
    // The cloud has been asked, and takes nothing yet.
    let mut call = site.cloud.call().await;
    let mut second = site.tunnel_from(2, DYNAMODB).await;
    second.send(request.bytes()).await;
    assert_come_back(&second.answer().await);
    let mut other = site.tunnel_from(3, DYNAMODB).await;
    other.send(request.bytes()).await;
    let mut others = site.cloud.call().await;
    assert_eq!(others.whole_body().await.len(), FILE);
    others.ok().await;
    assert_eq!(other.answer().await.status(), 200);
    assert_eq!(call.whole_body().await.len(), FILE);
    call.ok().await;
    assert_eq!(first.answer().await.status(), 200);
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up() {
    let site = Site::start().await;
    let (mut client, request) = holder(&site, 1, &site.key).await;
    let pieces: Vec<_> = request.body.chunks(1).take(3).collect();
    for piece in pieces {
        client.send(piece).await;
        assert!(client.is_quiet().await);
        skip(Duration::from_secs(11)).await;
    }
    let answer = client.answer().await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("less than 16 KiB a second"), "{}", answer.text());
}

/// Half a mebibyte has earned half a minute more.
#[tokio::test]
async fn a_body_that_keeps_coming_has_its_time() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let request = site.key.sign_with_body(head_of(LIST_TABLES), vec![b' '; 600_000]);
    client.send(&request.head).await;
    let (begun, rest) = request.body.split_at(599_998);
    let mut pieces = vec![begun];
    pieces.extend(rest.chunks(1));
    for piece in pieces {
        client.send(piece).await;
        if piece != &rest[1..] {
            assert!(client.is_quiet().await);
            skip(Duration::from_secs(20)).await;
        }
    }
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await.len(), 600_000);
}

/// What is refused in any case is only hashed: whose it is has to be known before anybody is told why.
#[tokio::test]
async fn a_body_of_access_that_does_not_stand_takes_no_room() {
    let site = Site::with(|plan| plan.config.max_buffered_body = LARGE as u64).await;
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    let ended = Grant { active: false, ..site.grant() };
    for (grant, words) in
        [(ended, "Client is not Active"), (site.only(&["route53"]), "Client is unknown or has no access to service")]
    {
        site.publish([grant]);
        let mut holders = Vec::new();
        for key in [&site.key, &wrong].repeat(9) {
            holders.push((holder(&site, 1, key).await, key));
        }
        for ((mut client, request), key) in holders {
            client.send(&request.body).await;
            let answer = client.answer().await;
            assert_eq!(answer.status(), 403);
            let text = answer.text();
            assert_eq!(text.contains(words), key.secret == site.key.secret, "{text}");
            assert_eq!(text.contains("signature we calculated does not match"), key.secret == wrong.secret, "{text}");
        }
    }
    let records = site.records(36).await;
    let proven = records.iter().filter(|record| record.user.is_some()).count();
    assert_eq!(proven, 18, "whose signature was right is known");
    let named = records.iter().filter(|record| record.operation.as_deref() == Some("ListTables")).count();
    assert_eq!(named, 18);
    assert!(site.cloud.is_quiet().await);
}

/// A client that has announced the largest body there may be with `key`, and has been asked for it.
async fn holder(site: &Site, machine: u8, key: &Key) -> (Tls, Signed) {
    let head = head_of(LIST_TABLES);
    let request = key.sign_with_body(&format!("{head}\nExpect: 100-continue"), vec![b' '; LARGE]);
    let mut client = site.tunnel_from(machine, DYNAMODB).await;
    client.send(&request.head).await;
    assert_eq!(client.head().await.status(), 100);
    (client, request)
}

fn assert_come_back(answer: &Answer) {
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (503, Some("ServiceUnavailable")));
    assert!(answer.text().contains("too many large requests at one time"), "{}", answer.text());
}
