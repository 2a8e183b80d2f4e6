//! Request bodies: streamed where their hash was declared, held where it has to be computed, never let through wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use csg::model::Outcome;

use super::{LIST_TABLES, UPLOAD, head_of};
use crate::harness::{Answer, DYNAMODB, LAMBDA, Signed, Site, skip, until, within_time};

/// What a large body is in these tests: far more than all buffers on the way together, and than may be held.
const LARGE: usize = 24 * 1024 * 1024;

/// An upload with `headers` beside the usual ones.
fn upload(site: &Site, headers: &str, body: impl Into<Vec<u8>>) -> Signed {
    site.key.sign_with_body(&format!("{UPLOAD}\n{headers}"), body)
}

/// The head of an upload in chunks; the body is the test's to frame.
fn chunked(site: &Site, body: impl Into<Vec<u8>>) -> String {
    upload(site, "Transfer-Encoding: chunked", body).head
}

fn assert_hash_mismatch(answer: &Answer) {
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (403, Some("InvalidSignatureException")));
    assert!(answer.text().contains("'x-amz-content-sha256' header does not match"), "{}", answer.text());
}

/// Whatever of a call has reached the cloud, it was no whole request.
async fn assert_nothing_whole_arrived(site: &Site) {
    for mut call in site.cloud.arrived().await {
        assert!(!call.body().await.complete, "{:?}", call.head);
    }
}

#[tokio::test]
async fn an_upload_with_a_declared_hash_arrives_while_the_client_still_sends() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "", vec![b'x'; 1_000_000]);
    client.send(&request.head).await;
    client.send(&request.body[..200_000]).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.head.header("content-length"), Some("1000000"));
    call.wire.bytes(100_000).await;
    client.send(&request.body[200_000..]).await;
    call.wire.bytes(900_000).await;
    site.real.verify(&call, &request.body);
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    assert_eq!(site.record().await.bytes_in, 1_000_000);
}

#[tokio::test]
async fn large_bodies_flow_both_ways() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let body = (0..=250).collect::<Vec<u8>>().repeat(LARGE / 251);
    let length = body.len();
    let request = upload(&site, "", body);
    let there = async {
        client.send(&request.head).await;
        client.push(&request.body).await.unwrap();
        let answer = client.answer().await;
        assert_eq!(answer.status(), 200);
        assert!(answer.body.bytes == request.body, "the same comes back");
    };
    let back = async {
        let mut call = site.cloud.call().await;
        let arrived = call.whole_body().await;
        assert!(arrived == request.body, "the same arrives");
        call.send(&format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n")).await;
        call.wire.push(&arrived).await.unwrap();
        call
    };
    let ((), _call) =
        within_time(Duration::from_mins(1), "so much there and back", async { tokio::join!(there, back) }).await;
    let record = site.record().await;
    assert_eq!((record.bytes_in, record.bytes_out), (length as u64, length as u64));
}

/// What the cloud does not take, the gateway does not take from the client.
#[tokio::test]
async fn an_upload_waits_for_the_cloud_and_not_in_memory() {
    let site = Site::start().await;
    let client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "", vec![0; LARGE]);
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let mut client = client;
    let sending = tokio::spawn(async move {
        client.send(&request.head).await;
        for piece in request.body.chunks(65_536) {
            if client.push(piece).await.is_err() {
                break;
            }
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
        client
    });
    let mut call = site.cloud.call().await;
    let (mut before, mut still) = (0, 0);
    until("all buffers to be full", || {
        let now = sent.load(Ordering::SeqCst);
        still = if now == before { still + 1 } else { 0 };
        before = now;
        (still > 50).then_some(())
    })
    .await;
    assert!(before < LARGE / 2, "{before} bytes are on the way");
    let body = call.whole_body().await;
    assert_eq!(body.len(), LARGE);
    call.ok().await;
    assert_eq!(sending.await.unwrap().answer().await.status(), 200);
}

#[tokio::test]
async fn an_upload_in_chunks_goes_on_in_chunks_and_its_trailers_do_not() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    client.send(chunked(&site, "hello world")).await;
    client.send("6;name=value\r\nhello \r\n5\r\nworld\r\n0\r\nX-Evil: 1\r\n\r\n").await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.head.header("transfer-encoding"), Some("chunked"));
    let body = call.body().await;
    assert_eq!((&body.bytes[..], body.complete, body.trailers.len()), (&b"hello world"[..], true, 0));
    site.real.verify(&call, b"hello world");
}

#[tokio::test]
async fn an_empty_body_in_chunks_is_one_too() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    client.send([&chunked(&site, ""), "0\r\n\r\n"].concat()).await;
    assert_eq!(site.cloud.call().await.whole_body().await, b"");
    // Held, too.
    let mut client = site.tunnel(DYNAMODB).await;
    let request =
        site.key.sign(LIST_TABLES.replacen("\n\n", "\nTransfer-Encoding: chunked\n\n", 1).trim_end_matches("{}"));
    client.send([&request.head, "0\r\n\r\n"].concat()).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await, b"");
    site.real.verify(&call, b"");
}

/// Everything but the last piece has gone when the hash turns out wrong; the last piece never goes.
#[tokio::test]
async fn a_streamed_body_that_was_tampered_with_never_arrives_whole() {
    let site = Site::start().await;
    for size in [1, 1_000, 100_000, 3_000_000] {
        let mut request = upload(&site, "", vec![b'x'; size]);
        *request.body.last_mut().unwrap() = b'y';
        let mut client = site.tunnel(LAMBDA).await;
        let reading = async {
            client.send(request.bytes()).await;
            client.answer().await
        };
        let cloud = async {
            // A small body is refused before a byte leaves.
            if size > 1_000 {
                assert!(!site.cloud.call().await.body().await.complete);
            }
        };
        let (answer, ()) = tokio::join!(reading, cloud);
        assert_hash_mismatch(&answer);
    }
    assert_nothing_whole_arrived(&site).await;
}

#[tokio::test]
async fn a_tampered_body_in_chunks_never_gets_its_last_chunk() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    client.send(chunked(&site, "hello world")).await;
    client.send("6\r\nhello \r\n").await;
    client.send("5\r\nWORLD\r\n").await;
    client.send("0\r\n\r\n").await;
    assert_hash_mismatch(&client.answer().await);
    assert_nothing_whole_arrived(&site).await;
    let record = site.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 403));
    assert_eq!(record.operation.as_deref(), Some("UpdateFunctionCode"));
}

#[tokio::test]
async fn a_length_that_is_wrong_lets_nothing_through() {
    let site = Site::start().await;
    for (held, length, sent) in [(true, "1", "{}"), (true, "5", "{}"), (false, "1", "{}"), (false, "5", "{}")] {
        let mut client = site.tunnel(if held { DYNAMODB } else { LAMBDA }).await;
        let head = if held { head_of(LIST_TABLES) } else { UPLOAD };
        let request = site.key.sign_with_body(&format!("{head}\n+ Content-Length: {length}"), sent);
        client.send(request.bytes()).await;
        // The rest never comes: the client says that it has no more.
        client.finish().await;
        if length == "1" {
            let answer = client.answer().await;
            assert_eq!(answer.status(), 403, "{}", answer.text());
        }
        client.drain().await;
    }
    assert_nothing_whole_arrived(&site).await;
}

#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let site = Site::start().await;
    for garbage in [
        "x\r\n",
        "\r\n\r\n",
        "-1\r\n",
        "+2\r\n{}\r\n",
        "0x2\r\n{}\r\n",
        "2 3\r\n{}\r\n",
        "2\n{}\n0\n\n",
        "2\r\n{}0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}",
        "ffffffffffffffff\r\n{}",
        "2;\0\n\r\n{}\r\n",
        &format!("2;{}\r\n", "x".repeat(100_000)),
        &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
    ] {
        for held in [true, false] {
            let mut client = site.tunnel(if held { DYNAMODB } else { LAMBDA }).await;
            let head = if held {
                let head = head_of(LIST_TABLES);
                site.key.sign_with_body(&format!("{head}\nTransfer-Encoding: chunked"), "{}").head
            } else {
                chunked(&site, "{}")
            };
            let _ = client.try_send([&head, garbage].concat()).await;
            client.finish().await;
            if let Some(head) = client.try_head().await {
                assert!(matches!(head.status(), 400 | 403), "{garbage:.20}: {head:?}");
            }
            client.drain().await;
        }
    }
    assert_nothing_whole_arrived(&site).await;
}

/// A coding that we do not undo would be taken off the request, and the body would go on as something else.
#[tokio::test]
async fn transfer_codings_other_than_chunked_are_refused() {
    let site = Site::start().await;
    for coding in ["gzip, chunked", "gzip", "chunked, gzip", "identity", "chunked, chunked", "xchunked"] {
        let mut client = site.tunnel(LAMBDA).await;
        let request = upload(&site, &format!("Transfer-Encoding: {coding}"), "{}");
        client.send([&request.head, "2\r\n{}\r\n0\r\n\r\n"].concat()).await;
        assert_eq!(client.answer().await.status(), 400, "{coding}");
    }
    assert!(site.cloud.is_quiet().await);
}

/// The classic of request smuggling (RFC 9112, section 11.2).
#[tokio::test]
async fn a_request_with_two_ideas_of_its_length_goes_on_with_one() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "+ Transfer-Encoding: chunked\n+ Content-Length: 4", "hello world");
    client.send([&request.head, "b\r\nhello world\r\n0\r\n\r\n"].concat()).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(call.head.header("content-length"), None);
    assert_eq!(call.whole_body().await, b"hello world");
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    assert!(site.cloud.is_quiet().await);

    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "+ Content-Length: 2\n+ Content-Length: 11", "hello world");
    client.send(request.bytes()).await;
    assert_eq!(client.answer().await.status(), 400);
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_streamed_body_that_stalls_is_given_up() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "", vec![b'x'; 100_000]);
    client.send(&request.head).await;
    client.send(&request.body[..50_000]).await;
    let mut call = site.cloud.call().await;
    call.wire.bytes(10_000).await;
    skip(Duration::from_secs(61)).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("nothing moved for too long"), "{}", answer.text());
    assert!(!call.body().await.complete);
}

#[tokio::test]
async fn a_cloud_that_answers_before_it_has_the_body_is_heard() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "", vec![b'x'; 3_000_000]);
    let writing = async {
        client.send(request.bytes()).await;
        client.answer().await
    };
    let answering = async {
        let mut call = site.cloud.call().await;
        call.send("HTTP/1.1 400 Bad Request\nConnection: close\nContent-Length: 3\n\nno!").await;
        call.close().await;
    };
    let (answer, ()) = tokio::join!(writing, answering);
    assert_eq!((answer.status(), answer.text()), (400, "no!"));
}

/// The refusal comes from the cloud's side of the call, after a part of the body has gone.
#[tokio::test]
async fn a_client_that_sends_all_first_can_read_that_the_cloud_went_away() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "", vec![b'x'; 20_000_000]);
    let writing = async {
        client.send(request.bytes()).await;
        client.answer().await
    };
    let breaking = async {
        let mut call = site.cloud.call().await;
        call.wire.bytes(100_000).await;
        drop(call);
    };
    let (answer, ()) = tokio::join!(writing, breaking);
    assert_eq!(answer.status(), 502);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_its_body_leaves_nothing_whole_behind() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let request = upload(&site, "", vec![b'x'; 100_000]);
    client.send(&request.head).await;
    client.send(&request.body[..99_999]).await;
    let mut call = site.cloud.call().await;
    drop(client);
    assert!(!call.body().await.complete);
    let record = site.record().await;
    assert_eq!((record.outcome, record.bytes_in), (Outcome::Cut, 99_999));
}
