//! Calls that are allowed: what of the request reaches the cloud, and in whose name.

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, Site};

#[tokio::test]
async fn a_call_reaches_the_cloud_under_the_real_key_and_the_answer_comes_back() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;

    let mut call = site.cloud.call().await;
    assert_eq!(call.head.first, "POST / HTTP/1.1");
    assert_eq!(call.head.header("host"), Some(DYNAMODB));
    assert_eq!(call.sni, DYNAMODB);
    assert_eq!(call.head.header("x-amz-target"), Some("DynamoDB_20120810.ListTables"));
    let body = call.whole_body().await;
    assert_eq!(body, b"{}");
    site.real.verify(&call, &body);
    assert!(!format!("{:?}", call.head).contains(&site.key.id), "nothing of the client's key goes on");
    call.answer("HTTP/1.1 200 OK\nX-Amzn-RequestId: R1\nContent-Length: 17\n\n{\"TableNames\":[]}").await;

    let answer = client.answer().await;
    assert_eq!(answer.head.first, "HTTP/1.1 200 OK");
    assert_eq!(answer.head.header("x-amzn-requestid"), Some("R1"));
    assert_eq!(answer.text(), "{\"TableNames\":[]}");
}

#[tokio::test]
async fn every_protocol_is_understood_and_signed_again() {
    let site = Site::start().await;
    let calls = [
        ("dynamodb", "ListTables", LIST_TABLES),
        (
            "dynamodb",
            "ListTables",
            "POST / HTTP/1.1
            Host: 123456789012.ddb.us-east-1.amazonaws.com
            X-Amz-Target: DynamoDB_20120810.ListTables

            {}",
        ),
        (
            "ecs",
            "ListClusters",
            "POST / HTTP/1.1
            Host: ecs.eu-west-1.amazonaws.com
            X-Amz-Target: AmazonEC2ContainerServiceV20141113.ListClusters
            Content-Type: application/x-amz-json-1.1

            {}",
        ),
        (
            "sns",
            "Publish",
            "POST / HTTP/1.1
            Host: sns.us-east-1.amazonaws.com
            Content-Type: application/x-www-form-urlencoded; charset=utf-8

            Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns&Message=a%26b",
        ),
        (
            "ses",
            "SendEmail",
            "POST / HTTP/1.1
            Host: email.us-east-1.amazonaws.com
            Content-Type: application/x-www-form-urlencoded
            X-Amz-Content-Sha256: {sha256}

            Action=SendEmail&Version=2010-12-01",
        ),
        (
            "redshift",
            "DescribeClusters",
            "GET /?Action=DescribeClusters&Version=2012-12-01 HTTP/1.1
            Host: redshift.us-east-1.amazonaws.com",
        ),
        (
            "route53",
            "ListHostedZones",
            "GET /2013-04-01/hostedzone?maxitems=1&&marker= HTTP/1.1
            Host: route53.amazonaws.com",
        ),
        (
            "lambda",
            "GetFunction",
            "GET /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af HTTP/1.1
            Host: lambda.us-east-1.amazonaws.com",
        ),
        (
            "glacier",
            "UploadArchive",
            "POST /123456789012/vaults/v%20w/archives HTTP/1.1
            Host: glacier.us-east-1.amazonaws.com
            X-Amz-Glacier-Version: 2012-06-01
            X-Amz-Content-Sha256: {sha256}

            an archive",
        ),
        (
            "apigateway",
            "GetRestApis",
            "GET /restapis?limit=5 HTTP/1.1
            Host: apigateway.us-east-1.amazonaws.com:443
            Accept: application/json",
        ),
    ];
    for (count, (service, operation, request)) in calls.into_iter().enumerate() {
        let signed = site.key.sign(request);
        let host = request.split("Host: ").nth(1).unwrap().lines().next().unwrap();
        let mut client = site.tunnel(host.trim_end_matches(":443")).await;
        client.send(signed.bytes()).await;

        let mut call = site.cloud.call().await;
        assert_eq!(call.head.first, request.lines().next().unwrap());
        assert_eq!(call.head.header("host"), Some(host));
        let body = call.whole_body().await;
        assert_eq!(body, signed.body);
        site.real.verify(&call, &body);
        call.ok().await;

        assert_eq!(client.answer().await.status(), 200);
        let records = site.records(count + 1).await;
        let record = records.last().unwrap();
        assert_eq!(record.service.as_ref().unwrap().as_str(), service);
        assert_eq!(record.operation.as_deref(), Some(operation));
    }
}

#[tokio::test]
async fn what_the_client_did_not_sign_goes_along_and_what_it_signed_is_signed_again() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let request = site.key.sign(
        "POST / HTTP/1.1
        Host: dynamodb.us-east-1.amazonaws.com
        X-Amz-Target: DynamoDB_20120810.ListTables
        X-Signed:   a   b
        X-Signed: c
        Accept-Encoding: identity
        User-Agent: Boto3/1.43
        X-Forwarded-For: 192.0.2.1
        + X-Unsigned: kept
        + X-Unsigned: twice
        + Amz-Sdk-Request: attempt=1

        {}",
    );
    client.send(request.bytes()).await;

    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    site.real.verify(&call, &body);
    let authorization = call.head.header("authorization").unwrap();
    assert!(
        authorization.contains(
            "SignedHeaders=accept-encoding;host;user-agent;x-amz-date;x-amz-target;x-forwarded-for;x-signed,"
        )
    );
    assert_eq!(call.head.all("x-signed").collect::<Vec<_>>(), ["a   b", "c"]);
    assert_eq!(call.head.all("x-unsigned").collect::<Vec<_>>(), ["kept", "twice"]);
    for (name, value) in [
        ("accept-encoding", "identity"),
        ("amz-sdk-request", "attempt=1"),
        ("user-agent", "Boto3/1.43"),
        ("x-forwarded-for", "192.0.2.1"),
    ] {
        assert_eq!(call.head.header(name), Some(value));
    }
    for added in ["via", "forwarded", "x-forwarded-host", "x-forwarded-proto", "accept"] {
        assert_eq!(call.head.header(added), None);
    }
}

#[tokio::test]
async fn the_session_token_of_a_temporary_credential_is_sent_and_signed() {
    let site = Site::with(|plan| plan.token = Some("a+long/token==".to_owned())).await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;

    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    assert_eq!(call.head.header("x-amz-security-token"), Some("a+long/token=="));
    site.real.verify(&call, &body);
    assert!(call.head.header("authorization").unwrap().contains("x-amz-security-token"));
}

/// `Connection` names headers for the next hop only. A naive proxy strips them: what the client signed, so that the
/// call is another one than was verified; or the fresh signature's own date.
#[tokio::test]
async fn connection_can_name_what_was_signed_and_it_stays_all_the_same() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let request = site.key.sign(
        "POST / HTTP/1.1
        Host: dynamodb.us-east-1.amazonaws.com
        X-Amz-Target: DynamoDB_20120810.ListTables
        X-Signed: yes
        + Connection: X-Amz-Date, x-amz-target, Authorization, host
        + Connection: content-type,content-length,x-signed, X-Unsigned, keep-alive
        + Content-Type: application/x-amz-json-1.0
        + X-Unsigned: for this hop

        {}",
    );
    client.send(request.bytes()).await;

    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    assert_eq!(body, b"{}");
    site.real.verify(&call, &body);
    assert_eq!(call.head.header("x-amz-target"), Some("DynamoDB_20120810.ListTables"));
    assert_eq!(call.head.header("host"), Some(DYNAMODB));
    assert_eq!(call.head.header("x-signed"), Some("yes"));
    assert_eq!(call.head.header("x-unsigned"), None);
    assert_eq!(call.head.header("content-type"), Some("application/x-amz-json-1.0"), "it was read to name the call");
}

#[tokio::test]
async fn headers_for_one_hop_go_no_further_even_if_they_were_signed() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    // Some SDKs sign whatever their HTTP client adds (boto/botocore#3643, smithy-lang/smithy-rs#3991).
    let request = site.key.sign(
        "POST / HTTP/1.1
        Host: dynamodb.us-east-1.amazonaws.com
        X-Amz-Target: DynamoDB_20120810.ListTables
        Connection: keep-alive, Upgrade
        Expect: 100-continue
        Keep-Alive: timeout=5
        Proxy-Authorization: Basic eA==
        Proxy-Connection: keep-alive
        TE: trailers
        Trailer: X-Sum
        Transfer-Encoding: chunked
        Upgrade: h2c",
    );
    client.send(&request.head).await;
    assert_eq!(client.head().await.first, "HTTP/1.1 100 Continue");
    client.send("0\r\nX-Sum: 1\r\n\r\n").await;

    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    assert_eq!(body, b"");
    site.real.verify(&call, &body);
    let mut names = call.head.names();
    names.sort_unstable();
    let expected = ["authorization", "content-length", "host", "x-amz-date", "x-amz-target"];
    assert!(names == expected || names == [&expected[..1], &expected[2..]].concat(), "{:?}", call.head);
    let answer =
        "HTTP/1.1 200 OK\nConnection: close, X-Hop\nKeep-Alive: timeout=5\nX-Hop: 1\nX-End: 2\nContent-Length: 2\n\n{}";
    call.answer(answer).await;

    let answer = client.answer().await;
    let mut names = answer.head.names();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-end"], "{:?}", answer.head);
}

#[tokio::test]
async fn a_client_that_speaks_http_1_0_is_served_and_the_cloud_is_spoken_to_in_1_1() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(&LIST_TABLES.replace("HTTP/1.1", "HTTP/1.0")).bytes()).await;

    let call = site.cloud.call().await;
    assert_eq!(call.head.first, "POST / HTTP/1.1");
    call.answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\r\n{}\r\n0\r\n\r\n").await;

    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text()), (200, "{}"));
    assert_eq!(answer.head.header("transfer-encoding"), None);
    client.ends().await;
}

#[tokio::test]
async fn an_absolute_target_for_the_host_of_the_tunnel_is_as_good() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let request = site.key.sign(LIST_TABLES).tampered("POST / ", "POST https://dynamodb.us-east-1.amazonaws.com/ ");
    client.send(request.bytes()).await;
    let call = site.cloud.call().await;
    assert_eq!(call.head.first, "POST / HTTP/1.1");
    site.real.verify(&call, b"{}");
}
