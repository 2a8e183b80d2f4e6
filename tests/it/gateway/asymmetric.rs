//! SigV4A: verified with a public key that follows from the client's secret, made anew with one that follows from the real.

use aws_sigv4::sign::v4a;
use p256::{PublicKey, SecretKey, elliptic_curve::sec1::ToSec1Point};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::harness::{Answer, Call, DYNAMODB, Key, Presigning, S3, Site, sha256};

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
