//! Calls without a signature of ours: unsigned by design, or with a bearer token of the cloud's. The tunnel vouches for
//! them, or nobody does.

use base64::{Engine, engine::general_purpose::STANDARD};
use csg::model::{Grant, Outcome};

use crate::harness::{Answer, DYNAMODB, Head, S3, Site, Tls, Wire, handshake, within};

const COGNITO: &str = "cognito-idp.us-east-1.amazonaws.com";

fn cognito(operation: &str, extra: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: {COGNITO}\r\nX-Amz-Target: AWSCognitoIdentityProviderService.{operation}\r\n\
         Content-Type: application/x-amz-json-1.1\r\n{extra}Content-Length: 2\r\n\r\n{{}}"
    )
}

/// Asks for a tunnel with these credentials of the proxy.
async fn connect(site: &Site, host: &str, authorization: &str) -> (Wire<tokio::net::TcpStream>, Head) {
    let mut wire = site.connect().await;
    wire.send(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n{authorization}\r\n")).await;
    let head = wire.head().await;
    (wire, head)
}

fn basic(id: &str, secret: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{id}:{secret}")))
}

/// A tunnel that the site's key was shown for.
pub(super) async fn vouched(site: &Site, host: &str) -> Tls {
    let (wire, head) = connect(site, host, &basic(&site.key.id, &site.key.secret)).await;
    assert_eq!(head.status(), 200, "{head:?}");
    within("the TLS handshake", handshake(wire, site.client(), host)).await.unwrap()
}

async fn refused(site: &Site, client: &mut Tls, request: &str) -> Answer {
    client.send(request).await;
    let answer = client.answer().await;
    assert!(site.cloud.is_quiet().await, "it reached the cloud: {request}");
    answer
}

fn assert_says(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert!(answer.text().contains(words), "{words:?} is not in {}", answer.text());
}

/// The body would have to be read to know what is called, and can't change the answer.
#[tokio::test]
async fn a_body_of_access_that_does_not_stand_is_not_asked_for() {
    const STS: &str = "sts.us-east-1.amazonaws.com";
    let site = Site::start().await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {STS}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    for (grant, words) in [
        (Grant { active: false, ..site.grant() }, "Client is not Active"),
        (site.only(&["route53"]), "Client is unknown or has no access to service"),
    ] {
        let mut client = vouched(&site, STS).await;
        site.publish([grant]);
        assert_says(&refused(&site, &mut client, &request).await, 403, words);
        site.publish([site.grant()]);
    }
    for record in site.records(2).await {
        assert_eq!(record.access_key_id.unwrap().as_str(), site.key.id);
        assert_eq!(record.request.unwrap().as_str(), "request-1");
    }
}

#[tokio::test]
async fn an_operation_that_is_unsigned_by_design_goes_as_it_came_where_the_tunnel_vouches_for_it() {
    let site = Site::start().await;
    let mut client = vouched(&site, COGNITO).await;
    client.send(cognito("SignUp", "Connection: X-Amz-Target, Host\r\n")).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await, b"{}");
    assert_eq!(call.head.header("authorization"), None);
    assert_eq!(call.head.header("proxy-authorization"), None);
    assert_eq!(call.head.header("x-amz-date"), None);
    assert_eq!(call.head.header("x-amz-target"), Some("AWSCognitoIdentityProviderService.SignUp"));
    assert_eq!(call.head.header("host"), Some(COGNITO));
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    let record = site.record().await;
    assert_eq!(record.access_key_id.unwrap().as_str(), site.key.id);
    assert_eq!(record.request.unwrap().as_str(), "request-1");
    assert_eq!((record.operation.as_deref(), record.region.as_deref()), (Some("SignUp"), Some("us-east-1")));
    assert_eq!(record.outcome, Outcome::Allowed);
}

#[tokio::test]
async fn without_that_it_is_refused_and_told_how() {
    let site = Site::start().await;
    let mut client = site.tunnel(COGNITO).await;
    let answer = refused(&site, &mut client, &cognito("SignUp", "")).await;
    assert_says(&answer, 403, "HTTPS_PROXY=http://ACCESS_KEY_ID:SECRET_ACCESS_KEY@GATEWAY:3128");
    assert_eq!(answer.head.header("x-amzn-errortype"), Some("AccessDeniedException"));
    // In the call itself they count for nothing.
    let inside = cognito("SignUp", &basic(&site.key.id, &site.key.secret));
    assert_says(&refused(&site, &mut client, &inside).await, 403, "HTTPS_PROXY");
    assert_eq!(site.records(2).await.remove(0).request, None);
}

/// A valid key's holder must not get further with a vouched tunnel than with signatures.
#[tokio::test]
async fn the_tunnel_vouches_for_nothing_that_has_to_be_signed() {
    let site = Site::start().await;
    let mut client = vouched(&site, COGNITO).await;
    for operation in ["ListUserPools", "AdminDeleteUser", "NoSuchOperation", ""] {
        let answer = refused(&site, &mut client, &cognito(operation, "")).await;
        assert_says(&answer, 403, "Missing Authentication Token");
    }
    // What hands out credentials is refused, however it is called.
    for operation in ["InitiateAuth", "RespondToAuthChallenge", "GetTokensFromRefreshToken"] {
        let answer = refused(&site, &mut client, &cognito(operation, "")).await;
        assert_says(&answer, 403, "would hand out cloud credentials");
    }
    // An anonymous call to a public bucket.
    let mut s3 = vouched(&site, S3).await;
    let request = format!("GET /bucket/key HTTP/1.1\r\nHost: {S3}\r\n\r\n");
    assert_says(&refused(&site, &mut s3, &request).await, 403, "Missing Authentication Token");
    let sts = "sts.us-east-1.amazonaws.com";
    let mut client = vouched(&site, sts).await;
    for (action, words) in [
        ("GetCallerIdentity", "Missing Authentication Token"),
        ("AssumeRole", "Missing Authentication Token"),
        ("AssumeRoleWithWebIdentity", "would hand out cloud credentials"),
    ] {
        let body = format!("Action={action}&Version=2011-06-15");
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {sts}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_says(&refused(&site, &mut client, &request).await, 403, words);
    }
}

#[tokio::test]
async fn the_grant_must_cover_the_service_and_stand() {
    let site = Site::start().await;
    let mut client = vouched(&site, COGNITO).await;
    site.publish([site.only(&["dynamodb"])]);
    let answer = refused(&site, &mut client, &cognito("SignUp", "")).await;
    assert_says(&answer, 403, "Client is unknown or has no access to service");
    site.revoke();
    assert_says(&refused(&site, &mut client, &cognito("SignUp", "")).await, 403, "Client is not Active");
    site.publish([]);
    assert_says(&refused(&site, &mut client, &cognito("SignUp", "")).await, 403, "HTTPS_PROXY");
    for record in site.records(3).await {
        assert_eq!(record.outcome, Outcome::Refused);
    }
}

#[tokio::test]
async fn wrong_proxy_credentials_get_no_tunnel() {
    let site = Site::start().await;
    let real = basic(&site.real.id, &site.real.secret);
    let right = basic(&site.key.id, &site.key.secret);
    let mut bodies = Vec::new();
    for authorization in [
        basic(&site.key.id, "wrong"),
        basic("CSGAUNKNOWNUNKNOWN01", &site.key.secret),
        basic("CSGAUNKNOWNUNKNOWN01", "nobody's"),
        basic(&site.key.id, ""),
        real,
        format!("{right}{right}"),
        "Proxy-Authorization: Basic\r\n".to_owned(),
        "Proxy-Authorization: Basic %%%\r\n".to_owned(),
        "Proxy-Authorization: Bearer x\r\n".to_owned(),
    ] {
        let (mut wire, head) = connect(&site, DYNAMODB, &authorization).await;
        assert_eq!(head.status(), 407, "{authorization}");
        assert_eq!(head.header("proxy-authenticate"), Some("Basic realm=\"csg\""));
        bodies.push(wire.body(&head).await.bytes);
    }
    assert!(bodies.windows(2).all(|two| two[0] == two[1]), "an unknown id can't be told from a wrong secret");
    for record in site.records(bodies.len()).await {
        assert_eq!((record.error.as_deref(), record.status), (Some("ProxyCredentialsWrong"), 407));
        assert_eq!(record.access_key_id, None);
        assert!(!format!("{record:?}").contains("secret"));
    }
    // Whoever signs each call needs none, and may have some.
    for mut client in [site.tunnel(DYNAMODB).await, vouched(&site, DYNAMODB).await] {
        client.send(site.key.sign(super::LIST_TABLES).bytes()).await;
        let call = site.cloud.call().await;
        site.real.verify(&call, b"{}");
        call.ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
}

#[tokio::test]
async fn a_bearer_token_goes_along_only_where_there_is_no_other_way() {
    let site = Site::start().await;
    let host = "codecatalyst.global.api.aws";
    let bearer = "Authorization: Bearer a.b.c\r\n";
    // Where signatures are the normal way, the cloud's own tokens would go round them.
    let bedrock = "bedrock-runtime.us-east-1.amazonaws.com";
    let converse =
        format!("POST /model/m/converse HTTP/1.1\r\nHost: {bedrock}\r\n{bearer}Content-Length: 2\r\n\r\n{{}}");
    let words = "Bearer tokens can't be verified here. Please use AWS4-HMAC-SHA256.";
    assert_says(&refused(&site, &mut vouched(&site, bedrock).await, &converse).await, 403, words);
    assert_says(&refused(&site, &mut site.tunnel(bedrock).await, &converse).await, 403, words);
    let unsigned = cognito("SignUp", bearer);
    assert_says(&refused(&site, &mut vouched(&site, COGNITO).await, &unsigned).await, 403, words);
    // Where it is the only way, it needs a tunnel that is vouched for.
    let get = format!("GET /userDetails HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n");
    assert_says(&refused(&site, &mut site.tunnel(host).await, &get).await, 403, "HTTPS_PROXY");
    let mut client = vouched(&site, host).await;
    let bare = get.replace(bearer, "");
    assert_says(&refused(&site, &mut client, &bare).await, 403, "Missing Authentication Token");

    client.send(&get).await;
    let call = site.cloud.call().await;
    assert_eq!(call.head.header("authorization"), Some("Bearer a.b.c"));
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
    let record = site.records(6).await.remove(5);
    assert_eq!(record.access_key_id.unwrap().as_str(), site.key.id);
    assert_eq!(record.service.unwrap().as_str(), "codecatalyst");
}
