//! What a signature costs: a 300-byte DynamoDB `PutItem`, found true under the client's key and signed under the real one.
//!
//! `cargo bench --bench sigv4`

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to measure")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use csg::{
    clock::Timestamp,
    secret::Secret,
    sigv4::{self, KeyCache, PathStyle, Payload, Scope, SignedHeaders, Signing},
};
use http::{Request, request::Parts};

const CLIENT: &str = "CSGAEXAMPLEEXAMPLE00";
const REAL: &str = "AKIAEXAMPLEEXAMPLE00";

struct Bench {
    now: Timestamp,
    keys: KeyCache,
    client: Secret,
    real: Secret,
    body: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let item = r#"{"TableName":"orders","Item":{"id":{"S":"0123456789"},"note":{"S":""#;
        let body = format!("{item}{}\"}}}}}}", "n".repeat(300 - item.len() - 4)).into_bytes();
        Self {
            now: Timestamp::from_millis(1_795_000_000_000),
            keys: KeyCache::new(1000),
            client: Secret::new("0123456789abcdefghijABCDEFGHIJ0123456789"),
            real: Secret::new("abcdefghijABCDEFGHIJ01234567890123456789"),
            body,
        }
    }

    /// What boto3 sends.
    fn signed_request(&self) -> Parts {
        let (mut parts, ()) = Request::post("/")
            .header("host", "dynamodb.us-east-1.amazonaws.com")
            .header("accept-encoding", "identity")
            .header("x-amz-target", "DynamoDB_20120810.PutItem")
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "user-agent",
                "Boto3/1.43.0 md/Botocore#1.43.0 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13",
            )
            .header("amz-sdk-invocation-id", "3b3f4f1e-9b1c-4a6e-8f6b-2f1d5f0e7a11")
            .header("amz-sdk-request", "attempt=1")
            .header("content-length", "300")
            .body(())
            .unwrap()
            .into_parts();
        let key = self.keys.key(CLIENT, &self.client, &Scope::at(self.now, "us-east-1", "dynamodb"));
        let also = SignedHeaders::parse("content-type;host").unwrap();
        self.sign(&mut parts, CLIENT, &key, &also, Payload::of(&self.body));
        parts
    }

    fn sign(
        &self,
        parts: &mut Parts,
        access_key_id: &str,
        key: &sigv4::SigningKey,
        also: &SignedHeaders,
        payload: Payload,
    ) {
        let (style, now) = (PathStyle::EncodedTwice, self.now);
        let signing = Signing { access_key_id, key, session_token: None, style, also, payload, now };
        sigv4::sign(parts, &signing).unwrap();
    }

    fn verify(&self, parts: &Parts) -> sigv4::Verified {
        let claim = sigv4::parse(parts).unwrap();
        let key = self.keys.key(&claim.access_key_id, &self.client, &claim.scope);
        claim.verify(parts, PathStyle::EncodedTwice, &key, Payload::of(&self.body), self.now).unwrap()
    }

    fn sign_again(&self, parts: &mut Parts, verified: &sigv4::Verified) {
        let claim = verified.claim();
        let scope = Scope::at(self.now, claim.scope.region(), claim.scope.service());
        let key = self.keys.key(REAL, &self.real, &scope);
        self.sign(parts, REAL, &key, &claim.signed_headers, verified.payload());
    }
}

fn signatures(criterion: &mut Criterion) {
    let bench = Bench::new();
    let request = bench.signed_request();
    let verified = bench.verify(&request);
    criterion.bench_function("verify + sign, 300-byte PutItem", |timer| {
        timer.iter_batched_ref(
            || request.clone(),
            |parts| {
                let verified = bench.verify(black_box(parts));
                bench.sign_again(parts, &verified);
            },
            criterion::BatchSize::SmallInput,
        );
    });
    criterion.bench_function("verify", |timer| timer.iter(|| bench.verify(black_box(&request))));
    criterion.bench_function("sign", |timer| {
        timer.iter_batched_ref(
            || request.clone(),
            |parts| bench.sign_again(black_box(parts), &verified),
            criterion::BatchSize::SmallInput,
        );
    });
    criterion.bench_function("derive a key (not cached)", |timer| {
        timer.iter(|| sigv4::SigningKey::derive(black_box(&bench.real), Scope::at(bench.now, "us-east-1", "dynamodb")));
    });
}

criterion_group!(benches, signatures);
criterion_main!(benches);
