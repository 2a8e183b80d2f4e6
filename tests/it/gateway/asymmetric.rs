//! SigV4A: verified with a public key that follows from the client's secret, made anew with one that follows from the real.

use std::time::Duration;

use aws_sigv4::sign::v4a;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{PublicKey, SecretKey, elliptic_curve::sec1::ToSec1Point};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::harness::{Answer, Call, Chunks, DYNAMODB, Key, Presigning, S3, Site, sha256};

const EVENTS: &str = "events.us-east-1.amazonaws.com";
const TARGET: (&str, &str) = ("x-amz-target", "AWSEvents.ListEventBuses");

/// A signed call to `EventBridge` for these regions.
fn list(key: &Key, scope: (&str, &str)) -> String {
    let signature = key.asymmetric("POST", EVENTS, "/", &[TARGET], b"{}", scope);
    format!(
        "POST / HTTP/1.1\r\nHost: {EVENTS}\r\nX-Amz-Target: {}\r\n{signature}Content-Length: 2\r\n\r\n{{}}",
        TARGET.1
    )
}

const SIGNED: &str = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// The line of the trailer, computed by other code than the gateway's.
fn crc32(data: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    format!("x-amz-checksum-crc32:{}", STANDARD.encode(crc.sum().to_be_bytes()))
}

/// An upload in chunks of 8 KiB, of this form: its head, without the length of its body, and its body.
fn upload(key: &Key, form: &str, data: &[u8]) -> (String, Vec<u8>) {
    let trailer = form.ends_with("TRAILER").then(|| crc32(data));
    let length = data.len().to_string();
    let mut headers = vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", &*length)];
    headers.extend(trailer.is_some().then_some(("x-amz-trailer", "x-amz-checksum-crc32")));
    let signature = key.asymmetric_of("PUT", S3, "/bucket/key", &headers, form, ("s3", "us-*"));
    let headers: String = headers.iter().map(|(name, value)| [*name, ": ", *value, "\r\n"].concat()).collect();
    let head = format!("PUT /bucket/key HTTP/1.1\r\nHost: {S3}\r\n{headers}{signature}");
    let mut chunks = if form == UNSIGNED_TRAILER { Chunks::unsigned() } else { Chunks::after(key, &head) };
    let body = chunks.body(data, 8192, trailer.as_deref());
    (head, body)
}

/// The whole of it on the wire; this `body` need not be the one that was signed.
fn on_the_wire(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

async fn refused(site: &Site, host: &str, request: String) -> Answer {
    let mut client = site.tunnel(host).await;
    client.send(request).await;
    let answer = client.answer().await;
    assert!(site.cloud.is_quiet().await);
    answer
}

/// Verifies by the published algorithm, with the key pair that AWS's code derives.
fn verify(real: &Key, call: &Call, canonical_middle: &str, payload: &str, service: &str) {
    let header = |name| call.head.header(name).unwrap();
    let authorization = header("authorization");
    let (date, list) = (header("x-amz-date"), authorization.split("SignedHeaders=").nth(1).unwrap());
    let list = list.split(',').next().unwrap();
    let scope = format!("{}/{service}/aws4_request", &date[..8]);
    assert!(authorization.starts_with(&format!("AWS4-ECDSA-P256-SHA256 Credential={}/{scope}, ", real.id)));
    let headers: String = list.split(';').map(|name| [name, ":", header(name), "\n"].concat()).collect();
    let canonical = format!("{canonical_middle}\n{headers}\n{list}\n{payload}");
    let to_sign = format!("AWS4-ECDSA-P256-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let secret = SecretKey::from_slice(v4a::generate_signing_key(&real.id, &real.secret).as_ref()).unwrap();
    let public: PublicKey = secret.public_key();
    let signature = hex::decode(authorization.split("Signature=").nth(1).unwrap()).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.to_sec1_point(false).as_bytes())
        .verify(to_sign.as_bytes(), &signature)
        .unwrap();
}

#[tokio::test]
async fn an_asymmetric_signature_is_verified_and_made_anew() {
    let site = Site::start().await;
    for regions in ["us-east-1", "*", "eu-west-1,us-east-1", "us-*"] {
        let mut client = site.tunnel(EVENTS).await;
        client.send(list(&site.key, ("events", regions))).await;
        let mut call = site.cloud.call().await;
        assert_eq!(call.whole_body().await, b"{}");
        assert_eq!(call.head.header("x-amz-region-set"), Some(regions));
        verify(&site.real, &call, "POST\n/\n", &sha256(b"{}"), "events");
        assert!(!format!("{:?}", call.head).contains(&site.key.id));
        call.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
    let record = site.records(4).await.remove(3);
    assert_eq!((record.operation.as_deref(), record.region.as_deref()), (Some("ListEventBuses"), Some("us-*")));
}

#[tokio::test]
async fn one_in_the_query_arrives_in_the_header() {
    let site = Site::start().await;
    let how = Presigning { region: "*", asymmetric: true, ..Presigning::S3 };
    let url = site.key.presign("GET", S3, "/bucket/a%20b?versionId=1", &[], how);
    let mut client = site.tunnel(S3).await;
    client.send(format!("GET {url} HTTP/1.1\r\nHost: {S3}\r\n\r\n")).await;
    let call = site.cloud.call().await;
    assert_eq!(call.head.first, "GET /bucket/a%20b?versionId=1 HTTP/1.1");
    verify(&site.real, &call, "GET\n/bucket/a%20b\nversionId=1", "UNSIGNED-PAYLOAD", "s3");
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    for (from, to) in [("a%20b", "a%20c"), ("Region-Set=%2A", "Region-Set=us-east-1"), ("Expires=60", "Expires=61")] {
        assert!(url.contains(from), "{url}");
        let request = format!("GET {} HTTP/1.1\r\nHost: {S3}\r\n\r\n", url.replacen(from, to, 1));
        assert_eq!(refused(&site, S3, request).await.status(), 403, "{from}");
    }
}

#[tokio::test]
async fn what_is_not_right_about_it_is_refused() {
    let site = Site::start().await;
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    let unknown = Key { id: "CSGAUNKNOWNUNKNOWN01".to_owned(), ..site.key.clone() };
    let right = list(&site.key, ("events", "*"));
    for (request, status, words) in [
        (list(&wrong, ("events", "*")), 403, "does not match the signature"),
        (list(&unknown, ("events", "*")), 403, "Client is unknown"),
        (right.replace("ListEventBuses", "DeleteEventBus"), 403, "does not match the signature"),
        (list(&site.key, ("events", "eu-west-1")), 403, "Expected 'us-east-1'"),
        (list(&site.key, ("events", "eu-*,us-east-2")), 403, "Expected 'us-east-1'"),
        (list(&site.key, ("sqs", "*")), 403, "AWS4-ECDSA-P256-SHA256 is not accepted"),
        (right.replace("x-amz-region-set: *", "x-amz-region-set: us-east-1"), 403, "does not match the signature"),
        (right.replace("x-amz-region-set: *", "x-other: *"), 400, "X-Amz-Region-Set"),
        (right.replace("/events/aws4", "/us-east-1/events/aws4"), 400, "exactly 4 slash-delimited"),
        (right.replace("Signature=30", "Signature=ZZ"), 400, "Signature must be hexadecimal"),
        (right.replace("Signature=30", "Signature=31"), 403, "does not match the signature"),
    ] {
        let answer = refused(&site, EVENTS, request).await;
        assert_eq!(answer.status(), status, "{words}: {}", answer.text());
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    }
    // A service that it is not for.
    let target = ("x-amz-target", "DynamoDB_20120810.ListTables");
    let signature = site.key.asymmetric("POST", DYNAMODB, "/", &[target], b"{}", ("dynamodb", "*"));
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {DYNAMODB}\r\nX-Amz-Target: {}\r\n{signature}Content-Length: 2\r\n\r\n{{}}",
        target.1
    );
    let answer = refused(&site, DYNAMODB, request).await;
    assert!(answer.text().contains("is not accepted for this service"), "{}", answer.text());
    site.revoke();
    let answer = refused(&site, EVENTS, list(&site.key, ("events", "*"))).await;
    assert!(answer.text().contains("Client is not Active"), "{}", answer.text());
}

#[tokio::test]
async fn its_chunks_are_verified_and_signed_anew() {
    let site = Site::start().await;
    let mut client = site.tunnel(S3).await;
    let data: Vec<u8> = (0..=250).collect::<Vec<u8>>().repeat(300);
    for form in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
        for length in [0, 1, 8192, 65_536, 75_300] {
            let data = &data[..length];
            let (head, body) = upload(&site.key, form, data);
            client.send(on_the_wire(&head, &body)).await;
            let mut call = site.cloud.call().await;
            // `Content-Length` was declared beforehand: the body has it, or this waits in vain.
            let body = call.whole_body().await;
            assert_eq!(call.head.header("content-length"), Some(&*body.len().to_string()));
            assert_eq!(call.head.header("x-amz-region-set"), Some("us-*"));
            verify(&site.real, &call, "PUT\n/bucket/key\n", form, "s3");
            let signed = form != UNSIGNED_TRAILER;
            let mut chunks = if signed { Chunks::of(&site.real, &call) } else { Chunks::unsigned() };
            let opened = chunks.open(&body);
            assert!(opened.data == data, "{form} {length}");
            assert_eq!(opened.trailer, form.ends_with("TRAILER").then(|| crc32(data)));
            assert!(opened.sizes.iter().rev().skip(1).all(|size| *size == 65_536), "{:?}", opened.sizes);
            call.ok().await;
            assert_eq!(client.answer().await.status(), 200, "{form} {length}");
        }
    }
    let records = site.records(15).await;
    assert!(records.iter().all(|record| record.operation.as_deref() == Some("PutObject")));
}

/// Nobody on the way, and nobody with a key, gets a body through of which anything is wrong.
#[tokio::test]
async fn chunks_that_are_not_right_never_arrive_whole() {
    let site = Site::start().await;
    let data = vec![b'x'; 150_000];
    for form in [SIGNED, SIGNED_TRAILER] {
        let (head, body) = upload(&site.key, form, &data);
        let text = String::from_utf8(body).unwrap();
        let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
        let (_, foreign) =
            upload(&Key { at: site.key.at.minus(Duration::from_secs(1)), ..site.key.clone() }, form, &data);
        let (_, stolen) = upload(&Key { secret: "wrong".to_owned(), ..site.key.clone() }, form, &data);
        let behind = if form == SIGNED_TRAILER { &text[text.len() - 180..] } else { &text[text.len() - 150..] };
        let small = Chunks::after(&site.key, &head).body(&data, 100, Some(&crc32(&data)));
        for (what, body) in [
            ("a changed byte", text.replacen("xxx", "xyx", 1)),
            ("swapped", [&lines[2..4], &lines[..2], &lines[4..]].concat().concat()),
            ("replayed", [&lines[..2], &lines[..2], &lines[4..]].concat().concat()),
            ("without the first", lines[2..].concat()),
            ("without signatures", lines.iter().map(|line| line.split(";chunk").next().unwrap()).collect()),
            ("another request's", String::from_utf8(foreign).unwrap()),
            ("another key's", String::from_utf8(stolen).unwrap()),
            ("the last signature changed", text.replace(behind, &behind.replacen("30", "31", 1))),
            ("in chunks of 100 bytes", String::from_utf8(small).unwrap()),
            ("cut", text[..text.len() - 2].to_owned()),
        ] {
            let mut client = site.tunnel(S3).await;
            let _ = client.try_send(on_the_wire(&head, body.as_bytes())).await;
            let answer = client.answer().await;
            assert!(matches!(answer.status(), 400 | 403), "{form} {what}: {}", answer.text());
            assert_eq!(answer.text().contains("smaller than 8192 bytes"), what == "in chunks of 100 bytes");
        }
    }
    for mut call in site.cloud.arrived().await {
        assert!(!call.body().await.complete, "{:?}", call.head);
    }
}

/// Head and chunks are signed in one way.
#[tokio::test]
async fn chunks_of_the_other_kind_are_refused() {
    let site = Site::start().await;
    for form in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        let (head, body) = upload(&site.key, form, b"data");
        let answer = refused(&site, S3, String::from_utf8(on_the_wire(&head, &body)).unwrap()).await;
        assert!(answer.text().contains(&format!("({form}) is not accepted")), "{}", answer.text());
    }
    for form in [SIGNED, SIGNED_TRAILER] {
        let head = format!(
            "PUT /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: {form}\nX-Amz-Decoded-Content-Length: 4
            + Content-Length: 9"
        );
        let answer = refused(&site, S3, site.key.sign_with_body(&head, "").head).await;
        assert!(answer.text().contains(&format!("({form}) is not accepted")), "{}", answer.text());
    }
}

/// What AWS's signer has no form for, and no service takes: messages signed with SigV4A, or with SigV4 behind a head of
/// SigV4A.
#[tokio::test]
async fn event_streams_behind_it_are_refused() {
    let site = Site::start().await;
    for form in ["STREAMING-AWS4-HMAC-SHA256-EVENTS", "STREAMING-AWS4-ECDSA-P256-SHA256-EVENTS"] {
        let signature = site.key.asymmetric_of("PUT", S3, "/bucket/key", &[], form, ("s3", "us-*"));
        let head =
            format!("PUT /bucket/key HTTP/1.1\r\nHost: {S3}\r\n{signature}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        let answer = refused(&site, S3, head).await;
        assert!(matches!(answer.status(), 400 | 403), "{}", answer.text());
        // Of a service that has event streams both ways, none takes SigV4A at all.
        let host = super::events::BEDROCK;
        let path = "/model/nova/invoke-with-bidirectional-stream";
        let signature = site.key.asymmetric_of("POST", host, path, &[], form, ("bedrock", "us-*"));
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{signature}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        let answer = refused(&site, host, head).await;
        assert!(matches!(answer.status(), 400 | 403), "{}", answer.text());
        assert!(answer.text().contains("not accepted") || answer.text().contains("must be"), "{}", answer.text());
    }
}
