//! Calls that are refused: status, code and message, in the form that the service's own errors have.

use std::{sync::Arc, time::Duration};

use csg::{
    clock::{Clock, Timestamp},
    model::{CloudIdentity, Grant, IdentitySource},
    secret::Secret,
};

use super::{LIST_TABLES, UPLOAD};
use crate::harness::{Answer, DYNAMODB, Key, LAMBDA, ROUTE53, SNS, Signed, Site, sha256};

const PUBLISH: &str = "POST / HTTP/1.1
    Host: sns.us-east-1.amazonaws.com
    Content-Type: application/x-www-form-urlencoded

    Action=Publish&Version=2010-03-31&Message=a";
const LIST_ZONES: &str = "GET /2013-04-01/hostedzone HTTP/1.1
    Host: route53.amazonaws.com";
const LIST_FUNCTIONS: &str = "GET /2015-03-31/functions/ HTTP/1.1
    Host: lambda.us-east-1.amazonaws.com";

/// What comes back for `request`, which must not reach the cloud.
async fn refused(site: &Site, host: &str, request: &Signed) -> Answer {
    let mut client = site.tunnel(host).await;
    client.send(request.bytes()).await;
    let answer = client.answer().await;
    assert!(site.cloud.is_quiet().await, "it reached the cloud");
    answer
}

/// Is `answer` an error as the JSON protocols have it?
fn assert_json(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.head.header("x-amzn-errortype"), Some(code), "{}", answer.text());
    assert!(answer.head.header("content-type").unwrap().starts_with("application/"));
    assert_eq!(answer.head.header("x-amzn-requestid").unwrap().len(), 36);
    let body: serde_json::Value = serde_json::from_slice(&answer.body.bytes).unwrap();
    assert_eq!(body["__type"], code);
    let found = body["message"].as_str().unwrap();
    assert!(found.contains(message), "{found:?} has no {message:?}");
}

/// Is `answer` an error as the XML protocols have it?
fn assert_xml(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!((answer.status(), answer.head.header("content-type")), (status, Some("text/xml")));
    let id = answer.head.header("x-amzn-requestid").unwrap();
    assert!(answer.text().contains(&format!("<Type>Sender</Type><Code>{code}</Code>")), "{}", answer.text());
    assert!(answer.text().contains(message), "{}", answer.text());
    assert!(answer.text().contains(&format!("<RequestId>{id}</RequestId>")), "{}", answer.text());
}

const UNKNOWN: &str = "Client is unknown or has no access to service";
const WRONG: &str = "The request signature we calculated does not match the signature you provided";

#[tokio::test]
async fn an_unknown_key_is_refused_in_every_protocol() {
    let site = Site::start().await;
    let key = Key { id: "CSGAUNKNOWNUNKNOWN01".to_owned(), ..site.key.clone() };
    let answer = refused(&site, DYNAMODB, &key.sign(LIST_TABLES)).await;
    assert_json(&answer, 403, "UnrecognizedClientException", UNKNOWN);
    assert_eq!(answer.head.header("content-type"), Some("application/x-amz-json-1.0"));
    let answer = refused(&site, LAMBDA, &key.sign(LIST_FUNCTIONS)).await;
    assert_json(&answer, 403, "UnrecognizedClientException", UNKNOWN);
    assert_eq!(answer.head.header("content-type"), Some("application/json"));
    assert_xml(&refused(&site, SNS, &key.sign(PUBLISH)).await, 403, "InvalidClientTokenId", UNKNOWN);
    assert_xml(&refused(&site, ROUTE53, &key.sign(LIST_ZONES)).await, 403, "InvalidClientTokenId", UNKNOWN);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_every_protocol() {
    let site = Site::start().await;
    let key = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    assert_json(&refused(&site, DYNAMODB, &key.sign(LIST_TABLES)).await, 403, "InvalidSignatureException", WRONG);
    assert_json(&refused(&site, LAMBDA, &key.sign(LIST_FUNCTIONS)).await, 403, "InvalidSignatureException", WRONG);
    assert_xml(&refused(&site, SNS, &key.sign(PUBLISH)).await, 403, "SignatureDoesNotMatch", WRONG);
    assert_xml(&refused(&site, ROUTE53, &key.sign(LIST_ZONES)).await, 403, "SignatureDoesNotMatch", WRONG);
}

/// Whoever has stolen the real key's id, or even the key, can do nothing with it here.
#[tokio::test]
async fn the_real_key_itself_is_unknown() {
    let site = Site::start().await;
    let answer = refused(&site, DYNAMODB, &site.real.sign(LIST_TABLES)).await;
    assert_json(&answer, 403, "UnrecognizedClientException", UNKNOWN);
}

#[tokio::test]
async fn a_session_token_makes_it_another_key() {
    let site = Site::start().await;
    let key = Key { token: Some("token".to_owned()), ..site.key.clone() };
    let answer = refused(&site, DYNAMODB, &key.sign(LIST_TABLES)).await;
    assert_json(&answer, 403, "UnrecognizedClientException", UNKNOWN);
    // Also if it is put in unsigned, as some services want it.
    let unsigned = site.key.sign(&LIST_TABLES.replacen("\n\n", "\n+ X-Amz-Security-Token: token\n\n", 1));
    assert_json(&refused(&site, DYNAMODB, &unsigned).await, 403, "UnrecognizedClientException", UNKNOWN);
}

#[tokio::test]
async fn any_changed_byte_is_refused() {
    let site = Site::start().await;
    let request = "POST /?a=1 HTTP/1.1
        Host: dynamodb.us-east-1.amazonaws.com
        X-Amz-Target: DynamoDB_20120810.ListTables
        X-Signed: value

        {\"a\":1}";
    let signed = site.key.sign(request);
    for (from, to) in [
        ("POST", "PUT"),
        ("a=1", "a=2"),
        ("/?a=1", "/x?a=1"),
        ("/?a=1", "/"),
        ("ListTables", "DeleteTable"),
        ("X-Signed: value", "X-Signed: other"),
        ("X-Signed: value", "X-Signed: value\r\nX-Signed: value"),
        ("X-Amz-Target: Dyna", "X-Amz-Target: dyna"),
        (
            "us-east-1/dynamodb/aws4_request, SignedHeaders=host;",
            "us-east-1/dynamodb/aws4_request,SignedHeaders=host;x;",
        ),
    ] {
        let answer = refused(&site, DYNAMODB, &signed.tampered(from, to)).await;
        assert!(matches!(answer.status(), 400 | 403), "{from}: {}", answer.text());
    }
    let tampered = Signed { body: b"{\"a\":2}".to_vec(), ..signed };
    assert_json(&refused(&site, DYNAMODB, &tampered).await, 403, "InvalidSignatureException", WRONG);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_both_times() {
    let site = Site::start().await;
    let now = Clock::system().now();
    let whole = |at: Timestamp| Timestamp::from_millis(at.seconds() * 1000).to_string();
    for at in [now.minus(Duration::from_secs(15 * 60 + 5)), now.plus(Duration::from_secs(15 * 60 + 5))] {
        let key = Key { at, ..site.key.clone() };
        let before = Clock::system().now();
        let answer = refused(&site, DYNAMODB, &key.sign(LIST_TABLES)).await;
        assert_json(&answer, 403, "InvalidSignatureException", &whole(at));
        // The minute may have turned meanwhile.
        let minutes = [before, Clock::system().now()].map(|now| now.to_string()[..16].to_owned());
        assert!(minutes.iter().any(|minute| answer.text().contains(minute)), "{}", answer.text());
        // SDKs set their clock by it and try again.
        assert!(answer.head.header("date").is_some());
        assert_xml(
            &refused(&site, SNS, &key.sign(PUBLISH)).await,
            403,
            "RequestTimeTooSkewed",
            "Signature not current",
        );
    }
    for at in [now.minus(Duration::from_mins(14)), now.plus(Duration::from_mins(14))] {
        let mut client = site.tunnel(DYNAMODB).await;
        client.send(Key { at, ..site.key.clone() }.sign(LIST_TABLES).bytes()).await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
}

/// `text` with `line` added after signing.
fn with(text: &str, line: &str) -> String {
    if text.contains("\n\n") {
        text.replacen("\n\n", &format!("\n+ {line}\n\n"), 1)
    } else {
        format!("{text}\n+ {line}")
    }
}

#[tokio::test]
async fn other_ways_to_authenticate_are_refused_by_name() {
    let site = Site::start().await;
    let without = |authorization: &str| {
        let signed = site.key.sign(LIST_TABLES);
        let line = signed.head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization")).unwrap();
        signed.tampered(&format!("{line}\r\n"), authorization)
    };
    for (request, status, code, message) in [
        (without(""), 403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        (without("Authorization: Bearer abc\r\n"), 403, "AccessDeniedException", "AWS4-HMAC-SHA256"),
        (without("Authorization: AWS AKIDEXAMPLE:c2lnbmF0dXJl\r\n"), 403, "AccessDeniedException", "AWS4-HMAC-SHA256"),
        (without("Authorization: Basic eDp5\r\n"), 403, "AccessDeniedException", "AWS4-HMAC-SHA256"),
        (
            without("Authorization: AWS4-ECDSA-P256-SHA256 Credential=a/b, SignedHeaders=host, Signature=00\r\n"),
            400,
            "IncompleteSignatureException",
            "X-Amz-Region-Set",
        ),
        (without("Authorization: AWS4-HMAC-SHA256\r\n"), 400, "IncompleteSignatureException", "Credential"),
        (without("Authorization: AWS4-HMAC-SHA256 nonsense\r\n"), 400, "IncompleteSignatureException", "equal-sign"),
        (
            without("").tampered("POST / ", "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00 "),
            400,
            "IncompleteSignatureException",
            "must include 'X-Amz-Credential'",
        ),
        (
            without("").tampered("POST / ", "POST /?AWSAccessKeyId=AKID&Expires=1&Signature=eA== "),
            403,
            "AccessDeniedException",
            "AWS4-HMAC-SHA256",
        ),
        // Two signatures: one for us to see and one for the cloud.
        (
            site.key.sign(&LIST_TABLES.replacen(
                "POST /",
                "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00",
                1,
            )),
            400,
            "IncompleteSignatureException",
            "Only one auth mechanism allowed",
        ),
    ] {
        assert_json(&refused(&site, DYNAMODB, &request).await, status, code, message);
    }
    let signed = site.key.sign(LIST_TABLES);
    let line =
        signed.head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization")).unwrap().to_owned();
    let twice = signed.tampered(&line, &format!("{line}\r\n{line}"));
    assert_json(&refused(&site, DYNAMODB, &twice).await, 400, "IncompleteSignatureException", "more than once");
}

#[tokio::test]
async fn a_body_that_is_not_signed_is_refused() {
    let site = Site::start().await;
    for payload in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-EVENTS",
    ] {
        let request = LIST_TABLES.replacen("\n\n", &format!("\nX-Amz-Content-Sha256: {payload}\n\n"), 1);
        let answer = refused(&site, DYNAMODB, &site.key.sign(&request)).await;
        assert_json(&answer, 403, "AccessDeniedException", &format!("({payload})"));
    }
    let request = LIST_TABLES.replacen("\n\n", "\nX-Amz-Content-Sha256: nonsense\n\n", 1);
    let answer = refused(&site, DYNAMODB, &site.key.sign(&request)).await;
    assert_json(&answer, 400, "IncompleteSignatureException", "x-amz-content-sha256");
}

#[tokio::test]
async fn a_scope_of_another_service_or_region_is_refused() {
    let site = Site::start().await;
    for (scope, message) in [
        (("sns", "us-east-1"), "Credential should be scoped to correct service: 'dynamodb'"),
        (("dynamodb", "eu-west-1"), "Credential should be scoped to a valid region. Expected 'us-east-1'"),
        (("iam", "us-east-1"), "Credential should be scoped to correct service: 'dynamodb'"),
    ] {
        let key = Key { scope: Some(scope), ..site.key.clone() };
        let answer = refused(&site, DYNAMODB, &key.sign(LIST_TABLES)).await;
        assert_json(&answer, 403, "InvalidSignatureException", message);
    }
    let key = Key { scope: Some(("route53", "eu-west-1")), ..site.key.clone() };
    let answer = refused(&site, ROUTE53, &key.sign(LIST_ZONES)).await;
    assert_xml(&answer, 403, "SignatureDoesNotMatch", "Expected 'us-east-1'");
}

#[tokio::test]
async fn a_request_for_another_host_than_the_tunnels_is_refused() {
    let site = Site::start().await;
    let other = "dynamodb.eu-west-1.amazonaws.com";
    let signed = site.key.sign(LIST_TABLES);
    let host = format!("Host: {DYNAMODB}\r\n");
    for request in [
        site.key.sign(&LIST_TABLES.replace(DYNAMODB, other)),
        signed.tampered(&host, &format!("{host}{host}")),
        signed.tampered(&host, &format!("{host}Host: {other}\r\n")),
        signed.tampered(&host, ""),
        signed.tampered(&host, "Host: \r\n"),
        signed.tampered(&host, &format!("Host: {DYNAMODB}:8443\r\n")),
        signed.tampered(&host, &format!("Host: {DYNAMODB}.\r\n")),
        signed.tampered("POST / ", &format!("POST https://{other}/ ")),
        signed.tampered("POST / ", &format!("POST https://user@{DYNAMODB}/ ")),
        signed.tampered("POST / ", "POST https://www.example.com/ "),
        signed.tampered("POST / ", "OPTIONS * "),
        signed.tampered("POST / ", &format!("CONNECT {DYNAMODB}:443 ")),
        signed.tampered("POST / ", &format!("CONNECT {other}:443 ")),
    ] {
        let answer = refused(&site, DYNAMODB, &request).await;
        assert_eq!(answer.status(), 400, "{}", request.head);
        if !answer.body.bytes.is_empty() {
            assert_json(&answer, 400, "SerializationException", DYNAMODB);
        }
    }
}

#[tokio::test]
async fn what_has_to_be_signed_must_be() {
    let site = Site::start().await;
    let unsigned = site.key.sign(&with(LIST_TABLES, "X-Amz-Meta-Evil: 1"));
    let answer = refused(&site, DYNAMODB, &unsigned).await;
    assert_json(&answer, 400, "IncompleteSignatureException", "not signed: x-amz-meta-evil");
    let unsigned = site.key.sign(&with(LIST_TABLES, "X-Amz-Target: DynamoDB_20120810.DeleteTable"));
    assert!(matches!(refused(&site, DYNAMODB, &unsigned).await.status(), 400 | 403));
    let signed = site.key.sign(LIST_TABLES);
    for (from, to) in [("SignedHeaders=content-type;host;", "SignedHeaders=content-type;"), ("host;", "host;host;")] {
        let answer = refused(&site, DYNAMODB, &signed.tampered(from, to)).await;
        assert_json(&answer, 400, "IncompleteSignatureException", "");
    }
    let gone = signed.tampered("Content-Type: application/x-amz-json-1.0\r\n", "");
    assert_json(&refused(&site, DYNAMODB, &gone).await, 400, "IncompleteSignatureException", "'content-type'");
    // An x-amz-* header in the query string and unsigned parts of the form don't count as headers: all is signed there.
    let answer = refused(&site, SNS, &site.key.sign(&with(PUBLISH, "X-Amz-Meta-Evil: 1"))).await;
    assert_xml(&answer, 400, "IncompleteSignature", "x-amz-meta-evil");
}

#[tokio::test]
async fn a_service_that_was_not_granted_is_refused() {
    let site = Site::start().await;
    site.publish([site.only(&["ecs"])]);
    assert_json(&refused(&site, DYNAMODB, &site.key.sign(LIST_TABLES)).await, 403, "AccessDeniedException", UNKNOWN);
    assert_json(&refused(&site, LAMBDA, &site.key.sign(LIST_FUNCTIONS)).await, 403, "AccessDeniedException", UNKNOWN);
    assert_xml(&refused(&site, SNS, &site.key.sign(PUBLISH)).await, 403, "AccessDenied", UNKNOWN);
    assert_xml(&refused(&site, ROUTE53, &site.key.sign(LIST_ZONES)).await, 403, "AccessDenied", UNKNOWN);
}

#[tokio::test]
async fn an_account_that_is_not_the_environments_is_refused() {
    let site = Site::start().await;
    site.publish([site.in_account("210987654321")]);
    let message = "Account '123456789012' is not allowed by this access request";
    for (host, target) in [
        ("123456789012.ddb.us-east-1.amazonaws.com", None),
        (LAMBDA, Some("GET /2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f")),
        (LAMBDA, Some("GET /2015-03-31/functions/123456789012:f")),
        ("glacier.us-east-1.amazonaws.com", Some("GET /123456789012/vaults")),
    ] {
        let request = match target {
            Some(target) => format!("{target} HTTP/1.1\nHost: {host}"),
            None => LIST_TABLES.replace(DYNAMODB, host),
        };
        let answer = refused(&site, host, &site.key.sign(&request)).await;
        assert_json(&answer, 403, "AccessDeniedException", message);
    }
    // Its own is allowed, and so is a call that names none.
    for target in ["/2015-03-31/functions/210987654321:f", "/2015-03-31/functions/f"] {
        let mut client = site.tunnel(LAMBDA).await;
        client.send(site.key.sign(&format!("GET {target} HTTP/1.1\nHost: {LAMBDA}")).bytes()).await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
}

#[tokio::test]
async fn an_operation_that_hands_out_credentials_is_refused_unless_it_is_allowed_by_name() {
    let site = Site::start().await;
    let redshift = "redshift.us-east-1.amazonaws.com";
    let request = site.key.sign(
        "POST / HTTP/1.1
        Host: redshift.us-east-1.amazonaws.com
        Content-Type: application/x-www-form-urlencoded

        Action=GetClusterCredentials&Version=2012-12-01&DbUser=admin",
    );
    let message =
        "Action 'GetClusterCredentials' would hand out cloud credentials and is not allowed by this access request";
    let allowing = |name: &str| Grant { allow_credential_operations: vec![name.to_owned()], ..site.grant() };
    for grant in [
        site.grant(),
        allowing("GetClusterCredentials"),
        allowing("redshift:GetClusterCredentialsWithIAM"),
        allowing("ecs:GetClusterCredentials"),
    ] {
        site.publish([grant]);
        assert_xml(&refused(&site, redshift, &request).await, 403, "AccessDenied", message);
    }
    site.publish([allowing("redshift:GetClusterCredentials")]);
    let mut client = site.tunnel(redshift).await;
    client.send(request.bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn what_cannot_be_named_is_refused() {
    let site = Site::start().await;
    let message = "could not be recognised";
    let target = |target: &str| site.key.sign(&LIST_TABLES.replace("DynamoDB_20120810.ListTables", target));
    for request in [
        target("DynamoDB_20120810.NoSuchOperation"),
        target("DynamoDB_20120810.listtables"),
        target("AmazonEC2ContainerServiceV20141113.ListClusters"),
        target("ListTables"),
        site.key.sign(&LIST_TABLES.replacen("POST / ", "POST /path ", 1)),
        site.key.sign(&LIST_TABLES.replacen("X-Amz-Target", "Smithy-Protocol: rpc-v2-cbor\nX-Amz-Target", 1)),
        site.key.sign(&with(LIST_TABLES, "Smithy-Protocol: rpc-v2-cbor")),
        // A header that names the call may be hidden from the cloud by naming it in Connection.
        site.key.sign(&with(&with(LIST_TABLES, "Smithy-Protocol: rpc-v2-cbor"), "Connection: smithy-protocol")),
    ] {
        let answer = refused(&site, DYNAMODB, &request).await;
        assert_eq!(answer.status(), 403, "{}", request.head);
        if answer.head.header("content-type") != Some("application/cbor") {
            assert_json(&answer, 403, "AccessDeniedException", message);
        }
    }
    for path in [
        "/nothing",
        "/2015-03-31/functions//f",
        "/2015-03-31/functions/../functions/f",
        "/2015-03-31/functions/%2e%2e/f",
    ] {
        let request = site.key.sign(&format!("GET {path} HTTP/1.1\nHost: {LAMBDA}"));
        let answer = refused(&site, LAMBDA, &request).await;
        // What our signer makes of dot segments differs, but nothing of it goes on.
        assert_eq!(answer.status(), 403, "{path}: {}", answer.text());
    }
    for header in ["X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-HTTP-Method: DELETE"] {
        let request = site.key.sign(&with(LIST_FUNCTIONS, header));
        assert_json(&refused(&site, LAMBDA, &request).await, 403, "AccessDeniedException", message);
    }
    let delete = site.key.sign(&format!("PATCH /2015-03-31/functions/f HTTP/1.1\nHost: {LAMBDA}"));
    assert_json(&refused(&site, LAMBDA, &delete).await, 403, "AccessDeniedException", message);
}

/// The query protocol reads the query string and the body as one: what stands in both, the cloud may take from either.
#[tokio::test]
async fn a_query_request_must_name_its_action_once() {
    let site = Site::start().await;
    let form = "\n    Content-Type: application/x-www-form-urlencoded\n";
    let publish = |target: &str, headers: &str, body: &str| {
        let request = format!("POST {target} HTTP/1.1\n    Host: {SNS}{headers}");
        site.key.sign_with_body(&request, body)
    };
    for request in [
        publish("/", form, "Action=Publish&Action=Publish"),
        publish("/", form, "Action=Publish&Action=Subscribe"),
        publish("/", form, "Action=Publish&%41ction=Subscribe"),
        publish("/", form, "Action=Publish;Action=Subscribe"),
        publish("/", form, "action=Publish"),
        publish("/", form, "Action=Publish&ACTION=Subscribe"),
        publish("/?Action=Publish", form, "Action=Subscribe"),
        publish("/?Action=Publish", form, "Action=Publish"),
        publish("/", form, "Action=NoSuchAction"),
        publish("/", form, "Message=Action%3DPublish"),
        publish("/", form, ""),
        publish("/", "\n    Content-Type: text/plain\n", "Action=Publish"),
        publish("/", "\n", "Action=Publish"),
        publish("/", &format!("{form}    Content-Encoding: gzip\n"), "Action=Publish"),
        publish(
            "/",
            &format!("{form}    + Content-Encoding: gzip\n    + Connection: content-encoding\n"),
            "Action=Publish",
        ),
    ] {
        let answer = refused(&site, SNS, &request).await;
        assert_eq!(
            (answer.status(), answer.text().contains("could not be recognised")),
            (403, true),
            "{}",
            request.head
        );
    }
    // A body with GET, whose hash is declared, is not read to name the call: the cloud might.
    let body = "Action=Subscribe";
    let head = format!("GET /?Action=Publish HTTP/1.1\nHost: {SNS}\nX-Amz-Content-Sha256: {}", sha256(body.as_bytes()));
    let answer = refused(&site, SNS, &site.key.sign_with_body(&head, body)).await;
    assert_xml(&answer, 403, "AccessDenied", "could not be recognised");
}

/// Its secret was lost, or something got into it that no header can hold.
#[tokio::test]
async fn a_cloud_credential_that_cannot_be_used_stops_the_call() {
    let site = Site::start().await;
    let broken = CloudIdentity {
        access_key_id: "AKIA\r\nX-Evil: 1".to_owned(),
        secret_access_key: Secret::new("secret"),
        session_token: None,
    };
    for identity in [None, Some(IdentitySource::Keys(Arc::new(broken)))] {
        site.publish_as(identity.as_ref(), [site.grant()]);
        let answer = refused(&site, DYNAMODB, &site.key.sign(LIST_TABLES)).await;
        assert_json(
            &answer,
            503,
            "ServiceUnavailable",
            "the cloud credential behind this access request can't be used",
        );
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let site = Site::start().await;
    let mut client = site.tunnel(LAMBDA).await;
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    for _ in 0..3 {
        client.send(wrong.sign_with_body(UPLOAD, vec![b' '; 10_000]).bytes()).await;
        assert_eq!(client.answer().await.status(), 403);
        client.send(site.key.sign(LIST_FUNCTIONS).bytes()).await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
}
