//! What it costs to know a call: from host, method, path and headers to service, region and operation.
//!
//! `cargo bench --bench catalogue`

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to measure")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use csg::cloud::aws::Catalogue;
use http::{Request, request::Parts};

fn parts(method: &str, target: &str, header: Option<(&str, &str)>) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

fn look_up(criterion: &mut Criterion) {
    let catalogue = Catalogue::embedded();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (name, host, signs, parts, body) in [
        (
            "dynamodb:PutItem (JSON)",
            "dynamodb.us-east-1.amazonaws.com",
            "dynamodb",
            parts("POST", "/", Some(("x-amz-target", "DynamoDB_20120810.PutItem"))),
            "",
        ),
        (
            "lambda:Invoke (REST)",
            "lambda.us-east-1.amazonaws.com",
            "lambda",
            parts("POST", "/2015-03-31/functions/my-function/invocations", None),
            "",
        ),
        (
            "s3:GetObject (a bucket's host)",
            "my-bucket.s3.us-east-1.amazonaws.com",
            "s3",
            parts("GET", "/reports/2026/11/25/part-00000.parquet", None),
            "",
        ),
        (
            "sns:Publish (query)",
            "sns.us-east-1.amazonaws.com",
            "sns",
            parts("POST", "/", Some(form)),
            "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3At&Message=m",
        ),
    ] {
        criterion.bench_function(&format!("host: {host}"), |bench| {
            bench.iter(|| black_box(catalogue.host(black_box(host)).unwrap().partition()));
        });
        let known = catalogue.host(host).unwrap();
        criterion.bench_function(&format!("call: {name}"), |bench| {
            bench.iter(|| {
                let claim = known.claim(signs, "us-east-1").unwrap();
                let named = claim.name(black_box(&parts), body.as_bytes(), |_| true);
                assert!(named.call.operation.is_some());
            });
        });
    }
}

criterion_group!(benches, look_up);
criterion_main!(benches);
