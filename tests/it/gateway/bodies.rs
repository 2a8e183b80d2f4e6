//! Request bodies: streamed where their hash was declared, held where it has to be computed, never let through wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use csg::{gateway::Address, model::Outcome};

use super::{LIST_TABLES, UPLOAD};
use crate::harness::{Answer, DYNAMODB, Key, Signed, Site, Tls, skip, until, within_time};

const LAMBDA: &str = "lambda.us-east-1.amazonaws.com";

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

/// The form's action is in the body, so that even a declared hash does not let it stream.
#[tokio::test]
async fn a_held_body_with_a_declared_hash_is_checked_too() {
    let site = Site::start().await;
    let mut client = site.tunnel("sns.us-east-1.amazonaws.com").await;
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
async fn a_length_that_is_wrong_lets_nothing_through() {
    let site = Site::start().await;
    for (held, length, sent) in [(true, "1", "{}"), (true, "5", "{}"), (false, "1", "{}"), (false, "5", "{}")] {
        let mut client = site.tunnel(if held { DYNAMODB } else { LAMBDA }).await;
        let head = if held { LIST_TABLES.split("\n\n").next().unwrap() } else { UPLOAD };
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
                let head = LIST_TABLES.split("\n\n").next().unwrap();
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
    let head = LIST_TABLES.split("\n\n").next().unwrap();
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

fn assert_too_large(answer: &Answer) {
    assert_eq!((answer.status(), answer.head.header("x-amzn-errortype")), (413, Some("RequestEntityTooLarge")));
    assert!(answer.text().contains("larger than 1048576 bytes") && answer.text().contains("max_buffered_body"));
}

/// Many clients write all of their request before they read a byte of the answer.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_client_that_sent_it_all_can_read_so() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let head = LIST_TABLES.split("\n\n").next().unwrap();
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
    let head = LIST_TABLES.split("\n\n").next().unwrap();
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

/// The budget counts bytes, not pieces: a body of single bytes once took a kilobyte for each.
#[tokio::test]
async fn a_body_in_tiny_chunks_takes_no_more_room_than_another() {
    let site = Site::with(|plan| plan.config.max_buffered_body = 2048).await;
    let mut client = site.tunnel(DYNAMODB).await;
    let body = vec![b' '; 1000];
    let head = LIST_TABLES.split("\n\n").next().unwrap();
    let request = site.key.sign_with_body(&format!("{head}\nTransfer-Encoding: chunked"), body);
    client.send([&request.head, &"1\r\n \r\n".repeat(1000), "0\r\n\r\n"].concat()).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await.len(), 1000);
}

#[tokio::test]
async fn all_held_bodies_together_have_a_bound() {
    let site = Site::with(|plan| plan.config.max_buffered_body = 4096).await;
    let head = LIST_TABLES.split("\n\n").next().unwrap();
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
