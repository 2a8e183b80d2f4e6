//! From host, method, path and target to service, region and operation without an allocation, whatever the call.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml permits these in tests, but does not see that this is one as a whole"
)]

use std::io::Read;

use allocation_counter::measure;
use csg::cloud::aws::Catalogue;
use flate2::read::GzDecoder;
use http::{Request, request::Parts};

/// One request, with what it is signed for: service and region (`*`: SigV4A's sets).
struct Sent<'t> {
    host: &'t str,
    signs: (&'t str, &'t str),
    parts: Parts,
    body: &'t str,
}

fn sent<'t>(
    host: &'t str,
    signs: (&'t str, &'t str),
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &'t str,
) -> Sent<'t> {
    let request = Request::builder().method(method).uri(target).header("host", host);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Sent { host, signs, parts: request.body(()).unwrap().into_parts().0, body }
}

/// How often memory is allocated to name it; `named` is whether it must have a name.
fn allocations(sent: &Sent<'_>, named: bool) -> u64 {
    let name = || {
        let known = Catalogue::embedded().host(sent.host).unwrap();
        let (service, region) = sent.signs;
        let claim = if region == "*" { known.claim_set(service, |_| false) } else { known.claim(service, region) };
        let call = claim.unwrap().name(&sent.parts, sent.body.as_bytes(), |_| true).call;
        assert!(call.operation.is_some() || !named, "{} {}", sent.host, sent.parts.uri);
    };
    name(); // a service's operations become a table when it is first called
    measure(name).count_total
}

/// What botocore sends for each operation of each service, in whichever protocol (`tests/it/recognition.rs`).
#[test]
fn every_call_that_botocore_makes_is_known_without_allocation() {
    let (mut text, mut calls) = (String::new(), 0);
    let packed: &[u8] = include_bytes!("fixtures/aws/requests.tsv.gz");
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let &[_, _, signs, region, method, host, target, amz_target, smithy, content_type, copy, body] = &fields[..]
        else {
            panic!("{line}");
        };
        let headers = [
            ("x-amz-target", amz_target),
            ("smithy-protocol", smithy),
            ("content-type", content_type),
            ("x-amz-copy-source", copy),
        ];
        let told: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let sent = sent(host, (signs, region), (method, target), &told, body);
        assert_eq!(allocations(&sent, true), 0, "{line}");
        calls += 1;
    }
    assert!(calls > 19_000, "{calls}");
}

/// Hosts that botocore makes no call to by itself, and accounts wherever a call may name one.
#[test]
fn every_form_of_host_is_known_without_allocation() {
    const ARN: &str = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
    let (s3, form) = (("s3", "us-east-1"), ("content-type", "application/x-www-form-urlencoded"));
    let target = ("x-amz-target", "DynamoDB_20120810.PutItem");
    let invoke = format!("/2015-03-31/functions/{ARN}/invocations?Qualifier=live");
    let mappings = format!("/2015-03-31/event-source-mappings?EventSourceArn={ARN}&FunctionName=f");
    let source = format!("/b/k?x-amz-copy-source={ARN}");
    for (host, signs, request, headers, body) in [
        ("dynamodb-fips.us-east-1.api.aws", ("dynamodb", "us-east-1"), ("POST", "/"), vec![target], ""),
        ("123456789012.ddb.us-east-1.amazonaws.com", ("dynamodb", "us-east-1"), ("POST", "/"), vec![target], ""),
        ("Lambda-FIPS.us-east-1.API.aws", ("lambda", "us-east-1"), ("POST", &*invoke), vec![], ""),
        ("lambda.us-east-1.amazonaws.com", ("lambda", "us-east-1"), ("GET", &*mappings), vec![], ""),
        ("a1b2.execute-api.us-east-1.amazonaws.com", ("execute-api", "us-east-1"), ("GET", "/prod/x?y=z"), vec![], ""),
        ("a1b2.lambda-url.us-east-1.on.aws", ("lambda", "us-east-1"), ("GET", "/x?y=z"), vec![], ""),
        (
            "vpce-1a-2b.sqs.us-east-1.vpce.amazonaws.com",
            ("sqs", "us-east-1"),
            ("POST", "/"),
            vec![form],
            "Action=SendMessage&MessageBody=m%20m&QueueUrl=https%3A%2F%2Fsqs.us-east-1.amazonaws.com%2F123456789012%2Fq",
        ),
        ("queue.amazonaws.com", ("sqs", "us-east-1"), ("POST", "/123456789012/q"), vec![form], "Action=SendMessage"),
        ("my.dotted.bucket.s3.us-east-1.amazonaws.com", s3, ("GET", "/a//b/%2e?versionId=x"), vec![], ""),
        ("bucket.s3-fips.dualstack.us-east-1.amazonaws.com", s3, ("GET", "/?list-type=2&prefix=a%2Fb"), vec![], ""),
        ("s3.amazonaws.com", s3, ("PUT", &*source), vec![], ""),
        ("bucket.s3.amazonaws.com", s3, ("GET", "/k"), vec![("x-amz-expected-bucket-owner", "123456789012")], ""),
        ("p-123456789012.s3-accesspoint.us-east-1.amazonaws.com", s3, ("GET", "/k"), vec![], ""),
        (
            "p-123456789012.op-0a.s3-outposts.us-east-1.amazonaws.com",
            ("s3-outposts", "us-east-1"),
            ("GET", "/k"),
            vec![],
            "",
        ),
        ("a1.mrap.accesspoint.s3-global.amazonaws.com", ("s3", "*"), ("GET", "/k"), vec![], ""),
        (
            "b--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com",
            ("s3express", "us-west-2"),
            ("GET", "/k"),
            vec![],
            "",
        ),
        (
            "123456789012.s3-control.us-east-1.amazonaws.com",
            s3,
            ("GET", "/v20180820/accesspoint/p"),
            vec![("x-amz-account-id", "123456789012")],
            "",
        ),
        ("glacier.us-east-1.amazonaws.com", ("glacier", "us-east-1"), ("GET", "/123456789012/vaults/v"), vec![], ""),
        (
            "codeartifact.us-east-1.amazonaws.com",
            ("codeartifact", "us-east-1"),
            ("GET", "/v1/domain?domain=d&domain-owner=123456789012"),
            vec![],
            "",
        ),
    ] {
        assert_eq!(allocations(&sent(host, signs, request, &headers, body), true), 0, "{host} {request:?}");
    }
}

#[test]
fn allocations_are_counted() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
    // What costs one: more than two accounts.
    let target = "/v1/domain?domain=d&domain-owner=123456789012&x-owner=123456789013&y-owner=123456789014";
    let many = sent("codeartifact.us-east-1.amazonaws.com", ("codeartifact", "us-east-1"), ("GET", target), &[], "");
    assert_eq!(allocations(&many, true), 1);
}
