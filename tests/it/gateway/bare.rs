//! Every operation that is called without a signature of ours, by the cloud's design, as its clients call it: bare, or
//! with a bearer token. It goes under a grant that covers its service, in a tunnel that the key was shown for, or not at all.

use csg::model::Grant;

use super::{
    requests::{Operation, Service, nowhere, services},
    vouched::vouched,
};
use crate::harness::{Site, Tls};

const BEARER: &str = "\nAuthorization: Bearer a.b.c";
const NO_ACCESS: &str = "Client is unknown or has no access to service";
const SHOW_THE_KEY: &str = "HTTPS_PROXY=http://ACCESS_KEY_ID:SECRET_ACCESS_KEY@GATEWAY:3128";
const NO_BEARER: &str = "Bearer tokens can't be verified here";
const NO_TOKEN: &str = "Missing Authentication Token";

/// What its clients show of themselves; and what others would.
fn credentials(operation: &Operation) -> [(&'static str, &'static str); 2] {
    let (bare, bearer) = (("", NO_TOKEN), (BEARER, NO_BEARER));
    if operation.is("bearer-only") { [bearer, bare] } else { [bare, bearer] }
}

/// The operation's requests as the wire has them.
fn requests(service: &Service, operation: &Operation, more: &str) -> Vec<Vec<u8>> {
    let wire = |(head, body): (String, Vec<u8>)| {
        [format!("{head}\nContent-Length: {}\n\n", body.len()).replace('\n', "\r\n").as_bytes(), &body].concat()
    };
    service.requests(operation, more).into_iter().map(wire).collect()
}

async fn assert_answers(client: &mut Tls, requests: &[Vec<u8>], status: u16, words: &str) {
    for request in requests {
        client.send(request).await;
        let answer = client.answer().await;
        let text = answer.text();
        let shown = String::from_utf8_lossy(request);
        assert!(answer.status() == status && text.contains(words), "{shown}\n{} {text}", answer.status());
    }
}

fn by_design() -> Vec<Service> {
    services(|operation| operation.is("unsigned") || operation.is("bearer-only"))
}

#[tokio::test]
async fn each_goes_where_it_is_granted_and_nowhere_else() {
    let site = Site::with(|plan| plan.dial = Some(nowhere())).await;
    let mut count = 0;
    for service in by_design() {
        let host = &service.host.0;
        let (mut shown, mut unshown) = (vouched(&site, host).await, site.tunnel(host).await);
        for operation in &service.operations {
            let name = format!("{}:{}", service.id, operation.name);
            let [(own, _), (others, refused)] = credentials(operation);
            let (own, others) = (requests(&service, operation, own), requests(&service, operation, others));
            let granted = Grant { allow_credential_operations: vec![name], ..site.only(&[&service.id]) };
            site.publish([granted.clone()]);
            assert_answers(&mut shown, &own, 502, "could not be reached").await;
            // Of nobody knows whom, no body is read, so that what only a body tells stays unknown.
            let words = if service.is_told_by_bodies() { NO_TOKEN } else { SHOW_THE_KEY };
            assert_answers(&mut unshown, &own, 403, words).await;
            assert_answers(&mut shown, &others, 403, refused).await;
            site.publish([Grant { services: site.only(&["kms"]).services, ..granted }]);
            assert_answers(&mut shown, &own, 403, NO_ACCESS).await;
            site.revoke();
            assert_answers(&mut shown, &own, 403, "Client is not Active").await;
            count += 1;
        }
    }
    assert!(count >= 85, "the catalogue has lost some: {count}");
}

/// What is asked for with nothing but a tunnel's key would leave with credentials that need no gateway.
#[tokio::test]
async fn each_that_hands_out_credentials_is_refused_unless_it_is_allowed_by_its_own_name() {
    let site = Site::with(|plan| plan.dial = Some(nowhere())).await;
    let services: Vec<_> = by_design().into_iter().map(Service::that_hand_out).collect();
    let all: Vec<_> = services.iter().flat_map(Service::names).collect();
    for service in &services {
        let mut client = vouched(&site, &service.host.0).await;
        for operation in &service.operations {
            let name = format!("{}:{}", service.id, operation.name);
            let own = requests(service, operation, credentials(operation)[0].0);
            let message = format!(
                "Action '{}' would hand out cloud credentials and is not allowed by this access request",
                operation.name
            );
            let others = all.iter().filter(|other| **other != name).cloned().collect();
            for allowed in [Vec::new(), others] {
                site.publish([Grant { allow_credential_operations: allowed, ..site.only(&[&service.id]) }]);
                assert_answers(&mut client, &own, 403, &message).await;
            }
            site.publish([Grant { allow_credential_operations: vec![name], ..site.only(&[&service.id]) }]);
            assert_answers(&mut client, &own, 502, "could not be reached").await;
        }
    }
    for known in [
        "codecatalyst:CreateAccessToken",
        "codecatalyst:StartDevEnvironmentSession",
        "cognito-identity:GetCredentialsForIdentity",
        "cognito-identity:GetOpenIdToken",
        "cognito-idp:InitiateAuth",
        "signin:CreateOAuth2Token",
        "sso:GetRoleCredentials",
        "sso-oidc:CreateToken",
        "sso-oidc:RegisterClient",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
    ] {
        assert!(all.iter().any(|name| name == known), "{known}");
    }
}
