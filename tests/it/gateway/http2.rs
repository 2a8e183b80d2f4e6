//! HTTP/2 from clients: offered where SDKs need it, and then each stream is a call like any other.

use std::time::Duration;

use csg::model::Outcome;
use h2::Reason;

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, H2Client, Key, Presigning, Signed, Site, answered, skip, within};

pub(super) const KINESIS: &str = "kinesis.us-east-1.amazonaws.com";

const LIST_STREAMS: &str = "POST / HTTP/1.1
    Host: kinesis.us-east-1.amazonaws.com
    X-Amz-Target: Kinesis_20131202.ListStreams
    Content-Type: application/x-amz-json-1.1

    {}";

/// The key as a client of Kinesis has it.
pub(super) fn key(site: &Site) -> Key {
    Key { scope: Some(("kinesis", "us-east-1")), ..site.key.clone() }
}

/// The smallest call there is to Kinesis.
pub(super) fn list_streams(site: &Site) -> Signed {
    key(site).sign(LIST_STREAMS)
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
    const HOST: &str = "runtime-v2-lex.us-east-1.amazonaws.com";
    let site = Site::start().await;
    let key = Key { scope: Some(("lex", "us-east-1")), ..site.key.clone() };
    let head = format!(
        "POST /bots/b/botAliases/a/botLocales/en/sessions/s/utterance HTTP/1.1\nHost: {HOST}\n\
         X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"
    );
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let mut client = site.h2(HOST).await;
        let mut call = client.begin(key.sign_with_body(&head, "").h2_head()).await;
        call.stream.send_data("half of it".into(), false).unwrap();
        let mut arrived = site.cloud.call().await;
        assert_eq!(arrived.wire.bytes(15).await, b"A\r\nhalf of it\r\n");
        call.stream.send_reset(reason);
        let rest = arrived.body().await;
        assert!(!rest.complete && rest.bytes.is_empty(), "{reason:?}");
    }
    // One that comes to its end.
    let mut client = site.h2(HOST).await;
    let call = client.send(&key.sign_with_body(&head, "all of it")).await;
    let mut arrived = site.cloud.call().await;
    assert_eq!(arrived.whole_body().await, b"all of it");
    arrived.ok().await;
    assert_eq!(answered(call).await.0.status(), 200);
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
