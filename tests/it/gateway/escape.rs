//! Operations whose answer would hold cloud credentials: each is refused, however it is asked for, unless it is allowed
//! by name. One such answer, and the gateway is bypassed for good.

use std::{collections::BTreeSet, fs};

use csg::{gateway::Address, model::Grant};

use crate::harness::{Key, Signed, Site};

/// Behind which nobody listens: a call that is let through ends in 502.
fn nowhere() -> Address {
    Address::Socket("127.0.0.1:1".parse().unwrap())
}

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

/// A service as the catalogue's file has it.
#[derive(Default)]
struct Service {
    id: String,
    protocols: Vec<String>,
    target: String,
    version: String,
    /// Host and signing name.
    host: Option<(String, String)>,
    /// Operation, method, path, condition.
    handing: Vec<[String; 4]>,
}

/// The services that have operations which hand out credentials.
fn services() -> Vec<Service> {
    let path = format!("{}/assets/aws/catalogue.tsv", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<Service> = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let last = all.last_mut();
        match (fields[0], last) {
            ("service", _) => all.push(Service { id: fields[1].to_owned(), ..Service::default() }),
            ("protocol", Some(service)) => service.protocols = fields[1..].iter().map(|&p| p.to_owned()).collect(),
            ("target", Some(service)) => fields[1].clone_into(&mut service.target),
            ("xml", Some(service)) => fields[1].clone_into(&mut service.version),
            ("host", Some(service)) if service.host.is_none() => service.host = host(&fields[1..]),
            ("op", Some(service)) if fields[2].split(' ').any(|remark| remark == "credentials") => {
                let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
                service.handing.push([field(1), field(3), field(4), field(5)]);
            }
            _ => {}
        }
    }
    all.retain(|service| !service.handing.is_empty());
    all
}

/// A host of this form in us-east-1, if it has one and is signed for by SigV4 there.
fn host(fields: &[&str]) -> Option<(String, String)> {
    let [template, signs, region, places] = fields else { panic!("{fields:?}") };
    let there = places.split(' ').any(|place| matches!(place, "*" | "aws" | "us-east-1"));
    let signs_there = matches!(*region, "=" | "*" | "us-east-1");
    let name = template.replace("{region}", "us-east-1").replace("{dns}", "amazonaws.com").replace("{dual}", "api.aws");
    (there && signs_there && !name.contains('{')).then(|| (name, (*signs).to_owned()))
}

impl Service {
    /// The operation's request in each protocol that the service speaks: head and body.
    fn requests(&self, operation: &[String; 4]) -> Vec<(String, Vec<u8>)> {
        let [name, method, path, condition] = operation;
        let (host, _) = self.host.as_ref().unwrap();
        let request = |protocol: &String| match protocol.as_str() {
            "cbor" => (
                format!(
                    "POST /service/{}/operation/{name} HTTP/1.1\nHost: {host}\nSmithy-Protocol: rpc-v2-cbor\n\
                     Content-Type: application/cbor",
                    self.target
                ),
                vec![0xa0],
            ),
            "query" | "ec2" => (
                format!("POST / HTTP/1.1\nHost: {host}\nContent-Type: application/x-www-form-urlencoded"),
                format!("Action={name}&Version={}", self.version).into_bytes(),
            ),
            json if json.starts_with("json") => {
                (format!("POST / HTTP/1.1\nHost: {host}\nX-Amz-Target: {}.{name}", self.target), b"{}".to_vec())
            }
            _ => {
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let filled: Vec<_> =
                    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
                let target = format!("{}{}{query}", filled.join("/"), if query.is_empty() { "" } else { "?" });
                let header = condition.strip_prefix("header ").map(|name| format!("\n{name}: x")).unwrap_or_default();
                let body = if method == "GET" { Vec::new() } else { b"{}".to_vec() };
                (format!("{method} {target} HTTP/1.1\nHost: {host}{header}"), body)
            }
        };
        self.protocols.iter().map(request).collect()
    }
}

/// All of the catalogue, in all of their protocols.
#[tokio::test]
async fn each_is_refused_unless_it_is_allowed_by_its_own_name() {
    let site = Site::with(|plan| plan.dial = Some(nowhere())).await;
    let (services, mut seen) = (services(), BTreeSet::new());
    let all: Vec<_> = services
        .iter()
        .flat_map(|service| service.handing.iter().map(move |operation| format!("{}:{}", service.id, operation[0])))
        .collect();
    for service in &services {
        let Some((host, signs)) = &service.host else { continue };
        for operation in service.handing.iter().filter(|operation| operation[3] != "never") {
            let name = format!("{}:{}", service.id, operation[0]);
            let granting =
                |allowed: Vec<String>| Grant { allow_credential_operations: allowed, ..site.only(&[&service.id]) };
            let message = format!(
                "Action '{}' would hand out cloud credentials and is not allowed by this access request",
                operation[0]
            );
            for (head, body) in service.requests(operation) {
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
    let missing: Vec<_> = all.iter().filter(|name| !seen.contains(*name)).collect();
    assert!(missing.len() * 20 < all.len(), "no request could be made of {missing:?}");
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
