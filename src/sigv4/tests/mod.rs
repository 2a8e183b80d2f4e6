//! Whole requests, both ways.

use http::{Request, request::Parts};

use super::*;
use crate::{clock::Timestamp, secret::Secret};

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2015-08-30T12:36:00Z").unwrap()
}

fn parts(request: http::request::Builder) -> Parts {
    request.body(()).unwrap().into_parts().0
}

#[test]
fn what_was_signed_is_found_true() {
    let secret = Secret::new("secret");
    let key = SigningKey::derive(&secret, Scope::at(now(), "us-east-1", "dynamodb"));
    let mut parts = parts(
        Request::post("/a//b?x=1").header("host", "dynamodb.us-east-1.amazonaws.com").header("x-amz-target", "T"),
    );
    let payload = Payload::of(b"body");
    let signing = Signing {
        access_key_id: "AKIDEXAMPLE",
        key: &key,
        session_token: None,
        style: PathStyle::EncodedTwice,
        also: &SignedHeaders::default(),
        payload,
        now: now(),
    };
    sign(&mut parts, &signing).unwrap();
    let claim = parse(&parts).unwrap();
    assert_eq!((claim.access_key_id.as_str(), claim.payload), ("AKIDEXAMPLE", None));
    let verified = claim.verify(&parts, PathStyle::EncodedTwice, &key, payload, now()).unwrap();
    assert_eq!(verified.claim().signed_headers.as_str(), "host;x-amz-date;x-amz-target");
}
