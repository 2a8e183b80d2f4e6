//! Bodies whose hash has to be computed and that are too large for memory: kept in a sealed file, bounded, and refused
//! in the client's own words where even that can't be done. What the file holds is tested where it is written.

use csg::model::Outcome;

use super::{LIST_TABLES, head_of};
use crate::harness::{Answer, DYNAMODB, Site, Tls};

const MIB: usize = 1024 * 1024;

/// Memory for 1 MiB, files for 4 MiB each and 6 MiB together.
async fn site() -> Site {
    Site::with(|plan| {
        plan.config.spool.max_body = 4 * MIB as u64;
        plan.config.spool.max_total = 6 * MIB as u64;
    })
    .await
}

fn body(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

/// A client that has sent a whole call with this body.
async fn sent(site: &Site, body: &[u8], in_chunks: bool) -> Tls {
    let mut client = site.tunnel(DYNAMODB).await;
    let framing = if in_chunks { "+ Transfer-Encoding: chunked" } else { "" };
    let request = site.key.sign_with_body(&format!("{}\n{framing}", head_of(LIST_TABLES)), body);
    client.send(&request.head).await;
    if in_chunks {
        for piece in body.chunks(100_000) {
            client.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await;
        }
        client.send("0\r\n\r\n").await;
    } else {
        client.push(body).await.unwrap();
    }
    client
}

fn assert_unavailable(answer: &Answer, words: &str) {
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (503, Some("ServiceUnavailable")));
    assert!(answer.text().contains(words), "{}", answer.text());
}

#[tokio::test]
async fn a_body_too_large_for_memory_arrives_under_its_own_hash() {
    let site = site().await;
    for in_chunks in [false, true] {
        for length in [MIB + 1, 2 * MIB, 4 * MIB] {
            let body = body(length);
            let (client, call) = tokio::join!(sent(&site, &body, in_chunks), site.cloud.call());
            let (mut client, mut call) = (client, call);
            assert_eq!(
                call.head.header("content-length").map_or(length.to_string(), str::to_owned),
                length.to_string()
            );
            let arrived = call.whole_body().await;
            assert!(arrived == body, "{length}");
            site.real.verify(&call, &arrived);
            call.ok().await;
            assert_eq!(client.answer().await.status(), 200);
        }
    }
    assert_eq!(site.records(6).await[0].bytes_in, MIB as u64 + 1);
}

#[tokio::test]
async fn a_body_too_large_for_a_file_is_refused() {
    let site = site().await;
    for in_chunks in [false, true] {
        let mut client = sent(&site, &body(4 * MIB + 1), in_chunks).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (413, Some("RequestEntityTooLarge")));
        assert!(answer.text().contains("4194304") && answer.text().contains("gateway.max_spooled_body"));
    }
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn all_files_together_have_a_bound_and_small_calls_need_none() {
    // More than all buffers on the way to the cloud take: it is in its file until the cloud has taken it.
    let site = Site::with(|plan| {
        plan.config.spool.max_body = 24 * MIB as u64;
        plan.config.spool.max_total = 30 * MIB as u64;
    })
    .await;
    let body = body(24 * MIB);
    let (mut first, mut call) = tokio::join!(sent(&site, &body, false), site.cloud.call());
    let mut second = sent(&site, &body, false).await;
    assert_unavailable(&second.answer().await, "too many large requests at one time");
    let mut small = site.tunnel(DYNAMODB).await;
    small.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(small.answer().await.status(), 200);
    assert!(call.whole_body().await == body);
    call.ok().await;
    assert_eq!(first.answer().await.status(), 200);
    // Its room is free again.
    let (mut third, mut call) = tokio::join!(sent(&site, &body, false), site.cloud.call());
    assert!(call.whole_body().await == body);
    call.ok().await;
    assert_eq!(third.answer().await.status(), 200);
}

#[tokio::test]
async fn a_wrong_signature_is_found_before_a_byte_leaves() {
    let site = site().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let mut request = site.key.sign_with_body(head_of(LIST_TABLES), body(3 * MIB));
    request.body[2 * MIB] ^= 1;
    client.send(request.bytes()).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (403, Some("InvalidSignatureException")));
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_room_back() {
    let site = site().await;
    let request = site.key.sign_with_body(head_of(LIST_TABLES), body(4 * MIB));
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(&request.head).await;
    client.send(&request.body[..4 * MIB - 1]).await;
    drop(client);
    assert_eq!(site.record().await.outcome, Outcome::Cut);
    let body = body(4 * MIB);
    let (_client, mut call) = tokio::join!(sent(&site, &body, false), site.cloud.call());
    assert!(call.whole_body().await == body);
}

/// A disk that fails fails one call, and says so; others need no disk.
#[tokio::test]
async fn a_disk_that_fails_is_told_and_nobody_else_is_harmed() {
    let site = Site::with(|plan| {
        plan.config.spool.max_body = 4 * MIB as u64;
        plan.config.spool.directory = "/dev/null/spool".into();
    })
    .await;
    let mut client = sent(&site, &body(2 * MIB), false).await;
    assert_unavailable(&client.answer().await, "can't be kept on disk");
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}
