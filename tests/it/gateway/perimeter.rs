//! The account perimeter: where accounts are named, calls that name another one are refused, and S3 is told whose its
//! buckets have to be.

use csg::model::{AccountId, Grant};

use crate::harness::{Answer, Key, LAMBDA, Site};

const OWN: &str = "123456789012";
const REFUSED: &str = "Account '210987654321' is not allowed by this access request";
const S3: &str = "s3.us-east-1.amazonaws.com";

/// Signs for a service that the host's first label does not tell.
fn key(site: &Site, service: &'static str) -> Key {
    Key { scope: Some((service, "us-east-1")), ..site.key.clone() }
}

/// What the client is told of a call that the cloud never sees.
async fn refused(site: &Site, host: &str, service: &'static str, request: &str) -> Answer {
    let mut client = site.tunnel(host).await;
    client.send(key(site, service).sign(request).bytes()).await;
    let answer = client.answer().await;
    assert!(site.cloud.is_quiet().await, "{request}");
    answer
}

/// What reaches the cloud of a call: the values of these headers.
async fn passed<const N: usize>(
    site: &Site,
    service: &'static str,
    request: &str,
    names: [&str; N],
) -> [Option<String>; N] {
    let host = request.split("Host: ").nth(1).unwrap().lines().next().unwrap().trim();
    let mut client = site.tunnel(host).await;
    client.send(key(site, service).sign(request).bytes()).await;
    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    site.real.verify(&call, &body);
    let told = names.map(|name| call.head.header(name).map(str::to_owned));
    let signed = call.head.header("authorization").unwrap().to_owned();
    for (name, _) in names.iter().zip(&told).filter(|(_, value)| value.is_some()) {
        assert!(signed.contains(name), "{name} is signed: {signed}");
    }
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200, "{request}");
    told
}

fn several(site: &Site) -> Grant {
    Grant { accounts: [OWN, "111111111111"].map(|id| AccountId::new(id).unwrap()).to_vec(), ..site.grant() }
}

/// The headers that tell S3 whose buckets have to be.
const OWNERS: [&str; 2] = ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];

fn s3(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: {{sha256}}\n{headers}")
}

/// However the account is written, and wherever outside of a body.
#[tokio::test]
async fn a_call_that_names_another_account_is_refused() {
    let site = Site::start().await;
    let form = "Content-Type: application/x-www-form-urlencoded\n\nAction=ReceiveMessage&Version=2012-11-05";
    for (host, service, request) in [
        (
            LAMBDA,
            "lambda",
            "GET /2015-03-31/functions/arn:aws:lambda:us-east-1:210987654321:function:f HTTP/1.1\nHost: {host}",
        ),
        (
            LAMBDA,
            "lambda",
            "GET /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A%3210987654321%3Afunction%3Af HTTP/1.1\nHost: {host}",
        ),
        (LAMBDA, "lambda", "GET /2015-03-31/functions/us-east-1:210987654321:f HTTP/1.1\nHost: {host}"),
        (LAMBDA, "lambda", "GET /2015-03-31/functions/210987654321:f HTTP/1.1\nHost: {host}"),
        (LAMBDA, "lambda", "POST /2015-03-31/functions/210987654321:f/invocations HTTP/1.1\nHost: {host}\n\n{}"),
        ("glacier.us-east-1.amazonaws.com", "glacier", "GET /210987654321/vaults HTTP/1.1\nHost: {host}"),
        ("glacier.us-east-1.amazonaws.com", "glacier", "GET /%3210987654321/vaults HTTP/1.1\nHost: {host}"),
        (
            "quicksight.us-east-1.amazonaws.com",
            "quicksight",
            "GET /accounts/210987654321/namespaces HTTP/1.1\nHost: {host}",
        ),
        (
            "210987654321.ddb.us-east-1.amazonaws.com",
            "dynamodb",
            "POST / HTTP/1.1\nHost: {host}\nX-Amz-Target: DynamoDB_20120810.ListTables\n\n{}",
        ),
        (
            "210987654321.s3-control.us-east-1.amazonaws.com",
            "s3",
            "GET /v20180820/accesspoint HTTP/1.1\nHost: {host}\nX-Amz-Account-Id: 123456789012",
        ),
        (
            "s3-control.us-east-1.amazonaws.com",
            "s3",
            "GET /v20180820/accesspoint HTTP/1.1\nHost: {host}\nX-Amz-Account-Id: 210987654321",
        ),
        ("sqs.us-east-1.amazonaws.com", "sqs", &format!("POST /210987654321/orders HTTP/1.1\nHost: {{host}}\n{form}")),
        (S3, "s3", &s3("GET", "/bucket/key", "X-Amz-Expected-Bucket-Owner: 210987654321")),
        (S3, "s3", &s3("GET", "/bucket/key?x-amz-expected-bucket-owner=210987654321", "")),
        (
            LAMBDA,
            "lambda",
            "GET /2015-03-31/event-source-mappings?FunctionName=210987654321%3Afunction%3Af HTTP/1.1\nHost: {host}",
        ),
        (
            LAMBDA,
            "lambda",
            "GET /2015-03-31/event-source-mappings?EventSourceArn=arn%3Aaws%3Asqs%3Aus-east-1%3A210987654321%3Aq HTTP/1.1\nHost: {host}",
        ),
        (
            "codeartifact.us-east-1.amazonaws.com",
            "codeartifact",
            "GET /v1/domain?domain=d&domain-owner=210987654321 HTTP/1.1\nHost: {host}",
        ),
        (
            "appmesh.us-east-1.amazonaws.com",
            "appmesh",
            "GET /v20190125/meshes/m?meshOwner=210987654321 HTTP/1.1\nHost: {host}",
        ),
        (
            S3,
            "s3",
            &s3("PUT", "/bucket/key", "X-Amz-Copy-Source: arn:aws:s3:us-east-1:210987654321:accesspoint/p/object/k"),
        ),
        (
            S3,
            "s3",
            &s3("PUT", "/bucket/key", "X-Amz-Copy-Source: b/k\nX-Amz-Source-Expected-Bucket-Owner: 210987654321"),
        ),
    ] {
        let request = request.replace("{host}", host);
        for grant in [site.in_account(OWN), several(&site)] {
            site.publish([grant]);
            let answer = refused(&site, host, service, &request).await;
            assert_eq!((answer.status(), answer.text().contains(REFUSED)), (403, true), "{request}: {}", answer.text());
        }
        // Off until accounts are named.
        site.publish([site.grant()]);
        if !host.starts_with(|c: char| c.is_ascii_digit()) {
            passed(&site, service, &request, []).await;
        }
    }
}

#[tokio::test]
async fn s3_is_told_whose_a_bucket_has_to_be_when_one_account_is_named() {
    let site = Site::start().await;
    let copy = "X-Amz-Copy-Source: other/key";
    let given = "X-Amz-Expected-Bucket-Owner: 123456789012";
    let (none, own) = (None::<String>, Some(OWN.to_owned()));
    for (request, bucket, source) in [
        (s3("GET", "/bucket/key", ""), &own, &none),
        (s3("GET", "/bucket/arn%3Aaws%3As3%3Aus-east-1%3A210987654321%3Ax", ""), &own, &none),
        (s3("PUT", "/bucket/key", copy), &own, &own),
        (s3("GET", "/bucket/key", given), &own, &none),
        (s3("GET", "/", ""), &none, &none),
        (s3("PUT", "/bucket", ""), &none, &none),
    ] {
        site.publish([site.in_account(OWN)]);
        assert_eq!(passed(&site, "s3", &request, OWNERS).await, [bucket.clone(), source.clone()], "{request}");
        // Of several accounts S3 can be told none; the client may say which it means.
        site.publish([several(&site)]);
        let said = request.contains(given).then(|| OWN.to_owned());
        assert_eq!(passed(&site, "s3", &request, OWNERS).await, [said.clone(), None], "{request}");
        site.publish([site.grant()]);
        assert_eq!(passed(&site, "s3", &request, OWNERS).await, [said, None], "{request}");
    }
}

/// What the gateway adds takes the place of nothing that the client has signed, and nobody takes it away again.
#[tokio::test]
async fn the_owner_cannot_be_talked_out_of_it() {
    let site = Site::start().await;
    site.publish([site.in_account(OWN)]);
    let own = Some(OWN.to_owned());
    // `Connection` is an order to the next hop: what it names is gone before the owner is added.
    let request = s3("GET", "/bucket/key", "+ Connection: x-amz-expected-bucket-owner");
    assert_eq!(passed(&site, "s3", &request, OWNERS).await, [own.clone(), None]);
    let request = s3("GET", "/bucket/key?x-amz-expected-bucket-owner=123456789012", "");
    assert_eq!(passed(&site, "s3", &request, OWNERS).await, [own, None]);
    for (target, headers) in [
        ("/bucket/key", "X-Amz-Expected-Bucket-Owner: 123456789012\nX-Amz-Expected-Bucket-Owner: 210987654321"),
        ("/bucket/key", "X-Amz-Expected-Bucket-Owner: 123456789012,210987654321"),
        ("/bucket/key", "X-Amz-Expected-Bucket-Owner:"),
        ("/bucket/key?X-Amz-Expected-Bucket-Owner=210987654321", ""),
        ("/bucket/key?x-amz-expected-bucket-owner=210987654321", "X-Amz-Expected-Bucket-Owner: 123456789012"),
    ] {
        let answer = refused(&site, S3, "s3", &s3("GET", target, headers)).await;
        assert_eq!(answer.status(), 403, "{target} {headers}");
        let text = answer.text();
        assert!(text.contains("could not be recognised") || text.contains("SignatureDoesNotMatch"), "{text}");
    }
}

#[tokio::test]
async fn its_own_account_is_addressed_as_before() {
    let site = Site::start().await;
    site.publish([site.in_account(OWN)]);
    for (service, request) in [
        ("lambda", format!("GET /2015-03-31/functions/{OWN}:f HTTP/1.1\nHost: {LAMBDA}")),
        ("lambda", format!("GET /2015-03-31/functions/f HTTP/1.1\nHost: {LAMBDA}")),
        ("glacier", "GET /-/vaults HTTP/1.1\nHost: glacier.us-east-1.amazonaws.com".to_owned()),
        ("glacier", format!("GET /{OWN}/vaults HTTP/1.1\nHost: glacier.us-east-1.amazonaws.com")),
        (
            "s3",
            format!(
                "GET /v20180820/accesspoint HTTP/1.1\nHost: s3-control.us-east-1.amazonaws.com\nX-Amz-Account-Id: {OWN}"
            ),
        ),
    ] {
        passed(&site, service, &request, []).await;
    }
}

/// Whose API or function it is, its host does not tell: a grant of everything else does not reach it.
#[tokio::test]
async fn somebodys_api_or_function_is_reached_by_a_grant_of_its_own_alone() {
    let site = Site::start().await;
    for (service, signed_for, host) in [
        ("execute-api", "execute-api", "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"),
        ("lambda-url", "lambda", "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"),
    ] {
        let request = format!("POST /collect HTTP/1.1\nHost: {host}\n\nwhat was found");
        let mut grant = site.grant();
        assert!(grant.services.iter().any(|granted| granted.as_str() == service));
        grant.services.retain(|granted| granted.as_str() != service);
        site.publish([grant]);
        let answer = refused(&site, host, signed_for, &request).await;
        assert_eq!(answer.status(), 403, "{}", answer.text());
        assert!(answer.text().contains("Client is unknown or has no access to service"), "{}", answer.text());
    }
}
