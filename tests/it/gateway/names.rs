//! Rules about the names of what calls create: read in every protocol where the cloud reads them, or the call stays here.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use csg::model::{CloudId, Conditions, Grant, Policy, PolicyStatus, Rule, ServiceId};

use super::{LIST_TABLES, UPLOAD};
use crate::harness::{DYNAMODB, LAMBDA, S3, SNS, Site, handshake, within};

const PREFIX: &str = "csg.resource.name.prefix";

/// A rule: names begin with `team-`.
fn rule(service: Option<&str>, operation: Option<&str>) -> Policy {
    Policy {
        rule: Rule::ResourceNamePrefix("team-".to_owned()),
        status: PolicyStatus::Enforced,
        conditions: Conditions {
            cloud: CloudId::aws(),
            service: service.map(|id| ServiceId::new(id).unwrap()),
            operation: operation.map(ToOwned::to_owned),
        },
    }
}

async fn with_rules(rules: impl IntoIterator<Item = Policy>) -> Site {
    let site = Site::start().await;
    let policies: Arc<[Policy]> = rules.into_iter().collect();
    site.publish([Grant { policies, ..site.grant() }]);
    site
}

fn json(host: &str, target: &str, body: &str) -> (String, Vec<u8>) {
    let head = format!(
        "POST / HTTP/1.1\nHost: {host}\nX-Amz-Target: {target}\nContent-Type: application/x-amz-json-1.0\nX-Amz-Content-Sha256: {{sha256}}"
    );
    (head, body.as_bytes().to_vec())
}

fn form(host: &str, body: &str) -> (String, Vec<u8>) {
    let head = format!("POST / HTTP/1.1\nHost: {host}\nContent-Type: application/x-www-form-urlencoded");
    (head, body.as_bytes().to_vec())
}

fn rest(host: &str, line: &str, kind: &str, body: &str) -> (String, Vec<u8>) {
    let kind = if kind.is_empty() { String::new() } else { format!("\nContent-Type: {kind}") };
    (format!("{line} HTTP/1.1\nHost: {host}\nX-Amz-Content-Sha256: {{sha256}}{kind}"), body.as_bytes().to_vec())
}

const CREATE_TABLE: &str = "DynamoDB_20120810.CreateTable";
const KINESIS: &str = "kinesis.us-east-1.amazonaws.com";
const CLOUDWATCH: &str = "monitoring.us-east-1.amazonaws.com";
const ROUTE53: &str = "route53.amazonaws.com";
const GLACIER: &str = "glacier.us-east-1.amazonaws.com";
const APIGATEWAY: &str = "apigateway.us-east-1.amazonaws.com";
const EC2: &str = "ec2.us-east-1.amazonaws.com";

/// Host, operation, and the head and the body of a call.
type Creating = (&'static str, &'static str, (String, Vec<u8>));

/// Calls in the form `name → request`, in each protocol and place.
fn creating(name: &str) -> Vec<Creating> {
    let cbor = |member: &str| {
        let (key, value) = (member.as_bytes(), name.as_bytes());
        let byte = |length: usize| 0x60 + u8::try_from(length).unwrap();
        [&[0xa1, byte(key.len())], key, &[byte(value.len())], value].concat()
    };
    let smithy = format!(
        "POST /service/GraniteServiceVersion20100801/operation/PutDashboard HTTP/1.1\nHost: {CLOUDWATCH}\n\
         Smithy-Protocol: rpc-v2-cbor\nContent-Type: application/cbor\nX-Amz-Content-Sha256: {{sha256}}"
    );
    let older = format!(
        "POST / HTTP/1.1\nHost: {KINESIS}\nX-Amz-Target: Kinesis_20131202.CreateStream\n\
         Content-Type: application/x-amz-cbor-1.1\nX-Amz-Content-Sha256: {{sha256}}"
    );
    let tags = format!(
        "TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value={name}"
    );
    let zone = format!(
        "<CreateHostedZoneRequest><Name>{name}</Name><CallerReference>1</CallerReference></CreateHostedZoneRequest>"
    );
    let bucket_host: &'static str = if name.starts_with("team") {
        "team-1.s3.us-east-1.amazonaws.com"
    } else {
        "other-1.s3.us-east-1.amazonaws.com"
    };
    vec![
        (DYNAMODB, "CreateTable", json(DYNAMODB, CREATE_TABLE, &format!("{{\"TableName\":\"{name}\"}}"))),
        (SNS, "CreateTopic", form(SNS, &format!("Action=CreateTopic&Version=2010-03-31&Name={name}"))),
        (EC2, "CreateVpc", form(EC2, &format!("Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16&{tags}"))),
        (
            LAMBDA,
            "CreateFunction",
            rest(LAMBDA, "POST /2015-03-31/functions", "application/json", &format!("{{\"FunctionName\":\"{name}\"}}")),
        ),
        (GLACIER, "CreateVault", rest(GLACIER, &format!("PUT /-/vaults/{name}"), "", "")),
        (
            APIGATEWAY,
            "UpdateRestApi",
            rest(
                APIGATEWAY,
                "PATCH /restapis/abc",
                "application/json",
                &format!("{{\"patchOperations\":[{{\"op\":\"replace\",\"path\":\"/name\",\"value\":\"{name}\"}}]}}"),
            ),
        ),
        (S3, "CreateBucket", rest(S3, &format!("PUT /{name}"), "", "")),
        (bucket_host, "CreateBucket", rest(bucket_host, "PUT /", "", "")),
        (ROUTE53, "CreateHostedZone", rest(ROUTE53, "POST /2013-04-01/hostedzone", "application/xml", &zone)),
        (CLOUDWATCH, "PutDashboard", (smithy, cbor("DashboardName"))),
        (KINESIS, "CreateStream", (older, cbor("StreamName"))),
    ]
}

#[tokio::test]
async fn a_name_that_keeps_the_rule_goes_in_every_protocol() {
    let site = with_rules([rule(None, None)]).await;
    for (host, operation, (head, body)) in creating("team-1") {
        let mut client = site.tunnel(host).await;
        client.send(site.key.sign_with_body(&head, body.clone()).bytes()).await;
        let mut call = tokio::select! {
            call = site.cloud.call() => call,
            answer = client.head() => panic!("{operation} is refused: {answer:?}"),
        };
        assert_eq!(call.whole_body().await, body, "{operation}");
        site.real.verify(&call, &body);
        call.ok().await;
        assert_eq!(client.answer().await.status(), 200, "{operation}");
    }
}

#[tokio::test]
async fn a_name_that_breaks_the_rule_stays_here_and_its_client_is_told_in_its_own_words() {
    let site = with_rules([rule(None, None)]).await;
    for (host, operation, (head, body)) in creating("other-1") {
        let mut client = site.tunnel(host).await;
        client.send(site.key.sign_with_body(&head, body).bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 403, "{operation}");
        let said = String::from_utf8_lossy(&answer.body.bytes).into_owned();
        let plain = format!("Action '{operation}' violates policy '{PREFIX}'");
        assert!(said.contains(&plain) || said.contains(&plain.replace('\'', "&apos;")), "{operation}: {said}");
        let code = answer.head.header("x-amzn-errortype").unwrap_or("AccessDenied");
        assert!(code.starts_with("AccessDenied"), "{operation}: {code}");
    }
    assert!(site.cloud.is_quiet().await);
    assert!(
        site.records(11)
            .await
            .iter()
            .all(|record| record.error.as_deref().is_some_and(|code| code.starts_with("AccessDenied")))
    );
}

/// Each could be read as another name than the one that is seen first.
#[tokio::test]
async fn what_might_be_read_in_two_ways_is_refused() {
    let site = with_rules([rule(None, None)]).await;
    let table = |body: &str| (DYNAMODB, json(DYNAMODB, CREATE_TABLE, body));
    let topic = |body: &str| (SNS, form(SNS, &format!("Action=CreateTopic&Version=2010-03-31&{body}")));
    let with = |(host, (head, body)): (&'static str, (String, Vec<u8>)), header: &str| {
        (host, (format!("{head}\n{header}"), body))
    };
    let typed = |kind: &str| {
        let (head, body) = json(DYNAMODB, CREATE_TABLE, "{\"TableName\":\"team-1\"}");
        (DYNAMODB, (head.replace("application/x-amz-json-1.0", kind), body))
    };
    for (host, (head, body)) in [
        table("{\"TableName\":\"team-1\",\"TableName\":\"other\"}"),
        table("{\"TableName\":\"other\",\"TableName\":\"team-1\"}"),
        table("{\"TableName\":\"team-1\",\"tableName\":\"other\"}"),
        table("{\"TableName\":\"team-1\",\"T\\u0061bleName\":\"other\"}"),
        table("{\"TableName\":[\"team-1\"]}"),
        table("{\"TableName\":null}"),
        table("{\"TableName\":\"team-1\"}{\"TableName\":\"other\"}"),
        table("{\"Input\":{\"TableName\":\"team-1\"}}"),
        table("{}"),
        table(""),
        with(table("{\"TableName\":\"team-1\"}"), "Content-Encoding: gzip"),
        typed("application/xml"),
        typed("application/x-amz-cbor-1.1"),
        topic("Name=team-1&Name=other"),
        topic("Name=team-1&N%61me=other"),
        topic("Name=team-1&name=other"),
        topic("Other=team-1"),
        (
            SNS,
            (
                {
                    let (head, _) = form(SNS, "");
                    head.replace("POST /", "POST /?Name=other")
                },
                b"Action=CreateTopic&Version=2010-03-31&Name=team-1".to_vec(),
            ),
        ),
        // It creates, and says no name.
        ("kms.us-east-1.amazonaws.com", json("kms.us-east-1.amazonaws.com", "TrentService.CreateKey", "{}")),
    ] {
        let mut client = site.tunnel(host).await;
        client.send(site.key.sign_with_body(&head, body.clone()).bytes()).await;
        let answer = client.answer().await;
        let said = String::from_utf8_lossy(&answer.body.bytes).into_owned();
        assert_eq!(answer.status(), 403, "{head}\n{}", String::from_utf8_lossy(&body));
        assert!(said.contains("violates policy"), "{head}: {said}");
    }
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn what_no_rule_concerns_streams_as_ever() {
    let site = with_rules([rule(Some("dynamodb"), None), rule(Some("lambda"), None)]).await;
    // Of another service, and of an operation that creates nothing: neither body is waited for.
    for (host, head) in [
        (LAMBDA, UPLOAD.to_owned()),
        (GLACIER, format!("POST /-/vaults/v/archives HTTP/1.1\nHost: {GLACIER}\nX-Amz-Content-Sha256: {{sha256}}")),
    ] {
        let mut client = site.tunnel(host).await;
        let request = site.key.sign_with_body(&head, vec![b'x'; 5_000_000]);
        client.send([request.head.as_bytes(), &request.body[..100_000]].concat()).await;
        let mut call = site.cloud.call().await;
        client.send(&request.body[100_000..]).await;
        assert_eq!(call.whole_body().await.len(), 5_000_000);
        call.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    // Where the rule depends on a name that this operation has not, it goes nowhere.
    let site = with_rules([rule(Some("dynamodb"), Some("ListTables"))]).await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert_eq!(client.answer().await.status(), 403);
}

/// What has to be read has to be in memory, whatever was signed of it.
#[tokio::test]
async fn a_body_that_is_too_large_to_be_read_is_refused() {
    let site = with_rules([rule(None, None)]).await;
    for hash in ["", "X-Amz-Content-Sha256: {sha256}"] {
        let head =
            format!("POST /2015-03-31/functions HTTP/1.1\nHost: {LAMBDA}\nContent-Type: application/json\n{hash}");
        let mut client = site.tunnel(LAMBDA).await;
        client.send(site.key.sign_with_body(&head, vec![b' '; 2_000_000]).bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 413, "{}", answer.text());
        assert!(answer.text().contains("gateway.max_buffered_body"), "{}", answer.text());
    }
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_body_that_was_read_for_its_name_is_checked_against_its_hash_first() {
    let site = with_rules([rule(None, None)]).await;
    let (head, body) = json(DYNAMODB, CREATE_TABLE, "{\"TableName\":\"team-1\"}");
    let request = site.key.sign_with_body(&head, body);
    let mut client = site.tunnel(DYNAMODB).await;
    client.send([request.head.as_bytes(), b"{\"TableName\":\"team-2\"}"].concat()).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().contains("'x-amz-content-sha256' header does not match"), "{}", answer.text());
    assert!(site.cloud.is_quiet().await);
}

/// RDS, Neptune and DocumentDB share a call: it is not counted as the one that no rule concerns.
#[tokio::test]
async fn a_call_of_several_services_keeps_the_rules_of_each() {
    const RDS: &str = "rds.us-east-1.amazonaws.com";
    let body = "Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier=other";
    for ruled in ["docdb", "neptune", "rds"] {
        let site = with_rules([rule(Some(ruled), None)]).await;
        let (head, body) = form(RDS, body);
        let mut client = site.tunnel(RDS).await;
        client.send(site.key.sign_with_body(&head, body).bytes()).await;
        assert_eq!(client.answer().await.status(), 403, "{ruled}");
        assert!(site.cloud.is_quiet().await);
    }
}

/// Unsigned by design, and it creates a user.
#[tokio::test]
async fn a_call_that_its_tunnel_vouches_for_keeps_the_rules_too() {
    const COGNITO: &str = "cognito-idp.us-east-1.amazonaws.com";
    let site = with_rules([rule(None, None)]).await;
    for (name, status) in [("team-1", 200), ("other", 403)] {
        let mut wire = site.connect().await;
        let basic = STANDARD.encode(format!("{}:{}", site.key.id, site.key.secret));
        wire.send(format!(
            "CONNECT {COGNITO}:443 HTTP/1.1\r\nHost: {COGNITO}:443\r\nProxy-Authorization: Basic {basic}\r\n\r\n"
        ))
        .await;
        assert_eq!(wire.head().await.status(), 200);
        let mut client = within("the TLS handshake", handshake(wire, site.client(), COGNITO)).await.unwrap();
        let body = format!("{{\"Username\":\"{name}\"}}");
        client
            .send(format!(
                "POST / HTTP/1.1\r\nHost: {COGNITO}\r\nX-Amz-Target: AWSCognitoIdentityProviderService.SignUp\r\n\
                 Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        if status == 200 {
            let mut call = site.cloud.call().await;
            assert_eq!(call.whole_body().await, body.as_bytes());
            call.ok().await;
        }
        assert_eq!(client.answer().await.status(), status, "{name}");
    }
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn without_rules_a_grant_is_as_it_was() {
    let site = Site::start().await;
    let (head, body) = json(DYNAMODB, CREATE_TABLE, "{\"TableName\":\"other\",\"TableName\":\"team-1\"}");
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign_with_body(&head, body).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

/// S3's services let bodies go unsigned, or in chunks: the one is read, the other can't be.
#[tokio::test]
async fn a_body_that_nobody_signed_is_read_too_and_one_in_chunks_is_not() {
    const CONTROL: &str = "s3-control.us-east-1.amazonaws.com";
    let mut site = with_rules([rule(None, None)]).await;
    site.key.scope = Some(("s3", "us-east-1"));
    let group = |name: &str| {
        format!(
            "<CreateStorageLensGroupRequest><StorageLensGroup><Name>{name}</Name></StorageLensGroup></CreateStorageLensGroupRequest>"
        )
    };
    for (form, name, status) in [
        ("UNSIGNED-PAYLOAD", "team-1", 200),
        ("UNSIGNED-PAYLOAD", "other", 403),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER\nX-Amz-Decoded-Content-Length: 100", "team-1", 403),
    ] {
        let head = format!(
            "POST /v20180820/storagelensgroup HTTP/1.1\nHost: {CONTROL}\nX-Amz-Account-Id: 123456789012\n\
             X-Amz-Content-Sha256: {form}"
        );
        let body = group(name);
        let mut client = site.tunnel(CONTROL).await;
        client.send(site.key.sign_with_body(&head, body.clone()).bytes()).await;
        if status == 200 {
            let mut call = site.cloud.call().await;
            assert_eq!(call.whole_body().await, body.as_bytes());
            call.ok().await;
        }
        let answer = client.answer().await;
        assert_eq!(answer.status(), status, "{form} {name}: {}", answer.text());
        assert!(status == 200 || answer.text().contains("violates policy"), "{}", answer.text());
    }
    assert!(site.cloud.is_quiet().await);
}
