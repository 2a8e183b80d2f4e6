//! HTTP/2 from clients: offered where SDKs need it, and then each stream is a call like any other.

use std::{future::poll_fn, time::Duration};

use csg::model::Outcome;
use h2::Reason;

use super::{LIST_TABLES, connections::futures_join};
use crate::harness::{
    Answering, DYNAMODB, H2Client, Key, Presigning, Signed, Site, Talk, answered, skip, within, within_time,
};

/// How soon an end is noticed.
const PROMISED: Duration = Duration::from_secs(5);

pub(super) const KINESIS: &str = "kinesis.us-east-1.amazonaws.com";

const LIST_STREAMS: &str = "POST / HTTP/1.1
    Host: kinesis.us-east-1.amazonaws.com
    X-Amz-Target: Kinesis_20131202.ListStreams
    Content-Type: application/x-amz-json-1.1

    {}";

/// Takes bodies of which nothing was signed.
pub(super) const LEX: &str = "runtime-v2-lex.us-east-1.amazonaws.com";

/// The key as a client of Kinesis has it.
pub(super) fn key(site: &Site) -> Key {
    Key { scope: Some(("kinesis", "us-east-1")), ..site.key.clone() }
}

/// The smallest call there is to Kinesis.
pub(super) fn list_streams(site: &Site) -> Signed {
    key(site).sign(LIST_STREAMS)
}

/// A call with a body that is not held, because nothing of it was signed.
pub(super) fn utterance(key: &Key, body: &str) -> Signed {
    let key = Key { scope: Some(("lex", "us-east-1")), ..key.clone() };
    let head = format!(
        "POST /bots/b/botAliases/a/botLocales/en/sessions/s/utterance HTTP/1.1\nHost: {LEX}\n\
         X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"
    );
    // How long it is nobody says.
    Signed { body: body.into(), ..key.sign_with_body(&head, "") }
}

#[tokio::test]
async fn it_is_offered_where_sdks_need_it_and_nowhere_else() {
    let site = Site::start().await;
    for (host, expected) in [
        (KINESIS, "h2"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "h2"),
        ("transcribestreaming.us-east-1.amazonaws.com", "h2"),
        (DYNAMODB, "http/1.1"),
        ("s3.us-east-1.amazonaws.com", "http/1.1"),
    ] {
        let wire = site.tunnel_offering_h2(host).await;
        assert_eq!(wire.io.get_ref().1.alpn_protocol(), Some(expected.as_bytes()), "{host}");
        // Who offers nothing speaks HTTP/1.1.
        assert_eq!(site.tunnel(host).await.io.get_ref().1.alpn_protocol(), None, "{host}");
    }
    let mut client = site.tunnel(KINESIS).await;
    client.send(list_streams(&site).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn streams_of_one_connection_are_calls_by_themselves() {
    let site = Site::start().await;
    let mut client = site.h2(KINESIS).await;
    let first = client.send(&list_streams(&site)).await;
    let first_call = site.cloud.call().await;
    site.real.verify(&first_call, b"{}");
    assert_eq!(first_call.head.all("host").collect::<Vec<_>>(), [KINESIS]);
    // The second is refused, the third answered, while the first still waits.
    let tampered = list_streams(&site).tampered("ListStreams", "DeleteStream");
    let (head, body) = client.call(&tampered).await;
    assert_eq!(head.status(), 403);
    assert!(String::from_utf8(body).unwrap().contains("InvalidSignatureException"));
    let third = client.send(&list_streams(&site)).await;
    site.cloud.call().await.ok().await;
    assert_eq!(answered(third).await.1, b"{}");
    first_call.ok().await;
    let (head, body) = answered(first).await;
    assert_eq!((head.status().as_u16(), &body[..]), (200, &b"{}"[..]));
    let mut outcomes: Vec<_> =
        site.records(3).await.into_iter().map(|record| (record.outcome, record.status)).collect();
    outcomes.sort_unstable_by_key(|(_, status)| *status);
    assert_eq!(outcomes, [(Outcome::Allowed, 200), (Outcome::Allowed, 200), (Outcome::Refused, 403)]);
}

#[tokio::test]
async fn answers_keep_their_form() {
    let site = Site::start().await;
    let large = "x".repeat(1_000_000);
    let cases = [
        ("HTTP/1.1 200 OK\nContent-Length: 2\nX-End: 1\nDate: Sun, 30 Aug 2015 12:36:00 GMT\n\n{}", Some("2"), "{}"),
        ("HTTP/1.1 204 No Content\n\n", None, ""),
        ("HTTP/1.1 400 Bad Request\nContent-Length: 0\n\n", Some("0"), ""),
        (
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nConnection: x-hop\nX-Hop: 1\n\n2\r\n{}\r\n0\r\n\r\n",
            None,
            "{}",
        ),
        (&format!("HTTP/1.1 200 OK\nContent-Length: 1000000\n\n{large}"), Some("1000000"), &large),
    ];
    let mut client = site.h2(KINESIS).await;
    for (answer, length, body) in cases {
        let call = client.send(&list_streams(&site)).await;
        site.cloud.call().await.answer(answer).await;
        let (head, found) = answered(call).await;
        let one = |name: &str| {
            let all: Vec<_> = head.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            assert!(all.len() < 2, "{name} {all:?}");
            all.first().copied()
        };
        assert_eq!(head.status().as_str(), &answer[9..12]);
        assert_eq!((one("content-length"), &found[..]), (length, body.as_bytes()));
        let date = one("date").unwrap();
        assert!(date.ends_with(" GMT") && (one("x-end").is_none() || date.contains("2015")), "{date}");
        assert_eq!((one("x-hop"), one("connection"), one("transfer-encoding")), (None, None, None));
    }
    // Its own words, too.
    let (head, body) = client.call(&list_streams(&site).tampered("ListStreams", "DeleteStream")).await;
    assert_eq!(head.headers()["content-length"], body.len().to_string());
    let date = head.headers()["date"].to_str().unwrap();
    assert_eq!((date.len(), &date[3..5], &date[25..]), (29, ", ", " GMT"), "clients set their clocks by it");
    // Trailers.
    let call = client.send(&list_streams(&site)).await;
    let arrived = site.cloud.call().await;
    arrived
        .answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTrailer: x-sum\n\n2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n")
        .await;
    let mut body = within("a head", call.head).await.unwrap().into_body();
    assert_eq!(within("the body", body.data()).await.unwrap().unwrap(), "{}");
    assert!(within("its end", body.data()).await.is_none());
    assert_eq!(within("trailers", body.trailers()).await.unwrap().unwrap()["x-sum"], "1");
}

/// The SDK for JavaScript signs the pseudo-header instead of `host`.
#[tokio::test]
async fn a_host_that_was_signed_as_authority_is_as_good() {
    let site = Site::start().await;
    let mut client = site.h2(KINESIS).await;
    let right = by_authority(&site, KINESIS);
    let call = client.send(&right).await;
    let arrived = site.cloud.call().await;
    site.real.verify(&arrived, b"{}");
    arrived.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
    let (head, _) = client.call(&by_authority(&site, "kinesis.eu-west-1.amazonaws.com")).await;
    assert_eq!(head.status(), 403, "signed for another host");
    // HTTP/1.1 has no such header.
    let mut client = site.tunnel(KINESIS).await;
    client.send(right.bytes()).await;
    let answer = client.answer().await;
    assert!(answer.status() >= 400 && answer.text().contains(":authority"), "{}", answer.text());
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_presigned_url_is_as_good() {
    const POLLY: &str = "polly.us-east-1.amazonaws.com";
    let site = Site::start().await;
    let how = Presigning { service: "polly", ..Presigning::S3 };
    let target = site.key.presign("GET", POLLY, "/v1/voices?LanguageCode=en-GB", &[], how);
    let request = Signed { head: format!("GET {target} HTTP/1.1\r\nHost: {POLLY}\r\n\r\n"), body: Vec::new() };
    let call = site.h2(POLLY).await.send(&request).await;
    let arrived = site.cloud.call().await;
    assert_eq!(arrived.head.first, "GET /v1/voices?LanguageCode=en-GB HTTP/1.1");
    site.real.verify(&arrived, b"");
    arrived.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
}

/// Signs `host` under the name `:authority`: what the signer has as a header beside a host that it leaves out.
fn by_authority(site: &Site, host: &str) -> Signed {
    let signed = list_streams(site);
    let date = signed.head.lines().find_map(|line| line.strip_prefix("x-amz-date: ")).unwrap();
    let names = ":authority;content-type;x-amz-date;x-amz-target";
    let canonical = format!(
        "POST\n/\n\n:authority:{host}\ncontent-type:application/x-amz-json-1.1\nx-amz-date:{date}\n\
         x-amz-target:Kinesis_20131202.ListStreams\n\n{names}\n{}",
        crate::harness::sha256(b"{}")
    );
    let scope = format!("{}/us-east-1/kinesis/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", crate::harness::sha256(canonical.as_bytes()));
    let mac = |key: &[u8], text: &str| {
        ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let secret = format!("AWS4{}", site.key.secret).into_bytes();
    let key = [&date[..8], "us-east-1", "kinesis", "aws4_request"].iter().fold(secret, |key, part| mac(&key, part));
    let authorization = format!(
        "authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        site.key.id,
        hex::encode(mac(&key, &text))
    );
    let lines = signed.head.lines().map(|line| if line.starts_with("authorization") { &authorization } else { line });
    Signed { head: lines.collect::<Vec<_>>().join("\r\n") + "\r\n", body: signed.body.clone() }
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_the_others_alone() {
    let site = Site::start().await;
    let mut client = site.h2(KINESIS).await;
    let stays = client.send(&list_streams(&site)).await;
    let stays_call = site.cloud.call().await;
    let mut goes = client.send(&list_streams(&site)).await;
    let mut goes_call = site.cloud.call().await;
    goes.stream.send_reset(Reason::CANCEL);
    within("the cloud's end", goes_call.is_given_up()).await;
    // One that the cloud breaks off.
    let broken = client.send(&list_streams(&site)).await;
    let mut broken_call = site.cloud.call().await;
    broken_call.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf").await;
    broken_call.close().await;
    let (_, mut body) = within("a head", broken.head).await.unwrap().into_parts();
    let error = loop {
        match within("the break", body.data()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a half answer that looks whole"),
        }
    };
    assert!(error.is_reset(), "{error}");
    stays_call.ok().await;
    assert_eq!(answered(stays).await.1, b"{}");
}

/// A body of which nothing was signed, nor how long it is: that it was cancelled is all that tells it from a whole one.
#[tokio::test]
async fn a_body_that_the_client_cancels_is_never_whole() {
    let site = Site::start().await;
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let mut client = site.h2(LEX).await;
        let mut call = client.begin(utterance(&site.key, "").h2_head()).await;
        call.stream.send_data("half of it".into(), false).unwrap();
        let mut arrived = site.cloud.call().await;
        assert_eq!(arrived.wire.bytes(15).await, b"A\r\nhalf of it\r\n");
        call.stream.send_reset(reason);
        let rest = arrived.body().await;
        assert!(!rest.complete && rest.bytes.is_empty(), "{reason:?}");
    }
    // One that comes to its end.
    let mut client = site.h2(LEX).await;
    let call = client.send(&utterance(&site.key, "all of it")).await;
    let mut arrived = site.cloud.call().await;
    assert_eq!(arrived.whole_body().await, b"all of it");
    arrived.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
}

/// As over HTTP/1.1: the rest is read away, so that nobody meets a closed stream instead of the answer. Not for ever.
#[tokio::test]
async fn who_sends_first_and_reads_later_reads_its_refusal() {
    let site = Site::start().await;
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    let mut client = site.h2(LEX).await;
    let mut call = client.begin(utterance(&wrong, "").h2_head()).await;
    let piece = 65_536;
    for _ in 0..40 {
        call.stream.reserve_capacity(piece);
        while call.stream.capacity() < piece {
            within("room", poll_fn(|cx| call.stream.poll_capacity(cx))).await.unwrap().unwrap();
        }
        call.stream.send_data(vec![0; piece].into(), false).unwrap();
    }
    call.stream.send_data("the end".into(), true).unwrap();
    assert_eq!(answered(call).await.0.status(), 403);
    let Answering { head, mut stream } = client.begin(utterance(&wrong, "").h2_head()).await;
    let (head, body) = within("the refusal", head).await.unwrap().into_parts();
    assert!(head.status == 403 && !Talk::new(body).rest().await.unwrap().is_empty());
    skip(Duration::from_secs(31)).await;
    let reason = within_time(PROMISED, "the reset", poll_fn(|cx| stream.poll_reset(cx))).await;
    assert_eq!(reason.unwrap(), Reason::NO_ERROR);
}

#[tokio::test]
async fn at_the_end_streams_finish_and_no_other_begins() {
    let mut site = Site::start().await;
    let mut client = site.h2(KINESIS).await;
    let call = client.send(&list_streams(&site)).await;
    let arrived = site.cloud.call().await;
    site.stop.cancel();
    within("GOAWAY", async {
        while client.sender.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    arrived.ok().await;
    assert_eq!(answered(call).await.1, b"{}");
    site.stopped().await;
    within("the connection's end", client.connection).await.unwrap().unwrap();
}

/// Who is over the limit of all connections together is told that nobody has looked at the call: it may come again.
#[tokio::test]
async fn one_call_too_many_is_refused_unread() {
    let site = Site::with(|plan| plan.config.streams = 3).await;
    let (mut first, mut second) = (site.h2(KINESIS).await, site.h2(KINESIS).await);
    let mut waiting = Vec::new();
    for number in [0, 0, 1] {
        waiting.push([&mut first, &mut second][number].send(&list_streams(&site)).await);
    }
    let mut arrived = Vec::new();
    for _ in 0..3 {
        arrived.push(site.cloud.call().await);
    }
    for client in [&mut first, &mut second] {
        let error = within("the refusal", client.send(&list_streams(&site)).await.head).await.unwrap_err();
        assert_eq!((error.reason(), error.is_remote()), (Some(Reason::REFUSED_STREAM), true));
    }
    assert!(site.cloud.is_quiet().await);
    for call in arrived {
        call.ok().await;
    }
    for call in waiting {
        assert_eq!(answered(call).await.0.status(), 200);
    }
    // Many more calls than there are places: each is answered in the end.
    let cloud = site.cloud.calls();
    let answering = tokio::spawn(async move {
        while let Some(call) = cloud.lock().await.recv().await {
            call.ok().await;
        }
    });
    let calls = (0..20).map(|number| {
        let (site, mut client) = (&site, [&first, &second][number % 2].beside());
        async move {
            loop {
                let call = client.send(&list_streams(site)).await;
                match within("an answer", call.head).await {
                    Ok(head) => return assert_eq!(head.status(), 200),
                    Err(error) => assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM)),
                }
            }
        }
    });
    futures_join(calls).await;
    answering.abort();
}

/// A client that stalls, its window closed, keeps a place for a quarter of an hour and a minute, not for ever.
#[tokio::test]
async fn an_answer_that_nobody_takes_ends_in_time() {
    let site = Site::start().await;
    let mut client = site.h2(KINESIS).await;
    let call = client.send(&list_streams(&site)).await;
    let mut arrived = site.cloud.call().await;
    arrived.send("HTTP/1.1 200 OK\nContent-Length: 10000000\n\n").await;
    let (head, mut body) = within("a head", call.head).await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    let piece = vec![0; 65_536];
    let flowing = tokio::spawn(async move { while arrived.wire.push(&piece).await.is_ok() {} });
    // The window is full.
    let mut read = 0;
    while read < 65_535 {
        read += within("the answer's begin", body.data()).await.unwrap().unwrap().len();
    }
    skip(Duration::from_mins(17)).await;
    assert!(within_time(PROMISED, "the reset", body.data()).await.unwrap().unwrap_err().is_reset());
    within_time(PROMISED, "the cloud's end", flowing).await.unwrap();
    let record = site.record().await;
    assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some("Silence")));
    // The connection has a window of its own.
    body.flow_control().release_capacity(read).unwrap();
    let call = client.send(&list_streams(&site)).await;
    site.cloud.call().await.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
}

/// A client that has gone silent does not keep the appliance from ending.
#[tokio::test]
async fn at_the_end_nobody_waits_for_a_client_that_says_nothing() {
    let mut site = Site::start().await;
    let mut wire = site.tunnel_offering_h2(KINESIS).await;
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    wire.bytes(9).await;
    site.stopped().await;
    wire.drain().await;
}

#[tokio::test]
async fn a_connection_without_streams_ends_in_time() {
    let site = Site::start().await;
    let mut client = site.h2(KINESIS).await;
    let call = client.send(&list_streams(&site)).await;
    site.cloud.call().await.ok().await;
    answered(call).await;
    let H2Client { connection, sender } = client;
    skip(Duration::from_mins(11)).await;
    within("the connection's end", connection).await.unwrap().unwrap();
    drop(sender);
}

/// What is for HTTP/1.1 stays what it was.
#[tokio::test]
async fn hosts_without_it_go_on_as_before() {
    let site = Site::start().await;
    let mut client = site.tunnel_offering_h2(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}
