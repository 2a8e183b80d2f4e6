//! Operations whose answer would hold cloud credentials: each is refused, however it is asked for, unless it is allowed
//! by name. One such answer, and the gateway is bypassed for good.

use std::collections::BTreeSet;

use csg::model::Grant;

use super::requests::{Service, nowhere, services};
use crate::harness::{Key, Signed, Site};

/// What people have judged: service, operation, yes or no, and why.
const JUDGED: &str = include_str!("../../../assets/aws/credentials.tsv");

/// Signs a request whose head is written as text, for this service.
fn signed(site: &Site, service: &str, head: &str, body: &[u8]) -> Signed {
    let service = Box::leak(service.to_owned().into_boxed_str());
    Key { scope: Some((service, "us-east-1")), ..site.key.clone() }.sign_with_body(head, body)
}

async fn answer(site: &Site, host: &str, request: &Signed) -> (u16, String) {
    let mut client = site.tunnel(host).await;
    client.send(request.bytes()).await;
    let answer = client.answer().await;
    (answer.status(), String::from_utf8_lossy(&answer.body.bytes).into_owned())
}

/// All of the catalogue, in all of their protocols.
#[tokio::test]
async fn each_is_refused_unless_it_is_allowed_by_its_own_name() {
    let site = Site::with(|plan| plan.dial = Some(nowhere())).await;
    let (services, mut seen) = (services(|operation| operation.is("credentials")), BTreeSet::new());
    let all: BTreeSet<_> = services.iter().flat_map(Service::names).collect();
    for service in &services {
        let (host, signs) = &service.host;
        for operation in &service.operations {
            let name = format!("{}:{}", service.id, operation.name);
            let granting =
                |allowed: Vec<String>| Grant { allow_credential_operations: allowed, ..site.only(&[&service.id]) };
            let message = format!(
                "Action '{}' would hand out cloud credentials and is not allowed by this access request",
                operation.name
            );
            for (head, body) in service.requests(operation, "") {
                let request = signed(&site, signs, &head, &body);
                let others = all.iter().filter(|other| **other != name).cloned().collect();
                for allowed in [Vec::new(), others] {
                    site.publish([granting(allowed)]);
                    let (status, text) = answer(&site, host, &request).await;
                    assert!(status == 403 && text.contains(&message), "{name} {head}: {status} {text}");
                }
                site.publish([granting(vec![name.clone()])]);
                let (status, text) = answer(&site, host, &request).await;
                assert_eq!(status, 502, "{name} {head}: {text}");
            }
            seen.insert(name);
        }
    }
    assert_eq!(seen, all, "each has to be asked for");
    let judged = JUDGED.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    for line in judged.filter(|line| line[2] == "yes") {
        assert!(seen.contains(&format!("{}:{}", line[0], line[1])), "{line:?}");
    }
    for known in [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:GetSessionToken",
        "sts:GetFederationToken",
        "iam:CreateAccessKey",
        "iam:CreateLoginProfile",
        "redshift:GetClusterCredentials",
        "redshift:GetClusterCredentialsWithIAM",
        "ecr:GetAuthorizationToken",
        "cognito-identity:GetCredentialsForIdentity",
        "sso:GetRoleCredentials",
        "codeartifact:GetAuthorizationToken",
        "ec2:GetPasswordData",
        "lightsail:CreateBucketAccessKey",
        "lightsail:GetBucketAccessKeys",
        "iot:CreateKeysAndCertificate",
        "s3:CreateSession",
    ] {
        assert!(seen.contains(known), "{known}");
    }
}

/// What else a server might take for `sts:AssumeRole` and its like.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of ways")]
async fn there_is_no_way_round() {
    let site = Site::with(|plan| plan.dial = Some(nowhere())).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let sts = |first: &str, headers: &str, body: &'static str| {
        ("sts", format!("{first} HTTP/1.1\nHost: sts.us-east-1.amazonaws.com\n{headers}"), body)
    };
    let ecr = |first: &str, headers: &str| {
        ("ecr", format!("{first} HTTP/1.1\nHost: api.ecr.us-east-1.amazonaws.com\n{headers}"), "{}")
    };
    let artifacts = |first: &str, headers: &str| {
        ("codeartifact", format!("{first} HTTP/1.1\nHost: codeartifact.us-east-1.amazonaws.com\n{headers}"), "")
    };
    let s3 = |first: &str| ("s3", format!("{first} HTTP/1.1\nHost: s3.us-east-1.amazonaws.com"), "");
    let assume = "Action=AssumeRole&Version=2011-06-15";
    let target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    for (service, head, body) in [
        // Query or body, GET or POST, once or twice.
        sts("GET /?Action=AssumeRole&Version=2011-06-15", "", ""),
        sts("POST /?Action=AssumeRole&Version=2011-06-15", "", ""),
        sts("POST /?Action=AssumeRole&Version=2011-06-15", form, ""),
        sts("POST /", form, "Action=%41ssumeRole&Version=2011-06-15"),
        sts("POST /", form, "%41ction=AssumeRole&Version=2011-06-15"),
        sts("POST /", form, "Version=2011-06-15&RoleArn=x&Action=AssumeRole"),
        sts("POST /", form, "Action=AssumeRole"),
        sts("POST /", form, "Action=AssumeRole&Version=2099-01-01"),
        sts("POST /?Action=GetCallerIdentity&Version=2011-06-15", form, assume),
        sts("POST /?Action=AssumeRole", form, "Action=GetCallerIdentity&Version=2011-06-15"),
        sts("POST /", form, "Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15"),
        sts("POST /", form, "Action=AssumeRole&Action=GetCallerIdentity&Version=2011-06-15"),
        sts("POST /", form, "Action=GetCallerIdentity;Action=AssumeRole&Version=2011-06-15"),
        sts("POST /", form, "Action=GetCallerIdentity&action=AssumeRole&Version=2011-06-15"),
        sts("POST /", form, "action=AssumeRole&Version=2011-06-15"),
        sts("POST /", form, "Action=assumerole&Version=2011-06-15"),
        sts("POST /", form, "Action=AssumeRole%00&Version=2011-06-15"),
        sts("POST /", form, "Action=+AssumeRole&Version=2011-06-15"),
        sts("POST /", form, "Action[]=AssumeRole&Version=2011-06-15"),
        sts("POST /other", form, assume),
        sts("PUT /", form, assume),
        sts("GET /?Action=GetCallerIdentity&Version=2011-06-15", form, assume),
        // Other types and codings of the body.
        sts("POST /", "Content-Type: application/x-www-form-urlencoded; charset=utf-16", assume),
        sts("POST /", "Content-Type: multipart/form-data; boundary=x", assume),
        sts("POST /", "Content-Type: application/json", assume),
        sts("POST /", &format!("{form}\nContent-Encoding: gzip"), assume),
        sts("POST /", &format!("{form}\nX-HTTP-Method-Override: GET"), "Action=GetCallerIdentity&Version=2011-06-15"),
        // Other protocols.
        sts("POST /", "X-Amz-Target: AWSSecurityTokenServiceV20110615.AssumeRole", "{}"),
        sts(
            "POST /",
            &format!("{form}\nX-Amz-Target: AWSSecurityTokenServiceV20110615.AssumeRole"),
            "Action=GetCallerIdentity&Version=2011-06-15",
        ),
        sts("POST /service/AWSSecurityTokenServiceV20110615/operation/AssumeRole", "Smithy-Protocol: rpc-v2-cbor", ""),
        sts(
            "POST /service/AWSSecurityTokenServiceV20110615/operation/AssumeRole",
            &format!("{form}\nSmithy-Protocol: rpc-v2-cbor"),
            "Action=GetCallerIdentity&Version=2011-06-15",
        ),
        ecr("POST /", target),
        ecr("POST /", &target.to_lowercase()),
        ecr("POST /", &format!("{target} ")),
        ecr("POST /", &target.replace("_V20150921", "_V20990101")),
        ecr(
            "POST /",
            &target.replace(
                "AmazonEC2ContainerRegistry_V20150921",
                "com.amazonaws.ecr#AmazonEC2ContainerRegistry_V20150921",
            ),
        ),
        ecr("POST /", &target.replace("GetAuth", "getauth")),
        ecr("POST /", &format!("{target}\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")),
        ecr(
            "POST /",
            "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories,AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        ),
        ecr("POST /", &format!("{target}\n+ Connection: x-amz-target")),
        ecr("GET /", target),
        ecr("POST /?Action=GetAuthorizationToken", "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.Nothing"),
        ecr(
            "POST /service/AmazonEC2ContainerRegistry_V20150921/operation/GetAuthorizationToken",
            "Smithy-Protocol: rpc-v2-cbor",
        ),
        // Other writings of a path.
        artifacts("POST /v1/authorization-token", ""),
        artifacts("POST /v1/authorization-token/", ""),
        artifacts("POST /v1/authorization-token?domain=d", ""),
        artifacts("POST /v1/authorization%2Dtoken", ""),
        artifacts("POST /v1%2Fauthorization-token", ""),
        artifacts("POST /V1/authorization-token", ""),
        artifacts("POST //v1/authorization-token", ""),
        artifacts("POST /v1/./authorization-token", ""),
        artifacts("POST /v1/domain/../authorization-token", ""),
        artifacts("POST /v1/authorization-token;x=y", ""),
        artifacts("GET /v1/authorization-token", ""),
        artifacts("POST /v1/domains", "X-HTTP-Method-Override: GET"),
        s3("GET /bucket?session"),
        s3("GET /bucket/?session"),
        s3("GET /bucket?session="),
        s3("GET /bucket?s%65ssion"),
        s3("GET /bucket?session&session"),
        s3("GET /bucket?list-type=2&session"),
    ] {
        let request = signed(&site, service, &head, body.as_bytes());
        let host = head.split("Host: ").nth(1).unwrap().lines().next().unwrap();
        let (status, text) = answer(&site, host, &request).await;
        assert!(matches!(status, 400 | 403), "{head}\n\n{body}\n{status} {text}");
    }
}

#[tokio::test]
async fn who_the_caller_is_may_be_asked_and_the_answer_is_the_clouds() {
    let site = Site::start().await;
    let head = "POST / HTTP/1.1\nHost: sts.us-east-1.amazonaws.com\nContent-Type: application/x-www-form-urlencoded";
    let request = signed(&site, "sts", head, b"Action=GetCallerIdentity&Version=2011-06-15");
    let mut client = site.tunnel("sts.us-east-1.amazonaws.com").await;
    client.send(request.bytes()).await;
    let shown =
        "<GetCallerIdentityResponse><Arn>arn:aws:iam::123456789012:user/gateway</Arn></GetCallerIdentityResponse>";
    let length = shown.len();
    site.cloud.call().await.answer(&format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n{shown}")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text()), (200, shown));
}
