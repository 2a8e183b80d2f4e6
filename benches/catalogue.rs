//! What it costs to know a call: from host, method, path and headers to service, region and operation, with the headers
//! that SDKs send. One look-up of each protocol and of each form of host; then, as a distribution, all that botocore makes.
//!
//! `cargo bench --bench catalogue`

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to measure")]

use std::{
    hint::black_box,
    io::Read,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use csg::cloud::aws::Catalogue;
use flate2::read::GzDecoder;
use http::{Request, request::Parts};

/// What boto3 sends with every call.
const HEADERS: [(&str, &str); 6] = [
    ("accept-encoding", "identity"),
    ("user-agent", "Boto3/1.43.0 md/Botocore#1.44.5 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.13.2"),
    ("x-amz-date", "20261127T120000Z"),
    (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=CSGA3EXAMPLE7KEY2QXY/20261127/us-east-1/x/aws4_request, Signature=0",
    ),
    ("amz-sdk-invocation-id", "9b3c9b6e-4d1f-4f0e-8d0c-0a1b2c3d4e5f"),
    ("amz-sdk-request", "attempt=1"),
];
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const CBOR: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");
const PUT_ITEM: (&str, &str) = ("x-amz-target", "DynamoDB_20120810.PutItem");
const JSON: (&str, &str) = ("content-type", "application/json");

type Case = (&'static str, &'static str, &'static str, &'static str, (&'static str, &'static str), &'static str);

/// Call, host, name that it is signed with, method and target, a header, body.
#[rustfmt::skip]
const CASES: [Case; 22] = [
    ("dynamodb:PutItem (JSON)", "dynamodb.us-east-1.amazonaws.com", "dynamodb", "POST /", PUT_ITEM, ""),
    ("dynamodb:PutItem (JSON, an account's host)", "123456789012.ddb.us-east-1.amazonaws.com", "dynamodb", "POST /",
        PUT_ITEM, ""),
    ("cloudwatch:PutMetricData (CBOR)", "monitoring.us-east-1.amazonaws.com", "monitoring",
        "POST /service/GraniteServiceVersion20100801/operation/PutMetricData", CBOR, ""),
    ("sns:Publish (query)", "sns.us-east-1.amazonaws.com", "sns", "POST /", FORM,
        "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3At&Message=m"),
    ("ec2:RunInstances (EC2 query)", "ec2.us-east-1.amazonaws.com", "ec2", "POST /", FORM,
        "Action=RunInstances&Version=2016-11-15&ImageId=ami-0123456789&MinCount=1&MaxCount=1&\
         TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=web"),
    ("rds:DescribeDBClusters (query, three services)", "rds.us-east-1.amazonaws.com", "rds", "POST /", FORM,
        "Action=DescribeDBClusters&Version=2014-10-31&MaxRecords=100"),
    ("lambda:Invoke (REST)", "lambda.us-east-1.amazonaws.com", "lambda",
        "POST /2015-03-31/functions/my-function/invocations", JSON, ""),
    ("lambda:Invoke (REST, an ARN)", "lambda.us-east-1.amazonaws.com", "lambda",
        "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations", JSON, ""),
    ("lambda:ListFunctions (REST, FIPS, dual stack)", "lambda-fips.us-east-1.api.aws", "lambda",
        "GET /2015-03-31/functions/", JSON, ""),
    ("apigateway:GetIntegrationResponse (REST)", "apigateway.us-east-1.amazonaws.com", "apigateway",
        "GET /restapis/abcdef1234/resources/a1b2c3/methods/GET/integration/responses/200", JSON, ""),
    ("iot:CreateThing (REST)", "iot.us-east-1.amazonaws.com", "iot", "POST /things/sensor-42", JSON, ""),
    ("bedrock-runtime:InvokeModelWithResponseStream (REST)", "bedrock-runtime.us-east-1.amazonaws.com", "bedrock",
        "POST /model/anthropic.claude-sonnet-4-20250514-v1%3A0/invoke-with-response-stream", JSON, ""),
    ("glacier:AddTagsToVault (REST, an account)", "glacier.us-east-1.amazonaws.com", "glacier",
        "POST /123456789012/vaults/my-vault/tags?operation=add", JSON, ""),
    ("route53:ListResourceRecordSets (REST, a global host)", "route53.amazonaws.com", "route53",
        "GET /2013-04-01/hostedzone/Z1/rrset?maxitems=100", JSON, ""),
    ("s3:GetObject (a bucket's host)", "my-bucket.s3.us-east-1.amazonaws.com", "s3",
        "GET /reports/2026/11/25/part-00000.parquet", JSON, ""),
    ("s3:GetObject (a dotted bucket's host)", "my.dotted.bucket.s3.us-east-1.amazonaws.com", "s3",
        "GET /reports/2026/11/25/part-00000.parquet", JSON, ""),
    ("s3:ListObjectsV2 (a bucket's host)", "my-bucket.s3.us-east-1.amazonaws.com", "s3",
        "GET /?list-type=2&prefix=reports%2F2026%2F&delimiter=%2F&max-keys=1000&encoding-type=url", JSON, ""),
    ("s3:UploadPart (FIPS, dual stack)", "s3-fips.dualstack.us-east-1.amazonaws.com", "s3",
        "PUT /my-bucket/reports/part-00000.parquet?partNumber=3&uploadId=VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3Zp", JSON, ""),
    ("s3:GetObject (an access point)", "point-123456789012.s3-accesspoint.us-east-1.amazonaws.com", "s3", "GET /key",
        JSON, ""),
    ("s3control:GetAccessPoint (an account's host)", "123456789012.s3-control.us-east-1.amazonaws.com", "s3",
        "GET /v20180820/accesspoint/my-point", ("x-amz-account-id", "123456789012"), ""),
    ("execute-api", "abcdef1234.execute-api.us-east-1.amazonaws.com", "execute-api", "GET /prod/orders/42", JSON, ""),
    ("lambda-url", "abcdef.lambda-url.us-east-1.on.aws", "lambda", "GET /orders/42", JSON, ""),
];

fn parts(host: &str, request: &str, header: (&str, &str)) -> Parts {
    let (method, target) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target).header("host", host);
    let headers = HEADERS.into_iter().chain([header]);
    headers.fold(request, |request, (name, value)| request.header(name, value)).body(()).unwrap().into_parts().0
}

fn look_up(criterion: &mut Criterion) {
    let catalogue = Catalogue::embedded();
    let mut hosts = criterion.benchmark_group("host");
    for (name, host, ..) in CASES {
        hosts.bench_function(name, |bench| {
            bench.iter(|| black_box(catalogue.host(black_box(host)).unwrap().partition()));
        });
    }
    hosts.finish();
    let mut calls = criterion.benchmark_group("host and call");
    for (name, host, signs, request, header, body) in CASES {
        let parts = parts(host, request, header);
        calls.bench_function(name, |bench| {
            bench.iter(|| {
                let known = catalogue.host(black_box(host)).unwrap();
                let claim = known.claim(signs, "us-east-1").unwrap();
                let named = claim.name(black_box(&parts), body.as_bytes(), |_| true);
                assert!(named.call.operation.is_some());
            });
        });
    }
    calls.finish();
}

/// Each request that botocore makes for AWS's operations and SigV4 signs: host and call, the best of some rounds.
fn every_call(_: &mut Criterion) {
    const ROUNDS: u32 = 8;
    const CALLS: u32 = 40;
    let (catalogue, mut text) = (Catalogue::embedded(), String::new());
    let packed: &[u8] = include_bytes!("../tests/fixtures/aws/requests.tsv.gz");
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let mut took: Vec<(Duration, &str)> = Vec::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [_, _, signs, region, method, host, target, amz_target, smithy, content_type, copy, body] =
            <[&str; 12]>::try_from(fields).unwrap();
        if region == "*" {
            continue;
        }
        let named = [
            ("x-amz-target", amz_target),
            ("smithy-protocol", smithy),
            ("content-type", content_type),
            ("x-amz-copy-source", copy),
        ];
        let mut parts = parts(host, &format!("{method} {target}"), ("x-amz-security-token", "t"));
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            parts.headers.insert(name, value.parse().unwrap());
        }
        let call = || {
            let known = catalogue.host(black_box(host)).unwrap();
            let claim = known.claim(signs, region).unwrap();
            black_box(claim.name(black_box(&parts), body.as_bytes(), |_| true).call.operation).is_some()
        };
        assert!(call(), "{line}");
        let round = || {
            let began = Instant::now();
            (0..CALLS).for_each(|_| assert!(call()));
            began.elapsed() / CALLS
        };
        took.push(((0..ROUNDS).map(|_| round()).min().unwrap(), line));
    }
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 1000).unwrap().0;
    let slow = took.iter().filter(|(time, _)| *time >= Duration::from_micros(1)).count();
    println!(
        "{} calls: half in {:?}, 99 % in {:?}, the slowest in {:?}",
        took.len(),
        at(500),
        at(990),
        took.last().unwrap()
    );
    println!("a microsecond or more: {slow}");
}

criterion_group!(benches, look_up, every_call);
criterion_main!(benches);
